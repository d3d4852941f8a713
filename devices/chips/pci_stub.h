/* SPDX-License-Identifier: MIT */
/* PCI configuration mechanism #1 with no device behind it. */
#ifndef BULKHEAD_DEVICES_CHIPS_PCI_STUB_H
#define BULKHEAD_DEVICES_CHIPS_PCI_STUB_H

#include "proto/reg.h"

enum { PCI_STUB_ADDRESS = 0xcf8, PCI_STUB_DATA = 0xcfc, PCI_STUB_DATA_REGS = 7 };

/* Bits 30..24 are reserved and bits 1..0 read-only, all zero. */
#define PCI_STUB_ADDRESS_MASK 0x80fffffcu

struct pci_stub {
	uint32_t address;
};

extern const struct reg_desc pci_stub_data_regs[PCI_STUB_DATA_REGS]; /* every aligned access in CFCh..CFFh */

void pci_stub_reset(struct pci_stub *p);
uint32_t pci_stub_read_address(const struct pci_stub *p);
void pci_stub_write_address(struct pci_stub *p, uint32_t value);
const char *pci_stub_check(const struct pci_stub *p);

#endif
