# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vm.sh - a machine with another kernel and programs of this one; after guest.sh
#
#   vm_root DIR                    an empty root
#   vm_put DIR FILE...             files and folders at their paths; of programs
#                                  also the libraries
#   vm_modules DIR KERNEL NAME...  modules, with those they depend on
#   vm_image DIR SCRIPT            DIR.initrd, an initramfs that runs it
#   vm_run DIR KERNEL SECONDS SCRIPT
#                                  boot it, run the bash script there (its path in
#                                  DIR), what it says on stdout; its status, or 124
#                                  if there was none in time
#
# All of it is one initramfs.  Emulated (TCG); no_timer_check: on a busy machine the
# kernel waits in vain for its timer and panics.

vm_root() { # DIR
	local name

	rm -rf "$1"
	mkdir -p "$1"/{usr/bin,usr/sbin,usr/lib,usr/lib64} \
		"$1"/{dev,proc,sys,run,tmp,var/tmp,root,modules}
	for name in bin sbin lib lib64; do
		ln -s "usr/$name" "$1/$name"
	done
}

# vm_place DIR FILE: once, what a symbolic link names in its place
vm_place() {
	local dir=$1 file=$2 to

	# /bin is a link there, too
	to=$dir$(readlink -f "$(dirname "$file")")/${file##*/}
	[ ! -e "$to" ] || return 0
	mkdir -p "${to%/*}" && cp -rL "$file" "$to"
}

vm_put() { # DIR FILE...
	local dir=$1 file lib

	shift
	for file; do
		vm_place "$dir" "$file" || return
		[ -f "$file" ] || continue
		while read -r lib; do
			vm_place "$dir" "$lib" || return
		done < <(ldd "$file" 2>/dev/null | grep -o '/[^ ]*')
	done
}

vm_module() { # FILE TO: FILE's name is added
	local name=${1##*/}

	case $name in
	*.xz) xz -dc "$1" >"$2-${name%.xz}" ;;
	*) cp "$1" "$2-$name" ;;
	esac
}

vm_modules() { # DIR KERNEL NAME...
	local dir=$1 version=${2##*/vmlinuz-} base n=0 name word file seen=' '
	base=$(dirname "$(dirname "$2")")
	[ -d "$base/lib/modules/$version/kernel" ] || base=/
	shift 2
	[ -f "$base/lib/modules/$version/modules.dep" ] ||
		depmod -b "$base" "$version" || return
	for name; do
		while read -r word file _; do
			[ "$word" = insmod ] || continue # builtin
			n=$((n + 1))
			[[ $seen != *" $file "* ]] || continue
			seen+="$file "
			file=${file//\/\//\/}
			vm_module "$file" "$dir/modules/$(printf '%02d' $n)" ||
				return
		done < <(modprobe -d "$base" -S "$version" --show-depends "$name")
	done
	[ "$n" -gt 0 ]
}

vm_init() { # DIR SCRIPT
	cat >"$1/init" <<-EOT
	#!/bin/busybox sh
	export PATH=/usr/sbin:/usr/bin HOME=/root TMPDIR=/tmp
	/bin/busybox --install -s /usr/local
	PATH=\$PATH:/usr/local
	mount -t devtmpfs dev /dev
	mount -t proc proc /proc
	mount -t sysfs sys /sys
	mount -t bpf bpf /sys/fs/bpf
	ln -s /proc/self/fd /dev/fd
	mkdir -p /dev/shm
	mount -t tmpfs shm /dev/shm
	for module in /modules/*.ko; do
	        insmod \$module
	done
	ip link set lo up
	bash $2 </dev/null 2>&1
	echo "vm: status \$?"
	poweroff -f
	EOT
	chmod +x "$1/init"
	mkdir -p "$1/usr/local"
}

# vm_image DIR SCRIPT: makes DIR.initrd, where the script will run
vm_image() {
	local dir=$1

	vm_put "$dir" "$(command -v busybox)" && vm_init "$dir" "$2" &&
		(cd "$dir" && find . | cpio --quiet -o -H newc -R 0:0) >"$dir.initrd"
}

vm_run() { # DIR KERNEL SECONDS SCRIPT
	local dir=$1 kernel=$2 seconds=$3 status

	vm_image "$dir" "$4" || return
	timeout --foreground -k 5 "$seconds" qemu-system-x86_64 -nodefaults -no-user-config \
		-display none -no-reboot -machine q35 -accel tcg,thread=multi \
		-cpu max -smp 2 -m 1536 -kernel "$kernel" -initrd "$dir.initrd" \
		-append "console=ttyS0 quiet panic=-1 no_timer_check" -serial stdio \
		2>&1 </dev/null | tr -d '\r' | tee "$dir.console"
	status=$(sed -n 's/^vm: status //p' "$dir.console" | tail -n 1)
	return "${status:-124}"
}
