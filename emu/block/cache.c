/* SPDX-License-Identifier: MIT */
/* The code cache: finding blocks, running them, dropping them when their bytes change. */
#include "internal.h"
#include "emu/core/machine.h"
#include "emu/mmu/mmu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	NATIVE_BYTES = 64 << 20, /* for translated code; touched as it is filled */
	WORTH_GIVING_BACK = 1 << 20,
};

uint64_t block_fetch_linear(const struct emu *e, uint64_t pc)
{
	uint64_t linear = pc + e->seg_base[SEG_CS];

	return e->code_size == 8 ? linear : (uint32_t)linear;
}

/* ---- lists ---- */

static void hash_remove(struct code_cache *c, struct block *b)
{
	struct block **p = &c->bucket[block_hash(b->host)];

	while (*p && *p != b)
		p = &(*p)->hash_next;
	if (*p)
		*p = b->hash_next;
}

static void hash_insert(struct code_cache *c, struct block *b)
{
	struct block **p = &c->bucket[block_hash(b->host)];

	b->hash_next = *p;
	*p = b;
}

/* Which of its two page lists a block is on for this page. */
static unsigned list_of(const struct emu *e, const struct block *b, uint64_t page)
{
	return mmu_page_index(e, b->host) == page ? 0 : 1;
}

static void page_insert(struct emu *e, struct block *b, const uint8_t *host, unsigned list)
{
	uint64_t page = mmu_page_index(e, host);

	b->page_next[list] = e->code->page_blocks[page];
	e->code->page_blocks[page] = b;
}

static void page_remove(struct emu *e, struct block *b, const uint8_t *host)
{
	uint64_t page = mmu_page_index(e, host);
	struct block **p = &e->code->page_blocks[page];

	while (*p && *p != b)
		p = &(*p)->page_next[list_of(e, *p, page)];
	if (*p)
		*p = b->page_next[list_of(e, b, page)];
}

/* ---- dropping ---- */

static unsigned bytes_in_first_page(const struct block *b)
{
	unsigned room = PAGE_SIZE - (unsigned)((uintptr_t)b->host & (PAGE_SIZE - 1));

	return b->bytes < room ? b->bytes : room;
}

static uint64_t granules_between(unsigned first, unsigned last)
{
	return (UINT64_MAX >> (63 - (last >> 6))) & (UINT64_MAX << (first >> 6));
}

/* Of both parts, if the same page stands behind both linear pages. */
static uint64_t granules_of(const struct emu *e, const struct block *b, uint64_t page)
{
	unsigned start = (unsigned)((uintptr_t)b->host & (PAGE_SIZE - 1)), bytes = bytes_in_first_page(b);
	uint64_t granules = 0;

	if (mmu_page_index(e, b->host) == page)
		granules |= granules_between(start, start + bytes - 1);
	if (b->host2 && mmu_page_index(e, b->host2) == page)
		granules |= granules_between(0, b->bytes - bytes - 1);
	return granules;
}

/* Links of other blocks may still lead here: the first handler sends them on to what replaces this block. */
static void kill_block(struct emu *e, struct block *b)
{
	struct jump_entry *j = jump_slot(e->code, b->key & MODE_KEY_CODE_MASK, b->pc);

	if (j->block == b)
		*j = (struct jump_entry){ 0 };
	e->hooks->block_killed(e, b);
	b->insns[0].fn = h_dead;
	hash_remove(e->code, b);
	if (b == e->block)
		e->stop = true;
}

uint64_t code_drop(struct emu *e, uint64_t page, uint64_t granules)
{
	struct block *b = e->code->page_blocks[page], *next;
	uint64_t left = 0;

	for (; b; b = next) {
		uint64_t mine = granules_of(e, b, page);

		next = b->page_next[list_of(e, b, page)];
		if (!(mine & granules)) {
			left |= mine;
			continue;
		}
		kill_block(e, b);
		page_remove(e, b, b->host);
		if (b->host2)
			page_remove(e, b, b->host2);
	}
	return left;
}

/* ---- turns ---- */

/*
 * In the list of a page the newest come first: all behind the first that is forgotten are. They point to themselves from then on, so
 * that each list is gone through once: the same page at another address in each program that runs has thousands of blocks.
 */
static void cut_page(struct emu *e, uint64_t page)
{
	struct block **p = &e->code->page_blocks[page], *b, *next;

	while (*p && !block_is_left(e->code, *p))
		p = &(*p)->page_next[list_of(e, *p, page)];
	for (b = *p; b; b = next) {
		next = b->page_next[list_of(e, b, page)];
		b->page_next[list_of(e, b, page)] = b;
	}
	*p = NULL;
	if (!e->code->page_blocks[page])
		mmu_release_code(e, page);
}

static void leave_page(struct emu *e, const struct block *b, const uint8_t *host)
{
	const uint64_t page = mmu_page_index(e, host);

	if (b->page_next[list_of(e, b, page)] != b)
		cut_page(e, page);
}

static void forget_blocks(struct emu *e, size_t from, size_t to)
{
	struct block *b;

	for (size_t at = from; at < to; at += b->size) {
		b = (struct block *)(void *)(e->code->memory + at);
		if (block_is_dead(b))
			continue;
		kill_block(e, b);
		leave_page(e, b, b->host);
		if (b->host2)
			leave_page(e, b, b->host2);
	}
}

/* Links of what stays to what is forgotten. */
static void forget_links(struct code_cache *c)
{
	const struct halves *h = &c->at;
	const struct block *b;

	for (size_t at = h->start; at < h->used; at += b->size) {
		struct link *l;

		b = (const struct block *)(const void *)(c->memory + at);
		l = block_link(b);
		for (unsigned side = 0; side < 2; side++)
			if (l->to[side] && block_is_left(c, l->to[side]))
				l->to[side] = NULL;
	}
}

void code_turn(struct emu *e)
{
	struct code_cache *c = e->code;
	const struct halves *h = &c->at;

	counter_add(&e->counters->of[COUNTER_CODE_FLUSHES], 1);
	e->hooks->code_turns(e);
	if (halves_are_one(h)) {
		forget_blocks(e, h->start, h->used);
	} else {
		forget_blocks(e, h->other, h->other_used);
		forget_links(c);
	}
	halves_turn(&c->at);
	native_memory_turn(&c->native);
	e->hooks->code_turned(e);
	c->full = false;
	c->generation++;
	e->block = NULL;
	c->patch = NULL;
}

void code_flush(struct emu *e)
{
	code_turn(e);
	if (!halves_are_one(&e->code->at))
		code_turn(e);
}

bool block_holds_memory(const struct emu *e)
{
	const struct halves *h = &e->code->at;

	return h->used - h->start + h->other_used - h->other > WORTH_GIVING_BACK;
}

void block_give_back(struct emu *e)
{
	struct code_cache *c = e->code;

	code_flush(e);
	halves_empty(&c->at);
	native_memory_reset(&c->native);
	mmu_give_back(c->memory, c->bytes);
	e->hooks->code_given_back(e);
	native_memory_give_back(&c->native);
	counter_add(&e->counters->of[COUNTER_CODE_GIVEN_BACK], 1);
}

/* ---- finding ---- */

void block_enter(struct emu *e, struct block *b)
{
	struct code_cache *c = e->code;

	b->size = (uint32_t)((sizeof(*b) + (b->count + 1u) * sizeof(struct insn) + BLOCK_ALIGN - 1) & ~(BLOCK_ALIGN - 1u));
	c->at.used += b->size;
	hash_insert(c, b);
	page_insert(e, b, b->host, 0);
	if (b->host2)
		page_insert(e, b, b->host2, 1);
}

static bool second_page_agrees(struct emu *e, const struct block *b, uint64_t linear)
{
	uint8_t *host;
	uint64_t gpa;

	if (!b->host2)
		return true;
	return mmu_fetch_page(e, (linear & PAGE_MASK) + PAGE_SIZE, &host, &gpa) == 0 && host == b->host2;
}

/* Without a flat CS the limit is checked here, once for the block: the single-step tier raises the #GP. */
static bool within_limit(const struct emu *e, const struct block *b)
{
	return (e->mode_key & MODE_KEY_FLAT) || b->pc + b->bytes - 1 <= e->cpu.seg[SEG_CS].limit;
}

struct block *block_find(struct emu *e)
{
	uint64_t linear = block_fetch_linear(e, e->cpu.rip), gpa;
	struct block *b;
	uint8_t *host;

	if (!(e->mode_key & MODE_KEY_FLAT) && e->cpu.rip > e->cpu.seg[SEG_CS].limit)
		return NULL;
	if (mmu_fetch_page(e, linear, &host, &gpa) || !host)
		return NULL;
	for (b = e->code->bucket[block_hash(host)]; b; b = b->hash_next) {
		if (b->host == host && b->pc == e->cpu.rip && b->key == e->mode_key) {
			if (second_page_agrees(e, b, linear))
				break;
			if (e->fault.pending)
				return NULL;
		}
	}
	if (!b)
		b = block_build(e, linear, host);
	else if (e->code->bucket[block_hash(host)] != b) { /* keep what is in use in front */
		hash_remove(e->code, b);
		hash_insert(e->code, b);
	}
	return b && within_limit(e, b) ? b : NULL;
}

/* ---- running ---- */

static void run(struct emu *e, struct block *b)
{
	e->block = b;
	e->pc = b->pc;
	e->x87_host = 0xff;
#ifdef EMU_NO_TAILCALL
	e->code->next = b->insns;
	while (e->code->next) {
		const struct insn *i = e->code->next;

		e->code->next = NULL;
		i->fn(e, i);
	}
#else
	b->insns->fn(e, b->insns);
#endif
	if (e->mxcsr_live)
		mxcsr_sync(e);
}

bool block_advance(struct emu *e)
{
	struct code_cache *c = e->code;
	struct block **patch = c->patch, *b;
	uint64_t generation = c->generation;

	if (UNLIKELY(c->full))
		code_turn(e);
	b = block_find(e);

	c->patch = NULL;
	if (e->fault.pending)
		return true;
	if (!b)
		return false;
	if (patch && !b->host2 && generation == c->generation)
		*patch = b;
	run(e, b);
	e->block = NULL;
	return true;
}

void block_forget_way(struct emu *e)
{
	e->code->patch = NULL;
}

/* ---- life ---- */

/* Without it vector instructions have no fast form, and all is well otherwise. */
static void take_native_memory(struct code_cache *c, const struct native_memory *native)
{
	if (native)
		c->native = *native;
	else
		native_memory_create(&c->native, NATIVE_BYTES);
}

void block_halve(struct code_cache *c)
{
	c->at = halves_of(0, c->bytes, HALF_LEAST, BLOCK_ALIGN);
	if (!c->native.writable)
		return;
	native_memory_halve(&c->native, HALF_LEAST);
	if (halves_are_one(&c->at) || halves_are_one(&c->native.at)) {
		halves_join(&c->at);
		halves_join(&c->native.at);
	}
}

int block_create(struct emu *e, size_t bytes, const struct native_memory *native)
{
	struct code_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	e->code = c;
	c->bytes = bytes;
	c->memory = mmu_reserve(c->bytes);
	c->page_blocks = mmu_reserve((mmu_ram_pages(e) + 1) * sizeof(*c->page_blocks));
	take_native_memory(c, native);
	block_halve(c);
	return c->memory && c->page_blocks ? 0 : -ENOMEM;
}

void block_destroy(struct emu *e)
{
	if (!e->code)
		return;
	native_memory_destroy(&e->code->native);
	mmu_unreserve(e->code->memory, e->code->bytes);
	mmu_unreserve(e->code->page_blocks, (mmu_ram_pages(e) + 1) * sizeof(*e->code->page_blocks));
	free(e->code);
	e->code = NULL;
}
