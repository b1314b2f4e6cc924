#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# vm.sh - xdpmig on drivers with zero-copy, and TCP over the same device
#
# Two emulated machines (tests/vm/pair.sh), two CPUs and two queues each, joined by a
# bridge.  In one run, in turns: xdpmig in zero-copy and in copy mode, and iperf3,
# plain and with -Z (sendfile), TCP's offloads as the device has them.
#
# An emulated machine's time says little: what it does with a device or an interrupt is
# dear, whatever it would cost a CPU.  So its instructions are counted (insns.c), those of
# the kernel and of programs, idle CPUs have none.  Repeated string instructions count
# each turn, of eight bytes; vector instructions count once.  It is what SIZE more of
# memory cost, so what is paid once (keys, sockets, pinning) is not in it.  Prints
# Markdown; docs/performance.md has more.

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
	cat <<-EOT
	Usage: tests/bench/vm.sh [OPTION]...   (as root, with BUILD=DIR; default build)

	  --device NAME  virtio (default) or igb
	  --mtu LIST     default 3814,9000; igb: 3000
	  --size MIB     default 96
	  --repeat N     runs of each, default 3; the median is shown
	  --json FILE    keep every run's figures, one object a line
	EOT
	exit 0
fi

BUILD=$(realpath "${BUILD:-$(dirname "$0")/../../build}")
tests=$(dirname "$0")/..
# shellcheck source=tests/netns/lib.sh
. "$tests/netns/lib.sh"
# shellcheck source=tests/netns/session.sh
. "$tests/netns/session.sh"
# shellcheck source=tests/lib/guest.sh
. "$tests/lib/guest.sh"
# shellcheck source=tests/vm/vm.sh
. "$tests/vm/vm.sh"
# shellcheck source=tests/vm/fetch.sh
. "$tests/vm/fetch.sh"
# shellcheck source=tests/vm/pair.sh
. "$tests/vm/pair.sh"
needs xdpmig iperf3 busybox cpio ldd modprobe depmod xz

device=virtio mtus='' size=96 repeat=3 json=''
while [ $# -gt 0 ]; do
	[ $# -gt 1 ] || mistake "$1 needs a value"
	case $1 in
	--device) device=$2 ;;
	--mtu) mtus=$2 ;;
	--size) size=$2 ;;
	--repeat) repeat=$2 ;;
	--json) json=$2 ;;
	*) mistake "unknown option $1" ;;
	esac
	shift 2
done
results=${json:-$TMP/results}
: >"$results"
base=8 # MiB, of which the cost is subtracted

insns_of() { # TAG
	od -An -v -t u8 -w64 "$TMP/vm/$1/insns" | awk '{ sum += $1 } END { printf "%.0f", sum }'
}

# memory MIB: at the source, no two pages the same, none of zeros
memory() {
	src sh -c "head -c 4194304 /dev/urandom >/dev/shm/seed
		for i in \$(seq $((($1 + 3) / 4))); do
			echo part \$i; cat /dev/shm/seed
		done | head -c $1M >$GUEST
		rm /dev/shm/seed"
}

# measured COMMAND...: INSNS_SRC, INSNS_DST
measured() {
	INSNS_SRC=$(insns_of src) INSNS_DST=$(insns_of dst)
	"$@"
	INSNS_SRC=$(($(insns_of src) - INSNS_SRC))
	INSNS_DST=$(($(insns_of dst) - INSNS_DST))
}

# note WHAT MTU GBITS BYTES ENGINE: bytes are those of the larger less the smaller; a line
# of results
note() {
	jq -cn --arg what "$1" --arg mtu "$2" --argjson gbits "$3" --argjson bytes "$4" \
		--arg engine "$5" --argjson src $((INSNS_SRC - BASE_SRC)) \
		--argjson dst $((INSNS_DST - BASE_DST)) \
		'{what: $what, mtu: ($mtu | tonumber), engine: $engine,
			gbit_per_s: $gbits,
			src: ($src / 1e9 * 1073741824 / $bytes),
			dst: ($dst / 1e9 * 1073741824 / $bytes)}' >>"$results"
	say "$(tail -n 1 "$results")"
}

transfer_once() { # OPTION...
	receive_and_send "$GUEST" "$@"
	dst rm "$COPY"
}

measure_xdpmig() { # NAME MTU OPTION...
	local name=$1 mtu=$2

	shift 2
	attach_both --mode native
	memory $base
	measured transfer_once "$@"
	BASE_SRC=$INSNS_SRC BASE_DST=$INSNS_DST
	memory $((base + size))
	measured transfer_once "$@"
	detach_both
	note "$name" "$mtu" "$(value_of .gbit_per_s "$(out_of send)")" $((size << 20)) \
		"$(value_of '"\(.engine), \(.frame_bytes) bytes a frame"' "$(out_of send)")"
}

iperf_once() { # MIB OPTION...
	spawn server dst iperf3 --server --one-off --forceflush
	wait_for 20 dst grep -q ':1451 .*:0000 0A ' /proc/net/tcp6
	run src iperf3 --client "$DST4" --bytes "$1M" --json "${@:2}"
	[ "$RC" = 0 ] || fail "iperf3"
	reap server 30
	IPERF_GBITS=$(jq '.end.sum_received.bits_per_second / 1e9' "$OUT")
	IPERF_BYTES=$(jq .end.sum_received.bytes "$OUT")
}

measure_iperf() { # NAME MTU OPTION...
	local name=$1 mtu=$2 bytes

	shift 2
	measured iperf_once $base "$@"
	BASE_SRC=$INSNS_SRC BASE_DST=$INSNS_DST bytes=$IPERF_BYTES
	measured iperf_once $((base + size)) "$@"
	note "$name" "$mtu" "$IPERF_GBITS" $((IPERF_BYTES - bytes)) TCP
}

# shellcheck disable=SC2034 # of pair.sh; without instructions that copy a byte at a turn.
PAIR_CPU='max,-erms,-fsrm'
case $device in
virtio)
	qemu="qemu-system-x86_64"
	model=virtio-net-pci,iommu_platform=on,disable-legacy=on,mq=on,vectors=8
	mtus=${mtus:-3814,9000}
	PAIR_PLUGIN=$BUILD/tests/bench/libinsns1.so
	;;
igb)
	qemu=$TMP/new/qemu-system-x86_64 model=igb mtus=${mtus:-3000}
	PAIR_PLUGIN=$BUILD/tests/bench/libinsns4.so
	fetch_qemu "$qemu"
	;;
*) mistake "--device $device: virtio or igb" ;;
esac
needs "$qemu"
pair_kernel
pair_furnish "$TMP/root" "$(type -P iperf3)" "$(type -P head)" "$(type -P seq)"
pair_up "$TMP/root" "$qemu" "$model"
link_bridge
for mtu in ${mtus//,/ }; do
	pair_mtu "$mtu"
	if [ "$device" = igb ]; then
		src ethtool -N eth0 rx-flow-hash udp4 sdfn
		dst ethtool -N eth0 rx-flow-hash udp4 sdfn
	fi
	for ((n = 0; n < repeat; n++)); do
		[ "$mtu" -gt 3814 ] || measure_xdpmig "xdpmig, zero-copy" "$mtu"
		measure_iperf "iperf3" "$mtu"
		measure_xdpmig "xdpmig, copy mode" "$mtu" --zero-copy off \
			recv:--zero-copy recv:off
		measure_iperf "iperf3 -Z" "$mtu" -Z
	done
done
echo
echo "$device, $size MiB, Linux ${KERNEL##*/vmlinuz-} in $("$qemu" --version |
	sed -n 's/.*version \([0-9.]*\).*/QEMU \1/p'), median of $repeat"
echo
echo "| | MTU | engine | Gbit/s | 10^9 instructions/GiB source | destination | together |"
echo "|---|---:|---|---:|---:|---:|---:|"
jq -rs 'def median: sort | .[(length - 1) / 2 | floor];
	def r: . * 100 | round / 100;
	[group_by([.mtu, .what])[] | {what: .[0].what, mtu: .[0].mtu, engine: .[0].engine,
		gbit: (map(.gbit_per_s) | median), src: (map(.src) | median),
		dst: (map(.dst) | median), both: (map(.src + .dst) | median)}] |
	sort_by([.mtu, .both])[] |
	"| \(.what) | \(.mtu) | \(.engine) | \(.gbit | r) | \(.src | r) | \(.dst | r) |" +
	" \(.both | r) |"' "$results"
