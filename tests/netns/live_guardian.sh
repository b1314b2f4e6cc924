#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_guardian.sh - the guest cannot be let run at the source at once: its QEMU
# does not answer, or refuses.  Nobody says that it runs, the guardian goes on
# trying after send has ended, and until then no other xdpmig has the guest

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
live_needs

held() {
	grep -q 'xdpmig continue' "$(err_of send)"
}

# All memory is there, and the guest is paused.
to_held() {
	incoming
	recv_live
	send_live --name victim --max-downtime 60min --pause-before-switchover
	wait_for 20 held
}

signal_qemu() { # SIGNAL DIR
	kill "-$1" "$(cat "$2/pid")"
}

record() { # FILTER, of the source's record
	jq -er "$1" /run/xdpmig/victim.send.json
}

record_says() { # FILTER
	record "$1" >/dev/null 2>&1
}

# status says what the guardian does; its process in $GUARDIAN
is_trying() {
	wait_for 10 record_says '.guardian == "trying"'
	GUARDIAN=$(record .guardian_pid)
	assert_eq "$(record .guest_runs_at)" unknown "record of what is tried"
	run src "$XDPMIG" status --json
	assert_jq ".migrations[] | select(.name == \"victim\") |
		.guardian == \"trying\" and .guardian_pid == $GUARDIAN and
		.guest_runs_at == \"unknown\" and (.under_way | not)" \
		"$OUT" "status"
	holds_nothing
}

# Nothing of the network, and nobody's standard error.
holds_nothing() {
	local ns fds=/proc/$GUARDIAN/fd

	ns=$(readlink "/proc/$GUARDIAN/ns/net")
	assert_eq "$ns" "$(readlink "/proc/$(cat "$A/pid")/ns/net")" \
		"the guardian's network namespace"
	assert_ne "$ns" "$(src readlink /proc/self/ns/net)" \
		"the guardian's network namespace"
	wait_for 10 not grep -q "$TMP" <(readlink "$fds"/*)
	assert_no_grep 'socket:|anon_inode|/dev/shm' "/proc/$GUARDIAN/maps" \
		"rings, maps and memory that the guardian has mapped"
}

# locked_out MONITOR: another send is refused, and told by whom
locked_out() {
	run src "$XDPMIG" send --dev "$SRC_DEV" --qmp "$1" --json "$DST4"
	assert_eq "$RC" 6 "a send of a guest that is not back"
	assert_grep "guardian .process $GUARDIAN. still" "$ERR" "message of that"
	assert_jq '.guest_runs_at == "unknown"' "$OUT" "home of that"
}

# Nor has anybody else its name.
name_is_taken() {
	truncate -s 4M "$TMP/memory"
	run src "$XDPMIG" send --dev "$SRC_DEV" --ram "$TMP/memory" --json \
		--name victim "$DST4"
	assert_eq "$RC" 2 "a send of the same name"
	assert_grep "a migration called 'victim'" "$ERR" "message of that"
}

# The guest runs at the source, it is written down, and the guardian is gone.
was_brought_back() {
	wait_for 20 live_is "$A" running
	wait_for 10 is_gone "$GUARDIAN"
	assert_eq "$(record '.guardian + " " + .guest_runs_at')" "done source" \
		"record of what was done"
	at_home
}

not_back() { # SECONDS
	send_end "$1"
	assert_eq "$SEND_RC" 6 "send"
	home send unknown
	assert_jq '.reason == "unknown_outcome" and .given_up == "cancelled" and
		.guardian_pid > 0 and (.resume_error | length > 0)' \
		"$(out_of send)" "result"
	is_trying
	assert_jq ".guardian_pid == $GUARDIAN" "$(out_of send)" "guardian"
}

# QEMU answers nobody.
scenario_qemu_stands_still() {
	hosts queues=2
	oracle 64
	to_held
	signal_qemu STOP "$A"
	kill -KILL "$(pid_of send)"
	send_end 5
	is_trying
	assert_eq "$(record .session | wc -c)" 33 "a session's id"
	locked_out "$A/qmp"
	name_is_taken
	signal_qemu CONT "$A"
	was_brought_back
	recv_end 10
	to_held
	signal_qemu STOP "$A"
	kill -INT "$(pid_of send)"
	not_back 40
	signal_qemu CONT "$A"
	was_brought_back
	recv_end 10
	guests_quit
	detach_both
}

# hold_disk DIR: no QEMU may have it
hold_disk() {
	spawn disk here python3 -c "
import fcntl, signal, struct
disk = open('$1/disk', 'r+b')
lock = struct.pack('hhqqi', fcntl.F_WRLCK, 0, 0, 0, 0)
fcntl.fcntl(disk, fcntl.F_OFD_SETLK, lock)
print('held', flush=True)
signal.pause()"
	wait_for 10 grep -q held "$(out_of disk)"
}

# QEMU had moved the guest, and the target has its disk still.
scenario_qemu_refuses() {
	hosts queues=2
	oracle 64
	to_held
	signal_qemu STOP "$B"
	src "$XDPMIG" continue victim >"$TMP/continue.out" 2>&1 ||
		fail "continue: $(cat "$TMP/continue.out")"
	wait_for 10 live_is "$A" postmigrate
	hold_disk "$A"
	kill -INT "$(pid_of send)"
	not_back 40
	assert_grep 'refused cont' "$(err_of send)" "message of send"
	locked_out "$A/qmp"
	stop disk KILL
	was_brought_back
	recv_end 20
	move_after
	guests_quit
	detach_both
}

run_scenarios "$@"
