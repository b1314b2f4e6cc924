#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# sweep.sh - the figures and pictures of docs/header-ring.md
#
#   sim      sim-sweep: 100 Gbit/s, round trips of 0.1, 1 and 10 ms; exact, and the
#            same on every machine
#   sim32    the same with the 32 MiB of receive memory that recv has by default
#   veth     xdpmig sweep between two network namespaces
#   relay    the same through the relay: a link of --rate, and frames are delayed so
#            that the round trip is 0.1, 1 and 10 ms, and that of its own work longer
#
# Of what really sends (veth, relay) nothing else should run meanwhile.

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
	cat <<-EOT
	Usage: tests/bench/sweep.sh [OPTION]...   (as root, with BUILD=DIR; default build)

	  --what LIST      default sim,sim32,veth,relay
	  --out DIR        for *.txt, *.csv and *.svg; default header-ring
	  --rtts LIST      default 100us,1ms,10ms
	  --slots LIST     of veth and relay, default 1,2,4,8,20,40,64,128
	  --channels LIST  of veth and relay, default 1,4
	  --drains LIST    default half,full,one
	  --size BYTES     of veth and relay, default 256M and 64M
	  --rate BITS      of the relay's link, default 1G
	  --repeat N       of veth and relay, default 5
	  --rx-memory BYTES  of their receiver, default 256M
	EOT
	exit 0
fi

BUILD=$(realpath "${BUILD:-$(dirname "$0")/../../build}")
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/../netns/lib.sh"

what=sim,sim32,veth,relay out=header-ring rtts=100us,1ms,10ms slots=1,2,4,8,20,40,64,128
channels=1,4 drains=half,full,one size='' repeat=5 rx_memory=256M rate=1G
while [ $# -gt 0 ]; do
	[ $# -gt 1 ] || mistake "$1 needs a value"
	case $1 in
	--what) what=$2 ;;
	--out) out=$2 ;;
	--rtts) rtts=$2 ;;
	--slots) slots=$2 ;;
	--channels) channels=$2 ;;
	--drains) drains=$2 ;;
	--size) size=$2 ;;
	--repeat) repeat=$2 ;;
	--rate) rate=$2 ;;
	--rx-memory) rx_memory=$2 ;;
	*) mistake "unknown option $1" ;;
	esac
	shift 2
done
for rtt in ${rtts//,/ }; do
	[[ $rtt =~ ^[1-9][0-9]*[um]s$ ]] || mistake "--rtts: no time: $rtt"
done
mkdir -p "$out"

us_of() { # TIME
	case $1 in
	*us) echo "${1%us}" ;;
	*ms) echo $((${1%ms} * 1000)) ;;
	esac
}

# Long enough that what comes before the window is open does not count.
sim_size() { # RTT
	case $(us_of "$1") in
	? | ?? | ???) echo 512M ;;
	????) echo 1G ;;
	*) echo 4G ;;
	esac
}

measure_sim() { # NAME OPTION...
	local name=$1 rtt

	shift
	for rtt in ${rtts//,/ }; do
		say "$name, round trip $rtt"
		"$BUILD/tests/sim/sim-sweep" --rtt "$rtt" --size "$(sim_size "$rtt")" \
			--drain "$drains" "$@" --csv "$out/$name-$rtt.csv" \
			--svg "$out/$name-$rtt.svg" \
			--title "Header ring: 100 Gbit/s, round trip $rtt" \
			>"$out/$name-$rtt.txt" 2>"$TMP/sim.err" ||
			fail "sim-sweep: $(tail -n 3 "$TMP/sim.err")"
	done
}

# sweep NAME SIZE TITLE
sweep() {
	local dev

	for dev in "src $SRC_DEV" "dst $DST_DEV"; do
		# shellcheck disable=SC2086 # two words
		run ${dev% *} "$XDPMIG" attach "${dev#* }"
		assert_eq "$RC" 0 "attach"
	done
	spawn recv dst "$XDPMIG" recv --dev "$DST_DEV" --discard --rx-memory "$rx_memory"
	wait_for 10 grep -q 'waiting for sources' "$(err_of recv)"
	say "$3"
	src "$XDPMIG" sweep --dev "$SRC_DEV" --size "${size:-$2}" --slots "$slots" \
		--channels "$channels" --drains "$drains" --repeat "$repeat" \
		--seed 1 --title "Header ring: $3" --csv "$out/$1.csv" \
		--svg "$out/$1.svg" --html "$out/$1.html" "$DST4" >"$out/$1.txt"
	stop recv
	run src "$XDPMIG" detach "$SRC_DEV"
	run dst "$XDPMIG" detach "$DST_DEV"
}

# As many as the most channels; two at least, or the device has no queues to speak of.
n_queues() {
	tr ',' '\n' <<<"2,$channels" | sort -n | tail -n 1
}

for part in ${what//,/ }; do
	case $part in
	sim) measure_sim sim ;;
	sim32) measure_sim sim32 --rx-memory 32M ;;
	veth)
		net_up queues="$(n_queues)" qdisc=mq
		sweep veth 256M "two hosts joined by a veth pair"
		;;
	relay)
		for rtt in ${rtts//,/ }; do
			net_up queues="$(n_queues)" relay=1
			relay_start --delay $(($(us_of "$rtt") / 2))us \
				--way ab --rate "$rate" --queue 64M
			sweep "relay-$rtt" 64M "relay, $rate, round trip $rtt and more"
			relay_stop
		done
		;;
	*) mistake "--what: no such part: $part" ;;
	esac
	net_down
done
