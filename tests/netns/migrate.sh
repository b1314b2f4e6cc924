#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# migrate.sh - guest memory crosses a clean link: queues, MTUs, addresses, XDP
# modes, queueing disciplines, the ways to call it

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
needs xdpmig
ram_make "$GUEST" 64

# -- queues and MTUs ---------------------------------------------------------------

scenario_1_queue_mtu_1500() {
	net_up queues=1 mtu=1500
	attach_both
	migrate "$GUEST"
	detach_both
}

scenario_4_queues_mtu_3498() {
	net_up queues=4 mtu=3498
	attach_both
	migrate "$GUEST"
	detach_both
}

scenario_16_queues_mtu_9000() {
	net_up queues=16 mtu=9000
	attach_both
	migrate "$GUEST" --queues 16
	detach_both
}

scenario_16_queues_mtu_65535() {
	net_up queues=16 mtu=65535
	attach_both
	migrate "$GUEST" --queues 16
	detach_both
}

scenario_64_queues() {
	net_up queues=64 mtu=9000
	attach_both
	migrate "$GUEST"
	assert_jq '.channels == 64' "$(out_of send)" "channels"
	detach_both
}

scenario_frames_fit_the_smaller_mtu() {
	net_up queues=2 mtu=9000
	ip -n "$DST_NS" link set "$DST_DEV" mtu 3498
	attach_both
	migrate "$GUEST"
	assert_jq '.frame_bytes <= 3498' "$(out_of send)" "frame"
	detach_both
}

# A range names queues of the device.  On a direct veth pair a frame of queue 6
# arrives on queue 6.
scenario_some_of_the_queues() {
	net_up queues=8
	run src "$XDPMIG" attach --queues 4-7 "$SRC_DEV"
	assert_eq "$RC" 0 "attach"
	run dst "$XDPMIG" attach --queues 5-7 "$DST_DEV"
	assert_eq "$RC" 0 "attach"
	migrate "$GUEST" --queues 5-6
	assert_jq '[.per_channel[].queue] == [5, 6]' "$(out_of send)" queues
	assert_jq '[.per_channel[].queue] == [5, 6]' "$(out_of recv)" queues
	detach_both
}

# No source port leads from queue 5 to queue 2: the path is not assumed.
scenario_queues_that_do_not_meet() {
	net_up queues=8
	run src "$XDPMIG" attach --queues 4-5 "$SRC_DEV"
	assert_eq "$RC" 0 "attach"
	run dst "$XDPMIG" attach --queues 1-2 "$DST_DEV"
	assert_eq "$RC" 0 "attach"
	recv_start
	send_start "$GUEST" --queues 5-5
	ended 1 1
	said send path "$SRC_DEV: channel 0: .* queue 5 .*UDP port 61952"
	said recv path "$SRC_DEV: channel 0: "
	home send source
	home recv source
	assert_clean
	detach_both
}

# -- addresses ---------------------------------------------------------------

scenario_ipv6() {
	net_up queues=4 mtu=9000
	attach_both
	PEER="[$DST6]" migrate "$GUEST" recv:--listen "recv:$DST6"
	detach_both
}

scenario_ipv6_mtu_1500_other_ports() {
	net_up queues=4 mtu=1500
	attach_both
	PEER="[$DST6]:4711" migrate "$GUEST" --port 30000 \
		recv:--listen "recv:[$DST6]:4711" recv:--port recv:40000
	detach_both
}

# -- modes and queueing disciplines ------------------------------------------------------

# One queue: a veth does not tell generic XDP which queue a frame is for
# (matrix.sh has more of them).
scenario_generic() {
	net_up queues=1 mtu=9000
	attach_both --mode generic
	migrate "$GUEST"
	detach_both
}

scenario_generic_ipv6_mtu_1500() {
	net_up queues=1 mtu=1500 qdisc=pfifo
	attach_both --mode generic
	PEER="[$DST6]" migrate "$GUEST" recv:--listen "recv:$DST6"
	detach_both
}

scenario_native_to_generic_mtu_65535() {
	net_up queues=1 mtu=65535
	run src "$XDPMIG" attach --mode native "$SRC_DEV"
	assert_eq "$RC" 0 "attach in native mode"
	run dst "$XDPMIG" attach --mode generic "$DST_DEV"
	assert_eq "$RC" 0 "attach in generic mode"
	migrate "$GUEST"
	detach_both
}

scenario_pfifo() {
	net_up queues=4 mtu=9000 qdisc=pfifo
	attach_both
	migrate "$GUEST"
	detach_both
}

scenario_pfifo_16_queues_mtu_65535() {
	net_up queues=16 mtu=65535 qdisc=pfifo
	attach_both
	PEER="[$DST6]" migrate "$GUEST" recv:--listen "recv:$DST6"
	detach_both
}

# -- threads --------------------------------------------------------------------------------

scenario_16_queues_in_1_thread() {
	net_up queues=16 mtu=9000
	attach_both
	migrate "$GUEST" --threads 1 recv:--threads recv:3
	assert_jq '.threads == 1' "$(out_of send)" threads
	assert_jq '.threads == 3' "$(out_of recv)" threads
	detach_both
}

scenario_busy_poll() {
	net_up queues=2 mtu=9000
	attach_both
	migrate "$GUEST" --busy-poll recv:--busy-poll
	detach_both
}

# -- as users do it ----------------------------------------------------------------------------

# No option but the three lines': the rest is in the file, and the device is
# the one that is attached.
scenario_three_lines() {
	local blocks

	blocks=$(blocks_of "$GUEST")
	net_up queues=16 mtu=9000
	cat >"$TMP/xdpmig.conf" <<-END
		key = $KEY
		[send]
		ram = $GUEST
		peer = $DST4
		[recv]
		ram = $COPY
	END
	run src_ns "$XDPMIG" attach "$SRC_DEV"
	assert_eq "$RC" 0 "attach at the source"
	run dst_ns "$XDPMIG" attach "$DST_DEV"
	assert_eq "$RC" 0 "attach at the destination"
	spawn recv dst_ns "$XDPMIG" recv --config "$TMP/xdpmig.conf" --json
	wait_for 5 grep -q 'waiting for a source' "$(err_of recv)"
	assert_grep " $DST4:61951\$" "$(err_of recv)" "address"
	spawn send src_ns "$XDPMIG" send --config "$TMP/xdpmig.conf" --json \
		--queues 16
	ended 0 0 60
	check_results "$GUEST"
	check_memory "$GUEST" "$blocks"
	assert_jq '.channels == 16' "$(out_of send)" "channels"
	rm "$COPY"
	assert_clean
	run src_ns "$XDPMIG" detach "$SRC_DEV"
	assert_eq "$RC" 0 "detach at the source"
	run dst_ns "$XDPMIG" detach "$DST_DEV"
	assert_eq "$RC" 0 "detach at the destination"
	assert_detached
}

# People read it: figures on stdout, talk on stderr.
scenario_without_json() {
	net_up queues=2
	attach_both
	spawn recv dst "$XDPMIG" recv --ram "$COPY"
	wait_for 5 grep -q 'waiting for a source' "$(err_of recv)"
	run src "$XDPMIG" send --ram "$GUEST" "$DST4"
	assert_eq "$RC" 0 "send"
	assert_grep '^guest runs at +target$' "$OUT" "send's result"
	assert_grep '^ram total +64.00 MiB$' "$OUT" "send's result"
	assert_no_grep '\{' "$OUT" "send's result"
	reap recv 5
	assert_eq "$RC" 0 "recv"
	assert_grep '^guest runs at +target$' "$(out_of recv)" "recv's result"
	assert_same_file "$GUEST" "$COPY" "guest memory"
	rm "$COPY"
	assert_clean
	detach_both
}

# Sessions follow each other on one attached device, in both directions.
scenario_again_and_back() {
	net_up queues=4
	attach_both
	migrate "$GUEST"
	migrate "$GUEST" --queues 2
	receive_and_send "$GUEST"
	mv "$COPY" /dev/shm/back
	spawn recv src "$XDPMIG" recv --ram "$COPY" --json
	wait_for 5 grep -q 'waiting for a source' "$(err_of recv)"
	spawn send dst "$XDPMIG" send --ram /dev/shm/back --json "$SRC4"
	ended 0 0 60
	check_results /dev/shm/back
	assert_same_file "$GUEST" "$COPY" "guest memory, there and back"
	rm "$COPY" /dev/shm/back
	assert_clean
	detach_both
}

# The rest of the world goes on during a migration.
scenario_pings_meanwhile() {
	net_up queues=2
	attach_both
	recv_start
	send_start "$GUEST" --bandwidth 300M
	transferring
	run src ping -q -c 20 -i 0.01 -w 5 "$DST4"
	assert_eq "$RC" 0 "ping"
	run src ping -q -c 20 -i 0.01 -w 5 "$DST6"
	assert_eq "$RC" 0 "ping over IPv6"
	ended 0 0 20
	check_results "$GUEST"
	rm "$COPY"
	detach_both
}

run_scenarios "$@"
