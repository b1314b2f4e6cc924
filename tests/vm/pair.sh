# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# pair.sh - two hosts that are emulated machines with a newer kernel, and a link
# between them; after lib.sh, session.sh, guest.sh, vm.sh and fetch.sh
#
#      machine src             netns of this machine             machine dst
#    +---------------+    +-----------------------------+    +---------------+
#    | $SRC_DEV eth0 ===tap $MID_A   link    $MID_B tap=== eth0  $DST_DEV    |
#    | 198.18.0.1    |    +-----------------------------+    |    198.18.0.2 |
#    +------+--------+                                       +-------+-------+
#           +------------ $TMP of this script, by 9p ----------------+
#
#   pair_kernel              $KERNEL: the newest of trixie-backports, or skip
#   pair_furnish DIR FILE... what the machines have: a root with programs, and FILEs
#   pair_up DIR QEMU DEVICE[,PROPERTY...]
#                            boot both with such a network device of $QUEUES queues
#   pair_down                end both; at exit, before cleanup
#
#   pair_mtu BYTES           of both
#
#   pair_attach LINK MTU [OPTION...]
#                            a link (link_...), the MTU, and attach with options
#   pair_ram MIB             guest memory at src: session.sh's ram_make
#   pair_moves ENGINE ZERO_COPY [OPTION...]
#                            it goes to dst, by this engine (of send), and both ends
#                            have what XDP_OPTIONS says (true or false)
#
#   link_bridge              the link loses nothing
#   link_relay [OPTION...]   or is the relay, which does (relay --help)
#   link_down
#
# Then src, dst and spawn are what they are in lib.sh, and run programs there, with
# the folder $TMP in common: outputs, key and configuration file are at the same
# paths.  Emulation is slow, so wait_for is patient.

# shellcheck disable=SC2034 # of lib.sh
SLOW=3 QUEUES=${QUEUES:-2}
PAIR_CPU=max PAIR_PLUGIN='' # of QEMU, that writes a file
PAIR_TAGS="src dst"
PAIR_SHARED=$TMP
# Somebody else's XDP program, and who attaches it
BESIDE=$BUILD/tests/vm/vm-beside THEIRS=$BUILD/tests/bpf/pass.bpf.o
declare -A PAIR_PID=()

pair_kernel() {
	# shellcheck disable=SC2154 # of guest.sh
	fetch_kernel trixie-backports "$guest_cache/kernel-backports"
	KERNEL=$(find "$guest_cache/kernel-backports/boot" -name 'vmlinuz-*')
	[ -n "$KERNEL" ] || skip "no kernel of trixie-backports"
	say "${KERNEL##*/}"
}

# -- what is in them ------------------------------------------------------------

# Programs that tests run there; the rest is busybox's.
pair_programs=(bash sh ip ethtool bpftool dd fallocate find head mkdir mount mv rm
	sha256sum sleep stat stty)

pair_furnish() { # DIR FILE...
	local dir=$1 name

	shift
	vm_root "$dir"
	for name in "${pair_programs[@]}"; do
		vm_put "$dir" "$(type -P "$name")" || return
	done
	vm_put "$dir" "$XDPMIG" /usr/lib/x86_64-linux-gnu/bpf "$@" || return
	vm_modules "$dir" "$KERNEL" 9pnet_virtio 9p virtio_net igb \
		2>>"$TMP/modules" || return # depmod misses what is not needed
	cp "$(dirname "${BASH_SOURCE[0]}")/agent.sh" "$dir/agent"
	printf '%s\n' "export XDPMIG_CONFIG='$XDPMIG_CONFIG'" \
		"mkdir -p '$TMP'" \
		"mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 shared '$TMP'" \
		'exec bash /agent' >"$dir/script"
	vm_image "$dir" /script
}

# -- machines ---------------------------------------------------------------------

src() { bash "${BASH_SOURCE[0]%/*}/in_vm.sh" "$TMP/vm/src" "$@"; }
dst() { bash "${BASH_SOURCE[0]%/*}/in_vm.sh" "$TMP/vm/dst" "$@"; }

there() { # VERB
	case $1 in
	src | dst) THERE=(bash "${BASH_SOURCE[0]%/*}/in_vm.sh" "$TMP/vm/$1") ;;
	mid) THERE=(nsenter --net="/run/netns/$MID_NS" --) ;;
	*) fail "spawn: where is '$1'?" ;;
	esac
}

# The link's namespace lives as long as the machines.
net_down() { :; }

# Of a tap device: a card's queues are its own.
pair_tap_queues() { # DEVICE
	case $QUEUES,$1 in
	1,* | *,igb*) ;;
	*) echo ",queues=$QUEUES" ;;
	esac
}

# pair_taps DEVICE
pair_taps() {
	local dev queues=''

	net_make_ns "$MID_NS"
	[ -z "$(pair_tap_queues "$1")" ] || queues=multi_queue
	mid sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
	for dev in "$MID_A" "$MID_B"; do
		# shellcheck disable=SC2086 # or none
		ip -n "$MID_NS" tuntap add "$dev" mode tap $queues vnet_hdr
		ip -n "$MID_NS" link set "$dev" mtu 9100 arp off up
	done
}

# nokaslr: in 4 of 37 boots without it one end's zero-copy sent nothing, the device took
# the frames and the tap got none; in 14 with it that was not seen, which may be chance.
# Most likely, and not proven: virtio_net is a module, and maps the header of its
# zero-copy frames (a variable of the module, xsk_hdr) as if it were memory that the kernel
# maps as a whole.  What the device reads then depends on where the kernel was put.
#
# pair_boot TAG TAP MAC DIR QEMU DEVICE
pair_boot() {
	local tag=$1 tap=$2 mac=$3 dir=$4 qemu=$5 device=$6 at=$TMP/vm/$1

	mkdir -p "$at"
	mkfifo "$at/ctl.in" "$at/ctl.out"
	nsenter --net="/run/netns/$MID_NS" -- "$qemu" -nodefaults -no-user-config -display none -no-reboot \
		-name "$tag" -machine q35 -accel tcg,thread=multi \
		-cpu "$PAIR_CPU" ${PAIR_PLUGIN:+-plugin "$PAIR_PLUGIN,counts=$at/insns"} -smp "$QUEUES" -m 640 -kernel "$KERNEL" -initrd "$dir.initrd" \
		-append "console=ttyS0 quiet panic=-1 no_timer_check nokaslr" \
		-serial "file:$at/console" \
		-chardev "pipe,id=ctl,path=$at/ctl" -serial chardev:ctl \
		-virtfs "local,path=$PAIR_SHARED,mount_tag=shared,security_model=none,multidevs=remap" \
		-netdev "tap,id=n,ifname=$tap,script=no,downscript=no,vhost=off$(pair_tap_queues "$device")" \
		-device "$device,netdev=n,mac=$mac" \
		>"$at/qemu.log" 2>&1 </dev/null &
	echo $! >"$at/pid"
	PAIR_PID[$tag]=$!
}

pair_is_up() { # TAG
	grep -q '^agent: ready' "$TMP/vm/$1/console" || is_gone "${PAIR_PID[$1]}"
}

pair_show() { # TAG
	tail -n 20 "$TMP/vm/$1/console" "$TMP/vm/$1/qemu.log" || true
}

pair_up() { # DIR QEMU DEVICE
	local tag

	trap pair_end EXIT
	pair_taps "$3"
	pair_boot src "$MID_A" 52:54:00:12:00:01 "$@"
	pair_boot dst "$MID_B" 52:54:00:12:00:02 "$@"
	SRC_DEV=eth0 DST_DEV=eth0 SRC_IF=eth0 DST_IF=eth0
	SRC4=198.18.0.1 DST4=198.18.0.2 SRC6=fd00:18::1 DST6=fd00:18::2
	export SRC_DEV DST_DEV SRC_IF DST_IF SRC4 DST4 SRC6 DST6
	for tag in $PAIR_TAGS; do
		SLOW=1 wait_for 240 pair_is_up "$tag"
		grep -q '^agent: ready' "$TMP/vm/$tag/console" || {
			pair_show "$tag"
			fail "machine $tag did not boot"
		}
	done
	pair_addresses src 1
	pair_addresses dst 2
}

pair_addresses() { # TAG HOSTPART
	"$1" sh -c "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
		ip link set eth0 up
		ip addr add 198.18.0.$2/24 dev eth0
		ip addr add fd00:18::$2/64 dev eth0 nodad"
}

pair_mtu() { # BYTES
	local tag

	for tag in $PAIR_TAGS; do
		"$tag" ip link set eth0 mtu "$1"
	done
}

pair_attach() { # LINK MTU [OPTION...]
	# shellcheck disable=SC2086 # with its options
	$1
	pair_mtu "$2"
	attach_both --mode native "${@:3}"
}

# The relay carries frames that are complete, as a wire does.
pair_offloads() { # on|off
	local tag

	for tag in $PAIR_TAGS; do
		"$tag" ethtool -K eth0 tx "$1" sg "$1" tso "$1" gso "$1" gro "$1" \
			>/dev/null
	done
}

pair_down() {
	local tag

	for tag in "${!PAIR_PID[@]}"; do
		kill "${PAIR_PID[$tag]}"
		wait "${PAIR_PID[$tag]}"
		unset "PAIR_PID[$tag]"
	done 2>/dev/null
	link_down
	[ ! -e "/run/netns/$MID_NS" ] || ip netns del "$MID_NS"
	rm -rf "$TMP/vm"
}

# What lib.sh does at its end would find the machines.
pair_end() {
	local status=$? tag

	trap - EXIT
	set +e
	[ "$status" = 0 ] || for tag in $PAIR_TAGS; do pair_show "$tag"; done
	pair_down
	(exit "$status")
	cleanup
}

# -- the link ----------------------------------------------------------------------

link_bridge() {
	local dev

	link_down
	pair_offloads on
	ip -n "$MID_NS" link add bridge type bridge
	ip -n "$MID_NS" link set bridge mtu 9100 up
	for dev in "$MID_A" "$MID_B"; do
		ip -n "$MID_NS" link set "$dev" master bridge
	done
}

link_relay() { # OPTION...
	local dev

	link_down
	for dev in "$MID_A" "$MID_B"; do
		ip -n "$MID_NS" link set "$dev" txqueuelen 10000
	done
	pair_offloads off
	relay_start "$@"
}

link_down() {
	if [ -n "${PIDS[relay]:-}" ]; then
		relay_stop
	fi
	ip -n "$MID_NS" link del bridge 2>/dev/null || true
}

# -- guest memory, and what session.sh asks of it -------------------------------------

pair_ram() { # MIB
	src bash -c "$(declare -f random_bytes ram_zero ram_hole ram_make)
		ram_make $GUEST $1"
}

bytes_of() { src stat -c %s "$1"; }

# Programs and pins that a detach leaves
no_bpf() {
	local tag

	for tag in $PAIR_TAGS; do
		[ -z "$("$tag" find /sys/fs/bpf -mindepth 1 ! -path /sys/fs/bpf/xdp \
			! -name '*.debug')" ] &&
			[ "$("$tag" bpftool -j prog show |
				jq '[.[] | select(.type == "xdp" or .type == "ext")] |
					length')" = 0 ] || return
	done
}

sum_of() { # TAG FILE
	"$1" sha256sum "$2" | cut -d ' ' -f 1
}

# The kernel tells how a socket was bound, a driver how its frames came: the result has
# the one, and in a zero-copy queue each copy is ours.
pair_moves() { # ENGINE ZERO_COPY [OPTION...]
	local engine=$1 zero_copy=$2

	shift 2
	receive_and_send "$GUEST" "$@"
	assert_jq ".engine == \"$engine\" and .zero_copy == $zero_copy" \
		"$(out_of send)" "engine of send"
	assert_jq ".zero_copy == $zero_copy" "$(out_of recv)" "engine of recv"
	check_results "$GUEST"
	assert_jq '.pages > 0 and .zero_pages > 0' "$(out_of recv)" "pages"
	assert_eq "$(sum_of dst "$COPY")" "$(sum_of src "$GUEST")" "SHA-256 of the copy"
	dst rm "$COPY"
	assert_not_live
	say "$(value_of '"\(.engine), \(.channels) channels, \(.frame_bytes) bytes a " +
		"frame, \(.gbit_per_s) Gbit/s, \(.frames_resent) of \(.frames_sent) " +
		"frames again, \(.wrong_queue) on another queue"' "$(out_of send)")"
}
