#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# completion.sh XDPMIG - what bash completes is what the program knows
set -eu
xdpmig=$(realpath "$1")
# shellcheck source=configs/xdpmig.bash
. configs/xdpmig.bash
bad=0

# Of the migrations, those that are under way.
names=$(mktemp -d)
trap 'rm -r "$names"' EXIT
touch "$names"/{vm1,vm2}.{sock,lock} "$names/old.json"
_xdpmig_names() { echo "$names"; }

# complete_line WORD...: candidates for the last word, sorted, on one line
complete_line()
{
	COMP_WORDS=("$xdpmig" "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_xdpmig
	[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}" | sort |
		paste -sd' '
}

expect()
{
	local want=$1 got
	shift
	got=$(complete_line "$@")
	[ "$got" = "$want" ] && return
	echo "'xdpmig $*' completes to '$got', not '$want'" >&2
	bad=1
}

# Every option of every command, cut out of --help in another way.
all_options()
{
	"$xdpmig" help "$1" | grep -E '^  (-., |    )--' |
		grep -oE -- '--[a-z-]+' | awk '!seen[$0]++' |
		grep -E "^$2" | sort | paste -sd' '
}

commands=$("$xdpmig" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
expect "$(printf '%s\n' "$commands" --help --version | sort | paste -sd' ')" ''
expect "$(printf '%s\n' "$commands" | sort | paste -sd' ')" help ''
expect '--help' --he
expect '' wat --he
for cmd in $commands; do
	expect "$cmd" "$cmd"
	[ "$cmd" != help ] || continue
	expect '--json' "$cmd" --js
	expect "$(all_options "$cmd" --)" "$cmd" --
done
for cmd in $commands; do
	case $cmd in
	send)
		expect 'auto off prefer require' send --zero-copy ''
		expect 'prefer' send --zero-copy = pr
		expect 'configs/xdpmig.conf' send --config configs/xdpmig.c
		expect 'lo' send --dev lo
		expect '' send --json ''
		expect '' send --busy-poll ''
		expect '' send ''
		expect 'configs/xdpmig.conf' send --qmp configs/xdpmig.c
		;;
	keygen)
		expect 'configs/xdpmig.conf' keygen configs/xdpmig.c
		;;
	attach | detach | status)
		expect 'lo' "$cmd" lo
		;;
	cancel | continue | set)
		expect 'vm1 vm2' "$cmd" ''
		expect 'vm2' "$cmd" vm2
		expect '' "$cmd" old
		;;
	esac
done
[ "$bad" -eq 0 ]
