/* SPDX-License-Identifier: MIT */
/*
 * Decoded code in RAM: which 64-byte pieces of which page the code cache was built from.
 *
 * A page with code has no write entry in any TLB table, so each store to it comes by mmu_code_written(), which drops
 * the blocks whose pieces it touches. When the last block of a page is gone it may be mapped writable again.
 */
#include "internal.h"

uint64_t mmu_ram_pages(const struct emu *e)
{
	return e->mmu->ram_pages;
}

uint64_t mmu_page_index(const struct emu *e, const uint8_t *host)
{
	const struct machine *m = e->machine;

	for (unsigned n = 0; n < m->ram_count; n++) {
		if (host >= m->ram[n].host && host < m->ram[n].host + m->ram[n].size)
			return e->mmu->first_page[n] + ((uint64_t)(host - m->ram[n].host) >> PAGE_SHIFT);
	}
	return UINT64_MAX;
}

static uint64_t granule_mask(const uint8_t *host, uint64_t size)
{
	unsigned first = (unsigned)((uintptr_t)host & (PAGE_SIZE - 1)) >> 6;
	unsigned last = (unsigned)(((uintptr_t)host & (PAGE_SIZE - 1)) + size - 1) >> 6;

	if (last > 63)
		last = 63;
	return (UINT64_MAX >> (63 - last)) & (UINT64_MAX << first);
}

/* Takes the page's write permission out of all tables. */
static void write_protect(struct emu *e, const uint8_t *host)
{
	uint64_t page = (uint64_t)(uintptr_t)host & PAGE_MASK;

	for (unsigned n = 0; n < TLB_TABLES; n++) {
		struct tlb *t = &e->mmu->tlbs[n];

		if (!e->mmu->table[n].used)
			continue;
		for (unsigned k = 0; k < TLB_ENTRIES; k++) {
			if (!(t->e[k].w & TAG_INVALID) && (t->e[k].w & PAGE_MASK) + t->e[k].addend == page)
				t->e[k].w |= TAG_INVALID;
		}
	}
}

void mmu_claim_code(struct emu *e, const uint8_t *host, unsigned size)
{
	uint64_t page = mmu_page_index(e, host);

	if (page == UINT64_MAX)
		return;
	e->mmu->code_granules[page] |= granule_mask(host, size);
	if (e->mmu->maybe_writable[page]) {
		e->mmu->maybe_writable[page] = 0;
		write_protect(e, host);
	}
}

void mmu_release_code(struct emu *e, uint64_t page)
{
	e->mmu->code_granules[page] = 0;
}

static void page_written(struct emu *e, const uint8_t *host, uint64_t size)
{
	uint64_t page = mmu_page_index(e, host), hit;

	if (page == UINT64_MAX || !e->mmu->code_granules[page])
		return;
	hit = e->mmu->code_granules[page] & granule_mask(host, size);
	if (!hit)
		return;
	e->mmu->smc++;
	e->mmu->code_granules[page] = e->hooks->code_written(e, page, hit);
}

void mmu_code_written(struct emu *e, const uint8_t *host, uint64_t size)
{
	while (size > 0) {
		uint64_t room = PAGE_SIZE - ((uintptr_t)host & (PAGE_SIZE - 1));
		uint64_t n = size < room ? size : room;

		page_written(e, host, n);
		host += n;
		size -= n;
	}
}

void emu_invalidate_phys(struct emu *e, uint64_t gpa, uint64_t size)
{
	uint8_t *host = mmu_phys_host(e->machine, gpa, size);

	if (host)
		mmu_code_written(e, host, size);
}
