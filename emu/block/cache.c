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

void code_flush(struct emu *e)
{
	struct code_cache *c = e->code;

	counter_add(&e->counters->of[COUNTER_CODE_FLUSHES], 1);
	for (size_t at = 0; at < c->used;) {
		struct block *b = (struct block *)(void *)(c->memory + at);
		uint64_t page = mmu_page_index(e, b->host);

		c->page_blocks[page] = NULL;
		mmu_release_code(e, page);
		if (b->host2) {
			page = mmu_page_index(e, b->host2);
			c->page_blocks[page] = NULL;
			mmu_release_code(e, page);
		}
		at += b->size;
	}
	memset(c->bucket, 0, sizeof(c->bucket));
	memset(c->jump, 0, sizeof(c->jump));
	native_memory_reset(&c->native);
	c->full = false;
	e->hooks->code_flushed(e);
	c->used = 0;
	c->generation++;
	e->block = NULL;
	e->code->patch = NULL;
}

bool block_holds_memory(const struct emu *e)
{
	return e->code->used > WORTH_GIVING_BACK;
}

void block_give_back(struct emu *e)
{
	struct code_cache *c = e->code;

	counter_add(&e->counters->of[COUNTER_CODE_GIVEN_BACK], 1);
	code_flush(e);
	mmu_give_back(c->memory, c->bytes);
	e->hooks->code_given_back(e);
	native_memory_give_back(&c->native);
}

/* ---- finding ---- */

void block_enter(struct emu *e, struct block *b)
{
	struct code_cache *c = e->code;

	b->size = (uint32_t)((sizeof(*b) + (b->count + 1u) * sizeof(struct insn) + BLOCK_ALIGN - 1) & ~(BLOCK_ALIGN - 1u));
	c->used += b->size;
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
		code_flush(e);
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
