#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hosts.sh - lib.sh itself: are the two hosts, the relay between them and the
# clean-up what the other scripts take them for?

. "${0%/*}/lib.sh"
needs xdpmig relay ping python3

# -- the two hosts ----------------------------------------------------------------

pings() { # SIZE: both ways, both families, unfragmented
	run src ping -q -c 1 -W 5 -M "do" -s "$1" "$DST4"
	assert_eq "$RC" 0 "ping $DST4"
	run dst ping -q -c 1 -W 5 -M "do" -s "$1" "$SRC6"
	assert_eq "$RC" 0 "ping $SRC6"
}

scenario_default_network() {
	net_up
	pings 8000
	assert_eq "$(src ip -d -j link show "$SRC_DEV" |
		jq '.[0].num_tx_queues')" \
		4 "queues"
}

scenario_queues_mtu_qdisc() {
	local qdisc

	for qdisc in noqueue pfifo mq; do
		net_up queues=16 mtu=65535 qdisc=$qdisc net=7
		assert_eq "$DST4" 198.18.7.2 "address"
		pings 65000
		assert_eq "$(src tc -j qdisc show dev "$SRC_DEV" |
			jq -r '.[0].kind')" "$qdisc" "qdisc"
	done
}

scenario_as_users_type_it() {
	net_up
	run src_ns ping -q -c 1 -W 5 "$DST4"
	assert_eq "$RC" 0 "ping by ip netns exec"
	run dst_ns sh -c 'ip -br link | grep -c "^xd"'
	assert_eq "$(cat "$OUT")" 1 "devices"
}

scenario_pins_of_the_machine_are_not_seen() {
	assert_eq "$(find /sys/fs/bpf -mindepth 1 ! -name "*.debug" | wc -l)" 0 "pins"
	assert_eq "$(stat -f -c %T /sys/fs/bpf)" bpf_fs "/sys/fs/bpf"
}

scenario_background() {
	net_up
	spawn echo dst sh -c 'echo hello; echo oops >&2; exit 7'
	reap echo 5
	assert_eq "$RC" 7 "status"
	assert_grep hello "$(out_of echo)" "output"
	assert_grep oops "$(err_of echo)" "errors"
	spawn sleep src sleep 600
	wait_for 5 grep -qx sleep "/proc/$(pid_of sleep)/comm"
	stop sleep
	assert_eq "$RC" 143 "status after TERM"
}

# -- the relay ----------------------------------------------------------------------

scenario_relay_is_a_wire() {
	net_up relay=1 mtu=9000
	run src ping -q -c 1 -W 0.2 "$DST4"
	assert_ne "$RC" 0 "ping without a relay"
	relay_start
	pings 8000
	relay_stop
	assert_eq "$(relay_stat ab frames_in)" "$(relay_stat ab frames_out)" ab
	assert_eq "$(relay_stat ba unfinished_sums)" 0 "offloads"
}

# Packets that each queue of the relay's outgoing device sent, as jq says.
mid_packets() {
	mid tc -s -j qdisc show dev "$MID_B" |
		jq "[.[] | select(.parent) | .packets] | $1"
}

at_least() { # N COMMAND...: prints at least N
	[ "$("${@:2}")" -ge "$1" ]
}

# As an RSS card would: every queue gets some of 64 flows.
scenario_relay_spreads_flows() {
	local sent

	net_up relay=1 queues=4
	relay_start
	run src bash -c "for ((i = 0; i < 64; i++)); do
		echo hello >/dev/udp/$DST4/9; done"
	wait_for 5 at_least 64 mid_packets add
	sent=$(mid_packets 'map(select(. > 0)) | length')
	assert_eq "$sent" 4 "queues that were used"
}

# tcp_copy FILE: from src to dst; what arrived is $TMP/copied
tcp_copy() {
	spawn sink dst python3 -c '
import socket, sys
s = socket.create_server((sys.argv[1], 5000))
print("listening", flush=True)
c = s.accept()[0]
with open(sys.argv[2], "wb") as f:
    while chunk := c.recv(65536):
        f.write(chunk)' "$DST4" "$TMP/copied"
	wait_for 5 grep -q listening "$(out_of sink)"
	run src python3 -c '
import socket, sys
c = socket.create_connection((sys.argv[1], 5000), 30)
c.sendall(open(sys.argv[2], "rb").read())
c.shutdown(socket.SHUT_WR)
c.recv(1)' "$DST4" "$1"
	assert_eq "$RC" 0 "sender"
	reap sink 20
	assert_eq "$RC" 0 "receiver"
	assert_same_file "$1" "$TMP/copied" "copy"
}

# The kernel's TCP is the judge: it gets through, and the relay says what it
# had to get through.
scenario_tcp_through_trouble() {
	net_up relay=1 mtu=1500
	relay_start --seed 3 --loss 1% --duplicate 2% --reorder 2% \
		--corrupt 1%,payload+truncate --delay 1ms
	head -c 2000000 /dev/urandom >"$TMP/file"
	tcp_copy "$TMP/file"
	relay_stop
	assert_between "$(relay_stat ab lost)" 1 1000 "lost"
	assert_between "$(relay_stat ab duplicated)" 1 1000 "duplicated"
	assert_between "$(relay_stat ab reordered)" 1 1000 "reordered"
	assert_between "$(relay_stat ab damaged.payload)" 1 1000 "damaged"
	assert_eq "$(relay_stat ab ring_dropped)" 0 "dropped by the ring"
}

relay_now() { # WAY NAME: while it runs; soon up to date
	kill -HUP "$(pid_of relay)"
	relay_stat "$@"
}

scenario_control_connection_left_alone() {
	net_up relay=1 mtu=9000
	relay_start --ports 61952-62015 --loss 100%
	head -c 2000000 /dev/urandom >"$TMP/file"
	tcp_copy "$TMP/file"
	src bash -c "echo lost >/dev/udp/$DST4/61953"
	wait_for 5 at_least 1 relay_now ab lost
	relay_stop
	assert_eq "$(relay_stat ab subject)" 1 "frames that were meant"
}

# All but the data plane.
scenario_control_connection_alone() {
	net_up relay=1 mtu=9000
	relay_start --except 61952-62015 --loss 100%
	src bash -c "echo waits >/dev/udp/$DST4/61953" # for ARP
	wait_for 5 at_least 1 relay_now ab lost
	src ip neigh replace "$DST4" dev "$SRC_DEV" lladdr 02:00:00:00:00:02
	src bash -c "echo passes >/dev/udp/$DST4/61953"
	wait_for 5 at_least 1 relay_now ab frames_out
	relay_stop
}

# -- failing ---------------------------------------------------------------------------

# expect_failure PATTERN <<script: a script of its own fails, saying this
expect_failure() {
	{
		echo ". '$(realpath "${0%/*}/lib.sh")'"
		cat
	} >"$TMP/script.sh"
	run env -u DEBUG BUILD="$BUILD" bash "$TMP/script.sh"
	assert_eq "$RC" 1 "status of the failing script"
	assert_grep "$1" "$OUT" "what it says"
}

scenario_failed_assertion() {
	expect_failure 'FAILED: one: sum: got .3., expected .4.' <<-'EOS'
		scenario_one() { net_up; assert_eq 3 4 sum; }
		run_scenarios
	EOS
	assert_no_grep '^ok - one' "$OUT" "it went on"
}

scenario_no_number_is_out_of_range() {
	expect_failure 'FAILED: one: loss: got null, expected 1 to 9' <<-'EOS'
		scenario_one() { assert_between null 1 9 loss; }
		run_scenarios
	EOS
}

scenario_deadline() {
	expect_failure 'FAILED: one: not within 1 s: false' <<-'EOS'
		scenario_one() { wait_for 1 false; }
		run_scenarios
	EOS
}

scenario_command_that_should_not_fail() {
	expect_failure "FAILED: one: status 1 of 'x=.*false.*two:" <<-'EOS'
		two() { local x; x=$(echo 1; false); }
		scenario_one() { two; }
		run_scenarios
	EOS
}

scenario_output_of_programs_is_shown() {
	expect_failure 'the last words' <<-'EOS'
		scenario_one() { spawn x here sh -c 'echo the last words; exit 1'
			reap x 5; assert_eq "$RC" 0 status; }
		run_scenarios
	EOS
}

scenario_forgotten_pin_is_a_failure() {
	expect_failure 'pin /sys/fs/bpf/forgotten' <<-'EOS'
		wait_for_quietly() { "${@:2}"; } # it will not go away
		scenario_one() { mkdir /sys/fs/bpf/forgotten; }
		run_scenarios
	EOS
}

scenario_forgotten_program_is_a_failure() {
	expect_failure 'program [0-9]+ xm_steer' <<-'EOS'
		wait_for_quietly() { "${@:2}"; }
		scenario_one() {
			net_up
			run src "$XDPMIG" attach "$SRC_DEV"
			bpftool prog pin id "$(src ip -d -j link show "$SRC_DEV" |
				jq '.[0].xdp.prog.id')" /sys/fs/bpf/forgotten
			rm -r /sys/fs/bpf/xdpmig
		}
		run_scenarios
	EOS
}

scenario_forgotten_process_is_a_failure() {
	local what

	for what in here dst src_ns; do
		expect_failure 'process [0-9]+ sleep 600' <<-EOS
			wait_for_quietly() { "\${@:2}"; }
			scenario_one() {
				net_up
				spawn forgotten $what sleep 600
				wait_for 5 grep -qx sleep \
					"/proc/\$(pid_of forgotten)/comm"
				unset "PIDS[forgotten]"
			}
			run_scenarios
		EOS
		kill "$(sed -n 's/^process \([0-9]*\) sleep 600 *$/\1/p' "$OUT")"
	done
}

# A script that ends while another one has programs, processes, devices.
scenario_others_are_not_ours() {
	cat >"$TMP/script.sh" <<-EOS
		. '$(realpath "${0%/*}/lib.sh")'
		wait_for_quietly() { "\${@:2}"; }
		scenario_one() { wait_for 10 test -e '$TMP/go'; }
		echo begun
		run_scenarios
	EOS
	spawn script here env -u DEBUG BUILD="$BUILD" bash "$TMP/script.sh"
	wait_for 10 grep -q begun "$(out_of script)"
	net_up
	run src "$XDPMIG" attach "$SRC_DEV"
	assert_eq "$RC" 0 "attach"
	spawn sleep dst sleep 600
	: >"$TMP/go"
	reap script 20
	assert_eq "$RC" 0 "status of the other script"
	stop sleep
	run src "$XDPMIG" detach "$SRC_DEV"
	assert_eq "$RC" 0 "detach"
}

# Whatever ends a script, no process and no namespace of it stays.
scenario_killed_script_leaves_nothing() {
	local pid

	cat >"$TMP/script.sh" <<-EOS
		. '$(realpath "${0%/*}/lib.sh")'
		net_up
		spawn sleep dst sleep 600
		echo "sleeps as \$(pid_of sleep)"
		wait
	EOS
	spawn script here bash "$TMP/script.sh"
	wait_for 10 grep -q 'sleeps as' "$(out_of script)"
	pid=$(sed -n 's/^sleeps as //p' "$(out_of script)")
	wait_for 5 grep -qx sleep "/proc/$pid/comm"
	stop script
	assert_eq "$RC" 143 "status"
	assert_eq "$(ls /run/netns)" "" "namespaces"
	wait_for 5 is_gone "$pid"
}

run_scenarios "$@"
