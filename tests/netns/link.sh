#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# link.sh - the device changes while memory is on its way: link, MTU, XDP
# program, queues; what can be sat out is, the rest ends clearly at both ends

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
needs xdpmig
ram_make "$GUEST" 32

finished_well() {
	ended 0 0 30
	check_results "$GUEST"
	assert_same_file "$GUEST" "$COPY" "guest memory"
	rm "$COPY"
	assert_clean
}

# -- link ------------------------------------------------------------------------

# Down at one end is no carrier at the other.  The addresses stay; IPv6's do not.
scenario_link_is_down_for_half_a_second() {
	begin
	ip -n "$SRC_NS" link set "$SRC_DEV" down
	let_pass 500
	ip -n "$SRC_NS" link set "$SRC_DEV" up
	finished_well
	detach_both
}

scenario_peers_link_is_down_for_half_a_second() {
	begin
	ip -n "$DST_NS" link set "$DST_DEV" down
	let_pass 500
	ip -n "$DST_NS" link set "$DST_DEV" up
	finished_well
	detach_both
}

# Both ends notice by themselves: nothing can be told over a dead link.
scenario_link_is_down_for_good() {
	begin --stall 2s
	ip -n "$DST_NS" link set "$DST_DEV" down
	send_end 6
	assert_eq "$SEND_RC" 4 "send"
	said send stalled "channel [01]"
	home send source
	recv_end 15
	assert_eq "$RECV_RC" 4 "recv"
	said recv "peer_lost" "silent|lost|timed out"
	home recv source
	ip -n "$DST_NS" link set "$DST_DEV" up
	assert_clean
	detach_both
}

scenario_link_was_never_up() {
	net_up queues=1
	attach_both
	ip -n "$SRC_NS" link set "$SRC_DEV" down
	send_start "$GUEST"
	send_end 2
	assert_eq "$SEND_RC" 1 "send"
	said send device "$SRC_DEV is down"
	ip -n "$SRC_NS" link set "$SRC_DEV" up
	detach_both
}

# Deleting one end of the pair deletes the other, and the control connection's
# way with it.
scenario_device_vanishes() {
	begin
	ip -n "$SRC_NS" link del "$SRC_DEV"
	ended_soon 1 1
	said send device "$SRC_DEV.* gone"
	said recv device "$DST_DEV.* gone"
	home send source
	home recv source
	assert_no_files
	run src "$XDPMIG" detach "$SRC_DEV"
	assert_eq "$RC" 1 "detach of what is gone"
	assert_grep "$SRC_DEV: no such network device" "$ERR" "message"
	run dst "$XDPMIG" detach "$DST_DEV"
	assert_eq "$RC" 1 "detach of what is gone"
	assert_detached
}

# -- MTU --------------------------------------------------------------------------

mtu_falls() { # NS DEV NAME
	ip -n "$1" link set "$2" mtu 1500
	ended_soon "$4" "$5"
	said "$3" device "$2: .*MTU"
	home send source
	home recv source
	assert_clean
	ip -n "$1" link set "$2" mtu 9000
}

scenario_mtu_is_lowered_at_the_source() {
	begin
	mtu_falls "$SRC_NS" "$SRC_DEV" send 1 3
	said recv refused "the peer: $SRC_DEV: .*MTU"
	migrate "$GUEST"
	detach_both
}

scenario_mtu_is_lowered_at_the_destination() {
	begin
	mtu_falls "$DST_NS" "$DST_DEV" recv 3 1
	said send refused "the peer: $DST_DEV: .*MTU"
	migrate "$GUEST"
	detach_both
}

# -- steering program ----------------------------------------------------------------

scenario_detach_is_refused_meanwhile() {
	begin
	run src "$XDPMIG" detach "$SRC_DEV"
	assert_eq "$RC" 1 "detach at the source"
	assert_grep "$SRC_DEV: .*--force" "$ERR" "message"
	run dst "$XDPMIG" detach "$DST_DEV"
	assert_eq "$RC" 1 "detach at the destination"
	finished_well
	detach_both
}

scenario_detached_by_force_at_the_destination() {
	begin --stall 1s
	run dst "$XDPMIG" detach --force "$DST_DEV"
	assert_eq "$RC" 0 "detach --force"
	ended 4 4
	said send stalled "channel [01]"
	said recv stalled "the peer: channel [01]"
	home send source
	home recv source
	assert_no_files
	run dst "$XDPMIG" attach "$DST_DEV"
	assert_eq "$RC" 0 "attach again"
	migrate "$GUEST"
	detach_both
}

# The destination has a deadline of its own.
scenario_no_frame_comes() {
	net_up queues=2
	attach_both
	recv_start --stall 500ms
	send_slowly
	run dst "$XDPMIG" detach --force "$DST_DEV"
	assert_eq "$RC" 0 "detach --force"
	ended 4 4 5
	said recv stalled "$DST_DEV: no frame of the source came for 0.5 s"
	said send stalled "the peer: $DST_DEV: no frame"
	home send source
	home recv source
	assert_no_files
	run src "$XDPMIG" detach "$SRC_DEV"
	assert_eq "$RC" 0 "detach"
	assert_detached
}

# Without it no ACK comes.
scenario_detached_by_force_at_the_source() {
	begin --stall 1s
	run src "$XDPMIG" detach --force "$SRC_DEV"
	assert_eq "$RC" 0 "detach --force"
	ended 4 4
	said send stalled "channel [01]"
	assert_no_files
	run src "$XDPMIG" attach "$SRC_DEV"
	assert_eq "$RC" 0 "attach again"
	migrate "$GUEST"
	detach_both
}

# -- queues ------------------------------------------------------------------------------

# taken_by_the_first NAME: of a send or recv that ended
taken_by_the_first() {
	reap "$1" 10
	assert_eq "$RC" 1 "$1"
	assert_jq '.reason == "device" and
		(.message | test("another migration has queue 0"))' \
		"$(out_of "$1")" "$1"
}

# A second session finds queues taken, at either end, and does the first no harm.
scenario_queues_are_taken() {
	net_up queues=4
	attach_both
	recv_start
	SPEED=80M send_slowly --queues 0-1
	spawn recv2 dst "$XDPMIG" recv --listen "$DST4:4712" \
		--ram /dev/shm/second --json
	wait_for 5 grep -q 'waiting for a source' "$(err_of recv2)"
	spawn send2 src "$XDPMIG" send --ram "$GUEST" --json "$DST4:4712"
	taken_by_the_first send2
	spawn send2 src "$XDPMIG" send --ram "$GUEST" --json --queues 2-3 \
		"$DST4:4712"
	taken_by_the_first recv2
	reap send2 10
	assert_eq "$RC" 3 "second send"
	assert_jq '.reason == "refused"' "$(out_of send2)" "second send"
	[ ! -e /dev/shm/second ] || fail "the second session left its file"
	finished_well
	detach_both
}

# send_back: from the destination to the source, while another one goes the
# other way
send_back() { # COMMAND...
	spawn recv2 src "$XDPMIG" recv --ram /dev/shm/second --json
	wait_for 5 grep -q 'waiting for a source' "$(err_of recv2)"
	spawn send2 dst "$@" "$XDPMIG" send --ram "$GUEST" --json "$SRC4"
}

scenario_the_other_way() {
	SPEED=80M begin
	send_back
	taken_by_the_first send2
	finished_well
	# nothing came to it, and it serves who comes now
	spawn send2 dst "$XDPMIG" send --ram "$GUEST" --json "$SRC4"
	reap send2 20
	assert_eq "$RC" 0 "the other way, later"
	reap recv2 10
	assert_eq "$RC" 0 "the other way, later"
	rm /dev/shm/second
	detach_both
}

# Both have their own queues, and ask each other.
scenario_both_ways_at_once() {
	local fault=(env "LD_PRELOAD=$BUILD/tests/netns/libfault_at.so"
		"XM_FAULT=stop 1" ASAN_OPTIONS=verify_asan_link_order=0)

	net_up queues=2
	attach_both
	recv_start
	spawn send src "${fault[@]}" "$XDPMIG" send --ram "$GUEST" --json "$DST4"
	send_back "${fault[@]}"
	wait_for 10 is_stopped send
	wait_for 10 is_stopped send2
	kill -CONT "$(pid_of send)"
	taken_by_the_first recv
	kill -CONT "$(pid_of send2)"
	reap send 10
	assert_eq "$RC" 3 "send"
	reap send2 10
	reap recv2 10
	rm -f /dev/shm/second
	assert_clean
	migrate "$GUEST"
	detach_both
}

run_scenarios "$@"
