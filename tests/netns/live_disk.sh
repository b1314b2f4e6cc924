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

# disk_guest FILE DISK_OPTIONS: it reads
disk_guest() {
	linux 256 load="rate=20 size=32 disk=/dev/vda,32" "disk=$1" \
		"disk_opts=$2"
	wait_for 30 reads_reach "$A" 200
	incoming
}

# Harvest upon harvest, while reads are under way.
often=(--max-downtime 1ms --converge stop --timeout 4s)

# disk_moved: and it has lost nothing of what the disk wrote
disk_moved() {
	local reads

	moved
	assert_jq '.epochs >= 3' "$(out_of send)" "epochs"
	DRAINED=$(value_of '.drain_ms | floor' "$(out_of send)")
	say "drained for $DRAINED ms"
	# its whole ring is verified, and it reads on
	reads=$(reads_of "$B")
	wait_for 40 reads_reach "$B" $((reads + 200))
	live_linux_check "$A" "$B" || fail "what the disk wrote was lost"
}

disk_done() {
	guests_quit
	stop disk
	rm "$TMP/disk.raw"
	detach_both
}

# disk_moves DISK_OPTIONS: from the slow disk
disk_moves() {
	hosts queues=4
	disk_make 64 300
	disk_guest "$DISK" "$1"
	recv_live
	send_live "${often[@]}"
	disk_moved
	disk_done
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
# On the way back it becomes a direct disk while it moves, as if its storage was
# moved, or a disk plugged.
scenario_cached_reads_that_become_direct() {
	hosts queues=4
	disk_make 64 300
	disk_guest "$TMP/disk.raw" \
		cache=writeback,node-name=top,file.node-name=plain
	recv_live
	send_live "${often[@]}"
	disk_moved
	assert_eq "$DRAINED" 0 "ms of draining a guest that needs none"

	turn_round
	incoming
	recv_live
	send_live "${often[@]}" --name victim --bandwidth 400M
	wait_for 10 grep -q '"event":"progress"' "$(out_of send)"
	reopen_slow
	run "$FROM" "$XDPMIG" set victim --bandwidth 20G
	assert_eq "$RC" 0 "set --bandwidth"
	disk_moved
	[ "$DRAINED" -gt 0 ] || fail "the guest was not drained"
	disk_done
}

# reopen_slow: $A's disk is $DISK now
reopen_slow() {
	guest_qmp "$A" blockdev-add "{\"driver\": \"file\",
		\"node-name\": \"slow\", \"filename\": \"$DISK\",
		\"read-only\": true, \"cache\": {\"direct\": true}}" >/dev/null
	guest_qmp "$A" blockdev-reopen '{"options": [{"driver": "raw",
		"node-name": "top", "file": "slow", "read-only": true,
		"cache": {"direct": true}}]}' >/dev/null
}

# A file system that does without the page cache, whatever QEMU asks for.
scenario_reads_past_the_cache() {
	disk_moves cache=writeback
	[ "$DRAINED" -gt 0 ] || fail "the guest was not drained"
}

run_scenarios "$@"
