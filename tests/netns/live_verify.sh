#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_verify.sh - running guests whose memory is compared before they are handed
# over; what verify.sh does to memory alone

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
live_needs "$FAULT_AT"

VERIFY=16 EPOCH_END=6 # userspace/core/msg.h

# send_until TYPE [OPTION...]: it has stopped there
send_until() {
	faulty "stop $1"
	send_by=("${BY[@]}")
	shift
	send_live "$@"
	send_by=()
	wait_for 20 is_stopped send
}

go_on() { kill -CONT "$(pid_of send)"; }

# first_hole FILE: a page that no guest has used
first_hole() {
	python3 -c 'import os, sys
print(os.lseek(os.open(sys.argv[1], os.O_RDONLY), 32 << 20, os.SEEK_HOLE))' "$1"
}

write_page() { # FILE OFFSET
	random_bytes 4096 | dd of="$1" bs=4096 seek=$(($2 / 4096)) conv=notrunc \
		status=none
}

differs() {
	not cmp -s "$A/ram" "$B/ram"
}

# lose_a_page [OPTION...]: when all memory was sent once, and the guest still
# runs, a page becomes a hole, as when its balloon gives it back: the log of its
# writes says nothing of that, and the target has the page as it was.
lose_a_page() {
	local at

	hosts queues=2
	oracle 64
	incoming
	at=$(first_hole "$A/ram")
	write_page "$A/ram" "$at"
	recv_live --paused
	send_until $EPOCH_END "$@"
	ram_hole "$A/ram" $((at / 1024)) 4
	go_on
	ended 0 0 60
	check_live_results
}

scenario_a_page_given_back() {
	lose_a_page --verify
	same_memory
	assert_jq '.verify_rounds == 2 and .verify_stripes_differed == 1 and
		.verify_stripes_repaired == 1 and
		.downtime_verify_ms < .downtime_ms' "$(out_of send)" "figures"
	assert_jq '.verify_rounds == 2 and .verify_hash_ms > 0' \
		"$(out_of recv)" "figures of recv"
	guest_cont "$B"
	arrived
	guests_quit
	detach_both
}

scenario_a_page_given_back_and_nobody_looks() {
	lose_a_page
	differs || fail "the log saw it: then this test shows nothing"
	guests_quit
	detach_both
}

# In the middle of what the guest looks at.
scenario_a_page_of_the_targets() {
	hosts queues=4
	oracle 64
	incoming
	recv_live
	send_until $VERIFY --verify
	write_page "$B/ram" $((20 << 20))
	differs || fail "no harm was done"
	go_on
	moved
	assert_jq '.verify_rounds == 2 and .verify_stripes_differed == 1' \
		"$(out_of send)" "figures"
	guests_quit
	detach_both
}

# The user gives it up while it is compared: the guest is back, and nothing is
# left of it.
scenario_cancelled() {
	hosts queues=2
	oracle 64
	incoming
	recv_live
	send_until $VERIFY --verify --name at-source
	stop recv INT
	go_on
	send_end 20
	assert_eq "$SEND_RC" 4 "exit status of send"
	at_home
	guests_quit
	detach_both
}

run_scenarios "$@"
