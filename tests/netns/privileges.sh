#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# privileges.sh - who may do what, what is given up, and what is said to who may
# not (docs/security.md, 2)
set -euo pipefail
. "${0%/*}/lib.sh"
. "${0%/*}/session.sh"
needs xdpmig setpriv
ram_make "$GUEST" 8

# Locked memory is counted by user, also by a script that runs beside this one.
SOMEONE=$((300000000 + $$ * 2)) OTHER=$((300000001 + $$ * 2))
HOME_OF=/dev/shm/user # short, as /run/user/1000 is

leak_list_files() {
	find /dev/shm -mindepth 1 ! -path "$GUEST" ! -path "$HOME_OF*" \
		-printf 'file %p\n'
}

# -- users -----------------------------------------------------------------------

# What they run must not be in a folder that is root's alone.
chmod 711 "$TMP"
install -m 755 "$XDPMIG" "$TMP/xdpmig"
XDPMIG=$TMP/xdpmig
chmod 666 "$GUEST"

home_of() { # UID
	if [ "$1" = $SOMEONE ]; then echo $HOME_OF; else echo $HOME_OF-2; fi
}

for uid in $SOMEONE $OTHER; do
	home=$(home_of "$uid")
	install -d -o "$uid" -m 700 "$home"
	install -o "$uid" -m 600 "$KEY" "$home/key"
	echo "key = $home/key" >"$home/conf"
done

# as UID: a command's prefix in AS: that user, who may do nothing.  8 MiB may be
# locked, as everywhere.
as() {
	AS=(env "XDG_RUNTIME_DIR=$(home_of "$1")"
		"XDPMIG_CONFIG=$(home_of "$1")/conf"
		prlimit --memlock=8388608:8388608 --
		setpriv --reuid "$1" --regid "$1" --clear-groups --inh-caps=-all
		--ambient-caps=-all --bounding-set=-all --)
}

# root_with CAPABILITY,...: a command's prefix in AS: root, with these only
root_with() {
	local caps=-all,+${1//,/,+}

	[ -n "$1" ] || caps=-all
	AS=(setpriv "--inh-caps=$caps" "--ambient-caps=-all" "--bounding-set=$caps" --)
}


# -- what a process may do -----------------------------------------------------------

status_of() { # PID KEY
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"
}

caps() { # CAPABILITY...: as /proc has them
	local bits=0 n

	for n; do
		bits=$((bits | 1 << n))
	done
	printf '%016x' $bits
}
NET_ADMIN=12 NET_RAW=13 IPC_LOCK=14 SYS_RESOURCE=24

# assert_confined PID CAPS [BOUNDING]: each of its threads; without BOUNDING what
# the set was before is not looked at
assert_confined() {
	local task set

	for task in "/proc/$1/task"/*; do
		task=${task#/proc/}
		for set in CapEff CapPrm; do
			assert_eq "$(status_of "$task" $set)" "$2" "$set of $task"
		done
		for set in CapInh CapAmb; do
			assert_eq "$(status_of "$task" $set)" "$(caps)" "$set of $task"
		done
		[ -z "${3-}" ] ||
			assert_eq "$(status_of "$task" CapBnd)" "$3" "CapBnd of $task"
		assert_eq "$(status_of "$task" NoNewPrivs)" 1 "NoNewPrivs of $task"
		has_no_filter ||
			assert_eq "$(status_of "$task" Seccomp)" 2 "Seccomp of $task"
	done
}

# With a sanitizer there is none.
has_no_filter() {
	grep -q '__[atm]san_init' "$XDPMIG"
}

# To lock guest memory, unless the limit could be lifted.
locks() {
	if [ $((16#$(status_of self CapBnd) >> SYS_RESOURCE & 1)) = 1 ]; then
		caps
	else
		caps $IPC_LOCK
	fi
}

keeper_of() { # VERB
	"$1" "$XDPMIG" status --json | tail -n 1 | jq '.devices[0].keeper_pid'
}

# -- running as somebody ----------------------------------------------------------------

# recv_as, send_as [OPTION...]: with the prefix in AS
recv_as() {
	spawn recv dst "${AS[@]}" "$XDPMIG" recv --dev "$DST_DEV" --ram "$COPY" \
		--lock-budget 4M --verbose --json "$@"
	wait_for 5 grep -q 'waiting for a source' "$(err_of recv)"
	wait_for 5 grep -q 'sandbox:' "$(err_of recv)"
}

send_as() {
	spawn send src "${AS[@]}" "$XDPMIG" send --dev "$SRC_DEV" --verbose \
		--lock-budget 4M --json "$@" "$DST4"
}

# held: all is sent, and it waits for 'continue'
held() {
	wait_for 20 grep -qE 'waits for|xdpmig continue' "$(err_of send)"
}

# -- scenarios ------------------------------------------------------------------------------

scenario_a_user_without_capabilities() {
	net_up queues=2
	attach_both --user $SOMEONE
	as $SOMEONE
	run src "${AS[@]}" "$XDPMIG" status --json
	assert_eq "$RC" 0 "status"
	assert_jq ".devices[0] | .user == \"$SOMEONE\" and .keeper_pid > 0" \
		"$OUT" "status for the user"
	recv_as
	send_as --ram "$GUEST"
	ended 0 0
	check_results "$GUEST"
	assert_same_file "$GUEST" "$COPY" "guest memory"
	assert_eq "$(stat -c %u "$COPY")" $SOMEONE "owner of the copy"
	rm "$COPY"
	detach_both
}

scenario_a_user_s_running_guest() {
	net_up queues=2
	attach_both --user $SOMEONE
	as $SOMEONE
	recv_as
	send_as --synthetic 16M,20M --name his --pause-before-switchover
	held
	for who in send recv; do
		assert_confined "$(pid_of $who)" "$(caps)" "$(caps)"
		assert_between "$(find "/proc/$(pid_of $who)/task" -mindepth 1 \
			-maxdepth 1 | wc -l)" 2 99 "threads of $who"
	done
	run src "${AS[@]}" "$XDPMIG" continue his
	assert_eq "$RC" 0 "continue"
	ended 0 0
	rm "$COPY"
	detach_both
}

scenario_another_user() {
	net_up queues=2
	attach_both --user $SOMEONE
	as $OTHER
	send_as --ram "$GUEST"
	send_end 5
	assert_eq "$SEND_RC" 1 "send of another user"
	said send permission "attached for user $SOMEONE, not for user $OTHER"
	spawn recv dst "${AS[@]}" "$XDPMIG" recv --dev "$DST_DEV" --ram "$COPY" --json
	recv_end 5
	assert_eq "$RECV_RC" 1 "recv of another user"
	said recv permission "attached for user $SOMEONE, not for user $OTHER"
	assert_clean
	detach_both
}

scenario_nobody_s_device() {
	net_up queues=2
	attach_both
	as $SOMEONE
	send_as --ram "$GUEST"
	send_end 5
	assert_eq "$SEND_RC" 1 "send without a keeper"
	said send permission "$SRC_DEV: .*CAP_SYS_ADMIN.*attach --user"
	run src "$XDPMIG" detach "$SRC_DEV"
	run src "$XDPMIG" attach --user nobody --json "$SRC_DEV"
	assert_jq '.user == "nobody"' "$OUT" "attach by name"
	run src "$XDPMIG" detach "$SRC_DEV"
	run src "$XDPMIG" attach --user no-such-user "$SRC_DEV"
	assert_eq "$RC" 2 "attach for nobody"
	assert_grep 'there is no such user' "$ERR" "attach for nobody"
	run dst "$XDPMIG" detach "$DST_DEV"
	assert_detached
}

# Root needs no keeper, and keeps little of what root has.
scenario_root_gives_up() {
	net_up queues=2
	attach_both
	AS=()
	recv_as
	assert_confined "$(pid_of recv)" "$(locks)" "$(locks)"
	send_as --synthetic 16M,20M --pause-before-switchover --name held
	held
	assert_confined "$(pid_of send)" "$(locks)" "$(locks)"
	assert_confined "$(pid_of recv)" "$(locks)" "$(locks)"
	run src "$XDPMIG" continue held
	ended 0 0
	rm "$COPY"

	# The user can have it otherwise, and hears what that means.
	recv_as_root_without_sandbox
	detach_both
}

recv_as_root_without_sandbox() {
	local all

	spawn recv dst "$XDPMIG" recv --dev "$DST_DEV" --ram "$COPY" --sandbox off
	wait_for 5 grep -q 'waiting for a source' "$(err_of recv)"
	assert_grep 'sandbox off: WHO BREAKS INTO' "$(err_of recv)" "recv"
	all=$(status_of self CapEff)
	assert_eq "$(status_of "$(pid_of recv)" CapEff)" "$all" "CapEff"
	assert_eq "$(status_of "$(pid_of recv)" Seccomp)" \
		"$(status_of self Seccomp)" "Seccomp"
	stop recv
}

scenario_keeper() {
	local keeper pid

	net_up queues=2
	attach_both --user $SOMEONE
	keeper=$(keeper_of src)
	assert_confined "$keeper" "$(caps $NET_ADMIN $NET_RAW)" \
		"$(caps $NET_ADMIN $NET_RAW)"
	assert_eq "$(readlink "/proc/$keeper/cwd")" / "its folder"

	# It was killed: the user hears so, and attach --user is needed again.
	kill -KILL "$keeper"
	wait_for 5 is_gone "$keeper"
	as $SOMEONE
	send_as --ram "$GUEST"
	send_end 5
	assert_eq "$SEND_RC" 1 "send without a keeper"
	said send permission "$SRC_DEV: .*attach --user"
	run src "$XDPMIG" detach "$SRC_DEV"
	assert_eq "$RC" 0 "detach without a keeper"

	# It is stopped: detach ends it all the same, as it does one that hears.
	pid=$(keeper_of dst)
	kill -STOP "$pid"
	run dst "$XDPMIG" detach "$DST_DEV"
	assert_eq "$RC" 0 "detach with a keeper that does not hear"
	wait_for 5 is_gone "$pid"
	assert_detached

	# Its device goes, and so does it.
	run src "$XDPMIG" attach --user $SOMEONE "$SRC_DEV"
	pid=$(keeper_of src)
	ip -n "$SRC_NS" link del "$SRC_DEV"
	wait_for 5 is_gone "$pid"
	assert_eq "$(find /run/xdpmig-keeper -mindepth 1)" "" "names of keepers"
	run src "$XDPMIG" detach "$SRC_DEV" # pins stay until then
	assert_eq "$RC" 1 "detach of a device that is gone"
	assert_grep 'removed the pins' "$ERR" "detach of a device that is gone"
}

# keeper_says UID GID ASK [N [SECONDS]]: the error in the answer of the source's keeper,
# asked for N sockets after so long, or "nothing"; ASK as keeper_priv.h has it
keeper_says() {
	local at

	at=/run/xdpmig-keeper/$(stat -Lc %i "/run/netns/$SRC_NS")
	at+=-$(src ip -j link show "$SRC_DEV" | jq '.[0].ifindex').sock
	python3 - "$at" "$1" "$2" "$3" "${4:-1}" "${5:-0}" <<-'END'
		import os, socket, struct, sys, time
		uid, gid, ask, n, wait = map(int, sys.argv[2:])
		os.setgroups([])
		os.setresgid(gid, gid, gid)
		os.setresuid(uid, uid, uid)
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		try:
		    s.connect(sys.argv[1])
		    time.sleep(wait)
		    s.send(struct.pack('IIII', 1, ask, n, 0))
		    a = s.recv(64)
		except (PermissionError, ConnectionResetError, BrokenPipeError):
		    a = b''
		print(struct.unpack('IiIiI', a)[1] if a else 'nothing')
	END
}

# Whatever the mode of its socket: group root is let in by that.
scenario_who_asks_a_keeper() {
	local WHO=1 MAPS=2 SOCKETS=3 QUIT=4 EPERM=-1 EINVAL=-22 keeper began

	net_up queues=2
	attach_both --user $SOMEONE
	keeper=$(keeper_of src)
	assert_eq "$(keeper_says $SOMEONE $SOMEONE $WHO)" 0 "its user"
	assert_eq "$(keeper_says 0 0 $WHO)" 0 "root"
	for what in $WHO $MAPS $SOCKETS $QUIT; do
		assert_eq "$(keeper_says $OTHER $OTHER "$what")" nothing "$what to another"
		assert_eq "$(keeper_says $OTHER 0 "$what")" nothing \
			"$what to another of group root"
	done
	assert_eq "$(keeper_says $SOMEONE $SOMEONE $QUIT)" $EPERM "its user: the end"
	assert_eq "$(keeper_says $SOMEONE $SOMEONE $SOCKETS 64)" 0 "64 sockets"
	assert_eq "$(keeper_says $SOMEONE $SOMEONE $SOCKETS 0)" $EINVAL "no socket"
	assert_eq "$(keeper_says $SOMEONE $SOMEONE $SOCKETS 65)" $EINVAL "65 sockets"
	assert_eq "$(keeper_says $SOMEONE $SOMEONE 5)" $EINVAL "nothing it knows"
	# who is silent is not waited for
	keeper_says $SOMEONE $SOMEONE $WHO 1 3 >"$TMP/silent" &
	began=$(now_ms)
	assert_eq "$(keeper_says $SOMEONE $SOMEONE $WHO)" 0 "beside a silent one"
	assert_between $(($(now_ms) - began)) 0 2500 "milliseconds of it"
	wait $!
	assert_eq "$(cat "$TMP/silent")" nothing "the silent one"
	assert_eq "$(keeper_of src)" "$keeper" "the keeper"
	detach_both
}

# A capability is missing: one message, that names it, and nothing is left.
scenario_missing() {
	local cap cmd

	net_up queues=2
	for cap in "" net_admin bpf,net_raw; do
		root_with "$cap"
		run src "${AS[@]}" "$XDPMIG" attach "$SRC_DEV"
		assert_eq "$RC" 1 "attach with '$cap'"
		assert_eq "$(grep -c '^xdpmig: attach: ' "$ERR")" 1 "messages"
		assert_grep "^xdpmig: attach: $SRC_DEV: .*CAP_NET_ADMIN" "$ERR" \
			"attach with '$cap'"
		assert_no_xdp src
	done
	# What the manual names is enough, there and back.
	root_with net_admin,bpf
	for cmd in attach detach attach; do
		run src "${AS[@]}" "$XDPMIG" $cmd "$SRC_DEV"
		assert_eq "$RC" 0 "$cmd with what it needs"
	done
	run dst "$XDPMIG" attach "$DST_DEV"

	root_with ipc_lock
	send_as --ram "$GUEST"
	send_end 5
	assert_eq "$SEND_RC" 1 "send without CAP_NET_RAW"
	said send permission "$SRC_DEV: .*CAP_NET_RAW"
	root_with net_raw
	send_as --ram "$GUEST" --busy-poll
	send_end 5
	assert_eq "$SEND_RC" 1 "send --busy-poll without CAP_NET_ADMIN"
	said send permission "busy polling: .*CAP_NET_ADMIN"
	AS=()
	memlock_begin
	recv_as
	root_with net_raw
	AS=(prlimit --memlock=65536:65536 -- "${AS[@]}")
	spawn send src "${AS[@]}" "$XDPMIG" send --dev "$SRC_DEV" --ram "$GUEST" \
		--json "$DST4"
	ended 1 3
	said send permission 'RLIMIT_MEMLOCK is 65536 .*ulimit -l.*CAP_IPC_LOCK'
	assert_clean
	# And with the least: pins are root's, a budget is within the limit.
	root_with net_raw
	AS=(prlimit --memlock=8388608:8388608 -- "${AS[@]}")
	recv_as
	send_as --ram "$GUEST"
	ended 0 0
	check_results "$GUEST"
	rm "$COPY"
	memlock_end
	detach_both
}

# -- as services ---------------------------------------------------------------------

# systemd is not here to do what a unit says, so it is done by hand: the unit's
# capabilities, no_new_privs, a bpffs that cannot be written (recv:
# ProtectKernelTunables); and each system call is one that its filter has.

# unit_as UNIT: its capabilities as a command's prefix in AS
unit_as() {
	local set

	set=$(sed -n 's/^CapabilityBoundingSet=//p' "$BUILD/configs/xdpmig-$1@.service" |
		tr '[:upper:] ' '[:lower:],' | sed 's/cap_//g')
	root_with "$set"
	AS+=(setpriv --no-new-privs --)
	[ "$1" != recv ] || AS=(unshare --mount sh -c
		'mount -o remount,bind,ro /sys/fs/bpf && exec "$@"' - "${AS[@]}")
	AS+=(strace -D -f -qq -o "$TMP/$1.calls") # -D: it goes on with the keeper
}

# The names of a set of systemd's, which may have sets in it.
filter_of() { # NAME...
	local name

	for name; do
		case $name in
		@*) # shellcheck disable=SC2046 # names
			filter_of $(systemd-analyze syscall-filter --no-pager "$name" |
				sed -n 's/^    \([@a-z0-9_-]*\)$/\1/p') ;;
		*) echo "$name" ;;
		esac
	done
}

assert_unit_allows_calls() { # UNIT
	local calls

	# shellcheck disable=SC2046 # names
	filter_of $(sed -n 's/^SystemCallFilter=//p' \
		"$BUILD/configs/xdpmig-$1@.service") | sort -u >"$TMP/allowed"
	calls=$(sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' "$TMP/$1.calls" | sort -u |
		# how strace and setpriv begin it is not the unit's business
		comm -23 - "$TMP/allowed" | tr '\n' ' ')
	assert_eq "$calls" "" "calls that xdpmig-$1@ does not allow"
}

scenario_units() {
	local attach recv

	# A leak checker traces, and so does strace; units are for builds without.
	! has_no_filter || return 0
	for unit in attach recv; do
		[ -e "$BUILD/configs/xdpmig-$unit@.service" ] ||
			return 0 # built without
		command -v systemd-analyze strace >/dev/null || return 0
	done
	net_up queues=2
	unit_as attach
	attach=("${AS[@]}")
	run dst "${attach[@]}" "$XDPMIG" attach --user $SOMEONE "$DST_DEV"
	assert_eq "$RC" 0 "attach as its unit"
	run src "$XDPMIG" attach "$SRC_DEV"
	unit_as recv
	recv=("${AS[@]}")
	spawn recv dst "${recv[@]}" "$XDPMIG" recv --dev "$DST_DEV" --ram "$COPY" \
		--lock-budget 4M --json
	wait_for 10 grep -q 'waiting for a source' "$(err_of recv)"
	AS=()
	send_as --ram "$GUEST"
	ended 0 0
	check_results "$GUEST"
	assert_unit_allows_calls recv
	rm "$COPY"
	run dst "${attach[@]}" "$XDPMIG" detach "$DST_DEV"
	assert_eq "$RC" 0 "detach as its unit"
	assert_unit_allows_calls attach
	run src "$XDPMIG" detach "$SRC_DEV"
	assert_detached
}

# -- secrets ------------------------------------------------------------------------------------

# Where is the key's text, or are its bytes, in this file?
has_key() { # FILE
	local hex=${KEY_HEX:?}

	python3 - "$hex" "$1" <<-'END'
		import sys
		key = sys.argv[1]
		try:
		    text = open(sys.argv[2], 'rb').read()
		except OSError:
		    sys.exit(1)
		sys.exit(key.encode() not in text and bytes.fromhex(key) not in text)
	END
}

scenario_secrets() {
	local file pid home

	net_up queues=2
	attach_both --user $SOMEONE
	KEY_HEX=$(sed 's/.*://' "$KEY")
	home=$(home_of $SOMEONE)
	has_key "$KEY" || fail "the test does not find the key where it is"
	as $SOMEONE
	# Whatever they could: a core of any size, in a folder of theirs.
	AS=(env -C "$home" prlimit --core=unlimited:unlimited -- "${AS[@]}")
	recv_as --trace "$home/recv.trace"
	send_as --synthetic 16M,20M --name his --pause-before-switchover \
		--trace "$home/send.trace"
	held
	for pid in "$(pid_of send)" "$(pid_of recv)"; do
		for file in cmdline environ; do
			not has_key "/proc/$pid/$file" || fail "key in $file of $pid"
		done
		# What /proc says of a process that may not be dumped: it is root's.
		assert_eq "$(stat -c %u "/proc/$pid/environ")" 0 "owner of environ"
		run here setpriv --reuid $SOMEONE --clear-groups -- cat "/proc/$pid/environ"
		assert_ne "$RC" 0 "reading the environment as the same user"
		run here setpriv --reuid $SOMEONE --clear-groups -- head -c 1 \
			"/proc/$pid/maps"
		assert_ne "$RC" 0 "reading the memory map as the same user"
		# The key's own page: not dumped (dd), and not there after a fork (wf).
		grep -q '^VmFlags:.* wf.* dd' "/proc/$pid/smaps" ||
			fail "no memory of $pid is DONTDUMP and WIPEONFORK"
	done
	# And a core: the kernel makes none, though the user would have one.
	kill -ABRT "$(pid_of recv)"
	recv_end 10
	assert_eq "$RECV_RC" $((128 + 6)) "recv, aborted"
	send_end 20
	assert_ne "$SEND_RC" 0 "send without a target"
	assert_eq "$(find "$home" -name 'core*')" "" "core dumps"
	for file in "$home"/*.trace "$home"/xdpmig/* "$TMP"/*.err "$TMP"/*.out; do
		[ -e "$file" ] || continue
		not has_key "$file" || fail "key in $file"
	done
	rm -f "$home"/*.trace
	rm -f "$COPY" # of a recv that could not remove it
	detach_both
}

run_scenarios "$@"
