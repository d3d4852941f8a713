/* SPDX-License-Identifier: MIT */
/* Notifications through configuration space: see window.h. */
#include "window.h"

#include "proto/virtio.h"

/* Of struct virtio_pci_cfg_cap. */
enum { CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_DATA = 16 };

int virtio_window_queue(pci_read_fn *read, void *ctx, unsigned vcpu, uint64_t config, uint64_t addr, unsigned size)
{
	const uint64_t cap = config + VIRTIO_WINDOW;
	uint64_t offset;

	if (addr != cap + CAP_DATA || size > VIRTIO_NOTIFY_STEP)
		return -1;
	if (read(ctx, vcpu, IO_MMIO, cap + CAP_BAR, 1) != 0 || read(ctx, vcpu, IO_MMIO, cap + CAP_LENGTH, 4) != size)
		return -1;
	offset = (uint32_t)read(ctx, vcpu, IO_MMIO, cap + CAP_OFFSET, 4) - (uint64_t)VIRTIO_NOTIFY;
	return offset < VIRTIO_QUEUES * VIRTIO_NOTIFY_STEP ? (int)(offset / VIRTIO_NOTIFY_STEP) : -1;
}
