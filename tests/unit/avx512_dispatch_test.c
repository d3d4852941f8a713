/* SPDX-License-Identifier: MIT */
/*
 * AVX-512 on the whole emulated processor, both tiers: availability, fault suppression over a missing page, gathers and
 * scatters that restart, XSAVE components 5 to 7. What instructions compute is silicon's business.
 */
#include "emu_harness.h"

#include <criterion/criterion.h>
#include <string.h>

static struct harness h;

#define RUN(...) harness_one(&h, (const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))
#define FAULT(v) (0x100 | (v))

static void setup(enum harness_tier tier)
{
	harness_init(&h, HARNESS_LONG, tier);
	h.cpu->cr0 = (h.cpu->cr0 & ~(CR0_EM | CR0_TS)) | CR0_NE | CR0_MP;
	h.cpu->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	h.cpu->xcr0 = 0xe7;
	harness_sync(&h);
	h.cpu->gpr[RSI] = HARNESS_DATA;
	h.cpu->gpr[RAX] = h.cpu->gpr[RDX] = 0xffffffff;
}

#define BOTH_TIERS(name)                                                                                          \
	static void test_##name(void);                                                                            \
	Test(avx512_dispatch, name##_step)                                                                        \
	{                                                                                                         \
		setup(HARNESS_STEP);                                                                              \
		test_##name();                                                                                    \
		harness_fini(&h);                                                                                 \
	}                                                                                                         \
	Test(avx512_dispatch, name##_block)                                                                       \
	{                                                                                                         \
		setup(HARNESS_BLOCK);                                                                             \
		test_##name();                                                                                    \
		harness_fini(&h);                                                                                 \
	}                                                                                                         \
	static void test_##name(void)

#define VPADDD_ZMM RUN(0x62, 0xf1, 0x75, 0x48, 0xfe, 0xc2) /* vpaddd zmm0, zmm1, zmm2 */
#define KANDW RUN(0xc5, 0xec, 0x41, 0xcb)		   /* kandw k1, k2, k3 */

/* SDM vol. 1, 15.2 to 15.4: SSE, AVX and all three parts of AVX-512 in XCR0, for the shorter vectors and for opmasks, too. */
BOTH_TIERS(availability)
{
	static const uint64_t incomplete[] = { 7, 0x27, 0x67, 0xc7, 0xa7, 0xe3, 0xe1 };

	cr_assert_eq(VPADDD_ZMM, 0);
	cr_assert_eq(KANDW, 0);
	for (unsigned n = 0; n < sizeof(incomplete) / sizeof(incomplete[0]); n++) {
		h.cpu->xcr0 = incomplete[n];
		cr_assert_eq(VPADDD_ZMM, FAULT(VEC_UD));
		cr_assert_eq(KANDW, FAULT(VEC_UD));
		cr_assert_eq(RUN(0x62, 0xf1, 0x75, 0x08, 0xfe, 0xc2), FAULT(VEC_UD), "128 bits");
	}
	h.cpu->xcr0 = 0xe7;
	h.cpu->cr0 |= CR0_TS;
	harness_sync(&h);
	cr_assert_eq(VPADDD_ZMM, FAULT(VEC_NM));
	cr_assert_eq(KANDW, FAULT(VEC_NM));
	h.cpu->cr4 &= ~CR4_OSXSAVE;
	harness_sync(&h);
	cr_assert_eq(VPADDD_ZMM, FAULT(VEC_UD), "before #NM");
}

/* SDM vol. 1, 13.3 and vol. 2, XSETBV. */
BOTH_TIERS(xcr0_combinations)
{
	static const struct {
		uint32_t value;
		bool valid;
	} cases[] = { { 0xe7, true },  { 7, true },	{ 3, true },	 { 0x27, false },  { 0x67, false }, { 0xc7, false },
		      { 0xe3, false }, { 0xe5, false }, { 0xe6, false }, { 0x1e7, false }, { 0x2e7, true }, { 0x4e7, false } };

	for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		h.cpu->gpr[RAX] = cases[n].value;
		h.cpu->gpr[RCX] = h.cpu->gpr[RDX] = 0;
		cr_assert_eq(RUN(0x0f, 0x01, 0xd1), cases[n].valid ? 0 : FAULT(VEC_GP), "XCR0 %x", cases[n].value);
	}
}

/* VEX and EVEX clear what is above the vector length, legacy SSE keeps it. */
BOTH_TIERS(upper_parts)
{
	memset(&h.cpu->vec[0], 0xee, 64);
	cr_assert_eq(RUN(0x66, 0x0f, 0xfe, 0xc1), 0, "paddd xmm0, xmm1");
	cr_assert_eq(h.cpu->vec[0].u8[63], 0xee);
	cr_assert_eq(RUN(0xc5, 0xf5, 0xfe, 0xc2), 0, "vpaddd ymm0, ymm1, ymm2");
	cr_assert_eq(h.cpu->vec[0].u64[4] | h.cpu->vec[0].u64[7], 0);
	memset(&h.cpu->vec[0], 0xee, 64);
	cr_assert_eq(RUN(0x62, 0xf1, 0x75, 0x08, 0xfe, 0xc2), 0, "vpaddd xmm0, xmm1, xmm2");
	cr_assert_eq(h.cpu->vec[0].u64[2] | h.cpu->vec[0].u64[7], 0);
}

static void lose_second_page(bool lost)
{
	if (lost)
		*harness_pte(&h, HARNESS_DATA + 0x1000) &= ~1ull;
	else
		*harness_pte(&h, HARNESS_DATA + 0x1000) |= 1;
	harness_sync(&h);
}

/* Elements that the mask leaves out are not accessed (SDM vol. 1, 15.6.4); a store that faults has written nothing. */
BOTH_TIERS(fault_suppression)
{
	h.cpu->gpr[RSI] = HARNESS_DATA + 0x1000 - 16;
	memset(&h.cpu->vec[0], 0x5a, 64);
	lose_second_page(true);
	h.cpu->k[1] = 0xffff;
	cr_assert_eq(RUN(0x62, 0xf1, 0x7f, 0x49, 0x7f, 0x06), 0, "vmovdqu8 [rsi]{k1}, zmm0");
	cr_assert_eq(h.ram[HARNESS_DATA + 0xfff], 0x5a);
	cr_assert_eq(RUN(0x62, 0xf1, 0x7f, 0xc9, 0x6f, 0x1e), 0, "vmovdqu8 zmm3{k1}{z}, [rsi]");
	cr_assert_eq(h.cpu->vec[3].u8[15], 0x5a);
	cr_assert_eq(h.cpu->vec[3].u8[16], 0);
	memset(&h.cpu->vec[0], 0xa5, 64);
	h.cpu->k[1] = 0x1ffff;
	cr_assert_eq(RUN(0x62, 0xf1, 0x7f, 0x49, 0x7f, 0x06), FAULT(VEC_PF));
	cr_assert_eq(h.fault.cr2, HARNESS_DATA + 0x1000);
	cr_assert_eq(h.ram[HARNESS_DATA + 0xfff], 0x5a);
	h.cpu->k[1] = 0;
	h.cpu->gpr[RSI] = HARNESS_DATA + 0x1000;
	cr_assert_eq(RUN(0x62, 0xf1, 0x75, 0x59, 0xfe, 0x06), 0, "vpaddd zmm0{k1}, zmm1, [rsi]{1to16}: nobody wants it");
	cr_assert_eq(RUN(0x62, 0xf2, 0x75, 0x48, 0x00, 0x06), FAULT(VEC_PF), "vpshufb zmm0, zmm1, [rsi]");
}

/* What has arrived has left the mask, and is not read or written again (SDM vol. 2, VPGATHERDD, VPSCATTERDD). */
BOTH_TIERS(gather_and_scatter_restart)
{
	for (unsigned n = 0; n < 4; n++)
		memcpy(h.ram + HARNESS_DATA + 0x800 * n, &(uint32_t){ 0x1000 + n }, 4);
	h.cpu->vec[4] = (union vec){ .u32 = { 0, 0x800, 0x1000, 0x1800 } };
	memset(&h.cpu->vec[0], 0xee, 64);
	h.cpu->k[1] = 0xf;
	lose_second_page(true);
	cr_assert_eq(RUN(0x62, 0xf2, 0x7d, 0x09, 0x90, 0x04, 0x26), FAULT(VEC_PF), "vpgatherdd xmm0{k1}, [rsi+xmm4]");
	cr_assert_eq(h.cpu->k[1], 0xc);
	cr_assert_eq(h.cpu->vec[0].u32[1], 0x1001);
	cr_assert_eq(h.cpu->vec[0].u32[2], 0xeeeeeeee);
	lose_second_page(false);
	h.ram[HARNESS_DATA] = 0x77;
	cr_assert_eq(RUN(0x62, 0xf2, 0x7d, 0x09, 0x90, 0x04, 0x26), 0);
	cr_assert_eq(h.cpu->k[1], 0);
	cr_assert_eq(h.cpu->vec[0].u32[0], 0x1000);
	cr_assert_eq(h.cpu->vec[0].u32[3], 0x1003);
	cr_assert_eq(h.cpu->vec[0].u64[2], 0);

	h.cpu->k[1] = 0xf;
	lose_second_page(true);
	cr_assert_eq(RUN(0x62, 0xf2, 0x7d, 0x09, 0xa0, 0x04, 0x26), FAULT(VEC_PF), "vpscatterdd [rsi+xmm4]{k1}, xmm0");
	cr_assert_eq(h.cpu->k[1], 0xc);
	cr_assert_eq(h.ram[HARNESS_DATA], 0);
}

static uint64_t qword_at(unsigned offset)
{
	uint64_t v;

	memcpy(&v, h.ram + HARNESS_DATA + offset, sizeof(v));
	return v;
}

static void load_marks(void)
{
	h.cpu->k[3] = 0x1234;
	h.cpu->vec[5].u64[3] = 0x5678;	/* YMM_Hi128 */
	h.cpu->vec[5].u64[4] = 0x9abc;	/* ZMM_Hi256 */
	h.cpu->vec[20].u64[7] = 0xdef0; /* Hi16_ZMM */
}

static void check_marks(void)
{
	memset(h.cpu->k, 0xff, sizeof(h.cpu->k));
	memset(h.cpu->vec, 0xff, sizeof(h.cpu->vec));
	cr_assert_eq(RUN(0x0f, 0xae, 0x2e), 0, "XRSTOR");
	cr_assert_eq(h.cpu->k[3], 0x1234);
	cr_assert_eq(h.cpu->k[2], 0);
	cr_assert_eq(h.cpu->vec[5].u64[3], 0x5678);
	cr_assert_eq(h.cpu->vec[5].u64[4], 0x9abc);
	cr_assert_eq(h.cpu->vec[5].u64[5], 0);
	cr_assert_eq(h.cpu->vec[20].u64[7], 0xdef0);
	cr_assert_eq(h.cpu->vec[21].u64[7], 0);
}

/* Standard form: components where CPUID leaf 0Dh says (SDM vol. 1, 13.4.2, 13.5.6). */
BOTH_TIERS(xsave_standard)
{
	memset(h.ram + HARNESS_DATA, 0, 4096);
	load_marks();
	cr_assert_eq(RUN(0x0f, 0xae, 0x26), 0, "XSAVE");
	cr_assert_eq(qword_at(512) & 0xe4, 0xe4);
	cr_assert_eq(qword_at(1088 + 3 * 8), 0x1234);
	cr_assert_eq(qword_at(576 + 5 * 16 + 8), 0x5678);
	cr_assert_eq(qword_at(1152 + 5 * 32), 0x9abc);
	cr_assert_eq(qword_at(1664 + 4 * 64 + 56), 0xdef0);
	check_marks();
}

/* Compacted form: one behind the other; components in their initial state are not written (13.4.3, 13.10). */
BOTH_TIERS(xsave_compacted)
{
	memset(h.ram + HARNESS_DATA, 0xcc, 4096);
	load_marks();
	cr_assert_eq(RUN(0x0f, 0xc7, 0x26), 0, "XSAVEC");
	cr_assert_eq(qword_at(512) & 0xe4, 0xe4);
	cr_assert_eq(qword_at(520), 0x80000000000000e7);
	cr_assert_eq(qword_at(832 + 3 * 8), 0x1234);
	cr_assert_eq(qword_at(896 + 5 * 32), 0x9abc);
	cr_assert_eq(qword_at(1408 + 4 * 64 + 56), 0xdef0);
	memset(h.ram + HARNESS_DATA + 528, 0, 48);
	check_marks();

	memset(h.ram + HARNESS_DATA, 0xcc, 4096);
	h.cpu->k[3] = 0;
	h.cpu->gpr[RAX] = 0xa0; /* without ZMM_Hi256 */
	cr_assert_eq(RUN(0x0f, 0xc7, 0x26), 0);
	cr_assert_eq(qword_at(512), 0x80);
	cr_assert_eq(qword_at(520), 0x80000000000000a0);
	cr_assert_eq(qword_at(576), 0xcccccccccccccccc, "opmask is initial");
	cr_assert_eq(qword_at(640 + 4 * 64 + 56), 0xdef0, "and yet has its place");
}
