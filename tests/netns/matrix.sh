#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# matrix.sh - all that a network can do to a migration, a row each; memory is the
# same byte by byte, or both ends fail clearly and the guest is the source's
#
#   matrix.sh [--all] [ROW...]
#   SEED=N    of the relay's random choices; by default a new one each time,
#             which is printed
#
# The relay's outgoing devices spread flows over their queues by a hash, as a
# card does: a channel reaches its queue by the source port that probing found.
# The control connection is left alone but where a row says so.

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/side_by_side.sh
. "${0%/*}/side_by_side.sh"
# shellcheck source=tests/netns/matrix_lib.sh
. "${0%/*}/matrix_lib.sh"
needs xdpmig relay

if [ "${1:-}" = --all ]; then
	shift
	ALL=1
fi
export SEED=${SEED:-$((RANDOM * 32768 + RANDOM))}

# shellcheck disable=SC2016 # the last column is jq's
make_rows() {
	# -- a wire, and a slow one.  The relay marks before it drops, and the sender
	# slows down for a mark; or only drops.  Frames that came while the relay
	# had no CPU are a loss like any other (ring_dropped), and what was sent
	# twice, on a machine that is busy, is no matter of the marks.
	row ci wire file queues=4 '' same \
		'$recv.wrong_queue > 0 and $recv.wrong_queue < 10000'
	row ci wire_16_queues_mtu_65535 file 'queues=16 mtu=65535' '' same \
		'$send.channels == 16'
	row ci delay_of_1_ms file queues=4 '--delay 1ms' same \
		'[$send.per_channel[].srtt_us] | min >= 2000'
	row ci rate_with_ecn file queues=4 \
		'--rate 400M --queue 4M --ecn 100k --delay 200us' same \
		'$relay.ab.marked > 10 and $send.gbit_per_s < 0.41 and
			($send.frames_resent - $recv.drops.duplicate -
			$relay.ab.ring_dropped - $relay.ba.ring_dropped) * 20 <
			$send.frames_sent'
	row ci rate_without_ecn file queues=4 \
		'--rate 400M --queue 200k --delay 200us' same \
		'$send.gbit_per_s < 0.41'

	# -- loss.  Seed 58 has its first loss among the first 3,000 frames.
	row ci loss_0_01_percent mtu1500 queues=4 '--seed 58 --loss 0.01%' same \
		'$relay.ab.lost > 0'
	row more loss_0_1_percent mtu1500 queues=2 '--loss 0.1%' same \
		'$relay.ab.lost > 0'
	row ci loss_1_percent file queues=4 '--loss 1%' same \
		'$relay.ab.lost > 0'
	row more loss_2_percent busy queues=4 '--loss 2%' same \
		'$relay.ab.lost > 0'
	row more loss_5_percent file queues=16 '--loss 5%' same \
		'$relay.ab.lost > 10'
	row ci loss_10_percent busy 'ipv6 queues=2 mtu=3498' '--loss 10%' same \
		'$relay.ab.lost > 100'
	row ci loss_30_percent small queues=2 '--loss 30%' same \
		'$relay.ab.lost > 50 and $relay.ba.lost > 10'
	row more loss_30_percent_of_a_busy_guest busy queues=4 '--loss 30%' \
		'same --converge stop --timeout 10s' \
		'$relay.ab.lost > 100 and $relay.ba.lost > 10'

	# -- bursts, of 16 frames in the mean, or 64; good and bad times.  In a
	# burst only timers send, and it lasts until enough was sent.
	row ci bursts_to_64 file queues=2 '--burst 1%,6%' \
		'same --stall 1min recv:--stall recv:1min' \
		'$relay.ab.lost_in_bursts > 10'
	row more bursts_of_64_half_lost file queues=4 '--burst 0.5%,1.6%,50%' \
		'same --stall 1min recv:--stall recv:1min' \
		'$relay.ab.lost_in_bursts > 10'
	row ci gilbert_elliott file queues=2 '--loss 0.1% --burst 1%,10%,50%' same \
		'$relay.ab.lost_in_bursts > 10'

	# -- only what acknowledges
	row ci acks_lost_30_percent busy queues=4 '--way ba --begin data --loss 30%' \
		same '$relay.ba.lost > 10 and $relay.ab.lost == 0'
	row more acks_lost_90_percent small queues=2 \
		'--way ba --begin data --loss 90%' \
		'same --stall 1min recv:--stall recv:1min' '$relay.ba.lost > 10'
	row ci acks_gone_for_2_s file queues=2 '--way ba --types ack --cut 10f,2s' \
		same '$relay.ba.cut > 0 and $relay.ab.cut == 0 and
			$send.timeouts > 0 and $recv.drops.duplicate > 0'

	# -- order.  What was held back comes when it is long installed, or an
	# epoch or two later, and must not be taken.
	row ci reorder_50_percent file queues=4 '--reorder 50%,3,5ms' same \
		'$relay.ab.reordered > 100'
	row more reorder_0_1_percent mtu1500 queues=4 '--reorder 0.1%,100,1s' same \
		'$relay.ab.reordered > 0'
	row ci reorder_depth_1000 busy 'queues=4 mtu=1500' \
		'--way ab --reorder 1%,1000,60s' same \
		'$relay.ab.reordered > 10 and
			$recv.drops.duplicate + $recv.drops.stale_epoch > 0'
	row ci reorder_depth_10000 busy 'queues=2 mtu=1500' \
		'--way ab --reorder 0.5%,10000,60s' same \
		'$relay.ab.reordered > 10 and $relay.ab.frames_out > 10000 and
			($recv.drops |
			.duplicate + .stale_epoch + .replayed) > 0'
	row ci held_back_over_epochs busy queues=2 '--way ab --reorder 2%,600,60s' \
		same '$relay.ab.reordered > 10 and $recv.drops.stale_epoch > 0'

	# -- once more
	row more duplicate_1_percent busy queues=4 '--duplicate 1%' same \
		'$recv.drops.replayed > 0 and $relay.ab.duplicated > 0'
	row ci duplicate_100_percent busy queues=4 '--duplicate 100%' same \
		'$relay.ab.duplicated == $relay.ab.subject and
			$recv.drops.replayed > 1000'
	row ci replay_of_epochs_before busy queues=2 \
		'--way ab --repeat 2,2 --way ba --repeat 2,2' same \
		'$relay.ab.replayed > 100 and $recv.drops.replayed > 100 and
			$relay.ba.replayed > 10 and $send.drops.replayed > 10'

	# -- damage.  Our frames have no UDP checksum: any damage passes it.
	row ci corrupt_0_01_percent mtu1500 queues=4 \
		'--seed 58 --way ab --corrupt 0.01%,run' same \
		'$recv.drops.bad_payload_crc > 0'
	row more corrupt_1_percent busy queues=4 '--corrupt 1%,all' same \
		'([$relay.ab.damaged[]] | add) > 10'
	row more corrupt_10_percent_of_a_busy_guest busy queues=4 \
		'--begin data --corrupt 10%,all' same \
		'([$relay.ab.damaged[]] | min) > 0'
	row ci corrupt_30_percent file queues=4 \
		'--begin data --way ab --corrupt 30%,all' same '([$relay.ab.damaged[]] | min) > 0 and
			$steer.pass_magic > 10 and
			([$recv.drops.bad_length, $recv.drops.bad_payload_crc,
			$recv.drops.bad_tag, $recv.drops.bad_ip] | min) > 0 and
			$recv.drops.bad_address + $recv.drops.bad_channel +
			$recv.drops.bad_packet == 0'
	row ci corrupt_30_percent_ipv6 file 'ipv6 queues=2' \
		'--corrupt 30%,fields+segments+ip-len+udp-len+shorten' same \
		'$recv.drops.bad_tag > 10 and $recv.drops.bad_length > 10'
	# encrypted, there is no CRC that could be met; and a session without keys
	row ci corrupt_30_percent_encrypted file queues=4 \
		'--begin data --way ab --corrupt 30%,run+swap+segments+tag' \
		'same --encrypt recv:--encrypt' \
		'$recv.drops.bad_tag > 100 and $recv.drops.bad_payload_crc == 0'
	row ci corrupt_30_percent_without_keys file queues=4 \
		'--begin data --way ab --corrupt 30%,all' \
		'same --insecure recv:--insecure' \
		'$recv.drops.bad_tag > 10 and $recv.drops.bad_payload_crc > 10'
	row ci corrupt_acks busy queues=2 '--way ba --begin data --corrupt 30%,all' \
		same '([$send.drops | .bad_length, .bad_tag] | min) > 0 and
			$send.drops.bad_ack == 0'
	make_damage_rows

	# -- nothing gets through, from the 500th frame on
	row ci cut_for_10_ms busy queues=2 '--begin data --cut 500f,10ms' same \
		'$relay.ab.cut > 0'
	row ci cut_for_2_s busy queues=2 '--begin data --cut 500f,2s' same \
		'$relay.ab.cut > 0 and $relay.ba.cut >= 0 and $send.timeouts > 0 and
			$send.total_ms > 2000'
	row ci cut_for_2_s_one_way file queues=2 \
		'--begin data --way ab --cut 500f,2s' same \
		'$relay.ab.cut > 0 and $send.timeouts > 0 and $send.total_ms > 2000'
	row more cut_for_2_s_with_control busy queues=2 \
		'everything --cut 500f,2s' same \
		'$relay.ab.cut > 0 and $send.total_ms > 2000'
	# A stall is 10 s, as long as the cut: said otherwise, either is certain.
	row ci cut_for_10_s_is_sat_out busy queues=2 \
		'--begin data --cut 500f,10s' \
		'same --stall 1min recv:--stall recv:1min' \
		'$relay.ab.cut > 0 and $send.total_ms > 10000'
	row ci cut_for_10_s_is_too_long busy queues=2 \
		'--begin data --cut 500f,10s' 'stalled --stall 2s' \
		'$relay.ab.cut > 0 and $send.total_ms < 10000'
	row more cut_for_good file queues=2 '--begin data --cut 500f,1000s' stalled \
		'$relay.ab.cut > 0 and $send.total_ms > 10000'
	row ci cut_by_frames file queues=4 '--begin data --way ab --cut 300f,200f' \
		same \
		'$relay.ab.cut == 200'


	# -- one channel of 16 is dead, or one way of it
	row ci dead_channel_of_16 busy queues=16 \
		'--begin data --ports 61955-61955 --loss 100%' 'stalled --stall 2s' \
		'$relay.ab.lost > 0 and ($send.message | test("channel 3"))'
	row more dead_channel_of_16_one_way file queues=16 \
		'--begin data --ports 61967-61967 --way ba --loss 100%' \
		'stalled --stall 2s' \
		'$relay.ba.lost > 0 and ($send.message | test("channel 15"))'

	# -- the path's MTU is smaller, or shrinks in the middle
	row ci mtu_is_smaller file queues=2 '--mtu 4000' path \
		'$relay.ab.too_long > 0'
	row ci mtu_shrinks busy queues=2 '--begin data --shrink 4000,500f' \
		'stalled --stall 2s' '$relay.ab.too_long > 0'

	# -- together
	row ci all_together busy queues=4 '--loss 3% --reorder 3%,10,5ms
		--duplicate 3% --corrupt 3%,all --burst 0.1%,20% --delay 1ms' same \
		'$relay.ab.lost > 10 and $relay.ab.duplicated > 10 and
			$relay.ab.reordered > 10'
	row ci all_together_ipv6_mtu_1500 busy 'ipv6 queues=16 mtu=1500' \
		'--loss 3% --reorder 3%,10,5ms --duplicate 3% --corrupt 3%,all' same \
		'$relay.ab.lost > 10'
}

# One kind of damage at a time, to every fifth frame.
make_damage_rows() {
	local kind

	for kind in $("$RELAY" --kinds); do
		row more "corrupt_${kind//-/_}" file queues=2 \
			"--begin data --corrupt 20%,$kind" same \
			"\$relay.ab.damaged[\"$kind\"] > 100"
	done
}

# Which queue does generic XDP see?  On a veth one less than the frame came on, so
# no source port reaches the last.
scenario_generic_3_of_4_queues() {
	net_up relay=1 queues=4
	attach_both --mode generic --queues 3
	relay_start --seed "$SEED" --ports $PORTS --loss 1%
	cross busy same
	relay_stop
	# shellcheck disable=SC2016
	row_is_true '$send.channels == 3 and $relay.ab.lost > 0'
	detach_both
}

# A whole session, recorded, comes once more into the next one, from its first
# PROBE on: other keys and cookies, the same addresses and ports.
scenario_replay_of_a_session() {
	local frames

	net_up relay=1 queues=2
	attach_both --mode native
	relay_start --ports $PORTS --way ab --record "$TMP/ab.pcap" \
		--way ba --record "$TMP/ba.pcap"
	cross file same
	relay_stop
	frames=$(relay_stat ab recorded)
	relay_start --ports $PORTS --way ab --replay "$TMP/ab.pcap,2" \
		--way ba --replay "$TMP/ba.pcap,2"
	cross busy same
	relay_stop
	assert_eq "$(relay_stat ab replayed)" "$frames" "frames that came again"
	# the XDP program knows this session's cookie
	# shellcheck disable=SC2016
	row_is_true '$steer.pass_magic > 1000'
	rm "$TMP"/a?.pcap "$TMP"/b?.pcap
	detach_both
}

# The target's process does not run for a second, and memory is on its way.
scenario_receiver_stopped_for_a_second() {
	net_up relay=1 queues=2
	attach_both --mode native
	relay_start --seed "$SEED" --ports $PORTS --loss 1%
	SPEED=60M WRITES=2M MEANWHILE=stop_receiver cross busy same
	relay_stop
	# shellcheck disable=SC2016
	row_is_true '$send.timeouts > 0 and $relay.ab.lost > 0'
	detach_both
}

stop_receiver() {
	transferring
	kill -STOP "$(pid_of recv)"
	let_pass 1000
	kill -CONT "$(pid_of recv)"
}

make_rows
ram_make "$GUEST" 16
cp "$GUEST" "$TMP/guest"
say "seed $SEED"
run_side_by_side "${JOBS:-3}" "$@"
