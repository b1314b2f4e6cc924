# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# side_by_side.sh - several scenarios at a time, for scripts that wait more than
# they work; after lib.sh, in place of run_scenarios:
#
#   run_side_by_side N [NAME...]
#
# Each is a run of the script of its own, with namespaces, devices, folders and
# guests of its own; what it said is shown when all have ended.

run_side_by_side() {
	local most=$1 names name status=0

	shift
	names=("$@")
	[ ${#names[@]} != 0 ] || mapfile -t names < <(list_scenarios)
	if [ ${#names[@]} = 1 ] || [ "${DEBUG:-0}" = 1 ]; then
		run_scenarios "${names[@]}"
		return
	fi
	trap 'end_asides 130' INT
	trap 'end_asides 143' TERM
	for name in "${names[@]}"; do
		while [ "$(jobs -rp | wc -l)" -ge "$most" ]; do
			wait -n || true
		done
		run_aside "$name" &
	done
	wait
	for name in "${names[@]}"; do
		cat "$TMP/$name.log"
		[ "$(cat "$TMP/$name.status")" = 0 ] || status=1
	done
	# shellcheck disable=SC2034 # lib.sh reads it
	[ $status = 0 ] || FAILED=1 # it has been said why
	exit $status
}

run_aside() { # SCENARIO
	local pid status=0

	bash "$0" "$1" >"$TMP/$1.log" 2>&1 &
	pid=$!
	# shellcheck disable=SC2064 # this one
	trap "kill $pid" TERM
	wait $pid || wait $pid || status=$? # the trap ends the first one
	echo $status >"$TMP/$1.status"
}

# They remove what they made before we go.
end_asides() { # STATUS
	local pids

	mapfile -t pids < <(jobs -rp)
	kill "${pids[@]}" 2>/dev/null || true
	wait
	exit "$1"
}
