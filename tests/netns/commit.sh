#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# commit.sh - where may the guest run?  Each end dies, stops or falls silent at
# each control message in turn, and what the other end says is right: until
# COMMIT has left, the source's; when the destination has answered it, the
# destination's; between the two nobody's, and status 6.

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
FAULT_AT=$BUILD/tests/netns/libfault_at.so
needs xdpmig "$FAULT_AT"
ram_make "$GUEST" 4

# userspace/core/msg.h
declare -A TYPE=([HELLO]=1 [WELCOME]=2 [PROVEN]=3 [EPOCH_BEGIN]=4
	[EPOCH_READY]=5 [EPOCH_END]=6 [EPOCH_DONE]=7 [COMMIT]=8 [COMMITTED]=9)

# faulty WHAT MESSAGE: the prefix of a command that will do so
faulty() {
	FAULTY=(env "LD_PRELOAD=$FAULT_AT" "XM_FAULT=$1 ${TYPE[$2]}"
		ASAN_OPTIONS=verify_asan_link_order=0)
}

# recv_faulty WHAT MESSAGE, until it waits; send_faulty WHAT MESSAGE
recv_faulty() {
	faulty "$@"
	spawn recv dst "${FAULTY[@]}" "$XDPMIG" recv --ram "$COPY" --json
	wait_for 5 grep -q 'waiting for a source' "$(err_of recv)"
}

send_faulty() {
	faulty "$@"
	spawn send src "${FAULTY[@]}" "$XDPMIG" send --ram "$GUEST" --json \
		"$DST4"
}

KILLED=137 # status of a process that SIGKILL ended

# -- death ---------------------------------------------------------------------------

scenario_destination_dies_before_commit() {
	local message

	net_up queues=2
	attach_both
	for message in WELCOME PROVEN EPOCH_READY EPOCH_DONE; do
		recv_faulty die "$message"
		send_start "$GUEST"
		ended 4 $KILLED
		said send peer_lost "closed|lost"
		home send source
		rm -f "$COPY"
		say "$message"
	done
	assert_not_live
	detach_both
}

# COMMIT came, COMMITTED did not leave: here, nobody can know.
scenario_destination_dies_before_its_answer() {
	net_up queues=2
	attach_both
	recv_faulty die COMMITTED
	send_start "$GUEST"
	ended 6 $KILLED
	said send unknown_outcome "after COMMIT.*ask it before"
	assert_jq '.status == "unknown"' "$(out_of send)" "status"
	home send unknown
	rm "$COPY"
	assert_not_live
	detach_both
}

scenario_destination_dies_after_its_answer() {
	net_up queues=2
	attach_both
	recv_faulty die-after COMMITTED
	send_start "$GUEST"
	ended 0 $KILLED
	home send target
	assert_same_file "$GUEST" "$COPY" "guest memory"
	rm "$COPY"
	detach_both
}

scenario_source_dies_before_commit() {
	local message

	net_up queues=2
	attach_both
	for message in PROVEN EPOCH_BEGIN EPOCH_END COMMIT; do
		recv_start
		send_faulty die "$message"
		ended $KILLED 4
		said recv peer_lost "closed|lost"
		home recv source
		assert_clean
		say "$message"
	done
	detach_both
}

# Before it has said who it is, it is a stranger.
scenario_source_dies_before_hello() {
	net_up queues=2
	attach_both
	recv_start
	send_faulty die HELLO
	send_end 5
	assert_eq "$SEND_RC" $KILLED "send"
	wait_for 5 grep -q "is no source" "$(err_of recv)"
	send_start "$GUEST"
	ended 0 0
	rm "$COPY"
	detach_both
}

# The guest was given away: the destination runs it, whoever still listens.
scenario_source_dies_after_commit() {
	net_up queues=2
	attach_both
	recv_start
	send_faulty die-after COMMIT
	ended $KILLED 0
	home recv target
	assert_same_file "$GUEST" "$COPY" "guest memory"
	rm "$COPY"
	assert_clean
	detach_both
}

# -- silence ----------------------------------------------------------------------------

# The connection stands, and nothing comes over it any more.
scenario_destination_is_silent_after_commit() {
	net_up queues=1
	attach_both
	recv_faulty mute COMMITTED
	send_start "$GUEST"
	ended 6 0
	said send unknown_outcome "after COMMIT.*ask it before"
	home send unknown
	home recv target
	rm "$COPY"
	assert_clean
	detach_both
}

# -- signals ------------------------------------------------------------------------------

# Too late: it is said, and the migration ends well.
scenario_ctrl_c_after_commit() {
	net_up queues=1
	attach_both
	recv_faulty stop COMMITTED
	send_start "$GUEST"
	wait_for 10 is_stopped recv
	kill -INT "$(pid_of send)"
	wait_for 5 grep -q "cannot be cancelled any more" "$(err_of send)"
	kill -CONT "$(pid_of recv)"
	ended 0 0
	home send target
	home recv target
	assert_same_file "$GUEST" "$COPY" "guest memory"
	rm "$COPY"
	assert_clean
	detach_both
}

# In time: at each message that the source waits for.
scenario_ctrl_c_before_commit() {
	local message

	net_up queues=1
	attach_both
	for message in WELCOME PROVEN EPOCH_READY EPOCH_DONE; do
		recv_faulty stop "$message"
		send_start "$GUEST"
		wait_for 10 is_stopped recv
		kill -INT "$(pid_of send)"
		wait_for 5 grep -q "cancelled by SIGINT" "$(err_of send)"
		kill -CONT "$(pid_of recv)"
		ended 4 4
		said send cancelled "SIGINT"
		said recv peer_cancelled "the peer: cancelled by SIGINT"
		home send source
		home recv source
		assert_clean
		say "$message"
	done
	detach_both
}

# Twice is not more than once.
scenario_ctrl_c_twice() {
	net_up queues=1
	attach_both
	recv_faulty stop PROVEN
	send_start "$GUEST"
	wait_for 10 is_stopped recv
	kill -INT "$(pid_of recv)"
	kill -INT "$(pid_of recv)"
	kill -TERM "$(pid_of recv)"
	kill -CONT "$(pid_of recv)"
	ended 4 4
	said recv cancelled "cancelled by SIG(INT|TERM)"
	said send peer_cancelled "the peer: cancelled by"
	assert_clean
	detach_both
}

run_scenarios "$@"
