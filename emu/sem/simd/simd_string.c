/* SPDX-License-Identifier: MIT */
/* PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (SDM vol. 2, 4.1 "Imm8 control byte operation"). */
#include "simd.h"

enum {
	STR_WORDS = 1 << 0,
	STR_SIGNED = 1 << 1,
	STR_AGGREGATION_SHIFT = 2,
	STR_NEGATE = 1 << 4,
	STR_MASKED = 1 << 5, /* negate only valid elements of the second operand */
	STR_LAST = 1 << 6,   /* index: most significant bit; mask: whole elements */
};

struct string {
	union vec v;
	unsigned length; /* valid elements */
};

static unsigned capacity(unsigned imm)
{
	return imm & STR_WORDS ? 8 : 16;
}

static int element(const struct string *s, unsigned imm, unsigned k)
{
	switch (imm & (STR_WORDS | STR_SIGNED)) {
	case 0:
		return s->v.u8[k];
	case STR_WORDS:
		return s->v.u16[k];
	case STR_SIGNED:
		return s->v.i8[k];
	}
	return s->v.i16[k];
}

/* Elements before the terminating zero. */
static unsigned implicit_length(const struct string *s, unsigned imm)
{
	unsigned k = 0;

	while (k < capacity(imm) && element(s, imm, k) != 0)
		k++;
	return k;
}

/* |EAX| or |EDX| (RAX, RDX with REX.W), saturated. */
static unsigned explicit_length(const struct insn *i, uint64_t reg, unsigned imm)
{
	const int64_t value = i->prefixes & PFX_REX_W ? (int64_t)reg : (int32_t)reg;
	const uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	return magnitude > capacity(imm) ? capacity(imm) : (unsigned)magnitude;
}

/* Equal any: is b[j] one of the characters of a? */
static bool in_set(const struct string *a, const struct string *b, unsigned imm, unsigned j)
{
	for (unsigned k = 0; k < a->length; k++)
		if (element(a, imm, k) == element(b, imm, j))
			return true;
	return false;
}

/* Ranges: a holds pairs of bounds. A pair whose upper bound is not valid does not match. */
static bool in_ranges(const struct string *a, const struct string *b, unsigned imm, unsigned j)
{
	for (unsigned k = 0; k + 1 < a->length; k += 2)
		if (element(a, imm, k) <= element(b, imm, j) && element(b, imm, j) <= element(a, imm, k + 1))
			return true;
	return false;
}

/* Equal ordered: does a begin at b[j]? Beyond the register nothing is compared; an invalid b[] ends the
 * match. */
static bool starts_at(const struct string *a, const struct string *b, unsigned imm, unsigned j)
{
	for (unsigned k = 0; k < a->length && j + k < capacity(imm); k++)
		if (j + k >= b->length || element(a, imm, k) != element(b, imm, j + k))
			return false;
	return true;
}

static bool match(const struct string *a, const struct string *b, unsigned imm, unsigned j)
{
	const bool valid = j < b->length;

	switch (imm >> STR_AGGREGATION_SHIFT & 3) {
	case 0:
		return valid && in_set(a, b, imm, j);
	case 1:
		return valid && in_ranges(a, b, imm, j);
	case 2: /* equal each: two invalid elements are equal */
		if (!valid || j >= a->length)
			return !valid && j >= a->length;
		return element(a, imm, j) == element(b, imm, j);
	}
	return starts_at(a, b, imm, j);
}

/* IntRes2 */
static unsigned aggregate(const struct string *a, const struct string *b, unsigned imm)
{
	unsigned result = 0;

	for (unsigned j = 0; j < capacity(imm); j++)
		result |= (unsigned)match(a, b, imm, j) << j;
	if (!(imm & STR_NEGATE))
		return result;
	return result ^ (imm & STR_MASKED ? (1u << b->length) - 1 : (1u << capacity(imm)) - 1);
}

static void return_index(struct emu *e, unsigned result, unsigned imm)
{
	unsigned index = capacity(imm);

	if (result)
		index = imm & STR_LAST ? 31 - (unsigned)__builtin_clz(result) : (unsigned)__builtin_ctz(result);
	e->cpu.gpr[RCX] = index;
}

static void return_mask(struct emu *e, unsigned result, unsigned imm)
{
	union vec *d = &e->cpu.vec[0];

	d->u64[0] = result;
	d->u64[1] = 0;
	if (!(imm & STR_LAST))
		return;
	for (unsigned k = 0; k < capacity(imm); k++) {
		if (imm & STR_WORDS)
			d->u16[k] = result >> k & 1 ? 0xffff : 0;
		else
			d->u8[k] = result >> k & 1 ? 0xff : 0;
	}
}

static int compare_strings(struct emu *e, const struct insn *i, bool is_explicit, bool index)
{
	const unsigned imm = (uint8_t)i->imm;
	struct string a = { .length = 0 }, b = { .length = 0 };
	unsigned result;
	uint64_t flags;

	/* These are the legacy SSE instructions whose memory operand need not be aligned. */
	if (sse_source_unaligned(e, i, &b.v))
		return EMU_STOP;
	memcpy(&a.v, sse_reg(e, i), SSE_BYTES);
	a.length = is_explicit ? explicit_length(i, e->cpu.gpr[RAX], imm) : implicit_length(&a, imm);
	b.length = is_explicit ? explicit_length(i, e->cpu.gpr[RDX], imm) : implicit_length(&b, imm);
	result = aggregate(&a, &b, imm);
	flags = (result ? RFLAGS_CF : 0) | (b.length < capacity(imm) ? RFLAGS_ZF : 0) |
		(a.length < capacity(imm) ? RFLAGS_SF : 0) | (result & 1 ? RFLAGS_OF : 0);
	if (index)
		return_index(e, result, imm);
	else
		return_mask(e, result, imm);
	emu_flags_set(e, RFLAGS_ARITH, flags);
	return 0;
}

SEM(sse_pcmpestrm)
{
	return compare_strings(e, i, true, false);
}

SEM(sse_pcmpestri)
{
	return compare_strings(e, i, true, true);
}

SEM(sse_pcmpistrm)
{
	return compare_strings(e, i, false, false);
}

SEM(sse_pcmpistri)
{
	return compare_strings(e, i, false, true);
}

/* VEX: the mask goes to XMM0, too, and clears what is above it. */
static int mask_vex(struct emu *e, const struct insn *i, bool is_explicit)
{
	if (compare_strings(e, i, is_explicit, false))
		return EMU_STOP;
	memset(e->cpu.vec[0].u8 + SSE_BYTES, 0, sizeof(e->cpu.vec[0]) - SSE_BYTES);
	return 0;
}

SEM(avx_pcmpestrm)
{
	return mask_vex(e, i, true);
}

SEM(avx_pcmpistrm)
{
	return mask_vex(e, i, false);
}
