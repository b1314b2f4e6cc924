#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# levers.sh - what the usual levers do: threaded NAPI, busy polling, affinity
#
# Migrates a file of random pages over one veth pair, the ways in turns:
#
#   plain      nothing
#   threaded   both devices' NAPI in threads of its own (/sys/class/net/*/threaded)
#   busy-poll  send and recv with --busy-poll
#   apart      send on the first CPU, recv on the last, all others' threads anywhere
#
# and prints, as Markdown, medians and their ratios to plain's.  CPU is the whole
# machine's (/proc/stat, all but idle), since NAPI's threads are no process's: nothing
# else should run.

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
	cat <<-EOT
	Usage: tests/bench/levers.sh [OPTION]...   (as root, with BUILD=DIR; default build)

	  --size MIB       guest memory, default 2048
	  --mtu LIST       default 9000,65535
	  --channels LIST  default 1,4,16
	  --repeat N       default 5
	EOT
	exit 0
fi

BUILD=$(realpath "${BUILD:-$(dirname "$0")/../../build}")
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/../netns/lib.sh"

size=2048 mtus=9000,65535 channels=1,4,16 repeat=5
while [ $# -gt 0 ]; do
	[ $# -gt 1 ] || mistake "$1 needs a value"
	case $1 in
	--size) size=$2 ;;
	--mtu) mtus=$2 ;;
	--channels) channels=$2 ;;
	--repeat) repeat=$2 ;;
	*) mistake "unknown option $1" ;;
	esac
	shift 2
done
needs xdpmig taskset

memory=$TMP/memory
mkdir "$memory"
mount -t tmpfs -o size=$((2 * size + 1024))M xm-levers "$memory"
levers_end() {
	local status=$?

	set +e # or its failing status would end all here
	umount --lazy "$memory" # a program may still be there
	(exit "$status")        # what cleanup looks at
	cleanup
}
trap levers_end EXIT

busy_ms() { # of all CPUs, since the machine began
	awk -v hz="$(getconf CLK_TCK)" '$1 == "cpu" {
		print ($2 + $3 + $4 + $7 + $8) * 1000 / hz; exit }' /proc/stat
}

threaded() { # 0|1
	src_ns tee "/sys/class/net/$SRC_DEV/threaded" <<<"$1" >/dev/null
	dst_ns tee "/sys/class/net/$DST_DEV/threaded" <<<"$1" >/dev/null
}

# A line of $TMP/runs: MTU CHANNELS LEVER Gbit/s total-ms busy-ms calls
move() { # MTU CHANNELS LEVER
	local options=() near=() far=() before after

	case $3 in
	threaded) threaded 1 ;;
	busy-poll) options=(--busy-poll) ;;
	apart) near=(taskset -c 0) far=(taskset -c $(($(nproc) - 1))) ;;
	esac
	head -c 768M /dev/zero >"$memory/touched" # see bench.sh
	rm "$memory/touched"
	spawn recv dst "${far[@]}" "$XDPMIG" recv --dev "$DST_DEV" --listen "$DST4" \
		--ram "$memory/dst" "${options[@]}" --json
	wait_for 10 grep -q waiting "$(err_of recv)"
	before=$(busy_ms)
	run src "${near[@]}" "$XDPMIG" send --dev "$SRC_DEV" --queues "$2" \
		--ram "$memory/src" "${options[@]}" --json "$DST4"
	[ "$RC" = 0 ] || fail "xdpmig send"
	reap recv 20
	[ "$RC" = 0 ] || fail "xdpmig recv"
	after=$(busy_ms)
	threaded 0
	tail -n 1 "$OUT" | jq -r --argjson ms "$after" --argjson was "$before" \
		--arg at "$1 $2 $3" '$at + " \(.gbit_per_s) \(.total_ms) \($ms - $was) \(.syscalls)"' \
		>>"$TMP/runs"
}

median() { # MTU CHANNELS LEVER COLUMN
	awk -v m="$1" -v c="$2" -v l="$3" -v at="$4" \
		'$1 == m && $2 == c && $3 == l { print $at }' "$TMP/runs" |
		sort -n | awk '{ v[NR] = $1 } END {
			print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

row() { # MTU CHANNELS LEVER
	local rate total busy calls

	rate=$(median "$@" 4) total=$(median "$@" 5) busy=$(median "$@" 6)
	calls=$(median "$@" 7)
	awk -v at="| $1 | $2 | $3 |" -v mib="$size" \
		-v rate="$rate" -v rate0="$(median "$1" "$2" plain 4)" \
		-v total="$total" -v total0="$(median "$1" "$2" plain 5)" \
		-v busy="$busy" -v busy0="$(median "$1" "$2" plain 6)" \
		-v calls="$calls" 'BEGIN {
		printf "%s %.1f | %.2f | %d | %.2f | %.2f | %.2f | %d |\n", at,
			rate, rate / rate0, total, total / total0,
			busy / 1000 * 1024 / mib, busy / busy0, calls * 1024 / mib }'
}

levers=(plain threaded busy-poll apart)
head -c "${size}M" /dev/urandom >"$memory/src"
head -c "${size}M" /dev/zero >"$memory/dst"
echo "| MTU | channels | | Gbit/s | of plain | total ms | of plain | CPU s/GiB | of plain | source's calls/GiB |"
echo "|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|"
for mtu in ${mtus//,/ }; do
	net_up queues=16 mtu="$mtu"
	src "$XDPMIG" attach --quiet "$SRC_DEV" >/dev/null
	dst "$XDPMIG" attach --quiet "$DST_DEV" >/dev/null
	for ((i = 0; i < repeat; i++)); do
		for c in ${channels//,/ }; do
			for lever in "${levers[@]}"; do
				move "$mtu" "$c" "$lever"
			done
		done
	done
	for c in ${channels//,/ }; do
		for lever in "${levers[@]}"; do row "$mtu" "$c" "$lever"; done
	done
	src "$XDPMIG" detach --quiet "$SRC_DEV" >/dev/null
	dst "$XDPMIG" detach --quiet "$DST_DEV" >/dev/null
	net_down
done
