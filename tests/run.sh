#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh - build xdpmig in every way that matters and run all of its tests
#
# Works from a fresh Debian 12 as root: what tests/packages.txt lists and the
# system lacks is installed first.  Build directories and logs are under
# build/run/; what a failed test said is shown, and kept in build/run/failed/,
# also when the next run comes.  The last line is "tests: N passed, N failed,
# N skipped", the exit status is 0 if nothing failed.  docs/testing.md says what
# the suites prove.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=tests/lib/packages.sh
. tests/lib/packages.sh
# shellcheck source=tests/lib/files.sh
. tests/lib/files.sh

# -- steps: name, in quick runs or not, what it does ---------------------------
steps=(
	"packages    quick install what is missing"
	"clang       full  build with clang, and the fuzzers, warnings are errors"
	"gcc         quick the same with gcc; all suites (quick: without root and soak)"
	"asan        full  address and undefined-behaviour sanitizers: unit, sim, fuzz"
	"tsan        full  thread sanitizer: unit, and scripts that run xdpmig"
	"noxdp       full  -Dxdp=disabled: unit, check"
	"format      quick clang-format"
	"shellcheck  quick shellcheck"
	"cppcheck    full  cppcheck"
	"tidy        full  clang-tidy; alone, its path analysis too"
	"analyzer    full  gcc -fanalyzer"
)

usage() {
	cat <<-EOT
	Usage: tests/run.sh [quick] [--step NAME]... [--suite NAME]... [--no-install]

	Without arguments all of these steps; with "quick" those marked quick:

	EOT
	printf '  %s\n' "${steps[@]}"
	cat <<-EOT

	  --step NAME    only this step (may be repeated)
	  --suite NAME   step gcc only, and there only this meson suite: unit, sim,
	                 fuzz, check, model, root, soak, vm (may be repeated)
	  --no-install   never call apt-get
	  -h, --help     this text

	Suite root makes network namespaces, veth pairs and BPF programs; it is skipped
	for another user.  JOBS=N limits the number of compilers at a time, and of tests to
	twice that.
	EOT
}

mistake() {
	echo "run.sh: $1" >&2
	echo "Try 'tests/run.sh --help'" >&2
	exit 2
}

# -- results --------------------------------------------------------------------
passed=0 failed=0 skipped=0
out=build/run
kept=$out/failed/$(date +%Y%m%d-%H%M%S) # what failed tests said

add() { # PASSED FAILED SKIPPED
	passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# One thing that is right or wrong as a whole, such as a build.
check() { # TITLE LOG COMMAND...
	local title=$1 log=$out/$2.log
	shift 2
	if "$@" >"$log" 2>&1 </dev/null; then
		add 1 0 0
		return 0
	fi
	tail -n 60 "$log"
	echo "FAILED  $title; all of it in $log"
	add 0 1 0
	return 1
}

# -- building and testing -------------------------------------------------------
jobs=${JOBS:-$(nproc)}
# Under nohup SIGHUP would be ignored in every test, and there would be nothing
# to test.
fixed=(env --default-signal=HUP)
# Sanitizers of these compilers cannot place their shadow memory everywhere.
setarch -R true 2>/dev/null && fixed+=(setarch -R)

configure() { # DIR CC OPTION...
	local dir=$out/$1 cc=$2
	shift 2
	if [ -f "$dir/build.ninja" ]; then
		CC=$cc meson setup --reconfigure "$dir" "$@" && return
	fi
	rm -rf "$dir"
	CC=$cc meson setup "$dir" "$@"
}

build() { # DIR CC OPTION...
	configure "$@" && ninja -C "$out/$1" -j "$jobs"
}

# Run the suites of a build and count their cases.
suites() { # DIR TIMEOUT-FACTOR MESON-TEST-OPTION...
	local dir=$out/$1 factor=$2 last
	shift 2
	rm -f "$dir"/meson-logs/testlog*
	# twice: most of the long ones wait more than they work
	"${fixed[@]}" meson test -C "$dir" --no-rebuild --num-processes $((2 * jobs)) \
		--timeout-multiplier "$factor" --print-errorlogs "$@" \
		>"$dir/test.log" 2>&1 </dev/null
	if ! ls "$dir"/meson-logs/testlog*.junit.xml >/dev/null 2>&1; then
		grep -q '^No .*tests' "$dir/test.log" && return
		tail -n 20 "$dir/test.log"
		echo "FAILED  meson test in $dir wrote no results"
		add 0 1 0
		return
	fi
	tests/lib/count.py "$dir"/meson-logs/testlog*.junit.xml \
		"$dir"/meson-logs/testlog*.json "$kept/${dir##*/}" >"$dir/count" ||
		echo "0 1 0" >>"$dir/count"
	sed '$d' "$dir/count"
	last=$(tail -n 1 "$dir/count")
	# shellcheck disable=SC2086 # three numbers
	add $last
}

# Tests that a suite would have run, had we been root.
skip_root() { # DIR
	local name
	while read -r name; do
		echo "skipped $name: needs root"
		add 0 0 1
	done < <(meson introspect --tests "$out/$1" | python3 -c '
import json, sys
for t in json.load(sys.stdin):
    if any(s.endswith(":root") for s in t["suite"]):
        print(t["name"])')
}

has_suite() { # DIR SUITE
	meson introspect --tests "$out/$1" | grep -q "\"xdpmig:$2\""
}

has_test() { # DIR NAME
	meson introspect --tests "$out/$1" | grep -qF "\"name\": \"$2\""
}

step_packages() {
	check "packages" packages packages_install tests/packages.txt && add -1 0 0
}

step_gcc() {
	local args=() s
	check "build with gcc" gcc build gcc gcc -Dwerror=true || return
	if [ ${#only_suites[@]} -gt 0 ]; then
		for s in "${only_suites[@]}"; do args+=(--suite "$s"); done
	elif [ "$(id -u)" != 0 ]; then
		skip_root gcc
		args=(--setup quick)
	elif [ $quick = yes ]; then
		args=(--setup quick)
	else
		args=(--setup ci)
	fi
	linters_begin
	suites gcc 1 "${args[@]}"
}

step_clang() {
	check "build with clang" clang build clang clang -Dwerror=true -Dfuzz=true
}

step_asan() {
	local args=() s
	check "build with sanitizers" asan build asan clang \
		-Db_sanitize=address,undefined -Db_lundef=false || return
	for s in unit sim fuzz; do has_suite asan "$s" && args+=(--suite "$s"); done
	ASAN_OPTIONS=detect_stack_use_after_return=1 \
		UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		suites asan 5 --setup quick "${args[@]}"
}

# What has threads: the program itself, so scripts that run it, and some units.
thread_scripts=(netns-migrate.sh netns-verify.sh)

step_tsan() {
	local name scripts=()
	check "build with thread sanitizer" tsan build tsan gcc -Db_sanitize=thread || return
	export TSAN_OPTIONS="halt_on_error=1:suppressions=$PWD/tests/tsan.supp"
	suites tsan 10 --setup quick --suite unit
	for name in "${thread_scripts[@]}"; do
		has_test tsan "$name" && scripts+=("$name")
	done
	if [ ${#scripts[@]} -gt 0 ] && [ "$(id -u)" = 0 ]; then
		suites tsan 10 --setup ci "${scripts[@]}"
	fi
	unset TSAN_OPTIONS
}

step_noxdp() {
	local args=() s
	check "build without xdp" noxdp build noxdp gcc -Dwerror=true -Dxdp=disabled || return
	for s in unit check; do has_suite noxdp "$s" && args+=(--suite "$s"); done
	suites noxdp 1 --setup quick "${args[@]}"
}

# -- linters ---------------------------------------------------------------------
# Those that take minutes run beside the tests, most of which wait, with what these
# leave of the CPUs.
linters=''
linters_begin() {
	local name names=()
	for name in shellcheck cppcheck tidy analyzer; do
		rm -f "$out/$name.status"
		wanted "$name" full && names+=("$name")
	done
	[ ${#names[@]} -gt 0 ] || return 0
	(
		renice -n 19 -p $BASHPID >/dev/null
		for name in "${names[@]}"; do
			"run_$name" beside >"$out/$name.out" 2>&1 </dev/null
			echo $? >"$out/$name.status"
		done
	) &
	linters=$!
	trap 'kill $linters 2>/dev/null' EXIT
}

# linter NAME: what it found
linter() {
	[ -n "$linters" ] || {
		"run_$1"
		return
	}
	while [ ! -s "$out/$1.status" ] && kill -0 "$linters"; do sleep 0.2; done
	cat "$out/$1.out"
	return "$(cat "$out/$1.status")"
}

step_format() {
	local sources
	mapfile -t sources < <(project_files '*.c' '*.h')
	check "clang-format; mend with: clang-format -i FILE" format \
		clang-format --dry-run --Werror "${sources[@]}"
}

run_shellcheck() {
	local scripts
	mapfile -t scripts < <(project_files '*.sh' '*.bash' .ci/run)
	shellcheck -x -P SCRIPTDIR "${scripts[@]}"
}

step_shellcheck() {
	check "shellcheck" shellcheck linter shellcheck
}

# Linters look at what clang compiles, and need its generated headers.
lint_ready() {
	[ -f $out/clang/compile_commands.json ] || build clang clang -Dwerror=true -Dfuzz=true
}

run_cppcheck() {
	lint_ready && cppcheck --project=$out/clang/compile_commands.json -j "$jobs" \
		--quiet --error-exitcode=1 --inline-suppr \
		--enable=warning,portability,performance \
		--suppressions-list=tests/cppcheck.txt \
		--include=tests/lib/cppcheck.h
}

step_cppcheck() {
	check "cppcheck" cppcheck linter cppcheck
}

# Only findings, without colours, each once; generated headers are not ours.  In a
# whole run paths are left to gcc's analyzer: clang's takes longer than all else that
# clang-tidy does, twenty times.
run_tidy() { # [beside]
	local status=0 found paths=()
	lint_ready || return
	[ "${1:-}" != beside ] || paths=(-checks=-clang-analyzer-*)
	run-clang-tidy -quiet -j "$jobs" -p $out/clang "${paths[@]}" >$out/tidy.full 2>&1 ||
		status=1
	found=$(sed 's/\x1b\[[0-9;]*m//g' $out/tidy.full | grep -E ' (warning|error): ' |
		grep -v '\.skel\.h:' | sed "s,^.*/\.\./,," | sort -u)
	[ -z "$found" ] || {
		echo "$found"
		return 1
	}
	[ $status = 0 ] || ! grep -qE '^Error|command not found' $out/tidy.full
}

step_tidy() {
	check "clang-tidy" tidy linter tidy
}

run_analyzer() {
	[ -f $out/gcc/compile_commands.json ] || build gcc gcc -Dwerror=true || return
	tests/lib/analyze.py $out/gcc tests/analyzer.txt "$jobs"
}

step_analyzer() {
	check "gcc -fanalyzer" analyzer linter analyzer
}

# -- main ------------------------------------------------------------------------
quick=no install=yes only_steps=() only_suites=()
while [ $# -gt 0 ]; do
	case $1 in
	quick) quick=yes ;;
	--step | --suite)
		[ $# -gt 1 ] || mistake "$1 needs a name"
		if [ "$1" = --step ]; then
			printf '%s\n' "${steps[@]}" | grep -q "^$2 " || mistake "no step '$2'"
			only_steps+=("$2")
		else
			only_suites+=("$2")
		fi
		shift
		;;
	--no-install) install=no ;;
	-h | --help)
		usage
		exit 0
		;;
	*) mistake "unknown argument '$1'" ;;
	esac
	shift
done
[ ${#only_suites[@]} -eq 0 ] || only_steps=(packages gcc)

wanted() { # STEP quick|full
	if [ "$1" = packages ] && [ $install = no ]; then return 1; fi
	if [ ${#only_steps[@]} -gt 0 ]; then
		[[ " ${only_steps[*]} " == *" $1 "* ]]
	else
		[ $quick = no ] || [ "$2" = quick ]
	fi
}

mkdir -p $out
begin=$SECONDS
for step in "${steps[@]}"; do
	read -r name when what <<<"$step"
	wanted "$name" "$when" || continue
	echo "== $name: $what"
	before="$passed $failed $skipped" start=$SECONDS
	"step_$name"
	read -r p f s <<<"$before"
	echo "   $((passed - p)) passed, $((failed - f)) failed, $((skipped - s)) skipped," \
		"$((SECONDS - start)) s"
done
echo "== $((SECONDS - begin)) s in all"
echo "tests: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
