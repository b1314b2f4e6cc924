#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo.sh - tests/demo.sh does what it says, small; refuses what it cannot do
# before anything is made; and leaves nothing when it is interrupted

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/lib/guest.sh
. "${0%/*}/../lib/guest.sh"
needs xdpmig qemu-system-x86_64 busybox cpio gcc python3 stdbuf setpriv
DEMO=${0%/*}/../demo.sh
DIR=$TMP/demo # all that it makes
STAMP=$(guest_tool stamp)

# demo COMMAND...: of run or spawn; with Ctrl-C, which shells take from children
demo() {
	mkdir -p "$DIR"
	"$@" env --default-signal=INT "TMPDIR=$DIR" "BUILD=$BUILD" \
		QUEUES="${QUEUES-4}" RAM="${RAM-192}" WRITES=48 RATE=20 \
		BANDWIDTH="${BANDWIDTH-1G}" bash "$DEMO"
}

nothing_left() {
	assert_eq "$(ls "$DIR")" "" "files of the demo"
	assert_eq "$(grep -laF "$DIR" /proc/[0-9]*/cmdline 2>/dev/null)" "" \
		"processes of the demo"
}

refused() { # STATUS PATTERN
	assert_eq "$RC" "$1" "exit status"
	assert_grep "$2" "$ERR" "why"
	assert_eq "$(cat "$OUT")" "" "what was done before"
}

scenario_refusals() {
	local queues

	for queues in 0 -1 x 65 '' '4 4' 99999999999999999999; do
		QUEUES=$queues demo run here
		refused 2 "QUEUES=$queues: a number from 1 to 64"
	done
	RAM=64 demo run here
	refused 2 'RAM=64'
	RAM=99999999 demo run here
	refused 2 'RAM=99999999'
	BANDWIDTH=fast demo run here
	refused 2 'BANDWIDTH=fast'
	BUILD=$TMP demo run here
	refused 2 'there is no xdpmig'
	# as text: who is not root may not get at the file; and not unshare --user,
	# which not every kernel and no chroot permits
	run here setpriv --reuid 65534 --regid 65534 --clear-groups \
		bash -c "$(cat "$DEMO")" "$DEMO"
	refused 1 'needs root'
	nothing_left
}

scenario_a_guest_moves_there_and_back() {
	local silence

	# shellcheck disable=SC2016 # expands there
	demo run here bash -o pipefail -c '"$@" | "$0" '"$TMP/said $TMP/stamps" "$STAMP"
	cp "$TMP/said" "$OUT" # for fail
	assert_eq "$RC" 0 "exit status"
	assert_grep '^   epoch  1 +[0-9]+ pages' "$OUT" "epochs as they come"
	assert_grep 'the last: the guest is paused' "$OUT" "final epoch"
	assert_grep 'it runs at dst, and only there' "$OUT" "first move"
	assert_grep '^   downtime, as xdpmig reports it +[0-9.]+ ms' "$OUT" "downtime"
	assert_grep '^   beats at dst  ' "$OUT" "timeline"
	assert_grep 'ok  all 192 MiB are identical' "$OUT" "second move"
	assert_grep 'ok  not one of its checks' "$OUT" "the guest's own checks"
	assert_grep '^Done in ' "$OUT" "end"
	assert_no_grep $'\e' "$OUT" "colours in a file"
	assert_no_grep '^.{101}' "$OUT" "width"
	silence=$(awk 'NR > 1 && $1 - was > most { most = $1 - was } { was = $1 }
		END { printf "%d\n", most }' "$TMP/stamps")
	say "silent for $silence ms at most"
	assert_between "$silence" 0 10000 "ms without a word"
	nothing_left
}

scenario_interrupted_while_the_guest_moves() {
	BANDWIDTH=200M demo spawn demo here
	wait_for 120 grep -q 'xdpmig send' "$(out_of demo)"
	wait_for 120 grep -q 'epoch 1:' "$(out_of demo)"
	stop demo INT
	assert_eq "$RC" 130 "exit status"
	assert_grep '^interrupted' "$(out_of demo)" "last words"
	assert_no_grep FAILED "$(out_of demo)" "last words"
	nothing_left
}

run_scenarios "$@"
