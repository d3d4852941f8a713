#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes a Debian disk by `bulkhead image`, unless the cache outside the tree has one that the same scripts have made, and prints its
# path. With --cached it makes none, and says what to do.   Usage: disk.sh BUILD [--cached]   [BULKHEAD_CACHE=DIR]
set -eu
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
scripts=$here/../../../vmm/image
key=$(cat "$scripts"/bulkhead-image "$scripts"/first-boot "$scripts"/*.service | sha256sum | cut -c 1-16)
. "$here/cache.sh"

image=$cache/disk/debian-12-$key.img
if [ ! -e "$image" ]; then
	[ "${2:-}" != --cached ] || die "no Debian disk is cached: tests/guest/debian/disk.sh $1 makes one, as root"
	rm -rf "$cache/disk"
	mkdir -p "$cache/disk"
	BULKHEAD_CACHE=$cache "$build/vmm/bulkhead" image "$image" --size 2G >&2
fi
echo "$image"
