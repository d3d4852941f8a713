/* SPDX-License-Identifier: MIT */
/* AVX-512 data movement: masked moves, broadcasts, parts of registers, between vectors and opmasks. */
#include "evex.h"

/* ---- whole registers ------------------------------------------------------------------------------------- */

SEM(evex_movu_load)
{
	union vec v;

	if (evex_source(e, i, &v))
		return EMU_STOP;
	evex_write(e, i, &v);
	return 0;
}

SEM(evex_movu_store)
{
	const union vec v = *sse_reg(e, i);

	return evex_store(e, i, &v);
}

/* Alignment to the vector length, even where the mask leaves everything out: #GP(0) before any page fault. */
static int check_aligned(struct emu *e, const struct insn *i, bool write)
{
	uint64_t linear;

	if (!i->is_mem)
		return 0;
	if (simd_linear(e, i, evex_bytes(i), write, &linear))
		return EMU_STOP;
	return linear & (evex_bytes(i) - 1) ? emu_gp0(e) : 0;
}

SEM(evex_mova_load)
{
	return check_aligned(e, i, false) ? EMU_STOP : sem_evex_movu_load(e, i);
}

SEM(evex_mova_store)
{
	return check_aligned(e, i, true) ? EMU_STOP : sem_evex_movu_store(e, i);
}

/* ---- scalars --------------------------------------------------------------------------------------------- */

SEM(evex_mov_scalar_load)
{
	static const union vec zero;
	union vec v;

	if (evex_load_elements(e, i, &v, evex_row(i)->esize, evex_row(i)->esize, evex_mask(e, i)))
		return EMU_STOP;
	evex_put_scalar(e, i, i->reg, &v, &zero);
	return 0;
}

SEM(evex_mov_scalar)
{
	const union vec v = e->cpu.vec[i->rm], upper = *vex_first(e, i);

	evex_put_scalar(e, i, i->reg, &v, &upper);
	return 0;
}

SEM(evex_mov_scalar_reg)
{
	const union vec v = *sse_reg(e, i), upper = *vex_first(e, i);

	evex_put_scalar(e, i, i->rm, &v, &upper);
	return 0;
}

SEM(evex_mov_scalar_store)
{
	return evex_store_elements(e, i, sse_reg(e, i), evex_row(i)->esize, evex_row(i)->esize, evex_mask(e, i));
}

/* ---- duplications and broadcasts ------------------------------------------------------------------------- */

static int duplicate(struct emu *e, const struct insn *i, unsigned size, unsigned from)
{
	union vec s, d;

	if (evex_source(e, i, &s))
		return EMU_STOP;
	for (unsigned at = 0; at < EVEX_BYTES; at += 2 * size) {
		memcpy(d.u8 + at, s.u8 + at + from, size);
		memcpy(d.u8 + at + size, s.u8 + at + from, size);
	}
	evex_write(e, i, &d);
	return 0;
}

SEM(evex_movsldup)
{
	return duplicate(e, i, 4, 0);
}

SEM(evex_movshdup)
{
	return duplicate(e, i, 4, 4);
}

SEM(evex_movddup)
{
	return duplicate(e, i, 8, 0);
}

/* The elements of a source of `count` that any destination element wants. */
static uint64_t wanted(uint64_t mask, unsigned lanes, unsigned count)
{
	uint64_t any = 0;

	mask &= low_bits(lanes);
	for (; mask; mask >>= count)
		any |= mask & low_bits(count);
	return any;
}

/* The source (1, 2, 4 or 8 elements) again and again. */
SEM(evex_broadcast)
{
	const struct isa_row *r = evex_row(i);
	const unsigned bytes = evex_memory_bytes(i);
	const uint64_t mask = wanted(evex_mask(e, i), evex_bytes(i) / r->elem, bytes / r->esize);
	union vec v = e->cpu.vec[i->rm & 31];

	if (i->is_mem && evex_load_elements(e, i, &v, bytes, r->esize, mask))
		return EMU_STOP;
	for (unsigned done = bytes; done < EVEX_BYTES; done *= 2)
		memcpy(v.u8 + done, v.u8, done);
	evex_write(e, i, &v);
	return 0;
}

static void fill(union vec *v, unsigned size, uint64_t value)
{
	for (unsigned at = 0; at < EVEX_BYTES; at += size)
		memcpy(v->u8 + at, &value, size);
}

SEM(evex_broadcast_gpr)
{
	union vec v;

	fill(&v, evex_row(i)->elem, e->cpu.gpr[i->rm & 15]);
	evex_write(e, i, &v);
	return 0;
}

SEM(evex_pbroadcastmb2q)
{
	union vec v;

	fill(&v, 8, e->cpu.k[i->rm & 7] & 0xff);
	evex_write(e, i, &v);
	return 0;
}

SEM(evex_pbroadcastmw2d)
{
	union vec v;

	fill(&v, 4, e->cpu.k[i->rm & 7] & 0xffff);
	evex_write(e, i, &v);
	return 0;
}

/* ---- between vectors and opmasks: the sign bit of each element -------------------------------------------- */

SEM(evex_pmovm2)
{
	const unsigned size = evex_row(i)->elem;
	union vec v;

	for (unsigned k = 0; k < EVEX_BYTES / size; k++)
		memset(v.u8 + k * size, e->cpu.k[i->rm & 7] >> k & 1 ? 0xff : 0, size);
	evex_write(e, i, &v);
	return 0;
}

SEM(evex_pmov2m)
{
	const unsigned size = evex_row(i)->elem;
	const union vec *v = &e->cpu.vec[i->rm];
	uint64_t bits = 0;

	for (unsigned k = 0; k < EVEX_BYTES / size; k++)
		bits |= (uint64_t)(v->u8[(k + 1) * size - 1] >> 7) << k;
	evex_put_opmask(e, i, bits);
	return 0;
}

/* ---- 128- and 256-bit parts ------------------------------------------------------------------------------ */

/* Where the part stands that the immediate selects. */
static unsigned part_offset(const struct insn *i)
{
	const unsigned bytes = evex_memory_bytes(i);

	return ((unsigned)i->imm & (evex_bytes(i) / bytes - 1)) * bytes;
}

SEM(evex_insert)
{
	union vec d = *vex_first(e, i), s;

	if (evex_source(e, i, &s))
		return EMU_STOP;
	memcpy(d.u8 + part_offset(i), &s, evex_memory_bytes(i));
	evex_write(e, i, &d);
	return 0;
}

SEM(evex_extract)
{
	union vec v;

	memcpy(&v, sse_reg(e, i)->u8 + part_offset(i), evex_memory_bytes(i));
	return evex_store(e, i, &v);
}

/* ---- widening and narrowing ------------------------------------------------------------------------------- */

#define EVEX_WIDEN(name, from, to)                                                                                \
	SEM(evex_##name)                                                                                          \
	{                                                                                                         \
		union vec s, d;                                                                                   \
		if (evex_source(e, i, &s))                                                                        \
			return EMU_STOP;                                                                          \
		for (unsigned k = 0; k < EVEX_BYTES / sizeof(d.to[0]); k++)                                       \
			d.to[k] = s.from[k];                                                                      \
		evex_write(e, i, &d);                                                                             \
		return 0;                                                                                         \
	}
EVEX_WIDEN(pmovsxbw, i8, i16)
EVEX_WIDEN(pmovsxbd, i8, i32)
EVEX_WIDEN(pmovsxbq, i8, i64)
EVEX_WIDEN(pmovsxwd, i16, i32)
EVEX_WIDEN(pmovsxwq, i16, i64)
EVEX_WIDEN(pmovsxdq, i32, i64)
EVEX_WIDEN(pmovzxbw, u8, u16)
EVEX_WIDEN(pmovzxbd, u8, u32)
EVEX_WIDEN(pmovzxbq, u8, u64)
EVEX_WIDEN(pmovzxwd, u16, u32)
EVEX_WIDEN(pmovzxwq, u16, u64)
EVEX_WIDEN(pmovzxdq, u32, u64)

FPU_INLINE int64_t clamp_signed(int64_t v, unsigned bits)
{
	const int64_t most = (int64_t)low_bits(bits - 1);

	return v < ~most ? ~most : v > most ? most : v;
}

FPU_INLINE uint64_t clamp_unsigned(uint64_t v, unsigned bits)
{
	return v > low_bits(bits) ? low_bits(bits) : v;
}

#define EVEX_NARROW(name, from, to, expr)                                                                         \
	SEM(evex_##name)                                                                                          \
	{                                                                                                         \
		const unsigned bits = 8 * sizeof(((union vec *)0)->to[0]);                                        \
		const union vec *s = sse_reg(e, i);                                                               \
		union vec d = { .u64 = { 0 } };                                                                   \
		(void)bits;                                                                                       \
		for (unsigned k = 0; k < EVEX_BYTES / sizeof(s->from[0]); k++) {                                  \
			const __typeof__(s->from[0]) x = s->from[k];                                              \
			d.to[k] = (__typeof__(d.to[0]))(expr);                                                    \
		}                                                                                                 \
		return evex_store(e, i, &d);                                                                       \
	}
#define EVEX_NARROWS(s, uf, sf, to)                                                                               \
	EVEX_NARROW(pmov##s, uf, to, x)                                                                           \
	EVEX_NARROW(pmovs##s, sf, to, clamp_signed(x, bits))                                                      \
	EVEX_NARROW(pmovus##s, uf, to, clamp_unsigned(x, bits))
EVEX_NARROWS(wb, u16, i16, u8)
EVEX_NARROWS(db, u32, i32, u8)
EVEX_NARROWS(qb, u64, i64, u8)
EVEX_NARROWS(dw, u32, i32, u16)
EVEX_NARROWS(qw, u64, i64, u16)
EVEX_NARROWS(qd, u64, i64, u32)
