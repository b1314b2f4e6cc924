#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_disk.sh - a guest whose disk the kernel reads straight into its memory
# (cache=none), past page tables and so past every dirty log, while it moves
#
# The disk is slow (tests/lib/slowdisk.c): a read has the guest's pages pinned
# for 300 ms before it writes to them, 32 at a time.  A harvest in between finds
# them written, they are sent as they were, and what is read into them after that
# would be lost, if reads were not drained for each harvest.  The guest keeps
# all it has read in a large ring and verifies it again and again.

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
live_needs
[ -c /dev/fuse ] || skip "needs /dev/fuse"

# disk_make MIB DELAY_MS: $DISK, which takes so long to read
disk_make() {
	local load slow mib=$1

	shift
	load=$(guest_tool guestload)
	slow=$(guest_tool slowdisk)
	DISK=$TMP/disk
	"$load" make-disk "$TMP/disk.raw" "$mib"
	: >"$DISK"
	spawn disk here "$slow" "$TMP/disk.raw" "$DISK" "$@"
	wait_for 10 grep -q ready "$(out_of disk)"
}

reads_of() { # DIR: requests that its guest has finished
	sed -n 's/^beat .* reads=\([0-9]*\) .*/\1/p' "$1/serial" | tail -n 1
}

reads_reach() { # DIR N
	[ "$(reads_of "$1")" -ge "$2" ]
}

# disk_moves DISK_OPTIONS: from the slow disk, or $PLAIN, a file of tmpfs
disk_moves() {
	local reads load

	hosts queues=4
	if [ -n "${PLAIN:-}" ]; then
		load=$(guest_tool guestload)
		DISK=$TMP/disk.raw
		"$load" make-disk "$DISK" 64
	else
		disk_make 64 300
	fi
	linux 256 load="rate=20 size=32 disk=/dev/vda,32" "disk=$DISK" \
		"disk_opts=$1"
	wait_for 30 reads_reach "$A" 200
	incoming
	recv_live
	# harvest upon harvest, while reads are under way
	send_live --max-downtime 1ms --converge stop --timeout 4s
	moved
	assert_jq '.epochs >= 3' "$(out_of send)" "epochs"
	DRAINED=$(value_of '.drain_ms | floor' "$(out_of send)")
	say "drained for $DRAINED ms"
	# its whole ring is verified, and it reads on
	reads=$(reads_of "$B")
	wait_for 40 reads_reach "$B" $((reads + 200))
	live_linux_check "$A" "$B" || fail "what the disk wrote was lost"
	guests_quit
	[ -n "${PLAIN:-}" ] || stop disk
	rm "$TMP/disk.raw"
	detach_both
}

scenario_direct_reads_by_threads() {
	disk_moves cache=none
}

scenario_direct_reads_by_native_aio() {
	disk_moves cache=none,aio=native
}

scenario_direct_reads_by_io_uring() {
	disk_moves cache=none,aio=io_uring
}

# From the page cache it is copied through QEMU's page tables, which the log sees.
scenario_cached_reads() {
	PLAIN=1 disk_moves cache=writeback
	assert_eq "$DRAINED" 0 "ms of draining a guest that needs none"
}

# A file system that does without the page cache, whatever QEMU asks for.
scenario_reads_past_the_cache() {
	disk_moves cache=writeback
	[ "$DRAINED" -gt 0 ] || fail "the guest was not drained"
}

run_scenarios "$@"
