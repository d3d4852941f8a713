/* SPDX-License-Identifier: MIT */
/*
 * AVX512-FP16 from first principles, since no processor at hand has it: sums, products and quotients, also of complex
 * numbers, against half_machine.h; roots are compared as integers. Then the instructions: encoding, masks, embedded
 * rounding, MXCSR.
 */
#include "half_machine.h"

/* ---- arithmetic ---------------------------------------------------------------------------------------- */

enum { ROUNDS = 60000 };

/* VxxxSH xmm1, xmm2, xmm3 with MXCSR's rounding; returns the result, flags in *flags. */
static uint16_t run(uint8_t map, uint8_t pp, uint8_t opcode, uint16_t d, uint16_t a, uint16_t b, unsigned rc, unsigned *flags)
{
	struct cpu *c = &machine->cpu;

	c->vec[1].u16[0] = d;
	c->vec[2].u16[0] = a;
	c->vec[3].u16[0] = b;
	c->mxcsr = 0x1f80 | rc << RC_SHIFT;
	cr_assert_eq(STEP(0x62, 0xf0 | map, 0x6c | pp, 0x08, opcode, 0xcb), 0, "%x", opcode);
	*flags = c->mxcsr & FLAGS;
	return c->vec[1].u16[0];
}

enum { MAP5 = 5, MAP6 = 6, NP = 0, P66 = 1, PF3 = 2 };

#define EXPECT(what, want, flags)                                                                                 \
	cr_assert(got == (want) && raised == (flags), "%s %04x %04x %04x rc %u: %04x flags %x, not %04x flags %x", what, \
		  d, a, b, rc, got, raised, (unsigned)(want), flags)

Test(avx512fp16, sums_and_products)
{
	struct fp_random r = { 5 };

	setup();
	for (unsigned n = 0; n < ROUNDS; n++) {
		const uint16_t d = 0, a = some_half(&r), b = some_half(&r);
		const unsigned rc = (unsigned)fp_below(&r, 4), denormal = denormal_flag(a) | denormal_flag(b);
		const bool both_negative = a >> 15 && b >> 15, zeroes = !(a & 0x7fff) && !(b & 0x7fff);
		const bool same = (a ^ b) >> 15 == 0;
		unsigned raised, flags = denormal;
		uint16_t got = run(MAP5, PF3, 0x58, d, a, b, rc, &raised), want;

		want = rounded_sum(units(a) + units(b), 0, zeroes && same ? both_negative : rc == DOWN, rc, &flags);
		EXPECT("add", want, flags);
		flags = denormal;
		got = run(MAP5, PF3, 0x59, d, a, b, rc, &raised);
		want = rounded_sum(units(a) * units(b), 24, !same, rc, &flags);
		if (!(want & 0x7fff))
			want = same ? 0 : 0x8000;
		EXPECT("mul", want, flags);
	}
}

Test(avx512fp16, fused_multiply_add)
{
	struct fp_random r = { 6 };

	setup();
	for (unsigned n = 0; n < ROUNDS; n++) {
		const uint16_t d = some_half(&r), a = some_half(&r), b = some_half(&r);
		const unsigned rc = (unsigned)fp_below(&r, 4);
		unsigned raised, flags = 0;
		const uint16_t got = run(MAP6, P66, 0xb9, d, a, b, rc, &raised); /* 231: d = a * b + d */
		const uint16_t want = ref_fma(false, a, b, d, rc, &flags);

		EXPECT("fma", want, flags);
	}
}

Test(avx512fp16, quotients)
{
	struct fp_random r = { 7 };

	setup();
	for (unsigned n = 0; n < ROUNDS; n++) {
		const uint16_t d = 0, a = some_half(&r), b = some_half(&r);
		const unsigned rc = (unsigned)fp_below(&r, 4);
		const bool negative = (a ^ b) >> 15;
		unsigned raised, flags = 0;
		const uint16_t got = run(MAP5, PF3, 0x5e, d, a, b, rc, &raised);
		uint16_t want;

		if (!(b & 0x7fff)) {
			flags = a & 0x7fff ? ZE : IE;
			want = a & 0x7fff ? (uint16_t)(negative << 15 | 0x7c00) : 0xfe00;
		} else {
			const wide x = units(a) < 0 ? -units(a) : units(a), y = units(b) < 0 ? -units(b) : units(b);

			flags = denormal_flag(a) | denormal_flag(b);
			want = rounded(x << 24, y, negative, rc, &flags);
		}
		EXPECT("div", want, flags);
	}
}

/* The result is right if its neighbours' midpoints, squared, enclose the operand: only RC nearest is checked. */
Test(avx512fp16, roots)
{
	setup();
	for (unsigned h = 1; h < 0x7c00; h++) {
		const uint16_t d = 0, a = 0, b = (uint16_t)h;
		const unsigned rc = NEAREST;
		unsigned raised;
		const uint16_t got = run(MAP5, PF3, 0x51, d, a, b, rc, &raised);
		/* In units of 2^-25, so that midpoints are integers; the operand is 2^-24 * u = 2^-50 * (u << 26). */
		const wide low = units(got) + units((uint16_t)(got - 1)), high = units(got) + units((uint16_t)(got + 1));
		const wide exact = units(b) << 26, root = 2 * units(got);

		cr_assert(low * low <= exact && exact <= high * high, "sqrt %04x: %04x", b, got);
		cr_assert_eq(raised, (root * root == exact ? 0 : PE) | denormal_flag(b), "sqrt %04x: flags %x", b, raised);
	}
}

/* ---- complex numbers ----------------------------------------------------------------------------------- */

struct complex {
	uint16_t re, im;
};

/* The four rounded operations of SDM vol. 2, VFMADDCPH and VFMULCPH, in their order; false if the first ones overflow. */
static bool ref_complex(bool add, bool conjugate, struct complex d, struct complex a, struct complex b, unsigned rc,
			struct complex *r, unsigned *flags)
{
	const struct complex t = {
		add ? ref_fma(false, a.re, b.re, d.re, rc, flags) : ref_product(a.re, b.re, rc, flags),
		add ? ref_fma(false, a.im, b.re, d.im, rc, flags) : ref_product(a.im, b.re, rc, flags),
	};

	if (!is_finite(t.re) || !is_finite(t.im))
		return false;
	r->re = ref_fma(!conjugate, a.im, b.im, t.re, rc, flags);
	r->im = ref_fma(conjugate, a.re, b.im, t.im, rc, flags);
	return true;
}

static struct complex some_complex(struct fp_random *r)
{
	const struct complex z = { some_half(r), some_half(r) };

	return z;
}

enum { PF2 = 3, MULC = 0xd6, MADDC = 0x56 };

static void put_complex(union vec *v, unsigned k, struct complex z)
{
	v->u16[2 * k] = z.re;
	v->u16[2 * k + 1] = z.im;
}

/* One pair in the place k of ZMM registers, the others zero: VF[C]MULCPH and VF[C]MADDCPH zmm1, zmm2, zmm3. */
static void check_complex(bool add, bool conjugate, struct complex d, struct complex a, struct complex b, unsigned rc, unsigned k)
{
	const uint8_t p1 = 0x6c | (conjugate ? PF2 : PF3), opcode = add ? MADDC : MULC;
	struct complex want = { 0 };
	struct cpu *c = &machine->cpu;
	unsigned flags = 0;

	memset(c->vec, 0, 4 * sizeof(c->vec[0]));
	put_complex(&c->vec[1], k, d);
	put_complex(&c->vec[2], k, a);
	put_complex(&c->vec[3], k, b);
	c->mxcsr = 0x1f80 | rc << RC_SHIFT;
	cr_assert_eq(STEP(0x62, 0xf6, p1, 0x48, opcode, 0xcb), 0);
	if (!ref_complex(add, conjugate, d, a, b, rc, &want, &flags))
		return;
	cr_assert(c->vec[1].u16[2 * k] == want.re && c->vec[1].u16[2 * k + 1] == want.im && (c->mxcsr & FLAGS) == flags,
		  "add %u conjugate %u rc %u (%04x,%04x) (%04x,%04x) (%04x,%04x): (%04x,%04x) flags %x, not (%04x,%04x) flags %x",
		  add, conjugate, rc, d.re, d.im, a.re, a.im, b.re, b.im, c->vec[1].u16[2 * k], c->vec[1].u16[2 * k + 1],
		  c->mxcsr & FLAGS, want.re, want.im, flags);
}

Test(avx512fp16, complex_products)
{
	struct fp_random r = { 8 };

	setup();
	for (unsigned n = 0; n < ROUNDS; n++) {
		const struct complex d = some_complex(&r), a = some_complex(&r), b = some_complex(&r);

		check_complex(n & 1, n & 2, d, a, b, (unsigned)fp_below(&r, 4), n / 4 % 16);
	}
}

/* (1 + 2i) * (3 + 4i) = -5 + 10i and (1 + 2i) * (3 - 4i) = 11 + 2i, scalar: bits 127:32 are the first source's. */
Test(avx512fp16, complex_scalar)
{
	struct cpu *c = setup();

	for (unsigned k = 0; k < 32; k++)
		c->vec[1].u16[k] = 0x1111, c->vec[2].u16[k] = 0x2222;
	put_complex(&c->vec[2], 0, (struct complex){ 0x3c00, 0x4000 });
	put_complex(&c->vec[3], 0, (struct complex){ 0x4200, 0x4400 });
	cr_assert_eq(STEP(0x62, 0xf6, 0x6e, 0x08, 0xd7, 0xcb), 0); /* VFMULCSH xmm1, xmm2, xmm3 */
	cr_assert_eq(c->vec[1].u32[0], 0x4900c500);
	cr_assert_eq(c->vec[1].u64[1], 0x2222222222222222);
	cr_assert_eq(c->vec[1].u32[1], 0x22222222);
	cr_assert_eq(c->vec[1].u64[2], 0);
	cr_assert_eq(STEP(0x62, 0xf6, 0x6f, 0x08, 0xd7, 0xcb), 0); /* VFCMULCSH */
	cr_assert_eq(c->vec[1].u32[0], 0x40004980);
	cr_assert_eq(STEP(0x62, 0xf6, 0x6f, 0x08, 0x57, 0xcb), 0); /* VFCMADDCSH: 22 + 4i */
	cr_assert_eq(c->vec[1].u32[0], 0x44004d80);
	c->k[1] = 2;
	cr_assert_eq(STEP(0x62, 0xf6, 0x6e, 0x89, 0xd7, 0xcb), 0); /* VFMULCSH xmm1{k1}{z}: not selected */
	cr_assert_eq(c->vec[1].u64[0], 0x2222222200000000);
}

/* One mask bit and one broadcast element per pair. */
Test(avx512fp16, complex_masked_broadcast)
{
	struct cpu *c = setup();

	for (unsigned k = 0; k < 16; k++) {
		c->vec[1].u32[k] = 0x12345678;
		put_complex(&c->vec[2], k, (struct complex){ 0x3c00, 0x4000 });
	}
	memcpy(window + 4, (uint16_t[]){ 0x4200, 0x4400 }, 4);
	c->k[1] = 0x5555;
	cr_assert_eq(STEP(0x62, 0xf6, 0x6e, 0x59, 0xd6, 0x4e, 0x01), 0); /* VFMULCPH zmm1{k1}, zmm2, [rsi + 4]{1to16} */
	for (unsigned k = 0; k < 16; k++)
		cr_assert_eq(c->vec[1].u32[k], k & 1 ? 0x12345678u : 0x4900c500u);
}

/* The destination is none of the sources; a memory operand is no register. */
Test(avx512fp16, complex_destination_is_no_source)
{
	setup();
	cr_assert_eq(STEP(0x62, 0xf6, 0x6e, 0x08, 0xd6, 0xd3), EMU_STOP); /* xmm2, xmm2, xmm3 */
	cr_assert_eq(machine->fault.vector, VEC_UD);
	cr_assert_eq(STEP(0x62, 0xf6, 0x6f, 0x08, 0x57, 0xdb), EMU_STOP); /* xmm3, xmm2, xmm3 */
	cr_assert_eq(machine->fault.vector, VEC_UD);
	cr_assert_eq(STEP(0x62, 0xb6, 0x6e, 0x08, 0x56, 0xdb), 0); /* xmm3, xmm2, xmm19 */
	cr_assert_eq(STEP(0x62, 0xf6, 0x6e, 0x08, 0x56, 0x36), 0); /* xmm6, xmm2, [rsi] */
}

/* As if all exceptions were masked: flags, but no #XM, and MXCSR's masks stay as they were. */
Test(avx512fp16, complex_raises_no_exception)
{
	struct cpu *c = setup();

	put_complex(&c->vec[2], 0, (struct complex){ 0x7c00, 0x3c00 });
	put_complex(&c->vec[3], 0, (struct complex){ 0x0000, 0x3c00 });
	c->mxcsr = 0;
	cr_assert_eq(STEP(0x62, 0xf6, 0x6e, 0x08, 0xd6, 0xcb), 0); /* infinity * 0 */
	cr_assert_eq(c->vec[1].u16[0], 0xfe00);
	cr_assert_eq(c->vec[1].u16[1], 0x7c00);
	cr_assert_eq(c->mxcsr, IE);
}

/* ---- approximations ------------------------------------------------------------------------------------- */

/* |1/x - r| < (2^-11 + 2^-14) / x: with units of 2^-24, |2^48 - u(x) * u(r)| * 2^14 < 2^48 * 9. All that gives normal numbers. */
Test(avx512fp16, reciprocal_within_its_bound)
{
	setup();
	for (unsigned h = 0x0400; h <= 0x7000; h++) {
		unsigned raised;
		const uint16_t got = run(MAP6, P66, 0x4d, 0, 0, (uint16_t)h, NEAREST, &raised);
		const wide off = ((wide)1 << 48) - units((uint16_t)h) * units(got);

		cr_assert((off < 0 ? -off : off) << 14 < (wide)9 << 48, "1/%04x: %04x", h, got);
		cr_assert_eq(raised, 0);
	}
}

/* |r * sqrt(x) - 1| < e = 9 * 2^-14: (1 - e)^2 < r^2 * x < (1 + e)^2, where r^2 * x is in units of 2^-72. */
Test(avx512fp16, reciprocal_root_within_its_bound)
{
	const wide low = (wide)16375 * 16375, high = (wide)16393 * 16393;

	setup();
	for (unsigned h = 1; h < 0x7c00; h++) {
		unsigned raised;
		const uint16_t got = run(MAP6, P66, 0x4f, 0, 0, (uint16_t)h, NEAREST, &raised);
		const wide square = units(got) * units(got) * units((uint16_t)h);

		cr_assert(square > low << 44 && square < high << 44, "1/sqrt(%04x): %04x", h, got);
		cr_assert_eq(raised, 0);
	}
}

/* ---- instructions -------------------------------------------------------------------------------------- */

/* VADDPH zmm1{k1}, zmm2, zmm3, and with {rd-sae}: 32 elements, those without mask bit stay; no flags then. */
Test(avx512fp16, packed_masked_and_embedded_rounding)
{
	struct cpu *c = setup();

	for (unsigned k = 0; k < 32; k++) {
		c->vec[1].u16[k] = 0x1234;
		c->vec[2].u16[k] = 0x3c00; /* 1 */
		c->vec[3].u16[k] = 0x0001; /* 2^-24 */
	}
	c->k[1] = 0x55555555;
	cr_assert_eq(STEP(0x62, 0xf5, 0x6c, 0x49, 0x58, 0xcb), 0);
	for (unsigned k = 0; k < 32; k++)
		cr_assert_eq(c->vec[1].u16[k], k & 1 ? 0x1234 : 0x3c00);
	cr_assert_eq(c->mxcsr & FLAGS, DE | PE);
	c->mxcsr = 0x1f80;
	cr_assert_eq(STEP(0x62, 0xf5, 0x6c, 0x59, 0x58, 0xcb), 0); /* L'L = 2: up */
	cr_assert_eq(c->vec[1].u16[0], 0x3c01);
	cr_assert_eq(c->mxcsr & FLAGS, 0);
}

/* Denormal halves are numbers, whatever DAZ and FTZ say. */
Test(avx512fp16, no_daz_no_ftz)
{
	struct cpu *c = setup();

	c->vec[2].u16[0] = c->vec[3].u16[0] = 0x0001;
	c->mxcsr = 0x1f80 | DAZ | FTZ;
	cr_assert_eq(STEP(0x62, 0xf5, 0x6e, 0x08, 0x58, 0xcb), 0); /* VADDSH xmm1, xmm2, xmm3 */
	cr_assert_eq(c->vec[1].u16[0], 0x0002);
	cr_assert_eq(c->mxcsr & FLAGS, DE);
}

/* Underflow unmasked: every tiny result, the exact ones too. */
Test(avx512fp16, unmasked_underflow)
{
	struct cpu *c = setup();

	c->vec[2].u16[0] = 0x0400; /* 2^-14 */
	c->vec[3].u16[0] = 0x3800; /* 0.5 */
	c->mxcsr = 0x1f80 & ~(UE << 7);
	cr_assert_eq(STEP(0x62, 0xf5, 0x6e, 0x08, 0x59, 0xcb), EMU_STOP); /* VMULSH */
	cr_assert_eq(machine->fault.vector, VEC_XM);
	cr_assert_eq(c->mxcsr & FLAGS, UE);
}

/* FMADDSUB subtracts in even elements; scalars keep what lies above. */
Test(avx512fp16, alternating_and_scalar_upper)
{
	struct cpu *c = setup();

	for (unsigned k = 0; k < 8; k++) {
		c->vec[1].u16[k] = 0x3c00;
		c->vec[2].u16[k] = 0x4000;
		c->vec[3].u16[k] = 0x4200;
	}
	cr_assert_eq(STEP(0x62, 0xf6, 0x6d, 0x08, 0xb6, 0xcb), 0); /* VFMADDSUB231PH: 2 * 3 -+ 1 */
	cr_assert_eq(c->vec[1].u16[0], 0x4500);
	cr_assert_eq(c->vec[1].u16[1], 0x4700);
	cr_assert_eq(STEP(0x62, 0xf6, 0x6d, 0x08, 0xb9, 0xcb), 0); /* VFMADD231SH: 6 + 5 */
	cr_assert_eq(c->vec[1].u16[0], 0x4980);
	cr_assert_eq(c->vec[1].u16[1], 0x4700);
}

/* VCMPSH and VCOMISH */
Test(avx512fp16, comparison)
{
	struct cpu *c = setup();

	c->vec[2].u16[0] = 0xbc00; /* -1 */
	c->vec[3].u16[0] = 0x0001;
	cr_assert_eq(STEP(0x62, 0xf3, 0x6e, 0x08, 0xc2, 0xcb, 0x01), 0); /* VCMPLTSH k1, xmm2, xmm3 */
	cr_assert_eq(c->k[1], 1);
	cr_assert_eq(STEP(0x62, 0xf5, 0x7c, 0x08, 0x2f, 0xd3), 0); /* VCOMISH xmm2, xmm3 */
	cr_assert_eq(c->rflags & RFLAGS_ARITH, RFLAGS_CF);
	c->vec[3].u16[0] = 0x7e00;
	c->mxcsr = 0x1f80;
	cr_assert_eq(STEP(0x62, 0xf5, 0x7c, 0x08, 0x2e, 0xd3), 0); /* VUCOMISH: a quiet NaN */
	cr_assert_eq(c->rflags & RFLAGS_ARITH, RFLAGS_CF | RFLAGS_PF | RFLAGS_ZF);
	cr_assert_eq(c->mxcsr & FLAGS, 0);
	cr_assert_eq(STEP(0x62, 0xf5, 0x7c, 0x08, 0x2f, 0xd3), 0);
	cr_assert_eq(c->mxcsr & FLAGS, IE);
}
