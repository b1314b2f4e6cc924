#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# sizes.sh - no source file has more than 800 lines
#
# 600 is the aim: a file that has grown past it is named here, and past 800 it
# must be split by role (what decides, what encodes, what counts).
set -eu
# shellcheck source=tests/lib/files.sh
. tests/lib/files.sh

project_files '*.[ch]' '*.sh' '*.py' | xargs wc -l | awk '
$2 == "total" { next }
$1 > 800 { print $2 ": " $1 " lines, more than 800: split it by role"; failed = 1; next }
$1 > 600 { print $2 ": " $1 " lines" }
END { exit failed }'
