#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_cancel.sh - 'xdpmig cancel' in each state of a running guest's move: the
# guest runs on at the source and can be moved; once it was handed over the
# answer is no; see live_phases.sh

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

# -- cancelled ------------------------------------------------------------------------

cancel() { # VERB NAME
	run "$1" "$XDPMIG" cancel "$2"
	assert_eq "$RC" 0 "cancel"
}

# cancel_at_source PHASE: the guest is back before anybody else does a thing
cancel_at_source() {
	until_phase "$1"
	cancel "$FROM" victim
	wait_for 10 live_is "$A" running
	goes_on "$(pid_of recv)" "$(cat "$B/pid")"
	ended 4 4
	said send cancelled "by 'xdpmig cancel'"
	said recv peer_cancelled "by 'xdpmig cancel'"
	home send source
	home recv source
}

cancel_at_target() {
	until_phase "$1"
	cancel "$TO" at-target
	ended 4 4
	said send peer_cancelled "by 'xdpmig cancel'"
	said recv cancelled "by 'xdpmig cancel'"
	home send source
	home recv source
}

is_connecting() {
	"$FROM" ss -Htn state syn-sent | grep -q 198.18.0.77
}

# stayed: the guest is here alone, is not told of, and moves
stayed() {
	wait_for 10 live_is "$A" running
	runs "$A"
	! guest_alive "$B" || runs_not "$B"
	run "$FROM" "$XDPMIG" cancel victim
	assert_ne "$RC" 0 "cancel of what is over"
	move_after
	turn_round
}

# Who is asked is not there, and does not say so.
scenario_connecting() {
	hosts queues=2
	oracle 64
	ip -n "$SRC_NS" neigh add 198.18.0.77 lladdr 02:00:00:00:00:77 \
		dev "$SRC_DEV"
	PEER=198.18.0.77 send_live --name victim
	wait_for 5 is_connecting
	run "$FROM" "$XDPMIG" status --json
	assert_jq '[.migrations[] | select(.name == "victim") | .state] ==
		["setup"]' "$OUT" "status"
	cancel "$FROM" victim
	send_end 5
	assert_eq "$SEND_RC" 4 "send"
	said send cancelled "by 'xdpmig cancel'"
	home send source
	runs "$A"
	guests_quit
	detach_both
}

scenario_at_the_source() {
	local phase

	hosts queues=2
	oracle 64
	for phase in setup proving opening first later pausing paused held \
		device hanging load; do
		say "$phase"
		cancel_at_source $phase
		stayed
	done
	guests_quit
	detach_both
}

scenario_at_the_target() {
	local phase

	hosts queues=2
	oracle 64
	incoming
	recv_live
	cancel "$TO" at-target
	recv_end 5
	assert_eq "$RECV_RC" 4 "recv that waited"
	for phase in first later held; do
		say "$phase"
		cancel_at_target $phase
		stayed
	done
	guests_quit
	detach_both
}

# -- too late ---------------------------------------------------------------------------

no_way_back() { # VERB NAME
	run "$1" "$XDPMIG" cancel "$2"
	assert_ne "$RC" 0 "cancel of a guest that was handed over"
	assert_grep "no way back" "$ERR" "message"
}

scenario_after_commit() {
	hosts queues=2
	oracle 64
	until_phase load
	kill -STOP "$(cat "$B/pid")" # so that it does not answer "cont"
	kill -CONT "$(pid_of recv)"
	wait_for 10 state_is victim commit
	wait_for 10 state_is at-target commit
	no_way_back "$FROM" victim
	no_way_back "$TO" at-target
	kill -CONT "$(cat "$B/pid")"
	moved
	guests_quit
	detach_both
}

run_scenarios "$@"
