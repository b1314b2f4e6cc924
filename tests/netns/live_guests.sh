#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# live_guests.sh - the guests of the live tests can be trusted: moved by QEMU's
# own means and a copy of their memory they go on and find nothing wrong, and
# with a single old page in that copy they say so

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
# shellcheck source=tests/netns/live_lib.sh
. "${0%/*}/live_lib.sh"
needs qemu-system-x86_64 busybox cpio gcc as ld python3

capabilities() { # DIR NAME...
	local dir=$1 name all=()

	shift
	for name; do
		all+=("{\"capability\":\"$name\",\"state\":true}")
	done
	guest_qmp "$dir" migrate-set-capabilities \
		"{\"capabilities\":[$(IFS=, && echo "${all[*]}")]}" >/dev/null
	live_settings "$dir" >"$dir/settings" # so they stay
}

migration_is() { # DIR STATUS
	guest_qmp "$1" query-migrate | jq -e ".status == \"$2\"" >/dev/null
}

# qemu_moves [COMMAND...]: run while the copy is made and neither guest runs
qemu_moves() {
	local uri="{\"uri\":\"unix:$TMP/stream\"}"

	live_incoming "$B" "$A" || fail "no QEMU that waits"
	capabilities "$A" x-ignore-shared events pause-before-switchover
	capabilities "$B" x-ignore-shared events
	guest_qmp "$B" migrate-incoming "$uri" >/dev/null
	guest_qmp "$A" migrate "$uri" >/dev/null
	wait_for 10 migration_is "$A" pre-switchover
	cp "$A/ram" "$(readlink "$B/ram")"
	"$@"
	guest_qmp "$A" migrate-continue '{"state":"pre-switchover"}' >/dev/null
	wait_for 10 migration_is "$A" completed
	wait_for 10 live_is "$B" running
	rm -f "$TMP/stream"
}

# make_old PAGE: as it was in $TMP/before
make_old() {
	dd if="$TMP/before" of="$(readlink "$B/ram")" bs=4096 skip="$1" seek="$1" \
		count=1 conv=notrunc status=none
}

scenario_oracle() {
	oracle 64
	qemu_moves true
	arrived
	live_quit "$A" "$B"
}

scenario_oracle_and_an_old_page() {
	oracle 64
	cp "$A/ram" "$TMP/before"
	live_goes_on "$A" 2 || fail "it does not run"
	qemu_moves make_old 1000
	guest_pause "$B"
	live_oracle_check "$A" >"$TMP/oracle" || fail "memory at the source"
	! live_oracle_check "$B" >"$TMP/oracle" 2>&1 || fail "nothing was noticed"
	assert_grep "^page (744|745): " "$TMP/oracle" "where it is"
	live_quit "$A" "$B"
	rm "$TMP/before"
}

scenario_linux_and_its_disk() {
	local load

	load=$(guest_tool guestload)
	"$load" make-disk "$TMP/disk.raw" 16
	linux 192 load="rate=20 size=64 disk=/dev/vda,8" "disk=$TMP/disk.raw" \
		disk_opts=cache=none
	qemu_moves true
	arrived
	live_goes_on "$B" 100 || fail "it does not go on"
	assert_no_grep CORRUPT "$B/serial" "memory"
	say "the heartbeat paused for $(live_gap "$A" "$B") ms"
	live_quit "$A" "$B"
	rm "$TMP/disk.raw"
}

# a_written_page FILE FILE: the number of one of guestload's that differs
a_written_page() {
	python3 - "$@" <<-'EOT'
	import struct, sys
	a, b = (open(name, "rb").read() for name in sys.argv[1:])
	for at in range(0, len(a), 4096):
	    if a[at:at + 4096] == b[at:at + 4096]:
	        continue
	    ok = True
	    for page in a, b:
	        words = struct.unpack_from("<512Q", page, at)
	        ok = ok and words[0] and all(
	            words[i] == (words[0] + i) % 2**64 for i in range(0, 512, 32))
	    if ok:
	        print(at // 4096)
	        break
	EOT
}

make_one_old() {
	local page

	page=$(a_written_page "$TMP/before" "$B/ram")
	[ -n "$page" ] || fail "no page was written"
	make_old "$page"
}

scenario_linux_and_an_old_page() {
	linux 128 load="rate=20 size=32"
	guest_pause "$A"
	cp "$A/ram" "$TMP/before"
	guest_cont "$A"
	live_goes_on "$A" 50 || fail "it does not run"
	qemu_moves make_one_old
	wait_for 20 grep -q '^CORRUPT page' "$B/serial"
	live_linux_check "$A" || fail "memory at the source"
	live_quit "$A" "$B"
	rm "$TMP/before"
}

run_scenarios "$@"
