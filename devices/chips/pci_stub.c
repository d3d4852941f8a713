/* SPDX-License-Identifier: MIT */
/*
 * PCI Local Bus 3.0, 3.2.2.3.2, "Software Generation of Configuration Transactions". Every configuration read
 * ends in a master abort: all-ones. There is not even a host bridge: Linux reads two registers of each
 * function of bus 0 (from the shadow page: nothing leaves the vcpu process), says that it found no
 * configuration access, and goes on without PCI; a bridge would only make it scan and set up a bus with
 * nothing on it.
 */
#include "pci_stub.h"

#define PCI_DATA(at, bytes, ones)                                                                            \
	{                                                                                                    \
		.name = "CONFIG_DATA", .offset = at, .size = bytes, .readable = true, .writable = true,      \
		.reset = ones, .post = REG_DROPPED, .shadow = REG_SHADOW_VALUE                               \
	}

const struct reg_desc pci_stub_data_regs[PCI_STUB_DATA_REGS] = {
	PCI_DATA(0, 4, 0xffffffff), PCI_DATA(0, 2, 0xffff), PCI_DATA(2, 2, 0xffff), PCI_DATA(0, 1, 0xff),
	PCI_DATA(1, 1, 0xff),	    PCI_DATA(2, 1, 0xff),   PCI_DATA(3, 1, 0xff),
};

void pci_stub_reset(struct pci_stub *p)
{
	p->address = 0;
}

uint32_t pci_stub_read_address(const struct pci_stub *p)
{
	return p->address;
}

void pci_stub_write_address(struct pci_stub *p, uint32_t value)
{
	p->address = value & PCI_STUB_ADDRESS_MASK;
}

const char *pci_stub_check(const struct pci_stub *p)
{
	return p->address & ~PCI_STUB_ADDRESS_MASK ? "pci.address" : NULL;
}
