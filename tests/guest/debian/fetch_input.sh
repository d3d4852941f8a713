#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetches Debian's generic kernel, which has drivers for keyboards and mice, into the cache outside the tree, and prints the paths:
#   KERNEL_INPUT=... MODULES_INPUT=...   (a folder with the modules of its input devices and of virtio)
# Usage: fetch_input.sh   [BULKHEAD_CACHE=DIR]
set -eu
. "$(dirname "$0")/cache.sh"

if [ ! -d kernel-input ]; then
	package=$(depends_on linux-image-amd64 'linux-image-[0-9][^ ]*')
	[ -n "$package" ] || die "the package lists do not know linux-image-amd64; run 'apt-get update'"
	download "$package"
	rm -rf kernel-input.part
	mkdir kernel-input.part
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C kernel-input.part --wildcards './boot/vmlinuz-*' \
		'./lib/modules/*/kernel/drivers/input/*' './lib/modules/*/kernel/drivers/virtio/*' || die "$package does not hold what was expected"
	rm -f "$deb"
	mv kernel-input.part kernel-input
fi
echo "KERNEL_INPUT=$(ls "$cache"/kernel-input/boot/vmlinuz-* | head -n 1)"
echo "MODULES_INPUT=$cache/kernel-input/lib/modules"
