#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh probe CLANG                     can this compiler build fuzz targets?
# run.sh skip                            the test where it cannot
# run.sh check PROGRAM FILE RUNS LEN     replays the corpus beside FILE, then a fixed number of runs from a fixed seed
# run.sh long BUILD SECONDS [TARGET...]  each target for so long; new inputs stay in BUILD/fuzz/TARGET
# run.sh merge BUILD [TARGET...]         takes what adds coverage from there into the corpus in the tree
set -u
here=$(cd "$(dirname "$0")" && pwd)
export ASAN_OPTIONS=allocator_may_return_null=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
limits="-timeout=20 -rss_limit_mb=2048"

targets() { # BUILD [TARGET...]
	build=$1
	shift
	[ $# -gt 0 ] && echo "$@" || (cd "$here" && ls corpus)
}

probe() {
	t=$(mktemp -d) || exit 1
	echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d && n ? 0 : 0; }' >"$t/a.c"
	"$1" -fsanitize=fuzzer,address,undefined "$t/a.c" -o "$t/a" >/dev/null 2>&1 && "$t/a" -runs=1 >/dev/null 2>&1
	status=$?
	rm -rf "$t"
	exit $status
}

check() {
	program=$1 name=${1##*/fuzz-} corpus=$(dirname "$2")/corpus/${1##*/fuzz-} runs=$3 len=$4
	found=$(dirname "$program")/findings
	mkdir -p "$found"
	new=$(mktemp -d) || exit 1
	trap 'rm -rf "$new"' EXIT
	# shellcheck disable=SC2086
	"$program" $limits -seed=1 -runs="$runs" -max_len="$len" -max_total_time=20 -artifact_prefix="$found/$name-" \
		-print_final_stats=1 "$new" "$corpus" >"$new.log" 2>&1
	status=$?
	if [ $status = 0 ]; then
		grep -E 'INITED|DONE' "$new.log"
	else
		tail -60 "$new.log"
	fi
	rm -f "$new.log"
	[ $status = 0 ] || exit 1 # libFuzzer's own code for a finding is 77, which meson takes for "skipped"
	exit 0
}

long() {
	build=$1 seconds=$2 failed=0
	shift 2
	[ -f "$build/tests/fuzz/fuzz-boot" ] || { echo 'clang with libFuzzer (libclang-rt-14-dev) is missing' >&2; exit 1; }
	for name in $(targets "$build" "$@"); do
		mkdir -p "$build/fuzz/$name" "$build/fuzz/findings"
		before=$(ls "$build/fuzz/findings" | wc -l)
		# shellcheck disable=SC2086
		"$build/tests/fuzz/fuzz-$name" $limits -max_total_time="$seconds" -print_final_stats=1 \
			-artifact_prefix="$build/fuzz/findings/$name-" "$build/fuzz/$name" "$here/corpus/$name" \
			>"$build/fuzz/$name.log" 2>&1 || failed=1
		sed -n 's/^stat::number_of_executed_units: *//p' "$build/fuzz/$name.log" >"$build/fuzz/runs"
		echo "$name: $(cat "$build/fuzz/runs") executions, $(ls "$build/fuzz/$name" | wc -l) inputs kept," \
			"$(($(ls "$build/fuzz/findings" | wc -l) - before)) new findings"
	done
	[ $failed = 0 ] || echo "findings and logs: $build/fuzz"
	exit $failed
}

# Inputs for edges that nothing else reaches, not for each number of times: the corpus in the tree stays small.
merge() {
	build=$1
	shift
	for name in $(targets "$build" "$@"); do
		old=$here/corpus/$name
		new=$(mktemp -d)
		"$build/tests/fuzz/fuzz-$name" -set_cover_merge=1 -use_counters=0 "$new" "$old" "$build/fuzz/$name" 2>&1 | tail -1
		for f in "$new"/*; do
			[ -f "$f" ] && cmp -s "$f" "$old/${f##*/}" || cp "$f" "$old/"
		done
		rm -rf "$new"
	done
}

command=$1
shift
case $command in
probe) probe "$@" ;;
skip)
	echo 'SKIP: clang with libFuzzer (libclang-rt-14-dev) is missing'
	exit 77
	;;
check) check "$@" ;;
long) long "$@" ;;
merge) merge "$@" ;;
esac
