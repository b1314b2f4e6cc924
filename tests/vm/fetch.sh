# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fetch.sh - Debian packages of another suite: unpacked into a cache, never
# installed; after lib.sh and guest.sh
#
#   fetch_packages SUITE DIR NAME...   the newest of SUITE, in DIR; skips the
#                                      script, with the reason, if there are none
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

# fetch_into DIR SUITE NAME...: into DIR/root; what was said is in DIR.log
fetch_into() {
	local dir=$1 suite=$2 mirror deb key=/usr/share/keyrings

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
	# else the system's own newest may be chosen
	set -- "${@/%//$suite}"
	fetch_apt "$dir" apt-get update &&
		(cd "$dir/debs" && fetch_apt "$dir" apt-get download "$@") || return
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
