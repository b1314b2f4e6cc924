#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# includes.sh - who may include whom (docs/architecture.md)
#
#   cli  ->  xsk  ctl  guest  ->  core  ->  include/xdpmig
#     \______________________________/
#                 util  (everyone except core)
#
# core: a handful of C headers and the compiler's intrinsics, nothing of the
# system.  Drivers do not know each other.  bpf: UAPI and libbpf headers, and
# include/xdpmig.  Each .c includes its own header first.
set -eu
# shellcheck source=tests/lib/files.sh
. tests/lib/files.sh

project_files 'bpf/*.[ch]' 'include/*.h' 'userspace/*.[ch]' |
	xargs grep -n '^[[:space:]]*#[[:space:]]*include' | awk '
BEGIN {
	may["core"] = "core xdpmig"
	may["util"] = "util xdpmig"
	may["xsk"] = "xsk core util xdpmig"
	may["ctl"] = "ctl core util xdpmig"
	may["guest"] = "guest core util xdpmig"
	may["cli"] = "cli xsk ctl guest core util xdpmig"
	may["bpf"] = "xdpmig"
	may["include"] = "xdpmig"
	sys["core"] = "^(assert|stdbool|stddef|stdint|string|errno|immintrin|cpuid)[.]h$"
	sys["include"] = "^linux/types[.]h$"
	sys["bpf"] = "^(linux|bpf|xdp)/"
}
function bad(why) {
	print file ":" line ": " why
	failed = 1
}
{
	split($0, part, ":")
	file = part[1]; line = part[2]
	text = substr($0, length(file) + length(line) + 3)
	n = split(file, dir, "/")
	layer = dir[1] == "userspace" ? dir[2] : dir[1]
	base = dir[n]; sub(/[.][ch]$/, "", base)
	if (!(layer in may)) {
		bad("no such layer: " layer)
		next
	}
	if (text ~ /<[^>]*>/) {
		name = text; sub(/^[^<]*</, "", name); sub(/>.*/, "", name)
		if (layer in sys && name !~ sys[layer])
			bad(layer " may not include <" name ">")
		own = 0
	} else {
		name = text; sub(/^[^"]*"/, "", name); sub(/".*/, "", name)
		if (name ~ /[.][.]/)
			bad("\"" name "\" leaves its folder")
		else if (name ~ /\//) {
			to = name; sub(/\/.*/, "", to)
			if (index(" " may[layer] " ", " " to " ") == 0)
				bad(layer " may not include \"" name "\"")
		} else if (name ~ /[.]skel[.]h$/ && layer != "xsk")
			bad("only xsk includes BPF skeletons")
	}
	if (file ~ /[.]c$/ && layer != "bpf" && !(file in first)) {
		first[file] = name
		header = file; sub(/[.]c$/, ".h", header)
		if ((getline dummy < header) > 0 && name != base ".h" && name != layer "/" base ".h")
			bad("the first include is not \"" base ".h\"")
		close(header)
	}
}
END { exit failed }'
