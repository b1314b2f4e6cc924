#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# core-purity.sh LIBRARY - the protocol core may call nothing but what is listed
# here: no clock, no allocator, no I/O, no log.  Not meaningful in sanitizer and
# coverage builds, which add calls of their own.
set -eu

allow='^(mem(cpy|move|set|cmp|chr)|bcmp'              # pure functions
allow="$allow|str(len|nlen|cmp|ncmp)"
allow="$allow|__(mem|str)[a-z]*_chk|__chk_fail"       # the same, fortified
allow="$allow|__assert_fail|__stack_chk_fail"         # programmer errors
allow="$allow|__(popcount|clz|ctz|ffs|bswap)[sd]i2"   # compiler: arithmetic
allow="$allow|__cpu_(model|indicator_init|features2)" # compiler: CPU detection
allow="$allow|_GLOBAL_OFFSET_TABLE_)$"

# What the library calls and does not define itself.
calls=$(nm --format=posix "$1" | awk '
	$2 == "U" || $2 == "w" { called[$1]; next }
	NF > 1 { defined[$1] }
	END { for (name in called) if (!(name in defined)) print name }')
[ -n "$calls" ] || {
	echo "nm finds no calls in $1, not even memcpy: this test is broken" >&2
	exit 1
}
bad=$(echo "$calls" | grep -vE "$allow" | sort || true)
[ -z "$bad" ] || {
	echo "userspace/core calls what a pure core may not:" >&2
	for name in $bad; do
		nm -u -A "$1" | grep -w "$name" | sed "s,^[^:]*:\([^:]*\):.*,  \1: $name," >&2
	done
	exit 1
}
