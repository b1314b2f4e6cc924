#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lossy.sh - guest memory crosses a relay between two veth pairs, which does to
# the data plane's frames what a bad network does; the memory is the same byte
# by byte, every time
#
# The relay's outgoing devices spread flows over their queues by a hash, as a
# card does: a channel reaches its queue by the source port that probing found.
# The control connection is left alone but for delay and rate.
#
#   SEED=N   of the relay's random choices; by default a new one each time,
#            which is printed

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
needs xdpmig relay
ram_make "$GUEST" 32

SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}
say "seed $SEED"

# hosts OPTION...: of net_up
hosts() {
	net_up relay=1 "$@"
	attach_both --mode "${MODE:-native}"
}

# cross RELAY_OPTION...: all of the guest, and nothing but it
cross() {
	relay_start --seed "$SEED" --ports 61952-62015 "$@"
	transfer "$GUEST"
	relay_stop
	say "$*: $(value_of '"\(.transfer_ms) ms, \(.frames_resent) of " +
		"\(.frames_sent) frames again, \(.spurious) in vain, " +
		"\(.timeouts) timeouts"' "$(out_of send)"), $(by_accident) frames" \
		"lost by accident"
	for way in ab ba; do
		assert_eq "$(relay_stat $way unfinished_sums)" 0 "offloads"
	done
}

# Frames that came while the relay had no CPU for longer than its ring lasts: a
# loss like any other, so it is counted and no failure.
by_accident() {
	echo $(($(relay_stat ab ring_dropped) + $(relay_stat ba ring_dropped)))
}

# relay_did NAME LEAST: the trouble was real
relay_did() {
	assert_between "$(relay_stat ab "$1")" "$2" 100000000 "relay: $1"
}

# -- a wire -----------------------------------------------------------------------

scenario_4_queues() {
	hosts queues=4
	cross
	# while ports were searched, and not afterwards
	assert_jq '.wrong_queue > 0 and .wrong_queue < 10000' "$(out_of recv)" \
		"frames on wrong queues"
	detach_both
}

scenario_16_queues_mtu_65535() {
	hosts queues=16 mtu=65535
	cross
	assert_jq '.channels == 16' "$(out_of send)" "channels"
	detach_both
}

# Which queue does generic XDP see?  On a veth one less than the frame came on,
# so no source port reaches the last.
scenario_generic_3_of_4_queues() {
	net_up relay=1 queues=4
	attach_both --mode generic --queues 3
	cross
	detach_both
}

# -- one trouble at a time -----------------------------------------------------------

scenario_loss_1_percent() {
	hosts queues=4
	cross --loss 1%
	relay_did lost 10
	detach_both
}

scenario_loss_10_percent_ipv6() {
	hosts queues=2 mtu=3498
	cross --loss 10%
	relay_did lost 100
	detach_both
}

scenario_bursts_of_loss() {
	hosts queues=4
	cross --burst 0.5%,10%
	relay_did lost_in_bursts 10
	detach_both
}

scenario_reordering() {
	hosts queues=4
	cross --reorder 5%,20,5ms
	relay_did reordered 10
	detach_both
}

scenario_duplication() {
	hosts queues=4
	cross --duplicate 10%
	relay_did duplicated 100
	detach_both
}

# A broken payload is not installed, a broken header is nobody's frame.
scenario_corruption() {
	hosts queues=4
	cross --corrupt 5%,payload+header+truncate+shorten
	relay_did damaged_payload 5
	relay_did damaged_header 5
	assert_jq '.drops.bad_payload_crc > 0' "$(out_of recv)" "drops"
	detach_both
}

# -- together ----------------------------------------------------------------------------

scenario_all_together() {
	hosts queues=4
	cross --loss 3% --reorder 3%,10,5ms --duplicate 3% \
		--corrupt 3%,payload+header+truncate+shorten --delay 1ms
	relay_did lost 10
	relay_did duplicated 10
	relay_did reordered 10
	detach_both
}

scenario_all_together_16_queues_ipv6_mtu_1500() {
	hosts queues=16 mtu=1500
	cross --loss 3% --reorder 3%,10,5ms --duplicate 3% \
		--corrupt 3%,payload+header+truncate+shorten --delay 1ms
	relay_did lost 10
	detach_both
}

# -- the path ------------------------------------------------------------------------------

scenario_delay_of_1_ms() {
	hosts queues=4
	cross --delay 1ms
	assert_jq '[.per_channel[].srtt_us] | min >= 2000' "$(out_of send)" \
		"round trip"
	detach_both
}

# The relay marks before it drops, and the sender slows down for a mark.  What was
# sent again in vain, on a machine that is busy, is no matter of the marks.
scenario_rate_with_ecn() {
	local twice

	hosts queues=4
	cross --rate 400M --queue 4M --ecn 100k --delay 200us
	relay_did marked 10
	assert_jq '.gbit_per_s < 0.41' "$(out_of send)" "rate"
	twice=$(value_of .drops.duplicate "$(out_of recv)")
	assert_jq "(.frames_resent - $twice - $(by_accident)) * 20 <
		.frames_sent" "$(out_of send)" "resent although there were marks"
	detach_both
}

# The relay only drops: congestion must be seen in the losses.
scenario_rate_without_ecn() {
	hosts queues=4
	cross --rate 400M --queue 200k --delay 200us
	detach_both
}

# Frames of the MTU do not get through to the peer, and PROBEs say so.
scenario_path_with_a_smaller_mtu() {
	hosts queues=2 mtu=9000
	relay_start --mtu 4000
	recv_start
	send_start "$GUEST"
	ended 1 1
	said send path "frames of 8300 bytes do not get through"
	assert_clean
	relay_stop
	detach_both
}

scenario_cut_for_half_a_second() {
	hosts queues=2
	relay_start --rate 100M # two seconds, so that the cut is in time
	recv_start
	send_start "$GUEST"
	transferring
	kill -USR1 "$(pid_of relay)"
	let_pass 500
	kill -USR2 "$(pid_of relay)"
	ended 0 0 20
	check_results "$GUEST"
	assert_same_file "$GUEST" "$COPY" "guest memory"
	rm "$COPY"
	assert_clean
	relay_stop
	relay_did cut 1
	detach_both
}

run_scenarios "$@"
