#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# demo.sh - a real guest's memory crosses AF_XDP, over 16 channels, on this machine
#
#   host src (a network namespace)             host dst (another one)
#   QEMU, a Linux guest, paused                an empty file
#   xdpmig send --queues 16  ==== veth ====>   xdpmig recv
#
# Installs what it needs (Debian 12, root), builds xdpmig, boots the guest,
# moves its RAM, compares every byte, and lets the guest go on.  RAM=MIB,
# FILL=MIB and QUEUES=N choose another size; DEBUG=1 opens a shell at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -z "${XM_NETNS_PRIVATE:-}" ]; then
	# shellcheck source=tests/lib/packages.sh
	. tests/lib/packages.sh
	packages_install tests/packages.txt
	log=build/demo.log
	mkdir -p build
	echo "building xdpmig (log: $log)"
	[ -f build/demo/build.ninja ] ||
		meson setup build/demo -Dbuildtype=release >"$log" 2>&1 ||
		{ tail -n 20 "$log"; exit 1; }
	ninja -C build/demo userspace/cli/xdpmig >>"$log" 2>&1 ||
		{ tail -n 20 "$log"; exit 1; }
fi
export BUILD=$PWD/build/demo
# shellcheck source=tests/netns/lib.sh
. tests/netns/lib.sh
# shellcheck source=tests/lib/guest.sh
. tests/lib/guest.sh

ram=${RAM:-768} fill=${FILL:-384} queues=${QUEUES:-16}
bold='' plain='' dim=''
if [ -t 1 ]; then
	bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi

title() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ %s%s\n' "$dim" "$*" "$plain"; }
kib() { du -k "$1" | cut -f 1; }

guest=$TMP/guest target=/dev/shm/xm-demo-$$
# Called by lib.sh's cleanup through the EXIT trap set below.
demo_cleanup() {
	local status=$?
	guest_quit "$guest" || true
	rm -f "$target"
	(exit $status)
	cleanup
}
trap demo_cleanup EXIT

title "A Linux guest boots in QEMU ($ram MiB of RAM, $fill MiB of random data)"
guest_boot "$guest" "$ram" "$fill"
source=$(readlink "$guest/ram")
sed 's/^/   guest: /' "$guest/serial" | tail -n 2
guest_wait "$guest" 20 '^beat [1-9]'
guest_pause "$guest"
sed 's/^/   guest: /' "$guest/serial" | tail -n 1
echo "   paused; its RAM file has $(($(kib "$source") / 1024)) MiB populated, the rest is holes"

title "Two hosts, joined by a veth pair with $queues queues, MTU 9000"
net_up queues="$queues" mtu=9000 qdisc=pfifo
for side in src dst; do
	dev=$SRC_DEV
	[ $side = src ] || dev=$DST_DEV
	show "$side# xdpmig attach $dev"
	${side}_ns "$XDPMIG" attach "$dev" -q | sed 's/^/   /'
done

title "The migration"
show "dst# xdpmig recv --ram $target"
spawn recv dst_ns "$XDPMIG" recv --json --ram "$target"
wait_for 5 grep -q waiting "$(err_of recv)"
show "src# xdpmig send --queues $queues --ram $source $DST4"
RC=0
src_ns "$XDPMIG" send --queues "$queues" --ram "$source" --json "$DST4" >"$OUT" || RC=$?
assert_eq "$RC" 0 "exit status of send"
reap recv 10
assert_eq "$RC" 0 "exit status of recv"

# One line a channel: what it carried, as a bar.
title "What happened"
tail -n 1 "$OUT" | jq -r '
	def bar(n): [range(0; n)] | map("#") | join("");
	def pad(n): tostring | (" " * ([n - length, 0] | max)) + .;
	([.per_channel[].pages] | max) as $most |
	.per_channel[] |
	"   channel \(.channel | pad(2)) queue \(.queue | pad(2)) " +
	"\(.pages | pad(6)) pages \(.zero_pages | pad(6)) zero \(.frames_sent | pad(6)) frames " +
	"\(.frames_resent | pad(3)) resent  \(bar(20 * .pages / ([$most, 1] | max) | floor))"'
tail -n 1 "$OUT" | jq -r '
	def mib: . / 1048576 | floor;
	"",
	"   engine          \(.engine): " + (if .zero_copy then "zero-copy" else
		"pages by descriptor from guest memory; the kernel copied \(.bytes_copied | mib) MiB (veth has no zero-copy)" end),
	"   sent            \(.ram_bytes_sent | mib) MiB of pages, \(.zero_pages) zero pages as numbers, in \(.transfer_ms) ms: \(.gbit_per_s) Gbit/s",
	"   frames          \(.frames_sent), of which \(.frames_resent) again; \(.syscalls) system calls",
	"   flushes         \(.flush_space) for space (half the ring), \(.flush_barrier) at the barrier",
	"   locked          \(.locked_bytes | mib) MiB of the source, \(.threads) threads, \(.cpu_ms) ms of CPU"'
tail -n 1 "$(out_of recv)" | jq -r '
	"   received        \(.frames) frames, \(.acks_sent) acknowledgements, \(.zero_holes) zero pages stayed holes",
	"   drops           \(.drops | to_entries | map(select(.value > 0) | "\(.key) \(.value)") | if length > 0 then join(", ") else "none" end)"'

title "Every byte?"
show "cmp $source $target"
cmp "$source" "$target" || fail "the memories differ"
echo "   identical: $(sha256sum "$target" | cut -c 1-32)...  $ram MiB"
echo "   source $(($(kib "$source") / 1024)) MiB populated, target $(($(kib "$target") / 1024)) MiB"

title "The guest at the source goes on, its memory unharmed"
beats=$(grep -c '^beat' "$guest/serial")
guest_cont "$guest"
enough() { [ "$(grep -c '^beat' "$guest/serial")" -ge $((beats + 5)) ]; }
guest_until "$guest" 60 enough || fail "the guest does not beat"
guest_wait "$guest" 60 '^beat .* ok'
sed 's/^/   guest: /' "$guest/serial" | tail -n 3
! grep -q CORRUPT "$guest/serial" || fail "the guest found its memory changed"

for side in src dst; do
	dev=$SRC_DEV
	[ $side = src ] || dev=$DST_DEV
	${side}_ns "$XDPMIG" detach "$dev" -q >"$TMP/detach.out"
done
assert_detached
title "Done: the same memory at both hosts, nothing left attached"
