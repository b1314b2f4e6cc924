#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bench.sh - xdpmig, the ceiling and QEMU on one veth pair
#
#     netns source                            netns destination
#    +------------------+                    +------------------+
#    | 2 GiB of random  |  veth, 16 queues   |  2 GiB, written  |
#    | pages in a file ======================== to before       |
#    +------------------+                    +------------------+
#
#   blast            AF_XDP without a protocol: what the receivers get (blast.c);
#                    with one thread or one per CPU, with or without knowing how
#                    far they are (blast --progress), the best of the four
#   install          the same, and pages are summed, copied into guest memory
#                    and checked (blast --install): what they install
#   xdpmig           xdpmig send / recv, with a key: frames have tags
#   xdpmig-staged    the same with send --lock-budget, which no guest fits: its pages are
#                    not pinned, but copied
#   xdpmig-insecure  the same with --insecure: frames are summed only
#   xdpmig-encrypt   the same with --encrypt
#   xdpmig-verify    the same with send --verify, and what that takes
#   qemu             QEMU's multifd over TCP, guest paused, bandwidth raised
#   qemu-zero-copy   the same with zero-copy-send
#
# All memory is touched before: the guests' once, and before each run so much of the
# machine's free memory that what a run's kernel and processes take is some of it.
# (A virtual machine gets a page from its host when it is first touched, which takes
# ten times as long as to clear it, and may have to give it back.)
#
# Frames that a row sent for nothing are in its last column: sent again by xdpmig, lost
# by blast, which sends none again.  A veth pair copies every packet up to three times,
# on the sender's CPU: compare the rows of one run, not runs.  Nothing else should run
# meanwhile.  Prints Markdown; docs/performance.md explains it.

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
	cat <<-EOT
	Usage: tests/bench/bench.sh [OPTION]...   (as root, with BUILD=DIR; default build)

	  --size MIB       guest memory, default 2048
	  --repeat N       runs of each, default 3; the median is shown
	  --mtu LIST       default 9000,65535
	  --channels LIST  default 1,4,16
	  --what LIST      default blast,install,xdpmig,qemu,qemu-zero-copy; also
	                   xdpmig-staged, xdpmig-insecure, xdpmig-encrypt, xdpmig-verify
	  --seconds S      of each blast, default 3
	  --hugepages      guest memory in pages of 2 MiB at both ends, reserved for the
	                   time of the run (vm.nr_hugepages)
	  --json FILE      keep every run's figures, one object a line
	EOT
	exit 0
fi

BUILD=$(realpath "${BUILD:-$(dirname "$0")/../../build}")
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/../netns/lib.sh"

size=2048 repeat=3 mtus=9000,65535 channels=1,4,16 seconds=3 json=''
what=blast,install,xdpmig,qemu,qemu-zero-copy hugepages=no
while [ $# -gt 0 ]; do
	if [ "$1" = --hugepages ]; then
		hugepages=yes
		shift
		continue
	fi
	[ $# -gt 1 ] || mistake "$1 needs a value"
	case $1 in
	--size) size=$2 ;;
	--repeat) repeat=$2 ;;
	--mtu) mtus=$2 ;;
	--channels) channels=$2 ;;
	--what) what=$2 ;;
	--seconds) seconds=$2 ;;
	--json) json=$2 ;;
	*) mistake "unknown option $1" ;;
	esac
	shift 2
done

here_dir=$(dirname "$0")
BLAST=$BUILD/tests/bench/blast
for program in "$BLAST" "$XDPMIG"; do
	[ -x "$program" ] || fail "$program: not built"
done
# /dev/shm may be small; these mounts are in lib.sh's own namespace.
memory=$TMP/memory guests=$TMP/memory had_hugepages=''
mkdir "$memory"
mount -t tmpfs -o size=$((2 * size + 4096))M xm-bench "$memory"
bench_end() {
	local status=$?

	set +e # or the first that fails would end all here
	umount --lazy "$memory" # a program may still be there
	[ "$guests" = "$memory" ] || umount --lazy "$guests"
	[ -z "$had_hugepages" ] || sysctl -q "vm.nr_hugepages=$had_hugepages"
	(exit "$status") # what cleanup looks at
	cleanup
}
trap bench_end EXIT
if [ $hugepages = yes ]; then
	guests=$TMP/guests
	mkdir "$guests"
	had_hugepages=$(sysctl -n vm.nr_hugepages)
	sysctl -q "vm.nr_hugepages=$((had_hugepages + size))"
	[ "$(sysctl -n vm.nr_hugepages)" = $((had_hugepages + size)) ] ||
		fail "the kernel has no $size hugepages"
	mount -t hugetlbfs -o pagesize=2M xm-bench "$guests"
fi
src_ram=$guests/src dst_ram=$guests/dst
results=${json:-$TMP/results}
: >"$results"

# Random pages at the source, allocated ones at the destination; mapped, since nothing
# can be written to hugetlbfs.
fill_memory() {
	python3 - "$size" "$src_ram" "$dst_ram" <<-'EOT'
	import mmap
	import os
	import sys

	PIECE = 16 << 20
	size = int(sys.argv[1]) << 20
	random = os.urandom(PIECE)
	for path, is_random in (sys.argv[2], True), (sys.argv[3], False):
	    with open(path, "w+b") as f:
	        f.truncate(size)
	        with mmap.mmap(f.fileno(), size) as memory:
	            for at in range(0, size, PIECE):
	                # a byte more in front of each, so that no two pages are the same
	                front = bytes(at // PIECE)
	                piece = front + random if is_random else bytes(PIECE)
	                end = min(at + PIECE, size)
	                memory[at:end] = piece[:end - at]
	EOT
}

# Free memory that the machine has for certain.
touch_free_memory() {
	head -c 3072M /dev/zero >"$memory/touched"
	rm "$memory/touched"
}

# record WHAT CHANNELS MTU FILTER FILE...: one line of results
record() {
	local name=$1 n=$2 mtu=$3 filter=$4
	shift 4
	jq -cs --arg what "$name" --argjson channels "$n" --argjson mtu "$mtu" \
		"{what: \$what, channels: \$channels, mtu: \$mtu} + ($filter)" \
		"$@" >>"$results" || fail "$name: no figures"
	say "$(tail -n 1 "$results")"
}

# What the receivers get; bytes are theirs, so that CPU is per byte received.
run_blast() { # CHANNELS THREADS INSTALL PROGRESS: "", or options of both sides
	local common=(--queues "$1" --threads "$2" ${3:+"$3"}
		${4:+"$4" "$memory/progress"})

	spawn recv dst "$BLAST" recv "${common[@]}" ${3:+--ram "$dst_ram"} \
		"$DST_DEV"
	wait_for 10 grep -q ready "$(out_of recv)"
	run src "$BLAST" send "${common[@]}" --seconds "$seconds" \
		--ram "$src_ram" "$SRC_DEV" "$DST4"
	[ "$RC" = 0 ] || fail "blast send"
	stop recv
	[ "$RC" = 0 ] || fail "blast recv"
	cp "$OUT" "$TMP/blast.send"
	grep '^{' "$(out_of recv)" >"$TMP/blast.recv"
	assert_eq "$(jq .rejected "$TMP/blast.recv")" 0 "frames with a wrong sum"
}

measure_blast() { # CHANNELS MTU [--install]
	local threads progress best=-1 free=-1 rate name=blast

	[ -z "${3:-}" ] || name=install
	for threads in 1 "$(nproc)"; do
		[ "$threads" -le "$1" ] || continue
		for progress in '' --progress; do
			run_blast "$1" "$threads" "${3:-}" "$progress"
			rate=$(jq '.gbit_per_s * 100 | round' "$TMP/blast.recv")
			if [ -z "$progress" ] && [ "$rate" -gt "$free" ]; then
				free=$rate
			fi
			[ "$rate" -gt "$best" ] || continue
			best=$rate
			mv "$TMP/blast.send" "$TMP/best.send"
			mv "$TMP/blast.recv" "$TMP/best.recv"
		done
	done
	# The sender counts completions, and may miss the last.
	record "$name" "$1" "$2" '{bytes: .[1].bytes, gbit_per_s: .[1].gbit_per_s,
		src_cpu_ms: .[0].cpu_ms, dst_cpu_ms: .[1].cpu_ms,
		src_syscalls: .[0].syscalls, dst_syscalls: .[1].syscalls,
		vain_percent: ([100 * (1 - .[1].frames / .[0].frames), 0] | max),
		threads: .[1].threads, free_gbit_per_s: ('"$free"' / 100)}' \
		"$TMP/best.send" "$TMP/best.recv"
}

measure_xdpmig() { # CHANNELS MTU [--staged|--insecure|--encrypt|--verify]
	local name=xdpmig${3:+-${3#--}} trust=(${3:+"$3"}) send=()

	[ "${3:-}" != --insecure ] || trust=(--config /dev/null --insecure)
	[ "${3:-}" != --verify ] || trust=() send=(--verify)
	[ "${3:-}" != --staged ] || trust=() send=(--lock-budget "$((16 * $1))M")
	src "$XDPMIG" attach --quiet "$SRC_DEV" >/dev/null
	dst "$XDPMIG" attach --quiet "$DST_DEV" >/dev/null
	spawn recv dst "$XDPMIG" recv --dev "$DST_DEV" --listen "$DST4" \
		--ram "$dst_ram" --json "${trust[@]}"
	wait_for 10 grep -q waiting "$(err_of recv)"
	run src "$XDPMIG" send --dev "$SRC_DEV" --queues "$1" --ram "$src_ram" \
		--json "${trust[@]}" "${send[@]}" "$DST4"
	[ "$RC" = 0 ] || fail "xdpmig send"
	reap recv 20
	[ "$RC" = 0 ] || fail "xdpmig recv"
	cmp "$src_ram" "$dst_ram" || fail "memory differs"
	src "$XDPMIG" detach --quiet "$SRC_DEV" >/dev/null
	dst "$XDPMIG" detach --quiet "$DST_DEV" >/dev/null
	tail -n 1 "$OUT" >"$TMP/x.send"
	tail -n 1 "$(out_of recv)" >"$TMP/x.recv"
	record "$name" "$1" "$2" '{bytes: .[0].ram_bytes_total,
		gbit_per_s: .[0].gbit_per_s,
		src_cpu_ms: .[0].cpu_ms, dst_cpu_ms: .[1].cpu_ms,
		user_cpu_ms: (.[0].cpu_user_ms + .[1].cpu_user_ms),
		src_syscalls: .[0].syscalls, dst_syscalls: .[1].syscalls,
		vain_percent: (100 * .[0].frames_resent / .[0].frames_sent),
		setup_ms: .[0].setup_ms, total_ms: .[0].total_ms,
		verify_ms: .[0].downtime_verify_ms,
		src_hash_ms: .[0].verify_hash_ms, dst_hash_ms: .[1].verify_hash_ms,
		engine: .[0].engine}' "$TMP/x.send" "$TMP/x.recv"
}

measure_qemu() { # CHANNELS MTU [--zero-copy]
	local name=qemu
	[ -z "${3:-}" ] || name=qemu-zero-copy
	run here "$here_dir/qemu.py" --src-ns "$SRC_NS" --dst-ns "$DST_NS" \
		--src-ram "$src_ram" --dst-ram "$dst_ram" --size $((size << 20)) \
		--addr "$DST4" --channels "$1" ${3:+"$3"}
	[ "$RC" = 0 ] || fail "$name"
	cp "$OUT" "$TMP/qemu"
	record "$name" "$1" "$2" '.[0]' "$TMP/qemu"
}

say "filling 2 x $size MiB"
fill_memory
for mtu in ${mtus//,/ }; do
	net_up queues=16 mtu="$mtu"
	for ((n = 0; n < repeat; n++)); do
		for c in ${channels//,/ }; do
			for w in ${what//,/ }; do
				touch_free_memory
				case $w in
				blast) measure_blast "$c" "$mtu" ;;
				install) measure_blast "$c" "$mtu" --install ;;
				xdpmig) measure_xdpmig "$c" "$mtu" ;;
				xdpmig-staged) measure_xdpmig "$c" "$mtu" --staged ;;
				xdpmig-insecure) measure_xdpmig "$c" "$mtu" --insecure ;;
				xdpmig-encrypt) measure_xdpmig "$c" "$mtu" --encrypt ;;
				xdpmig-verify) measure_xdpmig "$c" "$mtu" --verify ;;
				qemu) measure_qemu "$c" "$mtu" ;;
				qemu-zero-copy) measure_qemu "$c" "$mtu" --zero-copy ;;
				*) mistake "--what: unknown: $w" ;;
				esac
			done
		done
	done
	net_down
done
echo
echo "$(nproc) CPUs, $size MiB, kernel $(uname -r), $(qemu-system-x86_64 --version |
	sed -n 's/.*version \([0-9.]*\).*/QEMU \1/p'), median of $repeat"
"$here_dir/table.py" "$results"
