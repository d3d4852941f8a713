#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs a command in a Debian of its own, in namespaces: ROOT becomes its root directory, for writing too. Needs root.
# Usage: fresh.sh ROOT COMMAND...
set -eu
root=$1
shift
exec unshare --mount --pid --ipc --uts --fork --kill-child sh -c '
	set -e
	root=$1
	shift
	mount --make-rprivate /
	mount --bind "$root" "$root"
	cd "$root"
	mount -t proc proc proc
	mount --rbind /sys sys
	mount -t tmpfs -o mode=755 tmpfs dev
	for name in null zero full random urandom tty; do
		: >dev/$name
		mount --bind /dev/$name dev/$name
	done
	mkdir dev/pts dev/shm
	mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
	ln -s pts/ptmx dev/ptmx
	ln -s /proc/self/fd dev/fd
	mount -t tmpfs tmpfs dev/shm
	mount -t tmpfs -o mode=755 tmpfs run
	mkdir -p mnt
	pivot_root . mnt
	umount -l /mnt
	exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
' sh "$root" "$@"
