/* SPDX-License-Identifier: MIT */
/* SSE, AVX and AVX-512: alignment, encodings, flags, and what a gather leaves when it faults. */
#include "probe.h"
#include "emu/isa/isa.h"
#include "features.h"

#ifdef __x86_64__
#include <string.h>

enum { UD = 6, GP = 13, PF = 14 };

static enum answer sha_alignment(void)
{
	struct probe_regs r = { .rsi = (uintptr_t)probe_data + 1 };

	if (!host_has(FEAT_SHA))
		return SAYS_NOTHING;
	return probe_answer(probe_bytes("\x0f\x38\xc9\x06", 4, &r), GP, PROBE_RAN); /* SHA1MSG1 XMM0, [RSI] */
}

static enum answer vpermq_w0(void)
{
	struct probe_regs r = { 0 };

	if (!host_has(FEAT_AVX2))
		return SAYS_NOTHING;
	return probe_answer(probe_bytes("\xc4\xe3\x7d\x00\xc1\x00", 6, &r), UD, PROBE_RAN);
}

/* The base is a page that is not there: the first element faults. All bits of the destination are set. */
static const uint32_t gather_mask[8] = { 0x80000000, 0x80000000, 0x80000000, 0x80000000 };
static const uint32_t gather_index[8];

__attribute__((target("avx2"))) static void gather(void)
{
	__asm__ volatile("vpcmpeqd %%ymm0, %%ymm0, %%ymm0\n\t"
			 "vmovdqu %[mask], %%ymm1\n\t"
			 "vmovdqu %[index], %%ymm2\n\t"
			 "vgatherdps %%xmm1, (%[data],%%xmm2), %%xmm0\n\t"
			 :
			 : [mask] "m"(gather_mask), [index] "m"(gather_index), [data] "r"(probe_data - PROBE_PAGE)
			 : "xmm0", "xmm1", "xmm2", "memory");
}

static enum answer gather_fault(void)
{
	static const uint8_t zero[16];
	uint32_t mask;

	if (!host_has(FEAT_AVX2) || probe_run(gather) != PF)
		return SAYS_NOTHING;
	memcpy(&mask, probe_fault.fx.xmm[1], sizeof(mask));
	return mask == UINT32_MAX && memcmp(probe_fault.ymm_high[0], zero, 16) == 0 ? DOES_ALIKE : DOES_OTHERWISE;
}

/* ---- AVX-512 ---------------------------------------------------------------------------------------------- */

static enum answer evex_idle(void)
{
	static const uint8_t codes[][6] = {
		{ 0x62, 0xf1, 0x7d, 0x58, 0xfe, 0xc1 }, /* VPADDD with b */
		{ 0x62, 0xf1, 0x7d, 0xc8, 0xfe, 0xc1 }, /* VPADDD with z, without a mask */
		{ 0x62, 0xf1, 0x7d, 0x58, 0x6f, 0xc1 }, /* VMOVDQA32 with b */
		{ 0x62, 0xf2, 0x7d, 0x58, 0x36, 0xc1 }, /* VPERMD with b */
		{ 0x62, 0xf2, 0x7d, 0x58, 0x7c, 0xc0 }, /* VPBROADCASTD from EAX with b */
		{ 0x62, 0xf1, 0x7d, 0xc8, 0x76, 0xc1 }, /* VPCMPEQD into an opmask with z */
	};
	struct probe_regs r = { 0 };
	unsigned run = 0;

	for (unsigned n = 0; n < sizeof(codes) / sizeof(codes[0]); n++)
		run += probe_bytes(codes[n], 6, &r) == PROBE_RAN;
	return run ? DOES_OTHERWISE : DOES_ALIKE;
}

static uint32_t vreduce_flags(void)
{
	static const uint64_t operand[2] = { 0x3ff8000000000000 };
	const uint32_t clear = 0x1f80;
	uint32_t own, flags;

	__asm__ volatile("stmxcsr %[own]; ldmxcsr %[clear]; movdqu %[operand], %%xmm1\n\t"
			 ".byte 0x62, 0xf3, 0xfd, 0x08, 0x56, 0xc1, 0x00\n\t" /* VREDUCEPD XMM0, XMM1, 0 */
			 "stmxcsr %[flags]; ldmxcsr %[own]"
			 : [own] "=m"(own), [flags] "=m"(flags)
			 : [clear] "m"(clear), [operand] "m"(operand)
			 : "xmm0", "xmm1");
	return flags & 0x3f;
}

/* 1.5 rounds to 2 inexactly; -0.5, the rest, is exact. */
static enum answer vreduce_pe(void)
{
	const uint32_t flags = vreduce_flags();

	return flags == 0x20 ? DOES_ALIKE : flags == 0 ? DOES_OTHERWISE : SAYS_NOTHING;
}

void probe_simd(struct processor *p)
{
	probe_note(p, PT_SHA_ALIGNMENT, sha_alignment());
	probe_note(p, PT_VPERMQ_W0, vpermq_w0());
	probe_note(p, PT_GATHER_FAULT, gather_fault());
	if (!host_has(FEAT_AVX512F))
		return;
	probe_note(p, PT_EVEX_IDLE, evex_idle());
	if (host_has(FEAT_AVX512DQ))
		probe_note(p, PT_VREDUCE_PE, vreduce_pe());
}
#endif
