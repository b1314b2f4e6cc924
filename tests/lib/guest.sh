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
# Needs qemu-system-x86, busybox-static, cpio, gcc, python3 and a kernel: that of
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

# guest_tool NAME: path of a program made of tests/lib/NAME.c, linked
# statically, for here and for the guest.
guest_tool() {
	local source=$guest_top/tests/lib/$1.c tool=$guest_cache/$1
	if [ ! "$tool" -nt "$source" ]; then
		mkdir -p "$guest_cache" && gcc -std=gnu11 -D_GNU_SOURCE -O2 -Wall \
			-static -pthread -o "$tool.$$" "$source" >&2 &&
			mv "$tool.$$" "$tool" ||
			guest_die "gcc cannot make $1" || return
	fi
	echo "$tool"
}

# guest_modules KERNEL DIR: what a virtio disk needs, in the order of loading.
# They are with the kernel: in a distribution's /lib/modules, or as fetched.
guest_modules() {
	local tree n=0 name file
	tree=$(dirname "$(dirname "$1")")/lib/modules/${1##*/vmlinuz-}
	[ -d "$tree/kernel" ] || return 0 # built in, or never
	mkdir "$2"
	for name in virtio_ring virtio virtio_pci_modern_dev \
		virtio_pci_legacy_dev virtio_pci virtio_blk; do
		n=$((n + 1))
		file=$(find "$tree/kernel" -name "$name.ko*" | head -n 1)
		case $file in
		'') ;;
		*.xz) xz -dc "$file" >"$2/$n-$name.ko" ;;
		*) cp "$file" "$2/$n-$name.ko" ;;
		esac || return
	done
}

# Path of the initramfs; made when it is older than what is in it.
guest_initrd() { # KERNEL
	local image=$guest_cache/initrd-${1##*/vmlinuz-}.gz
	local init=$guest_top/tests/lib/guest-init.sh root busybox load
	load=$(guest_tool guestload) || return
	if [ ! "$image" -nt "$init" ] || [ ! "$image" -nt "$load" ]; then
		busybox=$(command -v busybox) ||
			guest_die "no busybox: apt-get install busybox-static" || return
		root=$(mktemp -d "$guest_cache/root-XXXXXX") || return
		mkdir "$root/bin" && cp "$busybox" "$root/bin/busybox" &&
			cp "$load" "$root/bin/guestload" &&
			install -m 755 "$init" "$root/init" &&
			guest_modules "$1" "$root/modules" &&
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
		sleep 0.03
	done
}

guest_wait() { # DIR SECONDS PATTERN
	guest_until "$1" "$2" grep -qE "$3" "$1/serial" && return
	tail -n 20 "$1/serial" "$1/qemu.log" >&2
	guest_die "no line '$3' on the console within $2 s, or QEMU ended"
}

guest_boot() { # DIR RAM_MIB FILL_MIB
	local dir=$1 ram kernel initrd
	kernel=$(guest_kernel) && initrd=$(guest_initrd "$kernel") || return
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
