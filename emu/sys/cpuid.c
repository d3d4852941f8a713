/* SPDX-License-Identifier: MIT */
/*
 * CPUID (SDM vol. 2, CPUID): what this processor says about itself, and nothing that is not true.
 *
 * The vendor is Intel's, because the behaviour where vendors differ is (SYSRET, null selectors, SYSCALL only in 64-bit
 * mode), and the model is one for which Linux has no list of errata. The emulator does not speculate: the
 * IA32_ARCH_CAPABILITIES bits (msr.c) say so, and kernels leave their mitigations off.
 */
#include "sys.h"
#include "../fpu/provider.h"

#include <string.h>

#define SIGNATURE 0x000806f8u /* family 6, model 8fh, stepping 8; also in DX after RESET */

enum { EAX, EBX, ECX, EDX };
enum { LEAF_MAX = 0x1f, LEAF_EXT_MAX = 0x80000008, LEAF_HYPERVISOR = 0x40000000 };

/* The one table: where each feature of the instruction table, or of the architecture (FEAT_BASE), shows, and whether
 * it is offered. What is not offered raises #UD and its control bits are reserved. */
static const struct {
	uint32_t leaf;
	uint8_t subleaf, reg, bit, feature;
	bool offered;
} features[] = {
	{ 1, 0, EDX, 0, FEAT_FPU, true },
	{ 1, 0, EDX, 1, FEAT_BASE, true },  /* VME */
	{ 1, 0, EDX, 2, FEAT_BASE, true },  /* DE */
	{ 1, 0, EDX, 3, FEAT_BASE, true },  /* PSE */
	{ 1, 0, EDX, 4, FEAT_TSC, true },
	{ 1, 0, EDX, 5, FEAT_MSR, true },
	{ 1, 0, EDX, 6, FEAT_BASE, true },  /* PAE */
	{ 1, 0, EDX, 7, FEAT_BASE, true },  /* MCE */
	{ 1, 0, EDX, 8, FEAT_CX8, true },
	{ 1, 0, EDX, 11, FEAT_SEP, true },
	{ 1, 0, EDX, 12, FEAT_BASE, true }, /* MTRR */
	{ 1, 0, EDX, 13, FEAT_BASE, true }, /* PGE */
	{ 1, 0, EDX, 14, FEAT_BASE, true }, /* MCA */
	{ 1, 0, EDX, 15, FEAT_CMOV, true },
	{ 1, 0, EDX, 16, FEAT_BASE, true }, /* PAT */
	{ 1, 0, EDX, 17, FEAT_BASE, true }, /* PSE-36 */
	{ 1, 0, EDX, 19, FEAT_CLFLUSH, true },
	{ 1, 0, EDX, 23, FEAT_MMX, true },
	{ 1, 0, EDX, 24, FEAT_FXSR, true },
	{ 1, 0, EDX, 25, FEAT_SSE, true },
	{ 1, 0, EDX, 26, FEAT_SSE2, true },
	{ 1, 0, EDX, 27, FEAT_BASE, true }, /* self snoop */
	{ 1, 0, ECX, 0, FEAT_SSE3, true },
	{ 1, 0, ECX, 1, FEAT_PCLMULQDQ, true },
	{ 1, 0, ECX, 3, FEAT_MONITOR, false },
	{ 1, 0, ECX, 9, FEAT_SSSE3, true },
	{ 1, 0, ECX, 12, FEAT_FMA, true },
	{ 1, 0, ECX, 13, FEAT_CX16, true },
	{ 1, 0, ECX, 17, FEAT_PCID, true },
	{ 1, 0, ECX, 19, FEAT_SSE41, true },
	{ 1, 0, ECX, 20, FEAT_SSE42, true },
	{ 1, 0, ECX, 21, FEAT_X2APIC, true },
	{ 1, 0, ECX, 22, FEAT_MOVBE, true },
	{ 1, 0, ECX, 23, FEAT_POPCNT, true },
	{ 1, 0, ECX, 24, FEAT_TSC_DEADLINE, true },
	{ 1, 0, ECX, 25, FEAT_AES, true },
	{ 1, 0, ECX, 26, FEAT_XSAVE, true },
	{ 1, 0, ECX, 28, FEAT_AVX, true },
	{ 1, 0, ECX, 29, FEAT_F16C, true },
	{ 1, 0, ECX, 30, FEAT_RDRAND, true },
	{ 1, 0, ECX, 31, FEAT_BASE, true }, /* hypervisor present */
	{ 6, 0, EAX, 2, FEAT_BASE, true },  /* ARAT: the APIC timer never stops */
	{ 7, 0, EBX, 0, FEAT_FSGSBASE, true },
	{ 7, 0, EBX, 1, FEAT_BASE, true },  /* IA32_TSC_ADJUST */
	{ 7, 0, EBX, 3, FEAT_BMI1, true },
	{ 7, 0, EBX, 5, FEAT_AVX2, true },
	{ 7, 0, EBX, 6, FEAT_BASE, true },  /* FDP is updated on x87 exceptions only */
	{ 7, 0, EBX, 7, FEAT_SMEP, true },
	{ 7, 0, EBX, 8, FEAT_BMI2, true },
	{ 7, 0, EBX, 9, FEAT_ERMS, true },
	{ 7, 0, EBX, 10, FEAT_INVPCID, true },
	{ 7, 0, EBX, 13, FEAT_BASE, true }, /* FCS and FDS are zero */
	{ 7, 0, EBX, 16, FEAT_AVX512F, true },
	{ 7, 0, EBX, 17, FEAT_AVX512DQ, true },
	{ 7, 0, EBX, 18, FEAT_RDSEED, true },
	{ 7, 0, EBX, 19, FEAT_ADX, true },
	{ 7, 0, EBX, 20, FEAT_SMAP, true },
	{ 7, 0, EBX, 21, FEAT_AVX512IFMA, true },
	{ 7, 0, EBX, 23, FEAT_CLFLUSHOPT, true },
	{ 7, 0, EBX, 24, FEAT_CLWB, true },
	{ 7, 0, EBX, 28, FEAT_AVX512CD, true },
	{ 7, 0, EBX, 29, FEAT_SHA, true },
	{ 7, 0, EBX, 30, FEAT_AVX512BW, true },
	{ 7, 0, EBX, 31, FEAT_AVX512VL, true },
	{ 7, 0, ECX, 1, FEAT_AVX512VBMI, true },
	{ 7, 0, ECX, 2, FEAT_UMIP, true },
	{ 7, 0, ECX, 3, FEAT_PKU, true },
	{ 7, 0, ECX, 6, FEAT_AVX512VBMI2, true },
	{ 7, 0, ECX, 8, FEAT_GFNI, true },
	{ 7, 0, ECX, 9, FEAT_VAES, true },
	{ 7, 0, ECX, 10, FEAT_VPCLMULQDQ, true },
	{ 7, 0, ECX, 11, FEAT_AVX512VNNI, true },
	{ 7, 0, ECX, 12, FEAT_AVX512BITALG, true },
	{ 7, 0, ECX, 14, FEAT_AVX512VPOPCNTDQ, true },
	{ 7, 0, ECX, 16, FEAT_LA57, true },
	{ 7, 0, ECX, 22, FEAT_RDPID, true },
	{ 7, 0, ECX, 25, FEAT_CLDEMOTE, false },
	{ 7, 0, ECX, 27, FEAT_MOVDIRI, false },
	{ 7, 0, ECX, 28, FEAT_MOVDIR64B, false },
	{ 7, 0, EDX, 4, FEAT_FSRM, true },
	{ 7, 0, EDX, 14, FEAT_SERIALIZE, true },
	{ 7, 0, EDX, 26, FEAT_BASE, true }, /* IBRS, IBPB: IA32_SPEC_CTRL and IA32_PRED_CMD */
	{ 7, 0, EDX, 27, FEAT_BASE, true }, /* STIBP */
	{ 7, 0, EDX, 29, FEAT_BASE, true }, /* IA32_ARCH_CAPABILITIES */
	{ 7, 0, EDX, 31, FEAT_BASE, true }, /* SSBD */
	{ 7, 1, EAX, 4, FEAT_AVX_VNNI, true },
	{ 7, 1, EAX, 5, FEAT_AVX512BF16, true },
	{ 7, 2, EDX, 4, FEAT_BASE, true },  /* BHI_CTRL: a control bit without effect, instead of a loop per system call */
	{ 7, 2, EDX, 5, FEAT_BASE, true },  /* MCDT_NO */
	{ 0xd, 1, EAX, 0, FEAT_XSAVEOPT, true },
	{ 0xd, 1, EAX, 1, FEAT_XSAVEC, true },
	{ 0xd, 1, EAX, 2, FEAT_XGETBV1, true },
	{ 0xd, 1, EAX, 3, FEAT_XSAVES, true },
	{ 0x80000001, 0, ECX, 0, FEAT_LAHF64, true },
	{ 0x80000001, 0, ECX, 5, FEAT_LZCNT, true },
	{ 0x80000001, 0, ECX, 6, FEAT_SSE4A, false },
	{ 0x80000001, 0, ECX, 8, FEAT_PREFETCHW, true },
	{ 0x80000001, 0, EDX, 11, FEAT_SYSCALL, true },
	{ 0x80000001, 0, EDX, 20, FEAT_BASE, true }, /* NX */
	{ 0x80000001, 0, EDX, 26, FEAT_BASE, true }, /* 1 GiB pages */
	{ 0x80000001, 0, EDX, 27, FEAT_RDTSCP, true },
	{ 0x80000001, 0, EDX, 29, FEAT_BASE, true }, /* long mode */
	{ 0x80000007, 0, EDX, 8, FEAT_BASE, true },  /* invariant TSC */
	{ 0x80000008, 0, EBX, 9, FEAT_WBNOINVD, false },
};

enum { FEATURE_ROWS = sizeof(features) / sizeof(features[0]) };

/* Decoding asks for each instruction, so the answer is a table of bits, filled once from the rows above. */
static uint64_t offered_mask[(FEAT_COUNT + 63) / 64];

/* What only the host's own unit computes (fpu/provider.h). */
static bool is_computable(unsigned feature)
{
	if (feature == FEAT_FMA)
		return fp_has_fma();
	if (feature >= FEAT_AVX512F && feature <= FEAT_AVX512FP16)
		return fp_has_fma() && fp_has_f16c();
	return feature != FEAT_F16C || fp_has_f16c();
}

void cpuid_init_once(void)
{
	uint64_t mask[(FEAT_COUNT + 63) / 64] = { 1ull << FEAT_BASE };

	for (unsigned n = 0; n < FEATURE_ROWS; n++) {
		if (features[n].offered && is_computable(features[n].feature))
			mask[features[n].feature / 64] |= 1ull << (features[n].feature % 64);
	}
	memcpy(offered_mask, mask, sizeof(mask));
}

static bool hidden_by_config(const struct emu *e, unsigned feature)
{
	return feature == FEAT_TSC_DEADLINE && e->machine && e->machine->config.no_tsc_deadline;
}

bool sys_has_feature(const struct emu *e, unsigned feature)
{
	if (feature >= FEAT_COUNT || hidden_by_config(e, feature))
		return false;
	return offered_mask[feature / 64] >> (feature % 64) & 1;
}

/* ECX matters only where the SDM says so (vol. 2, CPUID); elsewhere callers leave anything in it. */
static bool has_subleaves(uint32_t leaf)
{
	return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd || leaf == 0x1f;
}

static void add_features(const struct emu *e, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
	if (!has_subleaves(leaf))
		subleaf = 0;
	for (unsigned n = 0; n < FEATURE_ROWS; n++) {
		if (features[n].leaf == leaf && features[n].subleaf == subleaf && features[n].offered &&
		    is_computable(features[n].feature) && !hidden_by_config(e, features[n].feature))
			out->r[features[n].reg] |= 1u << features[n].bit;
	}
}

static unsigned vcpu_count(const struct emu *e)
{
	return e->machine && e->machine->vcpus ? e->machine->vcpus : 1;
}

/* Bits of the APIC id that number processors within the one package. */
static unsigned id_bits(const struct emu *e)
{
	unsigned bits = 0;

	while ((1u << bits) < vcpu_count(e))
		bits++;
	return bits;
}

static void put_text(uint32_t *r, const char *text, unsigned count)
{
	for (unsigned n = 0; n < count; n++)
		memcpy(&r[n], text + n * 4, 4);
}

static void leaf_vendor(struct cpuid_regs *out, uint32_t max, const char order[12])
{
	uint32_t text[3];

	put_text(text, order, 3);
	*out = (struct cpuid_regs){ { max, text[0], text[2], text[1] } };
}

static void leaf_version(const struct emu *e, struct cpuid_regs *out)
{
	unsigned count = vcpu_count(e);
	bool apic_on = e->cpu.msr.apic_base & (1u << 11);

	out->r[EAX] = SIGNATURE;
	out->r[EBX] = (uint32_t)e->cpu.vcpu << 24 | (count > 1 ? 1u << id_bits(e) : 1u) << 16 | 8u << 8;
	if (apic_on)
		out->r[EDX] |= 1u << 9;
	if (count > 1)
		out->r[EDX] |= 1u << 28; /* HTT: EBX 23..16 is valid */
	if (e->cpu.cr4 & CR4_OSXSAVE)
		out->r[ECX] |= 1u << 27;
}

/* Caches that do not exist, in sizes that let kernels choose sensible defaults. */
static const struct {
	uint8_t type, level, ways;
	uint16_t sets;
	bool shared;
} caches[] = {
	{ 1, 1, 8, 64, false }, { 2, 1, 8, 64, false }, { 3, 2, 16, 1024, false }, { 3, 3, 16, 16384, true },
};

static void leaf_cache(const struct emu *e, uint32_t subleaf, struct cpuid_regs *out)
{
	uint32_t last_id = (1u << id_bits(e)) - 1;

	if (subleaf >= sizeof(caches) / sizeof(caches[0]))
		return;
	out->r[EAX] = caches[subleaf].type | (uint32_t)caches[subleaf].level << 5 | 1u << 8 |
		      (caches[subleaf].shared ? last_id : 0) << 14 | last_id << 26;
	out->r[EBX] = 63u | (caches[subleaf].ways - 1u) << 22;
	out->r[ECX] = caches[subleaf].sets - 1u;
}

static void leaf_topology(const struct emu *e, uint32_t subleaf, struct cpuid_regs *out)
{
	out->r[ECX] = subleaf & 0xff;
	out->r[EDX] = e->cpu.vcpu;
	if (subleaf == 0) { /* one thread per core */
		out->r[EBX] = 1;
		out->r[ECX] |= 1u << 8;
	} else if (subleaf == 1) {
		out->r[EAX] = id_bits(e);
		out->r[EBX] = vcpu_count(e);
		out->r[ECX] |= 2u << 8;
	}
}

uint64_t sys_xcr0_supported(const struct emu *e)
{
	uint64_t v = EMU_XCR0_SUPPORTED;

	if (!sys_has_feature(e, FEAT_AVX512F))
		v &= ~0xe0ull;
	if (!sys_has_feature(e, FEAT_PKU))
		v &= ~0x200ull;
	return sys_has_feature(e, FEAT_AVX) ? v : v & 0x203;
}

static void leaf_xsave(const struct emu *e, uint32_t subleaf, struct cpuid_regs *out)
{
	if (subleaf == 0) {
		out->r[EAX] = (uint32_t)sys_xcr0_supported(e);
		out->r[EBX] = xsave_size(e->cpu.xcr0, false);
		out->r[ECX] = xsave_size(sys_xcr0_supported(e), false);
		out->r[EDX] = (uint32_t)(sys_xcr0_supported(e) >> 32);
	} else if (subleaf == 1 && (sys_has_feature(e, FEAT_XSAVEC) || sys_has_feature(e, FEAT_XSAVES))) {
		out->r[EBX] = xsave_size(e->cpu.xcr0 | e->cpu.msr.xss, true);
	} else if (subleaf < 64 && (sys_xcr0_supported(e) >> subleaf & 1)) {
		bool align64 = false;

		out->r[EAX] = xsave_component(subleaf, &out->r[EBX], &align64);
		out->r[ECX] = align64 ? 2 : 0;
	}
}

/* The crystal is the TSC's own 1 GHz, the local APIC timer counts the same nanoseconds (SDM vol. 3, 10.5.4). */
static void leaf_tsc(struct cpuid_regs *out)
{
	out->r[EAX] = 1;
	out->r[EBX] = 1;
	out->r[ECX] = (uint32_t)sys_tsc_hz();
}

static void leaf_frequency(struct cpuid_regs *out)
{
	out->r[EAX] = (uint32_t)(sys_tsc_hz() / 1000000);
	out->r[EBX] = out->r[EAX];
	out->r[ECX] = 100;
}

static void leaf_brand(uint32_t leaf, struct cpuid_regs *out)
{
	static const char brand[48] = "Bulkhead emulated processor";

	put_text(out->r, brand + (leaf - 0x80000002) * 16, 4);
}

struct cpuid_regs cpuid_read(const struct emu *e, uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs out = { { 0 } };

	/* Beyond the last leaf Intel processors answer with the last basic one. */
	if ((leaf > LEAF_MAX && leaf < LEAF_HYPERVISOR) || leaf > LEAF_EXT_MAX)
		leaf = LEAF_MAX;
	switch (leaf) {
	case 0: leaf_vendor(&out, LEAF_MAX, "GenuineIntel"); break;
	case 1: leaf_version(e, &out); break;
	case 2: out.r[EAX] = 0x00ff0001; break; /* "see leaf 4" */
	case 4: leaf_cache(e, subleaf, &out); break;
	case 0xb: leaf_topology(e, subleaf, &out); break;
	case 0xd: leaf_xsave(e, subleaf, &out); break;
	case 0x15: leaf_tsc(&out); break;
	case 0x16: leaf_frequency(&out); break;
	case 0x1f: leaf_topology(e, subleaf, &out); break;
	case LEAF_HYPERVISOR:
		leaf_vendor(&out, LEAF_HYPERVISOR, "BulkheadEMU");
		/* EBX, ECX, EDX in this order, unlike leaf 0. */
		out = (struct cpuid_regs){ { out.r[EAX], out.r[EBX], out.r[EDX], out.r[ECX] } };
		break;
	case 0x80000000: out.r[EAX] = LEAF_EXT_MAX; break;
	case 0x80000002:
	case 0x80000003:
	case 0x80000004: leaf_brand(leaf, &out); break;
	case 0x80000006: out.r[ECX] = 64 | 6u << 12 | 1024u << 16; break; /* L2: 1 MiB, 8-way, 64-byte lines */
	case 0x80000008: out.r[EAX] = EMU_MAXPHYADDR | (sys_has_feature(e, FEAT_LA57) ? 57u : 48u) << 8; break;
	}
	if (leaf == 7 && subleaf == 0)
		out.r[EAX] = 2; /* the last subleaf */
	if (leaf == 7 && subleaf == 0 && (e->cpu.cr4 & CR4_PKE))
		out.r[ECX] |= 1u << 4;
	add_features(e, leaf, subleaf, &out);
	return out;
}

int sem_cpuid(struct emu *e, const struct insn *i)
{
	struct cpuid_regs r = cpuid_read(e, (uint32_t)e->cpu.gpr[RAX], (uint32_t)e->cpu.gpr[RCX]);

	e->cpu.gpr[RAX] = r.r[EAX];
	e->cpu.gpr[RBX] = r.r[EBX];
	e->cpu.gpr[RCX] = r.r[ECX];
	e->cpu.gpr[RDX] = r.r[EDX];
	return 0;
}
