/* SPDX-License-Identifier: MIT */
/*
 * Configuration space of one PCI function, 256 bytes: what reads as what, and which bits a write changes. The device behind it
 * says both once, and asks for registers that mean something.
 */
#ifndef BULKHEAD_DEVICES_CHIPS_PCI_FUNCTION_H
#define BULKHEAD_DEVICES_CHIPS_PCI_FUNCTION_H

#include <stdbool.h>
#include <stdint.h>

#include "pci_config.h"

struct pci_function {
	uint8_t bytes[PCI_CONFIG_BYTES];
};

/* The extended space behind the 256 bytes reads as zero: no capability there (PCI Express 3.0, 7.9.1). */
uint64_t pci_function_read(const struct pci_function *f, uint32_t offset, unsigned size);
/* `mask`: the bits that can be written. */
void pci_function_write(struct pci_function *f, const uint8_t mask[PCI_CONFIG_BYTES], uint32_t offset, uint64_t data,
			unsigned size);
/* For whoever makes one up: little-endian. */
void pci_function_set(struct pci_function *f, unsigned offset, uint32_t value, unsigned size);
/* Does a write mask allow what a journal says? Everything else must be as `reset` has it. */
bool pci_function_is_possible(const struct pci_function *f, const struct pci_function *reset,
			      const uint8_t mask[PCI_CONFIG_BYTES]);

#endif
