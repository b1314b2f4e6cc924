#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# refusals.sh - bad input at either end, and strangers at the control port: one
# clear message that names the thing and what to do, the documented status at
# both ends, nothing touched and nothing left behind

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
needs xdpmig python3 "$FAULT_AT"
xdpmig_pins_slowly
ram_make "$GUEST" 4

# -- send alone ---------------------------------------------------------------------

scenario_memory_at_the_source() {
	net_up queues=1
	attach_both
	bad_send 1 memory "/dev/shm/nothing: .*No such file" \
		--ram /dev/shm/nothing "$DST4"
	bad_send 1 memory "/dev/shm: is a directory" --ram /dev/shm "$DST4"
	bad_send 1 memory "/dev/null: is a device" --ram /dev/null "$DST4"
	mkfifo /dev/shm/fifo
	bad_send 1 memory "/dev/shm/fifo: is a FIFO" --ram /dev/shm/fifo "$DST4"
	truncate -s 0 /dev/shm/odd
	bad_send 1 memory "/dev/shm/odd: has 0 bytes" --ram /dev/shm/odd "$DST4"
	truncate -s 4097 /dev/shm/odd
	bad_send 1 memory "/dev/shm/odd: has 4097 bytes" --ram /dev/shm/odd \
		"$DST4"
	rm /dev/shm/fifo /dev/shm/odd
	assert_clean
	detach_both
}

scenario_unreadable_memory() {
	local as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	local few=+net_raw,+sys_admin

	net_up queues=1
	attach_both
	chmod 600 "$GUEST"
	spawn send src "${as[@]}" "--inh-caps=-all,$few" \
		"--ambient-caps=-all,$few" "--bounding-set=-all,$few" \
		"$XDPMIG" send --config /dev/null --insecure --ram "$GUEST" \
		--json "$DST4"
	send_end 5
	assert_eq "$SEND_RC" 1 "send"
	said send permission "$GUEST: .*Permission denied"
	detach_both
}

scenario_device() {
	net_up queues=2
	bad_send 1 steering "no device is attached.*xdpmig attach" \
		--ram "$GUEST" "$DST4"
	bad_send 1 steering "$SRC_DEV: .*xdpmig attach" \
		--dev "$SRC_DEV" --ram "$GUEST" "$DST4"
	bad_send 1 device "nosuchdev: no such device" \
		--dev nosuchdev --ram "$GUEST" "$DST4"
	bad_send 1 steering "lo: .*xdpmig attach" --dev lo --ram "$GUEST" "$DST4"
	attach_both
	bad_send 2 usage "$SRC_DEV: queues 0-2 asked for.* serves 0-1" \
		--queues 3 --ram "$GUEST" "$DST4"
	bad_send 2 usage "$SRC_DEV: queues 1-2 asked for.* serves 0-1" \
		--queues 1-2 --ram "$GUEST" "$DST4"
	detach_both
}

scenario_two_devices_are_attached() {
	net_up queues=1
	attach_both
	ip -n "$SRC_NS" link add "a$$" type veth peer name "b$$"
	ip -n "$SRC_NS" link set "a$$" up
	run src "$XDPMIG" attach "a$$"
	assert_eq "$RC" 0 "attach of a second device"
	bad_send 2 usage "2 devices are attached .*--dev" --ram "$GUEST" "$DST4"
	bad_send 1 device "a$$ is down" --dev "a$$" --ram "$GUEST" "$DST4"
	run src "$XDPMIG" detach "a$$"
	assert_eq "$RC" 0 "detach of the second device"
	ip -n "$SRC_NS" link del "a$$"
	detach_both
}

scenario_nobody_listens() {
	net_up queues=1
	attach_both
	bad_send 1 connect "$DST4:61951: Connection refused; is 'xdpmig recv'" \
		--ram "$GUEST" "$DST4"
	bad_send 1 connect "$DST6\\]:5: Connection refused" \
		--ram "$GUEST" "[$DST6]:5"
	bad_send 1 connect "203.0.113.1:61951: Network is unreachable" \
		--ram "$GUEST" 203.0.113.1
	bad_send 1 connect "198.18.0.77:61951: .*(route|answer)" \
		--ram "$GUEST" 198.18.0.77
	bad_send 1 connect "nosuchhost.invalid: name not found" \
		--ram "$GUEST" nosuchhost.invalid
	detach_both
}

scenario_command_line() {
	net_up queues=1
	printf 'quues = 4\n' >"$TMP/wrong.conf"
	bad_send 2 usage "--ram" "$DST4"
	bad_send 2 usage "peer|PEER" --ram "$GUEST"
	bad_send 2 usage "bandwith" --bandwith 1G --ram "$GUEST" "$DST4"
	bad_send 2 usage "bandwidth.*fast" --bandwidth fast --ram "$GUEST" \
		"$DST4"
	bad_send 2 usage "wrong.conf:1.*quues" --config "$TMP/wrong.conf" \
		--ram "$GUEST" "$DST4"
	bad_send 2 usage "nowhere.conf" --config "$TMP/nowhere.conf" \
		--ram "$GUEST" "$DST4"
	bad_send 2 usage "configuration file $TMP: Is a directory" \
		--config "$TMP" --ram "$GUEST" "$DST4"
	run dst "$XDPMIG" recv
	assert_eq "$RC" 2 "recv without --ram"
	assert_grep "--ram" "$ERR" "message"
}

# -- recv alone ------------------------------------------------------------------------

scenario_recv_alone() {
	net_up queues=1
	bad_recv 1 steering "$DST_DEV: .*xdpmig attach" --dev "$DST_DEV" \
		--ram "$COPY"
	attach_both
	bad_recv 1 connect "203.0.113.1:61951: .*not an address of this host" \
		--listen 203.0.113.1 --ram "$COPY"
	recv_start
	spawn recv2 dst "$XDPMIG" recv --ram "$COPY" --json
	reap recv2 5
	assert_eq "$RC" 1 "second recv"
	assert_jq '.reason == "connect" and
		(.message | test("in use.*another .xdpmig recv."))' \
		"$(out_of recv2)" "second recv"
	stop recv INT
	ip -n "$DST_NS" addr flush dev "$DST_DEV"
	bad_recv 2 usage "$DST_DEV has no address .*--listen" --ram "$COPY"
	assert_clean
	detach_both
}

# -- both, told by recv -----------------------------------------------------------------

# bad_memory PATH REASON PATTERN: recv sees it before it waits for anybody
bad_memory() {
	spawn recv dst "$XDPMIG" recv --ram "$1" --json
	recv_end 5
	assert_eq "$RECV_RC" 1 "recv --ram $1"
	said recv "$2" "$1: $3"
	assert_no_grep waiting "$(err_of recv)" "recv --ram $1"
	run dst "$XDPMIG" recv --dry-run --ram "$1"
	assert_eq "$RC" 1 "recv --dry-run --ram $1"
}

scenario_memory_that_recv_cannot_take() {
	net_up queues=1
	attach_both
	bad_memory /dev/shm memory "is a directory"
	bad_memory /dev/null memory "is a device"
	bad_memory /dev/shm/no/such memory "guest memory: No such file"
	mkfifo "$COPY"
	bad_memory "$COPY" memory "is a FIFO"
	rm "$COPY"
	ln -s /dev/shm/nowhere "$COPY"
	bad_memory "$COPY" memory "is a symbolic link to /dev/shm/nowhere"
	rm "$COPY"
	if [ "$(stat -f -c %T "$TMP")" != tmpfs ]; then
		bad_memory "$TMP/disk" memory "is on a disk file system"
		[ ! -e "$TMP/disk" ] || fail "the refused file was made"
		random_bytes 4M >"$TMP/disk"
		cp "$TMP/disk" "$TMP/before"
		bad_memory "$TMP/disk" memory "is on a disk file system"
		assert_same_file "$TMP/disk" "$TMP/before" "file on a disk"
	fi
	assert_clean
	detach_both
}

# refused_memory PATH PATTERN: recv cannot take this guest there
refused_memory() {
	spawn recv dst "$XDPMIG" recv --ram "$1" --json
	wait_for 5 grep -q 'waiting for a source' "$(err_of recv)"
	send_start "$GUEST"
	ended 3 1
	said recv memory "$1: $2"
	said send refused "the peer: $1: "
	home send source
	home recv source
	assert_not_live
}

scenario_memory_at_the_destination() {
	net_up queues=1
	attach_both
	random_bytes 1M >"$COPY"
	cp "$COPY" "$TMP/before"
	refused_memory "$COPY" "has 1048576 bytes, the guest 4194304"
	assert_same_file "$COPY" "$TMP/before" "file of another size"
	# right when recv looked, and wrong when the source comes
	rm "$COPY"
	recv_start
	mkdir "$COPY"
	send_start "$GUEST"
	ended 3 1
	said recv memory "$COPY: is a directory"
	said send refused "the peer: $COPY: "
	rmdir "$COPY"
	assert_clean
	detach_both
}

scenario_more_channels_than_the_destination_has() {
	net_up queues=4
	run src "$XDPMIG" attach "$SRC_DEV"
	assert_eq "$RC" 0 "attach"
	run dst "$XDPMIG" attach --queues 2 "$DST_DEV"
	assert_eq "$RC" 0 "attach"
	recv_start
	send_start "$GUEST"
	ended 3 3
	said recv refused "4 channels asked for, $DST_DEV serves 2"
	said send refused "the peer: 4 channels asked for.*--queues 2"
	recv_start
	send_start "$GUEST" --queues 2
	ended 0 0
	rm "$COPY"
	assert_clean
	detach_both
}

# -- steering that changes -----------------------------------------------------------------

# Gone while recv waits: that is what it says, and not that no frame comes.
scenario_detached_while_recv_waits() {
	net_up queues=2
	attach_both
	recv_start
	run dst "$XDPMIG" detach "$DST_DEV"
	assert_eq "$RC" 0 "detach"
	send_start "$GUEST"
	ended 3 1
	said recv steering "$DST_DEV: xdpmig is not attached.*xdpmig attach"
	said send refused "the peer: $DST_DEV: xdpmig is not attached"
	home send source
	run src "$XDPMIG" detach "$SRC_DEV"
	assert_detached
}

# attach_again OPTION...: at the destination
attach_again() {
	run dst "$XDPMIG" detach "$DST_DEV"
	assert_eq "$RC" 0 "detach"
	run dst "$XDPMIG" attach "$@" "$DST_DEV"
	assert_eq "$RC" 0 "attach"
}

received() {
	ended 0 0
	check_results "$GUEST"
	assert_same_file "$GUEST" "$COPY" "guest memory"
	rm "$COPY"
	assert_clean
}

scenario_attached_anew_while_recv_waits() {
	net_up queues=4
	attach_both
	recv_start
	attach_again
	send_start "$GUEST"
	received
	assert_grep "$DST_DEV: was attached anew" "$(err_of recv)" "recv"
	# fewer queues than there were
	recv_start
	attach_again --queues 2-3
	send_start "$GUEST"
	ended 3 3
	said recv refused "4 channels asked for, $DST_DEV serves 2"
	recv_start
	send_start "$GUEST" --queues 2-3
	received
	detach_both
}

scenario_device_made_anew_while_recv_waits() {
	local queues=2 mtu=4000 qdisc=noqueue vlan=0 offloads=1 net=0
	local net6=fd00:18 NET_IF

	net_up queues=4
	attach_both
	recv_start
	ip -n "$DST_NS" link del "$DST_DEV"
	net_make_pair "$SRC_NS" "$SRC_DEV" "$DST_NS" "$DST_DEV"
	net_make_host "$SRC_NS" "$SRC_DEV" 1
	net_make_host "$DST_NS" "$DST_DEV" 2
	attach_both
	send_start "$GUEST"
	received
	detach_both
}

# Between the agreement and the sockets' going live.
scenario_attached_anew_in_setup() {
	net_up queues=2
	attach_both
	XDPMIG=$TMP/slow recv_start
	send_start "$GUEST"
	wait_for 10 grep -q '^pinning$' "$(err_of recv)"
	attach_again
	: >"$TMP/pinned"
	received
	rm "$TMP/pinned"
	XDPMIG=$TMP/slow recv_start
	send_start "$GUEST"
	wait_for 10 grep -q '^pinning$' "$(err_of recv)"
	attach_again --queues 1-1
	: >"$TMP/pinned"
	ended 3 1
	rm "$TMP/pinned"
	said recv steering "$DST_DEV: .* anew while channels"
	XDPMIG=$TMP/slow recv_start
	send_start "$GUEST" --queues 1
	wait_for 10 grep -q '^pinning$' "$(err_of recv)"
	run dst "$XDPMIG" detach "$DST_DEV"
	: >"$TMP/pinned"
	ended 3 1
	rm "$TMP/pinned"
	said recv steering "$DST_DEV: xdpmig is not attached"
	run src "$XDPMIG" detach "$SRC_DEV"
	assert_detached
}

# Each has its queues: two guests come at the same time.
scenario_two_receivers_on_one_device() {
	local second=(--listen "$DST4:5000" --queues 2-3 --ram "${COPY}2")

	net_up queues=4
	attach_both
	recv_start --queues 0-1
	spawn recv2 dst "$XDPMIG" recv --json "${second[@]}"
	wait_for 5 grep -q 'waiting for a source' "$(err_of recv2)"
	send_start "$GUEST" --queues 0-1 --bandwidth 50M
	wait_for 10 grep -q '"event":"progress"' "$(out_of send)"
	run src "$XDPMIG" send --json --ram "$GUEST" --queues 2-3 "$DST4:5000"
	assert_eq "$RC" 0 "send to the second receiver"
	reap recv2 5
	assert_eq "$RC" 0 "second receiver"
	assert_same_file "$GUEST" "${COPY}2" "guest memory"
	rm "${COPY}2"
	received
	bad_recv 2 usage "$DST_DEV: queues 0-4 asked for.* serves 0-3" \
		--queues 5 --ram "$COPY"
	detach_both
}

# -- a second source ----------------------------------------------------------------------

# It hears at once that it is not its turn, and the first one is not disturbed.
scenario_second_source() {
	local i

	net_up queues=4
	ram_make "$GUEST" 32
	SPEED=10M begin_here --queues 0-1 --name first # until the others were there
	for i in {1..6}; do
		spawn second src "$XDPMIG" send --json --ram "$GUEST" \
			--queues 2-3 "$DST4"
		reap second 5
		assert_eq "$RC" 3 "second source, time $i"
		assert_jq '.reason == "refused" and (.message |
			test("the peer: this receiver is serving another"))' \
			"$(out_of second)" "second source"
		home second source
	done
	run src "$XDPMIG" set first --bandwidth 20G
	assert_eq "$RC" 0 "set"
	ended 0 0
	check_results "$GUEST"
	assert_same_file "$GUEST" "$COPY" "guest memory"
	rm "$COPY"
	assert_clean
	detach_both
	ram_make "$GUEST" 4
}

# Whoever comes by the dozen and does not hang up: neither.
scenario_strangers_while_a_source_is_served() {
	net_up queues=2
	ram_make "$GUEST" 32
	begin_here
	spawn stranger src python3 -c '
import socket, sys, time
all = [socket.create_connection((sys.argv[1], 61951), 5) for _ in range(20)]
for c in all[:10]:
    c.sendall(b"GET / HTTP/1.0\r\n\r\n" * 100)
time.sleep(60)' "$DST4"
	ended 0 0
	check_results "$GUEST"
	assert_same_file "$GUEST" "$COPY" "guest memory"
	stop stranger KILL
	rm "$COPY"
	assert_clean
	detach_both
	ram_make "$GUEST" 4
}

# -- strangers ---------------------------------------------------------------------------

# Over plain TCP; with TLS they get no further than trust.sh shows.

# stranger SCRIPT: connects to the control port as c and does that
stranger() {
	spawn stranger src python3 -c "
import socket, sys, time
c = socket.create_connection((sys.argv[1], 61951), 5)
$1" "$DST4"
}

# Whoever it was, the source that comes after is served.
served_after() { # PATTERN
	wait_for 8 grep -qE "$1" "$(err_of recv)"
	send_start "$GUEST" --insecure
	ended 0 0
	check_results "$GUEST"
	assert_same_file "$GUEST" "$COPY" "guest memory"
	rm "$COPY"
	stop stranger KILL
	assert_clean
}

scenario_garbage_on_the_control_port() {
	net_up queues=1
	attach_both
	recv_start --insecure
	stranger 'c.sendall(b"GET / HTTP/1.0\r\n\r\n" * 100); time.sleep(60)'
	served_after "is no source"
	recv_start --insecure
	stranger 'c.sendall(bytes(range(256)) * 4096); time.sleep(60)'
	served_after "is no source"
	recv_start --insecure
	stranger 'c.close(); time.sleep(60)'
	served_after "is no source"
	detach_both
}

scenario_silence_on_the_control_port() {
	net_up queues=1
	attach_both
	recv_start --insecure
	stranger 'time.sleep(60)'
	served_after "is no source"
	detach_both
}

# A stranger at recv's own side of the protocol: a listener that is no recv.
scenario_send_meets_a_stranger() {
	net_up queues=1
	attach_both
	spawn stranger dst python3 -c '
import socket, sys, time
s = socket.create_server((sys.argv[1], 61951))
print("listening", flush=True)
while True:
    c = s.accept()[0]
    c.sendall(b"220 mail.example.org ESMTP\r\n" * 10)
    time.sleep(0.2)' "$DST4"
	wait_for 5 grep -q listening "$(out_of stranger)"
	send_start "$GUEST" --insecure
	send_end 5
	assert_eq "$SEND_RC" 3 "send"
	said send protocol "$DST4:61951 does not speak xdpmig"
	home send source
	stop stranger KILL
	assert_not_live
	detach_both
}

# It takes all and says nothing.
scenario_send_meets_silence() {
	net_up queues=1
	attach_both
	spawn stranger dst python3 -c '
import socket, sys
c = socket.create_server((sys.argv[1], 61951))
print("listening", flush=True)
c = c.accept()[0]
while c.recv(4096):
    pass' "$DST4"
	wait_for 5 grep -q listening "$(out_of stranger)"
	send_start "$GUEST" --insecure
	send_end 15
	assert_eq "$SEND_RC" 4 "send"
	said send peer_lost "silent"
	home send source
	reap stranger 5
	assert_not_live
	detach_both
}

# Frames of nobody at the data ports: counted, and no harm.
scenario_strangers_at_the_data_ports() {
	net_up queues=2
	ram_make "$GUEST" 32
	begin_here
	spawn stranger src python3 -c '
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    s.sendto(os.urandom(200), (sys.argv[1], 61952))
    s.sendto(b"xdpm" + os.urandom(1000), (sys.argv[1], 61953))' "$DST4"
	ended 0 0
	check_results "$GUEST"
	assert_same_file "$GUEST" "$COPY" "guest memory"
	stop stranger KILL
	rm "$COPY"
	assert_clean
	detach_both
}

begin_here() { # OPTION... of send
	attach_both
	recv_start
	send_slowly "$@"
}

run_scenarios "$@"
