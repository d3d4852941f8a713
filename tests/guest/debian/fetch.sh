#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetches Debian's own kernel and busybox by package name into the cache outside the tree and prints the paths:
#   KERNEL=... BUSYBOX=...
# Needs nothing but apt's package registry. Usage: fetch.sh   [BULKHEAD_CACHE=DIR]
set -eu

if [ "$(id -u)" = 0 ]; then
	cache=${BULKHEAD_CACHE:-/var/cache/bulkhead}
else
	cache=${BULKHEAD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bulkhead}
fi
mkdir -p "$cache"
cd "$cache"

die() {
	echo "fetch.sh: $*" >&2
	exit 1
}

# Downloads package $1 unless a .deb of it is here already, and unpacks it to ./$2.
fetch() {
	deb=$(ls -t "$1"_*.deb 2>/dev/null | head -n 1)
	if [ -z "$deb" ]; then
		echo "fetch.sh: downloading $1" >&2
		apt-get -qq -o APT::Sandbox::User=root download "$1" >&2 ||
			die "cannot download $1; run 'apt-get update' and check the package registry"
		deb=$(ls -t "$1"_*.deb | head -n 1)
	fi
	if [ ! -e "$2/.from-$deb" ]; then
		rm -rf "$2" "$2.part"
		dpkg-deb -x "$deb" "$2.part"
		touch "$2.part/.from-$deb"
		mv "$2.part" "$2"
	fi
}

kernel_package() {
	apt-cache depends linux-image-cloud-amd64 2>/dev/null |
		sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1
}

# A kernel that is in the cache already is kept: tests should not change under one's feet.
package=$(ls -t linux-image-[0-9]*-cloud-amd64_*.deb 2>/dev/null | head -n 1 | sed 's/_.*//')
[ -n "$package" ] || package=$(kernel_package)
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
