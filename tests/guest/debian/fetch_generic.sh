#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetches Debian's generic kernel, which has drivers for displays, keyboards and mice, into the cache outside the tree, and prints the paths:
#   KERNEL_GENERIC=... MODULES_GENERIC=...   (a folder with those modules)
# Usage: fetch_generic.sh   [BULKHEAD_CACHE=DIR]
set -eu
. "$(dirname "$0")/cache.sh"

if [ ! -d generic.2 ]; then
	package=$(depends_on linux-image-amd64 'linux-image-[0-9][^ ]*')
	[ -n "$package" ] || die "the package lists do not know linux-image-amd64; run 'apt-get update'"
	download "$package"
	rm -rf generic.part
	mkdir generic.part
	drm='./lib/modules/*/kernel/drivers/gpu/drm' input='./lib/modules/*/kernel/drivers/input' virtio='./lib/modules/*/kernel/drivers/virtio'
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C generic.part --wildcards --no-wildcards-match-slash './boot/vmlinuz-*' \
		"$drm/drm*.ko" "$drm/tiny/bochs.ko" "$drm/ttm/ttm.ko" "$input/*.ko" "$input/*/*.ko" \
		"$drm/virtio/*.ko" "$virtio/*.ko" || die "$package does not hold what was expected"
	rm -f "$deb"
	mv generic.part generic.2
fi
echo "KERNEL_GENERIC=$(ls "$cache"/generic.2/boot/vmlinuz-* | head -n 1)"
echo "MODULES_GENERIC=$cache/generic.2/lib/modules"
