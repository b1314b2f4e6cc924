# shellcheck shell=bash disable=SC2154,SC2054
# SPDX-License-Identifier: GPL-2.0-or-later
# live.sh - running guests that are moved, and where they are moved to; after
# guest.sh
#
#   live_oracle DIR RAM_MIB [KEY=VALUE...]  the guest of oracle.s: it is ready
#                                           after a second
#   live_linux DIR RAM_MIB [KEY=VALUE...]   a Linux with guestload.c: 10 s
#   live_incoming DIR OF [KEY=VALUE...]     a QEMU of the same command line
#                                           that waits for a guest
#   live_quit DIR...                        gone, with all that it had
#       DIR/ram      its RAM: a symbolic link to a file in /dev/shm
#       DIR/qmp      its monitor, for the test
#       DIR/mig      another one, for xdpmig
#       DIR/serial   its console
#       DIR/stamps   the same, each line behind the host's monotonic time (ms)
#       DIR/pid      QEMU's
#       DIR/settings of QEMU's for migrations, as it began
#       DIR/spec     the keys and values it was made with
#
# Keys:
#   uuid= name= machine= smp=      as QEMU's
#   load="rate=50 size=128"        live_linux: for guestload
#   disk=FILE                      a virtio disk, read-only; with disk_opts=
#                                  such as cache=none,aio=io_uring
#   pace=N                         live_oracle: pages in each of 250 ticks a
#                                  second; 0: as fast as it can
#   backends=N                     RAM in so many shared files, one NUMA node
#                                  each (DIR/ram is the first, DIR/ram1...)
#   shm=DIRECTORY                  for its RAM, instead of /dev/shm
#   mem=MEMORY-BACKEND             all of -object, %s is the file
#   args="-m slots=1"              more of QEMU's, by spaces
#   control=1                      live_linux: it does what is written to
#                                  DIR/control.in, a word a line: suspend
#
#   live_beats DIR                 how often its heart has beaten
#   live_goes_on DIR [N [SECONDS]] it beats N (5) times more, or fails
#   live_is DIR STATE              QEMU's run state: running, paused, ...
#   live_oracle_check DIR          its memory is right; it must not run
#   live_linux_check DIR...        nothing was ever found corrupt
#   live_gap DIR DIR               ms from the first's last beat to the second's
#                                  first; the longest gap of each before and
#                                  after it are those of a guest not moved

# Another QEMU than the distribution's, for a guest of either end.
LIVE_QEMU=${LIVE_QEMU:-qemu-system-x86_64}

LIVE_UUID=6f4a6d1e-3c56-4b8e-9d2a-0d5b1c7e8f90

# -- what it is made of ------------------------------------------------------------

live_get() { # DIR KEY; the last counts
	local key value last=''
	while IFS='=' read -r key value; do
		[ "$key" != "$2" ] || last=$value
	done <"$1/spec"
	echo "$last"
}

live_spec() { # DIR KEY=VALUE...
	local dir=$1
	shift
	printf '%s\n' "$@" >>"$dir/spec"
}

# A new folder, and in it what every guest has.
live_make() { # DIR KEY=VALUE...
	local dir=$1
	shift
	rm -rf "$dir" && mkdir -p "$dir" || return
	live_spec "$dir" "uuid=$LIVE_UUID" name=guest machine=q35 smp=1 pace=100 \
		backends=1 shm=/dev/shm "$@"
	if [ "$(live_get "$dir" kind)" = oracle ]; then
		live_oracle_disk "$dir"
	fi
}

# The firmware's own memory is above.
live_oracle_pages() { # DIR
	echo $((($(live_get "$1" ram) - 28) * 256))
}

live_oracle_disk() { # DIR
	local pace beat=1000000
	pace=$(live_get "$1" pace)
	[ "$pace" = 0 ] || beat=$((pace * 12)) # some 20 a second
	as --32 --defsym "PAGES=$(live_oracle_pages "$1")" --defsym "PACE=$pace" \
		--defsym "BEAT=$beat" -o "$1/oracle.o" "$guest_top/tests/lib/oracle.s" &&
		ld -m elf_i386 -Ttext 0x7c00 --oformat binary \
			-o "$1/disk" "$1/oracle.o" &&
		truncate -s 4M "$1/disk" || # less has no cylinders
		guest_die "as and ld cannot make the oracle" || return
}

# live_memory DIR: files for its RAM, and QEMU's options for them in live_args
live_memory() {
	local dir=$1 mib backends mem i link ram
	mib=$(live_get "$dir" ram) backends=$(live_get "$dir" backends)
	mem=$(live_get "$dir" mem)
	mem=${mem:-memory-backend-file,mem-path=%s,share=on}
	live_args+=(-m "$mib")
	for ((i = 0; i < backends; i++)); do
		link=$dir/ram$i
		[ "$i" != 0 ] || link=$dir/ram
		ram=$(mktemp "$(live_get "$dir" shm)/xdpmig-guest-XXXXXX") || return
		ln -sfn "$ram" "$link"
		live_args+=(-object "${mem//%s/$ram},id=ram$i,size=$((mib / backends))M")
		[ "$backends" = 1 ] || live_args+=(-numa "node,memdev=ram$i")
	done
}

# live_devices DIR: the rest of QEMU's options, into live_args
live_devices() {
	local dir=$1 machine kernel initrd disk opts load args
	machine=$(live_get "$dir" machine)
	[ "$(live_get "$dir" backends)" != 1 ] || machine+=,memory-backend=ram0
	live_args+=(-machine "$machine" -uuid "$(live_get "$dir" uuid)"
		-name "$(live_get "$dir" name)" -smp "$(live_get "$dir" smp)")
	if [ "$(live_get "$dir" kind)" = oracle ]; then
		live_args+=(-drive "if=none,id=boot,format=raw,read-only=on,file=$dir/disk"
			-device virtio-blk-pci,drive=boot,bootindex=0)
	else
		kernel=$(guest_kernel) && initrd=$(guest_initrd "$kernel") || return
		load=$(live_get "$dir" load)
		live_args+=(-cpu max -kernel "$kernel" -initrd "$initrd" -append
			"console=ttyS0 quiet panic=-1 load=${load// /:} $(
				sed -n 's/^control=1/control/p' "$dir/spec"
			)")
	fi
	[ -z "$(live_get "$dir" control)" ] || live_control "$dir" || return
	read -ra args <<<"$(live_get "$dir" args)"
	live_args+=("${args[@]}")
	disk=$(live_get "$dir" disk) opts=$(live_get "$dir" disk_opts)
	[ -z "$disk" ] || live_args+=(-drive
		"if=none,id=disk,format=raw,read-only=on,file=$disk${opts:+,$opts}"
		-device virtio-blk-pci,drive=disk)
}

live_control() { # DIR
	mkfifo "$1/control.in" "$1/control.out" &&
		live_args+=(-chardev "pipe,id=control,path=$1/control"
			-device isa-serial,chardev=control,index=1)
}

# -- its life ------------------------------------------------------------------------

# live_start DIR [QEMU-OPTION...]: QEMU and who writes down its console
live_start() {
	local dir=$1 live_args=() stamp
	shift
	stamp=$(guest_tool stamp) || return
	live_memory "$dir" && live_devices "$dir" && mkfifo "$dir/console" || return
	: >"$dir/serial"
	"$stamp" "$dir/serial" "$dir/stamps" <"$dir/console" \
		>"$dir/stamp.log" 2>&1 &
	echo $! >"$dir/stamp.pid"
	"$LIVE_QEMU" -nodefaults -no-user-config -display none -no-reboot \
		-accel tcg,thread=multi "${live_args[@]}" "$@" \
		-serial "file:$dir/console" \
		-qmp "unix:$dir/qmp,server=on,wait=off" \
		-qmp "unix:$dir/mig,server=on,wait=off" \
		>"$dir/qemu.log" 2>&1 </dev/null &
	echo $! >"$dir/pid"
	if guest_until "$dir" 20 guest_qmp "$dir" query-status >/dev/null; then
		live_settings "$dir" >"$dir/settings"
		return
	fi
	cat "$dir/qemu.log" >&2
	guest_die "QEMU does not start"
}

live_oracle() { # DIR RAM_MIB [KEY=VALUE...]
	local dir=$1 mib=$2
	shift 2
	live_make "$dir" kind=oracle "ram=$mib" "$@" && live_start "$dir" &&
		guest_wait "$dir" 60 '^B'
}

live_linux() { # DIR RAM_MIB [KEY=VALUE...]
	local dir=$1 mib=$2
	shift 2
	live_make "$dir" kind=linux "ram=$mib" smp=2 "load=rate=0 size=32" "$@" &&
		live_start "$dir" && guest_wait "$dir" 240 '^beat 1 '
}

live_incoming() { # DIR OF [KEY=VALUE...]
	local dir=$1 of=$2 spec
	shift 2
	mapfile -t spec <"$of/spec"
	live_make "$dir" "${spec[@]}" "$@" && live_start "$dir" -incoming defer
}

live_quit() { # DIR...
	local dir pid ram
	for dir; do
		[ -f "$dir/pid" ] || continue
		pid=$(cat "$dir/pid")
		{ # it may have ended by itself
			kill -KILL "$pid"
			wait "$pid" "$(cat "$dir/stamp.pid")"
		} 2>/dev/null || true
		for ram in "$dir"/ram*; do
			[ ! -L "$ram" ] || rm -f "$(readlink "$ram")"
		done
		rm -f "$dir/pid" "$dir/stamp.pid" "$dir/qmp" "$dir/mig" \
			"$dir/console" "$dir"/ram*
	done
	return 0
}

# -- how it is ------------------------------------------------------------------------

live_beats() { # DIR
	grep -cE '^(B|beat )' "$1/serial" || true
}

live_beats_reach() { [ "$(live_beats "$1")" -ge "$2" ]; }

live_goes_on() { # DIR [N [SECONDS]]
	local more
	more=$(($(live_beats "$1") + ${2:-5}))
	guest_until "$1" "${3:-20}" live_beats_reach "$1" $more && return
	tail -n 5 "$1/serial" "$1/qemu.log" >&2
	guest_die "the guest of ${1##*/} does not go on"
}

live_state() { # DIR
	guest_qmp "$1" query-status | sed 's/.*"status": "\([^"]*\)".*/\1/'
}

live_is() { # DIR STATE
	[ "$(live_state "$1")" = "$2" ]
}

# What somebody may have set for a migration.
live_settings() { # DIR
	guest_qmp "$1" query-migrate-capabilities &&
		guest_qmp "$1" query-migrate-parameters
}

live_oracle_check() { # DIR
	"$guest_top/tests/lib/oracle_check.py" "$(readlink -f "$1/ram")" \
		"$(live_oracle_pages "$1")"
}

live_linux_check() { # DIR...
	local dir
	for dir; do
		! grep -HE 'CORRUPT|failed|BUG|Oops|panic|Call Trace' "$dir/serial" >&2 ||
			return
	done
}

# Of the second's beats only those after the first's last.
live_gap() { # DIR DIR
	awk '!/^[0-9.]+ (B|beat )/ { next }
		FILENAME == ARGV[1] { last = $1; next }
		$1 > last { printf "%d\n", $1 - last + 0.5; found = 1; exit }
		END { exit !found }' "$1/stamps" "$2/stamps"
}

# live_usual_gap DIR: the 95th percentile of the gaps between its beats
live_usual_gap() {
	awk '/^[0-9.]+ (B|beat )/ { if (was) print $1 - was; was = $1 }' \
		"$1/stamps" | sort -n | awk '{ gap[NR] = $1 }
		END { printf "%d\n", gap[int(NR * 0.95 + 0.5)] + 0.5 }'
}
