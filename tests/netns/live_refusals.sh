#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_refusals.sh - guests that cannot be moved, and targets that cannot take
# them: one clear message at both ends, and the guest runs on at the source

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
live_needs

# refused PATTERN [KEY=VALUE...]: a target's QEMU made otherwise
refused() {
	local pattern=$1

	shift
	say "$*"
	incoming "$@"
	recv_live
	send_live
	ended 3 3
	said send refused "$pattern"
	said recv refused "$pattern"
	home send source
	home recv source
	at_home
}

scenario_another_guest() {
	hosts queues=2
	oracle 64
	refused "[uU][uU][iI][dD]" uuid=00112233-4455-6677-8899-aabbccddeeff
	refused "67108864|bytes|size" ram=80
	refused "machine|pc-q35|pc-i440fx" machine=pc
	refused "block|ram1" backends=2
	move_after
	guests_quit
	detach_both
}

# What receives only to measure would throw it away.
scenario_a_target_that_discards() {
	hosts queues=2
	oracle 64
	spawn recv dst "$XDPMIG" recv --dev "$DST_DEV" --discard --json
	wait_for 10 grep -q 'waiting for sources' "$(err_of recv)"
	send_live
	send_end 20
	assert_eq "$SEND_RC" 3 "send"
	said send refused "device"
	home send source
	at_home
	stop recv
	assert_eq "$RC" 0 "recv --discard, stopped"
	assert_jq '.status == "stopped" and .sessions == 0' "$(out_of recv)" "result"
	move_after
	guests_quit
	detach_both
}

# send_fails STATUS PATTERN [OPTION...]
send_fails() {
	local status=$1 pattern=$2

	shift 2
	send_live "$@"
	send_end 20
	assert_eq "$SEND_RC" "$status" "send"
	grep -q '^xdpmig: send: ' "$(err_of send)" || fail "send said nothing"
	assert_grep "$pattern" "$(err_of send)" "message of send"
	home send source
}

scenario_nobody_listens() {
	hosts queues=2
	oracle 64
	send_fails 1 "$DST4"
	at_home
	move_after
	guests_quit
	detach_both
}

scenario_memory_that_cannot_be_seen() {
	hosts queues=1
	oracle 64 mem=memory-backend-ram
	send_fails 1 "ram0.*share"
	runs "$A"
	live_quit "$A"
	oracle 64 mem=memory-backend-file,mem-path=%s,share=off
	send_fails 1 "ram0.*share"
	runs "$A"
	guests_quit
	detach_both
}

scenario_no_monitor() {
	hosts queues=1
	run src "$XDPMIG" send --qmp "$TMP/nothing" --json "$DST4"
	assert_eq "$RC" 1 "send"
	assert_grep "$TMP/nothing" "$ERR" "message"
	run dst "$XDPMIG" recv --qmp "$TMP/nothing" --json
	assert_eq "$RC" 1 "recv"
	assert_grep "$TMP/nothing" "$ERR" "message"
	detach_both
}

# A running guest is no place for another one.
scenario_target_that_does_not_wait() {
	hosts queues=1
	oracle 64
	run dst "$XDPMIG" recv --qmp "$A/mig" --json
	assert_between "$RC" 1 3 "recv"
	assert_grep "incoming" "$ERR" "message"
	at_home
	guests_quit
	detach_both
}

scenario_no_room_at_the_target() {
	hosts queues=2
	oracle 64
	mkdir "$TMP/small"
	mount -t tmpfs -o size=16m small "$TMP/small"
	incoming "shm=$TMP/small"
	recv_live
	send_live
	ended 3 1
	said recv memory "space|full|room"
	home send source
	home recv source
	at_home
	live_quit "$B"
	umount "$TMP/small"
	move_after
	guests_quit
	detach_both
}

# -- hands on QEMU's process ----------------------------------------------------------

# trace DIR: as a debugger does; its threads run on
trace() {
	cat >"$TMP/trace.py" <<-'END'
		import ctypes, os, sys
		SEIZE, WALL = 0x4206, 0x40000000
		libc = ctypes.CDLL(None)
		for tid in os.listdir(f"/proc/{sys.argv[1]}/task"):
		    if libc.ptrace(SEIZE, int(tid), None, None):
		        sys.exit("not to be traced")
		print("ready", flush=True)
		while True:
		    os.waitpid(-1, WALL)
	END
	spawn tracer here python3 "$TMP/trace.py" "$(cat "$1/pid")"
	wait_for 10 grep -q ready "$(out_of tracer)"
}

# Nothing was done to the guest: nobody holds its threads, no descriptor is left.
assert_untouched() { # DIR
	local pid

	pid=$(cat "$1/pid")
	assert_eq "$(cat "/proc/$pid"/task/*/status | grep -c '^TracerPid:	[1-9]')" \
		0 "threads of ${1##*/} that are held"
	find "/proc/$pid/fd" -lname '*userfaultfd*' >"$TMP/fds"
	assert_eq "$(cat "$TMP/fds")" "" "userfaultfds in ${1##*/}"
}

# refuses NAME PATTERN: within the 5 s that QEMU has for an answer
refuses() {
	reap "$1" 20
	assert_eq "$RC" 1 "$1"
	assert_grep "$2" "$(err_of "$1")" "message of $1"
}

# A debugger; then QEMU is stopped while it is copied, and two more want what the
# first ones have.
scenario_traced_or_stopped() {
	hosts queues=2
	oracle 64
	incoming
	recv_live
	trace "$A"
	send_fails 1 "traced by process $(pid_of tracer)"
	stop tracer KILL
	assert_untouched "$A"

	send_live --bandwidth 200M
	wait_for 10 grep -q '"event":"progress"' "$(out_of send)"
	kill -STOP "$(cat "$A/pid")"
	spawn other-send src "$XDPMIG" send --dev "$SRC_DEV" --qmp "$A/qmp" \
		--json "$DST4"
	spawn other-recv dst "$XDPMIG" recv --dev "$DST_DEV" --qmp "$B/mig" \
		--json
	refuses other-send 'process is stopped'
	refuses other-recv 'another client has the monitor'
	ended 1 3 30
	said send memory 'did not answer.*process is stopped'
	assert_grep 'the guest is as it was' "$(err_of send)" "warning"
	home send source
	kill -CONT "$(cat "$A/pid")"
	at_home
	assert_untouched "$A"
	move_after
	guests_quit
	detach_both
}

run_scenarios "$@"
