#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# help-man.sh XDPMIG - the manual, --help and the configuration file agree
#
# Both list the same commands, and for each command:
#  * the manual and --help list the same options, with the same letter and the
#    same value, and the manual repeats the default that --help shows;
#  * configs/xdpmig.conf names every option and argument that it may name.
# The manual explains every field of --json.
set -eu
xdpmig=$1
man=docs/man/xdpmig.8.scd
conf=configs/xdpmig.conf
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0

complain()
{
	echo "$*" >&2
	bad=1
}

# "-q, --quiet", "--busy-poll[=TIME]", "--dev DEV": one per line, sorted.
# Then one line "--name default X" for each default.
help_options()
{
	"$xdpmig" help "$1" | awk '
	/^  (-.,|   ) --/ {
		sub(/^ +/, "")
		option = $0
		sub(/  .*/, "", option)
		print option
		name = option
		sub(/^-., /, "", name)
		sub(/[[ ].*/, "", name)
		text = ""
	}
	/^Examples:|^Exit status:|^$/ { name = "" }
	name {
		text = text " " $0
		if (match(text, /\(default +[^ ()]+\)/)) {
			value = substr(text, RSTART + 9, RLENGTH - 10)
			sub(/^ +/, "", value)
			print name " default " value
			name = ""
		}
	}' | sort
}

# The same from the headings "Options of COMMAND, COMMAND and COMMAND" of the manual.
man_options()
{
	awk -v cmd="$1" '
	/^#/ {
		ours = 0
		if ($1 == "##" && $2 == "Options")
			for (i = 4; i <= NF; i++)
				if ($i == cmd || $i == cmd "," || $i == "every")
					ours = 1
		name = ""
	}
	ours && /^\*-/ {
		gsub(/[*_]/, "")
		print
		name = $0
		sub(/^-., /, "", name)
		sub(/[[ ].*/, "", name)
		text = ""
	}
	name {
		text = text " " $0
		if (match(text, /Default:[ \t]+\*[^*]+\*/)) {
			value = substr(text, RSTART, RLENGTH)
			gsub(/^[^*]*\*|\*$/, "", value)
			print name " default " value
			name = ""
		}
	}' "$man" | sort
}

# Keys of section $1 and of what stands above all sections.
conf_keys()
{
	awk -v cmd="$1" '
	/^\[/ { section = substr($0, 2, length($0) - 2) }
	/^#[a-z-]+ = / && (section == "" || section == cmd) {
		print substr($1, 2)
	}' "$conf" | sort -u
}

commands=$("$xdpmig" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' |
	grep -v '^help$')
synopsis=$(sed -n 's/^\*xdpmig\* \*\([a-z]*\)\*.*/\1/p' "$man" | sort)
[ "$synopsis" = "$(printf '%s\nhelp\n' "$commands" | sort)" ] ||
	complain "--help and the synopsis of $man list other commands"
for cmd in $commands; do
	help_options "$cmd" > "$tmp/help"
	man_options "$cmd" > "$tmp/man"
	diff -u "$tmp/help" "$tmp/man" > "$tmp/diff" ||
		complain "$cmd: --help (-) and $man (+) differ:
$(cat "$tmp/diff")"
	conf_keys "$cmd" > "$tmp/keys"
	names=$(sed -n 's/^\(-., \)\?--\([a-z-]*\).*/\2/p' "$tmp/help" | sort -u)
	for name in $names; do
		case $name in
		help | config) continue ;;
		dev) name=device ;;
		esac
		# these do nothing that needs a default
		case $cmd in status | detach | set) continue ;; esac
		grep -qx -e "$name" "$tmp/keys" ||
			complain "$conf: nothing about '$name' of $cmd"
	done
done
fields=$(cat userspace/cli/*.c | tr -d '\n' |
	grep -oE 'cli_put_[a-z0-9]+\([^;]*;' | sed -n 's/[^"]*"\([a-z0-9_]*\)".*/\1/p' |
	sort -u)
[ -n "$fields" ] || complain "no field of --json found in userspace/cli"
for field in $fields; do
	grep -q "\*$field\*" "$man" || complain "$man: no JSON field '$field'"
done
[ "$bad" -eq 0 ]
