#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# resources.sh - something that a migration needs is not there, or is taken away while
# it is under way: one message, the documented status at both ends, nothing left
#
#   CYCLES=N   how often all is set up and torn down (5)
#
# Locked memory is in limits.sh, links and devices in link.sh, calls that fail and
# descriptors in nth.sh, clocks in trust.sh.

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
needs xdpmig python3
ram_make "$GUEST" 32

hosts_up() {
	net_up queues=2
	attach_both
	left_note idle
}

# -- /dev/shm ------------------------------------------------------------------------

shm_size() { # SIZE
	mount -o "remount,size=$1" /dev/shm
}

# Pages that have no room are found out when they are written.
scenario_no_room_for_the_guest() {
	hosts_up
	shm_size 32m
	recv_start
	send_start "$GUEST"
	ended 3 1
	said recv memory "$COPY: .*(space|room|full)"
	said send refused "the peer: $COPY: .*(space|room|full)"
	home send source
	home recv source
	shm_size 2g
	left_same idle
	migrate "$GUEST"
	detach_both
}

# It fills up while memory is on its way, and nobody else is hurt by that.
scenario_room_that_goes_away() {
	hosts_up
	shm_size 80m
	recv_start
	send_slowly
	dd if=/dev/zero of=/dev/shm/filler bs=64k status=none 2>"$TMP/full" || true
	assert_grep "No space" "$TMP/full" "filling"
	ended 3 1
	said recv memory "$COPY: .*(space|room|full)"
	said send refused "the peer: $COPY: .*(space|room|full)"
	home send source
	rm /dev/shm/filler
	shm_size 2g
	left_same idle
	migrate "$GUEST"
	detach_both
}

# Somebody cuts the file short from which memory is sent: it is pinned, but read where
# there is nothing any more.
scenario_memory_that_is_cut_short() {
	hosts_up
	recv_start
	send_slowly
	cp "$GUEST" "$TMP/guest.before"
	truncate -s 1M "$GUEST"
	ended 1 3
	said send memory "$GUEST: .*cut short"
	said recv refused "the peer: $GUEST: .*cut short"
	home send source
	cp "$TMP/guest.before" "$GUEST"
	left_same idle
	migrate "$GUEST"
	detach_both
}

# -- queues --------------------------------------------------------------------------

# queue_taken VERB DEV: its queue 0 has a socket of some other program
queue_taken() {
	spawn other "$1" python3 -c '
import ctypes, mmap, os, signal, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
s = socket.socket(44, socket.SOCK_RAW)
m = mmap.mmap(-1, 16 << 12)
at = ctypes.addressof(ctypes.c_char.from_buffer(m))
s.setsockopt(283, 4, struct.pack("QQIII4x", at, 16 << 12, 4096, 0, 0))
for ring in (5, 6, 2):
    s.setsockopt(283, ring, struct.pack("I", 16))
sa = struct.pack("HHIII", 44, 2, socket.if_nametoindex(sys.argv[1]), 0, 0)
if libc.bind(s.fileno(), sa, len(sa)):
    sys.exit(os.strerror(ctypes.get_errno()))
print("bound", flush=True)
signal.pause()' "$2"
	wait_for 5 grep -q bound "$(out_of other)"
}

scenario_queue_of_the_source_is_taken() {
	hosts_up
	queue_taken src "$SRC_DEV"
	recv_start
	send_start "$GUEST"
	ended 1 3
	said send device "$SRC_DEV: queue 0 .*another program; end it"
	said recv refused "the peer: $SRC_DEV: queue 0 "
	home send source
	stop other
	left_same idle
	migrate "$GUEST"
	detach_both
}

scenario_queue_of_the_destination_is_taken() {
	hosts_up
	queue_taken dst "$DST_DEV"
	recv_start
	send_start "$GUEST"
	ended 3 1
	said recv device "$DST_DEV: queue 0 .*another program; end it"
	said send refused "the peer: $DST_DEV: queue 0 "
	home send source
	stop other
	left_same idle
	migrate "$GUEST"
	detach_both
}

# -- the program -----------------------------------------------------------------------

# Another one's tool takes it off the device, and no frame comes any more.
program_taken() { # VERB DEV WHERE
	begin --stall 1s
	"$1" ip link set "$2" xdp off
	ended 4 4
	said send stalled "channel [01]|$2"
	said recv stalled "the peer: |$2"
	home send source
	home recv source
	assert_no_files
	# what is left of an attach goes with the next one, or with detach
	run "$1" "$XDPMIG" attach "$2"
	assert_eq "$RC" 0 "attach again"
	migrate "$GUEST"
	detach_both
}

scenario_program_is_taken_at_the_source() {
	program_taken src "$SRC_DEV"
}

scenario_program_is_taken_at_the_destination() {
	program_taken dst "$DST_DEV"
}

# -- again and again -----------------------------------------------------------------------

# The machine's, in KiB: growth of N cycles is N times what one has left.
kernel_memory() {
	awk '/^(SUnreclaim|Percpu|VmallocUsed|PageTables|KernelStack):/ { n += $2 }
		END { print n }' /proc/meminfo
}

scenario_again_and_again() {
	local i n=${CYCLES:-5} kernel

	net_up queues=2
	ram_make "$GUEST" 2
	left_note bare
	kernel=$(kernel_memory)
	for ((i = 0; i < n; i++)); do
		attach_both
		recv_start
		send_start "$GUEST"
		ended 0 0
		rm "$COPY"
		detach_both
		((i % 10)) || left_same bare
	done
	left_same bare
	say "$n cycles; kernel's memory $kernel KiB, then $(kernel_memory) KiB"
	ram_make "$GUEST" 32
}

run_scenarios "$@"
