#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# evil.sh - a peer that has the key and lies (tests/lib/evil.c)
#
# Each lie is told to a send or recv of its own, many of them side by side, on queues
# of their own of one pair of devices.  Whatever the lie: the process ends as the table
# says or goes on, says so once, in words a terminal can be shown, and says where the
# guest runs; the source's memory is what it was; the target's has nothing in it that
# was not agreed, and a write beside it would end the process (guard_map.c); it takes no
# more memory and descriptors than for an honest peer; and nothing is left behind.
#
#   bash evil.sh [recv|send]     EVIL=PATTERN: only lies whose names match

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
needs xdpmig setpriv
ram_make "$GUEST" 4
LIAR=$BUILD/tests/lib/evil
GUARD_MAP=$BUILD/tests/netns/libguard_map.so
CLOCK_JUMP=$BUILD/tests/netns/libclock_jump.so
SLOTS=${SLOTS:-16}
unset MALLOC_PERTURB_ # it would fill the map of a guest that is said to have 64 TiB

# lies SIDE: name, result and message, a line each, those that take longest first
lies() {
	"$LIAR" --list | awk -F '\t' -v side="$1" -v re="^(${EVIL:-.*})\$" '
		$1 == side && $2 != "none" && $2 ~ re && $2 !~ /^live-/ {
			slow = $3 ~ /lost|stalled|unknown|path|after/
			printf "%d\t%s\t%s\t%s\n", slow ? 0 : 1, $2, $3, $4
		}' | sort -ns | cut -f 2-
}

# -- one lie --------------------------------------------------------------------------
# In a shell of its own: NAME, RESULT and SAYS from the table, SLOT, SIDE (send or recv),
# PRODUCT and LIES: process ids.

out() { echo "$TMP/$SLOT-$1.out"; }
err() { echo "$TMP/$SLOT-$1.err"; }

wrong() {
	echo "--- $SIDE, $NAME: $*"
	tail -n 5 "$(err "$SIDE")" "$(out "$SIDE")" "$(err evil)" "$(out evil)" |
		cut -c 1-700
	kill -KILL "$PRODUCT" "$LIES" 2>/dev/null
	exit 1
}

# until SECONDS COMMAND...
until_so() {
	wait_for_quietly "$@" || wrong "not within $1 s: ${*:2}"
}

# A function would run in a shell of its own, and that would be the process.
run_product() { # NAMESPACE ARGUMENT...
	local ns=$1 with=(LD_PRELOAD="$GUARD_MAP")

	shift
	[ "$RESULT" != late ] ||
		with=(LD_PRELOAD="$GUARD_MAP:$CLOCK_JUMP" XM_LATE=31)
	# or who waits for a word would find the one before's
	rm -f "$(out "$SIDE")" "$(err "$SIDE")"
	nsenter --net="/run/netns/$ns" -- setpriv --pdeathsig KILL env "${with[@]}" "$XDPMIG" "$SIDE" --json \
		--name "lie-$SLOT" --queues "$((SLOT * 2))-$((SLOT * 2 + 1))" \
		--stall 2s "$@" >"$(out "$SIDE")" 2>"$(err "$SIDE")" </dev/null &
	PRODUCT=$!
	echo "$PRODUCT" >"$TMP/$SLOT.pid"
}

run_evil() { # NAMESPACE ROLE DEVICE ADDRESS
	rm -f "$(out evil)" "$(err evil)"
	nsenter --net="/run/netns/$1" -- setpriv --pdeathsig KILL "$LIAR" "$2" --key "$KEY" --dev "$3" --port $((40000 + SLOT * 64)) \
		--watch "$TMP/$SLOT.pid" --time 50 "$NAME" "$4" \
		>"$(out evil)" 2>"$(err evil)" </dev/null &
	LIES=$!
}

is_told() { grep -q told "$(out evil)"; }

# ends SECONDS: status in RC
ends() {
	until_so "$1" is_gone "$PRODUCT"
	RC=0
	wait "$PRODUCT" || RC=$?
}

cancelled() {
	kill -INT "$PRODUCT" || wrong "it has ended"
	ends 20
	RESULT=cancelled SAYS="cancelled by SIGINT"
}

status_of() { # REASON
	case $1 in
	refused | protocol) echo 3 ;;
	stalled | cancelled | peer_lost) echo 4 ;;
	integrity) echo 5 ;;
	unknown_outcome) echo 6 ;;
	completed) echo 0 ;;
	*) echo 1 ;;
	esac
}

check_result() {
	local o home=source

	o=$(tail -n 1 "$(out "$SIDE")")
	jq -e . "$(out "$SIDE")" >"$TMP/$SLOT.jq" || wrong "not JSON"
	[ "$RC" = "$(status_of "$RESULT")" ] || wrong "status $RC"
	case $RESULT in
	completed) home=target ;;
	unknown_outcome) home=unknown ;;
	esac
	[ "$RESULT" = completed ] ||
		[ "$(jq -r .reason <<<"$o")" = "$RESULT" ] || wrong "reason"
	[ "$NAME" != verify-wrong ] || # it was mended, and found to be
		[ "$(jq -c '[.verify_rounds, .verify_stripes_differed,
			.verify_stripes_repaired]' <<<"$o")" = "[2,2,2]" ] ||
		wrong "figures"
	[ "$RESULT" = completed ] ||
		jq -r .message <<<"$o" | grep -qE -- "$SAYS" || wrong "message"
	[ "$(jq -r .guest_runs_at <<<"$o")" = "$home" ] ||
		[ "${WAITED:-}" = 1 ] || wrong "not at the $home"
	[ "$(grep -c "^xdpmig: $SIDE: " "$(err "$SIDE")")" = \
		$((RC != 0)) ] || wrong "messages of failure"
	# nothing that a terminal would take for more than text
	! LC_ALL=C grep -qaP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|[^\x80-\xff][\x80-\x9f]' \
		"$(out "$SIDE")" "$(err "$SIDE")" || wrong "raw control characters"
}

# Against those of an honest session: a ring of device state, a message, TLS' buffers.
check_costs() {
	until_so 20 is_gone "$LIES"
	if [ "$NAME" = none ]; then
		tail -n 1 "$(out evil)" >"$TMP/honest"
		return
	fi
	tail -n 1 "$(out evil)" | jq -e --slurpfile honest "$TMP/honest" '
		.hwm_kib > 0 and .hwm_kib <= $honest[0].hwm_kib + 6144 and
		.fds <= $honest[0].fds + 12 and
		.threads <= $honest[0].threads + 1' >"$TMP/$SLOT.jq" ||
		wrong "costs: $(tail -n 1 "$(out evil)") $(cat "$TMP/honest")"
}

# What the table says comes to pass.
judge() {
	case $RESULT in
	on)
		until_so 20 is_told
		cancelled
		;;
	waits)
		until_so 15 grep -qE "is no source \(.*($SAYS)" "$(err "$SIDE")"
		until_so 5 grep -q '^State:.S' "/proc/$PRODUCT/status"
		WAITED=1
		cancelled
		;;
	late) # half a minute that nobody has to wait for
		until_so 20 is_told
		kill -USR2 "$PRODUCT"
		RESULT=stalled
		ends 20
		;;
	after) # COMMIT was said: there is no way back, and no deadline
		until_so 20 is_told
		kill -INT "$PRODUCT"
		until_so 5 grep -q "cannot be cancelled any more" "$(err "$SIDE")"
		kill -KILL "$PRODUCT"
		return
		;;
	*) ends 45 ;;
	esac
	check_result
	check_costs
}

# Of the source's memory only full pages and zeros can be here, or what was before.
check_memory_of_recv() { # FILE
	[ -e "$1" ] || return 0
	[ "$(tr -d '\303\000E' <"$1" | wc -c)" = 0 ] || wrong "a lie is in memory"
	[ "$RESULT" != completed ] || cmp -s "$1" "$TMP/expected" ||
		wrong "memory is not what was sent"
	rm "$1"
}

one_recv() {
	local ram=/dev/shm/copy-$SLOT at=$DST4:$((61000 + SLOT))

	case $NAME in
	hello-len-*) ;;
	*) cp "$TMP/before" "$ram" ;;
	esac
	run_product "$DST_NS" --dev "$DST_DEV" --ram "$ram" --listen "$at"
	until_so 10 grep -q 'waiting for a source' "$(err recv)"
	run_evil "$SRC_NS" source "$SRC_DEV" "$at"
	judge
	check_memory_of_recv "$ram"
}

one_send() {
	local at=$DST4:$((61000 + SLOT))
	local queues=$((SLOT * 2)) with=()

	[[ $NAME != *verify-* ]] || with=(--verify)
	run_evil "$DST_NS" target "$DST_DEV" "$at"
	until_so 10 grep -q 'evil: waiting' "$(err evil)"
	case $NAME in
	none | welcome-same-cookies) queues+=-$((queues + 1)) ;;
	esac
	run_product "$SRC_NS" --dev "$SRC_DEV" --ram "$GUEST" "${with[@]}" \
		--queues "$queues$([[ $queues = *-* ]] || echo "-$queues")" "$at"
	judge
}

one() { # in the background
	trap - EXIT
	PRODUCT='' LIES=''
	"one_$SIDE"
	kill "$LIES" 2>/dev/null || true
	until_so 10 is_gone "$LIES" # its port is the next one's
	echo "$NAME" >>"$TMP/told"
	rm -f "$TMP/$SLOT"-*.out "$TMP/$SLOT"-*.err "$TMP/$SLOT.pid"
}

# -- all of them ------------------------------------------------------------------------

# all SIDE: SLOTS at a time
all() {
	local SIDE=$1 NAME RESULT SAYS SLOT pid n=0 failed=0
	local -A slot_of=()
	local free=()

	NAME=none RESULT=completed SAYS='' SLOT=0
	(one) || fail "an honest peer, see above"
	for ((SLOT = 0; SLOT < SLOTS; SLOT++)); do free+=("$SLOT"); done
	while IFS=$'\t' read -r NAME RESULT SAYS <&3; do
		if [ ${#free[@]} = 0 ]; then
			wait -n -p pid "${!slot_of[@]}" || failed=1
			free+=("${slot_of[$pid]}")
			unset "PIDS[slot-${slot_of[$pid]}]" "slot_of[$pid]"
		fi
		SLOT=${free[-1]}
		unset 'free[-1]'
		(one) 3<&- &
		slot_of[$!]=$SLOT
		PIDS[slot-$SLOT]=$! # to be killed with us
		n=$((n + 1))
	done 3< <(lies "$([ "$SIDE" = recv ] && echo source || echo target)")
	for pid in "${!slot_of[@]}"; do
		wait "$pid" || failed=1
	done
	[ "$failed" = 0 ] || {
		rm -f "$TMP"/*.out "$TMP"/*.err # the shells said what matters
		fail "see above"
	}
	assert_eq "$(wc -l <"$TMP/told")" $((n + 1)) "lies told"
	say "$n lies; honest: $(cat "$TMP/honest")"
}

prepare() {
	net_up queues=$((SLOTS * 2))
	attach_both
	: >"$TMP/told"
	# a page of E in 128; before, a byte that no guest sends
	head -c 4M /dev/zero | tr '\0' '\303' >"$TMP/before"
	(head -c 4096 /dev/zero | tr '\0' E && head -c 520192 /dev/zero) >"$TMP/packet"
	for _ in 1 2 3 4 5 6 7 8; do cat "$TMP/packet"; done >"$TMP/expected"
	cp "$GUEST" "$TMP/guest"
}

scenario_recv() {
	prepare
	all recv
	assert_clean
	detach_both
}

scenario_send() {
	prepare
	all send
	assert_same_file "$GUEST" "$TMP/guest" "the source's memory"
	assert_clean
	detach_both
}

run_scenarios "$@"
