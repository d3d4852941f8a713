/* SPDX-License-Identifier: MIT */
/* Host bridge and LPC bridge: see q35.h. */
#include "q35.h"

#include <string.h>

#include "proto/layout.h"

enum { INTEL = 0x8086, MCH = 0x29c0, ICH9_LPC = 0x2918, SUBSYSTEM_VENDOR = 0x1af4, SUBSYSTEM = 0x1100, CLASS_ISA = 0x01 };
/* Host bridge, 5.1: PCIEXBAR (eight bytes), PAM0 to PAM6, SMRAM, ESMRAMC. */
enum { PCIEXBAR = 0x60, PAM0 = 0x90, PAM_COUNT = 7, SMRAM = 0x9d, ESMRAMC = 0x9e };
/* LPC, 13.1: PMBASE, ACPI_CNTL, PIRQ routes A to D and E to H, RCBA. */
enum { PMBASE = 0x40, ACPI_CNTL = 0x44, PIRQA = 0x60, PIRQE = 0x68, PIRQS = 4, RCBA = 0xf0 };
enum { PMBASE_IO = 1 << 0, ACPI_ENABLE = 1 << 7, PIRQ_OFF = 0x80 };

static const uint8_t bridge_mask[PCI_CONFIG_BYTES] = {
	[PCIEXBAR] = 0x07, [PCIEXBAR + 3] = 0xfc, [PCIEXBAR + 4] = 0x0f,
	[PAM0] = 0x30, [PAM0 + 1] = 0x33, [PAM0 + 2] = 0x33, [PAM0 + 3] = 0x33, [PAM0 + 4] = 0x33, [PAM0 + 5] = 0x33, [PAM0 + 6] = 0x33,
	[SMRAM] = 0x78, [ESMRAMC] = 0x07,
};
static const uint8_t lpc_mask[PCI_CONFIG_BYTES] = {
	[PIRQA] = 0x8f, [PIRQA + 1] = 0x8f, [PIRQA + 2] = 0x8f, [PIRQA + 3] = 0x8f,
	[PIRQE] = 0x8f, [PIRQE + 1] = 0x8f, [PIRQE + 2] = 0x8f, [PIRQE + 3] = 0x8f,
	[RCBA] = 0x01, [RCBA + 1] = 0xc0, [RCBA + 2] = 0xff, [RCBA + 3] = 0xff,
	[PCI_INTERRUPT_LINE] = 0xff,
};

static void put_header(struct pci_function *f, uint16_t device, uint8_t sub_class)
{
	memset(f, 0, sizeof(*f));
	pci_function_set(f, PCI_VENDOR_ID, INTEL, 2);
	pci_function_set(f, PCI_DEVICE_ID, device, 2);
	pci_function_set(f, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	pci_function_set(f, PCI_CLASS_SUB, sub_class, 1);
	pci_function_set(f, PCI_CLASS_BASE, PCI_CLASS_BRIDGE, 1);
	pci_function_set(f, PCI_SUBSYSTEM_VENDOR_ID, SUBSYSTEM_VENDOR, 2);
	pci_function_set(f, PCI_SUBSYSTEM_ID, SUBSYSTEM, 2);
}

void q35_bridge_reset(struct pci_function *f)
{
	put_header(f, MCH, 0);
	pci_function_set(f, PCIEXBAR, (uint32_t)LAYOUT_ECAM_BASE, 4);
	pci_function_set(f, SMRAM, 0x02, 1);
}

/* Power management is on and where layout.h has it, so that firmware which finds it on asks where. */
void q35_lpc_reset(struct pci_function *f)
{
	put_header(f, ICH9_LPC, CLASS_ISA);
	pci_function_set(f, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2); /* 13.1.3: always */
	pci_function_set(f, PMBASE, LAYOUT_PM_BASE | PMBASE_IO, 4);
	pci_function_set(f, ACPI_CNTL, ACPI_ENABLE, 1);
	for (unsigned i = 0; i < PIRQS; i++) {
		pci_function_set(f, PIRQA + i, PIRQ_OFF, 1);
		pci_function_set(f, PIRQE + i, PIRQ_OFF, 1);
	}
}

void q35_bridge_write(struct pci_function *f, uint32_t offset, uint64_t data, unsigned size)
{
	pci_function_write(f, bridge_mask, offset, data, size);
}

void q35_lpc_write(struct pci_function *f, uint32_t offset, uint64_t data, unsigned size)
{
	pci_function_write(f, lpc_mask, offset, data, size);
}

bool q35_bridge_is_possible(const struct pci_function *f)
{
	struct pci_function fresh;

	q35_bridge_reset(&fresh);
	return pci_function_is_possible(f, &fresh, bridge_mask);
}

bool q35_lpc_is_possible(const struct pci_function *f)
{
	struct pci_function fresh;

	q35_lpc_reset(&fresh);
	return pci_function_is_possible(f, &fresh, lpc_mask);
}
