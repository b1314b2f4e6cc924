# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# agent.sh - runs in a machine of pair.sh: programs that in_vm.sh asks for
#
# A line of the second serial port is a call of one of these.  DIR is of the shared
# folder: DIR/rc comes when the program has ended.

# start DIR OUT ERR PROGRAM [ARGUMENT...]
start() {
	local dir=$1 out=$2 err=$3 pid

	shift 3
	(
		"$@" >"$out" 2>"$err" </dev/null &
		pid=$!
		echo "$pid" >"$dir/pid"
		wait "$pid" 2>/dev/null
		echo $? >"$dir/rc.new"
		mv "$dir/rc.new" "$dir/rc"
	) &
}

# signal DIR NAME
signal() {
	kill -"$2" "$(cat "$1/pid")"
}

stty -F /dev/ttyS1 raw -echo
echo "agent: ready"
while IFS= read -r line; do
	eval "$line"
done </dev/ttyS1
