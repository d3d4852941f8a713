/* SPDX-License-Identifier: MIT */
/* Configuration space of one PCI function: see pci_function.h. */
#include "pci_function.h"

uint64_t pci_function_read(const struct pci_function *f, uint32_t offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size && i < 8; i++)
		if (offset + i < PCI_CONFIG_BYTES)
			value |= (uint64_t)f->bytes[offset + i] << 8 * i;
	return value;
}

void pci_function_write(struct pci_function *f, const uint8_t mask[PCI_CONFIG_BYTES], uint32_t offset, uint64_t data,
			unsigned size)
{
	for (unsigned i = 0; i < size && i < 8; i++) {
		uint8_t m, value = (uint8_t)(data >> 8 * i);

		if (offset + i >= PCI_CONFIG_BYTES)
			return;
		m = mask[offset + i];
		f->bytes[offset + i] = (uint8_t)((f->bytes[offset + i] & ~m) | (value & m));
	}
}

void pci_function_set(struct pci_function *f, unsigned offset, uint32_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		f->bytes[offset + i] = (uint8_t)(value >> 8 * i);
}

bool pci_function_is_possible(const struct pci_function *f, const struct pci_function *reset,
			      const uint8_t mask[PCI_CONFIG_BYTES])
{
	for (unsigned i = 0; i < PCI_CONFIG_BYTES; i++)
		if ((f->bytes[i] ^ reset->bytes[i]) & ~mask[i])
			return false;
	return true;
}
