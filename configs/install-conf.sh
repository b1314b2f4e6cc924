#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# install-conf.sh DIRECTORY FILE... - install what is not there yet
set -eu
dir=${DESTDIR:-}$1
shift
mkdir -p "$dir"
for file; do
	[ -e "$dir/${file##*/}" ] || install -m 644 "$file" "$dir/"
done
