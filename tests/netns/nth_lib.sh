# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# nth_lib.sh - let one call of a command fail, and judge what it says; after lib.sh
#
# A command is run once to learn which calls it makes, and from where (fail_nth.c).
# Then one of them fails, and the command is run again: for calls from every place
# with ALL=1, else for SAMPLE of each command, which chance chooses.
#
#   SEED=N    of the choice; printed
#   SAMPLE=N  calls of each command; 6 if not given
#   ALL=1     calls from every place, each once; allocations and mappings also with all
#             that follow; and every limit for open files
#   OF=REGEX  only calls of these functions
#   GO_ON=1   do not stop at the first that is wrong
#   ONLY='memory 17'   this one, or these, a line each; "memory 17+": and all that follow

# shellcheck disable=SC2034 # used by those who read this file
FAIL_NTH=$BUILD/tests/netns/libfail_nth.so

RANDOM=${SEED:=$RANDOM}
say "seed $SEED"

# -- which calls ---------------------------------------------------------------------

# The prefix of a command that is watched, or in which a call fails
counted=(env "LD_PRELOAD=$FAIL_NTH" "XM_FAIL_LOG=$TMP/calls")
faulty=()

fail_at() { # at $AT: "KIND N"; "files N": no descriptor from N on
	rm -f "$TMP/failed"
	faulty=(prlimit "--nofile=${AT#files }" --)
	[ "${AT%% *}" = files ] || faulty=(env "LD_PRELOAD=$FAIL_NTH" "XM_FAIL=$AT" "XM_FAIL_LOG=$TMP/failed")
}

# is_librarys STATUS: a crash that is a library's, which no care of ours prevents
#   libgmp, below GnuTLS, has no way to report that memory is out, and aborts
#   libbpf 1.1 loads the dispatcher for libxdp with a table missing, whose memory it
#   could not have, and does not look
#   libseccomp 2.5 crashes in seccomp_load(), or frees twice there, or loads a filter
#   that permits nothing (159: SIGSYS); where that ends the guardian, send says so and
#   ends with status 1
# What must be true after any crash must be true after these, too.
is_librarys() {
	case $1 in
	134) grep -qE '^memory [^ ]* [^ ]* lib(gmp|seccomp)' "$TMP/failed" ;;
	139) grep -qE '^memory [^ ]* (calloc libbpf.*<libxdp|[^ ]* libseccomp)' \
		"$TMP/failed" ;;
	159) grep -q '^memory [^ ]* [^ ]* libseccomp' "$TMP/failed" ;;
	1) grep -q '^memory [^ ]* [^ ]* libseccomp' "$TMP/failed" &&
		grep -q 'the guardian .* is gone' "$2" ;;
	*) false ;;
	esac
}

# each_call FUNCTION: with "KIND N" of those chosen among $TMP/calls
each_call() {
	local places chosen

	awk -v of="^(${OF:-.*})\$" '$3 != "calls" && $3 ~ of { print $1, $2 }' \
		"$TMP/calls" >"$TMP/places"
	# the first is ld.so's
	[ -n "${OF:-}" ] ||
		seq -f 'files %.0f' 4 "${FILES_MOST:-30}" >>"$TMP/places"
	places=$(wc -l <"$TMP/places")
	if [ -n "${ONLY:-}" ]; then
		echo "$ONLY" >"$TMP/chosen"
	elif [ "${ALL:-0}" = 1 ]; then
		awk '{ print } $1 ~ /^m/ { print $0 "+" }' \
			"$TMP/places" >"$TMP/chosen"
	else
		shuf -n "${SAMPLE:-6}" --random-source=<(seeded "$RANDOM") \
			"$TMP/places" >"$TMP/chosen"
	fi
	say "$(wc -l <"$TMP/chosen") of $places places"
	mapfile -t chosen <"$TMP/chosen"
	for AT in "${chosen[@]}"; do
		SCENARIO="${SCENARIO%%;*}; ONLY='$AT'"
		"$1"
	done
	SCENARIO=${SCENARIO%%;*}
	rm "$TMP/calls" # the next command's are its own
}

seeded() { # NUMBER: bytes that follow from it
	awk -v seed="$1" 'BEGIN { srand(seed); for (;;) printf "%d", rand() * 1e9 }'
} 2>/dev/null

# left AS [NAME...]: what was there, and no more
left() {
	wait_for_quietly 5 left_is_same "$@" && return
	diff "$TMP/left.$1" "$TMP/left.now" | grep '^[<>]' >"$TMP/differs" || true
	bad "not what was there before (<), but (>)" "$TMP/differs"
}

# bad TEXT: which call it was, and how to see it again
bad() {
	echo "the call: $(cut -c 1-1000 "$TMP/failed" 2>/dev/null)"
	if [ "${GO_ON:-0}" = 1 ]; then
		echo "BAD: $AT: $1: $(tail -n 3 "$2" | tr '\n' '|')"
		return
	fi
	tail -n 20 "$2"
	fail "$1"
}

# judge NAME STATUS MOST ERR: a status it may have, and what it says then
judge() {
	local lines

	if is_librarys "$2" "$4"; then
		# its name, which the next one of that name would take over
		rm -f /run/xdpmig/"$1"-*.lock /run/xdpmig/"$1"-*.sock
		return 0
	fi
	[ "$2" -le "$3" ] || bad "$1: status $2" "$4"
	! grep -vE '^xdpmig(-guardian)?: ' "$4" || bad "$1: says more" "$4"
	lines=$(grep -cE "^xdpmig: $1: ." "$4" || true)
	if [ "$2" = 0 ]; then
		[ "$lines" = 0 ] || bad "$1: an error, and status 0" "$4"
		return 0
	fi
	[ "$lines" = 1 ] || bad "$1: $lines messages for status $2" "$4"
	sed -nE "s/^xdpmig: $1: /  &/p" "$4" >>"$TMP/messages"
}

# ends NAME: within 20 s, whatever happened to it; exit status in $RC
ends() {
	if ! (wait_for 20 is_gone "$(pid_of "$1")") >/dev/null; then
		bad "$1: does not end" "$(err_of "$1")"
		kill -KILL "$(pid_of "$1")"
	fi
	reap "$1" 5
}
