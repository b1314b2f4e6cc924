#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# qemu10.sh - the QEMU of bookworm-backports: its guests move, also from and to
# the distribution's own
#
# It is fetched and unpacked below build/guest/, not installed, and runs with the
# libraries of Debian 12.

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/../netns/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/../netns/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/../netns/live_lib.sh"
# shellcheck source=tests/vm/fetch.sh
. "${0%/*}/fetch.sh"
live_needs ldd

OLD=$LIVE_QEMU
NEW=$TMP/new/qemu-system-x86_64
# What both know.
COMMON=machine=pc-q35-7.2

new_qemu() {
	fetch_qemu "$NEW"
	"$NEW" -machine help >"$TMP/machines"
	grep -q pc-q35-7.2 "$TMP/machines" ||
		skip "$(head -n 1 "$TMP/version") has no pc-q35-7.2"
}

# guest_of PROGRAM KIND MIB [KEY=VALUE...], waits_in PROGRAM [KEY=VALUE...]
guest_of() {
	local LIVE_QEMU=$1

	"${@:2}"
}

waits_in() {
	local LIVE_QEMU=$1

	incoming "${@:2}"
}

version_of() { # DIR
	guest_qmp "$1" query-version | jq -r '.qemu.major'
}

is_new() { # DIR
	assert_between "$(version_of "$1")" 10 99 "QEMU of ${1##*/}"
}

is_old() { # DIR
	assert_between "$(version_of "$1")" 0 9 "QEMU of ${1##*/}"
}

# -- its own kind -------------------------------------------------------------------

# What is asked of the distribution's is asked of it: every answer that xdpmig
# depends on, each way to be lost and to come back.
scenario_every_question() {
	local name

	for name in qemu qemu_refused move back dead guardian guardian_act \
		guardian_settings harvest; do
		PATH=${NEW%/*}:$PATH CMOCKA_MESSAGE_OUTPUT=TAP \
			"$BUILD/tests/guest/guest-$name" >"$TMP/$name.out" 2>&1 ||
			fail "guest-$name: $(grep '^not ok' "$TMP/$name.out")"
		assert_grep '^ok 1 ' "$TMP/$name.out" "guest-$name"
		say "guest-$name: $(grep -c '^ok ' "$TMP/$name.out") right"
	done
}

scenario_new_to_new() {
	hosts queues=4
	guest_of "$NEW" oracle 64
	is_new "$A"
	waits_in "$NEW"
	is_new "$B"
	move
	turn_round
	waits_in "$NEW"
	move
	guests_quit
	detach_both
}

scenario_memory_in_memfds() {
	hosts queues=4
	guest_of "$NEW" oracle 64 mem=memory-backend-memfd,share=on
	waits_in "$NEW"
	recv_live
	send_live
	ended 0 0 60
	runs "$B"
	runs_not "$A"
	guests_quit
	detach_both
}

# held_and_cancelled: a move that had come to the switchover
held_and_cancelled() {
	recv_live
	send_live --name held --pause-before-switchover
	wait_for 20 grep -qE "waits for|xdpmig continue" "$(err_of send)"
	run src "$XDPMIG" cancel held
	assert_eq "$RC" 0 "cancel"
	ended 4 4 20
}

scenario_cancelled() {
	hosts queues=4
	guest_of "$NEW" oracle 64
	waits_in "$NEW"
	held_and_cancelled
	at_home
	waits_in "$NEW"
	move
	guests_quit
	detach_both
}

# It is as it was, and may move at once; in the distribution's QEMU it would
# have to run first.
scenario_paused_and_cancelled() {
	hosts queues=4
	guest_of "$NEW" oracle 64
	guest_pause "$A"
	waits_in "$NEW"
	held_and_cancelled
	live_is "$A" paused || fail "it is $(live_state "$A")"
	runs_not "$A"
	waits_in "$NEW"
	recv_live
	send_live
	ended 0 0 60
	runs_not "$A"
	same_memory
	guest_cont "$B"
	arrived
	guests_quit
	detach_both
}

scenario_linux() {
	hosts queues=4
	guest_of "$NEW" linux 192 load="rate=20 size=64"
	waits_in "$NEW"
	move
	live_goes_on "$B" 100 60 || fail "the guest does not go on"
	live_linux_check "$A" "$B" || fail "memory of the guest"
	guests_quit
	detach_both
}

# -- the distribution's ---------------------------------------------------------------

# The upgrade of a host, and the way back.
scenario_old_to_new_and_back() {
	hosts queues=4
	guest_of "$OLD" oracle 64 "$COMMON"
	is_old "$A"
	waits_in "$NEW"
	is_new "$B"
	move
	turn_round
	waits_in "$OLD"
	is_old "$B"
	move
	guests_quit
	detach_both
}

# "q35" is another machine in each, and that is found before a byte is sent.
scenario_another_machine() {
	hosts queues=4
	guest_of "$OLD" oracle 64
	waits_in "$NEW"
	recv_live
	send_live
	ended 3 3 20
	said send refused 'machine type: the source has pc-q35-7'
	at_home
	guests_quit
	detach_both
}

new_qemu
run_scenarios "$@"
