# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# matrix_lib.sh - one row of the matrix: a guest, a network, what the relay does to
# it, how it must end and what must be true then; after lib.sh and session.sh:
#
#   row RUN NAME GUEST NETWORK RELAY END TRUE
#
#   RUN      ci: in the suite, or more: only with --all
#   GUEST    file: 16 MiB of memory that nobody writes
#            small: 4 MiB of it, for networks that are hardly one
#            mtu1500: 9,000 frames of it, for what is rare
#            busy: a synthetic guest of 16 MiB that writes $WRITES a second (20M)
#            while it is copied, at $SPEED (300M) a second
#   NETWORK  options of net_up; and ipv6: the peer is called by that
#   RELAY    options of the relay; trouble is for the data plane only (or for
#            "everything"), and its dice begin with the seed that is printed
#   END      same: all is there; or the reason for which both ends must fail;
#            then options of send, and with recv: before each word of recv
#   TRUE     a jq expression about $relay, $send, $recv (results) and $steer (the
#            XDP program's verdicts at the target): the trouble was real, and
#            was seen for what it was.  A test that no trouble came is a failure.
#
# same means: exit status 0 of both ends, each byte of memory as at the source, the
# two results tell the same story, nothing is left behind.  A failure means: the
# documented status and reason at both ends, the guest is the source's and
# untouched, no memory at the target, and a later migration over the same hosts
# works.

declare -A ROWS=()
CI_ROWS=() MORE_ROWS=()
PORTS=61952-62015

row() { # RUN NAME GUEST NETWORK RELAY END TRUE
	local columns="$3|$4|$5|$6|$7"

	ROWS[$2]=${columns//[[:space:]]/ }
	case $1 in
	ci) CI_ROWS+=("$2") ;;
	more) MORE_ROWS+=("$2") ;;
	*) fail "row $2: $1" ;;
	esac
	eval "scenario_$2() { cross_row $2; }"
}

# The rows, and the scenarios that are no row; all of them with ALL=1.
list_scenarios() {
	printf '%s\n' "${CI_ROWS[@]}"
	[ "${ALL:-0}" != 1 ] || printf '%s\n' "${MORE_ROWS[@]}"
	sed -n 's/^scenario_\([a-z0-9_]*\)().*/\1/p' "$0"
}

cross_row() { # NAME
	local guest network relay end is_true ports="--ports $PORTS" listen=()

	IFS='|' read -r guest network relay end is_true <<<"${ROWS[$1]}"
	[ "$guest" != mtu1500 ] || network+=" mtu=1500"
	# shellcheck disable=SC2153 # session.sh's
	[ "$guest" != small ] || truncate -s 4M "$GUEST" "$TMP/guest"
	[[ $relay != everything* ]] || ports=''
	# shellcheck disable=SC2086 # several words
	net_up relay=1 ${network#ipv6}
	if [[ $network = ipv6* ]]; then
		PEER="[$DST6]" listen=(recv:--listen "recv:$DST6")
	fi
	attach_both --mode native
	# shellcheck disable=SC2086
	relay_start --seed "$SEED" $ports ${relay#everything}
	# shellcheck disable=SC2086
	cross "$guest" $end "${listen[@]}"
	relay_stop
	row_is_true "$is_true"
	[ "${end%% *}" = same ] || works_afterwards
	detach_both
}

# cross GUEST same|REASON [OPTION...]
cross() {
	local guest=$1 end=$2 option recv=() send=()

	shift 2
	for option; do
		case $option in
		recv:*) recv+=("${option#recv:}") ;;
		*) send+=("$option") ;;
		esac
	done
	recv_start "${recv[@]}"
	case $guest in
	busy) cross_busy "$end" "${send[@]}" ;;
	*) cross_file "$end" "${send[@]}" ;;
	esac
	say "$(value_of '"\(.status): \(.epochs // 1) epochs, " +
		"\(.total_ms) ms, \(.frames_resent) of \(.frames_sent) frames " +
		"again"' "$(out_of send)")"
}

cross_file() { # END [SEND_OPTION...]
	local end=$1 blocks

	shift
	blocks=$(blocks_of "$GUEST")
	send_start "$GUEST" "$@"
	if [ "$end" = same ]; then
		ended 0 0 90
		check_results "$GUEST"
		check_memory "$GUEST" "$blocks"
		rm "$COPY"
		assert_clean
		return
	fi
	failed_well "$end"
	assert_eq "$(blocks_of "$GUEST")" "$blocks" "source's blocks"
	assert_same_file "$GUEST" "$TMP/guest" "the source's memory"
}

# The guest is paused when all its memory is at the target: the moment at which to
# compare.
cross_busy() { # END [SEND_OPTION...]
	local end=$1

	shift
	spawn send src "$XDPMIG" send --dev "$SRC_DEV" --name busy --json \
		--synthetic "16M,${WRITES:-20M},random" --bandwidth "${SPEED:-300M}" \
		--max-downtime 200ms --pause-before-switchover "$@" \
		"${PEER:-$DST4}"
	${MEANWHILE:-:}
	if [ "$end" != same ]; then
		failed_well "$end"
		return
	fi
	wait_for 200 held_or_over
	is_gone "$(pid_of send)" ||
		assert_same_file "$(synthetic_memory)" "$COPY" "guest memory"
	run here "$XDPMIG" continue busy
	ended 0 0
	check_busy
	rm "$COPY"
	assert_clean
}

held_or_over() {
	is_gone "$(pid_of send)" ||
		grep -q "waiting for 'xdpmig continue'" "$(err_of send)"
}

synthetic_memory() {
	find "/proc/$(pid_of send)/fd" -lname '/memfd:xdpmig-synthetic*' | head -n 1
}

check_busy() {
	tail -qn 1 "$(out_of send)" "$(out_of recv)" |
		jq -se '. as [$s, $r] |
		all(.status == "completed" and .guest_runs_at == "target") and
		$s.epochs >= 2 and $s.epochs == $r.epochs and
		$s.pages == $r.pages and $s.zero_pages == $r.zero_pages and
		$s.ram_bytes_sent == $r.ram_bytes_placed' >/dev/null ||
		fail "results: $(tail -qn 1 "$(out_of send)" "$(out_of recv)")"
}

# Both ends end for REASON, and the guest never left.
failed_well() { # stalled|path
	case $1 in
	stalled)
		ended 4 4 60
		said send stalled ""
		said recv stalled "the peer: |no frame"
		;;
	path)
		ended 1 1
		said send path "frames of 8300 bytes do not get through"
		said recv path ""
		;;
	*) fail "row: end '$1'" ;;
	esac
	home send source
	home recv source
	assert_clean
}

# The same hosts and devices, and a network that is well.
works_afterwards() {
	relay_start
	recv_start
	send_start "$GUEST"
	ended 0 0 30
	check_results "$GUEST"
	assert_same_file "$GUEST" "$COPY" "guest memory"
	rm "$COPY"
	assert_clean
	relay_stop
}

# row_is_true EXPRESSION; offloads would be no frames of a wire
row_is_true() {
	local verdicts

	verdicts=$(dst "$XDPMIG" status --json "$DST_DEV" | tail -n 1 |
		jq -c '.verdicts // .devices[0].verdicts')
	jq -ne --argjson relay "$(tail -n 1 "$(out_of relay)")" \
		--argjson send "$(tail -n 1 "$(out_of send)")" \
		--argjson recv "$(tail -n 1 "$(out_of recv)")" \
		--argjson steer "$verdicts" \
		"$1 and \$relay.ab.unfinished_sums + \$relay.ba.unfinished_sums == 0" \
		>/dev/null || fail "not true: $1: $(tail -n 1 "$(out_of relay)")
$(tail -n 1 "$(out_of send)")
$(tail -n 1 "$(out_of recv)")
$verdicts"
}
