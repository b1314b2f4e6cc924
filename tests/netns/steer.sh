#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# steer.sh - attach, status and detach, as an operator meets them
#
# src and dst enter a host by nsenter, which keeps the mounts: pins are seen.
# src_ns and dst_ns use `ip netns exec`, as people type it: every command gets
# a fresh /sys, and nothing pinned by one is seen by the next.
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"

HOLD=$BUILD/tests/bpf/hold-queues
FOREIGN=$BUILD/tests/bpf/pass.bpf.o
COOKIE=1122334455667788
PORT=61952 # channel 0
needs xdpmig "$HOLD" python3 ping setpriv

# -- tools -------------------------------------------------------------------

status_of() { # VERB DEV: into $OUT
	run "$1" "$XDPMIG" status --json "$2"
	assert_eq "$RC" 0 "status $2"
}

dev_field() { # FIELD, after status_of
	value_of ".devices[0].$1" "$OUT"
}

verdict() { # VERB DEV NAME
	status_of "$1" "$2"
	dev_field "verdicts.$3"
}

verdict_is() { # VERB DEV NAME COUNT
	[ "$(verdict "$1" "$2" "$3")" = "$4" ]
}

# xdp_name VERB DEV: of the program on the device; xm_steer also when it is in
# libxdp's dispatcher
xdp_name() {
	local id

	id=$("$1" ip -d -j link show "$2" | jq -r '.[0].xdp.prog.id // empty')
	[ -n "$id" ] || return 0
	if "$1" "$XDPMIG" status --json "$2" >/dev/null 2>&1; then
		echo xm_steer
	else
		bpftool -j prog show id "$id" | jq -r .name
	fi
}

attach() { # VERB DEV [OPTION...]
	local verb=$1 dev=$2

	shift 2
	run "$verb" "$XDPMIG" attach --json "$@" "$dev"
	assert_eq "$RC" 0 "attach $* $dev"
	assert_quiet "attach"
}

detach() { # VERB DEV [OPTION...]
	local verb=$1 dev=$2

	shift 2
	run "$verb" "$XDPMIG" detach "$@" "$dev"
	assert_eq "$RC" 0 "detach $* $dev"
	assert_quiet "detach"
}

# Only we talk, never the libraries.
assert_quiet() {
	assert_no_grep 'lib(bpf|xdp):|bpffs found' "$ERR" "$1"
}

refused() { # PATTERN COMMAND...: exit status 1, one line, nothing from libraries
	local pattern=$1

	shift
	run "$@"
	assert_eq "$RC" 1 "$*"
	assert_grep "$pattern" "$ERR" "$*"
	assert_eq "$(wc -l <"$ERR")" 1 "lines of the message of $*"
	assert_quiet "$*"
}

# frames VERB ADDRESS PORT [COUNT [SIZE [COOKIE [CHANNEL]]]]: UDP datagrams with
# a frame header, each from a source port of its own
frames() {
	"$1" python3 - "${@:2}" <<-'PY'
		import socket, struct, sys
		addr, port, *rest = sys.argv[1:]
		default = ["1", "100", "1122334455667788", "0"]
		count, size, cookie, channel = rest + default[len(rest):]
		family = socket.AF_INET6 if ":" in addr else socket.AF_INET
		head = struct.pack(">HBBBBBBQ", 0x584d, 1, 2, int(channel), 0, 0, 0,
		                   int(cookie, 16))
		for i in range(int(count)):
		    s = socket.socket(family, socket.SOCK_DGRAM)
		    s.bind(("::" if ":" in addr else "", 20000 + i))
		    s.sendto(head.ljust(int(size), b"\0"), (addr, int(port)))
		    s.close()
	PY
}

# tagged_frames VERB DEV PROTOCOL...: a frame of the session with a tag of each
tagged_frames() {
	"$1" python3 - "${@:2}" "$COOKIE" "$PORT" <<-'PY'
		import socket, struct, sys
		dev, *protocols, cookie, port = sys.argv[1:]
		frame = struct.pack(">HBBBBBBQ", 0x584d, 1, 2, 0, 0, 0, 0, int(cookie, 16))
		udp = struct.pack(">HHHH", 20000, int(port), 8 + len(frame), 0)
		ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(frame), 0, 0x4000, 64,
		                 17, 0, bytes(4), bytes(4))
		s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
		s.bind((dev, 0))
		for proto in protocols:
		    tag = struct.pack(">HHH", int(proto, 16), 7, 0x0800)
		    s.send(bytes(12) + tag + ip + udp + frame)
	PY
}

# A TCP connection that lives through a scenario: conversation_open, then
# conversation TEXT as often as one likes.
conversation_open() {
	spawn server dst python3 -c '
import socket, sys
s = socket.create_server(("", 7000))
print("ready", flush=True)
c, _ = s.accept()
for line in c.makefile("rb"):
    c.sendall(line)'
	wait_for 5 grep -q ready "$(out_of server)"
	mkfifo "$TMP/talk"
	spawn client src python3 -c '
import socket, sys
c = socket.create_connection((sys.argv[1], 7000))
f = c.makefile("rb")
for line in open(sys.argv[2], "rb"):
    c.sendall(line)
    print(f.readline().decode(), end="", flush=True)' "$DST4" "$TMP/talk"
	exec 9>"$TMP/talk"
}

conversation() {
	echo "$1" >&9
	wait_for 5 grep -qx "$1" "$(out_of client)"
}

conversation_close() {
	exec 9>&-
	reap client 5
	assert_eq "$RC" 0 "client's exit status"
	rm "$TMP/talk"
}

hold() { # NAME VERB DEV QUEUE...
	spawn "$1" "$2" "$HOLD" "$3" "$COOKIE" "${@:4}"
	wait_for 5 grep -q ready "$(out_of "$1")"
}

received() { # NAME: of its first queue, after it was stopped
	value_of '.received[0]' "$(out_of "$1")"
}

# -- scenarios ----------------------------------------------------------------

scenario_attach_status_detach() {
	local a b

	net_up queues=4 mtu=9000
	# attached one way, it is found and removed by the other
	for a in src src_ns; do
		for b in src src_ns; do
			attach "$a" "$SRC_DEV"
			assert_jq '.status == "attached" and .mode == "native" and
				.large_frames and .queues == "0-3"' "$OUT" "attach by $a"
			status_of "$b" "$SRC_DEV"
			assert_eq "$(dev_field mode)" native "mode by $b"
			assert_eq "$(dev_field live_queues)" null "live queues by $b"
			run "$b" "$XDPMIG" status --json
			assert_jq '.devices | length == 1' "$OUT" "list by $b"
			detach "$b" "$SRC_DEV"
			assert_eq "$(xdp_name src "$SRC_DEV")" "" "program after detach"
			assert_detached
		done
	done
	run src "$XDPMIG" status --json
	assert_eq "$RC" 0 "status without devices"
	assert_jq '.devices == []' "$OUT" "list of none"
}

scenario_says_what_it_got() {
	net_up queues=2
	run src "$XDPMIG" attach --mode generic --queues 1-1 "$SRC_DEV"
	assert_eq "$RC" 0 "attach"
	assert_grep "$SRC_DEV: attached in generic mode" "$ERR" "mode"
	assert_grep '(no other|other) XDP programs? can' "$ERR" "coexistence"
	assert_grep 'flow rules' "$ERR" "why there are no rules"
	assert_grep '^mode +generic$' "$OUT" "mode in the result"
	assert_grep '^queues +1-1$' "$OUT" "queues in the result"
	detach src "$SRC_DEV"
	src ip link add "br$$" type bridge # has no native mode
	run src "$XDPMIG" attach "br$$"
	assert_eq "$RC" 0 "attach to a bridge"
	assert_grep "warning: br$$: cannot attach in native mode.*took generic" \
		"$ERR" "fallback"
	detach src "br$$"
	assert_detached
}

scenario_others_do_not_notice() {
	local pinger=(ping -n -c 3 -i 0.05 -W 2)

	net_up queues=4 mtu=9000
	conversation_open
	conversation before
	attach src "$SRC_DEV"
	attach dst_ns "$DST_DEV"
	conversation attached
	hold session dst "$DST_DEV" 0 1 2 3
	conversation live
	run src "${pinger[@]}" "$DST4"
	assert_eq "$RC" 0 "ping over IPv4"
	run src "${pinger[@]}" "$DST6"
	assert_eq "$RC" 0 "ping over IPv6"
	run src "${pinger[@]}" -s 20000 "$DST4" # in fragments
	assert_eq "$RC" 0 "ping in fragments"
	assert_ne "$(verdict dst "$DST_DEV" pass_other)" 0 "passed packets"
	assert_ne "$(verdict dst "$DST_DEV" pass_frag)" 0 "passed fragments"
	stop session
	detach src "$SRC_DEV"
	detach dst_ns "$DST_DEV"
	conversation detached
	conversation_close
	assert_detached
}

# Other services may use ports next to ours, or even ours.
scenario_other_datagrams_arrive() {
	net_up queues=1
	attach dst "$DST_DEV"
	hold session dst "$DST_DEV" 0
	spawn server dst python3 -c '
import socket, sys
socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
socks[0].bind(("", int(sys.argv[1])))
socks[1].bind(("", int(sys.argv[1]) + 1))
print("ready", flush=True)
for s in socks:
    print(len(s.recv(9000)), flush=True)' "$PORT"
	wait_for 5 grep -q ready "$(out_of server)"
	frames src "$DST4" "$PORT" 1 300 deadbeef # not the session's cookie
	frames src "$DST4" "$((PORT + 1))" 1 301
	reap server 5
	assert_eq "$(tail -n 2 "$(out_of server)" | xargs)" "300 301" "datagrams"
	assert_eq "$(verdict dst "$DST_DEV" pass_magic)" 1 "pass_magic"
	assert_eq "$(verdict dst "$DST_DEV" redirect)" 0 "redirect"
	stop session
	assert_eq "$(received session)" 0 "frames of the session"
	detach dst "$DST_DEV"
}

scenario_frames_reach_the_socket() {
	local mode least

	for mode in native generic; do
		net_up queues=1 mtu=9000
		attach dst "$DST_DEV" --mode "$mode"
		assert_jq ".mode == \"$mode\"" "$OUT" "mode"
		hold session dst "$DST_DEV" 0
		least=26
		grep -q '"sg":true' "$(out_of session)" || least=25
		status_of dst "$DST_DEV"
		assert_eq "$(dev_field live_queues)" 0 "live queues"
		frames src "$DST4" "$PORT" 20
		frames src "$DST6" "$PORT" 5
		frames src "$DST4" "$PORT" 1 8000
		wait_for 5 verdict_is dst "$DST_DEV" redirect 26
		stop session
		# the large one takes several descriptors, if it gets them
		assert_between "$(received session)" "$least" 40 "descriptors, $mode"
		status_of dst "$DST_DEV"
		assert_eq "$(dev_field live_queues)" null "live queues"
		frames src "$DST4" "$PORT" 1
		wait_for 5 verdict_is dst "$DST_DEV" redirect 26
		detach dst "$DST_DEV"
		assert_detached
	done
}

# Made by hand, since not every kernel has VLAN devices.
scenario_vlan_tags() {
	local mode

	for mode in native generic; do
		net_up queues=1 mtu=9000
		attach dst "$DST_DEV" --mode "$mode"
		hold session dst "$DST_DEV" 0
		tagged_frames src "$SRC_DEV" 8100 88a8
		wait_for 5 verdict_is dst "$DST_DEV" redirect 2
		stop session
		assert_eq "$(received session)" 2 "frames, $mode"
		detach dst "$DST_DEV"
	done
}

# The kernel's own sender spreads flows over the veth's queues by hash.
scenario_wrong_queue() {
	local right wrong

	net_up queues=4
	attach dst "$DST_DEV"
	hold session dst "$DST_DEV" 2
	frames src "$DST4" "$PORT" 64
	right=$(verdict dst "$DST_DEV" redirect)
	wrong=$(verdict dst "$DST_DEV" wrong_queue)
	say "$right frames on the right queue, $wrong on others"
	assert_eq "$((right + wrong))" 64 "frames of the session"
	assert_ne "$wrong" 0 "wrong_queue"
	assert_eq "$(verdict dst "$DST_DEV" pass_socket)" 0 "pass_socket"
	stop session
	assert_eq "$(received session)" "$right" "frames received"
	detach dst "$DST_DEV"
}

scenario_mistakes() {
	net_up queues=4
	refused "no0: no such network device" src "$XDPMIG" attach no0
	refused "no0: no such network device" src "$XDPMIG" detach no0
	refused "no0: no such network device" src "$XDPMIG" status no0
	refused "lo: is no Ethernet device" src "$XDPMIG" attach lo
	refused "lo: is no Ethernet device" \
		src "$XDPMIG" attach --mode generic lo
	refused "$SRC_DEV: .*not attached" src "$XDPMIG" detach "$SRC_DEV"
	refused "$SRC_DEV: .*not attached.*xdpmig attach" \
		src_ns "$XDPMIG" status "$SRC_DEV"
	refused "queues up to 15.* 4 receive queues" \
		src "$XDPMIG" attach --queues 0-15 "$SRC_DEV"
	assert_no_xdp src
	attach src "$SRC_DEV"
	refused "$SRC_DEV: xdpmig is attached already" \
		src_ns "$XDPMIG" attach "$SRC_DEV"
	assert_eq "$(xdp_name src "$SRC_DEV")" xm_steer "program"
	detach src_ns "$SRC_DEV"
	assert_detached
}

scenario_without_rights() {
	local less=(setpriv --bounding-set=-all --inh-caps=-all)

	net_up queues=2
	refused "$SRC_DEV: not allowed.*root" \
		src "${less[@]}" "$XDPMIG" attach "$SRC_DEV"
	assert_no_xdp src
	attach src_ns "$SRC_DEV" # without pins, and so without a dispatcher
	refused "$SRC_DEV: not allowed.*root" \
		src "${less[@]}" "$XDPMIG" status "$SRC_DEV"
	refused "$SRC_DEV" src "${less[@]}" "$XDPMIG" detach "$SRC_DEV"
	assert_eq "$(xdp_name src "$SRC_DEV")" xm_steer "program"
	detach src "$SRC_DEV"
	attach src "$SRC_DEV" # with pins, which root may open
	run src "${less[@]}" "$XDPMIG" status --json "$SRC_DEV"
	assert_eq "$RC" 0 "status by pins"
	detach src "$SRC_DEV"
	assert_detached
}

scenario_device_vanishes() {
	net_up queues=2
	attach src "$SRC_DEV"
	attach dst_ns "$DST_DEV"
	hold session src "$SRC_DEV" 0
	src ip link del "$SRC_DEV"
	refused "$SRC_DEV: no such network device" \
		src "$XDPMIG" status "$SRC_DEV"
	refused "$DST_DEV: no such network device" \
		dst_ns "$XDPMIG" detach "$DST_DEV"
	stop session
	# the program went with the device; detach sweeps its pins all the same
	refused "$SRC_DEV: no such network device.*removed the pins of 1 device" \
		src "$XDPMIG" detach "$SRC_DEV"
	assert_detached
	refused "$SRC_DEV: no such network device" \
		src "$XDPMIG" detach "$SRC_DEV"
	assert_no_grep "pins" "$ERR" "detach of nothing"
}

scenario_foreign_program() {
	net_up queues=2 mtu=9000
	# by src_ns: ip makes folders of its own in a bpffs
	src_ns ip link set "$SRC_DEV" xdp obj "$FOREIGN" sec xdp.frags
	refused "$SRC_DEV: XDP program their_pass \(id [0-9]+\) is there" \
		src "$XDPMIG" attach "$SRC_DEV"
	refused "their_pass" src_ns "$XDPMIG" attach --mode generic "$SRC_DEV"
	refused "their_pass.*not ours" src "$XDPMIG" detach "$SRC_DEV"
	refused "their_pass" src "$XDPMIG" status "$SRC_DEV"
	assert_eq "$(xdp_name src "$SRC_DEV")" their_pass "program"
	run src "$XDPMIG" status --json
	assert_jq '.devices == []' "$OUT" "list"
	src ip link set "$SRC_DEV" xdp off
	# and the other way round: who comes later does not push us out
	attach src "$SRC_DEV"
	run src_ns ip link set "$SRC_DEV" xdp obj "$FOREIGN" sec xdp.frags
	assert_ne "$RC" 0 "a second program"
	assert_ne "$(xdp_name src "$SRC_DEV")" their_pass "program"
	detach src "$SRC_DEV"
	assert_detached
}

scenario_killed_users() {
	net_up queues=4
	attach dst "$DST_DEV"
	hold one dst_ns "$DST_DEV" 0 1 2
	status_of dst "$DST_DEV"
	assert_eq "$(dev_field live_queues)" 0-2 "live queues"
	run dst "$HOLD" "$DST_DEV" 1 3 2 # queue 2 has a socket already
	assert_eq "$RC" 1 "a second session"
	status_of dst "$DST_DEV"
	assert_eq "$(dev_field live_queues)" 0-2 "live queues after its failure"
	refused "session is live" dst_ns "$XDPMIG" detach "$DST_DEV"
	stop one KILL
	status_of dst "$DST_DEV"
	assert_eq "$(dev_field live_queues)" null "live queues after the kill"
	frames src "$DST4" "$PORT" 64
	assert_eq "$(verdict dst "$DST_DEV" redirect)" 0 "redirects to the dead"
	hold two dst "$DST_DEV" 0 1 2 3
	status_of dst_ns "$DST_DEV"
	assert_eq "$(dev_field live_queues)" 0-3 "live queues of the next one"
	stop two KILL
	detach dst_ns "$DST_DEV"
	assert_detached
}

scenario_forced_detach() {
	net_up queues=2
	attach dst_ns "$DST_DEV"
	hold session dst "$DST_DEV" 0 1
	detach dst "$DST_DEV" --force
	assert_no_xdp dst
	stop session
	assert_eq "$RC" 0 "the session's end"
	assert_detached
}

run_scenarios "$@"
