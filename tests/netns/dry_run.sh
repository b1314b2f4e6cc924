#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# dry_run.sh - what send and recv say they would do; nobody is asked, nothing is
# touched

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
needs xdpmig
ram_make "$GUEST" 4

scenario_dry_run() {
	net_up queues=4
	attach_both
	run src "$XDPMIG" send --dry-run --json --ram "$GUEST" --queues 3 \
		--bandwidth 2G "$DST4"
	assert_eq "$RC" 0 "send --dry-run, and nobody listens"
	assert_jq '.event == "result" and .status == "planned" and
		.channels == 3 and .engine == "copy-sg" and
		.locked_bytes > 0 and .mtu_bytes == 9000 and
		.rx_buffer_bytes > 0 and .rx_buffer_bytes < .locked_bytes and
		.tx_ring_descs > 0 and .rx_ring_descs > 0 and
		.estimated_ms == (.ram_bytes_populated / 250000 | floor) and
		.xdp_mode == "native"' "$OUT" "plan"
	assert_jq '[.options[] | select(.name == "bandwidth")] ==
		[{"name": "bandwidth", "value": "2G", "from": "command line"}]' \
		"$OUT" "options"
	run dst "$XDPMIG" recv --dry-run --json --ram "$COPY"
	assert_eq "$RC" 0 "recv --dry-run"
	assert_jq ".status == \"planned\" and .channels == 4 and
		.engine == \"copy-sg\" and .xdp_mode == \"native\" and
		.mtu_bytes == 9000 and
		.rx_buffer_bytes >= 32 * 1024 * 1024 - 4 * 65536 and
		.locked_bytes > .rx_buffer_bytes and
		.listen == \"$DST4:61951\"" "$OUT" "plan"
	run dst "$XDPMIG" recv --dry-run --json --ram "$COPY" --queues 2-3
	assert_jq ".channels == 2 and .first_queue == 2" "$OUT" "plan"
	assert_clean
	run src "$XDPMIG" send --dry-run --ram "$GUEST" "$DST4"
	assert_eq "$RC" 0 "send --dry-run"
	assert_grep '^engine +copy-sg$' "$OUT" "plan for people"
	detach_both
}

# Nobody is asked for the way, also not the neighbour; that it is not there is
# for a migration to find out.
scenario_dry_run_touches_nothing() {
	local peer

	net_up queues=2 mtu=4000
	attach_both
	ip -n "$SRC_NS" neigh flush dev "$SRC_DEV"
	for peer in "$DST4" "$DST6" 198.18.0.77; do
		run src "$XDPMIG" send --dry-run --json --ram "$GUEST" "$peer"
		assert_eq "$RC" 0 "send --dry-run to $peer"
		assert_jq '.mtu_bytes == 4000 and (has("estimated_ms") | not)' \
			"$OUT" "plan"
		assert_eq "$(ip -n "$SRC_NS" neigh show to "$peer")" "" \
			"neighbour $peer"
	done
	detach_both
}

# A plan that cannot be is said, too.
scenario_dry_run_of_the_impossible() {
	net_up queues=2 mtu=65535
	attach_both
	PLAN=1
	bad_send 1 memory "nothing: " --dry-run --ram /dev/shm/nothing "$DST4"
	bad_send 2 usage "at least" --dry-run --lock-budget 512K \
		--ram "$GUEST" "$DST4"
	bad_send 1 zero_copy "no zero-copy" --dry-run --zero-copy require \
		--ram "$GUEST" "$DST4"
	bad_recv 1 zero_copy "no zero-copy" --dry-run --zero-copy require \
		--ram "$COPY"
	bad_recv 2 usage "at least" --dry-run --lock-budget 512K --ram "$COPY"
	PLAN=''
	assert_clean
	detach_both
}

run_scenarios "$@"
