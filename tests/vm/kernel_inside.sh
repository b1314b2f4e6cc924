#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kernel_inside.sh - what kernel.sh runs in its machine, as root of it

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/../netns/lib.sh"
needs xdpmig

# runs_well PROGRAM: a test binary of ours, none of whose cases may be skipped
runs_well() {
	CMOCKA_MESSAGE_OUTPUT=TAP "$BUILD/tests/$1" >"$TMP/test.out" 2>&1 || {
		cat "$TMP/test.out"
		fail "$1: $(grep '^not ok' "$TMP/test.out")"
	}
	assert_no_grep 'SKIP' "$TMP/test.out" "$1"
	assert_grep '^ok 1 ' "$TMP/test.out" "$1"
	say "$1: $(grep -c '^ok ' "$TMP/test.out") right"
}

scenario_soft_dirty() {
	runs_well vm/vm-soft_dirty
	runs_well guest/guest-synth
}

# Before 6.12 a smaller page in the place of a hugepage is ENOMEM, not EINVAL.
scenario_hugepages() { runs_well unit/unit-ram_huge; }

# Beside another's program, in either order, and gone again.
scenario_dispatcher() { runs_well bpf/bpf-dispatcher; }

scenario_attach() {
	runs_well bpf/bpf-attach
	runs_well bpf/bpf-session
}

# Frames of several descriptors are younger than this kernel.
scenario_send_says_what_is_missing() {
	net_up queues=2
	run src "$XDPMIG" attach "$SRC_DEV"
	assert_eq "$RC" 0 "attach at the source"
	run dst "$XDPMIG" attach "$DST_DEV"
	assert_eq "$RC" 0 "attach at the destination"
	spawn recv dst "$XDPMIG" recv --dev "$DST_DEV" --ram /dev/shm/copy --json
	wait_for 20 grep -q 'waiting for a source' "$(err_of recv)"
	run src "$XDPMIG" send --dev "$SRC_DEV" --synthetic 64M,10M,random \
		--json "$DST4"
	say "status $RC: $(tail -n 1 "$ERR")"
	assert_eq "$RC" 3 "exit status of send"
	assert_grep 'need Linux 6\.6' "$ERR" "message of send"
	reap recv 30
	assert_eq "$RC" 1 "exit status of recv"
	assert_grep 'need Linux 6\.6' "$(err_of recv)" "message of recv"
	run src "$XDPMIG" detach "$SRC_DEV"
	assert_eq "$RC" 0 "detach at the source"
	run dst "$XDPMIG" detach "$DST_DEV"
	assert_eq "$RC" 0 "detach at the destination"
}

# Slow: an emulated machine in an emulated one.
scenario_a_guest_of_qemu() { runs_well vm/vm-soft_guest; }

run_scenarios "$@"
