#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes a minimal Debian 12 in the cache outside the tree, once, and copies it to DIR. Usage: debian.sh DIR   [BULKHEAD_CACHE=DIR]
set -eu
cache=${BULKHEAD_CACHE:-/var/cache/bulkhead}
base=$cache/debian-12.tar

if [ ! -f "$base" ]; then
	mkdir -p "$cache"
	rm -rf "$cache/debian-12.part"
	debootstrap --variant=minbase bookworm "$cache/debian-12.part" http://deb.debian.org/debian >"$base.log" 2>&1 || {
		tail -n 5 "$base.log"
		exit 1
	}
	cp /etc/resolv.conf /etc/hosts "$cache/debian-12.part/etc/"
	tar -C "$cache/debian-12.part" -cf "$base.part" .
	mv "$base.part" "$base"
	rm -rf "$cache/debian-12.part"
fi
mkdir -p "$1"
tar -C "$1" -xf "$base"
