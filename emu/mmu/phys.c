/* SPDX-License-Identifier: MIT */
/* Guest-physical memory: RAM regions, the local APIC's page, and everything else on the bus. */
#include "internal.h"
#include "emu/apic/apic.h"
#include "emu/core/ram.h"

#include <string.h>

uint8_t *mmu_phys_host(const struct machine *m, uint64_t gpa, uint64_t size)
{
	for (unsigned n = 0; n < m->ram_count; n++) {
		const struct engine_ram *r = &m->ram[n];

		if (gpa >= r->gpa && gpa - r->gpa < r->size && size <= r->size - (gpa - r->gpa))
			return r->host + (gpa - r->gpa);
	}
	return NULL;
}

bool phys_is_lapic(const struct emu *e, uint64_t gpa)
{
	uint64_t base = e->cpu.msr.apic_base;

	return (base & (APIC_BASE_ENABLED | APIC_BASE_X2)) == APIC_BASE_ENABLED && e->lapic &&
	       (gpa & PAGE_MASK) == (base & PAGE_MASK & ((1ull << 52) - 1));
}

uint8_t *phys_host(const struct emu *e, uint64_t gpa, uint64_t size)
{
	return phys_is_lapic(e, gpa) ? NULL : mmu_phys_host(e->machine, gpa, size);
}

/* APIC registers are 32 bits wide at 16-byte strides; other widths are undefined (SDM vol. 3, 10.4.1). Narrow reads
 * get their part of the register, narrow writes go to the register as they are. */
static uint64_t lapic_read(struct emu *e, uint64_t gpa, unsigned size)
{
	uint32_t v = lapic_mmio_read(e->lapic, (uint32_t)gpa & 0xffc);

	return size >= 4 ? v : (v >> (8 * (gpa & 3))) & ((1u << (8 * size)) - 1);
}

/* Known not to be RAM: the local APIC or the bus. size 1, 2, 4, 8. */
static uint64_t io_read(struct emu *e, uint64_t gpa, unsigned size)
{
	struct machine *m = e->machine;

	if (phys_is_lapic(e, gpa))
		return lapic_read(e, gpa, size);
	return m->bus.read ? m->bus.read(m->bus.ctx, e->cpu.vcpu, IO_MMIO, gpa, size) : UINT64_MAX;
}

static void io_write(struct emu *e, uint64_t gpa, uint64_t data, unsigned size)
{
	struct machine *m = e->machine;

	if (phys_is_lapic(e, gpa)) {
		lapic_mmio_write(e->lapic, (uint32_t)gpa & 0xffc, (uint32_t)data);
		emu_attention(e);
		return;
	}
	if (m->bus.write)
		m->bus.write(m->bus.ctx, e->cpu.vcpu, IO_MMIO, gpa, data, size);
	emu_attention(e);
}

void phys_read(struct emu *e, uint64_t gpa, void *data, unsigned size)
{
	uint8_t *host = phys_host(e, gpa, size), *out = data;

	if (host) {
		ram_read(data, host, size);
		return;
	}
	while (size > 0) {
		unsigned n = ram_piece(size);
		uint64_t v = io_read(e, gpa, n);

		memcpy(out, &v, n);
		out += n;
		gpa += n;
		size -= n;
	}
}

void phys_write(struct emu *e, uint64_t gpa, const void *data, unsigned size)
{
	uint8_t *host = phys_host(e, gpa, size);
	const uint8_t *in = data;

	if (host) {
		ram_write(host, data, size);
		mmu_code_written(e, host, size);
		return;
	}
	while (size > 0) {
		unsigned n = ram_piece(size);
		uint64_t v = 0;

		memcpy(&v, in, n);
		io_write(e, gpa, v, n);
		in += n;
		gpa += n;
		size -= n;
	}
}
