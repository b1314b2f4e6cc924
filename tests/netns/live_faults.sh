#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_faults.sh - a running guest's move is interrupted, or an end of it killed,
# in each phase (live_phases.sh): the guest runs on at the source as if nothing
# had been, and a later move works
#
# PHASES="load load": these only.  live_cancel.sh has 'xdpmig cancel', live_cut.sh
# the link, live_matrix.sh a bad one, live_kills.sh moments that chance chooses.

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
# shellcheck source=tests/netns/live_phases.sh
. "${0%/*}/live_phases.sh"
live_needs "$FAULT_AT"

PHASES=${PHASES:-"setup proving first later pausing paused held load"}

recv_goes_on() {
	goes_on "$(pid_of recv)"
}

# back: the guest runs at the source, soon, and nowhere else
back() {
	wait_for 10 live_is "$A" running
	at_home
}

# -- interrupted ----------------------------------------------------------------------

scenario_interrupted() {
	local phase

	hosts queues=2
	oracle 64
	for phase in setup first pausing held; do
		say "$phase"
		until_phase "$phase"
		kill -INT "$(pid_of send)"
		recv_goes_on
		ended 4 4
		said send cancelled ""
		home send source
		home recv source
		back
	done
	move_after
	guests_quit
	detach_both
}

scenario_interrupted_at_the_target() {
	local phase

	hosts queues=2
	oracle 64
	for phase in first pausing; do
		say "$phase"
		until_phase "$phase"
		kill -INT "$(pid_of recv)"
		ended 4 4
		said send peer_cancelled ""
		said recv cancelled ""
		home send source
		back
	done
	move_after
	guests_quit
	detach_both
}

# -- killed ----------------------------------------------------------------------------

scenario_send_is_killed() {
	local phase

	hosts queues=2
	oracle 64
	for phase in $PHASES; do
		say "$phase"
		until_phase "$phase"
		kill -KILL "$(pid_of send)"
		recv_goes_on
		send_end 5
		back
		recv_end 10
		assert_eq "$RECV_RC" 4 "recv"
		home recv source
	done
	move_after
	guests_quit
	detach_both
}

scenario_recv_is_killed() {
	local phase

	hosts queues=2
	oracle 64
	for phase in $PHASES; do
		say "$phase"
		until_phase "$phase"
		kill -KILL "$(pid_of recv)"
		recv_end 5
		send_end 10
		assert_eq "$SEND_RC" 4 "send"
		home send source
		back
	done
	move_after
	guests_quit
	detach_both
}

scenario_targets_qemu_is_killed() {
	local phase

	hosts queues=2
	oracle 64
	for phase in $PHASES; do
		say "$phase"
		until_phase "$phase"
		live_quit "$B"
		recv_goes_on
		if [ "$phase" = setup ]; then
			ended 4 1 # recv ends before it has heard of a source
		else
			ended 3 1
			said send refused "QEMU.*is gone"
			home recv source
		fi
		said recv memory "QEMU.*is gone"
		home send source
		back
	done
	move_after
	guests_quit
	detach_both
}

# -- /dev/shm fills up at the target (before that: live_refusals.sh) ---------------

# What came is gone, as if it had not been there yet, and there is no room for it
# any more.
fill_up() {
	kill -STOP "$(pid_of recv)"
	fallocate --punch-hole --offset 4M --length 24M "$(readlink "$B/ram")"
	! head -c 64M /dev/zero >"$TMP/small/else" 2>/dev/null ||
		fail "there is room for more"
	kill -CONT "$(pid_of recv)"
}

scenario_room_runs_out() {
	local phase

	hosts queues=2
	oracle 64
	mkdir "$TMP/small"
	mount -t tmpfs -o size=64m small "$TMP/small"
	for phase in first later pausing; do
		say "$phase"
		incoming "shm=$TMP/small"
		"to_$phase"
		fill_up
		ended 3 1
		said recv memory "space|full|room"
		home send source
		home recv source
		back
		rm "$TMP/small/else"
	done
	live_quit "$B"
	umount "$TMP/small"
	move_after
	guests_quit
	detach_both
}

# -- dead at a message of the switchover (see commit.sh) -----------------------

KILLED=137 # status of a process that SIGKILL ended

# die_at send|recv FAULT
die_at() {
	faulty "$2"
	if [ "$1" = send ]; then
		send_by=("${BY[@]}")
	else
		recv_by=("${BY[@]}")
	fi
	incoming
	recv_live
	send_live --name victim
	recv_by=() send_by=()
	send_end 20
	recv_end 20
}

scenario_dead_in_the_switchover() {
	hosts queues=2
	oracle 64
	die_at recv "die $EPOCH_DONE"
	assert_eq "$SEND_RC $RECV_RC" "4 $KILLED" "send and recv"
	back
	die_at recv "die $LOADED"
	assert_eq "$SEND_RC $RECV_RC" "4 $KILLED" "send and recv"
	home send source
	back
	die_at send "die $DEVICE_END"
	assert_eq "$SEND_RC $RECV_RC" "$KILLED 4" "send and recv"
	home recv source
	back
	move_after
	guests_quit
	detach_both
}

# Nobody runs it then: COMMIT never left.  And when it has left, the target does.
scenario_dead_when_it_was_handed_over() {
	hosts queues=2
	oracle 64
	die_at send "die $COMMIT"
	assert_eq "$SEND_RC $RECV_RC" "$KILLED 4" "send and recv"
	record_is src victim unknown
	record_is dst at-target source
	runs_not "$A"
	wait_for 10 not guest_alive "$B"
	guest_cont "$A"
	at_home
	die_at send "die-after $COMMIT"
	assert_eq "$SEND_RC $RECV_RC" "$KILLED 0" "send and recv"
	record_is src victim unknown
	record_is dst at-target target
	arrived
	guests_quit
	detach_both
}

# It may run there: so it must not run here.
scenario_dead_before_the_last_word() {
	hosts queues=2
	oracle 64
	die_at recv "die $COMMITTED"
	assert_eq "$SEND_RC $RECV_RC" "6 $KILLED" "send and recv"
	home send unknown
	record_is src victim unknown
	record_is dst at-target unknown
	same_session
	arrived
	guests_quit
	detach_both
}

run_scenarios "$@"
