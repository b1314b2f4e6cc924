#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# hardening.sh PROGRAM fortified|plain LIBRARY... - was the program made as meson.build
# asks for?  LIBRARY: what it is linked of, thin archives of ours.
#
# A position-independent program, its tables read-only once it is loaded, no
# executable stack, no path of its own to libraries, stacks guarded, fortified
# calls, and each of our objects ready for the CPU's control-flow enforcement.
# That the program as a whole is said to be ready for it takes a C library that is,
# which Debian 12's is not: then this prints what is missing.
set -u
program=$1 fortified=$2
shift 2
failed=0

want() { # WHAT COMMAND...: the command succeeds
	local what=$1
	shift
	"$@" || {
		echo "$program: $what" >&2
		failed=1
	}
}

header=$(readelf -hW "$program") || exit 1
segments=$(readelf -lW "$program")
dynamic=$(readelf -dW "$program")
symbols=$(readelf --dyn-syms -W "$program")

has() { grep -qE -- "$2" <<<"$1"; } # TEXT PATTERN
lacks() { ! has "$@"; }

want "not position-independent" has "$header" 'Type: +DYN \(Position-Independent'
want "no PIE flag" has "$dynamic" 'FLAGS_1.*\bPIE\b'
want "symbols are bound late" has "$dynamic" '(FLAGS\).*BIND_NOW|FLAGS_1.*\bNOW\b)'
want "no read-only relocations" has "$segments" '^ +GNU_RELRO '
want "no word on its stack" has "$segments" '^ +GNU_STACK '
want "an executable stack" lacks "$segments" '^ +GNU_STACK .* RWE '
want "a segment that can be written and executed" lacks "$segments" '^ +LOAD .* RWE '
want "text relocations" lacks "$dynamic" '\(TEXTREL\)'
want "its own path to libraries" lacks "$dynamic" '\((RPATH|RUNPATH)\)'
want "no stack protector" has "$symbols" ' __stack_chk_fail@'
if [ "$fortified" = fortified ]; then
	for call in memcpy snprintf; do
		want "no fortified $call" has "$symbols" " __(v|)${call}_chk@"
	done
fi

# -- control-flow enforcement, x86 -------------------------------------------------

cet() { # FILE...: those whose notes do not say IBT and SHSTK
	readelf -nW "$@" 2>/dev/null | awk '
		function tell() { if (name != "" && !is_ready) print name }
		/^File: / { tell(); name = $2; is_ready = 0 }
		/x86 feature: IBT, SHSTK/ { is_ready = 1 }
		END { tell() }'
}

if has "$header" 'Machine: +Advanced Micro Devices X86-64'; then
	missing=$(cet "$@" /dev/null)
	want "$(wc -l <<<"$missing") objects of ours without IBT and SHSTK, the first ${missing%%$'\n'*}" \
		test -z "$missing"
	if lacks "$(readelf -nW "$program")" 'x86 feature: IBT, SHSTK'; then
		crt=()
		for name in Scrt1.o crti.o crtn.o crtbeginS.o crtendS.o; do
			crt+=("$(${CC:-cc} -print-file-name=$name)")
		done
		echo "not marked for IBT and SHSTK, because these are not:"
		cet "${crt[@]}" /dev/null
	fi
fi
exit $failed
