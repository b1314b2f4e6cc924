#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_others.sh - somebody else is at the guest's QEMU, too: migrates it, moves
# it with another xdpmig, stops it, lets it run, plugs memory.  Nothing of that
# makes two guests, loses one, or is undone by us

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
live_needs

HELD=(--name victim --max-downtime 60min --pause-before-switchover)

both() {
	hosts queues=2
	oracle 64
	incoming
	recv_live
}

# Some pages are on their way, and will be for seconds.
copying() { # [SEND_OPTION...]
	send_live --name victim --bandwidth 200M "$@"
	wait_for 10 grep -q '"event":"progress"' "$(out_of send)"
}

held() {
	grep -q 'xdpmig continue' "$(err_of send)"
}

to_held() {
	send_live "${HELD[@]}"
	wait_for 20 held
}

migration_is() { # STATUS
	guest_qmp "$A" query-migrate | grep -q "\"status\": \"$1\""
}

go_on() {
	src "$XDPMIG" continue victim >"$TMP/continue.out" 2>&1 ||
		fail "continue: $(cat "$TMP/continue.out")"
}

# back: the guest runs at the source, soon, and nowhere else
back() {
	wait_for 10 live_is "$A" running
	at_home
}

# No limit any more.
hurry() {
	src "$XDPMIG" set victim --bandwidth 20G >"$TMP/set.out" 2>&1 ||
		fail "set: $(cat "$TMP/set.out")"
}

done_with() {
	guests_quit
	detach_both
}

# -- moved by somebody else --------------------------------------------------------

scenario_two_sends() {
	both
	copying
	spawn second src "$XDPMIG" send --dev "$SRC_DEV" --qmp "$A/qmp" --json \
		--name second "$DST4"
	reap second 10
	assert_eq "$RC" 6 "the second send"
	said_second
	hurry
	moved
	spawn second src "$XDPMIG" send --dev "$SRC_DEV" --qmp "$A/qmp" --json \
		--name second "$DST4"
	reap second 10
	assert_eq "$RC" 6 "a send of what was moved"
	home second unknown
	arrived
	done_with
}

said_second() {
	home second unknown
	assert_grep 'another xdpmig is moving this guest' "$(err_of second)" \
		"message of the second send"
}

# QEMU's own migration, which completes while we copy.
scenario_migrated_by_another() {
	both
	copying
	guest_qmp "$A" migrate '{"uri":"exec:cat >/dev/null"}' >/dev/null
	send_end 20
	recv_end 20
	assert_eq "$SEND_RC" 6 "send"
	home send unknown
	wait_for 20 live_is "$A" postmigrate
	runs_not "$A"
	guest_cont "$A" # it was nowhere
	at_home
	move_after
	done_with
}

# -- let run, or stopped -----------------------------------------------------------

# What was sent of it is no running guest's.  QEMU forgets the request when its
# migration ends, and lets the guest run.
scenario_shut_down_while_held() {
	both
	to_held
	guest_qmp "$A" set-action '{"reboot": "shutdown", "shutdown": "pause"}' \
		>/dev/null
	guest_qmp "$A" system_reset >/dev/null
	ended 1 3
	home send source
	said send memory SHUTDOWN
	back
	done_with
}

# QEMU has completed, the target has not loaded it yet.
scenario_let_run_before_commit() {
	both
	to_held
	kill -STOP "$(cat "$B/pid")"
	go_on
	wait_for 10 migration_is completed
	guest_cont "$A"
	send_end 20
	kill -CONT "$(cat "$B/pid")"
	recv_end 20
	assert_eq "$SEND_RC" 1 "send"
	home send source
	at_home
	move_after
	done_with
}

scenario_stopped_while_copied() {
	both
	copying
	guest_pause "$A"
	kill -INT "$(pid_of send)"
	ended 4 4
	assert_eq "$(live_state "$A")" paused "a guest that was stopped"
	guest_cont "$A"
	at_home
	incoming
	recv_live
	copying
	guest_pause "$A"
	ended 0 0 40
	assert_eq "$(live_state "$B")" paused "a guest that was stopped, there"
	assert_eq "$(live_state "$A")" postmigrate "its source"
	guest_cont "$B"
	arrived
	done_with
}

scenario_let_run_while_copied() {
	hosts queues=2
	oracle 64
	incoming
	guest_pause "$A"
	recv_live
	copying
	guest_cont "$A"
	hurry
	moved
	done_with
}

# -- changed --------------------------------------------------------------------------

# What is in it never crossed.
scenario_memory_is_plugged() {
	local at

	cat >"$TMP/qemu" <<-'END'
		#!/bin/sh
		exec qemu-system-x86_64 "$@" -m slots=2,maxmem=1G
	END
	chmod +x "$TMP/qemu"
	LIVE_QEMU=$TMP/qemu
	both
	copying --pause-before-switchover
	for at in "$A" "$B"; do
		guest_qmp "$at" object-add '{"qom-type": "memory-backend-memfd",
			"id": "new", "size": 134217728, "share": true}' >/dev/null
		guest_qmp "$at" device_add '{"driver": "pc-dimm", "id": "dimm",
			"memdev": "new"}' >/dev/null
	done
	ended 1 3 40
	home send source
	said send memory 'plugged.*new'
	at_home
	done_with
	LIVE_QEMU=qemu-system-x86_64
}

scenario_shut_down_while_copied() {
	both
	copying
	guest_qmp "$A" set-action '{"reboot": "shutdown", "shutdown": "pause"}' \
		>/dev/null
	guest_qmp "$A" system_reset >/dev/null
	wait_for 10 live_is "$A" shutdown
	ended 1 3 40
	home send source
	said send memory 'state shutdown'
	assert_eq "$(live_state "$A")" shutdown "the guest"
	done_with
}

run_scenarios "$@"
