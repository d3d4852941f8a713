/* SPDX-License-Identifier: MIT */
/*
 * AVX512-FP16 from first principles, since no processor at hand has it: all finite halves are multiples of 2^-24, so sums
 * and products are integers, quotients and roots are compared as integers, and each is rounded once here, in a way of its
 * own. Then the instructions: encoding, masks, embedded rounding, MXCSR.
 */
#include "tests/oracle/flat.h"

#include "emu/decode/decode.h"
#include "fp_operands.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t window[WINDOW_BYTES] __attribute__((aligned(64))), code[CODE_BYTES];
static struct emu machine;

#define STEP(...) flat_step(&machine, (const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))

enum { IE = 1, DE = 2, ZE = 4, OE = 8, UE = 16, PE = 32, FLAGS = 63, DAZ = 0x40, FTZ = 0x8000, RC_SHIFT = 13 };
enum { NEAREST, DOWN, UP, CHOP };

static struct cpu *setup(void)
{
	decode_init(NULL, NULL);
	oracle_window = window;
	oracle_code = code;
	memset(&machine, 0, sizeof(machine));
	machine.code_size = 8;
	machine.cpu.cr0 = CR0_PE | CR0_NE;
	machine.cpu.cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	machine.cpu.xcr0 = 0xe7;
	machine.cpu.gpr[RSI] = (uintptr_t)window;
	fpu_reset(&machine.cpu);
	return &machine.cpu;
}

/* ---- the reference ------------------------------------------------------------------------------------- */

typedef __int128 wide;

/* A finite half in units of 2^-24. */
static wide units(uint16_t h)
{
	const unsigned exponent = h >> 10 & 31;
	const wide v = exponent ? (wide)(0x400 | (h & 0x3ff)) << (exponent - 1) : (wide)(h & 0x3ff);

	return h >> 15 ? -v : v;
}

static bool is_finite(uint16_t h)
{
	return (h & 0x7c00) != 0x7c00;
}

/*
 * The half nearest to n/d in the direction rc, n and d not negative and d positive, in units of 2^-24: counts up from the
 * largest half that is not above it. Flags as a masked operation raises them.
 */
static uint16_t rounded(wide n, wide d, bool negative, unsigned rc, unsigned *flags)
{
	const uint16_t sign = negative ? 0x8000 : 0;
	uint16_t below = 0;
	wide low, high;
	bool up;

	for (unsigned bit = 0x4000; bit; bit >>= 1)
		if ((below | bit) <= 0x7bff && units((uint16_t)(below | bit)) * d <= n)
			below |= (uint16_t)bit;
	low = units(below) * d;
	if (low == n)
		return sign | below;
	/* Above the largest one lies 65536, were there one more exponent. */
	high = (below == 0x7bff ? (wide)65536 << 24 : units((uint16_t)(below + 1))) * d;
	up = rc == NEAREST ? 2 * n > low + high || (2 * n == low + high && (below & 1)) : rc == (negative ? DOWN : UP);
	*flags |= PE;
	if (below == 0x7bff && (n >= high || up)) {
		*flags |= OE;
		return sign | (n >= high && !up ? 0x7bff : 0x7c00);
	}
	/* Tiny: below 2^-14 also when rounded to 11 bits without a limit. There the spacing is half of that here. */
	if (below < 0x400) {
		const wide edge = (wide)1 << 10; /* 2^-14 in units */
		const wide last = 4 * n - (4 * edge - 2) * d; /* against the largest number of 11 bits below the edge, times 4 */
		const bool to_edge = rc == NEAREST ? 4 * n >= (4 * edge - 1) * d : rc == (negative ? DOWN : UP) && last > 0;

		if (!to_edge)
			*flags |= UE;
	}
	return sign | (uint16_t)(below + up);
}

static unsigned denormal_flag(uint16_t h)
{
	return (h & 0x7c00) == 0 && (h & 0x3ff) ? DE : 0;
}

/* n / 2^shift of any sign; an exact zero sum is negative only when rounding down. */
static uint16_t rounded_sum(wide n, unsigned shift, bool negative_zero, unsigned rc, unsigned *flags)
{
	if (n == 0)
		return negative_zero ? 0x8000 : 0;
	return rounded(n < 0 ? -n : n, (wide)1 << shift, n < 0, rc, flags);
}

/* ---- arithmetic ---------------------------------------------------------------------------------------- */

enum { ROUNDS = 60000 };

static uint16_t some_half(struct fp_random *r)
{
	uint16_t h;

	do
		h = (uint16_t)fp_number(r, 5, 10, fp_next(r));
	while (!is_finite(h));
	return h;
}

/* VxxxSH xmm1, xmm2, xmm3 with MXCSR's rounding; returns the result, flags in *flags. */
static uint16_t run(uint8_t map, uint8_t pp, uint8_t opcode, uint16_t d, uint16_t a, uint16_t b, unsigned rc, unsigned *flags)
{
	struct cpu *c = &machine.cpu;

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
		unsigned raised, flags = denormal_flag(a) | denormal_flag(b) | denormal_flag(d);
		const uint16_t got = run(MAP6, P66, 0xb9, d, a, b, rc, &raised); /* 231: d = a * b + d */
		const wide exact = units(a) * units(b) + (units(d) << 24);
		const bool product = (a ^ b) >> 15, plain_zero = units(a) * units(b) == 0 && !(d & 0x7fff) && product == d >> 15;
		const uint16_t want = rounded_sum(exact, 24, plain_zero ? product : rc == DOWN, rc, &flags);

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
	cr_assert_eq(machine.fault.vector, VEC_XM);
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

/* Every half through single precision and back, and to and from integers of 16 bits. */
Test(avx512fp16, conversions)
{
	struct cpu *c = setup();

	for (unsigned h = 0; h < 0x10000; h++) {
		const bool nan = (h & 0x7fff) > 0x7c00;

		c->mxcsr = 0x1f80;
		c->vec[3].u16[0] = (uint16_t)h;
		cr_assert_eq(STEP(0x62, 0xf6, 0x6c, 0x08, 0x13, 0xcb), 0); /* VCVTSH2SS xmm1, xmm2, xmm3 */
		c->vec[3].u32[0] = c->vec[1].u32[0];
		cr_assert_eq(STEP(0x62, 0xf5, 0x6c, 0x08, 0x1d, 0xcb), 0); /* VCVTSS2SH */
		cr_assert_eq(c->vec[1].u16[0], nan ? h | 0x200 : h);
		c->vec[3].u16[0] = (uint16_t)h;
		cr_assert_eq(STEP(0x62, 0xf5, 0x7e, 0x08, 0x7d, 0xcb), 0); /* VCVTW2PH xmm1, xmm3 */
		c->vec[3].u16[0] = c->vec[1].u16[0];
		cr_assert_eq(STEP(0x62, 0xf5, 0x7d, 0x08, 0x7c, 0xcb), 0); /* VCVTTPH2W */
		if ((int16_t)h >= -2048 && (int16_t)h <= 2048)
			cr_assert_eq(c->vec[1].u16[0], h);
	}
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
