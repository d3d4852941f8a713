#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetches Debian's own kernel and busybox by package name into the cache outside the tree and prints the paths:
#   KERNEL=... BUSYBOX=...
# Usage: fetch.sh   [BULKHEAD_CACHE=DIR]
set -eu
. "$(dirname "$0")/cache.sh"

# Package $1, unpacked to ./$2.
fetch() {
	download "$1"
	if [ ! -e "$2/.from-$deb" ]; then
		rm -rf "$2" "$2.part"
		dpkg-deb -x "$deb" "$2.part"
		touch "$2.part/.from-$deb"
		mv "$2.part" "$2"
	fi
}

# A kernel that is in the cache already is kept: tests should not change under one's feet.
package=$(ls -t linux-image-[0-9]*-cloud-amd64_*.deb 2>/dev/null | head -n 1 | sed 's/_.*//')
[ -n "$package" ] || package=$(depends_on linux-image-cloud-amd64 'linux-image-[0-9][^ ]*')
[ -n "$package" ] || die "the package lists do not know linux-image-cloud-amd64; run 'apt-get update'"
fetch "$package" kernel
fetch busybox-static busybox

kernel=$(ls "$cache"/kernel/boot/vmlinuz-* | head -n 1)
for busybox in "$cache"/busybox/bin/busybox "$cache"/busybox/usr/bin/busybox; do
	[ ! -x "$busybox" ] || break
done
[ -r "$kernel" ] && [ -x "$busybox" ] || die "the packages do not hold what was expected; remove $cache and try again"
echo "KERNEL=$kernel"
echo "BUSYBOX=$busybox"
