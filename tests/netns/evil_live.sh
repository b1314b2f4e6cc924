#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# evil_live.sh - a peer that has the key and lies (tests/lib/evil.c) about a running guest
#
# A destination, to send: whatever the lie, the guest runs on at the source, unharmed, and
# nothing is left in its QEMU.  One guest, lie after lie.
#
# A source, to recv: its guest was a real one, whose QEMU's stream it has.  Whatever the
# lie, the QEMU that waits runs nothing before COMMIT of a guest that is whole: it writes
# down each state that it comes to.  And it is as documented afterwards: it waits on as
# long as it had no device state, and is gone when it had some.  A QEMU for each lie, many
# of them side by side, on a queue of its own each.

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
# shellcheck source=tests/netns/side_by_side.sh
. "${0%/*}/side_by_side.sh"
live_needs
LIAR=$BUILD/tests/lib/evil

CLOCK_JUMP=$BUILD/tests/netns/libclock_jump.so
SLOTS=${SLOTS:-6}
EACH=$TMP/guest-b # -SLOT: who waits

quit_all() {
	local status=$?

	set +e # or its failing status ended all here
	live_quit "$EACH"-*
	(exit $status)
	live_cleanup
}
trap quit_all EXIT

status_of() { # REASON
	case $1 in
	refused | protocol) echo 3 ;;
	stalled | cancelled | peer_lost) echo 4 ;;
	integrity) echo 5 ;;
	completed) echo 0 ;;
	*) echo 1 ;;
	esac
}

# lies ROLE: name, result and message, a line each
lies() {
	"$LIAR" --list | awk -F '\t' -v role="$1" -v re="^live-(none|${EVIL:-.*})\$" \
		'$1 == role && $2 ~ re { printf "%s\t%s\t%s\n", $2, $3, $4 }'
}

# -- a destination -------------------------------------------------------------------

lie() { # NAME RESULT SAYS
	local result=$2 with=()

	say "$1"
	spawn evil dst "$LIAR" target --key "$KEY" --dev "$DST_DEV" "$1" "$DST4"
	wait_for 10 grep -q 'evil: waiting' "$(err_of evil)"
	[[ $1 != *verify-* ]] || with=(--verify)
	[ "$result" != late ] ||
		send_by=(env LD_PRELOAD="$CLOCK_JUMP" XM_LATE=31
			ASAN_OPTIONS=verify_asan_link_order=0)
	send_live --queues 1 --name victim "${with[@]}"
	send_by=()
	if [ "$result" = late ]; then # half a minute is over
		wait_for 30 grep -q told "$(out_of evil)"
		kill -USR2 "$(pid_of send)"
		result=stalled
	fi
	send_end 90
	assert_eq "$SEND_RC" "$(status_of "$result")" "$1: exit status"
	said send "$result" "$3"
	home send source
	at_home
	assert_not_live
	stop evil KILL
}

scenario_lies() {
	local name result says n=0

	hosts queues=1
	oracle 64
	while IFS=$'\t' read -r name result says <&3; do
		lie "$name" "$result" "$says"
		n=$((n + 1))
	done 3< <(lies target)
	assert_ne "$n" 0 "lies told"
	guests_quit
	detach_both
}

# -- a source ------------------------------------------------------------------------

# A device that writes into memory when it is loaded, which must be the guest's then
ALONE='-global apic-common.vapic=off'

# record: what QEMU says of the guest's devices, when all memory is left out
record() {
	guest_pause "$A"
	guest_qmp "$A" migrate-set-capabilities '{"capabilities": [
		{"capability": "x-ignore-shared", "state": true}]}' >"$TMP/caps"
	guest_qmp "$A" migrate "{\"uri\": \"exec:cat >$TMP/stream\"}" >"$TMP/mig"
	wait_for 20 recorded
	MACHINE=$(guest_qmp "$A" qom-get \
		'{"path": "/machine", "property": "type"}' | tr -d '"')
	MACHINE=${MACHINE%-machine}
	live_quit "$A"
}

recorded() {
	guest_qmp "$A" query-migrate | grep -q '"completed"'
}

# That of the lie before, if it still waits.
waiting_qemu() {
	[ ! -f "$B/pid" ] || is_gone "$(cat "$B/pid")" || ran || return 0
	# shellcheck disable=SC2317 # live_start calls it
	live_settings() { :; } # nobody asks for them
	live_quit "$B"
	live_incoming "$B" "$A" args="-trace runstate_set $ALONE" ||
		wrong "no QEMU"
	disown -a # its end is told by no message of the shell's
}

# In a shell of its own: NAME, RESULT and SAYS from the table, SLOT; B is its QEMU.
one() {
	local recv evil at=$DST4:$((61000 + SLOT)) rc=0 o

	trap - EXIT
	B=$EACH-$SLOT
	waiting_qemu
	rm -f "$B"/recv.* "$B"/evil.* # of the lie before
	nsenter --net="/run/netns/$DST_NS" -- setpriv --pdeathsig KILL \
		"$XDPMIG" recv --dev "$DST_DEV" --qmp "$B/mig" --json \
		--name "lie-$SLOT" --queues "$SLOT-$SLOT" --listen "$at" \
		>"$B/recv.out" 2>"$B/recv.err" </dev/null &
	recv=$!
	echo $recv >"$B/recv.pid"
	wait_for_quietly 20 grep -q 'waiting for a source' "$B/recv.err" ||
		wrong "recv does not wait"
	nsenter --net="/run/netns/$SRC_NS" -- setpriv --pdeathsig KILL \
		"$LIAR" source --key "$KEY" --dev "$SRC_DEV" \
		--port $((40000 + SLOT * 64)) --watch "$B/recv.pid" --time 50 \
		--block ram0 --ram $((64 << 20)) --uuid "$LIVE_UUID" \
		--machine "$MACHINE" --stream "$TMP/stream" \
		--qemu "$(cat "$B/pid")" "$NAME" "$at" \
		>"$B/evil.out" 2>"$B/evil.err" </dev/null &
	evil=$!
	if [ "$RESULT" = on ]; then
		wait_for_quietly 20 grep -q told "$B/evil.out" || wrong "not told"
		kill -INT $recv
		RESULT=cancelled SAYS='cancelled by SIGINT'
	fi
	wait_for_quietly 45 is_gone $recv || wrong "recv goes on"
	wait $recv || rc=$?
	o=$(tail -n 1 "$B/recv.out")
	[ $rc = "$(status_of "$RESULT")" ] || wrong "status $rc"
	judge
	wait_for_quietly 10 is_gone $evil || wrong "it lies on"
	tail -n 1 "$B/evil.out" >"$TMP/$NAME.costs"
}

judge() {
	local home=source

	[ "$RESULT" != completed ] || home=target
	[ "$RESULT" = completed ] ||
		[ "$(jq -r .reason <<<"$o")" = "$RESULT" ] || wrong "reason"
	jq -r '.message // ""' <<<"$o" | grep -qE -- "$SAYS" || wrong "message"
	[ "$(jq -r .guest_runs_at <<<"$o")" = $home ] || wrong "not at the $home"
	[ "$(grep -c "^xdpmig: recv: " "$B/recv.err")" = $((rc != 0)) ] ||
		wrong "messages of failure"
	check_qemu "$home"
}

# It was given no device state, so it can be another guest's.
waits_on() {
	case $NAME in
	live-device-proving | live-device-gap | live-device-far | \
		live-device-wrapped | live-device-empty | live-device-cut | \
		live-end-early | live-verify-skipped | live-commit-early) ;;
	*) return 1 ;;
	esac
}

ran() { grep -qE 'runstate_set .*new_state [0-9]+ \(running\)' "$B/qemu.log"; }

check_qemu() { # HOME
	if [ "$1" = target ]; then
		ran || wrong "the guest was never let run"
		return
	fi
	! ran || wrong "a guest ran that was not handed over"
	if waits_on; then
		live_is "$B" inmigrate || wrong "QEMU does not wait"
	else
		wait_for_quietly 10 is_gone "$(cat "$B/pid")" ||
			wrong "QEMU is there"
	fi
}

wrong() {
	echo "--- $NAME: $*"
	tail -n 5 "$B"/*.err "$B"/*.out "$B/qemu.log" | cut -c 1-700
	live_quit "$B"
	exit 1
}

# Against those of an honest session: the ring of device state, a message.
check_costs() { # NAME
	jq -e --slurpfile honest "$TMP/live-none.costs" '
		.hwm_kib > 0 and .hwm_kib <= $honest[0].hwm_kib + 6144 and
		.fds <= $honest[0].fds + 12 and
		.threads <= $honest[0].threads + 1' "$TMP/$1.costs" >"$TMP/jq" ||
		fail "$1 costs $(cat "$TMP/$1.costs"), $(cat "$TMP/live-none.costs")"
}

scenario_sources() {
	local NAME RESULT SAYS SLOT pid n=0 failed=0
	local -A slot_of=()
	local free=()

	hosts queues="$SLOTS"
	oracle 64 "args=$ALONE"
	record
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
		PIDS[slot-$SLOT]=$!
		n=$((n + 1))
	done 3< <(lies source)
	for pid in "${!slot_of[@]}"; do
		wait "$pid" || failed=1
	done
	[ "$failed" = 0 ] || fail "see above"
	for NAME in "$TMP"/live-*.costs; do
		check_costs "$(basename "$NAME" .costs)"
	done
	assert_ne "$n" 1 "lies told"
	say "$n lies"
	guests_quit
	detach_both
}

run_side_by_side 2 "$@"
