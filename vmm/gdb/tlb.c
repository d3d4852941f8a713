/* SPDX-License-Identifier: MIT */
/* All page tables of a guest: tlb.h. */
#include "tlb.h"

#include <string.h>

enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_PS = 0x80, TABLE = 4096, RIGHTS = PTE_W | PTE_U };
#define PTE_NX (1ull << 63)
#define PTE_ADDRESS 0x000ffffffffff000ull

struct walk {
	const struct cpu *c;
	tlb_read *read;
	tlb_range_found *found;
	void *ctx;
	unsigned entry_bytes, tables;
	bool stopped;
	struct tlb_range open; /* size 0: none */
};

static void close_range(struct walk *w)
{
	if (w->open.size && !w->found(w->ctx, &w->open))
		w->stopped = true;
	w->open.size = 0;
}

static void add_page(struct walk *w, const struct tlb_range *r)
{
	struct tlb_range *o = &w->open;

	if (o->size && o->linear + o->size == r->linear && o->gpa + o->size == r->gpa && o->writable == r->writable &&
	    o->user == r->user && o->executable == r->executable) {
		o->size += r->size;
		return;
	}
	close_range(w);
	*o = *r;
}

static uint64_t leaf_address(const struct walk *w, uint64_t entry, uint64_t size)
{
	uint64_t address = entry & PTE_ADDRESS;

	if (w->entry_bytes == 4)
		address = (entry & 0xfffff000) | (size > TABLE ? (entry & 0x1fe000) << 19 : 0);
	return address & ~(size - 1);
}

static bool is_leaf(const struct walk *w, unsigned level, uint64_t entry)
{
	if (level == 1)
		return true;
	return (entry & PTE_PS) && (w->entry_bytes == 8 ? level <= 3 : (w->c->cr4 & CR4_PSE) != 0);
}

static uint64_t entry_at(const struct walk *w, const uint8_t *table, unsigned n)
{
	uint64_t entry = 0;

	memcpy(&entry, table + (size_t)n * w->entry_bytes, w->entry_bytes);
	return entry;
}

/* Bits above the width of an address repeat its highest one. */
static uint64_t canonical(const struct walk *w, uint64_t linear)
{
	const unsigned unused = w->c->cr4 & CR4_LA57 ? 7 : 16;

	return w->c->msr.efer & EFER_LMA ? (uint64_t)((int64_t)(linear << unused) >> unused) : linear;
}

/* `rights`: those of all levels above; NX is there if any has it. */
static void walk_table(struct walk *w, uint64_t gpa, unsigned level, uint64_t linear, uint64_t rights)
{
	const unsigned bits = w->entry_bytes == 8 ? 9 : 10, shift = 12 + (level - 1) * bits;
	uint8_t table[TABLE];

	if (w->stopped || !w->tables || !w->read(w->ctx, gpa, table, sizeof(table))) {
		w->stopped |= !w->tables;
		return;
	}
	w->tables--;
	for (unsigned n = 0; n < 1u << bits && !w->stopped; n++) {
		uint64_t entry = entry_at(w, table, n), at = linear | (uint64_t)n << shift;
		uint64_t all = (rights & entry & RIGHTS) | ((rights | entry) & PTE_NX);

		if (!(entry & PTE_P))
			continue;
		if (!is_leaf(w, level, entry)) {
			walk_table(w, entry & (w->entry_bytes == 8 ? PTE_ADDRESS : 0xfffff000), level - 1, at, all);
			continue;
		}
		add_page(w, &(struct tlb_range){ canonical(w, at), leaf_address(w, entry, 1ull << shift), 1ull << shift,
						 all & PTE_W, all & PTE_U, !(all & PTE_NX && w->c->msr.efer & EFER_NXE) });
	}
}

bool tlb_walk_all(const struct cpu *c, unsigned tables, tlb_read *read, tlb_range_found *found, void *ctx)
{
	struct walk w = { .c = c, .read = read, .found = found, .ctx = ctx, .entry_bytes = 8, .tables = tables };

	if (!(c->cr0 & CR0_PG)) {
		add_page(&w, &(struct tlb_range){ 0, 0, 1ull << 32, true, true, true });
	} else if (c->msr.efer & EFER_LMA) {
		walk_table(&w, c->cr3 & PTE_ADDRESS, c->cr4 & CR4_LA57 ? 5 : 4, 0, RIGHTS);
	} else if (c->cr4 & CR4_PAE) {
		for (unsigned n = 0; n < 4; n++)
			if (c->pdpte[n] & PTE_P)
				walk_table(&w, c->pdpte[n] & PTE_ADDRESS, 2, (uint64_t)n << 30, RIGHTS);
	} else {
		w.entry_bytes = 4;
		walk_table(&w, c->cr3 & 0xfffff000, 2, 0, RIGHTS);
	}
	if (!w.stopped)
		close_range(&w);
	return !w.stopped;
}
