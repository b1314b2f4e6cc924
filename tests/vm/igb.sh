#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# igb.sh - zero-copy by the driver of a real card, igb, which QEMU 10 emulates
#
# The card loses its link when a program is attached, chooses queues by a hash (RSS) of
# UDP's ports when it is told to, and has no flow rules for them.

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
needs xdpmig relay busybox cpio ldd modprobe depmod xz

# A receive buffer of the driver's holds 3072 bytes.
MTU=3000

hash_fields() { # FIELDS, as of ethtool -N
	src ethtool -N eth0 rx-flow-hash udp4 "$1" || fail "rx-flow-hash"
	dst ethtool -N eth0 rx-flow-hash udp4 "$1" || fail "rx-flow-hash"
	wait_for 10 has_link src
	wait_for 10 has_link dst
}

has_link() { # TAG
	"$1" grep -q 1 /sys/class/net/eth0/carrier
}

# What follows an attach in a script needs the link.
scenario_attach_waits_for_the_link() {
	link_bridge
	pair_mtu 1500
	wait_for 10 has_link src
	wait_for 10 has_link dst
	run src sh -c "'$XDPMIG' attach eth0 && cat /sys/class/net/eth0/carrier >&2"
	assert_eq "$RC" 0 "attach at the source"
	assert_grep '^1$' "$ERR" "link after attach"
	run dst "$XDPMIG" attach eth0
	assert_eq "$RC" 0 "attach at the destination"
	assert_grep 'refused .* flow rules .*search for source ports' "$ERR" "rules"
	detach_both
}

scenario_zero_copy() {
	pair_attach link_bridge $MTU
	hash_fields sdfn
	pair_moves zc-staged true
	assert_jq '.bytes_copied >= .ram_bytes_sent and
		.bytes_copied < .ram_bytes_sent * 11 / 10' "$(out_of send)" \
		"copied once, by us"
	assert_jq '[.per_channel[].queue] == [0, 1]' "$(out_of send)" "queues"
	assert_jq '[.per_channel[].queue] == [0, 1]' "$(out_of recv)" "queues"
	detach_both
}

scenario_zero_copy_mtu_1500() {
	pair_attach link_bridge 1500
	hash_fields sdfn
	pair_moves zc-staged true
	detach_both
}

scenario_zero_copy_loses() {
	pair_attach "link_relay --ports 61952-61953 --loss 2% --reorder 1% --duplicate 1%
		--corrupt 0.5%" $MTU
	hash_fields sdfn
	pair_moves zc-staged true
	assert_jq '.frames_resent > 0' "$(out_of send)" "frames again"
	link_down
	assert_ne "$(relay_stat ab lost)" 0 "frames lost on the way"
	detach_both
}

# By addresses alone each frame comes to the same queue.
scenario_hash_without_ports() {
	pair_attach link_bridge 1500
	hash_fields sd
	recv_start
	send_start "$GUEST"
	ended 1 1 60
	said send path 'queue'
	cat "$TMP/said"
	detach_both
}

QEMU=$TMP/new/qemu-system-x86_64
fetch_qemu "$QEMU"
pair_kernel
pair_furnish "$TMP/root" "$BESIDE" "$THEIRS"
pair_up "$TMP/root" "$QEMU" igb
pair_ram 16
run_scenarios "$@"
