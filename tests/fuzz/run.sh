#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh - let the fuzzers look for inputs that break something
#
# Each target runs for some time on a copy of its corpus; what was found stays
# in build/fuzz/found/NAME, and nothing in the source changes unless --keep says
# so.  An input that breaks something is saved in build/fuzz/crashes, its name
# printed, and the exit status is 1; it is 3 if nothing broke, but a fuzzer was killed
# or interrupted before its time.  docs/testing.md 5 has more.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1

seconds=60 jobs=1 keep=no coverage=no names=()
all=()
for f in tests/fuzz/fuzz_*.c; do
	f=${f##*/fuzz_}
	all+=("${f%.c}")
done

usage() {
	cat <<-EOT
	Usage: tests/fuzz/run.sh [--seconds N] [--jobs J] [--keep] [NAME...]
	       tests/fuzz/run.sh --coverage [NAME...]

	Fuzz for N seconds (60) each of the targets, by default all: ${all[*]}

	  --jobs J     so many at a time (1)
	  --keep       what reaches more of the code goes into tests/fuzz/corpus
	  --coverage   do not fuzz: show which lines of the parsers no kept input reaches
	EOT
}

mistake() {
	echo "run.sh: $1" >&2
	echo "Try 'tests/fuzz/run.sh --help'" >&2
	exit 2
}

number() { # OPTION VALUE
	[[ $2 =~ ^[1-9][0-9]*$ ]] || mistake "$1 needs a number"
}

while [ $# -gt 0 ]; do
	case $1 in
	--seconds) number "$1" "${2-}" && seconds=$2 && shift ;;
	--jobs) number "$1" "${2-}" && jobs=$2 && shift ;;
	--keep) keep=yes ;;
	--coverage) coverage=yes ;;
	-h | --help)
		usage
		exit 0
		;;
	-*) mistake "unknown option '$1'" ;;
	*)
		[ -e "tests/fuzz/fuzz_$1.c" ] || mistake "no target '$1'"
		names+=("$1")
		;;
	esac
	shift
done
[ ${#names[@]} -gt 0 ] || names=("${all[@]}")

out=build/fuzz
mkdir -p build

# Bytes of an input: where each is a step, long ones are slow and find no more.
declare -A longest=([chan]=400 [session]=400 [multifd]=1345)

# Build the targets called PREFIX-NAME-SUFFIX.
build() { # DIR CC SUFFIX OPTION...
	local dir=$1 cc=$2 suffix=$3 targets=()
	shift 3
	mapfile -t targets < <(printf "tests/fuzz/fuzz-%s$suffix\n" "${names[@]}")
	{
		if [ -f "$dir/build.ninja" ]; then
			meson setup --reconfigure "$dir" "$@"
		else
			CC=$cc meson setup "$dir" "$@"
		fi && ninja -C "$dir" -j "$(nproc)" "${targets[@]}"
	} >build/fuzz.log 2>&1 || {
		tail -n 40 build/fuzz.log
		exit 1
	}
}

# -- coverage --------------------------------------------------------------------

# By gcc and its gcov: lines that hold code and were never run.
show_coverage() {
	local dir=build/fuzz-coverage name file files
	build $dir gcc -replay -Db_coverage=true -Dbuildtype=debug
	for name in "${names[@]}"; do
		find $dir -name '*.gcda' -delete
		$dir/tests/fuzz/fuzz-"$name"-replay "tests/fuzz/corpus/$name" >/dev/null || exit 1
		read -ra files < <(sed -n 's/^ \* parses: //p' "tests/fuzz/fuzz_$name.c")
		for file in "${files[@]}"; do
			(cd $dir && find userspace -path "*/${file##*/}.gcda" -exec gcov -t {} +) 2>/dev/null |
				awk -v name="$name" -v file="$file" '
					/^ *-:    0:Source:/ { is_it = index($0, file) }
					!is_it { next }
					/^ *[0-9#=]+\*?:/ { lines++ }
					/^ +#####:/ {
						missed++
						sub(/^ +#####: */, "")
						text = text "    " $0 "\n"
					}
					END {
						printf "%s: %s: %d of %d lines not reached\n%s", name, file, missed, lines, text
					}'
		done
	done
}

if [ $coverage = yes ]; then
	show_coverage
	exit 0
fi

# -- fuzzing -----------------------------------------------------------------------

stat() { # NAME KEY
	sed -n "s/^stat::$2: *//p" "$out/found/$1.log"
}

# What exit status $1 of a fuzzer means.  A signal's is above 128; libFuzzer takes
# SIGINT and SIGTERM itself, and has 72 for them.  SIGABRT and the like it reports.
verdict() {
	case $1 in
	0) echo ok ;;
	72 | $((128 + 1)) | $((128 + 2)) | $((128 + 9)) | $((128 + 15))) echo killed ;;
	*) echo CRASHED ;;
	esac
}

fuzz() { # NAME: 0, 1 it crashed, 3 it was killed
	local name=$1 found=$out/found/$1 log=$out/found/$1.log dict=() status=0 kept
	rm -rf "$found"
	mkdir -p "$found" $out/crashes
	cp -r "tests/fuzz/corpus/$name/." "$found"
	kept=$(find "$found" -type f | wc -l)
	[ ! -e "tests/fuzz/$name.dict" ] || dict=(-dict="tests/fuzz/$name.dict")
	$out/tests/fuzz/fuzz-"$name" "$found" -max_total_time="$seconds" -print_final_stats=1 \
		-max_len="${longest[$name]:-4096}" -timeout=20 -rss_limit_mb=2048 -artifact_prefix=$out/crashes/"$name"- \
		"${dict[@]}" >"$log" 2>&1 </dev/null || status=$?
	status=$(verdict $status)
	printf '%-9s %11s runs %8s/s %6s new inputs  %s\n' "$name" \
		"$(stat "$name" number_of_executed_units)" \
		"$(stat "$name" average_exec_per_sec)" \
		"$(($(find "$found" -type f | wc -l) - kept))" "$status"
	[ "$status" != killed ] || return 3
	[ "$status" = ok ] || {
		grep -aE '^(SUMMARY|==.*ERROR|.*runtime error|.*fuzz_[a-z]*\.c:[0-9]*: |Test unit)' "$log" |
			head -n 5
		return 1
	}
	[ $keep = no ] || keep "$name" >>"$log" 2>&1 || return 1
}

# Into the corpus goes as little as reaches each branch once; counters are for
# who looks for more.
keep() { # NAME
	local corpus=tests/fuzz/corpus/$1 f
	$out/tests/fuzz/fuzz-"$1" -set_cover_merge=1 -use_counters=0 "$corpus" "$out/found/$1"
	for f in "$corpus"/*; do # those that it named
		[[ ! ${f##*/} =~ ^[0-9a-f]{40}$ ]] || mv "$f" "${f:0:-28}"
	done
}

build $out clang '' -Dfuzz=true
mkdir -p $out/found
failed=0 running=0

await() { # one of them
	local status=0
	wait -n || status=$?
	running=$((running - 1))
	[ $status = 0 ] || [ $failed = 1 ] || failed=$status
}

for name in "${names[@]}"; do
	[ $running -lt "$jobs" ] || await
	fuzz "$name" &
	running=$((running + 1))
done
while [ $running -gt 0 ]; do
	await
done
exit $failed
