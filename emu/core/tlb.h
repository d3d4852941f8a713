/* SPDX-License-Identifier: MIT */
/*
 * The translation cache: linear page -> host address, one table per (PCID, user or supervisor).
 *
 * An access is looked up by the page of its *last* byte and compared with the page of its *first*: one that crosses
 * a page never hits and takes the slow path, with no test of its own.
 *
 * Presence of a tag implies, for the privilege of its table:
 *   r  reading is permitted, the accessed bit is set, the page is RAM
 *   w  writing too, the dirty bit is set, and no decoded code lies in the page
 *   x  fetching is permitted, the page is RAM
 *
 * Fetches have entries of their own, so that code and data do not drive each other out. Their r says no more than the flags below.
 */
#ifndef BULKHEAD_EMU_TLB_H
#define BULKHEAD_EMU_TLB_H

#include "emu.h"

#include <stddef.h>

enum {
	PAGE_SHIFT = 12,
	PAGE_SIZE = 1 << PAGE_SHIFT,
	TLB_BITS = 12,
	TLB_ENTRIES = 1 << TLB_BITS,
	TLB_FETCHES = 4096,
	TLB_TABLES = 16,
};

#define PAGE_MASK (~(uint64_t)(PAGE_SIZE - 1))

/* Low bits of the tags r and w. A bit counts only if e->tlb_mask has it. */
#define TAG_INVALID 1ull /* always in the mask */
#define TAG_USER 2ull	 /* user page in a supervisor table: in the mask while SMAP forbids it */
#define TAG_SLOW 4ull	 /* set in every tag: in the mask while all accesses must be looked at (#AC, DR7) */
#define TAG_GLOBAL 8ull	 /* information only: survives MOV CR3 */
#define TAG_LARGE 16ull	 /* information only: part of a 2 MiB, 4 MiB or 1 GiB page */

struct tlb_entry {
	uint64_t r, w, x;
	uint64_t addend; /* host address = linear address + addend */
};

struct tlb {
	struct tlb_entry e[TLB_ENTRIES + TLB_FETCHES];
	/* Entries that are not empty, and some that have been dropped, each once: flushes look at no others. */
	uint16_t filled[TLB_ENTRIES + TLB_FETCHES];
	uint32_t filled_count;
	bool made;
};

/* r, w and x of an entry outside and inside the list of filled ones. */
#define TLB_EMPTY TAG_INVALID
#define TLB_DROPPED (TAG_INVALID | TAG_SLOW)

static inline unsigned tlb_data_index(uint64_t linear)
{
	return linear >> PAGE_SHIFT & (TLB_ENTRIES - 1);
}

static inline unsigned tlb_fetch_index(uint64_t linear)
{
	return TLB_ENTRIES + (linear >> PAGE_SHIFT & (TLB_FETCHES - 1));
}

static inline struct tlb_entry *tlb_slot(const struct emu *e, uint64_t linear)
{
	return &e->tlb->e[tlb_data_index(linear)];
}

/* Tells the compiler that a hit is not NULL, so that the caller's test costs nothing. */
static inline __attribute__((always_inline)) uint8_t *tlb_hit(const struct tlb_entry *t, uint64_t linear)
{
	uint8_t *p = (uint8_t *)(uintptr_t)(linear + t->addend);

	if (!p)
		__builtin_unreachable();
	return p;
}

/* Host address of [linear, linear + size) for a plain load or store, or NULL: take the slow path. */
static inline __attribute__((always_inline)) uint8_t *tlb_read_ptr(const struct emu *e, uint64_t linear, unsigned size)
{
	const struct tlb_entry *t = tlb_slot(e, linear + size - 1);

	if (UNLIKELY((((linear & PAGE_MASK) ^ t->r) & e->tlb_mask) != 0))
		return NULL;
	return tlb_hit(t, linear);
}

static inline __attribute__((always_inline)) uint8_t *tlb_write_ptr(const struct emu *e, uint64_t linear, unsigned size)
{
	const struct tlb_entry *t = tlb_slot(e, linear + size - 1);

	if (UNLIKELY((((linear & PAGE_MASK) ^ t->w) & e->tlb_mask) != 0))
		return NULL;
	return tlb_hit(t, linear);
}

static inline __attribute__((always_inline)) uint8_t *tlb_fetch_ptr(const struct emu *e, uint64_t linear)
{
	const struct tlb_entry *t = &e->tlb->e[tlb_fetch_index(linear)];

	if (UNLIKELY((linear & PAGE_MASK) != t->x))
		return NULL;
	return tlb_hit(t, linear);
}

#endif
