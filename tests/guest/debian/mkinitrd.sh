#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the initial RAM disk of the demonstration guest: Debian's busybox, our init files and guest-exit.
# With KERNEL_ROOT (the unpacked kernel package) also the modules that power button, pvpanic and virtio disks need.
# Usage: mkinitrd.sh BUSYBOX GUEST_EXIT OUTPUT [KERNEL_ROOT]   PACKER=BUSYBOX: one that runs here, if that does not
set -eu

busybox=$1
guest_exit=$2
output=$3
kernel_root=${4:-}
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root/bin" "$root/sbin" "$root/etc" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/root"
cp "$busybox" "$root/bin/busybox"
cp "$guest_exit" "$root/bin/guest-exit"
cp "$here/rc" "$root/etc/rc"
cp "$here/inittab" "$root/etc/inittab"
cp "$here/profile" "$root/etc/profile"
chmod 755 "$root/etc/rc" "$root/bin/busybox" "$root/bin/guest-exit"
ln -s busybox "$root/bin/sh"
ln -s ../bin/busybox "$root/sbin/init"
ln -s sbin/init "$root/init"
# acpid of busybox runs this when the power button is pressed.
mkdir -p "$root/etc/acpi/PWRF" "$root/var/run" "$root/lib/modules"
printf '#!/bin/sh\necho "bulkhead: power button" >/dev/console\npoweroff\n' >"$root/etc/acpi/PWRF/00000080"
chmod 755 "$root/etc/acpi/PWRF/00000080"
if [ -n "$kernel_root" ]; then
	find "$kernel_root" \( -name evdev.ko -o -name button.ko -o -name pvpanic.ko -o -name pvpanic-mmio.ko \
		-o -name virtio.ko -o -name virtio_ring.ko -o -name 'virtio_pci*.ko' -o -name virtio_blk.ko \
		-o -name virtio_net.ko -o -name net_failover.ko -o -name failover.ko -o -name virtio_rng.ko -o -name virtio-rng.ko \
		-o -name fuse.ko -o -name virtiofs.ko -o -name virtio_console.ko -o -name vsock.ko -o -name 'vmw_vsock_virtio_transport*.ko' \) -exec cp {} "$root/lib/modules/" \;
fi
# Reproducible: the archive depends on the contents only.
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . | LC_ALL=C sort | "${PACKER:-$busybox}" cpio -o -H newc -R 0:0 2>/dev/null) | gzip -9n >"$output.$$.part"
mv "$output.$$.part" "$output"
