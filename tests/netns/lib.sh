# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# lib.sh - two hosts on one machine, for every script in this folder
#
#   net_up queues=N mtu=M qdisc=noqueue|pfifo|mq
#
#     netns $SRC_NS                                     netns $DST_NS
#    +-------------------------+                     +-------------------------+
#    |  $SRC4 198.18.X.1       |    veth, N queues   |       198.18.X.2  $DST4 |
#    |  $SRC6 fd00:18:X::1     |    each direction   |     fd00:18:X::2  $DST6 |
#    |                $SRC_DEV =======================  $DST_DEV               |
#    +-------------------------+                     +-------------------------+
#
#   net_up relay=1 ...; relay_start --loss 1%
#
#     netns $SRC_NS           netns $MID_NS               netns $DST_NS
#    +-----------+         +-----------------+         +-----------+
#    |  $SRC_DEV ==veth==== $MID_A     $MID_B ==veth==== $DST_DEV  |
#    +-----------+         |    \_ relay _/  |         +-----------+
#                          +-----------------+
#    A to B is "ab", the way of the pages; B to A is "ba", the way of the acks.
#
#   net_up vlan=100: the addresses are on $SRC_IF = $SRC_DEV.100, else
#   $SRC_IF is $SRC_DEV itself; the same at the destination.
#
# A script sources this file first and says what it needs; then scenarios, one
# function each:
#
#   . "${0%/*}/lib.sh"
#   needs xdpmig
#   scenario_pages_arrive() {
#           net_up queues=4
#           spawn recv dst "$XDPMIG" recv ...
#           wait_for 5 grep -q waiting "$(err_of recv)"
#           run src "$XDPMIG" send ...
#           assert_eq "$RC" 0 "send"
#   }
#   run_scenarios "$@"
#
# The script runs in a mount namespace of its own with fresh /run/netns,
# /run/xdpmig, /run/xdpmig-keeper and /sys/fs/bpf: pins and names of the machine are neither seen nor
# touched, and whatever kills the script, the mounts are gone with it.  At exit everything
# is removed, and what would be left is a failure (leak_check).
#
#   exit 77         skipped, the reason is printed (meson's protocol)
#   DEBUG=1         a shell on the source host after the last scenario or the
#                   first failure, before anything is removed
#   KEEP=1          keep the folder with outputs
#   XDPMIG, RELAY   the programs; by default those of the build folder $BUILD
#
# Every send and recv has the key $KEY, by the configuration file $XDPMIG_CONFIG.

set -euo pipefail

skip() {
	echo "SKIP: $*"
	exit 77
}

# The distribution's programs: what stands before them on a machine, such as a script
# that looks for one of several Pythons, takes five times as long as what it starts.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

[ "$(id -u)" = 0 ] || skip "needs root"
for tool in unshare nsenter ip tc ethtool gojq bpftool; do
	command -v "$tool" >/dev/null || skip "needs the program $tool"
done

# Another jq, which starts in 2 ms and not in 20: some ten thousand times in a whole run.
jq() { gojq "$@"; }

if [ "${XM_NETNS_PRIVATE:-}" != $$ ]; then
	# exec keeps the process id, so the mark says that it was this script
	XM_NETNS_PRIVATE=$$ exec unshare --mount --propagation private -- \
		bash "$0" "$@"
fi
mkdir -p /run/netns /run/xdpmig /run/xdpmig-keeper
mount -t tmpfs xm-netns /run/netns
mount -t tmpfs -o mode=0700 xm-names /run/xdpmig
mount -t tmpfs -o mode=0755 xm-keeper /run/xdpmig-keeper
[ ! -d /sys/fs/bpf ] || mount -t bpf bpf /sys/fs/bpf

BUILD=${BUILD:-$PWD}
XDPMIG=${XDPMIG:-$BUILD/userspace/cli/xdpmig}
RELAY=${RELAY:-$BUILD/tests/lib/relay}
TMP=$(mktemp -d "${TMPDIR:-/tmp}/xm-$$-XXXXXX")
touch "$TMP/programs" "$TMP/processes" # see leak_note

# Who may be the peer: the same key for every send and recv of the script
KEY=$TMP/key
export XDPMIG_CONFIG=$TMP/common.conf
printf 'xdpmig-test:%s\n' "$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')" >"$KEY"
chmod 600 "$KEY"
echo "key = $KEY" >"$XDPMIG_CONFIG"

SRC_NS=xm$$s DST_NS=xm$$d MID_NS=xm$$m
SRC_DEV=xs$$ DST_DEV=xd$$ MID_A=xa$$ MID_B=xb$$
NET_UP='' FAILED=0
RC=0 OUT=$TMP/run.out ERR=$TMP/run.err
declare -A PIDS=()

# -- saying how it goes ----------------------------------------------------------

say() { echo "# $*"; }

# fail TEXT: the scenario is over, with what the last commands said
fail() {
	local f

	FAILED=1
	echo "FAILED: ${SCENARIO:+$SCENARIO: }$*"
	for f in "$TMP"/*.err "$TMP"/*.out; do
		[ -s "$f" ] || continue
		echo "--- ${f##*/} (last lines)"
		tail -n 15 "$f"
	done
	exit 1
}

# mistake TEXT: of who called the script, in its arguments
mistake() {
	FAILED=1 # which cleanup need not explain
	echo "${0##*/}: $*; see --help" >&2
	exit 2
}

# unexpected STATUS COMMAND: the script ends, and no assertion of its has said why: a
# command failed that should not, or a signal came (meson's, after its timeout)
unexpected() {
	local i where=''

	for ((i = 2; i < ${#FUNCNAME[@]} - 1; i++)); do
		where+=" ${FUNCNAME[i]}:${BASH_LINENO[i - 1]}"
	done
	(fail "status $1 of '$2'; called by:$where")
}

assert_eq() { # ACTUAL EXPECTED TEXT
	[ "$1" = "$2" ] || fail "$3: got '$1', expected '$2'"
}

assert_ne() { # ACTUAL UNEXPECTED TEXT
	[ "$1" != "$2" ] || fail "$3: got '$1'"
}

assert_between() { # ACTUAL LEAST MOST TEXT; whole numbers
	# so that what is no number is out of range, too
	if ! [ "$1" -ge "$2" ] || ! [ "$1" -le "$3" ]; then
		fail "$4: got $1, expected $2 to $3"
	fi
}

assert_grep() { # PATTERN FILE TEXT
	grep -qE -- "$1" "$2" || fail "$3: no '$1' in ${2##*/}"
}

assert_no_grep() { # PATTERN FILE TEXT
	! grep -qE -- "$1" "$2" || fail "$3: '$1' in ${2##*/}"
}

# assert_jq FILTER FILE TEXT: the filter is true for the last JSON object
assert_jq() {
	tail -n 1 "$2" | jq -e "$1" >/dev/null ||
		fail "$3: not true: $1: $(tail -n 1 "$2" | cut -c 1-600)"
}

# value_of FILTER FILE: of the last JSON object
value_of() {
	tail -n 1 "$2" | jq -r "$1"
}

assert_same_file() { # FILE FILE TEXT
	cmp -- "$1" "$2" >"$TMP/cmp.out" 2>&1 || fail "$3: files differ"
}

# wait_for SECONDS COMMAND...: until it succeeds; on hosts that are SLOW times slower
# that many times as long
SLOW=1
wait_for() {
	local seconds=$(($1 * SLOW)) end

	shift
	end=$((${EPOCHREALTIME/[.,]/} + seconds * 1000000))
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/[.,]/}" -lt "$end" ] ||
			fail "not within $seconds s: $*"
		sleep 0.02
	done
}

not() { ! "$@"; }

# -- running things on a host ------------------------------------------------------

src() { nsenter --net="/run/netns/$SRC_NS" -- "$@"; }
dst() { nsenter --net="/run/netns/$DST_NS" -- "$@"; }
mid() { nsenter --net="/run/netns/$MID_NS" -- "$@"; }
# As users type it; a mount namespace of its own, with a fresh /sys.
src_ns() { ip netns exec "$SRC_NS" "$@"; }
dst_ns() { ip netns exec "$DST_NS" "$@"; }
here() { "$@"; }

# run VERB COMMAND...: status in $RC, output in $OUT and $ERR; never fails
run() {
	RC=0
	"$@" >"$OUT" 2>"$ERR" </dev/null || RC=$?
	case " $* " in
	*" attach "* | *" xdp "*) leak_note ;;
	esac
}

# there VERB: sets THERE, the program that runs another on this host
there() {
	case $1 in
	src) THERE=(nsenter --net="/run/netns/$SRC_NS" --) ;;
	dst) THERE=(nsenter --net="/run/netns/$DST_NS" --) ;;
	mid) THERE=(nsenter --net="/run/netns/$MID_NS" --) ;;
	src_ns) THERE=(ip netns exec "$SRC_NS") ;;
	dst_ns) THERE=(ip netns exec "$DST_NS") ;;
	here) THERE=() ;;
	*) fail "spawn: where is '$1'?" ;;
	esac
}

# spawn NAME VERB COMMAND...: in the background; its pid is the program's own
spawn() {
	local name=$1 THERE=()

	there "$2"
	shift 2
	# or who waits for a word would find the one before's
	rm -f "$TMP/$name.out" "$TMP/$name.err"
	"${THERE[@]}" "$@" >"$TMP/$name.out" 2>"$TMP/$name.err" </dev/null &
	PIDS[$name]=$!
}

out_of() { echo "$TMP/$1.out"; }
err_of() { echo "$TMP/$1.err"; }
pid_of() { echo "${PIDS[$1]}"; }

is_gone() { # PID; a zombie is gone
	local key='' state='' # read sets them only if it can read: ESRCH

	while read -r key state _; do
		[ "$key" != State: ] || break
	done 2>/dev/null <"/proc/$1/status" || return 0
	[ -z "$state" ] || [ "$state" = Z ]
}

is_stopped() { # NAME
	grep -q '^State:.T (' "/proc/$(pid_of "$1")/status"
}

# No program made a system call that its own sandbox refuses: it says so once,
# where it says everything.
assert_no_refused_calls() {
	! grep -l 'sandbox: system call' "$TMP"/*.err 2>/dev/null ||
		fail "a system call was refused by the sandbox: $(grep -h \
			'sandbox: system call' "$TMP"/*.err | sort -u)"
}

# reap NAME SECONDS: wait for its end; exit status in $RC
reap() {
	{ # the shell would tell of every job that a signal ended
		wait_for "$2" is_gone "${PIDS[$1]}"
		RC=0
		wait "${PIDS[$1]}" || RC=$?
	} 2>/dev/null
	unset "PIDS[$1]"
	assert_no_refused_calls
}

# stop NAME [SIGNAL]: and wait until it is gone
stop() {
	kill -"${2:-TERM}" "${PIDS[$1]}" 2>/dev/null || true
	reap "$1" 10
}

# -- the network ----------------------------------------------------------------------

net_make_ns() {
	ip netns add "$1"
	# shellcheck disable=SC2016 # expands there
	nsenter --net="/run/netns/$1" -- sh -c '
		cd /proc/sys/net/ipv6/conf
		for c in all default; do
			echo 0 >$c/accept_dad
			echo 0 >$c/router_solicitations
			echo 0 >$c/accept_ra
		done
		ip link set lo up'
}

# net_make_pair NS DEV NS DEV: veth between two namespaces
net_make_pair() {
	ip -n "$1" link add "$2" numtxqueues "$queues" numrxqueues "$queues" \
		mtu "$mtu" type veth peer name "$4" netns "$3" \
		numtxqueues "$queues" numrxqueues "$queues" mtu "$mtu"
}

net_set_qdisc() { # NS DEV
	case $qdisc in
	noqueue) ;;
	pfifo) tc -n "$1" qdisc add dev "$2" root pfifo limit 10000 ;;
	mq) tc -n "$1" qdisc add dev "$2" root mq ;;
	*) fail "net_up: no such qdisc: $qdisc" ;;
	esac
}

# Like a wire: no super-packets, no unfinished checksums, tags in the frame.
net_no_offloads() { # NS DEV
	nsenter --net="/run/netns/$1" -- ethtool -K "$2" tso off gso off gro off \
		tx off sg off txvlan off rxvlan off >/dev/null
}

net_make_host() { # NS DEV HOSTPART; sets NET_IF
	local ns=$1 dev=$2 host=$3

	[ "$offloads" = 1 ] || net_no_offloads "$ns" "$dev"
	net_set_qdisc "$ns" "$dev"
	ip -n "$ns" link set "$dev" up
	NET_IF=$dev
	if [ "$vlan" != 0 ]; then
		NET_IF=$dev.$vlan
		ip -n "$ns" link add link "$dev" name "$NET_IF" type vlan id "$vlan"
		ip -n "$ns" link set "$NET_IF" up
	fi
	ip -n "$ns" addr add "198.18.$net.$host/24" dev "$NET_IF"
	ip -n "$ns" addr add "$net6::$host/64" dev "$NET_IF" nodad
}

# net_up [queues=4] [mtu=9000] [qdisc=noqueue] [vlan=0] [relay=0] [offloads=1]
#        [net=0]: the X of the addresses
net_up() {
	local queues=4 mtu=9000 qdisc=noqueue vlan=0 relay=0 offloads=1 net=0
	local NET_IF option net6

	[ -z "$NET_UP" ] || net_down
	for option; do
		case ${option%%=*} in
		queues | mtu | qdisc | vlan | relay | offloads | net)
			local "$option" ;;
		*) fail "net_up: no such option: $option" ;;
		esac
	done
	[ "$relay" = 0 ] || offloads=0
	net6=fd00:18:$net
	[ "$net" != 0 ] || net6=fd00:18 # as everybody else prints it
	NET_UP=1
	net_make_ns "$SRC_NS"
	net_make_ns "$DST_NS"
	if [ "$relay" = 0 ]; then
		net_make_pair "$SRC_NS" "$SRC_DEV" "$DST_NS" "$DST_DEV"
	else
		net_make_relay
	fi
	net_make_host "$SRC_NS" "$SRC_DEV" 1
	export SRC_IF=$NET_IF
	net_make_host "$DST_NS" "$DST_DEV" 2
	export DST_IF=$NET_IF
	export SRC4=198.18.$net.1 DST4=198.18.$net.2
	export SRC6=$net6::1 DST6=$net6::2
}

# The relay's own network stack keeps quiet, and its outgoing queues push back
# instead of dropping: what is lost must be lost on purpose.
net_make_relay() {
	local dev

	net_make_ns "$MID_NS"
	mid sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
	net_make_pair "$SRC_NS" "$SRC_DEV" "$MID_NS" "$MID_A"
	net_make_pair "$DST_NS" "$DST_DEV" "$MID_NS" "$MID_B"
	for dev in "$MID_A" "$MID_B"; do
		net_no_offloads "$MID_NS" "$dev"
		ip -n "$MID_NS" link set "$dev" arp off txqueuelen 10000 up
		tc -n "$MID_NS" qdisc add dev "$dev" root mq
	done
}

# Deleting a namespace is asynchronous; deleting a veth is not.
net_down() {
	local ns

	[ -z "$NET_UP" ] || leak_note
	for ns in "$SRC_NS" "$DST_NS"; do
		[ -e "/run/netns/$ns" ] || continue
		ip -n "$ns" link del "$SRC_DEV" 2>/dev/null || true
		ip -n "$ns" link del "$DST_DEV" 2>/dev/null || true
	done
	for ns in "$SRC_NS" "$DST_NS" "$MID_NS"; do
		[ -e "/run/netns/$ns" ] || continue
		leak_note_processes "$ns" >>"$TMP/processes"
		ip netns del "$ns"
	done
	NET_UP=''
}

# -- the relay ---------------------------------------------------------------------------

# relay_start [OPTION...]: see relay --help
relay_start() {
	spawn relay mid "$RELAY" "$@" "$MID_A" "$MID_B"
	wait_for 5 grep -q '"ready"' "$TMP/relay.out"
}

# relay_stop: its statistics are the last object of $(out_of relay)
relay_stop() {
	stop relay
	assert_eq "$RC" 0 "relay's exit status"
}

# relay_stat DIRECTION NAME, after relay_stop: relay_stat ab lost
relay_stat() {
	value_of ".$1.$2" "$TMP/relay.out"
}

# -- leaving nothing behind -----------------------------------------------------------------

# shellcheck source=tests/lib/leftovers.sh
. "${BASH_SOURCE[0]%/*}/../lib/leftovers.sh"

# assert_no_xdp VERB: no device of this host carries an XDP program
assert_no_xdp() {
	local devs

	devs=$("$1" ip -d -j link show | jq -r '.[] | select(.xdp) | .ifname')
	assert_eq "$devs" "" "devices of $1 with an XDP program"
}

# assert_detached: after 'detach' on both hosts, while the devices still live
assert_detached() {
	assert_no_xdp src
	assert_no_xdp dst
	wait_for_quietly 30 no_bpf && return
	echo "--- left behind:"
	leak_list_bpf
	fail "programs or pins after detach"
}

no_bpf() {
	[ -z "$(leak_list_bpf)" ]
}

debug_shell() {
	[ "${DEBUG:-0}" = 1 ] || return 0
	echo "# host src; 'nsenter --net=/run/netns/$DST_NS' is host dst"
	echo "# outputs are in $TMP; exit this shell to go on"
	if [ -e "/run/netns/$SRC_NS" ]; then
		src env PS1='src# ' bash --norc -i || true
	else
		env PS1='test# ' bash --norc -i || true
	fi
}

cleanup() {
	local status=$? last=$BASH_COMMAND name

	trap - EXIT
	set +e
	case $status in
	0 | 77) ;;
	*) [ "$FAILED" = 1 ] || unexpected "$status" "$last" ;;
	esac
	debug_shell
	for name in "${!PIDS[@]}"; do
		{
			kill -KILL "${PIDS[$name]}"
			wait "${PIDS[$name]}"
		} 2>/dev/null
	done
	net_down
	if [ "$status" = 0 ]; then
		(leak_check) || status=1
	fi
	if [ "${KEEP:-0}" = 1 ]; then
		echo "# outputs kept in $TMP"
	else
		rm -rf "$TMP"
	fi
	exit "$status"
}

trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# -- scenarios ---------------------------------------------------------------------------------

# needs NAME...: xdpmig, relay, a program in the PATH, or vlan: a kernel with
# VLAN devices
needs() {
	local what

	for what; do
		case $what in
		xdpmig) what=$XDPMIG ;;
		relay) what=$RELAY ;;
		vlan)
			has_vlan || skip "this kernel has no VLAN devices"
			continue
			;;
		esac
		command -v "$what" >/dev/null || skip "needs the program $what"
	done
}

has_vlan() {
	unshare -n sh -c 'ip link add a type veth peer b &&
		ip link add link a name a.1 type vlan id 1' >/dev/null 2>&1
}

list_scenarios() {
	sed -n 's/^scenario_\([a-z0-9_]*\)().*/\1/p' "$0"
}

# run_scenarios [NAME...]: these, or every function scenario_*, in the order
# of the file
run_scenarios() {
	local names=("$@") name left

	if [ ${#names[@]} = 0 ]; then
		mapfile -t names < <(list_scenarios)
	fi
	for name in "${names[@]}"; do
		SCENARIO=$name
		say "$name"
		"scenario_$name"
		for left in "${!PIDS[@]}"; do
			stop "$left" KILL
		done
		assert_no_refused_calls
		net_down
		rm -f "$TMP"/*.out "$TMP"/*.err
		echo "ok - $SCENARIO"
	done
	SCENARIO=''
}
