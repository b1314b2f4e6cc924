# bash completion for xdpmig(8)                            -*- shell-script -*-
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Commands and options are read from the program's own help, so that this file
# never knows less, or more, than the program that is installed.

# "--name ARG" for each option of command $2 of program $1
_xdpmig_options()
{
	"$1" help "$2" 2>/dev/null |
		sed -n 's/^  \(-., \|    \)\(--[a-z-]*\)\(\[\?[ =][^ ]\+\)\?.*/\2\3/p'
}

_xdpmig_commands()
{
	"$1" help 2>/dev/null |
		sed -n '/^Commands:/,/^$/s/^  \([a-z]\+\) .*/\1/p'
}

# Where migrations of this user have their names
_xdpmig_names()
{
	if [ "$EUID" -eq 0 ]; then
		echo /run/xdpmig
	else
		echo "${XDG_RUNTIME_DIR-}/xdpmig"
	fi
}

# Those under way
_xdpmig_migrations()
{
	find "$(_xdpmig_names)" -maxdepth 1 -name '*.sock' -printf '%f\n' \
		2>/dev/null | sed 's/\.sock$//'
}

# What may follow option $3 of command $2
_xdpmig_value()
{
	local arg

	arg=$(_xdpmig_options "$1" "$2" | sed -n "s/^$3[[]\?[ =]//p")
	case $arg in
	*'|'*[a-z]*) compgen -W "${arg//|/ }" -- "$cur" ;;
	DEV) compgen -W "$(ls /sys/class/net 2>/dev/null)" -- "$cur" ;;
	FILE | SOCKET) compgen -f -- "$cur" ;;
	esac
}

_xdpmig()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local program=${COMP_WORDS[0]} cmd=${COMP_WORDS[1]} options

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(
			compgen -W "$(_xdpmig_commands "$program")
				--help --version" -- "$cur")
		return
	fi
	if [ "$cmd" = help ]; then
		mapfile -t COMPREPLY < <(
			compgen -W "$(_xdpmig_commands "$program")" -- "$cur")
		return
	fi
	# --name=value comes as three words: --name, =, value
	[ "$prev" = = ] && prev=${COMP_WORDS[COMP_CWORD - 2]}
	[ "$cur" = = ] && cur=
	options=$(_xdpmig_options "$program" "$cmd")
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(
			compgen -W "$(cut -d' ' -f1 <<<"${options//[=[]/ }")" \
				-- "$cur")
	elif [[ $prev == --* ]] && grep -q "^$prev " <<<"$options"; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(_xdpmig_value "$program" "$cmd" "$prev")
	else
		case $("$program" help "$cmd" 2>/dev/null |
			sed -n 's/^Usage: .* \[\?\([A-Z]*\)\]\?$/\1/p') in
		DEV) options=$(ls /sys/class/net 2>/dev/null) ;;
		NAME) options=$(_xdpmig_migrations) ;;
		FILE)
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return
			;;
		*) return ;;
		esac
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
	fi
}

complete -F _xdpmig xdpmig
