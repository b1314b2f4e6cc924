# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fetch.sh - Debian packages of another suite: unpacked into a cache, never
# installed; after lib.sh and guest.sh
#
#   fetch_packages SUITE DIR NAME...   the newest of SUITE, in DIR; skips the
#                                      script, with the reason, if there are none
#
#   fetch_kernel SUITE DIR             its newest kernel: DIR/boot/vmlinuz-VERSION and
#                                      DIR/lib/modules/VERSION
#
#   fetch_qemu PROGRAM                 that of bookworm-backports is run by PROGRAM, which
#                                      is written; its version is in $TMP/version
#
# apt gets lists, sources and caches of its own, so the system's stay as they
# are.  What is in DIR already is not fetched again: remove it for newer ones.

# Of the system's own mirror, so that it is reached however that is.
fetch_mirror() {
	apt-get indextargets --format "\$(REPO_URI) \$(CODENAME)" \
		'Created-By: Packages' 2>/dev/null |
		sed -n 's/ bookworm$//p' | head -n 1
}

# fetch_apt DIR COMMAND...: with everything it keeps below DIR
fetch_apt() {
	local dir=$1 command=$2

	shift 2
	"$command" -q -o Dir::Etc::sourcelist=/dev/null \
		-o "Dir::Etc::sourceparts=$dir/sources" \
		-o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir/cache" \
		-o APT::Sandbox::User=root -o APT::Update::Error-Mode=any \
		"$@"
}

# What the newest kernel of the suite is in, whose name has its version
fetch_kernel_names() { # DIR
	fetch_apt "$1" apt-cache depends linux-image-amd64 |
		sed -n 's/.*Depends: linux-image-\([0-9].*\)/\1/p' | head -n 1 |
		sed -n 's/.*/linux-binary-&\nlinux-modules-&/p'
}

# fetch_into DIR SUITE NAME...: into DIR/root; NAME may be kernel
fetch_into() {
	local dir=$1 suite=$2 mirror deb names key=/usr/share/keyrings

	shift 2
	key+=/debian-archive-keyring.gpg
	mirror=$(fetch_mirror)
	if [ -z "$mirror" ]; then
		echo "apt knows no mirror of bookworm"
		return 1
	fi
	mkdir -p "$dir"/{root,debs,sources,lists/partial,cache/archives/partial}
	printf '%s\n' "Types: deb" "URIs: $mirror" "Suites: $suite" \
		"Components: main" "Signed-By: $key" \
		>"$dir/sources/$suite.sources"
	fetch_apt "$dir" apt-get update || return
	if [ "$*" = kernel ]; then
		names=$(fetch_kernel_names "$dir")
		# shellcheck disable=SC2086 # two names
		set -- ${names:-linux-image-amd64}
	fi
	# else the system's own newest may be chosen
	(cd "$dir/debs" && fetch_apt "$dir" apt-get download "${@/%//$suite}") || return
	for deb in "$dir"/debs/*.deb; do
		dpkg -x "$deb" "$dir/root" || return
	done
}

fetch_packages() { # SUITE DIR NAME...
	local suite=$1 dir=$2 work

	shift 2
	[ ! -d "$dir" ] || return 0
	needs apt-get dpkg
	mkdir -p "${dir%/*}"
	work=$(mktemp -d "$dir-XXXXXX")
	if ! fetch_into "$work" "$suite" "$@" >"$TMP/fetch.log" 2>&1; then
		rm -rf "$work"
		cat "$TMP/fetch.log"
		skip "cannot fetch $* of $suite: $(tail -n 1 "$TMP/fetch.log")"
	fi
	say "fetched $(cd "$work/debs" && echo *.deb)"
	mv "$work/root" "$dir" && rm -rf "$work"
}

# Debian puts the image beside its modules now: as it was, for vm.sh.
fetch_kernel() { # SUITE DIR
	local image

	fetch_packages "$1" "$2" kernel
	[ ! -d "$2/boot" ] || return 0
	image=$(find "$2/usr/lib/modules" -name vmlinuz | head -n 1)
	[ -n "$image" ] || skip "the kernel of $1 has no image"
	ln -s usr/lib "$2/lib"
	mkdir "$2/boot"
	ln -s "../${image#"$2/"}" "$2/boot/vmlinuz-$(basename "${image%/*}")"
}

# A program of that name, as tests find QEMU by the PATH.
fetch_qemu() { # PROGRAM
	# shellcheck disable=SC2154 # of guest.sh
	local root=$guest_cache/qemu-backports

	fetch_packages bookworm-backports "$root" qemu-system-x86 \
		qemu-system-data qemu-system-common seabios
	mkdir -p "${1%/*}"
	cat >"$1" <<-EOT
	#!/bin/sh
	QEMU_MODULE_DIR=$root/usr/lib/x86_64-linux-gnu/qemu
	export QEMU_MODULE_DIR
	exec "$root/usr/bin/qemu-system-x86_64" -L "$root/usr/share/qemu" \\
		-L "$root/usr/share/seabios" "\$@"
	EOT
	chmod +x "$1"
	ldd "$root/usr/bin/qemu-system-x86_64" >"$TMP/ldd.out"
	! grep 'not found' "$TMP/ldd.out" || skip "libraries of it are missing"
	"$1" --version >"$TMP/version"
	say "$(head -n 1 "$TMP/version")"
}
