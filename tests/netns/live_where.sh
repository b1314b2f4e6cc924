# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2119,SC2154,SC2034
#
# live_where.sh - where is the guest, after send, recv or a QEMU was killed, or
# anything else has befallen them?  What docs/operations.md (3, 4) has people do;
# after live_lib.sh:
#
#   WHERE   "source" or "target" then: the guest may run there, and is let run

KILLED=137 # status of a process that SIGKILL ended

# record_of NAME: what the source's record says, or nothing
record_of() {
	"$FROM" "$XDPMIG" status --json | tail -n 1 |
		jq -r --arg name "$1" '.migrations[] |
			select(.name == $name) | .guest_runs_at'
}

# Neither send nor its guardian has it any more: the record is the last.
name_is_free() { # NAME
	local lock=/run/xdpmig/$1.lock

	[ ! -e "$lock" ] || "$FROM" flock -n "$lock" true
}

# It has ended, or has seen no source and waits on.
recv_is_settled() {
	is_gone "$(pid_of recv)" && return
	"$TO" "$XDPMIG" status --json | tail -n 1 | jq -e '.migrations[] |
		select(.name == "at-target") | .state == "waiting"'
}

recv_settles() {
	wait_for 40 recv_is_settled
	if ! is_gone "$(pid_of recv)"; then
		run "$TO" "$XDPMIG" cancel at-target
	fi
	recv_end 5
}

# Nobody runs it until we say so, and the target's QEMU is gone.
back_home() {
	WHERE=source
	runs_not "$A"
	guest_cont "$A"
}

# recv cannot say: its QEMU can.
ask_target_qemu() {
	say "the target's QEMU: $(live_state "$B")"
	case $(live_state "$B") in
	running)
		WHERE=target
		;;
	paused)
		guest_cont "$B"
		WHERE=target
		;;
	*)
		live_quit "$B"
		guest_cont "$A"
		WHERE=source
		;;
	esac
}

# send_was_killed NAME
send_was_killed() {
	local record

	recv_settles
	WHERE=source
	[ "$RECV_RC" != 0 ] || WHERE=target
	if [ "$SEND_RC" = 0 ]; then
		assert_eq "$RECV_RC" 0 "recv, when send has completed"
		return
	fi
	assert_eq "$SEND_RC" $KILLED "send"
	wait_for 40 name_is_free "$1"
	record=$(record_of "$1")
	say "send's record says '$record', recv ended with $RECV_RC"
	case $record,$RECV_RC in
	target,0 | unknown,0 | source,[134] | ,[134])
		;;
	unknown,4)
		wait_for 10 not guest_alive "$B"
		back_home
		;;
	*)
		fail "that is not so"
		;;
	esac
}

# The same, and recv was killed.
recv_was_killed() {
	send_end 40
	recv_end 5
	WHERE=source
	case $SEND_RC in
	0)
		WHERE=target
		;;
	4)
		assert_eq "$RECV_RC" $KILLED "recv"
		;;
	6)
		assert_eq "$RECV_RC" $KILLED "recv"
		ask_target_qemu
		;;
	*)
		fail "send ended with $SEND_RC"
		;;
	esac
}

# -- whatever has befallen them -------------------------------------------------------

guardian_is_done() { # NAME
	[ "$(record_of "$1")" = source ]
}

# send does not know: recv does, or its QEMU
outcome_unknown() { # NAME
	WHERE=source
	home send unknown
	if [ "$(value_of '.resume_error // ""' "$(out_of send)")" != "" ]; then
		assert_ne "$RECV_RC" 0 "recv, when the guest is to be back"
		wait_for 60 guardian_is_done "$1"
		return
	fi
	case $RECV_RC in
	0)
		WHERE=target
		;;
	[134])
		home recv source
		wait_for 10 not guest_alive "$B"
		live_is "$A" running || back_home
		;;
	6)
		home recv unknown
		if guest_alive "$B"; then
			ask_target_qemu
			return
		fi
		assert_eq "$(live_beats "$B")" 0 "beats of a guest that nobody has"
		back_home
		;;
	"$KILLED")
		ask_target_qemu
		;;
	*)
		fail "recv ended with $RECV_RC"
		;;
	esac
}

# recv_said WHERE, if it could
recv_said() {
	[ "$RECV_RC" = "$KILLED" ] || home recv "$1"
}

# where_is_it NAME: send may have ended by anything, and so may recv
where_is_it() {
	send_end 120
	if [ "$SEND_RC" = "$KILLED" ]; then
		send_was_killed "$1"
		return
	fi
	recv_settles
	case $SEND_RC,$RECV_RC in
	0,0 | "0,$KILLED")
		WHERE=target
		home send target
		recv_said target
		;;
	[134],[134] | [134],"$KILLED")
		WHERE=source
		home send source
		recv_said source
		;;
	6,*)
		outcome_unknown "$1"
		;;
	*)
		fail "send ended with $SEND_RC, recv with $RECV_RC"
		;;
	esac
}
