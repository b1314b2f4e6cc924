#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# demo.sh - a running guest moves over AF_XDP and never notices, on this machine
#
#   host src (a network namespace)             host dst (another one)
#   QEMU, a Linux guest that works             QEMU -incoming defer
#   xdpmig send --qmp        ==== veth ====>   xdpmig recv --qmp
#
# Installs what it needs (Debian 12, root), builds xdpmig, boots a Linux that
# writes and verifies its memory, reads a disk and says so 50 times a second.
# It moves to dst over a link that is made slow, so that there is something to
# see, and back as fast as it goes, where it stays paused until every byte was
# compared.  A minute or so, and nothing is left behind, also after Ctrl-C.
#
#   QUEUES=16        channels, and queues of the veth pair
#   RAM=512          the guest's, in MiB
#   WRITES=192       MiB of it that the guest writes and verifies
#   RATE=40          MB/s that it writes
#   BANDWIDTH=2G     of the way there, bits per second
#   DEBUG=1          opens a shell at the end
#   BUILD=FOLDER     takes the xdpmig of that build folder: installs nothing
set -euo pipefail

usage() {
	sed -n '3,/^set/s/^# \{0,1\}//p' "$0"
	exit "$1"
}

mistake() {
	echo "demo.sh: $*" >&2
	exit 2
}

# number NAME LEAST MOST
number() {
	local value=${!1}
	if ! [[ $value =~ ^[0-9]{1,6}$ ]] || ((10#$value < $2 || 10#$value > $3)); then
		mistake "$1=$value: a number from $2 to $3 is wanted"
	fi
	printf -v "$1" %d "$((10#$value))"
}

case ${1:-} in
'') ;;
-h | --help) usage 0 ;;
*) mistake "'$1'? There are no arguments; 'tests/demo.sh --help' tells of the variables" ;;
esac
if [ "$(id -u)" != 0 ]; then
	echo "demo.sh: needs root, for network namespaces and XDP: sudo tests/demo.sh" >&2
	exit 1
fi
QUEUES=${QUEUES-16} RAM=${RAM-512} WRITES=${WRITES-192} RATE=${RATE-40}
BANDWIDTH=${BANDWIDTH-2G}
number QUEUES 1 64
number RAM 160 65536
number WRITES 8 $((RAM - 128))
number RATE 0 1000
[[ $BANDWIDTH =~ ^[1-9][0-9]{0,5}[MGT]$ ]] ||
	mistake "BANDWIDTH=$BANDWIDTH: a rate such as 500M or 2G is wanted"
free=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
[ "$free" -ge $((2 * RAM + 512)) ] ||
	mistake "two guests of $RAM MiB need $((2 * RAM + 512)) MiB, and $free are free"

if [ -n "${BUILD:-}" ]; then
	[ -x "$BUILD/userspace/cli/xdpmig" ] || mistake "BUILD=$BUILD: there is no xdpmig"
	BUILD=$(realpath "$BUILD")
fi

cd "$(dirname "$0")/.."
[ "$0" = tests/demo.sh ] || exec bash tests/demo.sh # lib.sh starts $0 again

# -- how it looks -----------------------------------------------------------------

bold='' dim='' green='' plain='' style=()
terminal=no columns=80
if [ -t 1 ]; then
	terminal=yes
	{ read -r _ columns < <(stty size <&3); } 3>&1 2>/dev/null || true
	[ "${columns:-0}" -ge 40 ] || columns=80 # some say 0
	bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' plain=$'\e[0m'
	style+=(--colour)
fi
[ "$(locale charmap 2>/dev/null)" = UTF-8 ] || style+=(--ascii)
log=build/demo.log began=$SECONDS chapter=0
TICK=''

title() {
	local line
	chapter=$((chapter + 1))
	printf -v line '%*s' $((91 - ${#1})) ''
	printf '\n%s-- %d  %s %s%s\n\n' "$bold" $chapter "$1" "${line// /-}" "$plain"
}
text() { printf '   %s\n' "$@"; }
ok() { printf '   %sok%s  %s\n' "$green" "$plain" "$*"; }

# show HOST WORD...: a command as it is typed there
show() {
	local line="   $1# $2" word
	shift 2
	for word; do
		if [ $((${#line} + ${#word})) -gt 94 ]; then
			printf '%s%s \\%s\n' "$dim" "$line" "$plain"
			line='           '
		fi
		line+=" $word"
	done
	printf '%s%s%s\n' "$dim" "$line" "$plain"
}

# A line that the next one replaces; in a log, a line.
fleeting() {
	if [ $terminal = yes ]; then
		printf '\r   %.*s\e[K' $((columns - 4)) "$*"
	else
		text "$*"
	fi
}
wiped() { [ $terminal = no ] || printf '\r\e[K'; }

tick() { # TEXT
	local start=$SECONDS
	[ $terminal = yes ] || text "$1 ..."
	while :; do
		if [ $terminal = yes ]; then
			fleeting "$1 ... $((SECONDS - start)) s"
			sleep 1
		else
			sleep 4
			text "... $((SECONDS - start)) s"
		fi
	done
}

tick_end() {
	[ -n "$TICK" ] || return 0
	{
		kill "$TICK"
		wait "$TICK"
	} 2>/dev/null || true
	TICK=''
	wiped
}

# during TEXT COMMAND...: it says nothing meanwhile, so we do
during() {
	local what=$1 start=$SECONDS
	shift
	tick "$what" &
	TICK=$!
	"$@" >>$log 2>&1 || {
		tick_end
		echo "demo.sh: $what failed; the last lines of $log:" >&2
		tail -n 20 $log >&2
		FAILED=1
		exit 1
	}
	tick_end
	text "$what: $((SECONDS - start)) s"
}

# -- before anything is made --------------------------------------------------------

demo_build() {
	[ -f build/demo/build.ninja ] ||
		meson setup build/demo -Dbuildtype=release || return
	ninja -C build/demo userspace/cli/xdpmig
}

if [ "${XM_NETNS_PRIVATE:-}" != $$ ]; then
	trap tick_end EXIT
	mkdir -p build
	: >$log
	if [ -z "${BUILD:-}" ]; then
		# shellcheck source=tests/lib/packages.sh
		. tests/lib/packages.sh
		[ -z "$(packages_missing tests/packages.txt)" ] ||
			during "installing packages that xdpmig and its tests need" \
				packages_install tests/packages.txt
		during "building xdpmig" demo_build
	fi
	trap - EXIT
fi
export BUILD=${BUILD:-$PWD/build/demo}
# shellcheck source=tests/netns/lib.sh
. tests/netns/lib.sh
# shellcheck source=tests/lib/guest.sh
. tests/lib/guest.sh
# shellcheck source=tests/lib/live.sh
. tests/lib/live.sh
needs xdpmig qemu-system-x86_64 busybox cpio gcc python3

# Ours alone, and gone with us: room for two guests, whatever the machine's has.
mount -t tmpfs -o "size=$((2 * RAM + 64))m,huge=never" xm-ram /dev/shm

exec {out}>&1 {err}>&2
SRC=$TMP/src DST=$TMP/dst
demo_cleanup() {
	local status=$?
	set +e
	trap '' INT TERM HUP PIPE
	exec 1>&"$out" 2>&"$err" # where 'during' sends it elsewhere
	tick_end
	case $status in
	129 | 130 | 141 | 143)
		printf '\ninterrupted: removing guests, devices and namespaces\n'
		FAILED=1 # which lib.sh need not explain
		;;
	esac
	live_quit "$SRC" "$DST"
	(exit $status)
	cleanup
}
trap demo_cleanup EXIT
trap 'exit 129' HUP
trap 'exit 141' PIPE

# -- the guest ------------------------------------------------------------------------

# What it last said, for people.
pulse() { # DIR
	local n t work sweeps reads state
	read -r _ _ n t work sweeps reads state < <(grep ' beat ' "$1/stamps" | tail -n 1) ||
		return 0
	t=${t#t=} work=${work#work=}
	printf 'beat %5d   up %3d.%d s   wrote %5d MiB   verified %3d times   disk reads %7d   %s' "$n" \
		$((t / 1000)) $((t / 100 % 10)) $((work / 256)) "${sweeps#sweeps=}" \
		"${reads#reads=}" "$state"
}

heartbeat() { # DIR SECONDS: on screen
	local end=$((SECONDS + $2)) every=1
	[ $terminal = no ] || every=0.1
	while [ $SECONDS -lt $end ]; do
		fleeting "$(pulse "$1")"
		sleep $every
	done
	wiped
	[ $terminal = no ] || text "$(pulse "$1")"
}

healthy() { # DIR...
	live_linux_check "$@" || fail "the guest found something wrong"
}

boots() {
	# shellcheck disable=SC2119 # no more options
	live_linux "$SRC" "$RAM" "load=rate=$RATE size=$WRITES disk=/dev/vda,1" \
		"disk=$TMP/disk" name=demo
}

waits_for_guest() { # DIR OF
	live_quit "$1"
	live_incoming "$1" "$2"
}

# -- the migration --------------------------------------------------------------------

epoch_line() {
	jq -r 'def pad(n): tostring | (" " * ([n - length, 0] | max)) + .;
		"epoch \(.epoch | pad(2))  \(.pages | pad(7)) pages" +
		"  \(.bytes_sent / 1048576 | floor | pad(5)) MiB in \(.ms | pad(5)) ms" +
		"  \(.gbit_per_s * 100 | round / 100 | pad(5)) Gbit/s   " +
		(if .final then "the last: the guest is paused"
		else "\(.dirty_pages | pad(6)) pages written meanwhile" end)' <<<"$1"
}

# watch DIR: what send says, as it comes, and the guest of DIR
watch() {
	local line part='setting up' beat fd next=0 is_over=no
	wait_for 10 test -e "$TMP/stamps"
	exec {fd}<"$TMP/stamps"
	until [ $is_over = yes ]; do
		! is_gone "$(pid_of send)" || ! is_gone "$(pid_of stamp)" || is_over=yes
		while read -r _ line <&"$fd"; do
			case $line in
			'{"event":"epoch"'*)
				wiped
				text "$(epoch_line "$line")"
				[[ $line != *'"final":true'* ]] || part='handing over'
				;;
			'{"event":"progress"'*)
				[ "$part" = 'handing over' ] || part=$(jq -r '"epoch \(.epoch): " +
					"\(100 * .ram_bytes_done / .ram_bytes_total | floor) %"' \
					<<<"$line")
				;;
			esac
		done
		if [ $terminal = yes ]; then
			beat=$(pulse "$1")
			fleeting "$part   the guest: ${beat%%   wrote*}"
		elif [ $SECONDS -ge $next ]; then
			[ $next = 0 ] || text "$part"
			next=$((SECONDS + 3))
		fi
		[ $is_over = yes ] || sleep 0.1
	done
	exec {fd}<&-
	wiped
}

# migrate DIR HOST DIR HOST [OPTION...]: those beginning with recv: are recv's.
# What send said is in $TMP/send.json, and with the host's time in $TMP/stamps.
migrate() {
	local from=$1 at=$2 to=$3 there=$4 option dev=$DST_DEV sdev=$SRC_DEV peer=$DST4
	local send=(--queues "$QUEUES") recv=()
	shift 4
	for option; do
		case $option in
		recv:*) recv+=("${option#recv:}") ;;
		*) send+=("$option") ;;
		esac
	done
	[ "$at" = src ] || dev=$SRC_DEV sdev=$DST_DEV peer=$SRC4
	show "$there" xdpmig recv --qmp "$to/mig" "${recv[@]}"
	spawn recv "$there" "$XDPMIG" recv --dev "$dev" --qmp "$to/mig" --name at-target \
		--json "${recv[@]}"
	wait_for 10 grep -q 'waiting for a source' "$(err_of recv)"
	show "$at" xdpmig send --qmp "$from/mig" "${send[@]}" "$peer"
	echo
	rm -f "$TMP/fifo" "$TMP/send.json" "$TMP/stamps"
	mkfifo "$TMP/fifo"
	"$(guest_tool stamp)" "$TMP/send.json" "$TMP/stamps" <"$TMP/fifo" &
	PIDS[stamp]=$!
	# shellcheck disable=SC2016 # expands there
	spawn send "$at" bash -c 'exec "$@" >"$0"' "$TMP/fifo" "$XDPMIG" send --dev "$sdev" \
		--qmp "$from/mig" --json "${send[@]}" "$peer"
	watch "$from"
	reap send 60
	assert_eq "$RC" 0 "exit status of send"
	reap recv 10
	assert_eq "$RC" 0 "exit status of recv"
	reap stamp 10
	assert_jq '.guest_runs_at == "target"' "$TMP/send.json" "result of send"
	assert_jq '.guest_runs_at == "target"' "$(out_of recv)" "result of recv"
}

draw() { # PART FILE...
	python3 tests/lib/timeline.py "${style[@]}" "$@" || fail "no picture: $1"
}

mib_of() { # FILE: that take memory
	echo $(($(du -k "$1" | cut -f 1) / 1024))
}

# -- 1 ------------------------------------------------------------------------------------

title "Two hosts: network namespaces, a veth pair with $QUEUES queues, MTU 9000"
net_up queues="$QUEUES" mtu=9000 qdisc=pfifo
cat <<EOT
   host src $SRC4                                    host dst $DST4
   QEMU -- shared RAM -- xdpmig send                 xdpmig recv -- shared RAM -- QEMU
                           |  AF_XDP queue 0..$(printf '%-2d' $((QUEUES - 1)))            |
                           +=========== veth ==============+
                           +-- control connection (TLS) ---+

EOT
for side in src dst; do
	dev=$SRC_DEV
	[ $side = src ] || dev=$DST_DEV
	show $side xdpmig attach "$dev"
	run $side "$XDPMIG" attach "$dev" --json
	assert_eq "$RC" 0 "attach at $side"
	value_of '"   \(.mode) XDP, queues \(.queues)" +
		if .dispatcher then ", beside other programs" else "" end' "$OUT"
done

# -- 2 ------------------------------------------------------------------------------------

title "A Linux guest works at src: an unmodified QEMU, $RAM MiB of shared RAM"
text "It writes $WRITES MiB of memory at random, $RATE MB/s, and verifies all it wrote;" \
	"it reads a disk, verifies that, too; and its heart beats every 20 ms."
echo
"$(guest_tool guestload)" make-disk "$TMP/disk" 16 >>$log
during "booting Linux (emulated, no KVM needed)" boots
show src qemu-system-x86_64 -object "memory-backend-file,id=ram0,size=${RAM}M,mem-path=FILE,share=on" \
	-machine q35,memory-backend=ram0 -qmp "unix:$SRC/mig,server=on,wait=off" ...
echo
heartbeat "$SRC" 4

# -- 3 ------------------------------------------------------------------------------------

title "It moves to dst, and runs meanwhile"
show dst qemu-system-x86_64 "(the same options)" -incoming defer
during "starting the QEMU that waits at dst" waits_for_guest "$DST" "$SRC"
migrate "$SRC" src "$DST" dst --bandwidth "$BANDWIDTH" --max-downtime 100ms
mv "$TMP/send.json" "$TMP/there.send"
cp "$(out_of recv)" "$TMP/there.recv"
live_is "$DST" running || fail "the guest at dst is $(live_state "$DST")"
! live_is "$SRC" running || fail "the guest still runs at src"
beats=$(live_beats "$SRC")
echo
ok "it runs at dst, and only there:"
heartbeat "$DST" 4
assert_eq "$(live_beats "$SRC")" "$beats" "beats of the guest that left"
healthy "$SRC" "$DST"

# -- 4 ------------------------------------------------------------------------------------

title "The epochs: all memory, then what was written meanwhile, until little is left"
draw epochs "$TMP/there.send"
echo
draw clock "$TMP/there.send" "$TMP/stamps" "$SRC/stamps" "$DST/stamps"

title "The downtime, to scale"
draw downtime "$TMP/there.send" "$TMP/stamps" "$SRC/stamps" "$DST/stamps"

title "What each channel carried; there is one for each queue"
draw channels "$TMP/there.send"

# -- 5 ------------------------------------------------------------------------------------

title "And back, as fast as it goes; 'recv --paused', so that bytes can be compared"
during "starting the QEMU that waits at src" waits_for_guest "$SRC" "$DST"
migrate "$DST" dst "$SRC" src recv:--paused
for dir in "$SRC" "$DST"; do
	! live_is "$dir" running || fail "the guest runs at ${dir##*/}, not paused"
done
healthy "$DST"
left=$(readlink "$DST/ram") came=$(readlink "$SRC/ram")
echo
text "The guest runs nowhere now. What it left at dst, against what arrived at src:"
show src cmp "$left" "$came"
cmp "$left" "$came" || fail "the memories differ"
ok "all $RAM MiB are identical, $(sha256sum "$came" | cut -c 1-32)..."
ok "zero pages stayed holes: $(mib_of "$left") MiB take memory at dst, $(mib_of "$came") at src"
guest_cont "$SRC"
live_goes_on "$SRC" 50 30 || fail "the guest does not go on"
echo
text "The guest goes on at src, twice moved:"
heartbeat "$SRC" 6
healthy "$SRC"
ok "not one of its checks of memory and disk failed, before, during or after"

# -- 6 ------------------------------------------------------------------------------------

title "Figures (a veth pair on a shared machine is not a network card)"
draw figures "$TMP/there.send" "$TMP/there.recv" "$TMP/send.json" "$(out_of recv)"

for side in src dst; do
	dev=$SRC_DEV
	[ $side = src ] || dev=$DST_DEV
	run $side "$XDPMIG" detach "$dev"
	assert_eq "$RC" 0 "detach at $side"
done
assert_detached
printf '\n%sDone in %d s: the guest moved twice and never noticed; nothing stays attached.%s\n' \
	"$bold" $((SECONDS - began)) "$plain"
