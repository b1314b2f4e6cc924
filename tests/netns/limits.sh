#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# limits.sh - what a migration may take is what it takes: locked memory, receive
# buffers, memory in flight, bandwidth; and the errors when it is too little

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
needs xdpmig setpriv prlimit
ram_make "$GUEST" 32

MIB=1048576

# -- locked memory -----------------------------------------------------------------

# within CHANNELS BYTES ENGINE: all of the guest, nobody locking more than BYTES
# (a receiver with room for two frames has none for what is sent twice)
within() {
	transfer "$GUEST" --queues "$1" --lock-budget "$2" \
		recv:--lock-budget "recv:$2"
	assert_jq ".locked_bytes <= $2 and .engine == \"$3\"" \
		"$(out_of send)" "send"
	assert_jq ".locked_bytes <= $2" "$(out_of recv)" "recv"
}

# From room for all of the guest down to 512 KiB a channel.
scenario_lock_budget() {
	net_up queues=4
	attach_both
	within 4 $((48 * MIB)) copy-sg
	within 4 $((16 * MIB)) copy-staged
	within 4 $((2 * MIB)) copy-staged
	within 1 $((MIB / 2)) copy-staged
	detach_both
}

scenario_lock_budget_mtu_1500() {
	net_up queues=2 mtu=1500
	attach_both
	within 2 $MIB copy-staged
	detach_both
}

scenario_lock_budget_mtu_65535() {
	net_up queues=16 mtu=65535
	attach_both
	within 16 $((8 * MIB)) copy-staged
	detach_both
}

# The error says how much it takes, and so much is enough.
scenario_lock_budget_too_small() {
	local least

	net_up queues=4 mtu=65535
	attach_both
	recv_start
	send_start "$GUEST" --lock-budget 512K
	send_end 5
	assert_eq "$SEND_RC" 2 "send with 128 KiB a channel"
	said send usage '--lock-budget 524288: 4 channels .* at least [0-9]+'
	least=$(sed -n 's/.*at least \([0-9]*\) bytes.*/\1/p' "$(err_of send)")
	send_start "$GUEST" --lock-budget $((least - 1))
	send_end 5
	assert_eq "$SEND_RC" 2 "send with a byte less"
	stop recv
	within 4 "$least" copy-staged
	detach_both
}

# Who may not lock what he likes, and has the usual limit.
CAPS=-ipc_lock,-sys_resource
LIMITED=(setpriv --bounding-set "$CAPS" prlimit --memlock=8388608:8388608 --)

scenario_memlock_limit() {
	net_up queues=2
	attach_both
	memlock_begin
	recv_start
	spawn send src "${LIMITED[@]}" \
		"$XDPMIG" send --ram "$GUEST" --json "$DST4"
	ended 1 3
	said send permission "locked|memlock|ulimit"
	said recv refused "the peer: "
	home send source
	assert_clean

	# What the error proposes helps: a budget within the limit.
	recv_start
	spawn send src "${LIMITED[@]}" \
		"$XDPMIG" send --ram "$GUEST" --lock-budget 6M --json "$DST4"
	ended 0 0
	check_results "$GUEST"
	assert_same_file "$GUEST" "$COPY" "guest memory"
	assert_jq ".locked_bytes <= 6 * $MIB" "$(out_of send)" "send"
	rm "$COPY"
	memlock_end
	detach_both
}

scenario_memlock_limit_of_the_destination() {
	net_up queues=2
	attach_both
	memlock_begin
	spawn recv dst "${LIMITED[@]}" \
		"$XDPMIG" recv --ram "$COPY" --json
	wait_for 5 grep -q 'waiting for a source' "$(err_of recv)"
	send_start "$GUEST"
	ended 3 1
	said recv permission "locked|memlock|ulimit"
	said send refused "the peer: "
	home send source
	assert_clean
	memlock_end
	detach_both
}

# Users with the two capabilities that the manual names, and the usual limit.
scenario_not_root() {
	local home=/dev/shm/user
	local as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	local none=(--inh-caps=-all --ambient-caps=-all --bounding-set=-all)
	local all=-all,+net_raw,+sys_admin
	# setpriv itself starts xdpmig, which may be where its user may not look
	local few=("--inh-caps=$all" "--ambient-caps=$all" "--bounding-set=$all")
	local in=(env "XDG_RUNTIME_DIR=$home" "XDPMIG_CONFIG=$home/conf")

	net_up queues=2
	attach_both
	chmod 666 "$GUEST"
	install -d -o 65534 "$home"
	install -o 65534 -m 600 "$KEY" "$home/key"
	echo "key = $home/key" >"$home/conf"
	spawn send src "${as[@]}" "${none[@]}" "$XDPMIG" send \
		--config "$home/conf" --ram "$GUEST" --json "$DST4"
	send_end 5
	assert_eq "$SEND_RC" 1 "send without a capability"
	said send permission "$SRC_DEV: .*CAP_SYS_ADMIN"
	spawn recv dst "${in[@]}" "${as[@]}" "${few[@]}" "$XDPMIG" recv \
		--ram "$COPY" --lock-budget 4M --json
	wait_for 5 grep -q 'waiting for a source' "$(err_of recv)"
	spawn send src "${in[@]}" "${as[@]}" "${few[@]}" "$XDPMIG" send \
		--ram "$GUEST" --lock-budget 4M --json "$DST4"
	ended 0 0
	check_results "$GUEST"
	assert_same_file "$GUEST" "$COPY" "guest memory"
	assert_eq "$(stat -c %u "$COPY")" 65534 "owner of the copy"
	rm "$COPY" "$home/key" "$home/conf"
	rmdir "$home/xdpmig" "$home" # nothing is left there
	assert_clean
	detach_both
}

# -- buffers --------------------------------------------------------------------------

scenario_little_receive_memory() {
	net_up queues=4 mtu=9000
	attach_both
	migrate "$GUEST" recv:--rx-memory recv:1M
	assert_jq ".locked_bytes < 6 * $MIB" "$(out_of recv)" "recv"
	detach_both
}

scenario_little_in_flight() {
	net_up queues=2 mtu=9000
	attach_both
	migrate "$GUEST" --in-flight 1M
	assert_jq '.flush_space > 10' "$(out_of send)" "waits for a slot"
	migrate "$GUEST" --in-flight 512K
	detach_both
}

# -- bandwidth ---------------------------------------------------------------------------

# paced CHANNELS MBIT: 10 % above is for the first bursts, and nothing is said
# of below
paced() {
	transfer "$GUEST" --queues "$1" --bandwidth "$2M"
	assert_jq ".ram_bytes_sent * 8 / .transfer_ms / 1000 < $2 * 1.1" \
		"$(out_of send)" "Mbit/s of guest memory"
}

scenario_bandwidth() {
	net_up queues=16
	attach_both
	paced 1 200
	paced 16 100
	detach_both
}

# All of the data is one channel's: what the others do not need is its own.  Never
# more than the cap; how much less is a matter of the machine, but a fixed share
# of a 16th would be far less than half of it.
scenario_bandwidth_is_shared() {
	local mbit=200 busy i

	net_up queues=16
	attach_both
	truncate -s 512M "$TMP/sparse"
	for ((i = 0; i < 16; i++)); do # a stripe of 2 MiB of every 16
		random_bytes 2M | dd of="$TMP/sparse" bs=2M seek=$((i * 16)) \
			conv=notrunc iflag=fullblock status=none
	done
	mv "$TMP/sparse" /dev/shm/sparse
	recv_start
	send_start /dev/shm/sparse --queues 16 --bandwidth "${mbit}M"
	ended 0 0 60
	check_results /dev/shm/sparse
	assert_same_file /dev/shm/sparse "$COPY" "guest memory"
	rm /dev/shm/sparse "$COPY"
	busy=$(value_of '[.per_channel[] | select(.pages > 0)] | length' \
		"$(out_of send)")
	assert_eq "$busy" 1 "channels with anything to send"
	assert_jq ".gbit_per_s * 1000 > $mbit * 0.5 and
		.gbit_per_s * 1000 < $mbit * 1.1" "$(out_of send)" "Gbit/s"
	say "$(value_of .gbit_per_s "$(out_of send)") Gbit/s of 0.$mbit"
	assert_clean
	detach_both
}

# -- zero-copy -----------------------------------------------------------------------------

scenario_zero_copy_on_veth() {
	net_up queues=1
	attach_both
	migrate "$GUEST" --zero-copy prefer recv:--zero-copy recv:prefer
	assert_jq '.zero_copy == false and .bytes_copied >= .ram_bytes_sent' \
		"$(out_of send)" "copied bytes"
	migrate "$GUEST" --zero-copy off recv:--zero-copy recv:off
	recv_start
	send_start "$GUEST" --zero-copy require
	send_end 5
	assert_eq "$SEND_RC" 1 "send --zero-copy require"
	said send zero_copy "$SRC_DEV: no zero-copy: .*--zero-copy prefer"
	stop recv
	assert_clean
	detach_both
}

scenario_zero_copy_required_by_the_destination() {
	net_up queues=1
	attach_both
	recv_start --zero-copy require
	send_start "$GUEST"
	ended 3 1
	said recv zero_copy "$DST_DEV: no zero-copy: "
	said send refused "the peer: $DST_DEV: no zero-copy"
	assert_clean
	detach_both
}

run_scenarios "$@"
