#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# profile.sh - where both ends' CPUs spend a frame
#
# Migrates a file of random pages over a veth pair while perf(1) samples all CPUs, and
# divides what was found by the frames: user space, the kernel by what it was called
# for, and what was left of both ends' CPUs.  profile.py says what counts as what.  On a
# veth the kernel delivers a frame in the call that sends it, so what belongs to
# receiving is told apart by the functions it goes through; when frames are many, its
# ksoftirqd does so, which is counted by itself.  Nothing else should run meanwhile.
# Prints Markdown.

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
	cat <<-EOT
	Usage: tests/bench/profile.sh [OPTION]...   (as root, with BUILD=DIR; default build;
	                                             needs linux-perf)

	  --size MIB       guest memory, default 2048
	  --mtu LIST       default 9000,65535
	  --channels LIST  default 1,4,16
	EOT
	exit 0
fi

BUILD=$(realpath "${BUILD:-$(dirname "$0")/../../build}")
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/../netns/lib.sh"

size=2048 mtus=9000,65535 channels=1,4,16
while [ $# -gt 0 ]; do
	[ $# -gt 1 ] || mistake "$1 needs a value"
	case $1 in
	--size) size=$2 ;;
	--mtu) mtus=$2 ;;
	--channels) channels=$2 ;;
	*) mistake "unknown option $1" ;;
	esac
	shift 2
done

here_dir=$(dirname "$0")
needs xdpmig perf
memory=$TMP/memory
mkdir "$memory"
mount -t tmpfs -o size=$((2 * size + 1024))M xm-profile "$memory"
profile_end() {
	local status=$?

	set +e # or its failing status would end all here
	umount --lazy "$memory" # a program may still be there
	(exit "$status")        # what cleanup looks at
	cleanup
}
trap profile_end EXIT

profile() { # CHANNELS MTU
	local recv

	head -c 768M /dev/zero >"$memory/touched" # see bench.sh
	rm "$memory/touched"
	src "$XDPMIG" attach --quiet "$SRC_DEV" >/dev/null
	dst "$XDPMIG" attach --quiet "$DST_DEV" >/dev/null
	spawn recv dst "$XDPMIG" recv --dev "$DST_DEV" --listen "$DST4" \
		--ram "$memory/dst" --json
	recv=$(pid_of recv)
	wait_for 10 grep -q waiting "$(err_of recv)"
	spawn perf here perf record -a -g -e cpu-clock -F 1999 -o "$TMP/perf.data"
	wait_for 10 test -s "$TMP/perf.data"
	run src "$XDPMIG" send --dev "$SRC_DEV" --queues "$1" --ram "$memory/src" \
		--json "$DST4"
	[ "$RC" = 0 ] || fail "xdpmig send"
	cp "$OUT" "$TMP/send.json"
	reap recv 20
	[ "$RC" = 0 ] || fail "xdpmig recv"
	kill -INT "$(pid_of perf)"
	reap perf 30
	cmp "$memory/src" "$memory/dst" || fail "memory differs"
	src "$XDPMIG" detach --quiet "$SRC_DEV" >/dev/null
	dst "$XDPMIG" detach --quiet "$DST_DEV" >/dev/null
	perf script -i "$TMP/perf.data" -F comm,pid,time,ip,sym,dso \
		>"$TMP/samples" 2>"$TMP/perf.err" || fail "perf script: $(tail -n 1 "$TMP/perf.err")"
	"$here_dir/profile.py" "$TMP/samples" "$recv" "$2" "$TMP/send.json" \
		"$(out_of recv)"
}

say "filling 2 x $size MiB"
head -c "${size}M" /dev/urandom >"$memory/src"
head -c "${size}M" /dev/zero >"$memory/dst"
for mtu in ${mtus//,/ }; do
	net_up queues=16 mtu="$mtu"
	for c in ${channels//,/ }; do profile "$c" "$mtu"; done
	net_down
done
