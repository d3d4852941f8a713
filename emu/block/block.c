/* SPDX-License-Identifier: MIT */
/* The code cache: building blocks, finding them, dropping them when their bytes change. */
#include "block.h"
#include "emu/decode/decode.h"
#include "emu/isa/isa.h"
#include "emu/mmu/mmu.h"

#include <string.h>

enum { BLOCK_MAX_BYTES = sizeof(struct block) + (BLOCK_MAX_INSNS + 1) * sizeof(struct insn) };

static uint64_t fetch_linear(const struct emu *e, uint64_t pc)
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
	b->dead = true;
	b->insns[0].fn = h_dead;
	hash_remove(e->code, b);
	if (b == e->block)
		e->stop = true;
	e->code->dropped++;
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

	for (size_t at = 0; at < c->used;) {
		struct block *b = (struct block *)(void *)(c->memory + at);
		uint64_t page = mmu_page_index(e, b->host);

		c->page_blocks[page] = NULL;
		e->mmu->code_granules[page] = 0;
		if (b->host2) {
			page = mmu_page_index(e, b->host2);
			c->page_blocks[page] = NULL;
			e->mmu->code_granules[page] = 0;
		}
		at += b->size;
	}
	memset(c->bucket, 0, sizeof(c->bucket));
	memset(c->jump, 0, sizeof(c->jump));
	c->used = 0;
	c->generation++;
	c->flushes++;
	e->block = NULL;
	e->interp->patch = NULL;
}

/* ---- building ---- */

static bool is_canonical(const struct emu *e, uint64_t v)
{
	unsigned shift = e->cpu.cr4 & CR4_LA57 ? 7 : 16;

	return (uint64_t)((int64_t)(v << shift) >> shift) == v;
}

static bool ends_block(const struct insn *i)
{
	return isa_rows[i->id].attr & (ISA_END | ISA_BRANCH);
}

/* RIP-relative displacements count from the start of the block. False: it does not fit any more. */
static bool rebase(struct insn *i, unsigned off)
{
	int32_t disp;

	i->off = (uint16_t)off;
	if (!i->is_mem || i->base != GPR_PC || i->scale == INSN_DISP_FROM_END)
		return true;
	if (__builtin_add_overflow(i->disp, (int32_t)off, &disp))
		return false;
	i->disp = disp;
	return true;
}

/* The first instruction reaches into the next page. */
static enum decode_result decode_crossing(struct emu *e, struct block *b, uint64_t linear, unsigned room)
{
	uint8_t bytes[2 * INSN_MAX_BYTES], *host2;
	uint64_t gpa;

	memcpy(bytes, b->host, room);
	if (mmu_fetch_page(e, fetch_linear(e, linear - e->seg_base[SEG_CS] + room), &host2, &gpa))
		return DECODE_MORE; /* the fault is recorded */
	if (!host2)
		return DECODE_MORE;
	memcpy(bytes + room, host2, INSN_MAX_BYTES);
	b->host2 = host2;
	return decode(bytes, room + INSN_MAX_BYTES, e->code_size, &b->insns[0]);
}

/* Decodes instructions into b->insns. False: not even one can be had. */
static bool fill_block(struct emu *e, struct block *b, uint64_t linear)
{
	unsigned room = PAGE_SIZE - (unsigned)(linear & (PAGE_SIZE - 1)), off = 0;

	while (b->count < BLOCK_MAX_INSNS && off < room) {
		struct insn *i = &b->insns[b->count];
		enum decode_result r = decode(b->host + off, room - off, e->code_size, i);

		if (r != DECODE_OK && b->count > 0)
			break;
		if (r == DECODE_MORE)
			r = decode_crossing(e, b, linear, room);
		if (r == DECODE_UD && !b->host2)
			*i = (struct insn){ .id = ISA_INVALID, .len = 1 };
		else if (r != DECODE_OK)
			return false; /* invalid because of what stands in the next page, too: that may change */
		if (!rebase(i, off))
			break;
		off += i->len;
		b->count++;
		if (r == DECODE_UD || ends_block(i))
			break;
	}
	b->bytes = (uint16_t)off;
	return true;
}

static void finish_link(struct emu *e, struct block *b, uint64_t linear)
{
	struct link *l = (struct link *)(void *)&b->insns[b->count];
	struct insn *last = &b->insns[b->count - 1];
	insn_handler *fn = NULL;
	uint64_t next = linear + b->bytes, target;

	memset(l, 0, sizeof(struct insn));
	l->fn = h_end;
	l->count = b->count;
	l->end = b->bytes;
	l->cross[0] = ((next ^ linear) & PAGE_MASK) != 0;
	if (isa_rows[last->id].attr & ISA_BRANCH) {
		target = next + last->imm;
		l->cross[1] = ((target ^ linear) & PAGE_MASK) != 0;
		if (last->base == GPR_PC && last->scale)
			return;
		if (is_canonical(e, target) && is_canonical(e, next))
			fn = fast_branch_handler(e, last, l);
		if (!fn)
			return;
		last->fn = fn;
		if (b->count > 1 && last[-1].fn != h_generic) {
			fn = fast_fused(e, last - 1, last);
			last[-1].fn = fn ? fn : last[-1].fn;
		}
	}
}

static void pair_stack(struct block *b)
{
	for (unsigned n = 0; n + 1 < b->count; n++) {
		insn_handler *fn = fast_stack_pair(&b->insns[n]);

		if (fn)
			b->insns[n++].fn = fn;
	}
}

static struct block *build(struct emu *e, uint64_t linear, const uint8_t *host)
{
	struct code_cache *c = e->code;
	struct block *b;

	if (c->used + BLOCK_MAX_BYTES > c->bytes)
		code_flush(e);
	b = (struct block *)(void *)(c->memory + c->used);
	memset(b, 0, sizeof(*b));
	b->host = host;
	b->pc = e->cpu.rip;
	b->key = e->mode_key;
	if (!fill_block(e, b, linear))
		return NULL;
	for (unsigned n = 0; n < b->count; n++) {
		struct insn *i = &b->insns[n];
		insn_handler *fn = i->base == GPR_PC && i->scale ? NULL : fast_handler(e, i);

		i->fn = fn ? fn : h_generic;
	}
	fast_drop_dead_flags(b->insns, b->count);
	pair_stack(b);
	finish_link(e, b, linear);
	b->size = (uint32_t)((sizeof(*b) + (b->count + 1u) * sizeof(struct insn) + 15) & ~15u);
	c->used += b->size;
	c->built++;
	hash_insert(c, b);
	page_insert(e, b, b->host, 0);
	mmu_claim_code(e, b->host, bytes_in_first_page(b));
	if (b->host2) {
		page_insert(e, b, b->host2, 1);
		mmu_claim_code(e, b->host2, b->bytes - bytes_in_first_page(b));
	}
	return b;
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
	uint64_t linear = fetch_linear(e, e->cpu.rip), gpa;
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
		b = build(e, linear, host);
	else if (e->code->bucket[block_hash(host)] != b) { /* keep what is in use in front */
		hash_remove(e->code, b);
		hash_insert(e->code, b);
	}
	return b && within_limit(e, b) ? b : NULL;
}
