/* SPDX-License-Identifier: MIT */
/*
 * Configuration space of the host bridge, function 00:00.0: constants. It has nothing to set up, but without one Linux does
 * not believe that there is PCI.
 */
#ifndef BULKHEAD_DEVICES_CHIPS_PCI_BRIDGE_H
#define BULKHEAD_DEVICES_CHIPS_PCI_BRIDGE_H

#include <stdint.h>

/* `size` bytes from `offset` on; what is not implemented reads as zero (PCI 3.0, 6.1). */
uint64_t pci_bridge_read(uint32_t offset, unsigned size);

#endif
