# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2119,SC2034
#
# live_phases.sh - a running guest's move that has come to a certain point and
# stays there; after live_lib.sh:
#
#   until_phase PHASE [SEND_OPTION...]
#
#   setup      the source has connected, the target says nothing
#   proving    the target has not proven its paths
#   opening    epoch 1 has not begun at the target
#   first      all of memory is on its way
#   later      some of it, again
#   pausing    the guest is paused, an epoch is still on its way
#   paused     the last epoch is there, the target has not said so
#   held       all of memory is there (--pause-before-switchover)
#   device     device state is on its way, the target takes none
#   hanging    the target's QEMU has half of it and hangs
#   load       it has loaded all, the target has not said so
#
# No time decides: a process is stopped (SIGSTOP) where it shall not go on, or
# what is under way lasts a quarter of a minute, or for ever.  goes_on lets
# stopped ones go on.  The names are "victim" and "at-target".

# userspace/core/msg.h
PROVEN=3 EPOCH_READY=5 EPOCH_DONE=7 COMMIT=8 COMMITTED=9 DEVICE_END=14 LOADED=15

is_connected() { # to the target's port
	"$FROM" ss -Htn state established "dport = 61951" | grep -q .
}

is_on_its_way() {
	grep -q '"event":"progress"' "$(out_of send)"
}

# 'xdpmig status' would ask the other end, too, which may be stopped.
state_is() { # NAME STATE
	python3 - "/run/xdpmig/$1.sock" "$2" <<-'END'
		import json, socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		s.settimeout(5)
		s.connect(sys.argv[1])
		s.send(b'{"ask": "status"}')
		sys.exit(json.loads(s.recv(16384))["state"] != sys.argv[2])
	END
}

# recv_stops FAULT: recv will stop there
recv_stops() {
	faulty stop "$1"
	recv_by=("${BY[@]}")
	recv_live
	recv_by=()
}

recv_has_stopped() {
	wait_for 20 is_stopped recv
}

# sent_until FAULT [SEND_OPTION...]: recv has stopped there
sent_until() {
	recv_stops "$1"
	shift
	send_live --name victim "$@"
	recv_has_stopped
}

sent_slowly() { # [SEND_OPTION...]
	send_live --name victim --bandwidth 20M "$@"
	wait_for 10 is_on_its_way
}

hold() { # [SEND_OPTION...]
	recv_live
	send_live --name victim --max-downtime 60min --pause-before-switchover \
		"$@"
	wait_for 20 state_is victim held
}

hand_over() {
	run "$FROM" "$XDPMIG" continue victim
	assert_eq "$RC" 0 "continue"
}

# With TLS it would be in the handshake still, and no source (trust.sh).
to_setup() {
	recv_live --insecure
	kill -STOP "$(pid_of recv)"
	send_live --name victim --insecure "$@"
	wait_for 10 is_connected
	wait_for 10 state_is victim setup
}

to_proving() { sent_until $PROVEN "$@"; }
to_opening() { sent_until $EPOCH_READY "$@"; }
to_load() { sent_until $LOADED "$@"; }
to_held() { hold "$@"; }

to_first() {
	recv_live
	sent_slowly "$@"
}

to_later() {
	recv_live
	send_live --name victim --bandwidth 800M --max-downtime 1ms \
		--converge stop --timeout 60min "$@"
	wait_for 20 epochs_reach send 2
}

# The deadline comes in the first epoch.
to_deadline() {
	sent_slowly --converge stop --timeout 1s "$@"
	wait_for 10 not live_is "$A" running
	wait_for 10 state_is victim pausing
}

to_pausing() {
	recv_live
	to_deadline "$@"
}

# So the second is the last.
to_paused() {
	recv_stops "$EPOCH_DONE #2"
	to_deadline "$@"
	run "$FROM" "$XDPMIG" set victim --bandwidth 20G
	assert_eq "$RC" 0 "set"
	recv_has_stopped
	wait_for 10 state_is victim paused
}

to_device() {
	hold "$@"
	kill -STOP "$(pid_of recv)"
	hand_over
	wait_for 10 state_is victim device
}

to_hanging() {
	hold "$@"
	kill -STOP "$(cat "$B/pid")"
	hand_over
	wait_for 10 state_is victim device
}

until_phase() { # PHASE [SEND_OPTION...]
	local phase=$1

	shift
	incoming
	"to_$phase" "$@"
}

goes_on() { # PID...
	kill -CONT "$@" 2>/dev/null || true # it may be over
}

# record_is VERB NAME WHERE: what status says of a migration that is over
record_is() {
	run "$1" "$XDPMIG" status --json
	assert_eq "$RC" 0 "status"
	assert_jq "[.migrations[] | select(.name == \"$2\")] | length == 1 and
		.[0].guest_runs_at == \"$3\"" "$OUT" "record of $2"
}

# same_session: the target's record is of the source's migration
same_session() {
	assert_jq ".session == \"$(value_of '.migrations[] |
		select(.name == "at-target") | .session' "$OUT")\"" \
		"$(out_of send)" "session"
}
