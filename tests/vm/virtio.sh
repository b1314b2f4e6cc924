#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# virtio.sh - zero-copy by virtio-net's driver, between two emulated machines
#
# One descriptor a frame: engine zc-staged.  In copy mode that driver takes references
# to the pages it sends: engine copy-sg.  A frame's queue is chosen by a hash of the
# tap device, so source ports are searched for.

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/../netns/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/../netns/session.sh"
# shellcheck source=tests/lib/guest.sh
. "${0%/*}/../lib/guest.sh"
# shellcheck source=tests/vm/vm.sh
. "${0%/*}/vm.sh"
# shellcheck source=tests/vm/fetch.sh
. "${0%/*}/fetch.sh"
# shellcheck source=tests/vm/pair.sh
. "${0%/*}/pair.sh"
needs xdpmig relay qemu-system-x86_64 busybox cpio ldd modprobe depmod xz

# What the kernel takes for zero-copy: one chunk a frame.
MTU=3814

# Ports of both directions are found by trying: replies came on the other queue.
scenario_zero_copy() {
	pair_attach link_bridge $MTU
	pair_moves zc-staged true
	assert_jq '.bytes_copied >= .ram_bytes_sent and
		.bytes_copied < .ram_bytes_sent * 11 / 10' "$(out_of send)" \
		"copied once, by us"
	assert_jq '[.per_channel[].queue] == [0, 1]' "$(out_of send)" "queues"
	assert_jq '[.per_channel[].queue] == [0, 1]' "$(out_of recv)" "queues"
	detach_both
}

scenario_zero_copy_ipv6_mtu_1500() {
	pair_attach link_bridge 1500
	PEER="[$DST6]" pair_moves zc-staged true recv:--listen "recv:$DST6"
	detach_both
}

scenario_zero_copy_loses() {
	pair_attach "link_relay --ports 61952-61953 --loss 2% --reorder 1% --duplicate 1%
		--corrupt 0.5%" $MTU
	pair_moves zc-staged true
	assert_jq '.frames_resent > 0' "$(out_of send)" "frames again"
	link_down
	assert_ne "$(relay_stat ab lost)" 0 "frames lost on the way"
	detach_both
}

scenario_zero_copy_encrypted() {
	pair_attach link_bridge $MTU
	pair_moves zc-staged true --encrypt
	detach_both
}

# A guest that writes while it is copied, into a tenth of its memory for the most part.
# Both ends hash it all when it is paused.
scenario_zero_copy_live() {
	pair_attach link_bridge $MTU
	recv_start
	spawn send src "$XDPMIG" send --dev "$SRC_DEV" --synthetic 16M,2M,hot \
		--converge stop --timeout 20s --verify --json "$DST4"
	ended 0 0 60
	assert_jq '.engine == "zc-staged" and .zero_copy and .epochs > 1 and
		.ram_bytes_sent > .ram_bytes_total' "$(out_of send)" "live"
	say "$(value_of '"\(.epochs) epochs, \(.ram_bytes_sent) bytes"' "$(out_of send)")"
	dst rm "$COPY"
	detach_both
}

# It cannot send pages without a copy of ours.
scenario_require() {
	pair_attach link_bridge $MTU
	PLAN=1 bad_send 1 zero_copy 'driver virtio_net takes one descriptor a frame' \
		--dry-run --dev "$SRC_DEV" --ram "$GUEST" --zero-copy require "$DST4"
	detach_both
}

# Whole pages in a frame, which zero-copy does not take: by reference, 17 pieces.
scenario_page_references() {
	pair_attach link_bridge 9000
	pair_moves copy-sg false
	assert_jq '.frame_bytes > 8192' "$(out_of send)" "frame"
	detach_both
}

scenario_page_references_lose() {
	pair_attach "link_relay --ports 61952-61953 --loss 2% --duplicate 1%" 9000
	pair_moves copy-sg false
	assert_jq '.frames_resent > 0' "$(out_of send)" "frames again"
	link_down
	assert_ne "$(relay_stat ab lost)" 0 "frames lost on the way"
	detach_both
}

scenario_copy_mode_where_zero_copy_would_do() {
	pair_attach link_bridge $MTU
	pair_moves copy-sg false --zero-copy off recv:--zero-copy recv:off
	pair_moves zc-staged true --zero-copy prefer recv:--zero-copy recv:require
	detach_both
}

# Another program is there first, and stays; one that comes later finds room.
scenario_beside_another_program() {
	link_bridge
	pair_mtu 1500
	src "$BESIDE" attach eth0 "$THEIRS" || fail "their program"
	pair_attach link_bridge 1500
	dst "$BESIDE" attach eth0 "$THEIRS" || fail "their program"
	assert_eq "$(src "$BESIDE" list eth0 | sort | xargs)" "their_pass xm_steer" "source"
	assert_eq "$(dst "$BESIDE" list eth0 | sort | xargs)" "their_pass xm_steer" \
		"destination"
	pair_moves zc-staged true
	run src "$XDPMIG" detach "$SRC_DEV"
	assert_eq "$RC" 0 "detach at the source"
	run dst "$XDPMIG" detach "$DST_DEV"
	assert_eq "$RC" 0 "detach at the destination"
	assert_eq "$(src "$BESIDE" list eth0)" their_pass "left at the source"
	assert_eq "$(dst "$BESIDE" list eth0)" their_pass "left at the destination"
	src "$BESIDE" detach eth0
	dst "$BESIDE" detach eth0
	assert_detached
}

pair_kernel
pair_furnish "$TMP/root" "$BESIDE" "$THEIRS"
pair_up "$TMP/root" qemu-system-x86_64 \
	virtio-net-pci,iommu_platform=on,disable-legacy=on,mq=on,vectors=8
pair_ram 16
run_scenarios "$@"
