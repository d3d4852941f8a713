#!/bin/sh
# SPDX-License-Identifier: MIT
# Unpacks Debian's arm64 libraries that building for aarch64 needs into the cache outside the tree, and prints the
# directory. Nothing is installed: apt runs with lists and a state of its own, so that this machine's are left alone.
# Usage: sysroot.sh   [BULKHEAD_CACHE=DIR]
set -eu

if [ "$(id -u)" = 0 ]; then
	cache=${BULKHEAD_CACHE:-/var/cache/bulkhead}
else
	cache=${BULKHEAD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bulkhead}
fi
packages='libc6-dev libevent-dev libprotobuf-c-dev libjansson-dev zlib1g-dev liblzma-dev libzstd-dev liblz4-dev
	libbz2-dev libxxhash-dev libseccomp-dev libzydis-dev'
root=$cache/aarch64
stamp=$(echo "$packages" | xargs)

if [ "$(cat "$root/.packages" 2>/dev/null)" = "$stamp" ]; then
	echo "$root"
	exit 0
fi

work=$cache/aarch64.part
rm -rf "$work"
mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/root"
: >"$work/apt/status"

arm_apt() {
	apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$work/apt" \
		-o Dir::State::lists="$work/apt/lists" -o Dir::State::status="$work/apt/status" \
		-o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User=root "$@" >&2
}

die() {
	echo "sysroot.sh: $*" >&2
	exit 1
}

arm_apt update || die 'no package lists for arm64'
# shellcheck disable=SC2086
arm_apt -y -d --no-install-recommends install $packages || die 'cannot download packages for arm64'
for deb in "$work"/apt/cache/archives/*.deb; do
	dpkg-deb -x "$deb" "$work/root"
done
# Links that are absolute would leave the directory.
find "$work/root" -type l -lname '/*' | while read -r link; do
	ln -sf "$root$(readlink "$link")" "$link"
done
echo "$stamp" >"$work/root/.packages"
rm -rf "$root"
mv "$work/root" "$root"
rm -rf "$work"
echo "$root"
