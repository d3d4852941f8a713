#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the emulator's tests of a build with -Disa_coverage=true and names the rows of the instruction table that none has
# run by its generic handler. Usage: run.sh BUILD
set -eu
build=$1
tests=$(ninja -C "$build" -t targets all | grep -oE '^tests/(unit|silicon)/(emu|sys|x87|fpu|simd|sse|avx512)[a-z0-9_]*_test' | sort -u)
# shellcheck disable=SC2086 # words are targets
ninja -C "$build" --quiet $tests tests/silicon/silicon tests/coverage/rows-run
ISA_COVERAGE=$(realpath "$build")/rows.run
export ISA_COVERAGE
rm -f "$ISA_COVERAGE"
for t in $tests; do
	"$build/$t" >/dev/null 2>&1 || echo "failed: $t"
done
"$build/tests/silicon/silicon" --seed 1 --encodings 60 --quiet >/dev/null || echo "failed: silicon"
"$build/tests/coverage/rows-run" "$ISA_COVERAGE"
