#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kernel.sh - on Debian 12's own kernel, 6.1: writes are logged by soft-dirty
# bits, other XDP programs are joined in libxdp's dispatcher, hugepages that go away
# are an error, and what it cannot do is said
#
# The kernel of /boot, or Debian's, fetched; in one machine, which has programs
# and libraries of this one.  kernel_inside.sh is what runs there.

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/../netns/lib.sh"
# shellcheck source=tests/lib/guest.sh
. "${0%/*}/../lib/guest.sh"
# shellcheck source=tests/vm/vm.sh
. "${0%/*}/vm.sh"
needs xdpmig qemu-system-x86_64 busybox cpio ldd modprobe depmod as ld

# Programs that the scripts and tests in there run; the rest is busybox's.
programs=(bash sh unshare nsenter mount umount ip tc ethtool gojq bpftool cat chmod
	cmp cut date dd fallocate find grep head mkdir mktemp readlink rm rmdir
	sed seq sleep sort stat tail tee timeout touch tr truncate as ld
	qemu-system-x86_64)

kernel_of_debian() {
	KERNEL=$(find /boot "$guest_cache/kernel/boot" -name 'vmlinuz-6.1.*' \
		-readable 2>/dev/null | sort -V | tail -n 1) || true
	[ -z "$KERNEL" ] || return 0
	guest_fetch_kernel >"$TMP/fetch.out" 2>&1 || {
		cat "$TMP/fetch.out"
		skip "no kernel 6.1 in /boot, and none to fetch"
	}
	KERNEL=$(find "$guest_cache/kernel/boot" -name 'vmlinuz-6.1.*')
	[ -n "$KERNEL" ] || skip "Debian's kernel is not 6.1"
}

has_config() { # NAME...
	local name config=${KERNEL/vmlinuz-/config-}

	for name; do
		grep -q "^CONFIG_$name=[ym]" "$config" ||
			skip "${KERNEL##*/} has no CONFIG_$name"
	done
}

furnish() { # DIR
	local dir=$1 name top=${0%/*}/..

	vm_root "$dir"
	for name in "${programs[@]}"; do
		vm_put "$dir" "$(type -P "$name")"
	done
	top=$(cd "$top" && pwd)
	vm_put "$dir" "$top/vm" "$top/netns" "$top/lib" "$XDPMIG" \
		"$BUILD"/tests/vm/vm-soft_{dirty,guest} \
		"$BUILD/tests/guest/guest-synth" "$BUILD/tests/unit/unit-ram_huge" \
		"$BUILD"/tests/bpf/{bpf-attach,bpf-dispatcher,bpf-session,pass.bpf.o} \
		/usr/share/seabios /usr/share/qemu/{kvmvapic.bin,linuxboot_dma.bin} \
		/usr/lib/x86_64-linux-gnu/{bpf,qemu/accel-*.so}
	vm_modules "$dir" "$KERNEL" veth bridge
	echo "export BUILD='$BUILD'; exec bash '$top/vm/kernel_inside.sh'" \
		>"$dir/script"
}

kernel_of_debian
has_config MEM_SOFT_DIRTY XDP_SOCKETS BPF_SYSCALL VETH MEMFD_CREATE
say "${KERNEL##*/}"
furnish "$TMP/root"
status=0
vm_run "$TMP/root" "$KERNEL" 300 /script || status=$?
assert_eq "$status" 0 "status in the machine (124: not within 5 minutes)"
grep -q '^ok - ' "$TMP/root.console" || fail "nothing was tested"
