#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the Debian packages of this tree into DIR, and lets lintian look at them if it is installed. The tree is copied, since
# dpkg-buildpackage(1) wants debian/ at its top. Usage: build.sh DIR
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
version=$(sed -n "s/^  version: '\(.*\)',/\1/p" "$top/meson.build")

command -v dh >/dev/null || {
	echo 'make deb: needs debhelper; install it as root: apt-get install debhelper lintian' >&2
	exit 1
}
rm -rf "${dir:?}/bulkhead-$version" "$dir"/*.deb "$dir"/*.changes "$dir"/*.buildinfo
mkdir "$dir/bulkhead-$version"
tar -C "$top" -c meson.build meson_options.txt README.md LICENSE boot devices docs emu proto systemd tests vmm |
	tar -C "$dir/bulkhead-$version" -x
cd "$dir/bulkhead-$version"
cp -r systemd/debian debian
dpkg-buildpackage -b -us -uc >"$dir/build.log" 2>&1 || {
	tail -n 40 "$dir/build.log" >&2
	exit 1
}
cd "$dir"
rm -rf "bulkhead-$version"
if command -v lintian >/dev/null; then
	lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "bulkhead_${version}_amd64.changes"
fi
ls -1 "$dir"/*.deb
