# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154,SC2034
#
# soak_faults.sh - what may befall a move of live_soak.sh; after soak_moves.sh has read
# live_phases.sh
#
# fault_NAME draws all that is left to chance, before the move begins, and says in
#
#   TROUBLE=(...)       what the relay does
#   MOMENT="..."      when ACT is done:
#                     "send 6 2": send stands still before its second message of
#                     type 6 (fault_at.c), and goes on after ACT; "bytes N": so
#                     many bytes of guest memory were sent; "": no ACT
#   ACT="FUNCTION..." what is done then
#   PRELOAD=WHO HOW   fault_at.c's own fault
#   MUST=moved|stayed|any
#   MORE=(...)        options of send and recv that belong to it
#
# No draw is made in a subshell, where bash's RANDOM begins anew.

FAULTS=(none cancel_at_source cancel_at_target int_send int_recv kill_send kill_recv
	kill_target_qemu stop_send stop_recv stop_target_qemu stop_source_qemu loss burst
	duplicate reorder corrupt acks_lost cut slow_link everything old_frames
	dead_channel blackhole shrink link_down xdp_off control_cut control_dead)

DATA_PORTS=61952-62015

pick() { # WORD...: one of them
	local n=$((RANDOM % $#))

	shift $n
	PICKED=$1
}

chance() { # N: one in N
	[ $((RANDOM % $1)) = 0 ]
}

# Messages of userspace/core/msg.h, some of them for the second or third time.  A
# move may have fewer: then the fault is missed, which is said.
SEND_MESSAGES=("3 1" "4 1" "4 2" "6 1" "6 2" "6 3" "12 1" "12 2" "14 1" "8 1")
RECV_MESSAGES=("2 1" "3 1" "5 1" "5 2" "7 1" "7 2" "13 1" "15 1" "9 1")

# halt [send|recv]: at a message, or anywhere between two
halt() {
	local who=${1:-}

	if chance 3; then
		MOMENT="bytes $((RANDOM * 3000))"
		SLOWLY=1
		return
	fi
	if [ "$who" = "" ]; then
		pick send recv
		who=$PICKED
	fi
	if [ "$who" = send ]; then
		pick "${SEND_MESSAGES[@]}"
	else
		pick "${RECV_MESSAGES[@]}"
	fi
	MOMENT="$who $PICKED"
}

# -- processes -----------------------------------------------------------------------

fault_none() { MUST=moved; }

fault_cancel_at_source() { halt recv && ACT="act_cancel $FROM soak"; }
fault_cancel_at_target() { halt send && ACT="act_cancel $TO at-target"; }
fault_int_send() { halt && ACT="act_signal INT send"; }
fault_int_recv() { halt && ACT="act_signal INT recv"; }

# die_in MESSAGE...: from a microsecond to a second after one of them
die_in() { # WHO MESSAGE...
	local who=$1 us=$((1 << RANDOM % 20))

	shift
	pick "$@"
	PRELOAD="$who die-in ${PICKED% *} $((us + RANDOM * 32 % us)) #${PICKED#* }"
}

fault_kill_send() { die_in send "${SEND_MESSAGES[@]}"; }
fault_kill_recv() { die_in recv "${RECV_MESSAGES[@]}"; }

# Before it may run there: a guest that dies with its QEMU is nobody's fault.
fault_kill_target_qemu() {
	pick "recv 3 1" "recv 5 2" "recv 7 1" "recv 7 2" "send 12 1" "send 14 1" \
		"recv 13 1" "recv 15 1" "send 8 1"
	MOMENT=$PICKED ACT="act_kill_target_qemu"
}

# for_a_while: what is stopped so long is mostly back before anybody has given up
for_a_while() {
	pick 50 300 1000 2000 4000 12000
}

stopped() { # WHAT
	halt
	for_a_while
	ACT="act_stop $1 $PICKED"
}

fault_stop_send() { stopped send; }
fault_stop_recv() { stopped recv; }
fault_stop_target_qemu() { stopped target_qemu; }
fault_stop_source_qemu() { stopped source_qemu; }

# -- the network ---------------------------------------------------------------------

data_plane() { # OPTION...
	TROUBLE+=(--ports "$DATA_PORTS" "$@")
	MUST=moved
}

fault_loss() {
	pick 0.1% 1% 5% 10%
	data_plane --loss "$PICKED"
}

# Of pages only, and short: it is as long in frames when there are two a second, as
# of ACKs after some timeouts.
fault_burst() {
	pick 0.05%,20% 0.2%,30% 0.02%,20%
	data_plane --way "$FORTH" --burst "$PICKED"
}

fault_duplicate() {
	pick 1% 20% 100%
	data_plane --duplicate "$PICKED"
}

fault_reorder() {
	pick 50%,3 3%,20,5ms 1%,1000 0.5%,5000
	data_plane --reorder "$PICKED"
}

fault_corrupt() {
	pick 1%,all 10%,all 5%,fields 5%,payload 5%,tag 5%,swap 5%,truncate+extend \
		5%,header+ip
	data_plane --corrupt "$PICKED"
}

fault_acks_lost() {
	pick 10% 30% 50%
	data_plane --way "$BACK" --loss "$PICKED"
}

fault_cut() {
	local at=$((RANDOM % 3000))

	pick 5ms 50ms 500ms 2s 4s
	data_plane --begin data --cut "${at}f,$PICKED"
}

fault_slow_link() {
	pick "--rate 300M --queue 1M" "--rate 300M --queue 512k --ecn 128k" \
		"--delay 5ms --jitter 2ms" "--delay 20ms"
	# shellcheck disable=SC2206 # words
	TROUBLE=($PICKED)
	MUST=moved
}

fault_everything() {
	data_plane --loss 1% --duplicate 3% --reorder 3%,20,5ms --corrupt 3%,all \
		--way "$FORTH" --burst 0.1%,20% --way ab --repeat 2,2 \
		--way ba --repeat 2,2
}

# Of this session, epochs that were; and of one that was, with each frame one.
fault_old_frames() {
	if chance 2; then
		data_plane --way ab --repeat 2,2 --way ba --repeat 2,2
	else
		data_plane --way ab --replay "$TMP/old.ab" --way ba \
			--replay "$TMP/old.ba"
	fi
}

# never_arrives: it fails soon, when the machine is slow, too
never_arrives() {
	MUST=stayed SLOWLY=1
	MORE=(--stall 3s)
}

fault_dead_channel() {
	local port=$((61952 + RANDOM % CHANNELS))

	data_plane --begin data --ports "$port-$port" --loss 100%
	never_arrives
}

fault_blackhole() {
	data_plane --begin data --cut "$((RANDOM % 2000))f,1000s"
	never_arrives
}

# What is in flight is larger than what gets through.
fault_shrink() {
	MTU=9000
	data_plane --begin data --shrink "4000,$((RANDOM % 1000))f"
	never_arrives
}

fault_link_down() {
	pick "$SRC_NS $SRC_DEV" "$DST_NS $DST_DEV"
	ACT="act_link_down $PICKED"
	pick 20 200 1000 3000
	ACT+=" $PICKED"
	halt
}

fault_xdp_off() {
	pick src dst
	ACT="act_xdp_off $PICKED"
	halt
}

# control FOR: the control connection only, after so many of its frames
control() {
	TROUBLE=(--except "$DATA_PORTS" --begin data --cut "$((RANDOM % 40))f,$1")
}

fault_control_cut() {
	pick 20ms 200ms 1s 3s
	control "$PICKED"
	case $PICKED in
	*ms) MUST=moved ;;
	esac
}

fault_control_dead() {
	control 1000s
	SLOWLY=1
}

# -- what is done at the moment ----------------------------------------------------------

# go_on: who stood still for the moment
halted_goes_on() {
	[ "$HALT" = "" ] || kill -CONT "$(pid_of "$HALT")" 2>/dev/null || true
}

act_cancel() { # HOST NAME
	run "$1" "$XDPMIG" cancel "$2"
	# it was asked in time, and said so; or it was too late, and said that
	if [ "$RC" = 0 ]; then
		MUST=stayed
	else
		say "cancel: $(cat "$ERR")"
		DONE="refused"
	fi
}

act_signal() { # SIGNAL WHO
	kill "-$1" "$(pid_of "$2")" 2>/dev/null || DONE="too late"
}

act_kill_target_qemu() {
	kill -KILL "$(cat "$B/pid")"
	MUST=stayed
}

pid_of_what() { # send|recv|target_qemu|source_qemu
	case $1 in
	target_qemu) cat "$B/pid" ;;
	source_qemu) cat "$A/pid" ;;
	*) pid_of "$1" ;;
	esac
}

act_stop() { # WHAT MS
	local pid

	pid=$(pid_of_what "$1")
	kill -STOP "$pid" 2>/dev/null || DONE="too late"
	[ "$HALT" = "$1" ] || halted_goes_on
	let_pass "$2"
	kill -CONT "$pid" 2>/dev/null || true
}

device_is_up() { # NAMESPACE DEVICE
	ip -n "$1" -br link show dev "$2" | grep -q ' UP '
}

act_link_down() { # NAMESPACE DEVICE MS
	ip -n "$1" link set "$2" down
	halted_goes_on
	let_pass "$3"
	ip -n "$1" link set "$2" up
	wait_for 10 device_is_up "$1" "$2"
	# who asks for the peer meanwhile makes it "not complete"
	ip -n "$SRC_NS" neigh flush dev "$SRC_DEV" nud all || true
	ip -n "$DST_NS" neigh flush dev "$DST_DEV" nud all || true
}

act_xdp_off() { # HOST
	run "$1" "$XDPMIG" detach --force "$(dev_of "$1")"
	assert_eq "$RC" 0 "detach --force"
	DETACHED=$1
}
