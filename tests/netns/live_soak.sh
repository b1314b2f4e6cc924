#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_soak.sh [--minutes N] [--moves N] [--seed N] [--from MOVE] - a Linux guest
# that verifies its memory and its disk moves to and fro, and something befalls each
# move: see soak_faults.sh
#
# No suite runs it.  Until it is told to stop (Ctrl-C: after the move under way), or
# so long, or so many moves.  Options of send and recv, the fault and its moment follow
# from the seed and the move's number, so one move can be had again:
#
#   live_soak.sh --seed N --from MOVE --moves 1
#
# After each: outcome and exit statuses are ones that the fault allows, both QEMUs
# say the same of the guest, it goes on, found nothing corrupt, and nothing is left.
# A guest that stayed is moved without a fault.  A failure ends QEMU and
# guest (its outputs are kept, and named), and the next move has a new guest.
# At its end: a table.  Status 1: something failed.

set -euo pipefail

usage() {
	sed -n 's/^# live_soak.sh/usage: live_soak.sh/p' "$0" | sed 's/ - .*//' >&2
	exit 2
}

MINUTES=0 MOVES=0 FROM=1 SEED=$((RANDOM * 32768 + RANDOM))
while [ $# != 0 ]; do
	[[ ${2:-} =~ ^[0-9]+$ ]] || usage
	case $1 in
	--minutes) MINUTES=$2 ;;
	--moves) MOVES=$2 ;;
	--seed) SEED=$2 ;;
	--from) FROM=$2 ;;
	*) usage ;;
	esac
	shift 2
done

SOAK=$(mktemp -d "${TMPDIR:-/tmp}/xm-soak-XXXXXX")
touch "$SOAK/moves" "$SOAK/failures"
BEGAN=$SECONDS

# Its guests and programs are in a session of their own, and see no Ctrl-C.
# shellcheck disable=SC2317 # a trap's
stop_after_move() {
	touch "$SOAK/stop"
	echo "# ends after this move"
}
trap stop_after_move INT TERM

# summary: what befell the moves, and what became of them
summary() {
	jq -rs '
	def median: sort | if length == 0 then "-" else .[length / 2 | floor] end;
	def longest: if length == 0 then "-" else max end;
	def row($name): [$name, length,
		([.[] | select(.did == "missed" or .did == "too late")] | length),
		([.[] | select(.where == "target")] | length),
		([.[] | select(.where == "source")] | length),
		([.[] | select(.downtime > 0) | .downtime] | median, longest),
		([.[].epochs] | add // 0), ([.[].resent] | add // 0)] | @tsv;
	(["fault", "n", "missed", "moved", "stayed", "downtime_median_ms",
		"downtime_max_ms", "epochs", "frames_again"] | @tsv),
	(group_by(.fault)[] | row(.[0].fault)), row("all")
	' "$SOAK/moves" | column -t -s $'\t'
	jq -rs '"exit statuses of send and recv: " +
		([group_by("\(.send) \(.recv)")[] |
			"\(.[0].send)/\(.[0].recv) \(length) times"] | join(", "))
	' "$SOAK/moves"
	echo "$(wc -l <"$SOAK/moves") migrations in $(((SECONDS - BEGAN) / 60))" \
		"minutes, $(wc -l <"$SOAK/failures") failed; seed $SEED"
	cat "$SOAK/failures"
}

# moves_from N: until they are over, or one of them fails
moves_from() {
	local inner count=0 limit=0

	[ "$MOVES" = 0 ] || count=$((FROM + MOVES - $1))
	[ "$MINUTES" = 0 ] || limit=$((MINUTES * 60 - SECONDS + BEGAN))
	rm -f "$SOAK/now"
	setsid setpriv --pdeathsig TERM bash "${0%/*}/soak_moves.sh" "$SOAK" \
		"$SEED" "$1" "$count" "$limit" &
	inner=$!
	STATUS=0
	wait $inner || STATUS=$?
	while kill -0 $inner 2>/dev/null; do # a signal was ours
		STATUS=0
		wait $inner || STATUS=$?
	done
}

goes_on() { # NEXT
	[ ! -e "$SOAK/stop" ] || return
	[ "$MINUTES" = 0 ] || [ $((SECONDS - BEGAN)) -lt $((MINUTES * 60)) ] || return
	[ "$MOVES" = 0 ] || [ "$1" -lt $((FROM + MOVES)) ]
}

echo "# seed $SEED"
NEXT=$FROM
while goes_on "$NEXT"; do
	moves_from "$NEXT"
	[ $STATUS != 77 ] || exit 77
	[ $STATUS != 0 ] || break
	if [ ! -f "$SOAK/now" ]; then
		echo "FAILED: no move at all" | tee -a "$SOAK/failures"
		break
	fi
	NEXT=$(($(cat "$SOAK/now") + 1))
	echo "FAILED: move $((NEXT - 1)), outputs in $SOAK/failed-$((NEXT - 1))," \
		"again by: live_soak.sh --seed $SEED --from $((NEXT - 1)) --moves 1" |
		tee -a "$SOAK/failures"
done
summary
if [ -s "$SOAK/failures" ]; then
	exit 1
fi
rm -r "$SOAK"
