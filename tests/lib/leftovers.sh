# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# leftovers.sh - what is there of ours, and is it what was there before?
#
# Two questions, for the scripts of tests/netns, whose lib.sh reads this file:
#
#   leak_check               at the end of a script: is anything of ours left?
#
#   left_note AS [NAME...]   what is there now, and of these processes, which live on
#   ...                      whatever was to be survived
#   left_same AS [NAME...]   exactly the same is there as then
#
# left_list says what "there" is: programs, pins and mounts; of the devices of
# both hosts the address, MTU, flags, queueing and XDP program; their sockets; live queues;
# files in /run/xdpmig and /dev/shm; processes; and of a
# process that lives on its descriptors by kind, threads, locked pages, who traces it.
#
# BPF maps have no line of their own: what holds one, a program, a pin or a
# descriptor, has.
#
# Others may use this machine too, so only what is ours is looked for: pins and
# names, which others don't see; devices by name; processes by their
# namespaces; programs by their ids, which are noted as soon as a command has
# attached something, and not used again soon.  A program that was not noted, of
# an attach that failed half way, cannot outlive the device, pin or process that
# holds it, and those are found.

# The programs of both hosts' devices, and those that are pinned.
leak_note_programs() {
	local ns

	{
		for ns in "$SRC_NS" "$DST_NS"; do
			[ -e "/run/netns/$ns" ] || continue
			ip -n "$ns" -d -j link show || exit
		done
		bpftool -j -f prog show
	} | jq '.[] | (.xdp | .. | .prog?.id? // empty),
		(select(any(.pinned[]?; startswith("/sys/fs/bpf/"))) | .id)'
}

# Processes in a namespace that is about to be deleted, each with its start, since
# numbers are used again.
leak_note_processes() { # NAMESPACE
	local pid

	for pid in $(ip netns pids "$1"); do
		echo "$pid $(started "$pid")"
	done
}

leak_note() {
	leak_note_programs >>"$TMP/programs" ||
		echo '"programs could not be listed"' >>"$TMP/programs"
}

started() { # PID: in clock ticks; empty: it is gone
	sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}

# What of ours is there, a line each.
leak_list() {
	leak_list_bpf
	ip -br link show | awk '{ print "device " $1 }' |
		grep -E "^device x[sdab]$$([.@]|\$)" || true
	ip netns list | awk '{ print "namespace " $1 }'
	leak_list_files
	leak_list_processes
}

leak_list_bpf() {
	find /run/xdpmig-keeper -mindepth 1 -printf 'keeper %p\n'
	bpftool -j prog show | jq -r --slurpfile ours "$TMP/programs" \
		'($ours[] | strings), (.[] | select(.id | IN($ours[])) |
			"program \(.id) \(.name)")' ||
		echo "programs cannot be listed"
	# libxdp leaves its empty folder; maps.debug and progs.debug are the kernel's
	find /sys/fs/bpf -mindepth 1 ! -path /sys/fs/bpf/xdp ! -name '*.debug' \
		-printf 'pin %p\n'
}

leak_list_files() { :; } # session.sh has files

# In our mount namespace, but for the shells that are asking; and those noted.
leak_list_processes() {
	local seen=" $$ " pid=$BASHPID key value mnt start

	while [ "$pid" != $$ ] && [ "$pid" -gt 1 ]; do
		seen+="$pid "
		while read -r key value && [ "$key" != PPid: ]; do :; done \
			<"/proc/$pid/status"
		pid=$value
	done
	for mnt in /proc/[0-9]*/ns/mnt; do
		pid=${mnt#/proc/} pid=${pid%%/*}
		[ "$mnt" -ef /proc/self/ns/mnt ] || continue
		[[ $seen = *" $pid "* ]] || leak_show_process "$pid"
		seen+="$pid "
	done
	while read -r pid start; do
		[ -n "$start" ] || continue
		[ "$(started "$pid")" = "$start" ] || continue
		[[ $seen = *" $pid "* ]] || is_gone "$pid" ||
			leak_show_process "$pid"
	done <"$TMP/processes"
}

leak_show_process() { # PID
	echo "process $1 $(tr '\0' ' ' <"/proc/$1/cmdline")"
} 2>/dev/null

no_leaks() {
	leak_list >"$TMP/left-behind"
	[ ! -s "$TMP/left-behind" ]
}

# leak_check: nothing of ours is left.  The kernel frees programs and namespaces
# a little after their last user; and where others hold its locks one look may take as
# long as all of them should, so the last one decides.
leak_check() {
	wait_for_quietly 30 no_leaks && return
	say "still there after 30 s: $(tr '\n' ';' <"$TMP/left-behind")"
	no_leaks && return
	echo "--- left behind:"
	cat "$TMP/left-behind"
	fail "leak"
}

wait_for_quietly() {
	(wait_for "$@") >/dev/null
}

# -- before and after -----------------------------------------------------------------------

# left_list [NAME...]: a line each, in an order that is always the same
left_list() {
	local name

	{
		left_list_host src "$SRC_NS"
		left_list_host dst "$DST_NS"
		find /sys/fs/bpf /run/xdpmig /run/xdpmig-keeper /dev/shm -mindepth 1 \
			! -path /sys/fs/bpf/xdp ! -name '*.debug' ! -path "${GUEST:-}" \
			-printf 'file %p %s\n'
		sed 's/^[0-9]* [0-9]* //; s/^/mount /' /proc/self/mountinfo
		for name; do
			left_list_process "$name" "$(pid_of "$name")" || true
		done
	} | sort
	left_list_others "$@"
}

left_list_host() { # VERB NAMESPACE
	[ -e "/run/netns/$2" ] || return 0
	ip -n "$2" -d -j addr show | jq -r --arg host "$1" '.[] |
		"device \($host) \(.ifname) \(.flags) mtu \(.mtu) \(.qdisc)" +
		" xdp \(.xdp) \([.addr_info[]? | .local])"'
	# TIME-WAIT is the kernel's, after everybody has gone
	"$1" ss -Hantx 2>/dev/null |
		awk -v host="$1" '$2 != "TIME-WAIT" { print "socket", host, $1, $2, $5 }'
	"$1" "$XDPMIG" status --json 2>/dev/null | tail -n 1 |
		jq -r --arg host "$1" '.devices[]? |
			"live \($host) \(.device) \(.mode) \(.queues) \(.live_queues)"'
}

left_list_process() { # NAME PID
	find "/proc/$2/fd" -type l -printf "descriptor $1 %l\n" |
		sed 's/\[[0-9]*\]$//'
	sed -nE "s/^(Threads|VmLck|VmPin|TracerPid):[[:blank:]]*/process $1 \1 /p" \
		"/proc/$2/status"
	# grep fails when there is none
	{ grep -cE '^VmFlags:.* u[wm]( |$)' "/proc/$2/smaps" || true; } |
		sed "s/^/process $1 watched mappings /"
}

# Processes but those that are named, of which more is known
left_list_others() {
	local except=' ' name pid what

	for name; do
		except+="$(pid_of "$name") "
	done
	leak_list_processes >"$TMP/left.processes"
	while read -r _ pid what; do
		[[ $except = *" $pid "* ]] || echo "process $what"
	done <"$TMP/left.processes"
}

# left_note AS [NAME...]: remember what is there
left_note() {
	local as=$1

	shift
	left_list "$@" >"$TMP/left.$as"
}

# left_same AS [NAME...]: it is there again, soon: the kernel needs a moment
left_same() {
	wait_for_quietly 5 left_is_same "$@" && return
	diff "$TMP/left.$1" "$TMP/left.now" | grep '^[<>]' || true
	fail "not what was there before (<), but (>)"
}

left_is_same() {
	local as=$1

	shift
	left_list "$@" >"$TMP/left.now"
	cmp -s "$TMP/left.$as" "$TMP/left.now"
}
