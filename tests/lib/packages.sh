# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# packages.sh - install what tests/packages.txt lists and the system lacks
#
# Sourced.  Needs no network, and no root, when nothing is missing.

packages_missing() { # FILE: one missing package a line
	local name
	sed 's/#.*//' "$1" | while read -r name; do
		[ -n "$name" ] || continue
		dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null |
			grep -qx installed || echo "$name"
	done
}

packages_install() { # FILE: says on stderr what it does
	local missing
	command -v dpkg-query >/dev/null || {
		echo "no dpkg here: install what tests/packages.txt lists by hand" >&2
		return 0
	}
	mapfile -t missing < <(packages_missing "$1")
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "missing packages; as root: apt-get install ${missing[*]}" >&2
		return 1
	fi
	echo "installing ${missing[*]}" >&2
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update >&2 &&
		apt-get -q -y --no-install-recommends install "${missing[@]}" >&2
}
