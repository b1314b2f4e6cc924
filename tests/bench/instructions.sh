#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# instructions.sh - user-space instructions for a frame of DATA, by function
#
# Runs tests/bench/instructions under callgrind, each side by itself, with two numbers
# of pages, and divides the difference by that of the DATA frames: what is done once
# cancels out, what is done for an acknowledgement or a packet's header is shared by
# the frames it is for.  No kernel, no clock, no thread: the same figures every time,
# whatever else the machine does.
#
# valgrind offers programs no AVX-512, so sums and copies are made with other
# instructions than usual; they, the test for zeros and the cipher are groups of their
# own.  Prints Markdown; docs/performance.md section 2 explains it.

set -euo pipefail

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
	cat <<-EOT
	Usage: tests/bench/instructions.sh [OPTION]...   (with BUILD=DIR; default build)

	  --keys LIST    default none,tag,encrypt
	  --mtu LIST     default 9000; 65535 has 60 KiB a frame instead of 8
	  --pages N      the smaller number of pages, default 8192; the other is twice
	                 as many
	  --functions N  at least so many instructions for a function to have a row of
	                 its own, default 2
	EOT
	exit 0
fi

BUILD=$(realpath "${BUILD:-$(dirname "$0")/../../build}")
keys=none,tag,encrypt mtus=9000 pages=8192 functions=2
while [ $# -gt 0 ]; do
	[ $# -gt 1 ] || {
		echo "instructions.sh: $1 needs a value; see --help" >&2
		exit 2
	}
	case $1 in
	--keys) keys=$2 ;;
	--mtu) mtus=$2 ;;
	--pages) pages=$2 ;;
	--functions) functions=$2 ;;
	*)
		echo "instructions.sh: unknown option $1; see --help" >&2
		exit 2
		;;
	esac
	shift 2
done

program=$BUILD/tests/bench/instructions
[ -x "$program" ] || {
	echo "instructions.sh: $program: not built" >&2
	exit 1
}
command -v valgrind >/dev/null || {
	echo "instructions.sh: needs the program valgrind" >&2
	exit 1
}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/xm-instructions-XXXXXX")
trap 'rm -r "$tmp"' EXIT

# count SIDE KEYS MTU PAGES FILE: FILE.out is callgrind's, FILE.json how many frames
count() {
	valgrind --quiet --tool=callgrind --compress-strings=no --compress-pos=no \
		--toggle-collect="$1_turn" --toggle-collect="$1_kick" \
		--callgrind-out-file="$5.out" "$program" "$2" "$3" "$4" >"$5.json"
}

for mtu in ${mtus//,/ }; do
	for key in ${keys//,/ }; do
		for side in source target; do
			at=$tmp/$mtu.$key.$side
			count "$side" "$key" "$mtu" "$pages" "$at.small"
			count "$side" "$key" "$mtu" $((2 * pages)) "$at.large"
		done
	done
	"$(dirname "$0")/instructions_table.py" "$tmp" "$mtu" "$keys" "$functions"
done
