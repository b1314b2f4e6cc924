#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_kinds.sh - guests, and QEMUs, of other kinds: suspended, with a DIMM that
# was plugged, on hugepages, another user's; on a bad network, and slowed down
# while a disk is plugged

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
live_needs relay

# -- a bad network, and a guest asleep ---------------------------------------------

qemu_major() {
	guest_qmp "$A" query-version | sed 's/.*"major": \([0-9]*\).*/\1/'
}

# A real Linux there over 16 channels that lose, duplicate and reorder, and back
# again while it sleeps (ACPI S3).  QEMU before 9.0 wakes a guest that it
# migrates; then it goes on by itself, else when it is woken.
scenario_linux_on_a_bad_network_and_asleep() {
	local state=suspended

	hosts relay=1 queues=16
	relay_start --seed "${SEED:-1}" --ports 61952-62015 --loss 1% \
		--reorder 1%,20,5ms --duplicate 1%
	linux 192 load="rate=20 size=64" control=1
	incoming
	move
	assert_jq '.channels == 16' "$(out_of send)" channels
	live_goes_on "$B" 100 || fail "the guest does not go on"

	turn_round
	echo suspend >"$A/control.in"
	wait_for 20 live_is "$A" suspended
	[ "$(qemu_major)" -ge 9 ] || state=running
	incoming
	recv_live
	send_live
	ended 0 0 60
	check_live_results
	assert_eq "$(live_state "$B")" "$state" "a guest that slept, there"
	[ "$state" = running ] || guest_qmp "$B" system_wakeup >/dev/null
	arrived
	live_goes_on "$B" 100 || fail "the guest does not wake up"
	live_linux_check "$A" "$B" || fail "memory of the guest"
	guests_quit
	relay_stop
	relay_did lost 10
	relay_did reordered 10
	relay_did duplicated 10
	detach_both
}

# relay_did NAME LEAST: the trouble was real
relay_did() {
	assert_between "$(relay_stat ab "$1")" "$2" 100000000 "relay: $1"
}

# -- memory -------------------------------------------------------------------------

DIMM='-m slots=1,maxmem=1G'

# live_dimm DIR: its file; of the guest's other memory to live_quit
live_dimm() {
	local file

	file=$(mktemp /dev/shm/xdpmig-guest-XXXXXX)
	ln -s "$file" "$1/ram1"
	echo "$file"
}

# It was plugged at the source; the target has it from the start.
scenario_a_plugged_dimm() {
	local file

	hosts queues=2
	oracle 64 "args=$DIMM"
	file=$(live_dimm "$A")
	guest_qmp "$A" object-add "{\"qom-type\": \"memory-backend-file\",
		\"id\": \"new\", \"size\": 134217728, \"share\": true,
		\"mem-path\": \"$file\"}" >/dev/null
	guest_qmp "$A" device_add '{"driver": "pc-dimm", "id": "dimm",
		"memdev": "new"}' >/dev/null
	random_bytes 8M | dd of="$file" bs=1M conv=notrunc iflag=fullblock \
		status=none
	file=/dev/shm/xdpmig-guest-dimm
	incoming "args=$DIMM -device pc-dimm,id=dimm,memdev=new \
		-object memory-backend-file,id=new,size=128M,share=on,mem-path=$file"
	ln -s "$file" "$B/ram1"
	recv_live --paused
	send_live --verify # of several blocks
	ended 0 0 60
	check_live_results
	same_memory
	guest_cont "$B"
	arrived
	turn_round
	incoming "args=$DIMM" # and back, to one without
	recv_live
	send_live
	ended 3 3
	said send refused 'block|new'
	at_home
	guests_quit
	detach_both
}

# hugepages N: so many are free, or the scenario has nothing to say
HUGEPAGES=/proc/sys/vm/nr_hugepages
WERE=''
hugepages() {
	local free

	WERE=$(cat $HUGEPAGES)
	echo $((WERE + $1)) >$HUGEPAGES
	free=$(sed -n 's/^HugePages_Free: *//p' /proc/meminfo)
	[ "$free" -ge "$1" ]
}

hugepages_back() {
	[ -z "$WERE" ] || echo "$WERE" >$HUGEPAGES
	WERE=''
}

kinds_cleanup() {
	local status=$?

	set +e # or its failing status ended all here
	live_quit "$A" "$B" || true
	hugepages_back
	(exit $status)
	cleanup
}
trap kinds_cleanup EXIT

scenario_memory_on_hugepages() {
	if ! hugepages 64; then
		say "no 64 free hugepages of 2 MiB here: not shown"
		hugepages_back
		return
	fi
	hosts queues=2
	oracle 64 mem=memory-backend-memfd,share=on,hugetlb=on,hugetlbsize=2M
	incoming
	recv_live
	send_live --verify
	ended 0 0 60
	check_live_results
	assert_jq '.verify_rounds == 1' "$(out_of send)" "compared"
	runs "$B"
	runs_not "$A"
	guests_quit
	hugepages_back
	detach_both
}

# -- whose QEMU it is, and what is kept for it -----------------------------------------

DAC_OVERRIDE=1 KILL=5 IPC_LOCK=14 SYS_PTRACE=19

# assert_keeps PID CAPABILITY...: these and no other, to lock memory aside; and it is
# under a filter, if there is one (a sanitizer has none)
assert_keeps() {
	local pid=$1 bits=0 n status has

	shift
	for n; do
		bits=$((bits | 1 << n))
	done
	for status in "/proc/$pid/task"/*/status; do
		has=$(sed -n 's/^CapPrm:\t//p' "$status" 2>/dev/null) || continue
		assert_eq "$((16#$has & ~(1 << IPC_LOCK)))" "$bits" "CapPrm of $status"
	done
	grep -q '__[atm]san_init' "$XDPMIG" ||
		assert_eq "$(sed -n 's/^Seccomp:\t//p' "/proc/$pid/status")" 2 \
			"filter of $pid"
}

# keep KEPT_BY_SEND KEPT_BY_RECV KEPT_BY_GUARDIAN: moved, and looked at meanwhile
keep() {
	local guardian

	recv_live
	send_live --name held --pause-before-switchover
	wait_for 40 grep -q "waiting for 'xdpmig continue'" "$(err_of send)"
	guardian=$(pgrep -P "$(pid_of send)")
	# shellcheck disable=SC2086 # lists
	{
		assert_keeps "$(pid_of send)" $1
		assert_keeps "$(pid_of recv)" $2
		assert_keeps "$guardian" $3
	}
	run src "$XDPMIG" continue held
	assert_eq "$RC" 0 "continue"
	moved
}

scenario_qemu_of_the_same_user() {
	hosts queues=2
	oracle 64
	incoming
	keep "$SYS_PTRACE" "" ""
	guests_quit
	detach_both
}

# It has no privilege, nor a right to userfaultfd.  The target's was started with -S,
# as libvirt does, which is no reason not to run.
scenario_qemu_of_another_user() {
	cat >"$TMP/qemu" <<-END
		#!/bin/sh
		chown nobody "$TMP"/guest-? "$TMP"/guest-?/*
		exec setpriv --reuid nobody --regid nogroup --clear-groups \
			--inh-caps=-all --bounding-set=-all -- \
			qemu-system-x86_64 "\$@"
	END
	chmod +x "$TMP/qemu"
	chmod 711 "$TMP"
	hosts queues=2
	LIVE_QEMU=$TMP/qemu
	oracle 64
	incoming args=-S
	LIVE_QEMU=qemu-system-x86_64
	[ "$(stat -c %U "/proc/$(cat "$A/pid")")" = nobody ] ||
		fail "QEMU is not nobody's"
	keep "$SYS_PTRACE $DAC_OVERRIDE" "$DAC_OVERRIDE $KILL" "$DAC_OVERRIDE"
	guests_quit
	detach_both
}

# -- slowed down, and stopped for each harvest --------------------------------------

# plug_disk DIR: one with cache=none; the guest's slots are empty on both sides
plug_disk() {
	guest_qmp "$1" blockdev-add "{\"driver\": \"file\",
		\"node-name\": \"late\", \"filename\": \"$TMP/disk.raw\",
		\"read-only\": true, \"cache\": {\"direct\": true}}" >/dev/null
	guest_qmp "$1" device_add '{"driver": "virtio-blk-pci", "id": "late",
		"drive": "late"}' >/dev/null
}

# assert_not_traced DIR: nobody holds a thread of its QEMU
assert_not_traced() {
	local tracers

	tracers=$(sed -n 's/^TracerPid:\t//p' "/proc/$(cat "$1/pid")"/task/*/status |
		sort -u)
	assert_eq "$tracers" 0 "tracers of ${1##*/}"
}

too_fast() {
	recv_live
	send_live --name fast --converge auto --max-downtime 100ms \
		--bandwidth 400M
}

slowed_down() {
	wait_for 40 grep -q 'slowed down by' "$(err_of send)"
}

slowed_and_drained() {
	assert_jq '.throttle_percent > 0 and .drain_ms > 0 and .epochs >= 2' \
		"$(out_of send)" "figures"
	assert_not_traced "$A"
}

# The disk is plugged while the guest is copied; it is at both sides the second
# time.
scenario_slowed_down_and_a_disk_is_plugged() {
	truncate -s 4M "$TMP/disk.raw"
	hosts queues=2
	oracle 64 machine=pc
	incoming
	too_fast
	wait_for 10 grep -q '"event":"progress"' "$(out_of send)"
	plug_disk "$A"
	slowed_down
	run src "$XDPMIG" cancel fast
	assert_eq "$RC" 0 cancel
	ended 4 4
	slowed_and_drained
	at_home

	incoming
	plug_disk "$B"
	too_fast
	slowed_down
	run src "$XDPMIG" set fast --bandwidth 20G
	assert_eq "$RC" 0 set
	moved
	slowed_and_drained
	guests_quit
	detach_both
	rm "$TMP/disk.raw"
}

run_scenarios "$@"
