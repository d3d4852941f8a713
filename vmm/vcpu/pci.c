/* SPDX-License-Identifier: MIT */
/* Configuration mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2), and where BARs are: pci.h. */
#include "pci.h"

#include "devices/chips/pci_config.h"
#include "proto/layout.h"

void pci_init(struct pci_bus *p, bool present, bool firmware)
{
	p->firmware = present && firmware;
	p->present = present;
	atomic_store(&p->address, PCI_UNKNOWN);
	pthread_mutex_init(&p->moves, NULL);
}

/* It goes to the device as well, which keeps it for the next process. */
void pci_note_write(struct pci_bus *p, uint64_t port, uint64_t data, unsigned size)
{
	if (p->present && port == PCI_CONFIG_ADDRESS && size == 4)
		atomic_store_explicit(&p->address, data & UINT32_MAX, memory_order_relaxed);
}

static uint32_t config_address(struct pci_bus *p, pci_read_fn *read, void *ctx, unsigned vcpu)
{
	uint64_t address = atomic_load_explicit(&p->address, memory_order_relaxed);

	return (uint32_t)(address == PCI_UNKNOWN ? read(ctx, vcpu, IO_PORT, PCI_CONFIG_ADDRESS, 4) : address);
}

/* Bits 23..8 are bus, device and function, which ECAM has four bits higher; bits 7..2 the doubleword. */
bool pci_translate(struct pci_bus *p, pci_read_fn *read, void *ctx, unsigned vcpu, uint64_t port, unsigned size,
		   uint64_t *addr)
{
	uint64_t address;

	if (!p->present || port - PCI_CONFIG_DATA >= 4 || port - PCI_CONFIG_DATA + size > 4)
		return false;
	address = config_address(p, read, ctx, vcpu);
	if (!(address & PCI_ADDRESS_ENABLE))
		return false;
	*addr = LAYOUT_ECAM_BASE + ((address & 0xffff00) << 4) + (address & 0xfc) + (port - PCI_CONFIG_DATA);
	return true;
}

/* A chipset has a register that says where ECAM is, and firmware, which writes it, has one of two opinions: both are served. */
void pci_translate_memory(const struct pci_bus *p, uint64_t *addr)
{
	if (p->firmware && *addr - LAYOUT_ECAM_OTHER < LAYOUT_ECAM_SIZE)
		*addr += LAYOUT_ECAM_BASE - LAYOUT_ECAM_OTHER;
}

static bool overlaps(uint64_t offset, unsigned size, unsigned reg, unsigned bytes)
{
	return offset < reg + bytes && reg < offset + size;
}

/* A BAR of zero is one that nobody has assigned; all-ones, one that is being sized. */
static uint64_t decoded_base(uint32_t command, uint32_t bar)
{
	uint32_t base = bar & ~0xfu;

	return command & PCI_COMMAND_MEMORY && base ? base : ROUTE_NOWHERE;
}

/* An expansion ROM has a switch of its own as well (6.2.5.2). */
static uint64_t decoded_rom(uint32_t command, uint32_t rom)
{
	return rom & PCI_ROM_ENABLE ? decoded_base(command, rom & ~0x7ffu) : ROUTE_NOWHERE;
}

static const struct route_range *range_of(const struct route_table *routes, uint8_t channel, unsigned range)
{
	for (unsigned i = 0; i < routes->mmio_count; i++)
		if (routes->mmio[i].channel == channel && routes->mmio[i].range == range)
			return &routes->mmio[i];
	return NULL;
}

/* Two processors that write at once: whoever looks last sees what both have written. */
void pci_config_written(struct pci_bus *p, struct route_table *routes, const struct route_range *config, pci_read_fn *read,
			void *ctx, unsigned vcpu, uint64_t addr, unsigned size)
{
	const uint64_t offset = addr - config->base;
	unsigned range = config->range + 1u;
	const struct route_range *r;
	uint32_t command, value;

	if (!overlaps(offset, size, PCI_COMMAND, 2) && !overlaps(offset, size, PCI_BAR0, PCI_BARS * 4) &&
	    !overlaps(offset, size, PCI_ROM, 4))
		return;
	pthread_mutex_lock(&p->moves);
	command = (uint32_t)read(ctx, vcpu, IO_MMIO, config->base + PCI_COMMAND, 2);
	for (unsigned n = 0; n < PCI_BARS && (r = range_of(routes, config->channel, range)); n += 2, range++) {
		value = (uint32_t)read(ctx, vcpu, IO_MMIO, config->base + (r->rom ? PCI_ROM : PCI_BAR0 + n * 4), 4);
		route_move(routes, config->channel, (uint8_t)range,
			   r->rom ? decoded_rom(command, value) : decoded_base(command, value));
	}
	pthread_mutex_unlock(&p->moves);
}

void pci_find_bars(struct pci_bus *p, struct route_table *routes, pci_read_fn *read, void *ctx)
{
	for (unsigned i = 0; i < routes->mmio_count; i++)
		if (pci_is_config(&routes->mmio[i]))
			pci_config_written(p, routes, &routes->mmio[i], read, ctx, 0, routes->mmio[i].base + PCI_BAR0, 4);
}
