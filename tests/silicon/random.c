/* SPDX-License-Identifier: MIT */
/* Random values, thick with those that instructions treat specially. */
#include "values.h"

#include <string.h>

static uint64_t seed_state = 1;

/* xorshift64* */
uint64_t rnd(void)
{
	seed_state ^= seed_state >> 12;
	seed_state ^= seed_state << 25;
	seed_state ^= seed_state >> 27;
	return seed_state * 0x2545f4914f6cdd1dull;
}

void rnd_seed(uint64_t seed)
{
	seed_state = seed | 1;
}

static const uint32_t f32_special[] = {
	0, 1, 2, 0x007fffff, 0x00400000, 0x00800000, 0x00800001, 0x3f800000, 0x3f800001, 0x3f7fffff, 0x40000000,
	0x3f000000, 0x3fc00000, 0x4b000000, 0x4effffff, 0x4f000000, 0x5effffff, 0x5f000000, 0x7f7fffff, 0x7f800000,
	0x7f800001, 0x7fbfffff, 0x7fc00000, 0x7fc12345, 0x7fffffff, 0x1f800000, 0x20000000, 0x5f800000, 0x00ffffff,
};

static const uint64_t f64_special[] = {
	0, 1, 0x000fffffffffffff, 0x0008000000000000, 0x0010000000000000, 0x0010000000000001, 0x3ff0000000000000,
	0x3ff0000000000001, 0x3fefffffffffffff, 0x4000000000000000, 0x3fe0000000000000, 0x3ff8000000000000,
	0x41dfffffffc00000, 0x41e0000000000000, 0x41dfffffffe00000, 0x43dfffffffffffff, 0x43e0000000000000,
	0x7fefffffffffffff, 0x7ff0000000000000, 0x7ff0000000000001, 0x7ff7ffffffffffff, 0x7ff8000000000000,
	0x7ff8000012345678, 0x7fffffffffffffff, 0x36a0000000000000, 0x380fffffffffffff, 0x3810000000000000,
	0x47efffffe0000000, 0x47effffff0000000, 0x47f0000000000000, 0x1ff0000000000000,
};

static const uint64_t integer_special[] = {
	0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff,
	0x8000000000000000, 0xffffffffffffffff, 0x8080808080808080, 0x7f7f7f7f7f7f7f7f, 0x8000800080008000,
	0x7fff7fff7fff7fff, 0x8000000080000000, 16, 15, 32, 63, 64, 0x0101010101010101,
};

#define PICK(table) (table)[rnd_below(sizeof(table) / sizeof((table)[0]))]

static uint32_t random_f32(void)
{
	const uint32_t sign = (uint32_t)rnd() & 0x80000000;

	switch (rnd_below(4)) {
	case 0:
		return (uint32_t)rnd();
	case 1: /* exponents near one another: cancellation, rounding */
		return sign | (uint32_t)(120 + rnd_below(16)) << 23 | ((uint32_t)rnd() & 0x7fffff);
	default:
		return sign | PICK(f32_special);
	}
}

static uint64_t random_f64(void)
{
	const uint64_t sign = rnd() & 0x8000000000000000;

	switch (rnd_below(4)) {
	case 0:
		return rnd();
	case 1:
		return sign | (uint64_t)(1010 + rnd_below(60)) << 52 | (rnd() & 0xfffffffffffff);
	default:
		return sign | PICK(f64_special);
	}
}

/* Significands and exponents are combined freely: this makes unnormals, pseudo-denormals, pseudo-NaNs as
 * well. */
static void random_f80(uint8_t out[10])
{
	static const uint64_t sigs[] = { 0,
					 1,
					 0x8000000000000000,
					 0x8000000000000001,
					 0xc000000000000000,
					 0xa000000000000000,
					 0xffffffffffffffff,
					 0xfffffffffffff800,
					 0xffffff0000000000,
					 0xfffffffffffffc00,
					 0xffffff8000000000,
					 0x4000000000000000,
					 0x7fffffffffffffff };
	static const uint16_t exps[] = { 0,	 1,	 2,	 0x3bff, 0x3c00, 0x3c01, 0x3f80, 0x3f81, 0x3ffd,
					 0x3ffe, 0x3fff, 0x4000, 0x400d, 0x400e, 0x401d, 0x401e, 0x403d, 0x403e,
					 0x403f, 0x407e, 0x407f, 0x43fe, 0x43ff, 0x7ffd, 0x7ffe, 0x7fff };
	uint64_t sig = rnd_below(2) ? PICK(sigs) : rnd();
	uint16_t se = rnd_below(4) ? PICK(exps) : (uint16_t)(rnd() & 0x7fff);

	if (se && rnd_below(8))
		sig |= 0x8000000000000000;
	if (rnd_below(4) == 0) /* moderate values, for functions */
		se = (uint16_t)(0x3ff0 + rnd_below(0x20));
	se |= (uint16_t)(rnd() & 0x8000);
	memcpy(out, &sig, 8);
	memcpy(out + 8, &se, 2);
}

void random_bytes(void *out, unsigned bytes)
{
	const unsigned kind = rnd_below(5);
	uint8_t chunk[10];
	unsigned step;

	for (unsigned done = 0; done < bytes; done += step) {
		uint64_t v = kind == 0 ? random_f64() : kind == 1 ? PICK(integer_special) : rnd();
		const uint32_t f = random_f32();

		memcpy(chunk, &v, 8);
		step = 8;
		if (kind == 2) {
			memcpy(chunk, &f, 4);
			step = 4;
		} else if (kind == 3) {
			random_f80(chunk);
			step = 10;
		}
		memcpy((uint8_t *)out + done, chunk, step < bytes - done ? step : bytes - done);
	}
}

void random_x87(struct fximage *fx)
{
	fx->cw = (uint16_t)(0x40 | (rnd() & 0x1f00) | (rnd_below(4) ? 0x3f : rnd() & 0x3f));
	fx->sw = (uint16_t)(rnd() & 0x7f00);
	/* Mostly no exception is pending; then flags may be set only where they are masked. */
	if (rnd_below(2))
		fx->sw |= (uint16_t)(rnd() & 0x7f & (rnd_below(16) ? fx->cw | 0x40 : 0x7f));
	if (fx->sw & ~fx->cw & 0x3f)
		fx->sw |= 0x8080;
	fx->tag = rnd_below(3) ? (rnd_below(2) ? 0xff : (uint8_t)rnd()) : 0x7f;
	/* An occupied stack with room above it is the common case of programs. */
	if (rnd_below(2)) {
		const unsigned top = fx->sw >> 11 & 7, depth = 1 + rnd_below(7);
		fx->tag = 0;
		for (unsigned n = 0; n < depth; n++)
			fx->tag |= (uint8_t)(1u << ((top + n) & 7));
	}
	for (unsigned n = 0; n < 8; n++)
		random_f80(fx->st[n]);
	fx->fop = (uint16_t)(rnd() & 0x7ff);
	fx->fip = rnd() & 0x7fffffffffff;
	fx->fdp = rnd() & 0x7fffffffffff;
}

uint64_t random_integer(void)
{
	return rnd_below(2) ? PICK(integer_special) : rnd();
}
