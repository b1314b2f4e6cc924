#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# soak_moves.sh - the moves of live_soak.sh, which says what they are, and begins this:
#
#   soak_moves.sh FOLDER SEED FROM COUNT SECONDS
#
#   FOLDER/now      number of the move under way
#   FOLDER/moves    a JSON object for each that is over
#   FOLDER/stop     is there: no more moves
#   FOLDER/failed-N outputs of a move that failed
#
# COUNT and SECONDS may be 0: no limit.  Ends at the first failure.

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
# shellcheck source=tests/netns/live_where.sh
. "${0%/*}/live_where.sh"
# shellcheck source=tests/netns/soak_faults.sh
. "${0%/*}/soak_faults.sh"
live_needs relay "$FAULT_AT"

SOAK=$1 SEED=$2 FROM_MOVE=$3 COUNT=$4 LIMIT=$5
N_FAULTS=${#FAULTS[@]}

keep_outputs() {
	local status=$? to

	set +e # or its failing status ended all here
	if [ $status != 0 ] && [ -f "$SOAK/now" ]; then
		to=$SOAK/failed-$(cat "$SOAK/now")
		mkdir -p "$to"
		cp "$TMP"/*.out "$TMP"/*.err "$A/serial" "$to" 2>/dev/null
		cp "$B/serial" "$to/serial-b" 2>/dev/null
		cp "$A/qemu.log" "$to/qemu.log-a" 2>/dev/null
		cp "$B/qemu.log" "$to/qemu.log-b" 2>/dev/null
	fi
	(exit $status)
	live_cleanup
}
trap keep_outputs EXIT

# -- chance ------------------------------------------------------------------------

# seeded WORD...: what chance chooses from here on follows from the seed and these
seeded() {
	local sum

	sum=$(cksum <<<"$SEED $*")
	RANDOM=${sum%% *}
}

# choose_fault MOVE: every fault once in so many moves, in an order that changes
choose_fault() {
	local order=("${FAULTS[@]}") i j was

	seeded order $((($1 - 1) / N_FAULTS))
	for ((i = N_FAULTS - 1; i > 0; i--)); do
		j=$((RANDOM % (i + 1)))
		was=${order[i]} order[i]=${order[j]} order[j]=$was
	done
	FAULT=${order[($1 - 1) % N_FAULTS]}
}

# options: of the next send and recv; TRUST says who may be the peer
choose_options() {
	SEND=() RECV=()
	pick 1 2 4 8 8
	CHANNELS=$PICKED
	pick 9000 9000 9000 1500 4000
	MTU=$PICKED
	pick same same new insecure
	TRUST=$PICKED
	if [ "$TRUST" = insecure ]; then
		SEND+=(--insecure)
		RECV+=(--insecure)
	elif chance 3; then
		SEND+=(--encrypt)
		! chance 2 || RECV+=(--encrypt)
	fi
	! chance 3 || SEND+=(--verify)
	pick "" "" 8M 64M
	[ "$PICKED" = "" ] || SEND+=(--lock-budget "$PICKED")
	# no network is good enough for every one of them: so there is a limit
	pick "" "--max-downtime 50ms --converge stop --timeout 20s" \
		"--max-downtime 1s" \
		"--converge stop --timeout 3s --max-downtime 1ms"
	# shellcheck disable=SC2206 # words
	SEND+=($PICKED)
	pick "" 1 2
	[ "$PICKED" = "" ] || SEND+=(--threads "$PICKED")
	! chance 4 || RECV+=(--rx-memory 16M)
}

# choose MOVE: all that is left to chance in it
choose() {
	choose_fault "$1"
	seeded move "$1"
	TROUBLE=() MORE=() MOMENT='' ACT='' PRELOAD='' MUST=any SLOWLY=''
	FORTH=ab BACK=ba
	[ "$FROM" = src ] || FORTH=ba BACK=ab
	choose_options
	pick "" "" 800M 400M
	local bandwidth=$PICKED
	"fault_$FAULT"
	[ "$SLOWLY" = "" ] || bandwidth=400M
	[ "$bandwidth" = "" ] || SEND+=(--bandwidth "$bandwidth")
	SEND+=(--queues "$CHANNELS" "${MORE[@]}")
	RECV+=("${MORE[@]}")
	TROUBLE+=(--seed $((RANDOM + 1)))
}

# -- one move ----------------------------------------------------------------------------

set_mtu() {
	local at

	for at in "$SRC_NS $SRC_DEV" "$DST_NS $DST_DEV" "$MID_NS $MID_A" \
		"$MID_NS $MID_B"; do
		ip -n "${at% *}" link set "${at#* }" mtu "$MTU"
	done
}

set_trust() {
	case $TRUST in
	new)
		rm "$KEY"
		"$XDPMIG" keygen "$KEY" >"$TMP/keygen" 2>&1 || fail "keygen"
		;;
	esac
}

# begin_move: both ends, with the fault that is in them
begin_move() {
	recv_by=() send_by=() HALT=''
	case $MOMENT in
	send* | recv*)
		HALT=${MOMENT%% *}
		faulty "stop ${MOMENT#* }"
		BY[2]=${BY[2]% *}\ \#${BY[2]##* }
		;;
	esac
	case $PRELOAD in
	?*)
		HALT=${PRELOAD%% *}
		faulty "${PRELOAD#* }"
		;;
	esac
	[ "$HALT" != send ] || send_by=("${BY[@]}")
	[ "$HALT" != recv ] || recv_by=("${BY[@]}")
	[ "$PRELOAD" = "" ] || HALT=''
	incoming
	recv_live "${RECV[@]}"
	send_live --name soak "${SEND[@]}"
	recv_by=() send_by=()
}

sent_reaches() { # BYTES
	"$FROM" "$XDPMIG" status --json | tail -n 1 |
		jq -e --argjson least "$1" '.migrations[] |
			select(.name == "soak") | .ram_bytes_sent >= $least'
}

# MOMENT, or it was missed: what ended has no such message
moment_or_end() {
	is_gone "$(pid_of send)" && return
	case $MOMENT in
	bytes*) sent_reaches "${MOMENT#* }" ;;
	*) is_stopped "$HALT" ;;
	esac
}

act() {
	[ "$MOMENT" != "" ] || return 0
	wait_for 90 moment_or_end
	if is_gone "$(pid_of send)"; then
		DONE=missed
		halted_goes_on
		return
	fi
	# shellcheck disable=SC2086 # words
	$ACT
	halted_goes_on
}

mend() {
	[ "$DETACHED" = "" ] || {
		run "$DETACHED" "$XDPMIG" attach --mode native "$(dev_of "$DETACHED")"
		assert_eq "$RC" 0 "attach"
	}
	DETACHED=''
}

ours() { # processes that are to be there
	local dir

	for dir in "$A" "$B"; do
		[ ! -f "$dir/pid" ] || cat "$dir/pid" "$dir/stamp.pid"
	done
	[ ! -v "PIDS[relay]" ] || pid_of relay
}

strangers() {
	leak_list_processes >"$TMP/there"
	ours >"$TMP/ours"
	awk 'NR == FNR { ours[$1] = 1; next } !ours[$2]' "$TMP/ours" "$TMP/there" |
		grep . | while read -r _ pid what; do
		is_gone "$pid" || echo "$pid $what"
	done
}

nobody_else() {
	[ -z "$(strangers)" ]
}

pins() { find /sys/fs/bpf /run/xdpmig-keeper -mindepth 1 ! -name '*.debug' | wc -l; }

# No session, process, pin, socket or memory is left of it.
nothing_left() {
	wait_for_quietly 10 nobody_else || fail "left: $(strangers)"
	assert_clean
	assert_eq "$(pins)" "$PINS" "pins"
	# who is killed leaves his, for the next one to remove
	[ "$SEND_RC" = "$KILLED" ] || [ "$RECV_RC" = "$KILLED" ] ||
		assert_eq "$(find /run/xdpmig -name '*.sock')" "" "sockets"
}

judge() {
	case $MUST in
	moved) assert_eq "$WHERE" target "where its guest is to be" ;;
	stayed) assert_eq "$WHERE" source "where its guest is to be" ;;
	esac
	case $PRELOAD,$SEND_RC,$RECV_RC in
	"send die-in"*,"$KILLED",* | "recv die-in"*,*,"$KILLED") ;;
	*die-in*) DONE=missed ;;
	esac
	if [ "$WHERE" = source ]; then
		wait_for 10 live_is "$A" running
		at_home
	else
		[ "$SEND_RC,$RECV_RC" != 0,0 ] || check_live_results
		arrived
	fi
	nothing_left
}

# figure NAME: of send's result, or 0
figure() {
	[ "$SEND_RC" != "$KILLED" ] || {
		echo 0
		return
	}
	value_of ".$1 // 0" "$(out_of send)"
}

# note MOVE FAULT: a line of the results
note() {
	local gap=0

	[ "$WHERE" = source ] || gap=$(live_gap "$A" "$B")
	jq -cn --argjson move "$1" --arg fault "$2" --arg way "$FROM>$TO" \
		--arg what "${ACT#act_}${PRELOAD:-}" --arg when "$MOMENT" \
		--arg did "$DONE" --arg relay "${TROUBLE[*]}" \
		--arg options "mtu $MTU $TRUST ${SEND[*]}" --arg where "$WHERE" \
		--argjson send "$SEND_RC" --argjson recv "$RECV_RC" \
		--argjson downtime "$(figure downtime_ms)" --argjson gap "$gap" \
		--argjson epochs "$(figure epochs)" --argjson ms "$(figure total_ms)" \
		--argjson resent "$(figure frames_resent)" '$ARGS.named' >>"$SOAK/moves"
	tail -n 1 "$SOAK/moves" | jq -r '"\(.move) \(.way) \(.fault)" +
		" [\([.what, .when, .relay] | map(select(. != "")) | join("; "))" +
		(if .did != "" then ": " + .did else "" end) + "] \(.options): " +
		"\(.where) \(.send)/\(.recv), \(.epochs) epochs \(.ms) ms, " +
		"downtime \(.downtime) gap \(.gap) ms, \(.resent) again"'
}

# The relay's trouble met nothing: it was set for later than the move lasted.
relay_did_nothing() {
	tail -n 1 "$(out_of relay)" | jq -e '[.ab, .ba] | map(.lost + .duplicated +
		.reordered + .cut + .too_long + .replayed +
		([.damaged[]] | add)) | add == 0' >/dev/null
}

# befall MOVE FAULT: what was chosen
befall() {
	DONE='' DETACHED=''
	set_mtu
	set_trust
	relay_start "${TROUBLE[@]}"
	begin_move
	act
	where_is_it soak
	mend
	judge
	relay_stop
	[[ " ${TROUBLE[*]}" != *" --begin data "* ]] || ! relay_did_nothing ||
		DONE=missed
	note "$@"
}

# plainly MOVE FAULT: by the way that it was to go, and nothing befalls it
plainly() {
	ACT='' MOMENT='' PRELOAD='' MUST=moved
	befall "$@"
}

# The first is recorded: frames of it come again later.
first_move() {
	CHANNELS=8 MTU=9000 TRUST=same SEND=() RECV=()
	TROUBLE=(--ports "$DATA_PORTS" --way ab --record "$TMP/old.ab" --way ba
		--record "$TMP/old.ba")
	FAULT=none
	plainly 0 "(first)"
	turn_round
}

one_move() { # NUMBER
	echo "$1" >"$SOAK/now"
	choose "$1"
	SCENARIO="move $1, $FAULT"
	befall "$1" "$FAULT"
	if [ "$WHERE" = source ]; then
		TROUBLE=() SEND=(--queues "$CHANNELS") RECV=()
		[ "$TRUST" != insecure ] || {
			SEND+=(--insecure)
			RECV+=(--insecure)
		}
		plainly "$1" "(again)"
	fi
	live_linux_check "$A" "$B" || fail "memory of the guest"
	turn_round
}

scenario_soak() {
	local load i

	load=$(guest_tool guestload)
	"$load" make-disk "$TMP/disk.raw" 64
	hosts relay=1 queues=8
	# so that the first of the moves asked for goes the way that it always goes
	[ $((FROM_MOVE % 2)) = 1 ] || FROM=src TO=dst
	[ $((FROM_MOVE % 2)) = 0 ] || FROM=dst TO=src
	linux 192 load="rate=20 size=96 disk=/dev/vda,16" \
		"disk=$TMP/disk.raw" disk_opts=cache=none
	PINS=$(pins)
	first_move
	for ((i = FROM_MOVE; COUNT == 0 || i < FROM_MOVE + COUNT; i++)); do
		[ ! -e "$SOAK/stop" ] || break
		[ "$LIMIT" = 0 ] || [ $SECONDS -lt "$LIMIT" ] || break
		one_move $i
	done
	live_goes_on "$A" 300 60 || fail "the guest does not go on"
	live_linux_check "$A" || fail "memory of the guest"
	guests_quit
	rm "$TMP/disk.raw"
	detach_both
}

run_scenarios soak
