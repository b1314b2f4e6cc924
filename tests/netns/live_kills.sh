#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_kills.sh [KILLS] - a guest moves to and fro, and before each move 'send' or
# 'recv' is killed (SIGKILL) in another one, at a moment that chance chooses:
# so long after its begin or after one of its messages, from a microsecond to a
# second, up to the message that the guest runs at the target
#
# Each time: what docs/operations.md (3, 4) says is where the guest is, it is
# there alone, as fast as before, with nothing of ours left in its QEMU, and it
# can be moved.  SEED=N repeats the choices; 6 kills if not told otherwise.

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
# shellcheck source=tests/netns/live_where.sh
. "${0%/*}/live_where.sh"
live_needs "$FAULT_AT"

KILLS=${1:-6}
SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$SEED

# userspace/core/msg.h; without a name: the program's begin
SENDS=("=0" HELLO=1 PROVEN=3 EPOCH_BEGIN=4 EPOCH_END=6 DEVICE=12 DEVICE_END=14
	COMMIT=8)
RECVS=(WELCOME=2 PROVEN=3 EPOCH_READY=5 EPOCH_DONE=7 DEVICE_ACK=13 LOADED=15
	COMMITTED=9)
# A guest that is fast to move, one that takes seconds and stands still for
# long, and one that is slowed down.
KINDS=("" "--bandwidth 400M --converge stop --timeout 1s"
	"--bandwidth 800M --max-downtime 200ms --converge auto")

# -- how is it? -------------------------------------------------------------------------

pace() { # DIR: ms that its last 20 beats took
	tail -n 21 "$1/stamps" | awk 'NR == 1 { t = $1 }
		END { printf "%d\n", $1 - t }'
}

as_fast_as_ever() { # DIR
	[ "$(pace "$1")" -le $((PACE * 2)) ]
}

well() { # DIR OTHER
	wait_for 10 live_is "$1" running
	wait_for 5 untouched "$1"
	wait_for 20 as_fast_as_ever "$1"
	! guest_alive "$2" || runs_not "$2"
}

# -- kills ----------------------------------------------------------------------------------

# choose: who dies (KILL_WHO), of what (KILL_HOW), in what migration (KILL_IN)
choose() {
	local at us=$((1 << RANDOM % 20)) anchors=("${SENDS[@]}")

	us=$((us + RANDOM * 32 % us))
	KILL_WHO=send
	if [ $((RANDOM % 2)) = 0 ]; then
		KILL_WHO=recv anchors=("${RECVS[@]}")
	fi
	at=${anchors[RANDOM % ${#anchors[@]}]}
	KILL_HOW="die-in ${at#*=} $us"
	KILL_IN=${KINDS[RANDOM % ${#KINDS[@]}]}
	at=${at%=*}
	say "$1: $KILL_WHO dies $us us after ${at:-its begin};" \
		"${KILL_IN:-as fast as it goes}"
}

kill_one() { # NAME
	recv_by=() send_by=()
	faulty "$KILL_HOW"
	if [ "$KILL_WHO" = send ]; then
		send_by=("${BY[@]}")
	else
		recv_by=("${BY[@]}")
	fi
	incoming
	recv_live
	# shellcheck disable=SC2086 # words
	send_live --name "$1" $KILL_IN
	recv_by=() send_by=()
	if [ "$KILL_WHO" = send ]; then
		send_end 40
		send_was_killed "$1"
	else
		recv_was_killed "$1"
	fi
}

scenario_log_and_holds_are_seen() {
	hosts queues=2
	oracle 64
	untouched "$A" || fail "a guest of nobody's is touched"
	incoming
	recv_live
	send_live --bandwidth 20M # for a quarter of a minute
	wait_for 10 grep -q '"event":"progress"' "$(out_of send)"
	! untouched "$A" || fail "a guest that is logged is not touched"
	kill -KILL "$(pid_of send)"
	send_end 5
	wait_for 5 untouched "$A"
	recv_end 10
	guests_quit
	detach_both
}

scenario_kills() {
	local i

	say "$KILLS kills, SEED=$SEED"
	hosts queues=2
	oracle 64
	live_goes_on "$A" 21 || fail "the guest does not run"
	PACE=$(pace "$A")
	for ((i = 1; i <= KILLS; i++)); do
		choose $i
		kill_one "kill-$i"
		if [ $WHERE = target ]; then
			well "$B" "$A"
			turn_round
		else
			well "$A" "$B"
		fi
		move_after
		turn_round
	done
	guests_quit
	detach_both
}

run_scenarios
