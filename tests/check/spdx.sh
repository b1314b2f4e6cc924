#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# spdx.sh - every source file says its licence in its first line (scripts: the
# second), and nothing says another
set -eu
# shellcheck source=tests/lib/files.sh
. tests/lib/files.sh

tag='SPDX-License-Identifier: GPL-2.0-or-later'
failed=0
for file in $(project_files '*.[ch]' '*.sh' '*.py' '*.bash' .ci/run); do
	head -n 2 "$file" | grep -qF "$tag" || {
		echo "$file: no \"$tag\" at its head" >&2
		failed=1
	}
done
# shellcheck disable=SC2046 # our file names have no blanks
other=$(grep -l 'SPDX-License-Identifier:' $(project_files '*.*' .ci/run) |
	xargs grep -n 'SPDX-License-Identifier: [A-Z]' | grep -vF "$tag" || true)
[ -z "$other" ] || {
	echo "another licence: $other" >&2
	failed=1
}
[ -f LICENSES/GPL-2.0-or-later.txt ] || {
	echo "LICENSES/GPL-2.0-or-later.txt: missing" >&2
	failed=1
}
exit $failed
