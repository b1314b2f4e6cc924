#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# faults.sh - a peer dies, stalls or is stopped, in setup and while memory is on
# its way; whatever happens, the guest is the source's, both ends say so and
# end, and nothing is left behind
#
#   SEED=N   of the moments that are chosen at random; printed

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
needs xdpmig "$FAULT_AT"
ram_make "$GUEST" 32

xdpmig_pins_slowly

RANDOM=${SEED:=$RANDOM}
say "seed $SEED"

# -- signals ---------------------------------------------------------------------

# One side is told to stop: both stop, and the file that recv made is gone.
cancel() { # NAME SIGNAL
	local other=recv

	[ "$1" = send ] || other=send
	kill -"$2" "$(pid_of "$1")"
	ended_soon 4 4
	said "$1" cancelled "cancelled by SIG$2"
	said "$other" peer_cancelled "the peer: cancelled by SIG$2"
	assert_jq '.status == "cancelled"' "$(out_of "$1")" status
	assert_jq '.status == "cancelled"' "$(out_of "$other")" status
	home send source
	home recv source
	assert_clean
}

scenario_ctrl_c_at_the_source() {
	begin
	cancel send INT
	detach_both
}

scenario_ctrl_c_at_the_destination() {
	begin
	cancel recv INT
	detach_both
}

scenario_terminated() {
	begin
	cancel send TERM
	recv_start
	send_slowly
	cancel recv HUP
	migrate "$GUEST"
	detach_both
}

# Nobody has come yet.
scenario_ctrl_c_while_waiting() {
	net_up queues=1
	attach_both
	recv_start
	kill -INT "$(pid_of recv)"
	reap recv 2
	assert_eq "$RC" 4 "recv"
	said recv cancelled "cancelled by SIGINT"
	assert_clean
	detach_both
}

# A file that was there before stays there.
scenario_ctrl_c_and_a_file_that_was_there() {
	net_up queues=2
	attach_both
	truncate -s 32M "$COPY"
	recv_start
	send_slowly
	kill -INT "$(pid_of send)"
	ended 4 4
	assert_eq "$(bytes_of "$COPY")" $((32 << 20)) "file of the user"
	rm "$COPY"
	assert_clean
	detach_both
}

# Nobody answers, and a connection is tried for seconds.
scenario_ctrl_c_while_connecting() {
	net_up queues=1
	attach_both
	ip -n "$SRC_NS" neigh add 198.18.0.77 lladdr 02:00:00:00:00:77 \
		dev "$SRC_DEV"
	PEER=198.18.0.77 send_start "$GUEST"
	wait_for 5 connecting
	kill -INT "$(pid_of send)"
	send_end 5
	assert_eq "$SEND_RC" 4 "send"
	said send cancelled "cancelled by SIGINT"
	home send source
	detach_both
}

connecting() {
	[ "$(src ss -Htn state syn-sent dst 198.18.0.77 | wc -l)" = 1 ]
}

# Setup takes as long as the kernel needs to pin the guest's memory, seconds when
# there is much of it, and no signal interrupts that.
scenario_ctrl_c_while_memory_is_pinned() {
	local who

	net_up queues=4
	attach_both
	for who in send recv; do
		recv_start
		XDPMIG=$TMP/slow send_start "$GUEST"
		wait_for 10 grep -q '^pinning$' "$(err_of send)"
		cancel $who INT
	done
	# and at a destination that is slow
	XDPMIG=$TMP/slow recv_start
	send_start "$GUEST"
	wait_for 10 grep -q '^pinning$' "$(err_of recv)"
	cancel recv INT
	migrate "$GUEST"
	detach_both
}

# A source pins its memory while it waits for an answer.  A refusal ends it then,
# too; and when both agree, no queue goes live before all is pinned.
scenario_answered_while_memory_is_pinned() {
	net_up queues=4
	run src "$XDPMIG" attach "$SRC_DEV"
	assert_eq "$RC" 0 "attach"
	run dst "$XDPMIG" attach --queues 2 "$DST_DEV"
	assert_eq "$RC" 0 "attach"
	recv_start
	XDPMIG=$TMP/slow send_start "$GUEST"
	ended_soon 3 3
	said send refused "the peer: 4 channels asked for"
	home send source
	assert_clean
	recv_start
	XDPMIG=$TMP/slow send_start "$GUEST" --queues 2
	wait_for 10 grep -q '^pinning$' "$(err_of send)"
	wait_for 10 dst_is_live
	assert_eq "$(live_queues src)" null "queues at the source"
	: >"$TMP/pinned"
	ended 0 0
	check_results "$GUEST"
	assert_same_file "$GUEST" "$COPY" "guest memory"
	rm "$COPY" "$TMP/pinned"
	assert_clean
	detach_both
}

dst_is_live() {
	[ "$(live_queues dst)" = 0-1 ]
}

# The same with memory that really takes long; on a slow machine, that is.
scenario_ctrl_c_with_a_large_guest() {
	local who dir=$TMP/large

	if [ "$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)" -lt 6000000 ]
	then
		say "needs 6 GB of free memory"
		return 0
	fi
	mkdir "$dir"
	mount -t tmpfs -o size=3g,huge=never xm-large "$dir"
	head -c 2500M /dev/zero >"$dir/guest"
	net_up queues=2
	attach_both
	for who in send recv send; do
		recv_start
		send_start "$dir/guest" --verbose
		wait_for 20 grep -q 'control: WELCOME came' "$(err_of send)"
		let_pass $((RANDOM % 300))
		cancel $who INT
	done
	detach_both
	umount "$dir"
}

# -- death -------------------------------------------------------------------------

scenario_recv_is_killed() {
	begin
	kill -KILL "$(pid_of recv)"
	send_end 15
	assert_eq "$SEND_RC" 4 "send"
	said send peer_lost "lost|closed"
	home send source
	recv_end 1
	rm -f "$COPY"
	migrate "$GUEST"
	detach_both
}

scenario_send_is_killed() {
	begin
	kill -KILL "$(pid_of send)"
	recv_end 15
	assert_eq "$RECV_RC" 4 "recv"
	said recv peer_lost "lost|closed"
	home recv source
	send_end 1
	migrate "$GUEST"
	detach_both
}

# Between HELLO and the proof of the paths: recv is stopped before send comes,
# so send waits for its WELCOME, with the connection made by the kernel (and no TLS,
# which recv would have to take part in).
scenario_recv_is_killed_in_setup() {
	net_up queues=2
	attach_both
	recv_start --insecure
	kill -STOP "$(pid_of recv)"
	send_start "$GUEST" --insecure
	wait_for 5 grep -q '"event":"start"' "$(out_of send)"
	kill -KILL "$(pid_of recv)"
	send_end 5
	assert_eq "$SEND_RC" 4 "send"
	said send peer_lost "lost|closed"
	home send source
	recv_end 1
	assert_clean
	detach_both
}

scenario_send_is_killed_in_setup() {
	net_up queues=2
	attach_both
	recv_start --insecure
	kill -STOP "$(pid_of recv)"
	send_start "$GUEST" --insecure
	wait_for 5 grep -q '"event":"start"' "$(out_of send)"
	kill -KILL "$(pid_of send)"
	send_end 2
	kill -CONT "$(pid_of recv)"
	recv_end 5
	assert_eq "$RECV_RC" 4 "recv"
	said recv peer_lost "lost|closed"
	home recv source
	assert_clean
	detach_both
}

# Killed and never cleaned up: detach removes what is left.
scenario_both_are_killed() {
	begin
	kill -KILL "$(pid_of send)" "$(pid_of recv)"
	send_end 2
	recv_end 2
	rm -f "$COPY"
	detach_both
	assert_no_files
}

# The one that is left says where the guest is, and it is there.
left_after() { # NAME STATUS
	case $1-$2 in
	send-0 | recv-0)
		home "$1" target
		assert_same_file "$GUEST" "$COPY" "guest memory"
		;;
	send-1 | send-4) home "$1" source ;;
	send-6) home "$1" unknown ;;
	recv-4) [ ! -e "$COPY" ] || fail "recv left its file" ;;
	*) fail "$1: exit status $2" ;;
	esac
}

# One after another, at a moment between the first connection and the end.
scenario_killed_at_some_moment() {
	local i victim

	net_up queues=4
	attach_both
	for i in {1..10}; do
		recv_start
		send_start "$GUEST"
		let_pass $((RANDOM % 150))
		victim=send
		[ $((i % 2)) = 0 ] || victim=recv
		stop $victim KILL
		if [ $victim = recv ]; then
			send_end 15
			left_after send "$SEND_RC"
		else
			# a source that had said nothing is waited for again
			stop recv INT
			left_after recv "$RC"
		fi
		rm -f "$COPY"
	done
	migrate "$GUEST"
	detach_both
}

# -- standstill ----------------------------------------------------------------------

# A second without an answer is no end: the peer may be busy.  (recv: matrix.sh)
scenario_send_stands_still_for_a_second() {
	begin
	kill -STOP "$(pid_of send)"
	let_pass 1000
	kill -CONT "$(pid_of send)"
	ended 0 0
	check_results "$GUEST"
	assert_same_file "$GUEST" "$COPY" "guest memory"
	rm "$COPY"
	assert_clean
	detach_both
}

# The peer is there, its kernel answers, but nothing is acknowledged: --stall.
scenario_recv_stands_still_for_good() {
	begin --stall 1s
	kill -STOP "$(pid_of recv)"
	send_end 8
	assert_eq "$SEND_RC" 4 "send"
	said send stalled "channel [01]: .* 1.0 s"
	home send source
	kill -CONT "$(pid_of recv)"
	recv_end 5
	assert_eq "$RECV_RC" 4 "recv"
	said recv stalled "the peer: channel"
	assert_clean
	detach_both
}

run_scenarios "$@"
