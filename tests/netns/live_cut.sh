#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_cut.sh - the link goes away in each phase of a running guest's move, and
# around COMMIT: the guest runs on at the source; or send does not know, it runs
# at one host at most, and the target can be asked
#
# Mostly it waits for the ten seconds after which silence is the end: so several
# guests at a time.

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck disable=SC2034 # recv_with and send_by are live_lib.sh's
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
# shellcheck source=tests/netns/live_phases.sh
. "${0%/*}/live_phases.sh"
# shellcheck source=tests/netns/side_by_side.sh
. "${0%/*}/side_by_side.sh"
live_needs "$FAULT_AT"

cut_link() {
	ip -n "$DST_NS" link set "$DST_DEV" down
}

is_up() {
	ip -n "$SRC_NS" -br link show dev "$SRC_DEV" | grep -q ' UP '
}

# And nobody remembers that the other did not answer.
mend_link() {
	ip -n "$DST_NS" link set "$DST_DEV" up
	wait_for 10 is_up
	ip -n "$SRC_NS" neigh flush dev "$SRC_DEV" nud all
	ip -n "$DST_NS" neigh flush dev "$DST_DEV" nud all
}

# cut_in PHASE SEND_STATUS RECV_STATUS
cut_in() {
	say "$1"
	recv_with=(--stall 2s)
	until_phase "$1" --stall 2s
	recv_with=()
	cut_link
	goes_on "$(pid_of recv)"
	ended "$2" "$3"
	home send source
	home recv source
	wait_for 10 live_is "$A" running
	at_home
	mend_link
}

# cuts_in PHASE...: one guest stays at home each time, and moves at last
cuts_in() {
	local phase recv

	hosts queues=2
	oracle 64
	for phase; do
		# down when recv looks at its device: that is recv's own trouble
		recv=4
		[ "$phase" != setup ] || recv=1
		cut_in "$phase" 4 "$recv"
	done
	move_after
	guests_quit
	detach_both
}

scenario_the_link_is_cut_before_pages() {
	cuts_in setup proving
}

scenario_the_link_is_cut_while_it_copies() {
	cuts_in first later pausing
}

scenario_the_link_is_cut_while_it_is_paused() {
	cuts_in paused held
}

scenario_the_link_is_cut_at_its_devices() {
	cuts_in device load
}

# The answer is lost: it runs there.
scenario_the_link_is_cut_after_commit() {
	hosts queues=2
	oracle 64
	incoming
	sent_until $COMMITTED
	cut_link
	kill -CONT "$(pid_of recv)"
	ended 6 0
	said send unknown_outcome "silent after COMMIT.*ask it before"
	home send unknown
	home recv target
	record_is src victim unknown
	record_is dst at-target target
	same_session
	arrived
	guests_quit
	detach_both
}

# COMMIT itself is lost: nobody runs it until somebody has asked.
scenario_the_link_is_cut_before_commit_arrives() {
	hosts queues=2
	oracle 64
	incoming
	faulty stop $COMMIT
	send_by=("${BY[@]}")
	recv_live
	send_live --name victim
	send_by=()
	wait_for 20 is_stopped send
	cut_link
	kill -CONT "$(pid_of send)"
	ended 6 4
	said send unknown_outcome "silent after COMMIT.*ask it before"
	said recv peer_lost "silent|is lost"
	home recv source
	record_is src victim unknown
	record_is dst at-target source
	same_session
	wait_for 10 not guest_alive "$B"
	runs_not "$A"
	guest_cont "$A"
	at_home
	mend_link
	move_after
	guests_quit
	detach_both
}

run_side_by_side 4 "$@"
