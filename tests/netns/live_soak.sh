#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_soak.sh [MOVES] - one guest moves to and fro, 100 times if not told
# otherwise, and verifies its memory and its disk all the while
#
# No suite runs it.  In every fourth move the source is cancelled, in a phase
# that chance chooses, before the guest moves.  SEED=N repeats the choices.

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
live_needs

MOVES=${1:-100}
SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$SEED
say "$MOVES moves, seed $SEED"

# A change of mind after up to a second.
cancelled() {
	incoming
	recv_live
	send_live --bandwidth 400M
	let_pass $((RANDOM % 1000))
	kill -INT "$(pid_of send)"
	reap send 20
	[ "$RC" != 0 ] || fail "it was to be cancelled"
	assert_eq "$RC" 4 "send, cancelled"
	reap recv 20
	wait_for 10 live_is "$A" running
	at_home
}

scenario_soak() {
	local i load

	load=$(guest_tool guestload)
	"$load" make-disk "$TMP/disk.raw" 64
	hosts queues=4
	linux 256 load="rate=50 size=96 disk=/dev/vda,16" \
		"disk=$TMP/disk.raw" disk_opts=cache=none
	for ((i = 1; i <= MOVES; i++)); do
		[ $((i % 4)) != 0 ] || cancelled
		incoming
		recv_live
		send_live
		ended 0 0 60
		check_live_results
		arrived
		echo "$i $(value_of '"\(.epochs) epochs \(.total_ms) ms " +
			"downtime \(.downtime_ms) ms"' "$(out_of send)")" \
			"gap $(live_gap "$A" "$B") ms"
		turn_round
	done
	live_goes_on "$A" 300 60 || fail "the guest does not go on"
	live_linux_check "$A" || fail "memory of the guest"
	guests_quit
	rm "$TMP/disk.raw"
	detach_both
}

run_scenarios soak
