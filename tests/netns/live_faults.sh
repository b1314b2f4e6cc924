#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_faults.sh - a running guest's move is cancelled, killed or cut off, in
# each phase: the guest runs on at the source as if nothing had been, and a
# later move works
#
#   setup      the source has connected, the target does not answer yet
#   first      all of memory is on its way
#   later      at least one epoch is installed
#   paused     the guest is paused, its last epoch is on its way
#   held       all of memory is there (--pause-before-switchover)

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
FAULT_AT=$BUILD/tests/netns/libfault_at.so
live_needs relay "$FAULT_AT"

PHASES='setup first later paused held'

# -- getting there ---------------------------------------------------------------

is_connected() { # to the target's port
	"$FROM" ss -Htn state established "dport = 61951" | grep -q .
}

first_epoch() {
	grep -q '"event":"progress"' "$(out_of send)" && ! epochs_reach send 1
}

held() {
	grep -qE "waits for|xdpmig continue" "$(err_of send)"
}

# until_phase PHASE [SEND_OPTION...]: a move that has come to there
until_phase() {
	local phase=$1 slowly=(--name victim --bandwidth 200M)

	shift
	incoming
	recv_live
	case $phase in
	setup)
		kill -STOP "$(pid_of recv)"
		send_live --name victim "$@"
		wait_for 10 is_connected
		;;
	first)
		send_live "${slowly[@]}" "$@"
		wait_for 10 first_epoch
		;;
	later)
		send_live "${slowly[@]}" "$@"
		wait_for 20 epochs_reach send 1
		;;
	paused)
		send_live "${slowly[@]}" --converge stop --timeout 2s "$@"
		wait_for 20 not live_is "$A" running
		;;
	held)
		send_live --name victim --max-downtime 60min \
			--pause-before-switchover "$@"
		wait_for 20 held
		runs_not "$A"
		;;
	esac
}

recv_goes_on() {
	kill -CONT "$(pid_of recv)" 2>/dev/null || true
}

# back: the guest runs at the source, soon, and nowhere else
back() {
	wait_for 10 live_is "$A" running
	at_home
}

# -- cancelled ------------------------------------------------------------------------

scenario_interrupted() {
	local phase

	hosts queues=2
	oracle 64
	for phase in $PHASES; do
		say "$phase"
		until_phase "$phase"
		kill -INT "$(pid_of send)"
		recv_goes_on
		ended 4 4
		said send cancelled ""
		home send source
		home recv source
		back
	done
	move_after
	guests_quit
	detach_both
}

scenario_cancelled_by_name() {
	local phase

	hosts queues=2
	oracle 64
	for phase in first later paused held; do
		say "$phase"
		until_phase "$phase"
		run "$FROM" "$XDPMIG" cancel victim
		assert_eq "$RC" 0 "cancel"
		recv_goes_on
		ended 4 4
		said send cancelled ""
		home send source
		back
	done
	run "$FROM" "$XDPMIG" cancel victim
	assert_ne "$RC" 0 "cancel of what is not there"
	move_after
	guests_quit
	detach_both
}

scenario_cancelled_at_the_target() {
	local phase

	hosts queues=2
	oracle 64
	for phase in first later paused held; do
		say "$phase"
		until_phase "$phase"
		kill -INT "$(pid_of recv)"
		ended 4 4
		said send peer_cancelled ""
		said recv cancelled ""
		home send source
		back
	done
	move_after
	guests_quit
	detach_both
}

# -- killed ----------------------------------------------------------------------------

scenario_send_is_killed() {
	local phase

	hosts queues=2
	oracle 64
	for phase in $PHASES; do
		say "$phase"
		until_phase "$phase"
		kill -KILL "$(pid_of send)"
		recv_goes_on
		send_end 5
		back
		recv_end 10
		assert_eq "$RECV_RC" 4 "recv"
		home recv source
	done
	move_after
	guests_quit
	detach_both
}

scenario_recv_is_killed() {
	local phase

	hosts queues=2
	oracle 64
	for phase in $PHASES; do
		say "$phase"
		until_phase "$phase"
		kill -KILL "$(pid_of recv)"
		recv_end 5
		send_end 10
		assert_eq "$SEND_RC" 4 "send"
		home send source
		back
	done
	move_after
	guests_quit
	detach_both
}

scenario_targets_qemu_is_killed() {
	local phase

	hosts queues=2
	oracle 64
	for phase in first later paused held; do
		say "$phase"
		until_phase "$phase"
		live_quit "$B"
		recv_goes_on
		send_end 10
		recv_end 10
		assert_between "$SEND_RC" 1 4 "send"
		home send source
		home recv source
		back
	done
	move_after
	guests_quit
	detach_both
}

# -- dead at a message of the switchover (see commit.sh) -----------------------

KILLED=137 # status of a process that SIGKILL ended
EPOCH_DONE=7 COMMITTED=9 DEVICE_END=14 LOADED=15

# die_at SEND|RECV MESSAGE-NUMBER
die_at() {
	local preload=(env "LD_PRELOAD=$FAULT_AT" "XM_FAULT=die $2"
		ASAN_OPTIONS=verify_asan_link_order=0) sender=() receiver=()

	if [ "$1" = send ]; then
		sender=("${preload[@]}")
	else
		receiver=("${preload[@]}")
	fi
	incoming
	spawn recv "$TO" "${receiver[@]}" "$XDPMIG" recv --qmp "$B/mig" --name at-target --json
	wait_for 10 grep -q 'waiting for a source' "$(err_of recv)"
	spawn send "$FROM" "${sender[@]}" "$XDPMIG" send --qmp "$A/mig" --json \
		"$DST4"
	send_end 20
	recv_end 20
}

scenario_dead_in_the_switchover() {
	hosts queues=2
	oracle 64
	die_at recv $EPOCH_DONE
	assert_eq "$SEND_RC $RECV_RC" "4 $KILLED" "send and recv"
	back
	die_at recv $LOADED
	assert_eq "$SEND_RC $RECV_RC" "4 $KILLED" "send and recv"
	home send source
	back
	die_at send $DEVICE_END
	assert_eq "$SEND_RC $RECV_RC" "$KILLED 4" "send and recv"
	home recv source
	back
	move_after
	guests_quit
	detach_both
}

# It may run there: so it must not run here.
scenario_dead_before_the_last_word() {
	hosts queues=2
	oracle 64
	die_at recv $COMMITTED
	assert_eq "$SEND_RC $RECV_RC" "6 $KILLED" "send and recv"
	home send unknown
	runs_not "$A"
	guests_quit
	detach_both
}

# -- the network ---------------------------------------------------------------------------

scenario_the_link_is_cut() {
	local phase

	hosts queues=2
	oracle 64
	for phase in first later paused held; do
		say "$phase"
		until_phase "$phase" --stall 2s
		ip -n "$DST_NS" link set "$DST_DEV" down
		send_end 15
		assert_eq "$SEND_RC" 4 "send"
		home send source
		back
		stop recv KILL
		ip -n "$DST_NS" link set "$DST_DEV" up
		# who asked for the peer's address meanwhile is told "no route"
		wait_for 15 "$FROM" ping -q -c 1 -W 1 "$(address_of "$TO")"
	done
	move_after
	guests_quit
	detach_both
}

scenario_a_lossy_link_16_channels() {
	hosts relay=1 queues=16
	oracle 64
	incoming
	relay_start --seed "${SEED:-$RANDOM}" --ports 61952-62015 \
		--loss 1% --reorder 1% --dup 1%
	recv_live
	# so that the guest's pages cross more than once
	send_live --queues 16 --name lossy --bandwidth 300M
	wait_for 40 epochs_reach send 2
	run src "$XDPMIG" set lossy --bandwidth 20G
	moved 90
	relay_stop
	assert_between "$(relay_stat ab lost)" 10 100000000 "frames lost"
	guests_quit
	detach_both
}

run_scenarios "$@"
