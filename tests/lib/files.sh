# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# files.sh - the project's own files
#
# Sourced, with the top of the source tree as working directory.

# Files matching the patterns: those git knows or would take; without git, those
# that are not in a build directory.
project_files() { # PATTERN...
	git -c safe.directory='*' ls-files --cached --others --exclude-standard \
		-- "$@" 2>/dev/null | while read -r f; do
		[ ! -f "$f" ] || echo "$f"
	done | grep . && return
	for pattern in "$@"; do
		find . -name 'build*' -prune -o -type f -path "./$pattern" -print -o \
			-type f -name "$pattern" -print
	done | sed 's,^\./,,' | sort -u
}
