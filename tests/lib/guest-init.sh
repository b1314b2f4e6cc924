#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=dash
# guest-init.sh - /init of the guest of guest.sh
#
# Fills fill=MIB of its RAM with random bytes, says "ready MIB SHA256" on the
# console, and then "beat N" about every second.  Every fifth time it sums the
# bytes again: "beat N ok", or "beat N CORRUPT", which no test may see.
#
# With load=ARG:ARG... it becomes guestload ARG ARG... instead (guestload.c).
# With control it does what comes on the second serial port, a word a line:
# suspend (ACPI S3).
export PATH=/bin
/bin/busybox mkdir -p /dev /proc /data
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t tmpfs -o size=85% tmpfs /data
/bin/busybox --install -s /bin

fill=0
load=
control=
# shellcheck disable=SC2013 # words are wanted
for word in $(cat /proc/cmdline); do
	case $word in
	fill=*) fill=${word#fill=} ;;
	load=*) load=${word#load=} ;;
	control) control=1 ;;
	esac
done

if [ -n "$control" ]; then
	mkdir -p /sys
	mount -t sysfs sys /sys
	stty -F /dev/ttyS1 raw -echo
	while read -r word; do
		[ "$word" != suspend ] || echo mem >/sys/power/state
	done </dev/ttyS1 &
fi

if [ -n "$load" ]; then
	case $load in
	*disk=/dev/*)
		for module in /modules/*.ko; do
			insmod "$module"
		done
		disk=${load#*disk=}
		disk=${disk%%[,:]*}
		n=0
		until [ -b "$disk" ] || [ $n -eq 100 ]; do
			usleep 100000
			n=$((n + 1))
		done
		;;
	esac
	# Little is said, and at once: the console is slow.
	stty -F /dev/ttyS0 raw 2>/dev/null
	# shellcheck disable=SC2046 # words are wanted
	guestload $(echo "$load" | tr ':' ' ')
	exec poweroff -f
fi

# A few MiB of random bytes over and over, each time behind another line, so
# that no two pages are the same; random numbers are slow under emulation.
dd if=/dev/urandom of=/data/seed bs=1M count=4 2>/dev/null
i=0
while [ $i -lt "$fill" ]; do
	echo "copy $i"
	cat /data/seed
	i=$((i + 4))
done | head -c $((fill * 1048576)) >/data/fill
rm /data/seed
if [ "$(stat -c %s /data/fill)" != $((fill * 1048576)) ]; then
	echo "failed: no room for $fill MiB"
	exec poweroff -f
fi
sum() { sha256sum /data/fill | cut -d ' ' -f 1; }
was=$(sum)
echo "ready $fill $was"

n=0
while :; do
	sleep 1
	n=$((n + 1))
	if [ $((n % 5)) -ne 0 ]; then
		echo "beat $n"
	elif [ "$(sum)" = "$was" ]; then
		echo "beat $n ok"
	else
		echo "beat $n CORRUPT"
	fi
done
