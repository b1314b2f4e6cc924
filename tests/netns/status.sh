#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# status.sh - a migration under way is seen, changed, let go on and ended by its
# name: status, set, continue, cancel
#
# The guest is a synthetic one that writes faster than may be sent: it goes on
# being copied until somebody says something.
# shellcheck disable=SC2119,SC2120 # functions that can do without arguments

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
FAULT_AT=$BUILD/tests/netns/libfault_at.so
needs xdpmig "$FAULT_AT"

ENDLESS=(--synthetic "32M,50M,random" --bandwidth 200M --converge fail
	--max-downtime 1ms)

# -- helpers ---------------------------------------------------------------------

# at HOST COMMAND...: a command of xdpmig, with --json, into $OUT
at() {
	local host=$1

	shift
	run "$host" "$XDPMIG" "$@" --json
}

at_ok() {
	at "$@"
	assert_eq "$RC" 0 "xdpmig ${*:2}"
}

# refused PATTERN HOST COMMAND...: as usage, with one message that has it
refused() {
	local pattern=$1

	shift
	at "$@"
	assert_eq "$RC" 2 "xdpmig ${*:2}"
	assert_jq '.reason == "usage"' "$OUT" "xdpmig ${*:2}"
	assert_grep "^xdpmig: $2: $pattern" "$ERR" "xdpmig ${*:2}"
}

# migration NAME FILTER: of its row in status, of the whole host
migration() {
	at_ok here status
	tail -n 1 "$OUT" | jq -e ".migrations[] | select(.name == \"$1\") | $2"
}

migration_is() { # NAME FILTER
	migration "$@" >"$TMP/row"
}

none_under_way() {
	at_ok here status
	assert_jq 'all(.migrations[]; .under_way | not)' "$OUT" "under way"
	assert_eq "$(find /run/xdpmig ! -name '*.json' -mindepth 1)" "" \
		"names that are taken"
}

receive() { # [OPTION...]
	recv_start --name there "$@"
}

# synthetic [OPTION...]: on its way, for as long as nobody says anything
synthetic() {
	spawn send src "$XDPMIG" send --dev "$SRC_DEV" "${ENDLESS[@]}" \
		--name vm1 --json "$@" "$DST4"
}

# endless [OPTION...]: at least one epoch is installed, and it goes on
endless() {
	net_up queues=2
	attach_both
	receive
	synthetic "$@"
	wait_for 20 grep -q '"event":"epoch"' "$(out_of send)"
}

# back_home SEND_STATUS RECV_STATUS
back_home() {
	ended "$1" "$2"
	home send source
	assert_clean
	none_under_way
	detach_both
}

arrived() {
	ended 0 0 60
	home send target
	home recv target
	rm "$COPY"
	assert_clean
	none_under_way
	detach_both
}

# -- status ------------------------------------------------------------------------

scenario_both_ends_are_seen() {
	endless
	migration_is vm1 '.under_way and .command == "send" and
		.peer == "'"$DST4"'" and .channels == 2 and
		.state == "copying" and .epoch >= 1 and
		.bandwidth_bits_per_s == 200000000 and
		.ram_bytes_total == 33554432 and .total_ms > 0 and
		.ram_bytes_sent > 0 and .dirty_pages_per_s > 0 and
		.throttle_percent == 0' || fail "send's status: $(<"$OUT")"
	migration_is there '.under_way and .command == "recv" and
		.ram_bytes_total == 33554432 and .ram_bytes_placed > 0' ||
		fail "recv's status: $(<"$OUT")"
	# a number is never taken back
	migration vm1 .ram_bytes_sent >"$TMP/sent"
	wait_for 10 migration_is vm1 ".ram_bytes_sent > $(<"$TMP/sent")"
	# for people, and of one device only
	run here "$XDPMIG" status
	assert_grep 'name +vm1$' "$OUT" "status as text"
	assert_grep 'name +there$' "$OUT" "status as text"
	assert_grep 'expected downtime' "$OUT" "status as text"
	at_ok src status "$SRC_DEV"
	assert_jq 'has("migrations") | not' "$OUT" "status of a device"
	at_ok here cancel vm1
	back_home 4 4
}

scenario_recv_waits() {
	net_up queues=2
	attach_both
	receive
	migration_is there '.under_way and .state == "waiting" and
		(has("ram_bytes_total") | not)' || fail "status: $(<"$OUT")"
	refused "migration 'there': that is for the source" dst set there \
		--bandwidth 1G
	refused "migration 'there': that is for the source" dst continue there
	at_ok dst cancel there
	assert_jq '.status == "cancelling"' "$OUT" "cancel"
	recv_end 5
	assert_eq "$RECV_RC" 4 "recv"
	said recv cancelled "cancelled by 'xdpmig cancel'"
	none_under_way
	detach_both
}

# -- names -----------------------------------------------------------------------------

scenario_a_name_is_taken() {
	endless
	run src "$XDPMIG" send --dev "$SRC_DEV" --name vm1 --synthetic 4M \
		"$DST4"
	assert_eq "$RC" 2 "a second send"
	assert_grep "a migration called 'vm1' is under way" "$ERR" "second send"
	run dst "$XDPMIG" recv --dev "$DST_DEV" --name vm1 --ram /dev/shm/x
	assert_eq "$RC" 2 "recv of that name"
	# the first one did not notice
	at_ok here cancel vm1
	back_home 4 4
}

# What SIGKILL leaves is no migration, and no obstacle.
scenario_a_killed_one_is_gone() {
	endless
	kill -KILL "$(pid_of send)"
	send_end 5
	recv_end 5
	assert_eq "$RECV_RC" 4 "recv"
	refused "no migration called 'vm1' is under way" here cancel vm1
	at_ok here status
	assert_jq '.migrations == []' "$OUT" "migrations"
	receive
	synthetic
	wait_for 20 grep -q '"event":"epoch"' "$(out_of send)"
	at_ok here cancel vm1
	back_home 4 4
}

# Memory has no name, and none was said.
scenario_names_of_those_without() {
	local name

	ram_make "$GUEST" 32
	SPEED=50M begin
	name=$(pid_of send)
	migration_is "send-$name" '.command == "send" and .state == "paused"' ||
		fail "$(<"$OUT")"
	migration_is "recv-$(pid_of recv)" '.command == "recv"' ||
		fail "$(<"$OUT")"
	at_ok here cancel "send-$name"
	back_home 4 4
}

# The guest's own; and when that is taken, with a number.
scenario_names_by_the_guest() {
	local send=("$XDPMIG" send --dev "$SRC_DEV" --json "${ENDLESS[@]}")
	local second

	net_up queues=4
	attach_both
	receive --queues 0-1
	spawn recv2 dst "$XDPMIG" recv --dev "$DST_DEV" --queues 2-3 \
		--listen "$DST4:7000" --port 50000 --ram "$COPY.2" --json
	wait_for 5 grep -q 'waiting for a source' "$(err_of recv2)"
	spawn send src "${send[@]}" --queues 0-1 "$DST4"
	wait_for 20 migration_is synthetic '.state == "copying"'
	spawn send2 src "${send[@]}" --queues 2-3 --port 50000 "$DST4:7000"
	second=synthetic-$(pid_of send2)
	wait_for 20 migration_is "$second" '.state == "copying" and
		.guest == "synthetic"'
	# and each goes by its name
	at_ok here cancel "$second"
	reap send2 10
	reap recv2 10
	migration_is synthetic '.state == "copying"' || fail "$(<"$OUT")"
	at_ok here cancel synthetic
	back_home 4 4
}

# -- cancel -------------------------------------------------------------------------------

scenario_cancelled_at_the_source() {
	endless
	at_ok src cancel vm1
	ended_soon 4 4
	said send cancelled "cancelled by 'xdpmig cancel'"
	said recv peer_cancelled "the peer: "
	home send source
	assert_clean
	none_under_way
	detach_both
}

scenario_cancelled_at_the_destination() {
	endless
	at_ok dst cancel there
	ended_soon 4 4
	said recv cancelled "cancelled by 'xdpmig cancel'"
	said send peer_cancelled "the peer: "
	home send source
	assert_clean
	none_under_way
	detach_both
}

# COMMIT (8) has left, and its answer (9) does not come: not yet.
scenario_too_late_to_cancel() {
	net_up queues=2
	attach_both
	spawn recv dst env "LD_PRELOAD=$FAULT_AT" "XM_FAULT=stop 9" \
		ASAN_OPTIONS=verify_asan_link_order=0 \
		"$XDPMIG" recv --dev "$DST_DEV" --ram "$COPY" --name there --json
	wait_for 5 grep -q 'waiting for a source' "$(err_of recv)"
	synthetic --synthetic 4M
	wait_for 20 grep -q '^State:.T' "/proc/$(pid_of recv)/status"
	wait_for 5 migration_is vm1 '.state == "commit"'
	refused "migration 'vm1': .* no way back" here cancel vm1
	kill -CONT "$(pid_of recv)"
	arrived
}

# -- set ------------------------------------------------------------------------------------

rate_reaches() { # MBIT: of the last progress
	grep '"event":"progress"' "$(out_of send)" | tail -n 1 |
		jq -e ".gbit_per_s * 1000 > $1"
}

scenario_set_the_bandwidth() {
	net_up queues=2
	attach_both
	receive
	synthetic --bandwidth 20M
	transferring
	at_ok here set vm1 --bandwidth 400M
	assert_jq '.status == "set" and .name == "vm1" and
		.bandwidth_bits_per_s == 400000000 and .state == "copying"' \
		"$OUT" "set"
	wait_for 10 rate_reaches 100 # five times what it was
	migration_is vm1 '.bandwidth_bits_per_s == 400000000' ||
		fail "status: $(<"$OUT")"
	at_ok here set vm1 --bandwidth none
	assert_jq '.bandwidth_bits_per_s == 0' "$OUT" "set"
	arrived # as fast as the link is, it converges
}

scenario_set_too_little() {
	endless --stall 500ms
	refused "migration 'vm1': at 1.0 Mbit/s .* too rarely for --stall" \
		here set vm1 --bandwidth 1M
	migration_is vm1 '.bandwidth_bits_per_s == 200000000' ||
		fail "status: $(<"$OUT")"
	at_ok here cancel vm1
	back_home 4 4
}

# It would go on for ever, and this is what ends it.
scenario_set_the_downtime() {
	endless
	at_ok here set vm1 --max-downtime 1min
	ended 0 0 60
	assert_jq '.epochs >= 2 and .downtime_ms > 0' "$(out_of send)" "send"
	rm "$COPY"
	assert_clean
	none_under_way
	detach_both
}

# -- continue ---------------------------------------------------------------------------------

held() {
	net_up queues=2
	attach_both
	receive
	synthetic --synthetic 16M,1M --max-downtime 300ms \
		--pause-before-switchover
	wait_for 30 migration_is vm1 '.state == "held"'
}

scenario_held_and_let_go_on() {
	held
	let_pass 500
	migration_is vm1 '.state == "held"' || fail "it did not wait"
	at_ok here continue vm1
	assert_jq '.status == "continued"' "$OUT" "continue"
	ended 0 0
	# it says where the time went
	assert_jq '.held_ms >= 500 and .downtime_ms >= .held_ms' \
		"$(out_of send)" "held_ms"
	rm "$COPY"
	assert_clean
	none_under_way
	refused "no migration called 'vm1'" here continue vm1
	detach_both
}

scenario_held_and_cancelled() {
	held
	at_ok here cancel vm1
	back_home 4 4
}

# Said before it waits, it need not wait.
scenario_let_go_on_early() {
	endless --pause-before-switchover
	at_ok here continue vm1
	refused "migration 'vm1': .* does not wait" here continue vm1
	at_ok here set vm1 --max-downtime 1min
	arrived
}

scenario_nothing_waits() {
	endless
	refused "migration 'vm1': .* does not wait" here continue vm1
	at_ok here cancel vm1
	back_home 4 4
}

run_scenarios "$@"
