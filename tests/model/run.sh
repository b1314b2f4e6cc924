#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run.sh - check the models of the protocol with spin; TAP
#
# Three kinds of checks:
#   holds   all of a model's states were seen, and each is as it should be
#   ends    none of them comes back to where it was: every run ends
#   breaks  the same model with one rule taken away (-D...) has a run that breaks
#           the property given; "spin -k" shows it (docs/testing.md)
# Two rules of which each does the other's work are taken away together.
set -u
cd "$(dirname "$0")" || exit 1
here=$PWD

for tool in spin gcc; do
	command -v $tool >/dev/null || {
		echo "1..0 # SKIP $tool is not installed"
		exit 0
	}
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
ulimit -v 1048576 # KiB; a model that needs more has grown too big

n=0 failed=0
result() { # OK|"NOT OK" TITLE
	n=$((n + 1))
	if [ "$1" = ok ]; then
		echo "ok $n - $2"
		return
	fi
	failed=$((failed + 1))
	echo "not ok $n - $2"
	sed 's/^/# /' spin.log gcc.log pan.log 2>/dev/null | tail -n 40
}

# explore MODEL GCC-OPTIONS PAN-OPTIONS [-D...]: pan.log
explore() {
	local model=$1 gcc_options=$2 pan_options=$3
	shift 3
	rm -f pan pan.log ./*.trail
	spin -a "$@" "$here/$model.pml" >spin.log 2>&1 || return
	# shellcheck disable=SC2086 # several options each
	gcc $gcc_options -w -DVECTORSZ=2048 -o pan pan.c >gcc.log 2>&1 || return
	# shellcheck disable=SC2086
	./pan -m100000 $pan_options >pan.log 2>&1
}

is_whole() {
	grep -q 'errors: 0$' pan.log &&
		! grep -qE 'not completed|too small|out of memory|pan:[0-9]' pan.log
}

figures() {
	awk '/states, stored/ { states = $1 } /depth reached/ { depth = $6 }
	     END { sub(",", "", depth); print "# " states " states, depth " depth }' pan.log
}

holds() { # MODEL TITLE [-D...]
	local model=$1 title="$1: $2" r="not ok"
	shift 2
	explore "$model" "-O1 -DSAFETY" -w22 "$@" && is_whole && r=ok
	result "$r" "$title"
	figures
}

ends() { # MODEL TITLE [-D...]
	local model=$1 title="$1: $2" r="not ok"
	shift 2
	explore "$model" "-O1 -DNP" "-l -w22" "$@" && is_whole && r=ok
	result "$r" "$title"
	figures
}

breaks() { # MODEL PROPERTY TITLE -D...
	local model=$1 property=$2 title="$1: [$2] breaks $3" r="not ok"
	shift 3
	explore "$model" "-O0 -DSAFETY" -w20 "$@" &&
		grep -q 'errors: 1$' pan.log &&
		grep -qE "assertion violated .*($property==0)" pan.log && r=ok
	result "$r" "$title (${*:$#})"
	figures
}

# -- memory: docs/protocol.md 4, 5, 6.3, 6.4 --------------------------------------
holds pages "no older page over a newer one, all there at EPOCH_DONE"
ends pages "every run ends"
breaks pages 9 "if an assertion stands at the end of a migration" -DREACH=9
breaks pages 1 "when frames of other epochs are taken (5.3)" -DONLY=1 -DNO_EPOCH
breaks pages 2 "when damaged ones of them are" -DNO_EPOCH
breaks pages 1 "when a number is installed twice (5.2)" -DONLY=1 -DNO_ONCE
breaks pages 1 "when what is sent again has another number (5.2)" -DONLY=1 -DRENUMBER
breaks pages 4 "when ACKs of other epochs count (4.4)" -DNO_ACK_EPOCH
breaks pages 2 "the same, when nobody compares totals (6.4)" -DNO_TOTALS -DNO_ACK_EPOCH
breaks pages 2 "when rejected frames are acknowledged (4.1)" -DACK_REJECTED
breaks pages 4 "when nobody waits for the barrier (5.9)" -DNO_FLUSH
breaks pages 2 "the same, when nobody compares totals (6.4)" -DNO_TOTALS -DNO_FLUSH
holds pages "without the barrier totals end it with the guest at the source (6.4)" \
	-DWRITES=2 -DNO_FLUSH -DABORT_IS_FINE
breaks pages 4 "when epoch 1 is not of all pages (5.3)" -DFIRST_NOT_ALL
breaks pages 2 "the same, when nobody compares totals (6.4)" -DNO_TOTALS -DFIRST_NOT_ALL
breaks pages 3 "when the log is cleared before the barrier (5.3)" -DCLEAR_EARLY
breaks pages 3 "when the last harvest is before the pause" -DHARVEST_EARLY

# -- the switchover: docs/protocol.md 6.3 to 6.5, docs/operations.md 2 to 4 ----------
holds session "one guest, and who says where it is does not lie" -DFAULTS=2
ends session "every run ends" -DFAULTS=1
breaks session 9 "if an assertion stands where the guest has moved" -DFAULTS=0 -DREACH=9

only() { # PROPERTY FAULTS TITLE -D...: no other property may end the search
	local property=$1 faults=$2 title=$3
	shift 3
	breaks session "$property" "$title" -DFAULTS="$faults" -DONLY="$property" "$@"
}
only 4 1 "when the guardian is not told before the pause" -DNOT_ARMED
only 4 1 "when the guardian looks before QEMU has carried out its cancel" -DGUARDIAN_LOOKS_EARLY
only 4 2 "when the guardian writes nothing down before it acts" -DNO_TRYING
only 4 0 "when the guest is taken back without a cancel" -DNOT_CANCELLED
only 4 0 "when send says it is back, and QEMU did not" -DSAYS_BACK_UNSEEN
only 1 1 "when COMMIT is said before the record and the guardian" -DCOMMIT_BEFORE_RECORD
only 1 1 "when the guardian is not told of COMMIT" -DGUARDIAN_NOT_DISARMED
only 1 1 "when it does not confirm it, nor reads what it was told" -DNO_CONFIRM -DPIPE_NOT_READ
only 4 1 "when nothing is written down before COMMIT" -DNO_RECORD
only 4 1 "when it is written down after the guardian is told" -DRECORD_AFTER_DISARM
only 1 0 "when the source resumes after lost contact in COMMIT (6.3)" -DRESUME_WHEN_LOST
only 1 0 "when it can be cancelled in COMMIT (6.3)" -DCANCEL_IN_COMMIT
only 1 0 "when the end of QEMU's stream is taken for its success" -DEOF_IS_END
only 5 0 "when COMMIT does not wait for LOADED, at either side (6.3, 6.4)" \
	-DNO_LOADED -DTAKES_UNLOADED
only 1 0 "when the target's QEMU starts by itself" -DNO_STOP
only 1 0 "when the target says ABORT while its QEMU may still start" -DABORT_WHEN_TOLD
only 2 0 "when a guest that ran, and stopped, counts as refused" -DSTOPPED_IS_REFUSED
only 2 1 "when the target writes nothing down before it starts the guest" -DNO_RECORD_AT_TARGET
only 2 1 "when it starts the guest although that cannot be written down" -DRECORD_MAY_FAIL
only 2 0 "when the target gives up a guest it has started, contact being lost (6.4)" -DABANDON_IN_COMMIT
only 2 1 "when the target says ABORT of a QEMU that died when it was told" -DABORT_WHEN_LOST
only 3 0 "when COMMITTED is said before the guest runs" -DCOMMITTED_EARLY
only 3 0 "when a command without an answer counts as carried out" -DNOT_ASKED
only 2 1 "when people take a QEMU that ended for one that never ran" -DGONE_IS_NOT_THERE
only 2 1 "when people take a host they fenced for one where it never ran" -DFENCED_IS_NOT_THERE
only 3 0 "when people act while recv still does" -DLOOK_EARLY
only 1 1 "when people do not look at the source first" -DNO_LOOK_AT_SOURCE

echo "1..$n"
[ $failed = 0 ]
