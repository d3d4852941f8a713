#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetches Debian's generic kernel, which has drivers for displays, into the cache outside the tree, and prints the paths:
#   KERNEL_GENERIC=... MODULES_GENERIC=...   (a folder with the modules that the Bochs display's driver is made of)
# Usage: fetch_generic.sh   [BULKHEAD_CACHE=DIR]
set -eu
. "$(dirname "$0")/cache.sh"

if [ ! -d kernel-generic ]; then
	package=$(depends_on linux-image-amd64 'linux-image-[0-9][^ ]*')
	[ -n "$package" ] || die "the package lists do not know linux-image-amd64; run 'apt-get update'"
	download "$package"
	rm -rf kernel-generic.part
	mkdir kernel-generic.part
	drm='./lib/modules/*/kernel/drivers/gpu/drm'
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C kernel-generic.part --wildcards --no-wildcards-match-slash './boot/vmlinuz-*' \
		"$drm/drm*.ko" "$drm/tiny/bochs.ko" "$drm/ttm/ttm.ko" || die "$package does not hold what was expected"
	rm -f "$deb"
	mv kernel-generic.part kernel-generic
fi
echo "KERNEL_GENERIC=$(ls "$cache"/kernel-generic/boot/vmlinuz-* | head -n 1)"
echo "MODULES_GENERIC=$cache/kernel-generic/lib/modules"
