#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# units.sh XDPMIG UNIT... - systemd understands the units, and their exposure, as
# systemd-analyze has it, is no more than docs/security.md says
#
# Also of the receiving unit as its comment has it edited, for an ordinary user.
set -eu
command -v systemd-analyze >/dev/null || {
	echo "SKIP: needs systemd-analyze"
	exit 77
}
xdpmig=$(readlink -f "$1")
shift
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0

# figure NAME: of docs/security.md's table, a line "| `NAME` | 2.7 |"
figure()
{
	sed -n "s/^| \`$1\`[^|]*| \([0-9.]*\) .*/\1/p" docs/security.md
}

# look FILE NAME: of that figure
look()
{
	most=$(figure "$2")
	[ -n "$most" ] || {
		echo "$2: docs/security.md has no figure" >&2
		bad=1
		return
	}
	systemd-analyze verify --man=no "$1" >"$tmp/said" 2>&1 || bad=1
	[ ! -s "$tmp/said" ] || bad=1
	cat "$tmp/said" >&2
	# the threshold is ten times the figure
	systemd-analyze security --no-pager --offline=true \
		--threshold="$(echo "$most" | tr -d .)" "$1" >"$tmp/said" 2>&1 || {
		grep Overall "$tmp/said" >&2
		echo "$2: docs/security.md says $most" >&2
		bad=1
	}
}

for unit; do
	name=${unit##*/}
	# The program is not installed, and systemd looks whether it is there.
	sed "s#^\(Exec[A-Za-z]*=\)[^ ]*#\1$xdpmig#" "$unit" >"$tmp/$name"
	look "$tmp/$name" "${name%.service}"
	case $name in
	*recv*) ;;
	*) continue ;;
	esac
	{
		grep -v '^CapabilityBoundingSet=' "$tmp/$name" | sed '/^\[Install\]/,$d'
		sed -n '/^#   \[Service\]/,/^\[Unit\]/s/^#   \([A-Z].*\)/\1/p' "$unit"
	} >"$tmp/user-$name"
	look "$tmp/user-$name" "${name%.service} as a user"
done
exit $bad
