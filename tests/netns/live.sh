#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live.sh - running guests move and never notice: queues, epochs, convergence,
# paused guests, there and back

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
live_needs

# A link on which a guest of 36 MiB and 100 MB/s does not converge.
slow=(--bandwidth 400M)

# slow_epochs N: it took so many, each with pages that had been sent before
slow_epochs() {
	wait_for 40 epochs_reach send "$1"
	grep '"event":"epoch"' "$(out_of send)" | head -n "$1" |
		jq -se 'all(.dirty_pages > 0 and .pages > 0 and .ms > 0)' \
			>/dev/null || fail "epochs in which nothing was written"
}

# -- there ------------------------------------------------------------------------

scenario_oracle_over_4_channels() {
	hosts queues=4
	oracle 64
	incoming
	move --queues 4
	assert_jq '.channels == 4' "$(out_of send)" channels
	guests_quit
	detach_both
}

# The same pages are dirtied, sent, and dirtied again, three times.
scenario_three_epochs_over_16_channels() {
	hosts queues=16 qdisc=pfifo
	oracle 64
	incoming
	recv_live
	send_live --queues 16 --name oracle "${slow[@]}"
	slow_epochs 3
	run src "$XDPMIG" set oracle --bandwidth 20G
	assert_eq "$RC" 0 "set --bandwidth"
	moved
	assert_jq '.epochs >= 4 and .ram_bytes_sent > 3 * 36 * 1048576' \
		"$(out_of send)" "epochs"
	guests_quit
	detach_both
}

# Nothing runs after it, so that every byte can be compared.
scenario_recv_leaves_it_paused() {
	hosts queues=4
	oracle 64
	incoming
	recv_live --paused
	send_live
	ended 0 0 60
	check_live_results
	runs_not "$A"
	runs_not "$B"
	same_memory
	live_oracle_check "$B" >"$TMP/oracle" || fail "memory at the target"
	guest_cont "$B"
	arrived
	guests_quit
	detach_both
}

scenario_a_paused_guest_stays_paused() {
	hosts queues=4
	oracle 64
	guest_pause "$A"
	incoming
	recv_live
	send_live
	ended 0 0 60
	runs_not "$A"
	runs_not "$B"
	same_memory
	guest_cont "$B"
	arrived
	guests_quit
	detach_both
}

scenario_memory_in_several_files() {
	hosts queues=4
	oracle 96 backends=3
	incoming
	recv_live --paused
	send_live
	ended 0 0 60
	same_memory
	guest_cont "$B"
	runs "$B"
	guests_quit
	detach_both
}

scenario_memory_in_memfds() {
	hosts queues=4
	oracle 64 mem=memory-backend-memfd,share=on
	incoming
	recv_live
	send_live
	ended 0 0 60
	runs "$B"
	runs_not "$A"
	guests_quit
	detach_both
}

# Its heart stops for the downtime we report; a beat every 20 ms and a busy
# machine are what it can be off by.
scenario_linux_and_its_heartbeat() {
	local gap usual downtime

	hosts queues=4
	linux 256 load="rate=50 size=96" smp=2
	live_goes_on "$A" 50 || fail "a guest that does not run"
	incoming
	move
	live_goes_on "$B" 300 60 || fail "the guest does not go on"
	live_linux_check "$A" "$B" || fail "memory of the guest"
	gap=$(live_gap "$A" "$B") usual=$(live_usual_gap "$A")
	downtime=$(value_of '.downtime_ms | floor' "$(out_of send)")
	say "the heartbeat paused for $gap ms (usually $usual), we reported" \
		"$downtime ms of downtime"
	assert_between "$gap" $((downtime - 5)) $((downtime + usual + 150)) \
		"gap in the heartbeat"
	guests_quit
	detach_both
}

scenario_there_and_back() {
	local i

	hosts queues=4
	linux 192 load="rate=20 size=64"
	for i in 1 2 3 4 5; do
		say "move $i, from $FROM"
		incoming
		move
		turn_round
	done
	live_goes_on "$A" 100 || fail "the guest does not go on"
	live_linux_check "$A" || fail "memory of the guest"
	guests_quit
	detach_both
}

# -- convergence ------------------------------------------------------------------------

scenario_bandwidth_is_a_cap() {
	hosts queues=4
	oracle 64
	live_goes_on "$A" 10 || fail "the guest does not run"
	incoming
	move --bandwidth 200M --converge stop --timeout 1s
	jq -se 'map(select(.event == "epoch")) | length == 2 and
		all(.gbit_per_s < 0.21)' \
		"$(out_of send)" >/dev/null ||
		fail "more than 200 Mbit/s: $(grep '"epoch"' "$(out_of send)")"
	guests_quit
	detach_both
}

# It writes twice as much as can be sent, and would never: it is slowed down, and
# at the target it is as fast as it was.
scenario_a_guest_that_is_too_fast_is_slowed_down() {
	local before after

	hosts queues=4
	oracle 64
	live_goes_on "$A" 20 || fail "the guest does not run"
	before=$(live_pace "$A")
	incoming
	recv_live
	send_live --converge auto --max-downtime 100ms "${slow[@]}"
	ended 0 0 60
	check_live_results
	assert_jq '.throttle_percent > 0 and .downtime_ms < 500' \
		"$(out_of send)" "figures"
	arrived
	live_goes_on "$B" 40 || fail "the guest does not go on"
	after=$(live_pace "$B")
	say "a beat each $before ms before, each $after ms at the target," \
		"throttled by $(value_of .throttle_percent "$(out_of send)") %"
	assert_between "$after" 0 $((before * 2)) "ms from beat to beat"
	guests_quit
	detach_both
}

live_pace() { # DIR: ms from beat to beat, of the last 20
	tail -n 20 "$1/stamps" | awk 'NR == 1 { t = $1 }
		END { printf "%d\n", ($1 - t) / (NR - 1) + 0.5 }'
}

scenario_stop_at_the_deadline() {
	hosts queues=4
	oracle 64
	incoming
	recv_live
	send_live --converge stop --timeout 4s "${slow[@]}"
	moved
	assert_jq '.downtime_ms > 300 and .throttle_percent == 0' \
		"$(out_of send)" "downtime"
	guests_quit
	detach_both
}

scenario_fail_at_the_deadline() {
	hosts queues=4
	oracle 64
	incoming
	recv_live
	send_live --converge fail --timeout 3s "${slow[@]}"
	ended 4 4 20
	home send source
	home recv source
	at_home
	move_after
	guests_quit
	detach_both
}

# -- a hand on the lever ------------------------------------------------------------------

# A guest that waits for the word, and is seen while it does.
scenario_pause_before_switchover() {
	hosts queues=4
	oracle 64 pace=2
	incoming
	recv_live
	send_live --name held --pause-before-switchover
	held
	run src "$XDPMIG" status --json
	assert_grep '"name":"held"' "$OUT" "status"
	run src "$XDPMIG" continue held
	assert_eq "$RC" 0 "continue"
	moved
	guests_quit
	detach_both
}

# held: it is ready to switch over and waits
held() {
	wait_for 20 grep -qE "waits for|xdpmig continue" "$(err_of send)"
}

run_scenarios "$@"
