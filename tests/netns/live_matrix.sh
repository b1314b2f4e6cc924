#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_matrix.sh - rows of the matrix (matrix.sh) with a QEMU whose guest runs and
# knows its memory: it is there, or here as if nothing had been
#
#   SEED=N    of the relay's random choices; printed

# shellcheck disable=SC2119 # functions that can do without arguments
# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
live_needs relay

SEED=${SEED:-$RANDOM}
say "seed $SEED"

# troubled OPTION...: of the relay, for the data plane
troubled() {
	relay_start --seed "$SEED" --ports 61952-62015 "$@"
}

# relay_did JQ: the trouble was real
relay_did() {
	relay_stop
	tail -n 1 "$(out_of relay)" | jq -e "$1" >/dev/null ||
		fail "relay: not true: $1: $(tail -n 1 "$(out_of relay)")"
}

# Slowly at first, so that pages cross more than once; then at full speed.
moves() {
	incoming
	recv_live
	send_live --name rows --bandwidth 300M "$@"
	wait_for 60 epochs_reach send 2
	run "$FROM" "$XDPMIG" set rows --bandwidth 20G
	moved 90
}

# It fails, and the guest runs here.
stays() {
	incoming
	recv_live
	send_live --bandwidth 300M --stall 2s
	ended 4 4 60
	said send stalled ""
	said recv stalled "the peer: |no frame"
	home send source
	home recv source
	wait_for 10 live_is "$A" running
	at_home
}

# One guest: it stays twice, is moved, and moves back.
scenario_failures_then_there_and_back() {
	hosts relay=1 queues=16
	oracle 64

	say "one channel of 16 is dead"
	troubled --begin data --ports 61955-61955 --loss 100%
	stays
	relay_did '.ab.lost > 0'

	say "the MTU shrinks"
	troubled --begin data --shrink 4000,2000f
	stays
	relay_did '.ab.too_long > 0'

	say "nothing gets through for 2 s"
	troubled --begin data --cut 2000f,2s
	moves --queues 16
	relay_did '.ab.cut > 0'

	say "all together, and epochs that come again"
	turn_round
	troubled --loss 1% --duplicate 3% --reorder 3%,20,5ms \
		--corrupt 3%,all --burst 0.1%,10% \
		--way ab --repeat 2,2 --way ba --repeat 2,2
	moves --queues 16
	relay_did '.ba.replayed > 100 and .ba.lost > 10 and
		([.ba.damaged[]] | add) > 10'
	assert_jq '.drops.replayed > 100' \
		"$(out_of recv)" "drops"
	guests_quit
	detach_both
}

run_scenarios "$@"
