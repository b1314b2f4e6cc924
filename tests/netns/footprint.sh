#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# footprint.sh - how much memory do the two processes take for themselves?
#
# While 1 GiB of random pages is on its way, at a pace that leaves time to look,
# /proc/PID/smaps is read again and again.  Each mapping is one of three kinds:
#
#   guest   a mapping of the guest's file, of whichever kind
#   UMEM    anonymous, and not for children (dc in VmFlags: MADV_DONTFORK, which
#           is called for UMEMs and for guest memory only): arenas of header
#           slots, buffers, staging, RX chunks
#   own     everything else: heap, stacks, AF_XDP's rings, the program and its
#           libraries
#
# Counted are all resident and swapped pages of the last kind, also those that a
# library shares with other processes, because what is shared depends on who else
# runs; private pages alone are said beside it.  The largest figure of all
# samples must be below 64 MiB and a byte for each page of the guest.  Nothing
# else hides behind "UMEM": its addresses, with guest memory that is mapped for
# writing at the source, are locked_bytes of the result, to the byte.

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
needs xdpmig awk

# A guest, its copy, and as much again for the rest of the machine.
free_kib=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)
[ "$free_kib" -ge $((3 << 20)) ] || skip "needs 3 GiB of free memory"
mount -o remount,size=3g /dev/shm

# sample PID FILE: a line "OWN PRIVATE UMEM GUEST_IN_UMEM" in KiB; nothing if
# the process has ended
sample() {
	awk -v guest="$2" '
		function add() {
			if (path == guest)
				writable += perms ~ /w/ ? size : 0
			else if (path == "" && flags ~ / dc( |$)/)
				umem += size
			else {
				own += rss + swap
				private += clean + dirty + huge + swap
			}
		}
		/^[0-9a-f]+-[0-9a-f]+ / {
			if (n++)
				add()
			perms = $2
			path = $6
		}
		$1 == "Size:" { size = $2 }
		$1 == "Rss:" { rss = $2 }
		$1 == "Private_Clean:" { clean = $2 }
		$1 == "Private_Dirty:" { dirty = $2 }
		$1 == "Private_Hugetlb:" { huge = $2 }
		$1 == "Swap:" { swap = $2 }
		$1 == "VmFlags:" { flags = $0 }
		END {
			if (n) {
				add()
				print own, private, umem + 0, writable + 0
			}
		}' "/proc/$1/smaps" 2>/dev/null || true
}

# watch NAME FILE: keep the largest figure of each column in TOP, and the number
# of samples
watch() {
	local figures i top

	read -r -a figures < <(sample "$(pid_of "$1")" "$2") || return 0
	read -r -a top <<<"${TOP[$1]:-0 0 0 0 0}"
	for i in "${!figures[@]}"; do
		[ "${figures[i]}" -le "${top[i]}" ] || top[i]=${figures[i]}
	done
	TOP[$1]="${top[*]:0:4} $((top[4] + 1))"
}

# weigh FILE BANDWIDTH: transfer it, and watch both ends from the first
# moment to the last
weigh() {
	declare -gA TOP=()
	recv_start
	send_start "$1" --bandwidth "$2"
	until is_gone "$(pid_of send)" && is_gone "$(pid_of recv)"; do
		watch send "$1"
		watch recv "$COPY"
		sleep 0.02
	done
	ended 0 0
	check_results "$1"
	assert_same_file "$1" "$COPY" "guest memory"
	rm "$COPY"
	assert_clean
	check_weight send "$1"
	check_weight recv "$1"
}

# check_weight NAME FILE: only the source has guest memory in its UMEMs
check_weight() {
	local own private umem guest samples most

	read -r own private umem guest samples <<<"${TOP[$1]}"
	[ "$1" = send ] || guest=0
	most=$((65536 + $(pages_of "$2") / 1024))
	say "$1, $(pages_of "$2") pages: at most $own KiB its own," \
		"$private KiB of them private; $umem KiB of buffers in UMEMs;" \
		"$samples samples"
	assert_between "$samples" 10 100000 "$1: samples"
	assert_eq $(((umem + guest) * 1024)) \
		"$(value_of .locked_bytes "$(out_of "$1")")" \
		"$1: bytes that were taken for UMEM"
	assert_between "$own" 1 "$most" "$1: KiB of memory of its own"
}

hosts_up() {
	net_up queues=16
	attach_both
}

scenario_1_gib_of_pages() {
	hosts_up
	random_bytes 1G >"$GUEST"
	weigh "$GUEST" 2G
	detach_both
}

# What grows with the guest, though it has nothing but holes: 8 GiB may take
# 2 MiB.
scenario_8_gib_of_holes() {
	local gib

	hosts_up
	rm -f "$GUEST"
	truncate -s 8G "$GUEST"
	for gib in {0..7}; do
		random_bytes 8M | dd of="$GUEST" bs=1M seek=$((gib * 1024)) \
			conv=notrunc iflag=fullblock status=none
	done
	weigh "$GUEST" 400M
	detach_both
}

run_scenarios "$@"
