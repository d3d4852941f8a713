#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetches other kernels that Debian ships, for tests, into the cache outside the tree and prints the paths:
#   KERNEL_686=... KERNEL_686_PAE=... BUSYBOX_I386=... MEMTEST_X64=... MEMTEST_IA32=... XEN=...
# 32-bit packages come by way of package lists of their own in the cache: the host's architectures stay as they are.
# What is in the cache already is kept. Usage: fetch_others.sh   [BULKHEAD_CACHE=DIR]
set -eu
. "$(dirname "$0")/cache.sh"

lists=$cache/apt-i386
options=$lists/apt.conf

# A source that fails (a mirror in the middle of a change, one without i386) must not keep us from the others.
update_i386() {
	[ -z "$(find "$lists" -name updated -mtime -1 2>/dev/null)" ] || return 0
	mkdir -p "$lists/lists/partial" "$lists/cache/archives/partial"
	: >"$lists/status"
	cat >"$options" <<-EOF
		APT::Architecture "i386";
		#clear APT::Architectures;
		APT::Architectures { "i386"; };
		APT::Sandbox::User "root";
		Acquire::Languages "none";
		Dir::State "$lists";
		Dir::State::lists "$lists/lists";
		Dir::State::status "$lists/status";
		Dir::Cache "$lists/cache";
	EOF
	echo "${0##*/}: reading the package lists of i386" >&2
	apt-get -qq -c "$options" update >/dev/null 2>&1 || :
	touch "$lists/updated"
}

# Takes only the file that matches $3 out of package $1, to ./$2: a kernel's modules are two hundred times as much.
keep_file() {
	rm -rf "$2.part"
	mkdir "$2.part"
	cd "$2.part"
	download "$1" "${4:-}"
	dpkg-deb --fsys-tarfile "$deb" | tar -x --wildcards "$3" || die "$1 does not hold $3"
	rm -f "$deb"
	cd "$cache"
	mv "$2.part" "$2"
}

kernel_i386() {
	[ ! -d "$2" ] || return 0
	update_i386
	package=$(depends_on "linux-image-$1" 'linux-image-[0-9][^ ]*' "$options")
	[ -n "$package" ] || { rm "$lists/updated"; die "the package lists of i386 do not know linux-image-$1"; }
	keep_file "$package" "$2" './boot/vmlinuz-*' "$options"
}

kernel_i386 686 kernel-686
kernel_i386 686-pae kernel-686-pae
[ -d busybox-i386 ] || { update_i386 && keep_file busybox-static busybox-i386 '*bin/busybox' "$options"; }
[ -d memtest ] || keep_file memtest86+ memtest './boot/*.bin'
# The hypervisor for new machines; its tools are not needed.
if [ ! -d xen ]; then
	package=$(apt-cache search --names-only '^xen-hypervisor-[0-9.]*-amd64$' | sed 's/ .*//' | sort -V | tail -n 1)
	[ -n "$package" ] || die "the package lists do not know xen-hypervisor; run 'apt-get update'"
	keep_file "$package" xen './boot/xen-*.gz'
fi

echo "KERNEL_686=$(ls "$cache"/kernel-686/boot/vmlinuz-* | head -n 1)"
echo "KERNEL_686_PAE=$(ls "$cache"/kernel-686-pae/boot/vmlinuz-* | head -n 1)"
echo "BUSYBOX_I386=$(ls "$cache"/busybox-i386/bin/busybox "$cache"/busybox-i386/usr/bin/busybox 2>/dev/null | head -n 1)"
echo "MEMTEST_X64=$cache/memtest/boot/memtest86+x64.bin"
echo "MEMTEST_IA32=$cache/memtest/boot/memtest86+ia32.bin"
echo "XEN=$(ls "$cache"/xen/boot/xen-*.gz | head -n 1)"
