/* SPDX-License-Identifier: MIT */
/*
 * CPUID (SDM vol. 2, CPUID): what this processor says about itself, and nothing that is not true.
 *
 * The vendor is Intel's, because the behaviour where vendors differ is (SYSRET, null selectors, SYSCALL only in 64-bit
 * mode), and the model is one for which Linux has no list of errata. The emulator does not speculate: the
 * IA32_ARCH_CAPABILITIES bits (msr.c) say so, and kernels leave their mitigations off. Which features there are is the
 * machine's processor model (features.h).
 */
#include "internal.h"
#include "emu/core/tsc.h"
#include "emu/model/features.h"
#include "emu/sem/fp/fp.h"

#include <string.h>

enum { EAX, EBX, ECX, EDX };
enum { LEAF_EXTENDED = 0x80000000, LEAF_EXT_MAX = 0x80000008, LEAF_HYPERVISOR = 0x40000000 };

/* ECX matters only where the SDM says so (vol. 2, CPUID); elsewhere callers leave anything in it. */
static bool has_subleaves(uint32_t leaf)
{
	return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd || leaf == 0x1f;
}

/* What IA32_MISC_ENABLE has switched off is not shown. */
static bool is_shown(const struct emu *e, enum cpu_feature feature)
{
	const uint64_t misc = e->cpu.msr.misc_enable;

	if ((feature == CPUF_NX && (misc & MISC_ENABLE_XD_DISABLE)) || (feature == CPUF_MONITOR && !(misc & MISC_ENABLE_MONITOR)))
		return false;
	return emu_has_cpu_feature(e, feature);
}

static void add_features(const struct emu *e, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
	if (!has_subleaves(leaf))
		subleaf = 0;
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++) {
		const struct cpu_feature_row *row = &cpu_features[f];

		if (row->leaf == leaf && row->subleaf == subleaf && is_shown(e, (enum cpu_feature)f))
			out->r[row->reg] |= 1u << row->bit;
	}
}

/* Unit tests make processors without a machine. */
static struct cpu_topology topology(const struct emu *e)
{
	return e->machine && e->machine->topology.sockets ? e->machine->topology : topology_flat(1);
}

static uint32_t apic_id(const struct emu *e)
{
	const struct cpu_topology t = topology(e);

	return topology_apic_id(&t, e->cpu.vcpu);
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
	const struct cpu_topology t = topology(e);
	const bool several = t.cores * t.threads > 1;
	bool apic_on = e->cpu.msr.apic_base & APIC_BASE_ENABLED;

	out->r[EAX] = CPU_SIGNATURE;
	out->r[EBX] = apic_id(e) << 24 | 1u << topology_package_bits(&t) << 16 | 8u << 8;
	if (apic_on)
		out->r[EDX] |= 1u << 9;
	if (several)
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
	const struct cpu_topology t = topology(e);
	const uint32_t in_package = 1u << topology_package_bits(&t), in_core = 1u << topology_thread_bits(&t);

	if (subleaf >= sizeof(caches) / sizeof(caches[0]))
		return;
	out->r[EAX] = caches[subleaf].type | (uint32_t)caches[subleaf].level << 5 | 1u << 8 |
		      ((caches[subleaf].shared ? in_package : in_core) - 1) << 14 | (in_package / in_core - 1) << 26;
	out->r[EBX] = 63u | (caches[subleaf].ways - 1u) << 22;
	out->r[ECX] = caches[subleaf].sets - 1u;
}

static void leaf_topology(const struct emu *e, uint32_t subleaf, struct cpuid_regs *out)
{
	const struct cpu_topology t = topology(e);

	out->r[ECX] = subleaf & 0xff;
	out->r[EDX] = apic_id(e);
	if (subleaf == 0) { /* threads of the core */
		out->r[EAX] = topology_thread_bits(&t);
		out->r[EBX] = t.threads;
		out->r[ECX] |= 1u << 8;
	} else if (subleaf == 1) { /* of the package */
		out->r[EAX] = topology_package_bits(&t);
		out->r[EBX] = t.cores * t.threads;
		out->r[ECX] |= 2u << 8;
	}
}

/* add_features() puts the instructions' bits into subleaf 1. */
static void leaf_xsave(const struct emu *e, uint32_t subleaf, struct cpuid_regs *out)
{
	const uint64_t supported = sys_xcr0_supported(e);

	if (subleaf == 0) {
		out->r[EAX] = (uint32_t)supported;
		out->r[EBX] = xsave_size(e->cpu.xcr0, false);
		out->r[ECX] = xsave_size(supported, false);
		out->r[EDX] = (uint32_t)(supported >> 32);
	} else if (subleaf == 1 && (emu_has_feature(e, FEAT_XSAVEC) || emu_has_feature(e, FEAT_XSAVES))) {
		out->r[EBX] = xsave_size(e->cpu.xcr0 | e->cpu.msr.xss, true);
	} else if (subleaf < 64 && (supported >> subleaf & 1)) {
		bool align64 = false;

		out->r[EAX] = xsave_component(subleaf, &out->r[EBX], &align64);
		out->r[ECX] = align64 ? 2 : 0;
	}
}

/* The crystal is the 1 GHz that the local APIC's timer counts (SDM vol. 3, 10.5.4). */
static void leaf_tsc(const struct emu *e, struct cpuid_regs *out)
{
	const struct tsc_fraction f = tsc_fraction(emu_tsc_khz(e));

	out->r[EAX] = f.of;
	out->r[EBX] = f.ticks;
	out->r[ECX] = TSC_NOMINAL_KHZ * 1000u;
}

static void leaf_frequency(const struct emu *e, struct cpuid_regs *out)
{
	out->r[EAX] = emu_tsc_khz(e) / 1000;
	out->r[EBX] = out->r[EAX];
	out->r[ECX] = 100;
}

static void leaf_brand(uint32_t leaf, struct cpuid_regs *out)
{
	static const char brand[48] = "Bulkhead emulated processor";

	put_text(out->r, brand + (leaf - 0x80000002) * 16, 4);
}

/* The last basic leaf: topology, which came with the x2APIC, or the frequencies. */
static uint32_t last_leaf(const struct emu *e)
{
	if (e->cpu.msr.misc_enable & MISC_ENABLE_LIMIT_CPUID)
		return 2;
	return cpu_leaf_exists(&e->machine->features, 0x1f) ? 0x1f : 0x16;
}

/* Beyond the last leaf Intel processors answer with the last basic one. */
static uint32_t existing_leaf(const struct emu *e, uint32_t leaf)
{
	uint32_t last = last_leaf(e);

	if (leaf >= LEAF_EXTENDED)
		return leaf > LEAF_EXT_MAX ? last : leaf;
	if (leaf >= LEAF_HYPERVISOR && cpu_leaf_exists(&e->machine->features, leaf))
		return leaf;
	return leaf > last ? last : leaf;
}

struct cpuid_regs cpuid_read(const struct emu *e, uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs out = { { 0 } };

	leaf = existing_leaf(e, leaf);
	if (!cpu_leaf_exists(&e->machine->features, leaf))
		return out;
	switch (leaf) {
	case 0:
		leaf_vendor(&out, last_leaf(e), "GenuineIntel");
		break;
	case 1:
		leaf_version(e, &out);
		break;
	case 2:
		out.r[EAX] = 0x00ff0001;
		break; /* "see leaf 4" */
	case 4:
		leaf_cache(e, subleaf, &out);
		break;
	case 5: /* MONITOR watches lines of 64 bytes; MWAIT ends with masked interrupts, too */
		out = (struct cpuid_regs){ { 64, 64, 3, 0 } };
		break;
	case 0xb:
		leaf_topology(e, subleaf, &out);
		break;
	case 0xd:
		leaf_xsave(e, subleaf, &out);
		break;
	case 0x15:
		leaf_tsc(e, &out);
		break;
	case 0x16:
		leaf_frequency(e, &out);
		break;
	case 0x1f:
		leaf_topology(e, subleaf, &out);
		break;
	case LEAF_HYPERVISOR:
		leaf_vendor(&out, LEAF_HYPERVISOR, "BulkheadEMU");
		/* EBX, ECX, EDX in this order, unlike leaf 0. */
		out = (struct cpuid_regs){ { out.r[EAX], out.r[EBX], out.r[EDX], out.r[ECX] } };
		break;
	case LEAF_EXTENDED:
		out.r[EAX] = LEAF_EXT_MAX;
		break;
	case 0x80000002:
	case 0x80000003:
	case 0x80000004:
		leaf_brand(leaf, &out);
		break;
	case 0x80000006:
		out.r[ECX] = 64 | 6u << 12 | 1024u << 16;
		break; /* L2: 1 MiB, 8-way, 64-byte lines */
	case 0x80000008:
		out.r[EAX] = EMU_MAXPHYADDR | (emu_has_feature(e, FEAT_LA57) ? 57u : 48u) << 8;
		break;
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
	return sys_serialized(e, i);
}
