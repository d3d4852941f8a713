#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the floppy image for Bochs. Usage: build.sh IMAGE
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
gcc -nostdlib -static -Wl,--oformat=binary -Wl,-Ttext=0x7c00 -Wl,--build-id=none "$here/boot.S" -o "$tmp/boot"
gcc -std=gnu17 -O2 -ffreestanding -nostdlib -static -fno-pic -no-pie -mno-red-zone -mgeneral-regs-only \
	-fno-stack-protector -fno-asynchronous-unwind-tables -Wl,--build-id=none -Wl,-T,"$here/mix.ld" \
	"$here/mix.c" -o "$tmp/mix"
cat "$tmp/boot" "$tmp/mix" >"$1"
truncate -s 1474560 "$1"
