/* SPDX-License-Identifier: MIT */
/* The MSI-X table and its pending bits (PCI 3.0, 6.8.2), for as many vectors as a virtio device has here. */
#ifndef BULKHEAD_DEVICES_CHIPS_MSIX_H
#define BULKHEAD_DEVICES_CHIPS_MSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/virtio.h"

enum { MSIX_ENTRY_BYTES = 16, MSIX_TABLE_BYTES = VIRTIO_VECTORS * MSIX_ENTRY_BYTES };

struct msix {
	uint8_t table[MSIX_TABLE_BYTES]; /* address, data, vector control of each */
	uint8_t pending;		 /* a bit for each vector */
};
_Static_assert(VIRTIO_VECTORS <= 8, "bits of a byte");

/* Power-on: all entries masked (6.8.2.9). */
void msix_reset(struct msix *m);
uint64_t msix_read(const struct msix *m, uint32_t offset, unsigned size);
void msix_write(struct msix *m, uint32_t offset, uint64_t data, unsigned size);
/* What vector n sends, unless the function's own mask bit forbids it. */
struct virtio_message msix_message(const struct msix *m, unsigned n);
/* NULL, or the first field that no guest can have set so. */
const char *msix_check(const struct msix *m);

#endif
