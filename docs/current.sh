#!/bin/sh
# SPDX-License-Identifier: MIT
# Is a generated page what its generator prints now? Usage: current.sh GENERATOR PAGE, or --update to write the pages:
# current.sh --update GENERATOR PAGE [GENERATOR PAGE ...]
set -eu
if [ "$1" = --update ]; then
	shift
	while [ $# -gt 1 ]; do
		"$1" >"$2.part"
		mv "$2.part" "$2"
		shift 2
	done
	exit 0
fi
"$1" | diff -u "$2" - || {
	echo "$2 is not what the tables say; run: ninja -C BUILD update-docs"
	exit 1
}
