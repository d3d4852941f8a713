/* SPDX-License-Identifier: MIT */
/* AVX-512 instructions that choose their memory: compress and expand, gathers and scatters. */
#include "evex.h"

/* ---- compress and expand: selected elements stand together in memory -------------------------------------- */

static unsigned lanes(const struct insn *i)
{
	return evex_bytes(i) / evex_row(i)->elem;
}

/* A register destination gets the compressed elements at its low end; a mask of as many ones says which they are. */
SEM(evex_compress)
{
	const unsigned size = evex_row(i)->elem;
	const uint64_t mask = evex_mask(e, i) & low_bits(lanes(i));
	const union vec s = *sse_reg(e, i);
	union vec d = { .u64 = { 0 } };
	unsigned count = 0;

	for (unsigned k = 0; k < lanes(i); k++)
		if (mask >> k & 1)
			memcpy(d.u8 + count++ * size, s.u8 + k * size, size);
	if (i->is_mem)
		return count ? evex_store_elements(e, i, &d, count * size, size, UINT64_MAX) : 0;
	if (!i->zero)
		memcpy(d.u8 + count * size, e->cpu.vec[i->rm].u8 + count * size, evex_bytes(i) - count * size);
	vex_put(e, i->rm, &d, evex_bytes(i));
	return 0;
}

SEM(evex_expand)
{
	const unsigned size = evex_row(i)->elem;
	const uint64_t mask = evex_mask(e, i) & low_bits(lanes(i));
	const unsigned count = (unsigned)__builtin_popcountll(mask);
	union vec s = e->cpu.vec[i->rm & 31], d;
	unsigned next = 0;

	if (i->is_mem && count && evex_load_elements(e, i, &s, count * size, size, UINT64_MAX))
		return EMU_STOP;
	for (unsigned k = 0; k < lanes(i); k++)
		if (mask >> k & 1)
			memcpy(d.u8 + k * size, s.u8 + next++ * size, size);
	evex_write(e, i, &d);
	return 0;
}

/* ---- gathers and scatters --------------------------------------------------------------------------------- */

static int indexed_linear(struct emu *e, const struct insn *i, unsigned k, bool quads, bool write, uint64_t *linear)
{
	const union vec *index = &e->cpu.vec[i->index];
	const uint64_t value = quads ? index->u64[k] : (uint64_t)(int64_t)index->i32[k];
	const uint64_t ea = emu_address_register(e, i->base) + (value << i->scale) + (uint64_t)(int64_t)i->disp;

	return emu_seg_linear(e, i->seg, i->asize == 8 ? ea : (uint32_t)ea, evex_row(i)->esize, write, linear);
}

/* The longer of index and element decides how many there are. */
static unsigned indexed_count(const struct insn *i, bool quads)
{
	return evex_bytes(i) / (quads || evex_row(i)->esize == 8 ? 8 : 4);
}

/*
 * Elements go from the lowest on; each one that has arrived clears its mask bit, so that after a fault the instruction
 * goes on where it stopped (SDM vol. 2, VPGATHERDD). The first one clears what is above the vector length; only the end
 * what is above the elements, and the whole mask. (Of faults the manual does not say when: this was measured.)
 */
static int gather(struct emu *e, const struct insn *i, bool quads)
{
	const unsigned size = evex_row(i)->esize, count = indexed_count(i, quads);
	union vec *d = sse_reg(e, i);
	uint64_t *mask = &e->cpu.k[i->mask], linear;

	for (unsigned k = 0; k < count; k++) {
		if (!(*mask >> k & 1))
			continue;
		if (indexed_linear(e, i, k, quads, false, &linear) || emu_read(e, i->seg, linear, d->u8 + k * size, size))
			return EMU_STOP;
		*mask &= ~(1ull << k);
		memset(d->u8 + evex_bytes(i), 0, sizeof(*d) - evex_bytes(i));
	}
	*mask = 0;
	memset(d->u8 + count * size, 0, sizeof(*d) - count * size);
	return 0;
}

/* Overlapping elements are written in order, so the highest one stays (VPSCATTERDD). */
static int scatter(struct emu *e, const struct insn *i, bool quads)
{
	const unsigned size = evex_row(i)->esize, count = indexed_count(i, quads);
	const union vec *s = sse_reg(e, i);
	uint64_t *mask = &e->cpu.k[i->mask], linear;

	for (unsigned k = 0; k < count; k++) {
		if (!(*mask >> k & 1))
			continue;
		if (indexed_linear(e, i, k, quads, true, &linear) || emu_write(e, i->seg, linear, s->u8 + k * size, size))
			return EMU_STOP;
		*mask &= ~(1ull << k);
	}
	*mask = 0;
	return 0;
}

SEM(evex_gather_d)
{
	return gather(e, i, false);
}

SEM(evex_gather_q)
{
	return gather(e, i, true);
}

SEM(evex_scatter_d)
{
	return scatter(e, i, false);
}

SEM(evex_scatter_q)
{
	return scatter(e, i, true);
}
