#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# docs-limits.sh CC... - include/xdpmig/limits.h and docs/protocol.md agree
#
# Every XM_ constant of limits.h has a row "| XM_NAME | number | ..." in the
# document, and every such row a constant.  Numbers may be written 65536,
# 65,536 or 64 KiB.
set -eu
header=include/xdpmig/limits.h
doc=docs/protocol.md
[ -f "$doc" ] || {
	echo "$doc: missing" >&2
	exit 1
}
[ $# -gt 0 ] || set -- cc

# The preprocessor expands the values, the shell computes them.
names=$(awk '$1 == "#define" && $2 ~ /^XM_[A-Z0-9_]+$/ { print $2 }' "$header")
[ -n "$names" ] || exit 1
for name in $names; do
	echo "\"$name\" $name"
done | "$@" -E -P -Iinclude -include xdpmig/limits.h - |
	sed -n 's/^"\(XM_[A-Z0-9_]*\)" */\1 /p' | while read -r name value; do
	# shellcheck disable=SC2004 # an expression, not a variable with a number
	echo "$name $(($value))"
done | sort >"${TMPDIR:-/tmp}/limits.$$"
trap 'rm -f "${TMPDIR:-/tmp}"/limits.$$ "${TMPDIR:-/tmp}"/limits-doc.$$' EXIT

awk -F'|' '$2 ~ /^ *`?XM_[A-Z0-9_]+`? *$/ && NF >= 4 {
	name = $2; gsub(/[ `]/, "", name)
	value = $3; gsub(/[`,]/, "", value)
	split(value, word, " ")
	n = word[1]
	if (word[2] == "KiB") n *= 1024
	if (word[2] == "MiB") n *= 1024 * 1024
	if (word[2] == "GiB") n *= 1024 * 1024 * 1024
	printf "%s %s\n", name, n
}' "$doc" | sort -u >"${TMPDIR:-/tmp}/limits-doc.$$"

diff -u --label "$header" --label "$doc" "${TMPDIR:-/tmp}/limits.$$" \
	"${TMPDIR:-/tmp}/limits-doc.$$" >&2 || {
	echo "$header (-) and the tables of $doc (+) do not agree" >&2
	exit 1
}
