/* SPDX-License-Identifier: MIT */
/* Making a block: decoding, handlers, and the link behind the last instruction. */
#include "internal.h"
#include "emu/core/ram.h"
#include "emu/decode/decode.h"
#include "emu/isa/isa.h"
#include "emu/mmu/mmu.h"
#include "emu/native/stub.h"

#include <string.h>

enum {
	BLOCK_MAX_BYTES = sizeof(struct block) + (BLOCK_MAX_INSNS + 1) * sizeof(struct insn),
	BLOCK_MAX_CODE = BLOCK_MAX_INSNS * INSN_MAX_BYTES,
};

static bool ends_block(const struct insn *i)
{
	return isa_rows[i->id].attr & (ISA_END | ISA_BRANCH);
}

/* RIP-relative displacements count from the start of the block. False: it does not fit any more. */
static bool rebase(struct insn *i, unsigned off)
{
	int32_t disp;

	i->off = (uint16_t)off;
	if (!i->is_mem || i->base != ADDR_PC || i->scale == INSN_DISP_FROM_END)
		return true;
	if (__builtin_add_overflow(i->disp, (int32_t)off, &disp))
		return false;
	i->disp = disp;
	return true;
}

/*
 * The bytes of a block, read once: what others store meanwhile changes all of what is made of a byte, or nothing. A
 * window of them is enough, which moves on.
 */
struct source {
	const uint8_t *host;
	unsigned room;	     /* bytes up to the end of the page */
	unsigned from, to;   /* what of them is in the window */
	uint8_t window[64];
};

/* From `off` on at least what one instruction can be, if the page has that much. */
static const uint8_t *bytes_at(struct source *s, unsigned off, unsigned *avail)
{
	if (s->to < s->room && off + INSN_MAX_BYTES > s->to) {
		s->from = off;
		s->to = s->room - off < sizeof(s->window) ? s->room : off + (unsigned)sizeof(s->window);
		ram_read_pieces(s->window, s->host + off, s->to - off);
	}
	*avail = s->to - off;
	return s->window + (off - s->from);
}

/* The first instruction reaches into the next page. */
static enum decode_result decode_crossing(struct emu *e, struct block *b, uint64_t linear, struct source *s)
{
	uint8_t bytes[2 * INSN_MAX_BYTES], *host2;
	struct code_claim claim;
	uint64_t gpa;

	memcpy(bytes, s->window, s->room);
	if (mmu_fetch_page(e, block_fetch_linear(e, linear - e->seg_base[SEG_CS] + s->room), &host2, &gpa))
		return DECODE_MORE; /* the fault is recorded */
	if (!host2 || !mmu_claim_code(e, host2, INSN_MAX_BYTES, &claim))
		return DECODE_MORE;
	ram_read_pieces(bytes + s->room, host2, INSN_MAX_BYTES);
	b->host2 = host2;
	return decode(bytes, s->room + INSN_MAX_BYTES, e->code_size, &b->insns[0]);
}

/* Decodes instructions into b->insns. False: not even one can be had. */
static bool fill_block(struct emu *e, struct block *b, uint64_t linear, struct source *s)
{
	unsigned off = 0;

	while (b->count < BLOCK_MAX_INSNS && off < s->room) {
		struct insn *i = &b->insns[b->count];
		unsigned avail;
		const uint8_t *bytes = bytes_at(s, off, &avail);
		enum decode_result r = decode(bytes, avail, e->code_size, i);

		if (r != DECODE_OK && b->count > 0)
			break;
		if (r == DECODE_MORE)
			r = decode_crossing(e, b, linear, s);
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
	struct link *l = block_link(b);
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
		if (last->base == ADDR_PC && last->scale)
			return;
		if (emu_is_canonical(e, target) && emu_is_canonical(e, next))
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

static void choose_handlers(struct emu *e, struct block *b)
{
	for (unsigned n = 0; n < b->count; n++) {
		struct insn *i = &b->insns[n];
		insn_handler *fn = i->base == ADDR_PC && i->scale ? NULL : fast_handler(e, i);

		i->fn = fn ? fn : h_generic;
		i->followed = n + 1 < b->count;
	}
	fast_drop_dead_flags(b->insns, b->count);
	pair_stack(b);
}

static void count_entries(const struct code_cache *c, struct block *b)
{
	b->first = b->insns[0].fn;
	b->heat = c->threshold;
	if (c->threshold && mode_word(b->key))
		b->insns[0].fn = h_count;
}

/* All that a block can be is claimed before it is decoded, and what it has not become is given back; of one that crosses pages
 * there is nothing to give. */
struct block *block_build(struct emu *e, uint64_t linear, const uint8_t *host)
{
	struct source s = { .host = host, .room = PAGE_SIZE - (unsigned)(linear & (PAGE_SIZE - 1)) };
	const unsigned most = s.room < BLOCK_MAX_CODE ? s.room : BLOCK_MAX_CODE;
	struct code_cache *c = e->code;
	struct code_claim claim;
	struct block *b;
	bool filled;

	if (halves_room(&c->at) < BLOCK_MAX_BYTES || native_memory_room(&c->native) < BLOCK_MAX_INSNS * NATIVE_STUB_MAX)
		code_turn(e);
	if (!mmu_claim_code(e, host, most, &claim))
		return NULL;
	b = (struct block *)(void *)(c->memory + c->at.used);
	memset(b, 0, sizeof(*b));
	b->host = host;
	b->pc = e->cpu.rip;
	b->key = e->mode_key;
	filled = fill_block(e, b, linear, &s);
	if (!b->host2)
		mmu_settle_code(e, &claim, host, filled ? b->bytes : 0);
	if (!filled)
		return NULL;
	choose_handlers(e, b);
	finish_link(e, b, linear);
	count_entries(c, b);
	block_enter(e, b);
	return b;
}
