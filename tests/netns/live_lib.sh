# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2119,SC2120
#
# live_lib.sh - a running guest at one host, a QEMU that waits for it at the
# other, and all that must be true after a move; after lib.sh and session.sh:
#
#   scenario_it_moves() {
#           hosts queues=4
#           oracle 64                # boots at $A
#           incoming                 # at $B, of the same kind
#           move                     # recv, send, every check
#           guests_quit
#   }
#
# The guests are those of tests/lib/live.sh.  $A is the folder of the guest at
# the source host and $B that at the destination; turn_round exchanges them
# and the hosts.

# shellcheck source=tests/lib/guest.sh
. "${0%/*}/../lib/guest.sh"
# shellcheck source=tests/lib/live.sh
. "${0%/*}/../lib/live.sh"

A=$TMP/guest-a B=$TMP/guest-b
# who sends and who receives; turn_round exchanges them
FROM=src TO=dst

live_cleanup() {
	local status=$?

	set +e # or its failing status ended all here
	live_quit "$A" "$B" || true
	(exit $status)
	cleanup
}
trap live_cleanup EXIT

live_needs() {
	needs xdpmig "$@" qemu-system-x86_64 busybox cpio gcc as ld python3
	"$XDPMIG" send --help | grep -e --qmp >"$TMP/help.out" ||
		fail "xdpmig has no send --qmp"
}

# The guests' memory is no leak while they live.
leak_list_files() {
	find /dev/shm -mindepth 1 ! -path "$GUEST" ! -name 'xdpmig-guest-*' \
		-printf 'file %p\n'
}

# -- hosts and guests ----------------------------------------------------------------

hosts() { # OPTION... of net_up
	net_up "$@"
	attach_both --mode native
	FROM=src TO=dst
}

dev_of() { # HOST
	if [ "$1" = src ]; then echo "$SRC_DEV"; else echo "$DST_DEV"; fi
}

address_of() { # HOST
	if [ "$1" = src ]; then echo "$SRC4"; else echo "$DST4"; fi
}

oracle() { # RAM_MIB [KEY=VALUE...]
	live_oracle "$A" "$@" || fail "no oracle"
}

linux() { # RAM_MIB [KEY=VALUE...]
	live_linux "$A" "$@" || fail "no Linux guest"
}

incoming() { # [KEY=VALUE...]
	live_quit "$B"
	live_incoming "$B" "$A" "$@" || fail "no QEMU that waits"
}

guests_quit() {
	live_quit "$A" "$B"
	assert_clean
}

# What was the destination is the source now.
turn_round() {
	local was=$A

	live_quit "$A"
	A=$B B=$was
	was=$FROM FROM=$TO TO=$was
}

# -- running ----------------------------------------------------------------------------

# How the next recv or send is begun: recv_by=("${BY[@]}") after 'faulty'; and
# options for a recv that somebody else begins
recv_by=() send_by=() recv_with=()

# faulty WHAT...: fault_at.c's fault, as a command's prefix in BY
# shellcheck disable=SC2034 # it is the caller's
faulty() {
	BY=(env "LD_PRELOAD=$FAULT_AT" "XM_FAULT=$*"
		ASAN_OPTIONS=verify_asan_link_order=0)
}

# recv_live [OPTION...]: until it waits
recv_live() {
	spawn recv "$TO" "${recv_by[@]}" "$XDPMIG" recv --dev "$(dev_of "$TO")" --qmp "$B/mig" \
		--name at-target --json "${recv_with[@]}" "$@"
	wait_for 10 grep -q 'waiting for a source' "$(err_of recv)"
}

# send_live [OPTION...]
send_live() {
	spawn send "$FROM" "${send_by[@]}" "$XDPMIG" send --dev "$(dev_of "$FROM")" \
		--qmp "$A/mig" --json "$@" "${PEER:-$(address_of "$TO")}"
}

epochs_of() { # NAME
	grep -c '"event":"epoch"' "$(out_of "$1")" || true
}

epochs_reach() { # NAME N
	[ "$(epochs_of "$1")" -ge "$2" ]
}

# -- what must be true ------------------------------------------------------------------

runs() { # DIR
	live_is "$1" running || runs_badly "$1" "is $(live_state "$1")"
	live_goes_on "$1" 3 || runs_badly "$1" "does not go on"
}

runs_badly() { # DIR WHAT: and what its console and its QEMU said last
	tail -n 20 "$1/serial" "$1/qemu.log" || true
	fail "${1##*/} $2"
}

runs_not() { # DIR
	local beats

	assert_ne "$(live_state "$1")" running "${1##*/}"
	beats=$(live_beats "$1")
	let_pass 300
	assert_eq "$(live_beats "$1")" "$beats" "beats of ${1##*/}, which is paused"
}

# Its QEMU has the migration settings that it had when it began.
has_its_settings() { # DIR
	[ "$(live_settings "$1")" = "$(cat "$1/settings")" ]
}

# Nothing of ours is in its QEMU: no log, no mark on its memory, no thread held,
# no setting.
untouched() { # DIR
	local pid

	pid=$(cat "$1/pid")
	! find "/proc/$pid/fd" -lname '*userfaultfd*' | grep -q . &&
		! grep -qE '^VmFlags:.* u[wm]( |$)' "/proc/$pid/smaps" &&
		! grep -Lx 'TracerPid:.0' "/proc/$pid/task/"*/status | grep -q . &&
		has_its_settings "$1"
}

# memory_right DIR: as its guest knows it; an oracle is stopped for the look
memory_right() {
	if [ "$(live_get "$1" kind)" = oracle ]; then
		guest_pause "$1"
		live_oracle_check "$1" >"$TMP/oracle" ||
			fail "memory of ${1##*/}: $(tail -n 1 "$TMP/oracle")"
		guest_cont "$1"
	else
		live_linux_check "$1" || fail "memory of ${1##*/}"
	fi
}

# same_memory: both guests are paused, and every byte is the same
same_memory() {
	local ram

	for ram in "$A"/ram*; do
		assert_same_file "$ram" "$B/${ram##*/}" "memory"
	done
}

# The guest never left, and has come to no harm.
at_home() {
	runs "$A"
	wait_for 5 untouched "$A"
	memory_right "$A"
	[ ! -f "$B/pid" ] || ! guest_alive "$B" || runs_not "$B"
}

# It is there, and only there.
arrived() {
	runs "$B"
	runs_not "$A"
	wait_for 5 untouched "$B"
	wait_for 5 has_its_settings "$A"
	memory_right "$B"
}

check_live_results() {
	local out

	for out in "$(out_of send)" "$(out_of recv)"; do
		assert_jq '.event == "result" and .status == "completed" and
			.exit_status == 0 and .guest_runs_at == "target"' \
			"$out" "result"
	done
	assert_jq '.epochs >= 2 and .downtime_ms > 0 and .harvest_ms >= 0 and
		.dirty_pages_per_s >= 0 and .throttle_percent >= 0' \
		"$(out_of send)" "figures of a live move"
	# shellcheck disable=SC2016 # a variable of jq's
	assert_jq '([.downtime_pause_ms, .downtime_harvest_ms, .downtime_send_ms,
		.downtime_ack_ms, .held_ms, (.downtime_verify_ms // 0),
		.downtime_device_ms, .downtime_commit_ms] |
		map(if . < 0 then error("negative") else . end) | add) as $sum |
		.downtime_ms >= $sum * 0.9 - 2 and
		.downtime_ms <= $sum * 1.1 + 2' \
		"$(out_of send)" "the parts of the downtime"
	check_arrival
}

# What recv says of it is what send says: the same epochs, and the target's part
# of the downtime, which begins after the source's and ends before it (a time
# has three decimals).
check_arrival() {
	local epochs='[.[] | select(.event == "epoch")]'

	# shellcheck disable=SC2016 # variables of jq's
	tail -qn 1 "$(out_of send)" "$(out_of recv)" | jq -se '. as [$s, $r] |
		def within($part; $whole):
			$part >= 0 and $part <= $whole + 0.002;
		$s.epochs == $r.epochs and
		$s.device_bytes == $r.device_bytes and
		within($r.downtime_receive_ms;
			$s.downtime_send_ms + $s.downtime_ack_ms) and
		within($r.downtime_load_ms; $s.downtime_device_ms) and
		within($r.downtime_run_ms; $s.downtime_commit_ms)' >/dev/null ||
		fail "two stories: $(tail -qn 1 "$(out_of send)" "$(out_of recv)")"
	# shellcheck disable=SC2016
	jq -ne --slurpfile s "$(out_of send)" --slurpfile r "$(out_of recv)" "
		(\$s | $epochs | map([.epoch, .final, .pages, .bytes_sent])) ==
		(\$r | $epochs | map([.epoch, .final, .pages, .bytes_placed])) and
		(\$r | $epochs | length == \$r[-1].epochs and
			all(.ms >= 0 and .gbit_per_s >= 0))" >/dev/null ||
		fail "other epochs: $(grep -h '"event":"epoch"' \
			"$(out_of send)" "$(out_of recv)")"
}

# move [OPTION...]: those beginning with recv: are recv's, the others send's
move() {
	local option send=() recv=()

	for option; do
		case $option in
		recv:*) recv+=("${option#recv:}") ;;
		*) send+=("$option") ;;
		esac
	done
	recv_live "${recv[@]}"
	send_live "${send[@]}"
	moved
}

# moved: it does, and it did well
moved() {
	ended 0 0 "${1:-60}"
	check_live_results
	arrived
	say "$(value_of '"\(.epochs) epochs, \(.total_ms) ms, " +
		"\(.downtime_ms) ms of downtime, \(.harvest_ms) ms of harvests, " +
		"throttled by \(.throttle_percent) %"' "$(out_of send)")"
}

# move_after: whatever was before, a move works now
move_after() {
	incoming
	move
}
