/* SPDX-License-Identifier: MIT */
/* AVX512-FP16: conversions against half_machine.h, packed, scalar and of general registers; VMOVW. */
#include "half_machine.h"

enum { ROUNDS = 40000 };

/* Every half through single precision and back, and to and from integers of 16 bits. */
Test(avx512fp16_convert, round_trips)
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

/* ---- integers of 64 and 32 bits ------------------------------------------------------------------------- */

static uint64_t some_integer(struct fp_random *r)
{
	const uint64_t v = fp_next(r) >> fp_below(r, 64);

	return fp_below(r, 2) ? v : -v;
}

static uint16_t ref_from_integer(uint64_t v, bool negative, unsigned rc, unsigned *flags)
{
	return rounded((wide)(negative ? -v : v) << 24, 1, negative, rc, flags);
}

/* VCVTQQ2PH and VCVTUQQ2PH xmm1, zmm3: eight halves, zeroes above. */
static void check_quads(bool is_signed, unsigned rc, struct fp_random *r)
{
	struct cpu *c = &machine->cpu;
	unsigned flags = 0;
	uint16_t want[8];

	memset(&c->vec[1], 0xff, sizeof(c->vec[1]));
	c->mxcsr = 0x1f80 | rc << RC_SHIFT;
	for (unsigned k = 0; k < 8; k++) {
		c->vec[3].u64[k] = some_integer(r);
		want[k] = ref_from_integer(c->vec[3].u64[k], is_signed && c->vec[3].i64[k] < 0, rc, &flags);
	}
	cr_assert_eq(is_signed ? STEP(0x62, 0xf5, 0xfc, 0x48, 0x5b, 0xcb) : STEP(0x62, 0xf5, 0xff, 0x48, 0x7a, 0xcb), 0);
	for (unsigned k = 0; k < 8; k++)
		cr_assert_eq(c->vec[1].u16[k], want[k], "%lx rc %u: %04x, not %04x", (unsigned long)c->vec[3].u64[k], rc,
			     c->vec[1].u16[k], want[k]);
	for (unsigned k = 2; k < 8; k++)
		cr_assert_eq(c->vec[1].u64[k], 0);
	cr_assert_eq(c->mxcsr & FLAGS, flags);
}

Test(avx512fp16_convert, from_quads)
{
	struct fp_random r = { 9 };

	setup();
	for (unsigned n = 0; n < ROUNDS; n++)
		check_quads(n & 1, n / 2 % 4, &r);
}

/* VCVTSI2SH and VCVTUSI2SH xmm1, xmm2, eax or rax: the rest of the low 128 bits is xmm2's. */
Test(avx512fp16_convert, from_general)
{
	struct cpu *c = setup();
	struct fp_random r = { 10 };

	for (unsigned n = 0; n < ROUNDS; n++) {
		const bool is_signed = n & 1, is_wide = n & 2;
		const unsigned rc = n / 4 % 4;
		const uint64_t v = some_integer(&r), low = is_wide ? v : is_signed ? (uint64_t)(int32_t)v : (uint32_t)v;
		unsigned flags = 0;

		c->gpr[RAX] = v;
		c->vec[2].u64[0] = c->vec[2].u64[1] = 0x7777777777777777;
		c->mxcsr = 0x1f80 | rc << RC_SHIFT;
		cr_assert_eq(STEP(0x62, 0xf5, is_wide ? 0xee : 0x6e, 0x08, is_signed ? 0x2a : 0x7b, 0xc8), 0);
		cr_assert_eq(c->vec[1].u16[0], ref_from_integer(low, is_signed && (int64_t)low < 0, rc, &flags), "%lx",
			     (unsigned long)v);
		cr_assert_eq(c->mxcsr & FLAGS, flags);
		cr_assert(c->vec[1].u64[0] >> 16 == 0x777777777777 && c->vec[1].u64[1] == 0x7777777777777777);
	}
}

/* Embedded rounding, and its suppression of flags: VCVTSI2SH xmm1, xmm2, {ru-sae}, eax. */
Test(avx512fp16_convert, from_general_embedded_rounding)
{
	struct cpu *c = setup();

	c->gpr[RAX] = 2049;
	c->mxcsr = 0;
	cr_assert_eq(STEP(0x62, 0xf5, 0x6e, 0x58, 0x2a, 0xc8), 0);
	cr_assert_eq(c->vec[1].u16[0], 0x6801); /* 2050 */
	cr_assert_eq(c->mxcsr, 0);
	cr_assert_eq(STEP(0x62, 0xf5, 0x6e, 0x08, 0x2a, 0xc8), EMU_STOP);
	cr_assert_eq(machine->fault.vector, VEC_XM);
}

/* A half to an integer of `bits`: what does not fit is IE and the integer indefinite. */
static uint64_t ref_to_integer(uint16_t h, unsigned bits, bool is_signed, unsigned rc, unsigned *flags)
{
	const uint64_t all = UINT64_MAX >> (64 - bits), indefinite = is_signed ? all - all / 2 : all;
	const bool negative = h >> 15;
	const wide u = negative ? -units(h) : units(h), one = (wide)1 << 24, rest = u % one;
	wide q = u / one;

	if (rc == NEAREST)
		q += 2 * rest > one || (2 * rest == one && (q & 1));
	else
		q += rest && rc == (negative ? DOWN : UP);
	if (!is_finite(h) || (negative && q && !is_signed)) {
		*flags |= IE;
		return indefinite;
	}
	*flags |= rest ? PE : 0;
	return (uint64_t)(negative ? -q : q) & all;
}

/* Every half, in a register of its own and as the last of eight: the quarter of a ZMM register. */
static void check_to_quads(uint8_t opcode, bool is_signed, bool chop)
{
	struct cpu *c = &machine->cpu;

	for (unsigned h = 0; h < 0x10000; h++) {
		const unsigned rc = h % 4;
		unsigned flags = 0;
		const uint64_t want = ref_to_integer((uint16_t)h, 64, is_signed, chop ? CHOP : rc, &flags);

		memset(&c->vec[3], 0, sizeof(c->vec[3]));
		c->vec[3].u16[7] = (uint16_t)h;
		c->vec[3].u16[8] = 0x7e00; /* not an operand */
		c->mxcsr = 0x1f80 | rc << RC_SHIFT;
		cr_assert_eq(STEP(0x62, 0xf5, 0x7d, 0x48, opcode, 0xcb), 0);
		cr_assert_eq(c->vec[1].u64[7], want, "%02x %04x rc %u: %lx", opcode, h, rc, (unsigned long)c->vec[1].u64[7]);
		cr_assert_eq(c->vec[1].u64[6], 0);
		cr_assert_eq(c->mxcsr & FLAGS, flags, "%02x %04x", opcode, h);
	}
}

Test(avx512fp16_convert, to_quads)
{
	setup();
	check_to_quads(0x7b, true, false);  /* VCVTPH2QQ zmm1, xmm3 */
	check_to_quads(0x7a, true, true);   /* VCVTTPH2QQ */
	check_to_quads(0x79, false, false); /* VCVTPH2UQQ */
	check_to_quads(0x78, false, true);  /* VCVTTPH2UQQ */
}

/* VCVTSH2SI and its like: a 32-bit result clears the upper half. */
static void check_to_general(uint8_t opcode, bool is_wide, bool is_signed, bool chop)
{
	struct cpu *c = &machine->cpu;

	for (unsigned h = 0; h < 0x10000; h++) {
		const unsigned rc = h % 4;
		unsigned flags = 0;
		const uint64_t want = ref_to_integer((uint16_t)h, is_wide ? 64 : 32, is_signed, chop ? CHOP : rc, &flags);

		c->gpr[RCX] = UINT64_MAX;
		c->vec[3].u16[0] = (uint16_t)h;
		c->mxcsr = 0x1f80 | rc << RC_SHIFT;
		cr_assert_eq(STEP(0x62, 0xf5, is_wide ? 0xfe : 0x7e, 0x08, opcode, 0xcb), 0);
		cr_assert_eq(c->gpr[RCX], want, "%02x %04x rc %u: %lx", opcode, h, rc, (unsigned long)c->gpr[RCX]);
		cr_assert_eq(c->mxcsr & FLAGS, flags, "%02x %04x", opcode, h);
	}
}

Test(avx512fp16_convert, to_general)
{
	setup();
	for (unsigned is_wide = 0; is_wide < 2; is_wide++) {
		check_to_general(0x2d, is_wide, true, false);  /* VCVTSH2SI ecx or rcx, xmm3 */
		check_to_general(0x2c, is_wide, true, true);   /* VCVTTSH2SI */
		check_to_general(0x79, is_wide, false, false); /* VCVTSH2USI */
		check_to_general(0x78, is_wide, false, true);  /* VCVTTSH2USI */
	}
}

/* ---- double precision ------------------------------------------------------------------------------------- */

/* Exact: 42 more bits of fraction, the exponent by counting. */
static uint64_t ref_to_double(uint16_t h)
{
	const uint64_t sign = (uint64_t)(h >> 15) << 63, fraction = h & 0x3ff;
	uint64_t u;
	unsigned top;

	if (!is_finite(h))
		return sign | 0x7ffull << 52 | (fraction ? (fraction | 0x200) << 42 : 0);
	if (!(h & 0x7fff))
		return sign;
	u = (uint64_t)units(h & 0x7fff);
	top = 63 - (unsigned)__builtin_clzll(u);
	return sign | (uint64_t)(1023 - 24 + top) << 52 | (u << (63 - top) << 1 >> 12);
}

/* VCVTPH2PD zmm1, xmm3: every half. */
Test(avx512fp16_convert, to_double)
{
	struct cpu *c = setup();

	for (unsigned h = 0; h < 0x10000; h++) {
		const bool snan = (h & 0x7fff) > 0x7c00 && !(h & 0x200);

		c->vec[3].u16[7] = (uint16_t)h;
		c->mxcsr = 0x1f80 | DAZ;
		cr_assert_eq(STEP(0x62, 0xf5, 0x7c, 0x48, 0x5a, 0xcb), 0);
		cr_assert_eq(c->vec[1].u64[7], ref_to_double((uint16_t)h), "%04x: %lx", h, (unsigned long)c->vec[1].u64[7]);
		cr_assert_eq(c->mxcsr & FLAGS, snan ? IE : denormal_flag((uint16_t)h), "%04x", h);
	}
}

/* A finite double of 53 bits, near the range of halves or far below it. */
static uint16_t ref_from_double(uint64_t x, unsigned rc, unsigned *flags)
{
	const unsigned field = x >> 52 & 0x7ff;
	const int shift = (int)field - 1075 + 24; /* in units of 2^-24 */
	const wide m = (wide)((x & UINT64_MAX >> 12) | 1ull << 52);

	if (shift < -70)
		return rounded(1, (wide)1 << 70, x >> 63, rc, flags);
	return rounded(shift < 0 ? m : m << shift, (wide)1 << (shift < 0 ? -shift : 0), x >> 63, rc, flags);
}

/* VCVTPD2PH xmm1, zmm3. FTZ is nothing to halves. */
Test(avx512fp16_convert, from_double)
{
	struct cpu *c = setup();
	struct fp_random r = { 11 };

	for (unsigned n = 0; n < ROUNDS; n++) {
		const unsigned rc = n % 4;
		unsigned flags = 0;
		uint16_t want[8];

		for (unsigned k = 0; k < 8; k++) {
			const uint64_t exponent = fp_below(&r, 16) ? 995 + fp_below(&r, 50) : 1 + fp_below(&r, 1000);

			c->vec[3].u64[k] = fp_next(&r) << 63 | exponent << 52 | fp_fraction(&r, 52);
			want[k] = ref_from_double(c->vec[3].u64[k], rc, &flags);
		}
		c->mxcsr = 0x1f80 | FTZ | rc << RC_SHIFT;
		cr_assert_eq(STEP(0x62, 0xf5, 0xfd, 0x48, 0x5a, 0xcb), 0);
		for (unsigned k = 0; k < 8; k++)
			cr_assert_eq(c->vec[1].u16[k], want[k], "%lx rc %u: %04x, not %04x", (unsigned long)c->vec[3].u64[k], rc,
				     c->vec[1].u16[k], want[k]);
		cr_assert_eq(c->mxcsr & FLAGS, flags);
	}
}

/* A denormal double is one with DE, or zero with DAZ: it is the source that MXCSR governs. */
Test(avx512fp16_convert, denormal_double)
{
	struct cpu *c = setup();

	c->vec[3].u64[0] = 1;
	c->mxcsr = 0x1f80 | UP << RC_SHIFT;
	cr_assert_eq(STEP(0x62, 0xf5, 0xfd, 0x08, 0x5a, 0xcb), 0);
	cr_assert_eq(c->vec[1].u64[0], 1);
	cr_assert_eq(c->mxcsr & FLAGS, DE | UE | PE);
	c->mxcsr = 0x1f80 | DAZ | UP << RC_SHIFT;
	cr_assert_eq(STEP(0x62, 0xf5, 0xfd, 0x08, 0x5a, 0xcb), 0);
	cr_assert_eq(c->vec[1].u64[0], 0);
	cr_assert_eq(c->mxcsr & FLAGS, 0);
}

/* ---- memory and masks ------------------------------------------------------------------------------------- */

/* A quarter of the vector: disp8 counts 16 bytes, or 2 with a broadcast. */
Test(avx512fp16_convert, quarter_of_memory)
{
	struct cpu *c = setup();

	for (unsigned k = 0; k < 16; k++)
		memcpy(window + 2 * k, &(uint16_t){ (uint16_t)(0x6400 + k) }, 2); /* 1024 + k */
	cr_assert_eq(STEP(0x62, 0xf5, 0x7d, 0x48, 0x7b, 0x4e, 0x01), 0);	  /* VCVTPH2QQ zmm1, [rsi + 16] */
	for (unsigned k = 0; k < 8; k++)
		cr_assert_eq(c->vec[1].u64[k], 1032 + k);
	cr_assert_eq(STEP(0x62, 0xf5, 0x7d, 0x58, 0x7b, 0x4e, 0x01), 0); /* [rsi + 2]{1to8} */
	for (unsigned k = 0; k < 8; k++)
		cr_assert_eq(c->vec[1].u64[k], 1025);
	cr_assert_eq(STEP(0x62, 0xf5, 0x7d, 0x08, 0x7b, 0x4e, 0x02), 0); /* xmm1, [rsi + 8]: two of them */
	cr_assert(c->vec[1].u64[0] == 1028 && c->vec[1].u64[1] == 1029 && c->vec[1].u64[2] == 0);
}

/* Elements that are not selected do not fault, and stay; zeroing clears them. */
Test(avx512fp16_convert, masked_at_the_end_of_memory)
{
	struct cpu *c = setup();

	memcpy(window + WINDOW_BYTES - 2, &(uint16_t){ 0x4500 }, 2);
	c->gpr[RSI] = WINDOW + WINDOW_BYTES - 2;
	c->vec[1].u64[1] = 77;
	cr_assert_eq(STEP(0x62, 0xf5, 0x7d, 0x48, 0x7b, 0x0e), EMU_STOP);
	cr_assert_eq(machine->fault.vector, VEC_PF);
	c->k[1] = 1;
	cr_assert_eq(STEP(0x62, 0xf5, 0x7d, 0x49, 0x7b, 0x0e), 0); /* VCVTPH2QQ zmm1{k1}, [rsi] */
	cr_assert(c->vec[1].u64[0] == 5 && c->vec[1].u64[1] == 77);
	cr_assert_eq(STEP(0x62, 0xf5, 0x7d, 0xc9, 0x7b, 0x0e), 0);
	cr_assert(c->vec[1].u64[0] == 5 && c->vec[1].u64[1] == 0);
}

/* ---- VMOVW ------------------------------------------------------------------------------------------------- */

Test(avx512fp16_convert, movw)
{
	struct cpu *c = setup();

	memset(&c->vec[1], 0xff, sizeof(c->vec[1]));
	c->gpr[RAX] = 0x123456789abcdef0;
	cr_assert_eq(STEP(0x62, 0xf5, 0x7d, 0x08, 0x6e, 0xc8), 0); /* VMOVW xmm1, eax */
	cr_assert_eq(c->vec[1].u64[0], 0xdef0);
	for (unsigned k = 1; k < 8; k++)
		cr_assert_eq(c->vec[1].u64[k], 0);
	c->vec[1].u64[0] = 0x1111222233334444;
	cr_assert_eq(STEP(0x62, 0xf5, 0xfd, 0x08, 0x7e, 0xc8), 0); /* VMOVW rax, xmm1: W is ignored */
	cr_assert_eq(c->gpr[RAX], 0x4444);
	memset(window, 0xee, 8);
	cr_assert_eq(STEP(0x62, 0xf5, 0x7d, 0x08, 0x7e, 0x4e, 0x01), 0); /* VMOVW [rsi + 2], xmm1 */
	cr_assert_eq(memcmp(window, "\xee\xee\x44\x44\xee\xee\xee\xee", 8), 0);
	cr_assert_eq(STEP(0x62, 0xf5, 0x7d, 0x08, 0x6e, 0x56, 0x01), 0); /* VMOVW xmm2, [rsi + 2] */
	cr_assert_eq(c->vec[2].u64[0], 0x4444);
	cr_assert_eq(STEP(0x62, 0xf5, 0x7d, 0x28, 0x6e, 0xc8), EMU_STOP); /* 256 bits */
	cr_assert_eq(machine->fault.vector, VEC_UD);
}
