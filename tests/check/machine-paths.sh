#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# machine-paths.sh - nothing in the tree names a directory of somebody's machine
set -eu
# shellcheck source=tests/lib/files.sh
. tests/lib/files.sh

found=$(project_files '*' | grep -v '^LICENSES/' |
	xargs grep -nIE '(^|[^A-Za-z0-9_.$}/-])/(home|root|work|farm|Users)/[A-Za-z0-9_.]' || true)
[ -z "$found" ] || {
	echo "$found" >&2
	exit 1
}
