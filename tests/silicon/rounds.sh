#!/bin/sh
# SPDX-License-Identifier: MIT
# The emulator beside this processor: all rows of the instruction table.
# Usage: rounds.sh BUILD [SEED]          rounds with new cases until Ctrl-C or a difference
#        rounds.sh record BUILD FILE     one long round; what agreed goes to FILE, for docs/isa.md
set -eu

round() { # BUILD SEED ENCODINGS
	"$1/tests/silicon/silicon" --quiet --record --seed "$2" --encodings "$3"
}

if [ "$1" = record ]; then
	host=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
	{
		echo "# Recorded on $(date +%Y-%m-%d) on $host, seed 1: silicon with 400 encodings a row."
		round "$2" 1 400 | sed -n 's/^RECORD //p'
	} >"$3.part"
	mv "$3.part" "$3"
	exit 0
fi

seed=${2:-$(date +%s)} rounds=0
trap 'echo "oracle: $rounds rounds without a difference"; exit 0' INT TERM
while round "$1" "$seed" 200 >"$1/oracle-round.log"; do
	rounds=$((rounds + 1))
	grep '^silicon: .*rows of the table' "$1/oracle-round.log"
	seed=$((seed + 1))
done
cat "$1/oracle-round.log"
echo "oracle: a difference with seed $seed, after $rounds rounds without one"
exit 1
