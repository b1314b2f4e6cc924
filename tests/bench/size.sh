#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# size.sh - what a GiB costs in guests of different sizes
#
# Migrates files of random pages over one veth pair, 16 channels, MTU 9000, and
# divides time, CPU and memory by the GiB that memory stands behind.  SIZE:POPULATED
# is a guest of SIZE MiB with POPULATED MiB of memory, in pieces of 16 MiB that are
# spread over it evenly; the rest are holes.  Both ends' memory is touched before, and
# so much more as the kernel takes for it (bench.sh says why).
#
# Extra memory is what the machine has less of while it runs, both ends together:
# MemAvailable of before less the least seen meanwhile.

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
	cat <<-EOT
	Usage: tests/bench/size.sh [SIZE[:POPULATED]]...   (as root, with BUILD=DIR; default build)

	Default: 256 1024 4096 8192 16384:8192 262144:1024.  Needs twice the largest
	POPULATED as free memory, and some more.
	EOT
	exit 0
fi

BUILD=$(realpath "${BUILD:-$(dirname "$0")/../../build}")
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/../netns/lib.sh"

PIECE=16 # MiB
guests=("$@")
[ $# -gt 0 ] || guests=(256 1024 4096 8192 16384:8192 262144:1024)
for guest in "${guests[@]}"; do
	[[ $guest =~ ^[1-9][0-9]*(:[1-9][0-9]*)?$ ]] || mistake "no size: $guest"
	[ "${guest#*:}" -ge $PIECE ] || mistake "$guest: less than $PIECE MiB"
done

memory=$TMP/memory
mkdir "$memory"
mount -t tmpfs -o size=100% xm-size "$memory"
size_end() {
	local status=$?

	set +e # or its failing status would end all here
	umount --lazy "$memory" # a program may still be there
	(exit "$status")        # what cleanup looks at
	cleanup
}
trap size_end EXIT

# each_piece SIZE POPULATED: where the pieces are, in pieces
each_piece() {
	local n=$(($2 / PIECE)) i
	for ((i = 0; i < n; i++)); do
		echo $((i * ($1 / PIECE) / n))
	done
}

fill_memory() { # SIZE POPULATED
	local at n=0
	rm -f "$memory/src" "$memory/dst"
	truncate -s "${1}M" "$memory/src" "$memory/dst"
	for at in $(each_piece "$1" "$2"); do
		# a byte more in front of each, so that no two pages are the same
		{
			head -c $n /dev/zero
			head -c $(((PIECE << 20) - n)) "$memory/seed"
		} | dd of="$memory/src" bs=${PIECE}M count=1 seek="$at" \
			iflag=fullblock conv=notrunc status=none
		n=$((n + 1))
		dd if=/dev/zero of="$memory/dst" bs=${PIECE}M count=1 seek="$at" \
			iflag=fullblock conv=notrunc status=none
	done
}

compare_memory() { # SIZE POPULATED
	local at
	for at in $(each_piece "$1" "$2"); do
		cmp -i $((at * PIECE << 20)) -n $((PIECE << 20)) \
			"$memory/src" "$memory/dst" || fail "memory differs"
	done
	assert_eq "$(du -k "$memory/dst" | cut -f1)" \
		"$(du -k "$memory/src" | cut -f1)" "memory behind the destination, KiB"
}

available() { sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo; }

migrate() { # SIZE POPULATED
	local before least now

	src "$XDPMIG" attach --quiet "$SRC_DEV" >/dev/null
	dst "$XDPMIG" attach --quiet "$DST_DEV" >/dev/null
	head -c "$(($2 / 8 + 512))M" /dev/zero >"$memory/touched"
	rm "$memory/touched"
	before=$(available)
	least=$before
	spawn recv dst "$XDPMIG" recv --dev "$DST_DEV" --listen "$DST4" \
		--ram "$memory/dst" --json
	wait_for 10 grep -q waiting "$(err_of recv)"
	spawn send src "$XDPMIG" send --dev "$SRC_DEV" --queues 16 \
		--ram "$memory/src" --json "$DST4"
	while ! is_gone "$(pid_of send)"; do
		now=$(available)
		[ "$now" -ge "$least" ] || least=$now
		sleep 0.02
	done
	reap send 5
	[ "$RC" = 0 ] || fail "xdpmig send: see $(err_of send)"
	reap recv 20
	[ "$RC" = 0 ] || fail "xdpmig recv: see $(err_of recv)"
	src "$XDPMIG" detach --quiet "$SRC_DEV" >/dev/null
	dst "$XDPMIG" detach --quiet "$DST_DEV" >/dev/null
	compare_memory "$1" "$2"
	jq -rs --argjson size "$1" --argjson gib "$(jq -n "$2 / 1024")" \
		--argjson extra $((before - least)) '
		def r1: . * 10 | round / 10; def r2: . * 100 | round / 100;
		.[0] as $s | .[1] as $d |
		"| \($size / 1024) | \($gib) | \($s.setup_ms) | \($s.setup_ms / $gib | round) | \($s.transfer_ms / $gib | round) | \($s.gbit_per_s | r1) | \($s.cpu_ms / 1000 / $gib | r2) | \($d.cpu_ms / 1000 / $gib | r2) | \($s.locked_bytes / 1048576 / $gib | round) | \($d.locked_bytes / 1048576 | round) | \($extra / 1024 / $gib | round) |"' \
		<(tail -n 1 "$(out_of send)") <(tail -n 1 "$(out_of recv)")
}

net_up queues=16 mtu=9000
head -c ${PIECE}M /dev/urandom >"$memory/seed"
echo "| guest, GiB | memory behind it, GiB | setup, ms | setup, ms/GiB | transfer, ms/GiB | Gbit/s | CPU s/GiB source | destination | source locks, MiB/GiB | destination locks, MiB | extra memory, MiB/GiB |"
echo "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
for guest in "${guests[@]}"; do
	fill_memory "${guest%:*}" "${guest#*:}"
	migrate "${guest%:*}" "${guest#*:}"
done
