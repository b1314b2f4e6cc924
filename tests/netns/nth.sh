#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# nth.sh - whatever call fails on the way, allocation or system call, of xdpmig or
# of a library: one message, a documented status at both ends, nothing left
#
# Which calls, and how to see one again, is in nth_lib.sh; the same with running guests
# is in live_nth.sh.

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/nth_lib.sh
. "${0%/*}/nth_lib.sh"
needs xdpmig "$FAIL_NTH"
ram_make "$GUEST" 2
SOMEONE=$((300000000 + $$ * 2))

# -- attach, detach, status ----------------------------------------------------------

scenario_attach() {
	net_up queues=2
	run src "${counted[@]}" "$XDPMIG" attach "$SRC_DEV"
	assert_eq "$RC" 0 attach
	run src "$XDPMIG" detach "$SRC_DEV"
	left_note bare
	each_call attach_fails
}

attach_fails() {
	fail_at
	run src "${faulty[@]}" "$XDPMIG" attach "$SRC_DEV"
	judge attach "$RC" 1 "$ERR"
	if [ "$RC" = 0 ]; then
		run src "$XDPMIG" detach "$SRC_DEV"
		assert_eq "$RC" 0 "detach"
	fi
	left bare
}

# With a keeper, which is forked, and in which calls fail as well: then there is no
# keeper, or detach ends it all the same.
scenario_attach_for_a_user() {
	net_up queues=2
	run src "${counted[@]}" "$XDPMIG" attach --user $SOMEONE "$SRC_DEV"
	assert_eq "$RC" 0 attach
	run src "$XDPMIG" detach "$SRC_DEV"
	left_note bare
	each_call attach_for_a_user_fails
}

attach_for_a_user_fails() {
	fail_at
	run src "${faulty[@]}" "$XDPMIG" attach --user $SOMEONE "$SRC_DEV"
	judge attach "$RC" 1 "$ERR"
	if [ "$RC" = 0 ]; then
		run src "$XDPMIG" detach "$SRC_DEV"
		assert_eq "$RC" 0 "detach"
	fi
	left bare
}

scenario_detach() {
	net_up queues=2
	left_note bare
	run src "$XDPMIG" attach "$SRC_DEV"
	run src "${counted[@]}" "$XDPMIG" detach "$SRC_DEV"
	assert_eq "$RC" 0 "detach"
	each_call detach_fails
}

# What it could not take away the next one takes.
detach_fails() {
	run src "$XDPMIG" attach "$SRC_DEV"
	assert_eq "$RC" 0 "attach"
	fail_at
	run src "${faulty[@]}" "$XDPMIG" detach "$SRC_DEV"
	judge detach "$RC" 1 "$ERR"
	if [ "$RC" != 0 ]; then
		run src "$XDPMIG" detach "$SRC_DEV"
		[ "$RC" = 0 ] || grep -q "nothing to detach" "$ERR" ||
			bad "the detach after it" "$ERR"
	fi
	left bare
}

scenario_status() {
	net_up queues=2
	run src "$XDPMIG" attach "$SRC_DEV"
	left_note attached
	run src "${counted[@]}" "$XDPMIG" status --json
	assert_eq "$RC" 0 "status"
	said_of_status >"$TMP/status"
	each_call status_fails
	run src "$XDPMIG" detach "$SRC_DEV"
}

said_of_status() {
	jq -c 'del(.devices[].verdicts[])' "$OUT" # they are counting
}

# It says all there is, or that it cannot.
status_fails() {
	fail_at
	run src "${faulty[@]}" "$XDPMIG" status --json
	judge status "$RC" 1 "$ERR"
	[ "$RC" != 0 ] || [ "$(said_of_status)" = "$(cat "$TMP/status")" ] ||
		bad "status is not all there is" "$OUT"
}

# -- send and recv ---------------------------------------------------------------------

scenario_send() {
	net_up queues=2
	attach_both
	left_note idle
	recv_start
	spawn send src "${counted[@]}" "$XDPMIG" send --json --ram "$GUEST" "$DST4"
	ended 0 0
	rm "$COPY"
	each_call send_fails
	[ -z "${PIDS[recv]:-}" ] || stop recv INT
	migrate "$GUEST"
	detach_both
}

# A source that had said nothing is waited for again, by a receiver that is as it was.
send_fails() {
	if [ -z "${PIDS[recv]:-}" ]; then
		recv_start
		left_note waiting recv
	fi
	fail_at
	spawn send src "${faulty[@]}" "$XDPMIG" send --json --ram "$GUEST" "$DST4"
	ends send
	SEND_RC=$RC
	judge send "$SEND_RC" 6 "$(err_of send)"
	if recv_waits; then
		left waiting recv
	else
		ends recv
		RECV_RC=$RC
		judge recv "$RECV_RC" 6 "$(err_of recv)"
		both_agree
		left idle
	fi
}

recv_waits() {
	[ "$SEND_RC" != 0 ] && ! grep -q '"event":"start"' "$(out_of recv)" &&
		wait_for_quietly 3 recv_is_settled &&
		! is_gone "$(pid_of recv)"
}

# It has gone, or its last word is of a peer that was no source
recv_is_settled() {
	is_gone "$(pid_of recv)" || ! dst ss -Htn state established \
		sport = :61951 | grep -q .
}

# The guest is in one place, and neither denies it
both_agree() {
	case $SEND_RC-$RECV_RC in
	0-0 | 6-0) assert_same_file "$GUEST" "$COPY" "guest memory" ;;
	[1-6]-[1-6] | 134-[1-6] | [1-6]-134) ;;
	*) bad "send $SEND_RC and recv $RECV_RC" "$(err_of send)" ;;
	esac
	rm -f "$COPY"
}

scenario_recv() {
	net_up queues=2
	attach_both
	left_note idle
	spawn recv dst "${counted[@]}" "$XDPMIG" recv --dev "$DST_DEV" \
		--ram "$COPY" --json
	wait_for 5 grep -q 'waiting for a source' "$(err_of recv)"
	send_start "$GUEST"
	ended 0 0
	rm "$COPY"
	each_call recv_fails
	migrate "$GUEST"
	detach_both
}

recv_fails() {
	fail_at
	spawn recv dst "${faulty[@]}" "$XDPMIG" recv --dev "$DST_DEV" \
		--ram "$COPY" --json
	wait_for 20 recv_waits_or_ends
	if is_gone "$(pid_of recv)"; then
		recv_end 1
		judge recv "$RECV_RC" 6 "$(err_of recv)"
		[ "$RECV_RC" != 0 ] || bad "recv: 0 of nobody" "$(err_of recv)"
	else
		send_start "$GUEST"
		ends send
		SEND_RC=$RC
		judge send "$SEND_RC" 6 "$(err_of send)"
		# it may have seen no source in it
		if [ "$SEND_RC" != 0 ] && ! (wait_for 5 is_gone "$(pid_of recv)") \
			>/dev/null; then
			kill -INT "$(pid_of recv)"
		fi
		ends recv
		RECV_RC=$RC
		judge recv "$RECV_RC" 6 "$(err_of recv)"
		both_agree
	fi
	left idle
}

recv_waits_or_ends() {
	grep -q 'waiting for a source' "$(err_of recv)" ||
		is_gone "$(pid_of recv)"
}

run_scenarios "$@"
