#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetches kernel and initial RAM disk of Debian's installer into the cache outside the tree, and prints the paths:
#   INSTALLER_KERNEL=... INSTALLER_INITRD=...
# Usage: fetch_installer.sh   [BULKHEAD_CACHE=DIR]
set -eu
. "$(dirname "$0")/cache.sh"

if [ ! -d installer ]; then
	download debian-installer-12-netboot-amd64
	rm -rf installer.part
	mkdir installer.part
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C installer.part --strip-components=10 --wildcards \
		'*/text/debian-installer/amd64/linux' '*/text/debian-installer/amd64/initrd.gz' || die "the package does not hold what was expected"
	rm -f "$deb"
	mv installer.part installer
fi
echo "INSTALLER_KERNEL=$cache/installer/linux"
echo "INSTALLER_INITRD=$cache/installer/initrd.gz"
