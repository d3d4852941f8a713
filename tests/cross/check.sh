#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds for aarch64 in SOURCE's BUILD/aarch64 and runs tests there under qemu-user. Usage: check.sh MODE SOURCE BUILD
#   quick   the emulator's unit tests (part of `make check`; exit code 77: skipped, with the reason)
#   full    all unit tests that are not x86-64's own, and the Debian kernel in tests/mono to its first user program
set -u
mode=$1 source=$2 build=$3
cross=$build/aarch64
quick='ram emu_core emu_integer emu_paging emu_decode sys_control sys_event sys_model sys_segment apic x87_state fpu_xsave
	simd_sha sse_rules fpu_dispatch fp_digest avx512fp16 avx512fp16_convert'

skip() {
	echo "SKIP: $*"
	exit 77
}

command -v aarch64-linux-gnu-gcc >/dev/null || skip 'no aarch64-linux-gnu-gcc (package gcc-aarch64-linux-gnu)'
command -v qemu-aarch64 >/dev/null || skip 'no qemu-aarch64 (package qemu-user)'
sysroot=$("$source/tests/cross/sysroot.sh" 2>&1) || skip "no arm64 libraries: ${sysroot##*$'\n'}"

if [ ! -f "$cross/build.ninja" ]; then
	mkdir -p "$build"
	printf "[constants]\nsysroot = '%s'\n" "$sysroot" >"$build/sysroot.ini"
	meson setup "$cross" "$source" --buildtype=plain -Doptimization="$([ "$mode" = full ] && echo 3 || echo 2)" \
		--cross-file "$build/sysroot.ini" --cross-file "$source/tests/cross/aarch64.ini" >"$cross.log" 2>&1 || {
		tail -n 20 "$cross.log"
		exit 1
	}
fi

ninja -C "$cross" --quiet build.ninja || exit 1 # what has changed since
export QEMU_USER=1
if [ "$mode" = quick ]; then
	mapfile -t targets < <(for t in $quick; do
		echo "tests/$(ninja -C "$cross" -t targets all | sed -n "s#^tests/\(.*/${t}_test\): .*#\1#p" | head -n 1)"
	done)
	ninja -C "$cross" --quiet "${targets[@]}" || exit 1
	# shellcheck disable=SC2086
	meson test -C "$cross" --no-rebuild --print-errorlogs $quick
	exit
fi

meson configure "$cross" -Doptimization=3
ninja -C "$cross" --quiet all meson-test-prereq || exit 1
meson test -C "$cross" --no-rebuild --print-errorlogs || exit 1

# Several processors; the memory order of the host under qemu-user is what qemu makes of it.
ninja -C "$build" --quiet tests/guest/litmus.bin || exit 1
timeout 1800 qemu-aarch64 -L "$sysroot" "$cross/tests/mono/mono" --kernel "$build/tests/guest/litmus.bin" --format flat64 \
	--memory 16 --cpus 2 || exit 1

# Tens of times slower than at home: the emulator emulated. How slow is what it prints.
eval "$("$source/tests/guest/debian/fetch.sh")"
initrd=$cross/initrd.gz
ninja -C "$build" --quiet tests/guest/guest-exit || exit 1
"$source/tests/guest/debian/mkinitrd.sh" "$BUSYBOX" "$build/tests/guest/guest-exit" "$initrd" "${KERNEL%/boot/*}" || exit 1
timeout 3600 qemu-aarch64 -L "$sysroot" "$cross/tests/mono/mono" --kernel "$KERNEL" --initrd "$initrd" --memory 256 \
	--cmdline 'console=ttyS0 quiet bulkhead.run="uname -a && cat /proc/uptime"' </dev/null
