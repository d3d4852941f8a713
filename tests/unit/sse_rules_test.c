/* SPDX-License-Identifier: MIT */
/* SSE rules around the arithmetic, which tests/silicon proves: faults, alignment, MXCSR, partial stores. */
#include "flat.h"
#include "emu/sem/fp/provider.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t *window; /* the guest has it at WINDOW */
static struct emu *machine;

#define STEP(...) flat_step(machine, (const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))

#define ASSERT_FAULT(expr, vec)                                                                                   \
	do {                                                                                                      \
		cr_assert_eq((expr), EMU_STOP);                                                                   \
		cr_assert_eq(machine->fault.vector, (vec));                                                        \
	} while (0)

static struct cpu *setup(void)
{
	machine = flat_machine(CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE, 0xe7, 0);
	window = flat_window();
	return &machine->cpu;
}

/* SDM vol. 1, 10.2.3: a set reserved bit is #GP(0), MXCSR keeps its value. */
Test(sse_rules, ldmxcsr_reserved)
{
	struct cpu *c = setup();

	window[2] = 1;
	ASSERT_FAULT(STEP(0x0f, 0xae, 0x16), VEC_GP);
	cr_assert_eq(c->mxcsr, 0x1f80);
}

/* SDM vol. 2, table 2-21: legacy SSE wants 16-byte alignment, MOVUPS and PCMPISTRI do not. */
Test(sse_rules, alignment)
{
	struct cpu *c = setup();

	c->gpr[RSI] += 8;
	ASSERT_FAULT(STEP(0x0f, 0x28, 0x06), VEC_GP); /* MOVAPS */
	ASSERT_FAULT(STEP(0x0f, 0x29, 0x06), VEC_GP);
	ASSERT_FAULT(STEP(0x66, 0x0f, 0xfc, 0x06), VEC_GP); /* PADDB */
	cr_assert_eq(STEP(0x0f, 0x10, 0x06), 0);
	cr_assert_eq(STEP(0x66, 0x0f, 0x3a, 0x63, 0x06, 0x00), 0);
	c->gpr[RSI] = 0x1008; /* unmapped and misaligned: the alignment comes first */
	ASSERT_FAULT(STEP(0x0f, 0x28, 0x06), VEC_GP);
}

/* SDM vol. 1, 11.5.2: an unmasked exception is #XM, or #UD without CR4.OSXMMEXCPT; the destination is kept. */
Test(sse_rules, unmasked)
{
	struct cpu *c = setup();

	c->mxcsr = 0x1f80 & ~0x200u; /* ZM */
	c->vec[0].u32[0] = 0x3f800000;
	ASSERT_FAULT(STEP(0xf3, 0x0f, 0x5e, 0xc1), VEC_XM); /* DIVSS by zero */
	cr_assert_eq(c->mxcsr & 0x3f, 0x04);
	cr_assert_eq(c->vec[0].u32[0], 0x3f800000);
	c->cr4 &= ~CR4_OSXMMEXCPT;
	ASSERT_FAULT(STEP(0xf3, 0x0f, 0x5e, 0xc1), VEC_UD);
}

/* SDM vol. 2, MINPS: if either is a NaN, or both are zero, the second operand is returned. */
Test(sse_rules, min_returns_second)
{
	struct cpu *c = setup();

	c->vec[0].u32[0] = 0x7fc00001;
	c->vec[1].u32[0] = 0x3f800000;
	STEP(0xf3, 0x0f, 0x5d, 0xc1);
	cr_assert_eq(c->vec[0].u32[0], 0x3f800000);
	c->vec[0].u32[0] = 0x00000000;
	c->vec[1].u32[0] = 0x80000000;
	STEP(0xf3, 0x0f, 0x5d, 0xc1);
	cr_assert_eq(c->vec[0].u32[0], 0x80000000);
}

/* SDM vol. 1, 10.2.3.3 and 10.2.3.4 */
Test(sse_rules, daz_and_ftz)
{
	struct cpu *c = setup();

	c->mxcsr = 0x1f80 | 1u << 15; /* FTZ */
	c->vec[0].u32[0] = 0x00800000;
	c->vec[1].u32[0] = 0x3f000000;
	STEP(0xf3, 0x0f, 0x59, 0xc1); /* smallest normal / 2 */
	cr_assert_eq(c->vec[0].u32[0], 0);
	cr_assert_eq(c->mxcsr & 0x3f, 0x30, "UE and PE");
	c->mxcsr = 0x1f80 | 1u << 6; /* DAZ */
	c->vec[0].u32[0] = 0;
	c->vec[1].u32[0] = 1;
	STEP(0xf3, 0x0f, 0x58, 0xc1);
	cr_assert_eq(c->vec[0].u32[0], 0);
	cr_assert_eq(c->mxcsr & 0x3f, 0, "no DE with DAZ");
}

/*
 * SDM vol. 1, 4.9.1.6: with an unmasked overflow or underflow PE is set if the result is inexact. There is no masked
 * response then that could make it so: the exponent does not count. 4.9.1.5: unmasked, tiny suffices for UE, and FTZ is
 * for masked underflow (10.2.3.3).
 */
Test(sse_rules, precision_of_unmasked)
{
	enum { OE = 0x08, UE = 0x10, PE = 0x20, OM = 0x400, UM = 0x800, FTZ = 0x8000 };
	static const struct {
		uint32_t a, b, open, flags;
	} cases[] = {
		{ 0x7f000000, 0x40000000, OM, OE },	 /* 2^127 * 2 */
		{ 0x7f7fffff, 0x7f7fffff, OM, OE | PE }, /* the largest number's square */
		{ 0x00800001, 0x3f000000, UM, UE },	 /* (2^-126 + 2^-149) / 2 fits no denormal */
		{ 0x00800001, 0x3f000000, UM | FTZ, UE }, { 0x00800000, 0x3f000000, UM, UE }, /* 2^-127 does */
		{ 0x00800001, 0x3f000001, UM, UE | PE },
	};

	for (unsigned n = 0; n < 2 * sizeof(cases) / sizeof(cases[0]); n++) {
		const uint32_t a = cases[n / 2].a, b = cases[n / 2].b;
		struct cpu *c = setup();

		fp_select(n & 1 ? FP_PORTABLE : FP_AUTOMATIC);
		c->mxcsr = 0x1f80 ^ cases[n / 2].open;
		c->vec[0].u32[0] = a;
		c->vec[1].u32[0] = b;
		ASSERT_FAULT(STEP(0xf3, 0x0f, 0x59, 0xc1), VEC_XM); /* MULSS */
		cr_assert_eq(c->mxcsr & 0x3f, cases[n / 2].flags, "case %u: flags %x", n, c->mxcsr & 0x3f);
		cr_assert_eq(c->vec[0].u32[0], a);
	}
}

/* The same for what is computed element by element: VSCALEFSS XMM0, XMM1, XMM2 is XMM1 * 2^floor(XMM2). */
Test(sse_rules, precision_of_unmasked_elements)
{
	struct cpu *c = setup();

	c->mxcsr = 0x1f80 & ~0xc00u;
	c->vec[1].u32[0] = 0x7f000001;
	c->vec[2].u32[0] = 0x3f800000;
	ASSERT_FAULT(STEP(0x62, 0xf2, 0x75, 0x08, 0x2d, 0xc2), VEC_XM);
	cr_assert_eq(c->mxcsr & 0x3f, 0x08, "OE");
	c->mxcsr = 0x1f80 & ~0xc00u;
	c->vec[1].u32[0] = 0x00800001;
	c->vec[2].u32[0] = 0xbf800000;
	ASSERT_FAULT(STEP(0x62, 0xf2, 0x75, 0x08, 0x2d, 0xc2), VEC_XM);
	cr_assert_eq(c->mxcsr & 0x3f, 0x10, "UE");
}

/* SDM vol. 2, VGETMANTPD: an element that the sign control refuses raises IE, and takes nothing away from the others. */
Test(sse_rules, getmant_of_several)
{
	static const struct {
		uint64_t low, high;
		uint32_t flags;
	} cases[] = {
		{ 1, 0xbff0000000000000, 0x03 }, /* a denormal; -1, refused */
		{ 0xbff0000000000000, 1, 0x03 },
		{ 0x8000000000000001, 0x3ff0000000000000, 0x01 }, /* refused before it is seen to be a denormal */
	};

	for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		struct cpu *c = setup();

		c->vec[1].u64[0] = cases[n].low;
		c->vec[1].u64[1] = cases[n].high;
		cr_assert_eq(STEP(0x62, 0xf3, 0xfd, 0x08, 0x26, 0xc1, 0x08), 0); /* VGETMANTPD XMM0, XMM1, 8 */
		cr_assert_eq(c->mxcsr & 0x3f, cases[n].flags, "case %u: flags %x", n, c->mxcsr & 0x3f);
	}
}

/* Legacy SSE keeps what is above 128 bits. */
Test(sse_rules, upper_preserved)
{
	struct cpu *c = setup();

	c->vec[0].u64[2] = 0x55;
	STEP(0x0f, 0x57, 0xc0); /* XORPS */
	STEP(0x0f, 0x10, 0x06);
	cr_assert_eq(c->vec[0].u64[2], 0x55);
}

/* A faulting load leaves the destination alone. */
Test(sse_rules, faulting_load)
{
	struct cpu *c = setup();

	c->vec[0].u64[0] = 0x55;
	c->gpr[RSI] = WINDOW + WINDOW_BYTES - 8;
	ASSERT_FAULT(STEP(0x0f, 0x10, 0x06), VEC_PF);
	cr_assert_eq(c->vec[0].u64[0], 0x55);
}

/* MASKMOVDQU stores selected bytes only, and nothing if one of them faults. */
Test(sse_rules, maskmovdqu)
{
	struct cpu *c = setup();

	memset(&c->vec[0], 0x11, 16);
	c->vec[1].u8[0] = c->vec[1].u8[15] = 0x80;
	cr_assert_eq(STEP(0x66, 0x0f, 0xf7, 0xc1), 0);
	cr_assert_eq(window[0], 0x11);
	cr_assert_eq(window[1], 0);
	cr_assert_eq(window[15], 0x11);
	c->gpr[RDI] = WINDOW + WINDOW_BYTES - 8;
	ASSERT_FAULT(STEP(0x66, 0x0f, 0xf7, 0xc1), VEC_PF);
	cr_assert_eq(window[WINDOW_BYTES - 8], 0);
}

/* PEXTRB to the register that a byte instruction would call CH zero-extends into EBP. */
Test(sse_rules, pextrb_register)
{
	struct cpu *c = setup();

	c->vec[0].u8[0] = 0xab;
	c->gpr[RBP] = c->gpr[RCX] = UINT64_MAX;
	cr_assert_eq(STEP(0x66, 0x0f, 0x3a, 0x14, 0xc5, 0x00), 0);
	cr_assert_eq(c->gpr[RBP], 0xab);
	cr_assert_eq(c->gpr[RCX], UINT64_MAX);
}
