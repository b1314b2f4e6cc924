#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# conf.sh XDPMIG - the commented configuration file says nothing that is wrong
#
# All of its examples are uncommented, and a mistake is appended to each
# command's section: if that line is what the program complains of, it has
# accepted every line before, and has done nothing yet.
set -eu
xdpmig=$1
tmp=$(mktemp)
trap 'rm -f "$tmp"' EXIT
bad=0

commands=$("$xdpmig" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' |
	grep -v '^help$')
for cmd in $commands; do
	# sections of commands that are not there yet would be a mistake too
	awk -v known=" $(echo "$commands" | tr '\n' ' ')" '
	/^\[/ { skip = !index(known, " " substr($0, 2, length($0) - 2) " ") }
	!skip { sub(/^#/, "", $0) ; if (/^([a-z-]+ = |\[)/) print }
	' configs/xdpmig.conf > "$tmp"
	printf '[%s]\nwrong = 1\n' "$cmd" >> "$tmp"
	want="xdpmig: $cmd: $tmp:$(wc -l < "$tmp"): wrong: no such option"
	got=$("$xdpmig" "$cmd" --config "$tmp" 2>&1 >/dev/null | head -n 1)
	[ "$got" = "$want" ] || {
		echo "configs/xdpmig.conf, uncommented: $got" >&2
		bad=1
	}
done
[ "$bad" -eq 0 ]
