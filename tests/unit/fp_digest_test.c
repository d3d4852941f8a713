/* SPDX-License-Identifier: MIT */
/*
 * The portable floating point computes the same on every processor: digests of results and flags over a fixed set of
 * operands. They were taken on x86-64, where fp_providers and fp_x87_providers compare the same functions with the
 * processor; here other processors and compilers are held to them.
 */
#include "emu/sem/fp/provider_table.h"
#include "fp_operands.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { ROUNDS = 400, DAZ_FTZ_RC = 0xe040 };

static uint64_t mix(uint64_t digest, const void *data, size_t bytes)
{
	const uint8_t *p = data;

	while (bytes--)
		digest = (digest ^ *p++) * 0x100000001b3;
	return digest;
}

static void fill(struct fp_random *r, union vec *v)
{
	for (unsigned k = 0; k < 8; k++) {
		if (fp_below(r, 2))
			v->u64[k] = fp_number(r, 11, 52, v->u64[0]);
		else
			v->u64[k] = fp_number(r, 8, 23, v->u32[0]) << 32 | fp_number(r, 8, 23, v->u32[1]);
	}
}

static uint64_t sse_digest(const char *name, fp_sse_fn *fn)
{
	struct fp_random r = { 1 };
	uint64_t digest = mix(0, name, strlen(name));

	for (unsigned n = 0; n < ROUNDS; n++) {
		union vec d = { .u64 = { 0 } }, s[2] = { { .u64 = { 0 } }, { .u64 = { 0 } } };
		uint32_t flags;

		fill(&r, &d);
		fill(&r, &s[0]);
		fill(&r, &s[1]);
		flags = fn(&d, s, 0x1f80 | (fp_next(&r) & DAZ_FTZ_RC));
		digest = mix(digest, &d, 32);
		digest = mix(digest, &flags, sizeof(flags));
	}
	return digest;
}

static uint64_t x87_digest(const char *name, fp_x87_fn *fn)
{
	struct fp_random r = { 2 };
	uint64_t digest = mix(0, name, strlen(name));

	for (unsigned n = 0; n < ROUNDS; n++) {
		struct fp_x87 x;

		memset(&x, 0, sizeof(x));
		for (unsigned k = 0; k < 2; k++) {
			x.st[k].sig = fp_fraction(&r, 63) | (fp_below(&r, 16) ? 1ull << 63 : 0);
			x.st[k].se = (uint16_t)(fp_exponent(&r, 15, x.st[0].se & 0x7fff) | (fp_next(&r) & 0x8000));
		}
		for (unsigned k = 0; k < 10; k++)
			x.mem[k] = (uint8_t)(fp_below(&r, 10) << 4 | fp_below(&r, 10));
		x.cw = (uint16_t)(0x40 | (fp_below(&r, 2) ? 0x3f : fp_below(&r, 64)) | fp_below(&r, 16) << 8);
		fn(&x);
		for (unsigned k = 0; k < x.depth; k++) {
			digest = mix(digest, &x.st[k].sig, 8);
			digest = mix(digest, &x.st[k].se, 2);
		}
		digest = mix(digest, x.mem, 10);
		digest = mix(digest, &x.sw, 2);
		digest = mix(digest, &x.depth, 2);
	}
	return digest;
}

Test(fp_digest, sse)
{
	uint64_t sum = 0;

#define ADD_SSE(name) sum ^= sse_digest(#name, soft_##name);
	FP_SSE_ALL(ADD_SSE)
	cr_expect_eq(sum, 0x86c26482ee51bf83, "0x%lx", (unsigned long)sum);
}

Test(fp_digest, fma)
{
	uint64_t sum = 0;

	FP_FMA_ALL(ADD_SSE)
	cr_expect_eq(sum, 0x8e74c28206090705, "0x%lx", (unsigned long)sum);
}

Test(fp_digest, x87)
{
	uint64_t sum = 0;

#define ADD_X87(name) sum ^= x87_digest(#name, soft_##name);
	FP_X87_ALL(ADD_X87)
	cr_expect_eq(sum, 0xbf27c8a754a2a4ce, "0x%lx", (unsigned long)sum);
}
