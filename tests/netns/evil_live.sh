#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# evil_live.sh - a destination that has the key and lies (tests/lib/evil.c) about a
# running guest: whatever the lie, the guest runs on at the source, unharmed, and
# nothing is left in its QEMU.  One guest, lie after lie.

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
live_needs
LIAR=$BUILD/tests/lib/evil

status_of() { # REASON
	case $1 in
	refused | protocol) echo 3 ;;
	stalled | peer_lost) echo 4 ;;
	*) fail "what status has $1?" ;;
	esac
}

lie() { # NAME RESULT SAYS
	say "$1"
	spawn evil dst "$LIAR" target --key "$KEY" --dev "$DST_DEV" "$1" "$DST4"
	wait_for 10 grep -q waiting "$(err_of evil)"
	send_live --queues 1 --name victim
	send_end 90
	assert_eq "$SEND_RC" "$(status_of "$2")" "$1: exit status"
	said send "$2" "$3"
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
	done 3< <("$LIAR" --list | awk -F '\t' -v re="^live-(${EVIL:-.*})\$" \
		'$2 ~ re { printf "%s\t%s\t%s\n", $2, $3, $4 }')
	assert_ne "$n" 0 "lies told"
	guests_quit
	detach_both
}

run_scenarios "$@"
