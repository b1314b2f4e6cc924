#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_nth.sh - whatever call fails while a running guest is moved: it runs on, at one
# host, and its QEMU is as it was
#
# As nth.sh, with guests; how to choose calls is told in nth_lib.sh.

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
# shellcheck source=tests/netns/nth_lib.sh
. "${0%/*}/nth_lib.sh"
SAMPLE=${SAMPLE:-3}
live_needs "$FAIL_NTH"

# What its QEMU has; of threads it has some for a while
of_qemu() { # DIR
	left_list_process qemu "$(cat "$1/pid")" | grep -v ' Threads ' | sort
}

is_as_it_was() {
	[ "$(of_qemu "$A")" = "$(cat "$TMP/qemu")" ]
}

# One move in which a call fails: WHO is send or recv
one_fails() {
	incoming
	of_qemu "$A" >"$TMP/qemu"
	fail_at
	send_by=() recv_by=()
	if [ "$WHO" = send ]; then
		send_by=("${faulty[@]}")
	else
		recv_by=("${faulty[@]}")
	fi
	spawn recv "$TO" "${recv_by[@]}" "$XDPMIG" recv --dev "$(dev_of "$TO")" \
		--qmp "$B/mig" --name at-target --json
	wait_for 20 recv_waits_or_ends
	if is_gone "$(pid_of recv)"; then
		SEND_RC=1
	else
		send_live
		ends send
		SEND_RC=$RC
		judge send "$SEND_RC" 6 "$(err_of send)"
		[ "$SEND_RC" = 0 ] || recv_is_done
	fi
	ends recv
	RECV_RC=$RC
	judge recv "$RECV_RC" 6 "$(err_of recv)"
	where_it_is
	assert_not_live
}

recv_waits_or_ends() {
	grep -q 'waiting for a source' "$(err_of recv)" ||
		is_gone "$(pid_of recv)"
}

# A source that had said nothing yet is waited for again.
recv_is_done() {
	(wait_for 5 is_gone "$(pid_of recv)") >/dev/null ||
		kill -INT "$(pid_of recv)"
}

where_it_is() {
	case $SEND_RC-$RECV_RC in
	0-0 | 6-0)
		arrived
		turn_round
		;;
	[1-4]-[1-4] | [1-4]-13[49] | 13[49]-[1-4] | 6-[1-4])
		wait_for 20 live_is "$A" running
		at_home
		wait_for 5 is_as_it_was
		live_quit "$B"
		;;
	*) bad "send $SEND_RC, recv $RECV_RC" "$(err_of send)" ;;
	esac
}

send_fails() {
	WHO=send
	one_fails
}

recv_fails() {
	WHO=recv
	one_fails
}

scenario_send() {
	hosts queues=2
	oracle 32
	incoming
	send_by=("${counted[@]}")
	move
	turn_round
	each_call send_fails
	send_by=() recv_by=()
	move_after
	guests_quit
	detach_both
}

scenario_recv() {
	hosts queues=2
	oracle 32
	incoming
	recv_by=("${counted[@]}")
	move
	turn_round
	each_call recv_fails
	send_by=() recv_by=()
	move_after
	guests_quit
	detach_both
}

run_scenarios "$@"
