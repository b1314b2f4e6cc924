#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# memory.sh - guests of all shapes: tiny, odd, empty, full; a destination that
# holds something else already; hugepages; a file on a disk as the source

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
needs xdpmig

HUGEPAGES=/proc/sys/vm/nr_hugepages

# net_up and attach, once for several guests of a scenario
hosts_up() {
	net_up "$@"
	attach_both --mode auto
}

# Most channels have nothing to send; they take part in the barrier.
scenario_one_page() {
	hosts_up queues=16
	random_bytes 4096 >"$GUEST"
	migrate "$GUEST"
	assert_jq '.pages == 1 and .zero_pages == 0' "$(out_of send)" pages
	ram_zero "$GUEST" 0 4
	migrate "$GUEST"
	assert_jq '.pages == 0 and .zero_pages == 1' "$(out_of send)" pages
	detach_both
}

scenario_odd_sizes() {
	local kib

	hosts_up queues=3 mtu=3498
	for kib in 12 2044 2052 9308 33804; do
		random_bytes "${kib}K" >"$GUEST"
		ram_hole "$GUEST" 4 4
		migrate "$GUEST"
	done
	detach_both
}

scenario_one_large_hole() {
	hosts_up queues=4
	rm -f "$GUEST"
	truncate -s 3G "$GUEST"
	migrate "$GUEST"
	assert_jq '.pages == 0' "$(out_of send)" "pages"
	assert_eq "$(blocks_of "$GUEST")" 0 "blocks of a hole"
	detach_both
}

# Only its ends and a page in the middle are there; registering what lies
# between would be seen in its blocks.
scenario_sparse() {
	hosts_up queues=4 mtu=65535
	rm -f "$GUEST"
	truncate -s 3G "$GUEST"
	random_bytes 4096 | dd of="$GUEST" conv=notrunc status=none
	random_bytes 8192 | dd of="$GUEST" bs=4k seek=262147 conv=notrunc \
		status=none
	random_bytes 4096 | dd of="$GUEST" bs=4k seek=786431 conv=notrunc \
		status=none
	migrate "$GUEST"
	assert_jq '.pages == 4 and .locked_bytes < 64 * 1048576' \
		"$(out_of send)" "pages and locked memory"
	detach_both
}

scenario_no_zero_page() {
	hosts_up queues=2
	random_bytes 32M >"$GUEST"
	migrate "$GUEST"
	assert_jq '.zero_pages == 0' "$(out_of send)" "zero pages"
	detach_both
}

scenario_all_zeros() {
	hosts_up queues=2
	rm -f "$GUEST"
	ram_zero "$GUEST" 0 32768
	migrate "$GUEST"
	assert_jq '.pages == 0 and .ram_bytes_sent == 0' "$(out_of send)" pages
	detach_both
}

# What was there is overwritten, also by zeros, and holes stay holes where
# nothing was.
scenario_into_a_used_file() {
	hosts_up queues=4
	ram_make "$GUEST" 32
	random_bytes 24M >"$COPY"
	truncate -s 32M "$COPY"
	receive_and_send "$GUEST"
	check_results "$GUEST"
	assert_same_file "$GUEST" "$COPY" "guest memory"
	assert_between "$(blocks_of "$COPY")" 1 $((30 * 2048)) "copy's blocks"
	rm "$COPY"
	assert_clean
	detach_both
}

# The file is who made it, not what the umask says; a file that was there keeps
# its mode.
scenario_nobody_else_reads_it() {
	hosts_up queues=1
	random_bytes 1M >"$GUEST"
	receive_and_send "$GUEST"
	assert_eq "$(stat -c %a "$COPY")" 600 "mode of the new file"
	chmod 640 "$COPY"
	receive_and_send "$GUEST"
	assert_eq "$(stat -c %a "$COPY")" 640 "mode of the old file"
	rm "$COPY"
	detach_both
}

# Sending takes a file on a disk too: by the staged engine, which is said.
scenario_from_a_disk() {
	local disk=$TMP/disk

	if [ "$(stat -f -c %T "$TMP")" = tmpfs ]; then
		say "skipped: $TMP is not on a disk, TMPDIR says where"
		return
	fi
	hosts_up queues=2
	ram_make "$disk" 32
	receive_and_send "$disk"
	check_results "$disk"
	assert_same_file "$disk" "$COPY" "guest memory"
	assert_jq '.engine == "copy-staged" and
		.bytes_copied >= .ram_bytes_sent' "$(out_of send)" "engine"
	rm "$COPY" "$disk"
	assert_clean
	detach_both
}

# Into pages of 2 MiB, and out of them.  Hugepages of the machine are borrowed,
# and given back whatever happens.
scenario_hugepages() {
	HUGE_BEFORE=$(cat "$HUGEPAGES")
	trap huge_cleanup EXIT
	echo $((HUGE_BEFORE + 20)) >"$HUGEPAGES"
	if [ "$(cat "$HUGEPAGES")" -lt $((HUGE_BEFORE + 20)) ]; then
		say "skipped: this machine has no 20 hugepages to spare"
	else
		hugepages
	fi
	huge_end
	trap cleanup EXIT
}

huge_end() {
	umount --lazy "$TMP/huge" 2>/dev/null || true
	echo "$HUGE_BEFORE" >"$HUGEPAGES"
}

huge_cleanup() {
	local status=$?

	set +e # or its failing status ended all here
	huge_end
	(exit $status)
	cleanup
}

hugepages() {
	local huge=$TMP/huge/copy

	mkdir "$TMP/huge"
	mount -t hugetlbfs -o pagesize=2M xm-huge "$TMP/huge"
	hosts_up queues=4
	rm -f "$GUEST"
	truncate -s 32M "$GUEST"
	random_bytes 1M | dd of="$GUEST" bs=1M seek=7 conv=notrunc status=none
	random_bytes 3M | dd of="$GUEST" bs=1M seek=24 conv=notrunc status=none
	COPY=$huge receive_and_send "$GUEST"
	check_results "$GUEST"
	assert_same_file "$GUEST" "$huge" "guest memory in hugepages"
	assert_eq "$(blocks_of "$huge")" $((3 * 4096)) "blocks in hugepages"
	receive_and_send "$huge"
	check_results "$huge"
	assert_same_file "$GUEST" "$COPY" "guest memory out of hugepages"
	assert_eq "$(blocks_of "$huge")" $((3 * 4096)) "blocks in hugepages"
	rm "$COPY" "$huge"
	assert_clean
	detach_both
}

run_scenarios "$@"
