#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sweep.sh - xdpmig sweep against recv --discard: every cell is measured, the files
# say the same as the result, and it ends well when it is cancelled
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
live_needs relay xmllint

discard_start() { # OPTION...
	spawn discard dst "$XDPMIG" recv --dev "$DST_DEV" --discard --json "$@"
	wait_for 10 grep -q 'waiting for sources' "$(err_of discard)"
}

discard_stop() { # SESSIONS
	stop discard
	assert_eq "$RC" 0 "recv --discard, stopped"
	assert_jq ".status == \"stopped\" and .sessions == $1" \
		"$(out_of discard)" "recv --discard's result"
}

sweep() { # OPTION...
	run src "$XDPMIG" sweep --dev "$SRC_DEV" --json --size 4M "$@" "$DST4"
}

scenario_measures_every_cell() {
	local f=$TMP/sweep

	net_up queues=2
	attach_both
	discard_start
	sweep --slots 1,2,2M --channels 1,2 --drains half,full,one --repeat 2 \
		--csv "$f.csv" --svg "$f.svg" --html "$f.html"
	assert_eq "$RC" 0 "sweep"
	assert_jq '.runs == 36 and .runs_failed == 0' "$OUT" "runs"
	assert_jq '(.per_cell | length) == 18 and all(.per_cell[];
		.runs == 2 and .gbit_per_s > 0 and .locked_bytes > 4194304)' \
		"$OUT" "cells"
	assert_jq '[.per_curve[] | "\(.channels)\(.drain)"] == ["1half", "1full",
		"1one", "2half", "2full", "2one"]' "$OUT" "curves"
	# 8 packets do not fit into a ring of one, and into four of them only half
	assert_jq 'all(.per_cell[] | select(.header_slots == 1 and .channels == 1);
		.flush_space >= 7 and .waiting_percent > 0)' "$OUT" "waits"
	# of the time, a channel's mean; rounded
	assert_jq 'all(.per_cell[]; .dry_percent <= .waiting_percent + 1 and
		.waiting_percent <= 101)' "$OUT" "shares"
	assert_jq 'all(.per_cell[] | select(.header_slots == 1);
		.waiting_percent > 5 and .dry > 0 and .dry_percent > 0)' "$OUT" "dry"
	# half of a ring of 4 would be waited for twice
	assert_jq 'all(.per_cell[] | select(.drain == "full" and .channels == 1);
		.flush_space <= 8 / .header_slots - 1)' "$OUT" "full drains"
	assert_eq "$(wc -l <"$f.csv")" 37 "lines of CSV"
	assert_eq "$(cut -d, -f1,2,4 "$f.csv" | sort | uniq -c |
		awk '$1 != 2 && !/slots/' | wc -l)" 0 "cells of CSV"
	xmllint --noout "$f.svg" || fail "the picture is no XML"
	assert_eq "$(xmllint --xpath 'count(//*[local-name() = "title"])' \
		"$f.svg")" 18 "points in the picture"
	assert_no_grep 'https?://[^w]|href|url\(|@import' "$f.svg" "from elsewhere"
	assert_grep '<svg ' "$f.html" "the page's picture"
	assert_eq "$(grep -c '^<tr><td>' "$f.html")" 6 "the page's rows"
	discard_stop 36
	detach_both
}

# A link that takes 42 ms for a packet and gives each slot back by itself: half of a
# ring of 4 is waited for 14 times at most, the next slot of it about twice as often.
scenario_drains_differ() {
	net_up queues=2 relay=1
	relay_start --rate 100M --queue 4M
	attach_both
	discard_start
	sweep --size 16M --slots 4 --channels 1 --drains one,half,full --repeat 1
	assert_eq "$RC" 0 "sweep"
	assert_jq '[.per_cell[] | {key: .drain, value: .flush_space}] | from_entries |
		.full <= 7 and .half > 7 and .half <= 14 and .one > 14' "$OUT" "waits"
	discard_stop 3
	detach_both
	relay_stop
}

scenario_of_a_file_with_keys() {
	net_up queues=2
	attach_both
	discard_start
	head -c 3M /dev/urandom >"$GUEST"
	# a name in Latin-1, which no picture may have in it
	run src "$XDPMIG" sweep --dev "$SRC_DEV" --ram "$GUEST" --slots 1,4 \
		--channels 2 --drains half --repeat 1 --title $'Verbindung f\xfcr <G&st>' \
		--svg "$TMP/sweep.svg" "$DST4"
	assert_eq "$RC" 0 "sweep"
	xmllint --noout "$TMP/sweep.svg" || fail "the picture is no XML"
	assert_grep '>Verbindung f[?]r &lt;G&amp;st&gt;<' "$TMP/sweep.svg" "title"
	assert_grep '^2 channels' "$OUT" "table"
	assert_eq "$(grep -cE '^ +[14] +[0-9.]+ MiB +[0-9.]+' "$OUT")" 2 "rows"
	assert_grep 'half: (not )?flat' "$OUT" "the answer"
	discard_stop 2
	detach_both
}

# Its memory is read, and what it writes meanwhile is sent again; nothing else is done
# to it.
scenario_of_a_running_guest() {
	net_up queues=2
	attach_both
	oracle 64 pace=0
	discard_start
	run src "$XDPMIG" sweep --dev "$SRC_DEV" --json --ram "$A/ram" --slots 1,4 \
		--channels 1,2 --drains one --repeat 4 "$DST4"
	assert_eq "$RC" 0 "sweep"
	assert_jq '.runs == 16 and .runs_failed == 0' "$OUT" "runs"
	live_is "$A" running || fail "the guest is $(live_state "$A")"
	live_goes_on "$A" 3 || fail "the guest does not go on"
	discard_stop 16
	guest_pause "$A"
	live_oracle_check "$A" >"$TMP/oracle" || fail "the guest's memory"
	live_quit "$A"
	detach_both
}

# A budget that holds a few slots only: the others are not said to be more.
scenario_rings_that_cannot_be_had() {
	net_up queues=2
	attach_both
	discard_start
	sweep --slots 1,4,64,128,256,512 --channels 1 --drains half --repeat 1 \
		--lock-budget 8M
	assert_eq "$RC" 0 "sweep"
	assert_jq '[.per_cell[].header_slots] == [1, 4] and .runs == 2 and
		.runs_failed == 4' "$OUT" "cells"
	assert_jq 'all(.per_curve[]; .flat_slots < 4 or .is_largest)' "$OUT" "end"
	assert_grep '512 slots, 1 channel, half: left out: .* --lock-budget' "$ERR" "why"
	sweep --slots 128 --channels 1 --drains half --repeat 2 --lock-budget 8M
	assert_eq "$RC" 1 "sweep of none"
	assert_jq '.runs == 0 and (.message | test("--lock-budget"))' "$OUT" "why"
	discard_stop 8
	detach_both
}

# Who may lock 8 MiB, and locks more than half of it: what the run before had locked is
# not free at once.
scenario_of_a_user_with_a_limit() {
	local limited=(setpriv "--bounding-set=-ipc_lock,-sys_resource"
		prlimit --memlock=8388608:8388608 --)

	net_up queues=2
	attach_both
	memlock_begin
	discard_start
	run src "${limited[@]}" "$XDPMIG" sweep --dev "$SRC_DEV" --json --size 5M \
		--slots 1,2 --channels 1 --drains half,full --repeat 4 "$DST4"
	assert_eq "$RC" 0 "sweep"
	assert_jq '.runs == 16 and .runs_failed == 0' "$OUT" "runs"
	assert_jq 'all(.per_cell[]; .locked_bytes > 4194304)' "$OUT" "locked"
	discard_stop 16
	spawn discard dst "${limited[@]}" "$XDPMIG" recv --dev "$DST_DEV" --discard --json \
		--rx-memory 5M
	wait_for 10 grep -q 'waiting for sources' "$(err_of discard)"
	sweep --slots 1 --channels 1 --drains half,full --repeat 8
	assert_jq '.runs == 16 and .runs_failed == 0' "$OUT" "runs"
	discard_stop 16
	memlock_end
	detach_both
}

scenario_as_many_channels_as_queues() {
	net_up queues=3
	attach_both
	discard_start
	sweep --slots 2 --drains half --repeat 1
	assert_eq "$RC" 0 "sweep"
	assert_jq '[.per_curve[].channels] == [1, 2, 3]' "$OUT" "channels"
	discard_stop 3
	detach_both
}

# What else than the ring was the limit.
scenario_says_what_it_cannot_tell() {
	net_up queues=2
	attach_both
	discard_start
	head -c 3M /dev/urandom >"$GUEST"
	# 3 packets a channel
	run src "$XDPMIG" sweep --dev "$SRC_DEV" --ram "$GUEST" --slots 4 \
		--channels 2 --drains half --repeat 1 "$DST4"
	assert_grep '2 channels: 4 slots hold all that a channel sends' "$ERR" "hint"
	run src "$XDPMIG" sweep --dev "$SRC_DEV" --ram "$GUEST" --slots 2 \
		--channels 2 --drains half --repeat 1 "$DST4"
	assert_no_grep 'hold all' "$ERR" "hint"
	assert_no_grep 'on the wire' "$ERR" "hint"
	discard_stop 2
	discard_start --rx-memory 4M
	sweep --slots 30M --channels 1 --drains half --repeat 1
	assert_grep '1 channel: .* at most 2[.]. MiB on the wire.* --rx-memory' "$ERR" "hint"
	discard_stop 1
	discard_start --rx-memory 256M
	# 8128 frames of 8300 bytes are 64.3 MiB
	sweep --slots 60M --channels 1 --drains half --repeat 1
	assert_no_grep 'on the wire' "$ERR" "hint"
	sweep --slots 70M --channels 1 --drains half --repeat 1
	assert_grep 'at most 64[.]3 MiB on the wire.* more frames cannot' "$ERR" "hint"
	discard_stop 2
	detach_both
}

has_measured() { # RUNS
	[ "$(grep -c '"event": *"run"' "$(out_of sweep)")" -ge "$1" ]
}

scenario_cancelled_keeps_what_was_measured() {
	local f=$TMP/sweep n

	net_up queues=2
	attach_both
	discard_start
	spawn sweep src "$XDPMIG" sweep --dev "$SRC_DEV" --json --size 4M \
		--slots 1,2,4,8 --channels 1,2 --repeat 50 --csv "$f.csv" \
		--svg "$f.svg" "$DST4"
	wait_for 60 has_measured 3
	stop sweep INT
	assert_eq "$RC" 4 "sweep, cancelled"
	assert_jq '.status == "cancelled" and .runs >= 3' "$(out_of sweep)" "result"
	n=$(value_of .runs "$(out_of sweep)")
	assert_eq "$(wc -l <"$f.csv")" $((n + 1)) "lines of CSV"
	xmllint --noout "$f.svg" || fail "the picture is no XML"
	# it serves on
	sweep --slots 2 --channels 1 --repeat 1
	assert_eq "$RC" 0 "the next sweep"
	stop discard
	assert_eq "$RC" 0 "recv --discard, stopped"
	detach_both
}

scenario_a_full_disk() {
	net_up queues=2
	attach_both
	discard_start
	seq 10000 >"$TMP/old.csv"
	sweep --slots 2 --channels 1 --drains half --repeat 1 --csv "$TMP/old.csv" \
		--svg /dev/full
	assert_eq "$RC" 1 "the picture is not written"
	assert_jq '.runs == 1 and (.message | test("/dev/full: .*No space left"))' \
		"$OUT" "what was measured, and why"
	assert_eq "$(wc -l <"$TMP/old.csv")" 2 "lines of CSV, none of them old"
	discard_stop 1
	detach_both
}

scenario_refused() {
	net_up queues=2
	attach_both
	sweep --channels 3
	assert_eq "$RC" 2 "more channels than queues"
	assert_grep '3 are more than the 2 queues' "$ERR" "why"
	sweep --csv "$TMP/no/where"
	assert_eq "$RC" 2 "no such folder"
	echo "of yesterday" >"$TMP/old.csv"
	sweep --csv "$TMP/old.csv" --svg "$TMP/no/where"
	assert_eq "$RC" 2 "no such folder for another one"
	sweep --slots 2 --repeat 1 --csv "$TMP/old.csv" --html "$TMP/new.html"
	assert_eq "$RC" 1 "nobody there"
	[ ! -e "$TMP/new.html" ] || fail "an empty page is there"
	assert_jq '.reason == "connect"' "$OUT" "why"
	assert_eq "$(cat "$TMP/old.csv")" "of yesterday" "what nothing was written over"
	ln -s old.csv "$TMP/same.csv"
	sweep --csv "$TMP/old.csv" --svg "$TMP/same.csv"
	assert_eq "$RC" 2 "a file twice"
	sweep --ram "$TMP/old.csv" --html "$TMP/old.csv"
	assert_eq "$RC" 2 "memory written over"
	assert_grep 'old.csv: given twice' "$ERR" "why"
	run dst "$XDPMIG" recv --dev "$DST_DEV" --discard --ram "$COPY"
	assert_eq "$RC" 2 "--discard with --ram"
	detach_both
}

run_scenarios "$@"
