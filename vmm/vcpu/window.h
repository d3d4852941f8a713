/* SPDX-License-Identifier: MIT */
/* Notifications of a driver that cannot reach BARs (virtio 1.2, 4.1.4.9): they come through configuration space. */
#ifndef BULKHEAD_VMM_VCPU_WINDOW_H
#define BULKHEAD_VMM_VCPU_WINDOW_H

#include "vmm/vcpu/pci.h"

/*
 * `size` bytes at `addr` of the configuration space of a virtio function, which begins at `config`, were written. Was that
 * a notification? Then its queue; else -1.
 */
int virtio_window_queue(pci_read_fn *read, void *ctx, unsigned vcpu, uint64_t config, uint64_t addr, unsigned size);

#endif
