#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# verify.sh - memory that changes behind the migration's back: --verify finds and
# repairs it, and nothing else does
#
# The source stops before it says VERIFY (or COMMIT, without): all memory is at
# the target then, and nothing moves while harm is done.

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
needs xdpmig "$FAULT_AT"

declare -A TYPE=([COMMIT]=8 [VERIFY]=16) # userspace/core/msg.h
STRIPE=2048 # KiB

# send_until 'MESSAGE [#N]' [OPTION...]: it will stop there
send_until() {
	local message=${1%% *}
	local nth=${1#"$message"}

	shift
	recv_start
	spawn send src env "LD_PRELOAD=$FAULT_AT" \
		"XM_FAULT=stop ${TYPE[$message]}$nth" \
		ASAN_OPTIONS=verify_asan_link_order=0 \
		"$XDPMIG" send --dev "$SRC_DEV" --ram "$GUEST" --json "$@" "$DST4"
}

go_on() { kill -CONT "$(pid_of send)"; }

# flip FILE BYTE: one bit of it
flip() {
	local byte

	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	printf '%b' "\\x$(printf %02x $((byte ^ 4)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# In three of four stripes: a bit at the target, in its page; a hole there that
# somebody wrote into; a page that the source's balloon took back after it was
# sent.
do_harm() {
	flip "$COPY" $((100 * 1024 + 17))
	random_bytes 4096 |
		dd of="$COPY" bs=1024 seek=$((STRIPE + 1800)) conv=notrunc \
			status=none
	ram_hole "$GUEST" $((2 * STRIPE + 64)) 8
}

assert_harmed() {
	not cmp -s "$GUEST" "$COPY" || fail "no harm was done"
}

harmed() { # as send_until
	net_up queues=2
	attach_both
	ram_make "$GUEST" 8
	send_until "$@"
	wait_for 20 is_stopped send
	do_harm
	assert_harmed
}

# The memory of both, and the source's blocks, were not touched by looking at
# them; at the target there is one page more, now of zeros.
scenario_what_differs_is_repaired() {
	local source target

	harmed VERIFY --verify
	source=$(blocks_of "$GUEST") target=$(blocks_of "$COPY")
	go_on
	ended 0 0
	assert_same_file "$GUEST" "$COPY" "guest memory"
	assert_eq "$(blocks_of "$GUEST")" "$source" "source's blocks"
	assert_eq "$(blocks_of "$COPY")" "$target" "target's blocks"
	assert_jq '.verify_stripes == 4 and .verify_stripes_differed == 3 and
		.verify_stripes_repaired == 3 and .verify_rounds == 2 and
		.verify_hash_ms > 0 and .downtime_verify_ms > .verify_hash_ms / 2 and
		.epochs == 2' "$(out_of send)" "figures"
	assert_jq ".verify_rounds == 2 and .verify_hash_ms > 0 and
		.verify_bytes_hashed == $((target * 512)) * 2 and
		.epochs == 2" "$(out_of recv)" "figures of recv"
	jq -se '[.[] | select(.event == "verify") | [.round, .stripes_differed]] ==
		[[1, 3], [2, 0]]' "$(out_of send)" >/dev/null ||
		fail "events: $(cat "$(out_of send)")"
	grep -q "differs in 3 of 4 pieces of 2 MiB, the first of them ram0 at 0x0" \
		"$(err_of send)" || fail "no warning: $(cat "$(err_of send)")"
	rm "$COPY"
	assert_clean
	detach_both
}

# The same harm without --verify: nobody notices.
scenario_without_it_nobody_notices() {
	harmed COMMIT
	go_on
	ended 0 0
	assert_harmed
	assert_jq 'has("verify_rounds") or has("downtime_verify_ms") | not' \
		"$(out_of send)" "figures"
	rm "$COPY"
	assert_clean
	detach_both
}

# What is repaired differs again: the guest stays.
scenario_twice_is_once_too_often() {
	net_up queues=2
	attach_both
	ram_make "$GUEST" 8
	send_until 'VERIFY #2' --verify --pause-before-switchover --name held
	wait_for 20 grep -q "waiting for 'xdpmig continue'" "$(err_of send)"
	flip "$COPY" 4096
	run src "$XDPMIG" continue held
	assert_eq "$RC" 0 "continue"
	wait_for 20 is_stopped send
	assert_same_file "$GUEST" "$COPY" "memory that was repaired"
	flip "$COPY" 4096
	go_on
	ended 5 5
	said send integrity "differs, and again after it was sent once more"
	said recv integrity "differs, and again"
	home send source
	home recv source
	assert_clean
	detach_both
}

scenario_memory_that_is_the_same() {
	net_up queues=2
	attach_both
	ram_make "$GUEST" 8
	migrate "$GUEST" --verify
	assert_jq '.verify_rounds == 1 and .verify_stripes_differed == 0 and
		.verify_stripes_repaired == 0' "$(out_of send)" "figures"
	detach_both
}

run_scenarios "$@"
