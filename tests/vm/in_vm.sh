#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# in_vm.sh DIR PROGRAM [ARGUMENT...] - run a program in the machine of pair.sh whose
# folder is DIR: its output is ours, its status too, and SIGINT and SIGTERM are
# passed on
#
# When our output is a file of the shared folder then it is written there, as it comes.
# 125: the machine has ended.
set -u
vm=$1 shared=${1%/vm/*}
shift
dir=$(mktemp -d "$vm/call-XXXXXX") || exit 125
files=()
for fd in 1 2; do
	file=$(readlink /proc/self/fd/$fd)
	case $file in
	"$shared"/*) [ -f "$file" ] || file=$dir/$fd ;;
	*) file=$dir/$fd ;;
	esac
	files+=("$file")
done

tell() { printf '%s\n' "$*" >"$vm/ctl.in"; }
trap 'tell signal "$dir" INT' INT
trap 'tell signal "$dir" TERM' TERM
trap 'rm -rf "$dir"' EXIT

tell "$(printf '%q ' start "$dir" "${files[@]}" "$@")"
until [ -s "$dir/rc" ]; do
	kill -0 "$(cat "$vm/pid")" 2>/dev/null || exit 125
	sleep 0.02
done
[ ! -f "$dir/1" ] || cat "$dir/1"
[ ! -f "$dir/2" ] || cat "$dir/2" >&2
exit "$(cat "$dir/rc")"
