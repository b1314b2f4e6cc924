# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# session.sh - guest memory, a migration of it, and all that it must have done;
# after lib.sh:
#
#   . "${0%/*}/lib.sh"
#   . "${0%/*}/session.sh"
#   needs xdpmig
#   ram_make /dev/shm/guest 64
#   scenario_four_queues() {
#           net_up queues=4
#           attach_both
#           migrate /dev/shm/guest              # recv, send, every check
#           detach_both
#   }
#   run_scenarios "$@"
#
# Guest memory lies in a /dev/shm of the script's own (it has a mount namespace
# of its own already): what a failed migration leaves there is seen, and is
# gone with the script.  Holes are counted in blocks, so huge pages are off.
#
# A made guest is a mix, in every 2 MiB (the smallest piece that one channel
# has): 1 MiB random, 256 KiB zeros, 512 KiB random, 256 KiB hole; and here and
# there a single zero page or a hole of one page among random ones.

GUEST=/dev/shm/guest COPY=/dev/shm/copy
PEER='' # where send finds recv; empty: $DST4

mount -t tmpfs -o size=2g,huge=never xm-ram /dev/shm

# -- memory ----------------------------------------------------------------------

random_bytes() { # COUNT
	head -c "$1" /dev/urandom
}

# ram_zero FILE OFFSET LENGTH, in KiB: zeros that take memory
ram_zero() {
	dd if=/dev/zero of="$1" bs=4k seek=$(($2 / 4)) count=$(($3 / 4)) \
		conv=notrunc status=none
}

# ram_hole FILE OFFSET LENGTH, in KiB: zeros that don't
ram_hole() {
	fallocate --punch-hole --offset "$2K" --length "$3K" "$1"
}

# ram_make FILE MIB
ram_make() {
	local file=$1 kib=$(($2 * 1024)) at

	random_bytes "$2M" >"$file"
	for ((at = 0; at < kib; at += 2048)); do
		ram_zero "$file" $((at + 1024)) 256
		ram_hole "$file" $((at + 1792)) 256
	done
	for ((at = 0; at < kib; at += 8192)); do
		ram_zero "$file" $((at + 12)) 4
		ram_hole "$file" $((at + 500)) 4
	done
}

blocks_of() { stat -c %b "$1"; } # of 512 bytes
bytes_of() { stat -c %s "$1"; }
pages_of() { echo $(($(bytes_of "$1") / 4096)); }

# -- hosts ---------------------------------------------------------------------------

attach_both() { # OPTION...
	run src "$XDPMIG" attach "$@" "$SRC_DEV"
	assert_eq "$RC" 0 "attach at the source"
	run dst "$XDPMIG" attach "$@" "$DST_DEV"
	assert_eq "$RC" 0 "attach at the destination"
}

detach_both() {
	run src "$XDPMIG" detach "$SRC_DEV"
	assert_eq "$RC" 0 "detach at the source"
	run dst "$XDPMIG" detach "$DST_DEV"
	assert_eq "$RC" 0 "detach at the destination"
	assert_detached
}

live_queues() { # VERB; "null": none
	"$1" "$XDPMIG" status --json | tail -n 1 |
		jq -r '[.devices[].live_queues | select(.)] | first'
}

# After a session, however it ended: frames of it are nobody's again.
assert_not_live() {
	assert_eq "$(live_queues src)" null "live queues at the source"
	assert_eq "$(live_queues dst)" null "live queues at the destination"
}

# assert_clean: no session is left, and no memory but the guest's
assert_clean() {
	assert_not_live
	assert_no_files
}

assert_no_files() {
	assert_eq "$(leak_list_files)" "" "files left in /dev/shm"
}

leak_list_files() {
	find /dev/shm -mindepth 1 ! -path "$GUEST" -printf 'file %p\n'
}

# memlock_begin, memlock_end: in between no other script has a root with RLIMIT_MEMLOCK,
# which is for all processes of a user
memlock_begin() {
	exec {MEMLOCK}<"${BASH_SOURCE[0]}"
	flock "$MEMLOCK"
}

memlock_end() {
	exec {MEMLOCK}<&-
}

# $TMP/slow: as xdpmig, but the kernel takes long to pin a channel's memory: until
# $TMP/pinned is there, or half a minute
FAULT_AT=$BUILD/tests/netns/libfault_at.so
xdpmig_pins_slowly() {
	cat >"$TMP/slow" <<-EOF
		#!/bin/sh
		LD_PRELOAD='$FAULT_AT' XM_PIN_UNTIL='$TMP/pinned' \
			exec '$XDPMIG' "\$@"
	EOF
	chmod +x "$TMP/slow"
}

# -- running ----------------------------------------------------------------------------

# recv_start [OPTION...]: until it waits
recv_start() {
	spawn recv dst "$XDPMIG" recv --dev "$DST_DEV" --ram "$COPY" --json "$@"
	wait_for 5 grep -q 'waiting for a source' "$(err_of recv)"
}

# send_start FILE [OPTION...]
send_start() {
	local file=$1

	shift
	spawn send src "$XDPMIG" send --dev "$SRC_DEV" --ram "$file" --json \
		"$@" "${PEER:-$DST4}"
}

# transferring: wait until guest memory is on its way at both ends
transferring() {
	wait_for 10 grep -q '"event":"progress"' "$(out_of send)"
	wait_for 10 grep -q '"event":"progress"' "$(out_of recv)"
}

# begin [OPTION...]: two hosts, and memory on its way between them, slowly:
# 32 MiB at 200 Mbit/s last a second, which is time to do harm
begin() {
	net_up queues=2
	attach_both --mode auto
	recv_start
	send_slowly "$@"
}

send_slowly() {
	send_start "$GUEST" --bandwidth "${SPEED:-200M}" "$@"
	transferring
}

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# let_pass MS: the time is what is tested, not a guess at how long something
# takes
let_pass() {
	local end=$(($(now_ms) + $1))

	until [ "$(now_ms)" -ge "$end" ]; do
		sleep 0.05
	done
}

# ended_soon SEND_STATUS RECV_STATUS: before any time limit of the programs has
# passed, the shortest of which is 10 s
ended_soon() { ended "$1" "$2" 8; }

# send_end SECONDS, recv_end SECONDS: status in $SEND_RC or $RECV_RC
send_end() {
	reap send "$1"
	SEND_RC=$RC
}

recv_end() {
	reap recv "$1"
	RECV_RC=$RC
}

# ended SEND_STATUS RECV_STATUS [SECONDS]: both, within so long
ended() {
	send_end "${3:-20}"
	recv_end "${3:-20}"
	assert_eq "$SEND_RC" "$1" "exit status of send"
	assert_eq "$RECV_RC" "$2" "exit status of recv"
}

# said NAME REASON PATTERN: NAME failed for REASON, with one message that has
# PATTERN in it, on stderr and in the result
said() {
	local lines

	assert_jq '.event == "result"' "$(out_of "$1")" "last line of $1"
	assert_jq ".reason == \"$2\" and .status != \"completed\"" \
		"$(out_of "$1")" "$1: reason"
	lines=$(grep -c "^xdpmig: $1: " "$(err_of "$1")")
	assert_eq "$lines" 1 "$1: messages of failure"
	grep "^xdpmig: $1: " "$(err_of "$1")" >"$TMP/said"
	assert_grep "$3" "$TMP/said" "message of $1"
	[ "$(value_of .message "$(out_of "$1")")" = \
		"$(sed "s/^xdpmig: $1: //" "$TMP/said")" ] ||
		fail "$1: the result's message is not stderr's"
}

# home NAME WHERE: what NAME said about where the guest may run
home() {
	assert_jq ".guest_runs_at == \"$2\"" "$(out_of "$1")" "$1: home"
}

# bad_send, bad_recv STATUS REASON PATTERN ARGUMENT...: alone, it says so, and at
# once; $PLAN: where the guest may run is not said
bad_send() {
	local status=$1 reason=$2 pattern=$3

	shift 3
	spawn send src "$XDPMIG" send --json "$@"
	send_end 8
	assert_eq "$SEND_RC" "$status" "send $*"
	said send "$reason" "$pattern"
	assert_jq ".exit_status == $status" "$(out_of send)" "send $*"
	[ "$status" = 2 ] || [ -n "${PLAN:-}" ] || home send source
}

bad_recv() {
	local status=$1 reason=$2 pattern=$3

	shift 3
	spawn recv dst "$XDPMIG" recv --json "$@"
	recv_end 5
	assert_eq "$RECV_RC" "$status" "recv $*"
	said recv "$reason" "$pattern"
}

# -- what a migration must have done ------------------------------------------------------

# check_results FILE: each end's figures in themselves, and with the other's
check_results() {
	local file=$1 sender receiver

	sender=$(out_of send) receiver=$(out_of recv)
	for out in "$sender" "$receiver"; do
		jq -e . "$out" >/dev/null || fail "not JSON: $out"
		assert_jq '.event == "result" and .schema == 1 and
			.status == "completed" and .exit_status == 0 and
			.guest_runs_at == "target"' "$out" "result"
		assert_jq ".ram_bytes_total == $(bytes_of "$file") and
			.pages + .zero_pages == .ram_bytes_total / 4096" \
			"$out" "pages"
		assert_jq '.channels == (.per_channel | length) and
			.pages == ([.per_channel[].pages] | add) and
			.zero_pages == ([.per_channel[].zero_pages] | add) and
			([.per_channel[].channel] == [range(.channels)]) and
			.threads >= 1 and .threads <= .channels' \
			"$out" "channels"
		assert_jq '.locked_bytes > 0 and .syscalls > 0 and
			.cpu_ms >= .cpu_user_ms and .total_ms >= .transfer_ms' \
			"$out" "costs"
		assert_jq '[.rx_dropped, .rx_ring_full,
			.rx_fill_ring_empty_descs, .tx_ring_empty_descs,
			.wrong_queue, .drops.rx_oversize] |
			all(type == "number" and . >= 0)' "$out" "counters"
		assert_jq '.rx_invalid_descs == 0 and .tx_invalid_descs == 0' \
			"$out" "descriptors that the kernel rejected"
	done
	assert_jq '.ram_bytes_sent == .pages * 4096 and
		.frames_sent == ([.per_channel[].frames_sent] | add) and
		.frames_resent == ([.per_channel[].frames_resent] | add)' \
		"$sender" "frames"
	assert_jq '.bytes_copied == .ram_bytes_placed *
		(if .zero_copy then 1 else 2 end)' "$receiver" "copies"
	check_both "$sender" "$receiver"
}

# The two results tell the same story.  A frame is taken once; what came more
# often, or broken, is counted.  (Some reasons are found before a frame counts as
# one, some after; a PROBE that was damaged counts as a drop and not as a frame.)
check_both() { # SENDER RECEIVER
	tail -qn 1 "$1" "$2" | jq -se '. as [$s, $r] |
		$s.pages == $r.pages and $s.zero_pages == $r.zero_pages and
		$s.packets == $r.packets and $s.channels == $r.channels and
		$s.frame_bytes == $r.frame_bytes and
		$s.ram_bytes_sent == $r.ram_bytes_placed and
		[$s.per_channel[] | {pages, zero_pages}] ==
			[$r.per_channel[] | {pages, zero_pages}] and
		$s.frames_sent - $s.frames_resent <= $r.frames -
			$r.drops.duplicate and
		$s.frames_sent - $s.frames_resent >= $r.frames -
			([$r.drops[]] | add) and
		$r.frames == ([$r.per_channel[].frames] | add)' >/dev/null ||
		fail "the two results differ: $(tail -qn 1 "$1" "$2")"
}

# Nothing is lost on purpose.  So at most 1 % is sent again for want of room
# somewhere.  What was sent again in vain arrived twice and is not counted here:
# on a machine that is busy with other things a receiver waits longer for a CPU
# than a sender for it, and how often is a matter of time (tests/bench).
check_clean_link() {
	local twice

	twice=$(value_of .drops.duplicate "$(out_of recv)")
	assert_jq "(.frames_resent - $twice) * 100 < .frames_sent" \
		"$(out_of send)" "lost on a clean link"
	assert_jq '[.drops | to_entries[] | select(.key != "duplicate").value] |
		add == 0' "$(out_of recv)" "drops on a clean link"
}

# check_memory FILE BLOCKS_BEFORE: every byte, and not a block more than it
# takes: the source's holes are holes still, its zeros are holes at the
# destination (which was new).
check_memory() {
	assert_same_file "$1" "$COPY" "guest memory"
	assert_eq "$(blocks_of "$1")" "$2" "source's blocks"
	assert_eq "$(blocks_of "$COPY")" \
		$(($(value_of .pages "$(out_of recv)") * 8)) "copy's blocks"
}

# receive_and_send FILE [OPTION...]: those beginning with recv: are recv's, the
# others send's
receive_and_send() {
	local file=$1 option send=() recv=()

	shift
	for option; do
		case $option in
		recv:*) recv+=("${option#recv:}") ;;
		*) send+=("$option") ;;
		esac
	done
	recv_start "${recv[@]}"
	send_start "$file" "${send[@]}"
	ended 0 0 60
}

# transfer FILE [OPTION...]: all of it, however often frames had to be sent
transfer() {
	local blocks

	blocks=$(blocks_of "$1")
	receive_and_send "$@"
	check_results "$1"
	check_memory "$1" "$blocks"
	rm "$COPY"
	assert_clean
}

# migrate FILE [OPTION...]: the same over a link that loses nothing
migrate() {
	transfer "$@"
	check_clean_link
	say "$(value_of '"\(.channels) channels, \(.frame_bytes) bytes a frame, " +
		"\(.gbit_per_s) Gbit/s, \(.frames_resent) of " +
		"\(.frames_sent) frames again"' "$(out_of send)")"
}
