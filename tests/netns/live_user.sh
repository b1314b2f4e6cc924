#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_user.sh - an ordinary user moves his guest: neither QEMU nor xdpmig has a
# capability, but what 'attach --user' left
set -euo pipefail
. "${0%/*}/lib.sh"
. "${0%/*}/session.sh"
. "${0%/*}/live_lib.sh"
live_needs setpriv

# Locked memory is counted by user, also by a script that runs beside this one.
SOMEONE=$((300000000 + $$)) HOME_OF=/dev/shm/user
NO_CAPS=(setpriv --reuid "$SOMEONE" --regid "$SOMEONE" --clear-groups --inh-caps=-all
	--ambient-caps=-all --bounding-set=-all --)
AS=(env "XDG_RUNTIME_DIR=$HOME_OF" "XDPMIG_CONFIG=$HOME_OF/conf"
	prlimit --memlock=8388608:8388608 -- "${NO_CAPS[@]}")

leak_list_files() {
	find /dev/shm -mindepth 1 ! -path "$GUEST" ! -path "$HOME_OF*" \
		! -name 'xdpmig-guest-*' -printf 'file %p\n'
}

# What he runs must not be in a folder that is root's alone.
chmod 711 "$TMP"
install -m 755 "$XDPMIG" "$TMP/xdpmig"
XDPMIG=$TMP/xdpmig
install -d -o $SOMEONE -m 700 "$HOME_OF"
install -o $SOMEONE -m 600 "$KEY" "$HOME_OF/key"
printf 'key = %s\nlock-budget = 3M\n' "$HOME_OF/key" >"$HOME_OF/conf"
chmod 644 "$HOME_OF/conf"

cat >"$TMP/qemu" <<-END
	#!/bin/sh
	chown -R $SOMEONE "$TMP"/guest-?
	for ram in "$TMP"/guest-?/ram*; do chown $SOMEONE "\$ram"; done
	exec ${NO_CAPS[*]} qemu-system-x86_64 "\$@"
END
chmod +x "$TMP/qemu"
# shellcheck disable=SC2034 # live.sh's
LIVE_QEMU=$TMP/qemu

assert_nothing_held() { # PID...
	local task pid sets

	for pid; do
		for task in "/proc/$pid/task"/*; do
			# one that slows the guest down may just have ended
			sets=$(sed -n 's/^Cap[A-Z][a-z]*:\t//p' "$task/status" 2>/dev/null) ||
				continue
			[ -n "$sets" ] || continue
			assert_eq "$(sort -u <<<"$sets")" 0000000000000000 \
				"capabilities of $task"
		done
		assert_eq "$(sed -n 's/^CapPrm:\t//p' "/proc/$pid/status")" \
			0000000000000000 "CapPrm of $pid"
	done
}

# His guest is slowed down, is moved, and is brought back by its guardian.
scenario_his_guest() {
	local guardian

	net_up queues=2
	attach_both --mode native --user $SOMEONE
	oracle 64 pace=0
	incoming
	recv_by=("${AS[@]}") send_by=("${AS[@]}")
	recv_live
	send_live --bandwidth 400M --max-downtime 100ms
	wait_for 40 grep -q 'slowed down by' "$(err_of send)"
	guardian=$(pgrep -P "$(pid_of send)" || true)
	assert_ne "$guardian" "" "the guardian"
	assert_nothing_held "$(pid_of send)" "$(pid_of recv)" "$guardian" \
		"$(cat "$A/pid")"
	stop send KILL
	wait_for 20 is_gone "$guardian"
	runs "$A"
	recv_end 30
	assert_eq "$RECV_RC" 4 "exit status of recv"

	incoming
	recv_live
	send_live
	moved
	guests_quit
	detach_both
}

run_scenarios "$@"
