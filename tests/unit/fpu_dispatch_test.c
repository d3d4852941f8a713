/* SPDX-License-Identifier: MIT */
/*
 * x87 and SSE on the whole emulated processor, both tiers: availability checks that the rows' attributes
 * ask for, deferred #MF, page crossings, modes. (SDM vol. 3, 2.5 and table 13-1; vol. 1, 8.7.)
 */
#include "emu_harness.h"

#include <criterion/criterion.h>
#include <string.h>

static struct harness h;

#define RUN(...) harness_one(&h, (const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))
#define FAULT(v) (0x100 | (v))

static void setup(enum harness_mode mode, enum harness_tier tier)
{
	harness_init(&h, mode, tier);
	h.cpu->cr0 = (h.cpu->cr0 & ~(CR0_EM | CR0_TS)) | CR0_NE | CR0_MP;
	h.cpu->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
	harness_sync(&h);
	h.cpu->gpr[RSI] = HARNESS_DATA;
	cr_assert_eq(RUN(0xdb, 0xe3), 0);
}

static void set_cr0(uint64_t set, uint64_t clear)
{
	h.cpu->cr0 = (h.cpu->cr0 & ~clear) | set;
	harness_sync(&h);
}

#define BOTH_TIERS(name)                                                                                          \
	static void test_##name(void);                                                                            \
	Test(fpu_dispatch, name##_step)                                                                           \
	{                                                                                                         \
		setup(HARNESS_LONG, HARNESS_STEP);                                                                \
		test_##name();                                                                                    \
		harness_fini(&h);                                                                                 \
	}                                                                                                         \
	Test(fpu_dispatch, name##_block)                                                                          \
	{                                                                                                         \
		setup(HARNESS_LONG, HARNESS_BLOCK);                                                               \
		test_##name();                                                                                    \
		harness_fini(&h);                                                                                 \
	}                                                                                                         \
	static void test_##name(void)

BOTH_TIERS(task_switched)
{
	set_cr0(CR0_TS, 0);
	cr_assert_eq(RUN(0xd9, 0xe8), FAULT(VEC_NM), "FLD1");
	cr_assert_eq(RUN(0xdf, 0xe0), FAULT(VEC_NM), "FNSTSW AX does not wait, but is an x87 instruction");
	cr_assert_eq(RUN(0x0f, 0xfc, 0xc1), FAULT(VEC_NM), "PADDB mm");
	cr_assert_eq(RUN(0x0f, 0x58, 0xc1), FAULT(VEC_NM), "ADDPS");
	cr_assert_eq(RUN(0x0f, 0xae, 0x06), FAULT(VEC_NM), "FXSAVE");
	cr_assert_eq(RUN(0x9b), FAULT(VEC_NM), "FWAIT with MP");
	set_cr0(0, CR0_MP);
	cr_assert_eq(RUN(0x9b), 0, "FWAIT without");
	cr_assert_eq(RUN(0x0f, 0xc3, 0x06), 0, "MOVNTI is no SSE register instruction");
}

BOTH_TIERS(emulation)
{
	set_cr0(CR0_EM, 0);
	cr_assert_eq(RUN(0xd9, 0xe8), FAULT(VEC_NM));
	cr_assert_eq(RUN(0x0f, 0xfc, 0xc1), FAULT(VEC_UD));
	cr_assert_eq(RUN(0x0f, 0x58, 0xc1), FAULT(VEC_UD));
	cr_assert_eq(RUN(0x0f, 0xae, 0x06), FAULT(VEC_NM), "FXSAVE");
	cr_assert_eq(RUN(0x9b), 0);
}

BOTH_TIERS(no_osfxsr)
{
	h.cpu->cr4 &= ~CR4_OSFXSR;
	harness_sync(&h);
	cr_assert_eq(RUN(0x0f, 0x58, 0xc1), FAULT(VEC_UD));
	cr_assert_eq(RUN(0x0f, 0xfc, 0xc1), 0, "MMX does not depend on it");
	cr_assert_eq(RUN(0x0f, 0x70, 0xc1, 0x00), 0, "nor does PSHUFW");
}

/* The unmasked exception shows at the next waiting instruction, the pointers are those of the one that
 * raised it. */
BOTH_TIERS(deferred_mf)
{
	h.cpu->fpu.cw = 0x37f & ~4;		/* ZM */
	cr_assert_eq(RUN(0xd9, 0xe8), 0);	/* FLD1 */
	cr_assert_eq(RUN(0xd9, 0xee), 0);	/* FLDZ */
	cr_assert_eq(RUN(0x66, 0xd8, 0xf9), 0); /* FDIVR ST0, ST1: 1/0 */
	cr_assert_eq(h.cpu->fpu.sw & 0x8084, 0x8084);
	cr_assert_eq(h.cpu->fpu.fip, HARNESS_CODE);
	cr_assert_eq(h.cpu->fpu.fop, 0x0f9, "opcode without prefixes");
	cr_assert_eq(h.cpu->fpu.r[6].sig, 0, "the operand is untouched");
	cr_assert_eq(RUN(0xdf, 0xe0), 0, "FNSTSW AX");
	cr_assert_eq(RUN(0xd9, 0xe8), FAULT(VEC_MF));
	cr_assert_eq(h.cpu->fpu.tag, 0xc0, "nothing was pushed");
	cr_assert_eq(RUN(0x0f, 0x77), FAULT(VEC_MF), "EMMS");
	set_cr0(0, CR0_NE);
	cr_assert_eq(RUN(0xd9, 0xe8), 0, "CR0.NE = 0: FERR# goes nowhere, as with IGNNE#");
	set_cr0(CR0_NE, 0);
	cr_assert_eq(RUN(0xdb, 0xe2), 0, "FNCLEX");
	cr_assert_eq(RUN(0xd9, 0xe8), 0);
}

/* A memory operand that gave an unmasked exception is named by FDP. */
BOTH_TIERS(fdp)
{
	h.cpu->fpu.cw = 0x37f & ~1;					/* IM */
	memcpy(h.ram + HARNESS_DATA + 8, &(uint32_t){ 0x7f800001 }, 4); /* SNaN */
	cr_assert_eq(RUN(0xd9, 0x46, 0x08), 0);				/* FLD m32 [RSI+8] */
	cr_assert_eq(h.cpu->fpu.sw & 0x81, 0x81);
	cr_assert_eq(h.cpu->fpu.tag, 0, "nothing was pushed");
	cr_assert_eq(h.cpu->fpu.fdp, HARNESS_DATA + 8);
	cr_assert_eq(h.cpu->fpu.fop, 0x146);
}

/* Stores over a page boundary are all or nothing. */
BOTH_TIERS(page_crossing)
{
	h.cpu->gpr[RSI] = HARNESS_DATA + 0x1000 - 8;
	memset(&h.cpu->vec[0], 0xab, 16);
	cr_assert_eq(RUN(0x0f, 0x11, 0x06), 0); /* MOVUPS */
	cr_assert_eq(h.ram[HARNESS_DATA + 0x1007], 0xab);

	*harness_pte(&h, HARNESS_DATA + 0x1000) &= ~1ull;
	harness_sync(&h);
	memset(&h.cpu->vec[0], 0xcd, 16);
	cr_assert_eq(RUN(0x0f, 0x11, 0x06), FAULT(VEC_PF));
	cr_assert_eq(h.fault.cr2, HARNESS_DATA + 0x1000);
	cr_assert_eq(h.ram[HARNESS_DATA + 0xff8], 0xab);
	h.cpu->gpr[RSI] = HARNESS_DATA + 0x1000 - 64;
	cr_assert_eq(RUN(0x0f, 0xae, 0x06), FAULT(VEC_PF), "FXSAVE");
}

/* REP MOVS is not the only copy loop: a chain of SSE moves, stores and loads that depend on each other. */
BOTH_TIERS(copy)
{
	for (unsigned n = 0; n < 16; n++)
		h.ram[HARNESS_DATA + n] = (uint8_t)(n * 17);
	/* movdqa xmm2,[rsi]; paddb xmm2,xmm2; movdqu [rsi+17],xmm2 */
	cr_assert_eq(RUN(0x66, 0x0f, 0x6f, 0x16, 0x66, 0x0f, 0xfc, 0xd2, 0xf3, 0x0f, 0x7f, 0x56, 0x11), 0);
	if (h.tier == HARNESS_STEP)
		harness_run(&h, 2);
	for (unsigned n = 0; n < 16; n++)
		cr_assert_eq(h.ram[HARNESS_DATA + 17 + n], (uint8_t)(n * 34));
}

/* 16-bit code: operands by DS:SI, 14-byte environment in the real-mode form. */
Test(fpu_dispatch, real_mode)
{
	setup(HARNESS_REAL, HARNESS_BLOCK);
	h.cpu->gpr[RSI] = 0x8000;
	cr_assert_eq(RUN(0xd9, 0x34), 0); /* FNSTENV [SI] */
	cr_assert_eq(h.ram[0x8000], 0x7f);
	cr_assert_eq(h.ram[0x8004], 0xff);
	cr_assert_eq(h.ram[0x800e], 0, "14 bytes");
	cr_assert_eq(RUN(0x0f, 0x10, 0x04), 0, "SSE works in real mode");
	harness_fini(&h);
}

/* 32-bit code has eight XMM registers, and FXSAVE writes eight. */
Test(fpu_dispatch, protected_mode)
{
	setup(HARNESS_PROT32, HARNESS_BLOCK);
	memset(&h.cpu->vec[8], 0xee, 16);
	cr_assert_eq(RUN(0x0f, 0xae, 0x06), 0);
	cr_assert_eq(h.ram[HARNESS_DATA + 160 + 8 * 16], 0);
	harness_fini(&h);
}

/* ---- AVX (SDM vol. 1, 14.1 to 14.3; vol. 2, 2.7 and 2.8) ---- */

static void enable_avx(void)
{
	h.cpu->cr4 |= CR4_OSXSAVE;
	h.cpu->xcr0 = 7;
	harness_sync(&h);
}

#define VPADDB_YMM RUN(0xc5, 0xf5, 0xfc, 0xc2) /* vpaddb ymm0, ymm1, ymm2 */
#define ANDN RUN(0xc4, 0xe2, 0x78, 0xf2, 0xc1) /* andn eax, eax, ecx */

BOTH_TIERS(avx_availability)
{
	cr_assert_eq(VPADDB_YMM, FAULT(VEC_UD), "CR4.OSXSAVE is clear");
	cr_assert_eq(ANDN, 0, "general registers do not depend on it");
	enable_avx();
	h.cpu->xcr0 = 3;
	cr_assert_eq(VPADDB_YMM, FAULT(VEC_UD), "XCR0.AVX is clear");
	h.cpu->xcr0 = 7;
	cr_assert_eq(VPADDB_YMM, 0);
	set_cr0(CR0_EM, 0);
	cr_assert_eq(VPADDB_YMM, 0, "CR0.EM is none of its business");
	set_cr0(CR0_TS, CR0_EM);
	cr_assert_eq(VPADDB_YMM, FAULT(VEC_NM));
	cr_assert_eq(ANDN, 0);
	h.cpu->xcr0 = 3;
	cr_assert_eq(VPADDB_YMM, FAULT(VEC_UD), "before #NM");
}

/* 256-bit accesses are unaligned but for VMOVAPS and its kind; a store over a missing page writes nothing. */
BOTH_TIERS(avx_memory)
{
	enable_avx();
	memset(&h.cpu->vec[0], 0x5a, 32);
	h.cpu->gpr[RSI] = HARNESS_DATA + 0x1000 - 16;
	cr_assert_eq(RUN(0xc5, 0xfc, 0x11, 0x06), 0, "vmovups [rsi], ymm0 over two pages");
	cr_assert_eq(h.ram[HARNESS_DATA + 0x100f], 0x5a);
	cr_assert_eq(RUN(0xc5, 0xfc, 0x29, 0x06), FAULT(VEC_GP), "vmovaps");
	cr_assert_eq(RUN(0xc5, 0xfc, 0x58, 0x0e), 0, "vaddps ymm1, ymm0, [rsi]");
	*harness_pte(&h, HARNESS_DATA + 0x1000) &= ~1ull;
	harness_sync(&h);
	memset(&h.cpu->vec[0], 0xa5, 32);
	cr_assert_eq(RUN(0xc5, 0xfc, 0x11, 0x06), FAULT(VEC_PF));
	cr_assert_eq(h.fault.cr2, HARNESS_DATA + 0x1000);
	cr_assert_eq(h.ram[HARNESS_DATA + 0xff0], 0x5a);
	/* vmaskmovps [rsi], ymm2, ymm0: only the four low elements are selected, the missing page is not touched. */
	memset(&h.cpu->vec[2], 0, 64);
	memset(&h.cpu->vec[2], 0x80, 16);
	cr_assert_eq(RUN(0xc4, 0xe2, 0x6d, 0x2e, 0x06), 0);
	cr_assert_eq(h.ram[HARNESS_DATA + 0xff0], 0xa5);
	cr_assert_eq(RUN(0xc4, 0xe2, 0x6d, 0x2c, 0x1e), 0, "and loaded back");
	cr_assert_eq(h.cpu->vec[3].u8[15], 0xa5);
	cr_assert_eq(h.cpu->vec[3].u8[16], 0);
}

/* A gather that faults keeps what it has got and goes on there (SDM vol. 2, VPGATHERDD). */
BOTH_TIERS(gather_restarts)
{
	enable_avx();
	for (unsigned n = 0; n < 4; n++)
		memcpy(h.ram + HARNESS_DATA + 0x800 * n, &(uint32_t){ 0x1000 + n }, 4);
	h.cpu->vec[1] = (union vec){ .u32 = { 1u << 31, 1u << 31, 1u << 31, 1u << 31 } };
	h.cpu->vec[4] = (union vec){ .u32 = { 0, 0x800, 0x1000, 0x1800 } };
	memset(&h.cpu->vec[0], 0xee, 64);
	*harness_pte(&h, HARNESS_DATA + 0x1000) &= ~1ull;
	harness_sync(&h);
	cr_assert_eq(RUN(0xc4, 0xe2, 0x71, 0x90, 0x04, 0x26), FAULT(VEC_PF), "vpgatherdd xmm0, [rsi+xmm4], xmm1");
	cr_assert_eq(h.fault.cr2, HARNESS_DATA + 0x1000);
	cr_assert_eq(h.cpu->vec[0].u32[1], 0x1001);
	cr_assert_eq(h.cpu->vec[0].u32[2], 0xeeeeeeee);
	cr_assert_eq(h.cpu->vec[1].u64[0], 0, "these two are done");
	*harness_pte(&h, HARNESS_DATA + 0x1000) |= 1;
	harness_sync(&h);
	h.ram[HARNESS_DATA] = 0x77; /* must not be read again */
	cr_assert_eq(RUN(0xc4, 0xe2, 0x71, 0x90, 0x04, 0x26), 0);
	cr_assert_eq(h.cpu->vec[0].u32[0], 0x1000);
	cr_assert_eq(h.cpu->vec[0].u32[3], 0x1003);
	cr_assert_eq(h.cpu->vec[1].u64[1] | h.cpu->vec[0].u64[2], 0);
}

/* No VEX in real mode: with ModRM.mod = 3 these bytes are an invalid LES or LDS. */
Test(fpu_dispatch, avx_needs_protection)
{
	setup(HARNESS_REAL, HARNESS_BLOCK);
	enable_avx();
	cr_assert_eq(VPADDB_YMM, FAULT(VEC_UD));
	cr_assert_eq(ANDN, FAULT(VEC_UD));
	harness_fini(&h);
	setup(HARNESS_PROT16, HARNESS_BLOCK);
	enable_avx();
	cr_assert_eq(VPADDB_YMM, 0);
	memset(&h.cpu->vec[8], 0xee, 64);
	cr_assert_eq(RUN(0xc5, 0xfc, 0x77), 0, "VZEROALL");
	cr_assert_eq(h.cpu->vec[8].u8[20], 0xee, "eight registers outside 64-bit mode");
	harness_fini(&h);
}
