#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# loss.sh - what random losses cost through the relay, and what a TCP flow with CUBIC
# gets beside a migration
#
# Two hosts, joined by a relay: a link of --rate, 50 us each way, in turns without
# losses and with 1e-4, 1e-3, 1e-2 of the frames lost both ways; the medians' ratios
# count.  Then iperf3 beside a migration, 0.5 ms each way, behind a queue of one
# bandwidth-delay product: what each gets of the link, as the relay's device to the
# destination counts it.  The relay and both hosts share the machine: nothing else
# should run.  Prints Markdown.

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
	cat <<-EOT
	Usage: tests/bench/loss.sh [OPTION]...   (as root, with BUILD=DIR; default build)

	  --what LIST      goodput,share
	  --channels LIST  default 1,16
	  --rate MBIT      of the link, default 1000
	  --size MIB       of the guest, default 128
	  --repeat N       default 3
	  --seconds N      beside TCP, default 6
	EOT
	exit 0
fi

BUILD=$(realpath "${BUILD:-$(dirname "$0")/../../build}")
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/../netns/lib.sh"

what=goodput,share channels=1,16 rate=1000 size=128 repeat=3 seconds=6
while [ $# -gt 0 ]; do
	[ $# -gt 1 ] || mistake "$1 needs a value"
	case $1 in
	--what) what=$2 ;;
	--channels) channels=$2 ;;
	--rate) rate=$2 ;;
	--size) size=$2 ;;
	--repeat) repeat=$2 ;;
	--seconds) seconds=$2 ;;
	*) mistake "unknown option $1" ;;
	esac
	shift 2
done
needs xdpmig relay

both() { # VERB
	run src "$XDPMIG" "$1" "$SRC_DEV"
	assert_eq "$RC" 0 "$1 at the source"
	run dst "$XDPMIG" "$1" "$DST_DEV"
	assert_eq "$RC" 0 "$1 at the destination"
}

hosts_up() {
	net_up queues=16 relay=1
	both attach
	spawn recv dst "$XDPMIG" recv --dev "$DST_DEV" --discard
	wait_for 10 grep -q 'waiting for sources' "$(err_of recv)"
}

hosts_down() {
	stop recv
	both detach
	net_down
}

move() { # CHANNELS MIB CSV
	src "$XDPMIG" sweep --dev "$SRC_DEV" --size "$2M" --slots 20 --channels "$1" \
		--drains one --repeat 1 --seed 1 --csv "$3" "$DST4"
}

median() { sort -n | sed -n "$(((repeat + 1) / 2))p"; }

gbit_of() { # CSV: of its only row
	awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "gbit_per_s") c = i }
		NR == 2 { print $c }' "$1"
}

goodput() {
	local n loss i got clean

	echo "| channels | clean, Gbit/s | 1e-4 | 1e-3 | 1e-2 |"
	echo "|---:|---:|---:|---:|---:|"
	for ((i = 0; i < repeat; i++)); do
		for loss in 0 0.0001 0.001 0.01; do
			relay_start --delay 50us --rate "${rate}M" --queue 4M \
				--loss "$loss" --seed $((i + 1))
			for n in ${channels//,/ }; do
				move "$n" "$size" "$TMP/row.csv" >"$TMP/move.out"
				gbit_of "$TMP/row.csv" >>"$TMP/got-$n-$loss"
			done
			relay_stop
		done
	done
	for n in ${channels//,/ }; do
		clean=$(median <"$TMP/got-$n-0")
		printf '| %s | %s |' "$n" "$clean"
		for loss in 0.0001 0.001 0.01; do
			got=$(median <"$TMP/got-$n-$loss")
			awk -v g="$got" -v c="$clean" \
				'BEGIN { printf " %.2f (%.1f %%) |", g, 100 * g / c }'
		done
		echo
	done
}

out_bytes() { ip -n "$MID_NS" -j -s link show "$MID_B" | jq '.[0].stats64.tx.bytes'; }

# TCP runs while pages move: the migration is long enough, and is then ended.
share() {
	local n before us

	echo "| channels | TCP, Mbit/s | xdpmig | ratio |"
	echo "|---:|---:|---:|---:|"
	relay_start --delay 500us --rate "${rate}M" --queue $((rate * 125))
	spawn iperf dst iperf3 -s
	wait_for 5 dst sh -c 'ss -ltn | grep -q :5201'
	for n in ${channels//,/ }; do
		spawn move src "$XDPMIG" sweep --dev "$SRC_DEV" \
			--size $((rate * (seconds + 4) / 8))M --slots 20 \
			--channels "$n" --drains one --repeat 1 --seed 1 "$DST4"
		wait_for 10 grep -q . "$(err_of move)"
		before=$(out_bytes) us=${EPOCHREALTIME/[.,]/}
		src iperf3 -c "$DST4" -C cubic -t "$seconds" -J >"$TMP/tcp.json"
		us=$((${EPOCHREALTIME/[.,]/} - us))
		is_gone "$(pid_of move)" && fail "the migration ended before TCP did"
		jq -r --arg n "$n" --argjson all $(($(out_bytes) - before)) \
			--argjson us "$us" '
			(.end.sum_received.bytes * 9014 / 8948) as $tcp |
			($all - $tcp) as $ours |
			"| \($n) | \($tcp * 8 / $us | round) | \($ours * 8 / $us | round) | \($ours / $tcp * 100 | round / 100) |"' \
			"$TMP/tcp.json"
		stop move
	done
	stop iperf
	relay_stop
}

hosts_up
for part in ${what//,/ }; do
	case $part in
	goodput) goodput ;;
	share)
		needs iperf3
		share
		;;
	*) mistake "--what: no such part: $part" ;;
	esac
done
hosts_down
