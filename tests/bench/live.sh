#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live.sh - running guests, moved by xdpmig and by QEMU over one veth pair
#
#     netns source                            netns destination
#    +------------------+                    +------------------+
#    | QEMU, a guest    |  veth, 16 queues   |  QEMU, waits     |
#    | that writes at   ======================                  |
#    | a steady rate    |                    |                  |
#    +------------------+                    +------------------+
#
#   xdpmig           xdpmig send --qmp / recv --qmp
#   qemu             QEMU's multifd over TCP, bandwidth raised
#   qemu-zero-copy   the same with zero-copy-send
#
# Each move begins with the same guest, from a copy of one that was booted once
# (live.py, dirtier.c).  At the end, what a dirty log costs (harvest.c).
#
# Nothing else should run meanwhile.  Prints Markdown; docs/performance.md
# explains it.

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
	cat <<-EOT
	Usage: tests/bench/live.sh [OPTION]...   (as root, with BUILD=DIR; default build)

	  --ram MIB        the guest's memory, default 1024
	  --fill MIB       so much of it is random bytes, and written to; default 512
	  --odd KIB        so much more memory, default 0.  With 8, QEMU 7.2 under
	                   emulation loses none of the guest's writes (and is slower)
	  --vcpus N        default 1
	  --rates LIST     MB/s that it writes, default 0,50,200,500
	  --what LIST      default xdpmig,qemu,qemu-zero-copy; or none
	  --channels N     default 16
	  --mtu LIST       default 9000
	  --downtime MS    the limit, default 300
	  --converge HOW   fail: nobody slows the guest down (default); auto: both may
	  --limit S        give up who has not converged by then, default 30
	  --repeat N       runs of each, default 3; the median is shown
	  --harvest MIB    memory of the process whose harvests are timed, default 4096
	  --json FILE      keep every run's figures, one object a line
	  --quick          does it work?  A small guest, two rates, once
	EOT
	exit 0
fi

BUILD=$(realpath "${BUILD:-$(dirname "$0")/../../build}")
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/../netns/lib.sh"
# shellcheck source=tests/lib/guest.sh
. "$(dirname "$0")/../lib/guest.sh"

ram=1024 fill=512 odd=0 vcpus=1 rates=0,50,200,500 channels=16 mtus=9000 downtime=300
converge=fail limit=30 repeat=3 harvest=4096 json='' before=2 quick=no
what=xdpmig,qemu,qemu-zero-copy
while [ $# -gt 0 ]; do
	if [ "$1" = --quick ]; then
		ram=160 fill=48 rates=0,50 repeat=1 harvest=256 before=0.5 channels=4
		quick=yes
		shift
		continue
	fi
	[ $# -gt 1 ] || mistake "$1 needs a value"
	case $1 in
	--ram) ram=$2 ;;
	--fill) fill=$2 ;;
	--odd) odd=$2 ;;
	--vcpus) vcpus=$2 ;;
	--rates) rates=$2 ;;
	--what) what=$2 ;;
	--channels) channels=$2 ;;
	--mtu) mtus=$2 ;;
	--downtime) downtime=$2 ;;
	--converge) converge=$2 ;;
	--limit) limit=$2 ;;
	--repeat) repeat=$2 ;;
	--harvest) harvest=$2 ;;
	--json) json=$2 ;;
	*) mistake "unknown option $1" ;;
	esac
	shift 2
done
[ "$what" != none ] || what=''

needs xdpmig qemu-system-x86_64 gcc cpio python3
bench=$BUILD/tests/bench
bench_src=$(realpath "$(dirname "$0")")
for program in "$bench/harvest" "$bench/watch"; do
	[ -x "$program" ] || fail "$program: not built"
done

# Names of migrations are the machine's, not a network namespace's; /dev/shm may
# be small.  Both mounts are in lib.sh's own namespace.
mkdir -p /run/xdpmig
mount -t tmpfs -o mode=700 xm-run /run/xdpmig
memory=$TMP/memory
mkdir "$memory"
mount -t tmpfs -o "size=$((3 * ram + 256))M,huge=never" xm-live "$memory"
live_end() {
	local status=$?

	set +e # or its failing status would end all here
	umount --lazy "$memory" # a program may still be there
	(exit "$status") # what cleanup looks at
	cleanup
}
trap live_end EXIT
results=${json:-$TMP/results}
: >"$results"

# An initramfs of one program.
make_initrd() {
	mkdir "$TMP/root"
	gcc -std=gnu11 -D_GNU_SOURCE -O2 -Wall -static -o "$TMP/root/init" \
		"$bench_src/dirtier.c" || fail "gcc cannot make the guest's program"
	(cd "$TMP/root" && find . | cpio --quiet -o -H newc -R 0:0 | gzip) \
		>"$TMP/initrd.gz"
}

live_py() { # VERB OPTION...
	run here "$bench_src/live.py" "$1" --dir "$memory" --kernel "$kernel" \
		--initrd "$TMP/initrd.gz" --src-ns "$SRC_NS" --dst-ns "$DST_NS" \
		--src-dev "$SRC_DEV" --dst-dev "$DST_DEV" --dst "$DST4" \
		--size $(((ram << 20) + (odd << 10))) --fill "$fill" --vcpus "$vcpus" "${@:2}"
}

# The first touch of memory that this machine never used is slow.
touch_memory() {
	head -c $((2 * ram))M /dev/zero >"$memory/touched"
	rm "$memory/touched"
}

boot() {
	make_initrd
	kernel=$(guest_kernel) || fail "no kernel for the guest"
	net_up
	touch_memory
	say "booting a guest of $ram MiB"
	live_py boot
	[ "$RC" = 0 ] || fail "boot"
	net_down
}

measure() { # WHAT RATE MTU
	if [ "$1" = xdpmig ]; then
		src "$XDPMIG" attach --quiet --mode native "$SRC_DEV" >/dev/null
		dst "$XDPMIG" attach --quiet --mode native "$DST_DEV" >/dev/null
	fi
	live_py move --xdpmig "$XDPMIG" --watch "$bench/watch" --way "$1" --rate "$2" \
		--mtu "$3" --channels "$channels" --downtime "$downtime" \
		--converge "$converge" --limit "$limit" --before "$before"
	[ "$RC" = 0 ] || fail "$1, $2 MB/s"
	if [ "$1" = xdpmig ]; then
		src "$XDPMIG" detach --quiet "$SRC_DEV" >/dev/null
		dst "$XDPMIG" detach --quiet "$DST_DEV" >/dev/null
	fi
	cat "$OUT" >>"$results"
	say "$(cat "$OUT")"
	[ "$1" != xdpmig ] || jq -e '.status == "completed" or .status == "time limit"' \
		"$OUT" >/dev/null || fail "the guest came to harm"
}

[ -z "$what" ] || boot
for mtu in ${mtus//,/ }; do
	[ -n "$what" ] || break
	net_up queues=16 mtu="$mtu"
	for ((n = 0; n < repeat; n++)); do
		for rate in ${rates//,/ }; do
			for w in ${what//,/ }; do
				measure "$w" "$rate" "$mtu"
			done
		done
	done
	if [ $quick = yes ]; then
		# All of it in a millisecond: never, but for a guest that gets no CPU
		# just then, on a machine that has much to do.
		for ((n = 0; n < 5; n++)); do
			limit=1 downtime=1 measure xdpmig 5000 "$mtu"
			! jq -e '.status == "time limit"' "$OUT" >/dev/null || break
		done
		assert_jq '.status == "time limit"' "$OUT" "a guest that is too fast"
	fi
	net_down
done
if [ "$harvest" -gt 0 ]; then
	run here "$bench/harvest" "$harvest"
	[ "$RC" = 0 ] || fail "harvest"
	cat "$OUT" >>"$results"
fi
echo
echo "$(nproc) CPUs, guest of $ram MiB + $odd KiB, $fill MiB filled, $vcpus virtual CPU(s)," \
	"$channels channels, limit of downtime $downtime ms, --converge $converge," \
	"kernel $(uname -r), $(qemu-system-x86_64 --version |
		sed -n 's/.*version \([0-9.]*\).*/QEMU \1/p'), median of $repeat"
"$bench_src/live_table.py" "$results"
