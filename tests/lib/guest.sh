# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# guest.sh - a real Linux guest in QEMU, for the demo, tests and measurements
#
#   . tests/lib/guest.sh
#   guest_boot DIR RAM_MIB FILL_MIB   a guest with so much RAM, so much of it
#                                     random bytes; returns when it is ready
#       DIR/ram      its RAM: a symbolic link to a file in /dev/shm
#       DIR/qmp      its monitor
#       DIR/serial   its console (guest-init.sh says what it writes)
#       DIR/pid      QEMU's
#   guest_pause DIR, guest_cont DIR
#   guest_wait DIR SECONDS PATTERN    until a console line matches
#   guest_quit DIR                    QEMU is gone and so is its RAM file
#
# Needs qemu-system-x86, busybox-static, cpio, python3 and a kernel: that of
# /boot if there is one, else Debian's, fetched but not installed.  Kernel and
# initramfs are kept in build/guest/.  Emulated (TCG), so it works anywhere; it
# is ready after about 15 s.

guest_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
guest_cache=${GUEST_CACHE:-$guest_top/build/guest}

guest_die() {
	echo "guest.sh: $*" >&2
	return 1
}

# Debian's newest cloud kernel, unpacked into the cache.
guest_fetch_kernel() {
	local dir=$guest_cache/kernel name
	name=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
		sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
	[ -n "$name" ] ||
		guest_die "no kernel in /boot, and apt knows none: apt-get update?" || return
	rm -rf "$dir" && mkdir -p "$dir/deb" || return
	(cd "$dir/deb" && apt-get -q -o APT::Sandbox::User=root download "$name" >&2) ||
		guest_die "apt-get download $name failed" || return
	dpkg -x "$dir"/deb/*.deb "$dir" && rm -r "$dir/deb"
}

# Path of a kernel image.
guest_kernel() {
	local image
	image=$(find /boot "$guest_cache/kernel/boot" -name 'vmlinuz-*' -readable \
		2>/dev/null | sort -V | tail -n 1)
	if [ -z "$image" ]; then
		guest_fetch_kernel || return
		image=$(find "$guest_cache/kernel/boot" -name 'vmlinuz-*')
	fi
	[ -n "$image" ] || guest_die "the package has no vmlinuz" || return
	echo "$image"
}

# Path of the initramfs; made when it is older than its /init.
guest_initrd() {
	local image=$guest_cache/initrd.gz init=$guest_top/tests/lib/guest-init.sh
	local root busybox
	if [ ! "$image" -nt "$init" ]; then
		busybox=$(command -v busybox) ||
			guest_die "no busybox: apt-get install busybox-static" || return
		mkdir -p "$guest_cache" && root=$(mktemp -d "$guest_cache/root-XXXXXX") || return
		mkdir "$root/bin" && cp "$busybox" "$root/bin/busybox" &&
			install -m 755 "$init" "$root/init" &&
			(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0 | gzip) \
				>"$image.$$" && mv "$image.$$" "$image"
		rm -r "$root"
	fi
	[ -f "$image" ] || guest_die "no initramfs made" || return
	echo "$image"
}

guest_alive() { # DIR
	kill -0 "$(cat "$1/pid")" 2>/dev/null
}

# Until COMMAND succeeds; fails when QEMU ends before, or after SECONDS.
guest_until() { # DIR SECONDS COMMAND...
	local dir=$1 deadline=$((SECONDS + $2))
	shift 2
	until "$@" 2>/dev/null; do
		guest_alive "$dir" && [ $SECONDS -lt $deadline ] || return
		sleep 0.1
	done
}

guest_wait() { # DIR SECONDS PATTERN
	guest_until "$1" "$2" grep -qE "$3" "$1/serial" && return
	tail -n 20 "$1/serial" "$1/qemu.log" >&2
	guest_die "no line '$3' on the console within $2 s, or QEMU ended"
}

guest_boot() { # DIR RAM_MIB FILL_MIB
	local dir=$1 ram kernel initrd
	kernel=$(guest_kernel) && initrd=$(guest_initrd) || return
	mkdir -p "$dir" && ram=$(mktemp /dev/shm/xdpmig-guest-XXXXXX) || return
	ln -sfn "$ram" "$dir/ram"
	: >"$dir/serial"
	# /dev/shm: guest memory must be a file both QEMU and xdpmig can map.
	qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
		-machine q35,memory-backend=ram0 -accel tcg,thread=multi -cpu max -smp 2 \
		-m "$2" -object "memory-backend-file,id=ram0,size=${2}M,mem-path=$ram,share=on" \
		-kernel "$kernel" -initrd "$initrd" \
		-append "console=ttyS0 quiet panic=-1 fill=$3" \
		-serial "file:$dir/serial" -qmp "unix:$dir/qmp,server=on,wait=off" \
		>"$dir/qemu.log" 2>&1 </dev/null &
	echo $! >"$dir/pid"
	guest_wait "$dir" 240 '^ready [0-9]+ [0-9a-f]{64}' || {
		guest_quit "$dir"
		return 1
	}
}

guest_qmp() { # DIR COMMAND [JSON]
	local dir=$1
	shift
	"$guest_top/tests/lib/qmp.py" "$dir/qmp" "$@"
}

guest_pause() { # DIR
	guest_qmp "$1" stop >/dev/null
}

guest_cont() { # DIR
	guest_qmp "$1" cont >/dev/null
}

guest_quit() { # DIR
	local pid ram
	[ -f "$1/pid" ] || return 0
	pid=$(cat "$1/pid") ram=$(readlink "$1/ram")
	if guest_alive "$1"; then
		guest_qmp "$1" quit >/dev/null 2>&1 || kill "$pid"
	fi
	wait "$pid" 2>/dev/null
	rm -f "$1/pid" "$1/qmp" "$1/ram" "$ram"
}
