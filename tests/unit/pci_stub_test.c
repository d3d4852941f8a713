/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "devices/chips/pci_stub.h"

/* PCI 3.0, 3.2.2.3.2, CONFIG_ADDRESS: bit 31 enable, 30..24 reserved, 23..2 address, 1..0 read-only zeroes.
 */
Test(pci_stub, address)
{
	struct pci_stub p;

	pci_stub_reset(&p);
	cr_assert_eq(pci_stub_read_address(&p), 0);
	pci_stub_write_address(&p, 0x80000000);
	cr_assert_eq(pci_stub_read_address(&p), 0x80000000, "how software finds mechanism #1");
	pci_stub_write_address(&p, 0xffffffff);
	cr_assert_eq(pci_stub_read_address(&p), 0x80fffffc);
	cr_assert_null(pci_stub_check(&p));
	p.address = 1;
	cr_assert_not_null(pci_stub_check(&p));
}

/* Master abort: all-ones, for every width and lane; so the shadow page may answer. */
Test(pci_stub, data)
{
	for (unsigned i = 0; i < PCI_STUB_DATA_REGS; i++) {
		const struct reg_desc *reg = &pci_stub_data_regs[i];

		cr_assert_eq(reg->reset, (1ull << 8 * reg->size) - 1);
		cr_assert_eq(reg->offset % reg->size, 0);
		cr_assert_leq(reg->offset + reg->size, 4);
		cr_assert_eq(reg->post, REG_DROPPED);
		cr_assert_eq(reg->depends, 0);
	}
}
