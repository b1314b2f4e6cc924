#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_target.sh - the target's QEMU is slow, hangs, or is touched by somebody
# else in the switchover: there is one guest that runs, not two and not none

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
FAULT_AT=$BUILD/tests/netns/libfault_at.so
live_needs "$FAULT_AT"

quit_all() {
	local status=$?

	set +e # or its failing status ended all here
	live_quit "$TMP/guest-c" "$TMP/guest-d"
	(exit $status)
	live_cleanup
}
trap quit_all EXIT

# userspace/core/msg.h
DEVICE_END=14
LOADED=15

begin() {
	hosts queues=2
	oracle 64
	incoming
}

finish() {
	guests_quit
	detach_both
}

is_held() {
	grep -qE "waits for|xdpmig continue" "$(err_of send)"
}

# hold: all of memory is there, and the migration waits to be continued
hold() {
	recv_live
	send_live --name victim --max-downtime 60min --pause-before-switchover
	wait_for 20 is_held
}

# stop_at_loaded: the target's QEMU has loaded all, its recv is stopped before
# it says so
stop_at_loaded() {
	spawn recv "$TO" env "LD_PRELOAD=$FAULT_AT" "XM_FAULT=stop $LOADED" \
		ASAN_OPTIONS=verify_asan_link_order=0 "$XDPMIG" recv \
		--qmp "$B/mig" --name at-target --json
	wait_for 10 grep -q 'waiting for a source' "$(err_of recv)"
	send_live --name victim
	wait_for 30 is_stopped recv
}

# only_at_source: and nothing of it is left at the target
only_at_source() {
	home send source
	home recv source
	wait_for 15 not guest_alive "$B"
	wait_for 10 live_is "$A" running
	at_home
}

# -- somebody else's cont --------------------------------------------------------------

scenario_cont_while_it_waits() {
	begin
	hold
	guest_qmp "$B" cont >"$TMP/cont" # when loaded, it would start by itself
	run src "$XDPMIG" continue victim
	moved
	finish
}

# The target has the whole stream, and only its end was not said yet.
scenario_cont_before_the_end() {
	begin
	recv_live
	spawn send "$FROM" env "LD_PRELOAD=$FAULT_AT" "XM_FAULT=stop $DEVICE_END" \
		ASAN_OPTIONS=verify_asan_link_order=0 "$XDPMIG" send \
		--dev "$(dev_of "$FROM")" --qmp "$A/mig" --name victim --json \
		"$(address_of "$TO")"
	wait_for 30 is_stopped send
	guest_qmp "$B" cont >"$TMP/cont"
	kill -CONT "$(pid_of send)"
	moved
	finish
}

# It leaves the end of the stream unread, and has loaded before.
scenario_no_vmdesc() {
	hosts queues=2
	oracle 64
	incoming machine=q35,suppress-vmdesc=on
	recv_live
	send_live --name victim
	moved
	finish
}

scenario_cont_when_loaded() {
	begin
	stop_at_loaded
	kill -STOP "$(pid_of send)" # so COMMIT does not come
	guest_qmp "$B" cont >"$TMP/cont"
	wait_for 5 live_is "$B" running
	kill -CONT "$(pid_of recv)"
	wait_for 10 not guest_alive "$B"
	kill -CONT "$(pid_of send)"
	send_end 20
	recv_end 20
	assert_between "$SEND_RC" 1 4 "send"
	assert_between "$RECV_RC" 1 4 "recv"
	grep -q 'somebody else let the guest run' "$(err_of recv)" ||
		fail "recv says: $(cat "$(err_of recv)")"
	only_at_source
	finish
}

# -- one QEMU, one guest -------------------------------------------------------------------

scenario_another_recv() {
	begin
	recv_live
	spawn recv2 "$TO" "$XDPMIG" recv --qmp "$B/qmp" --name second --json \
		--listen "$DST4:7777"
	reap recv2 10
	assert_eq "$RC" 1 "the second recv"
	assert_grep "another 'xdpmig recv' waits" "$(err_of recv2)" "second recv"
	send_live --name victim
	moved
	finish
}

# QEMU's own migration fills the target while recv still waits.
scenario_a_guest_is_there_already() {
	begin
	recv_live
	guest_qmp "$B" migrate-incoming "{\"uri\": \"unix:$TMP/own\"}" >"$TMP/in"
	guest_qmp "$A" migrate "{\"uri\": \"unix:$TMP/own\"}" >"$TMP/out"
	recv_end 20
	assert_eq "$RECV_RC" 1 "recv"
	assert_grep 'somebody else migrates a guest into' "$(err_of recv)" "recv"
	wait_for 20 live_is "$B" running
	runs "$B"
	finish
}

# It begins when our memory is on its way already.
scenario_a_guest_comes_from_elsewhere() {
	begin
	recv_live
	send_live --name victim --bandwidth 200M
	wait_for 10 grep -q '"event":"progress"' "$(out_of send)"
	guest_qmp "$B" migrate-incoming "{\"uri\": \"unix:$TMP/own\"}" >"$TMP/in"
	ended 3 1
	said recv memory 'somebody else migrates a guest into'
	home send source
	runs "$A"
	guest_alive "$B" || fail "the target's QEMU was ended, and is another's"
	finish
}

# -- memory that comes meanwhile -----------------------------------------------------

scenario_dimm_at_the_target() {
	printf '#!/bin/sh\nexec %s "$@" -m slots=2,maxmem=1G\n' "$LIVE_QEMU" \
		>"$TMP/qemu-with-slots"
	chmod +x "$TMP/qemu-with-slots"
	LIVE_QEMU=$TMP/qemu-with-slots
	begin
	hold
	guest_qmp "$B" object-add '{"qom-type": "memory-backend-memfd",
		"id": "more", "size": 134217728, "share": true}' >"$TMP/add"
	guest_qmp "$B" device_add '{"driver": "pc-dimm", "id": "dimm",
		"memdev": "more"}' >>"$TMP/add"
	run src "$XDPMIG" continue victim
	send_end 20
	recv_end 20
	assert_between "$SEND_RC" 1 4 "send"
	grep -q 'plugged' "$(err_of recv)" ||
		fail "recv says: $(cat "$(err_of recv)")"
	only_at_source
	finish
}

# -- it does not answer -----------------------------------------------------------------

# Longer than any answer is waited for: it is the only one that may run the
# guest, so it is asked until it does.
scenario_slow_to_start() {
	begin
	stop_at_loaded
	kill -STOP "$(cat "$B/pid")"
	kill -CONT "$(pid_of recv)"
	let_pass 14000
	is_gone "${PIDS[recv]}" && fail "recv gave up: $(cat "$(err_of recv)")"
	is_gone "${PIDS[send]}" && fail "send gave up: $(cat "$(err_of send)")"
	kill -CONT "$(cat "$B/pid")"
	ended 0 0
	home send target
	home recv target
	arrived
	finish
}

# It dies before it answered: nobody can say.
scenario_dead_before_it_starts() {
	begin
	stop_at_loaded
	kill -STOP "$(cat "$B/pid")"
	kill -CONT "$(pid_of recv)"
	let_pass 2000
	kill -KILL "$(cat "$B/pid")"
	ended 6 6
	home send unknown
	home recv unknown
	runs_not "$A"
	finish
}

# It hangs with half of its devices: the guest runs on at the source.
scenario_hangs_while_it_loads() {
	begin
	hold
	kill -STOP "$(cat "$B/pid")"
	run src "$XDPMIG" continue victim
	send_end 45
	assert_between "$SEND_RC" 1 4 "send"
	recv_end 20
	only_at_source
	finish
}

# -- what is written down ------------------------------------------------------------------

record() { # NAME FILTER, of the target's record
	jq -er "$2" "/run/xdpmig/$1.recv.json"
}

# The answer is about this migration, or there is none.
scenario_no_record_of_another_migration() {
	local session

	begin
	recv_live
	send_live
	ended 0 0
	record at-target .guest_runs_at | grep -qx target || fail "no record"
	record at-target .time | grep -qE '^2[0-9-]+T[0-9:]+Z$' || fail "no time"
	session=$(record at-target .session)
	assert_jq ".session == \"$session\"" "$(out_of recv)" "session"
	run dst "$XDPMIG" status --json
	assert_jq ".migrations[] | select(.name == \"at-target\") |
		.session == \"$session\" and .command == \"recv\" and
		has(\"time\")" "$OUT" "status"
	live_quit "$A"
	oracle 64
	incoming
	stop_at_loaded
	[ ! -e /run/xdpmig/at-target.recv.json ] || fail "the old record is there"
	kill -KILL "$(pid_of recv)"
	recv_end 10
	send_end 20
	[ ! -e /run/xdpmig/at-target.recv.json ] || fail "a record of nothing"
	finish
}

# -- two at a time -------------------------------------------------------------------------

# The second finds no queue at the target: it fails, and does the first no harm.
scenario_two_guests_one_device() {
	local c=$TMP/guest-c d=$TMP/guest-d

	begin
	live_oracle "$c" 64 name=second || fail "no second guest"
	live_incoming "$d" "$c" || fail "no second QEMU that waits"
	recv_live
	spawn recv2 "$TO" "$XDPMIG" recv --qmp "$d/mig" --name second-there \
		--listen "$DST4:7777" --json
	wait_for 10 grep -q 'waiting for a source' "$(err_of recv2)"
	send_live --name victim --bandwidth 200M --queues 1
	wait_for 10 grep -q '"event":"progress"' "$(out_of send)"
	spawn send2 "$FROM" "$XDPMIG" send --qmp "$c/mig" --name second \
		--queues 1-1 --json "$DST4:7777"
	reap send2 10
	assert_ne "$RC" 0 "the second send"
	reap recv2 10
	assert_ne "$RC" 0 "the second recv"
	grep -q 'another migration has queue 0' "$(err_of recv2)" ||
		fail "the second recv says: $(cat "$(err_of recv2)")"
	wait_for 5 live_is "$c" running
	run src "$XDPMIG" set victim --bandwidth 20G
	moved
	live_quit "$c" "$d"
	finish
}

run_scenarios "$@"
