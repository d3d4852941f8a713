/* SPDX-License-Identifier: MIT */
/* Tables of the system half that need no running code: double faults, MSRs, CPUID, limits, random numbers. */
#include "emu/core/tsc.h"
#include "emu/run/run.h"
#include "emu/sem/fp/fp.h"
#include "emu/sem/sys/internal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct machine machine;
static struct emu *e;

static void set_up(void)
{
	e = aligned_alloc(64, (sizeof(*e) + 63) & ~63ul);
	memset(e, 0, sizeof(*e));
	machine.vcpus = 3;
	machine.topology = topology_flat(3);
	e->machine = &machine;
	machine.emu[0] = e;
	cr_assert_eq(machine_init(&machine), 0);
	cr_assert_eq(sys_init(e), 0);
	cpu_reset(&e->cpu);
	e->lapic = lapic_create(&machine, e, 0);
}

static void tear_down(void)
{
	lapic_destroy(e->lapic);
	sys_fini(e);
	free(e);
}

TestSuite(sys_model, .init = set_up, .fini = tear_down);

/* ---- SDM vol. 3, table 6-5: conditions for generating a double fault ---- */

Test(sys_model, double_fault_matrix)
{
	static const uint8_t contributory[] = { VEC_DE, VEC_TS, VEC_NP, VEC_SS, VEC_GP };
	static const uint8_t benign[] = { VEC_DB, VEC_NMI, VEC_BP, VEC_OF, VEC_BR, VEC_UD, VEC_NM,
					  VEC_MF, VEC_AC,  VEC_MC, VEC_XM, 0x20,   0xff };

	for (unsigned a = 0; a < sizeof(contributory); a++) {
		for (unsigned b = 0; b < sizeof(contributory); b++)
			cr_expect(exc_makes_double_fault(contributory[a], contributory[b]));
		cr_expect_not(exc_makes_double_fault(contributory[a], VEC_PF), "contributory, then #PF: serially");
		cr_expect(exc_makes_double_fault(VEC_PF, contributory[a]));
		for (unsigned b = 0; b < sizeof(benign); b++) {
			cr_expect_not(exc_makes_double_fault(benign[b], contributory[a]));
			cr_expect_not(exc_makes_double_fault(contributory[a], benign[b]));
		}
	}
	cr_expect(exc_makes_double_fault(VEC_PF, VEC_PF));
	for (unsigned b = 0; b < sizeof(benign); b++) {
		cr_expect_not(exc_makes_double_fault(benign[b], VEC_PF));
		cr_expect_not(exc_makes_double_fault(VEC_PF, benign[b]));
	}
}

/* ---- reset: SDM vol. 3, table 9-1 ---- */

Test(sys_model, reset_state)
{
	struct cpu c = { .vcpu = 2, .rip = 1, .cr3 = 7 };

	cpu_reset(&c);
	cr_expect_eq(c.cr0, 0x60000010);
	cr_expect_eq(c.rip, 0xfff0);
	cr_expect_eq(c.rflags, 2);
	cr_expect_eq(c.seg[SEG_CS].selector, 0xf000);
	cr_expect_eq(c.seg[SEG_CS].base, 0xffff0000);
	cr_expect_eq(c.seg[SEG_CS].attr, 0x9b);
	cr_expect_eq(c.seg[SEG_SS].attr, 0x93);
	cr_expect_eq(c.dr[6], 0xffff0ff0);
	cr_expect_eq(c.dr[7], 0x400);
	cr_expect_eq(c.msr.pat, 0x0007040600070406);
	cr_expect_eq(c.xcr0, 1);
	cr_expect_eq(c.cr3, 0);
	cr_expect_eq(c.activity, CPU_WAIT_SIPI);
	cr_expect_eq(c.gpr[RDX], cpuid_read(e, 1, 0).r[0], "EDX holds family, model, stepping");
	c.vcpu = 0;
	cpu_reset(&c);
	cr_expect_eq(c.activity, CPU_RUNNING);
	cr_expect_eq(c.msr.apic_base, 0xfee00900);
}

/* ---- MSRs ---- */

static int rd(uint32_t msr)
{
	uint64_t v;

	return msr_read(e, msr, &v);
}

static uint64_t value(uint32_t msr)
{
	uint64_t v = 0;

	cr_expect_eq(msr_read(e, msr, &v), 0, "MSR %#x", msr);
	return v;
}

/* SDM vol. 3, 11.12.2: PAT encodings 2, 3 and above 7 are reserved. */
Test(sys_model, msr_pat)
{
	for (unsigned n = 0; n < 8; n++) {
		for (uint64_t type = 0; type < 256; type++) {
			bool valid = type == 0 || type == 1 || (type >= 4 && type <= 7);

			cr_expect_eq(msr_write(e, 0x277, type << (n * 8)), valid ? 0 : -EINVAL);
		}
	}
	cr_expect_eq(msr_write(e, 0x277, 0x0007050600070106), 0);
	cr_expect_eq(value(0x277), 0x0007050600070106);
}

/* SDM vol. 3, 11.11.2: memory types 0, 1, 4, 5, 6; reserved bits raise #GP. */
Test(sys_model, msr_mtrr)
{
	cr_expect_eq(value(0xfe), 0x508);
	cr_expect_eq(msr_write(e, 0xfe, 0), -EINVAL);
	for (uint32_t n = 0; n < 8; n++) {
		cr_expect_eq(msr_write(e, 0x200 + 2 * n, 0xc0000006), 0);
		cr_expect_eq(msr_write(e, 0x201 + 2 * n, 0x7fc0000800), 0);
		cr_expect_eq(value(0x200 + 2 * n), 0xc0000006);
		cr_expect_eq(value(0x201 + 2 * n), 0x7fc0000800);
	}
	cr_expect_eq(rd(0x210), -EINVAL);
	cr_expect_eq(msr_write(e, 0x200, 0xc0000002), -EINVAL);
	cr_expect_eq(msr_write(e, 0x200, 0xc0000106), -EINVAL, "bits 11:8");
	cr_expect_eq(msr_write(e, 0x200, 1ull << EMU_MAXPHYADDR), -EINVAL);
	cr_expect_eq(msr_write(e, 0x201, 0x400), -EINVAL);
	cr_expect_eq(msr_write(e, 0x2ff, 0xc06), 0);
	cr_expect_eq(msr_write(e, 0x2ff, 0xc07), -EINVAL);
	cr_expect_eq(msr_write(e, 0x2ff, 0x1c06), -EINVAL);
	for (uint32_t n = 0; n < 8; n++)
		cr_expect_eq(msr_write(e, 0x268 + n, 0x0605040100060606 + n - n), 0);
	cr_expect_eq(msr_write(e, 0x250, 0x0606060606060602), -EINVAL);
	cr_expect_eq(msr_write(e, 0x259, 0x0606060606060606), 0);
	cr_expect_eq(e->cpu.msr.mtrr_fixed[2], 0x0606060606060606);
}

/* Addresses must be canonical (SDM vol. 4, notes of IA32_LSTAR and others). */
/* By the 57 bits that the processor has, whether CR4.LA57 is set or not. */
Test(sys_model, msr_canonical)
{
	static const uint32_t msrs[] = { 0xc0000082, 0xc0000083, 0xc0000102, 0x175, 0x176 };

	for (unsigned n = 0; n < sizeof(msrs) / sizeof(msrs[0]); n++) {
		cr_expect_eq(msr_write(e, msrs[n], 0x00ffffffffffffff), 0);
		cr_expect_eq(msr_write(e, msrs[n], 0x0100000000000000), -EINVAL);
		cr_expect_eq(msr_write(e, msrs[n], 0xfeffffffffffffff), -EINVAL);
		cr_expect_eq(msr_write(e, msrs[n], 0xffff800000000000), 0);
		cr_expect_eq(value(msrs[n]), 0xffff800000000000);
	}
}

Test(sys_model, msr_policies)
{
	cr_expect_eq(rd(0x12345), -EINVAL, "unknown ones raise #GP");
	cr_expect_eq(msr_write(e, 0x12345, 0), -EINVAL);
	cr_expect_eq(rd(0x49), -EINVAL, "IA32_PRED_CMD is write-only");
	cr_expect_eq(msr_write(e, 0x49, 1), 0);
	cr_expect_eq(msr_write(e, 0x49, 2), -EINVAL);
	cr_expect_eq(msr_write(e, 0x48, 8), -EINVAL);
	cr_expect_eq(msr_write(e, 0x48, 1), 0);
	cr_expect_eq(msr_write(e, 0x8b, 0), 0, "kernels write zero before they read the microcode revision");
	cr_expect_eq(value(0x8b) >> 32, 1);
	cr_expect_eq(value(0x3a) & 1, 1, "IA32_FEATURE_CONTROL is locked");
	cr_expect_eq(msr_write(e, 0x3a, 5), -EINVAL);
	cr_expect_eq(msr_write(e, 0xc0000084, 1ull << 32), -EINVAL);
	cr_expect_eq(msr_write(e, 0xc0000103, 1ull << 32), -EINVAL);
	cr_expect_eq(rd(0x830), -EINVAL, "x2APIC registers need x2APIC mode");
}

/* SDM vol. 4, table 2-2: bits that only tell ignore writes; those that switch something keep what software wrote. */
Test(sys_model, msr_misc_enable)
{
	const uint64_t told = 1ull << 7 | 1ull << 11 | 1ull << 12;
	const uint64_t kept = 1ull << 0 | 1ull << 3 | 1ull << 16 | 1ull << 22 | 1ull << 23 | 1ull << 34 | 1ull << 38;

	cr_expect_eq(value(0x1a0), 1ull << 0 | 1ull << 11 | 1ull << 12, "fast strings; no BTS, no PEBS");
	cr_expect_eq(msr_write(e, 0x1a0, kept), 0);
	cr_expect_eq(value(0x1a0), kept | 1ull << 11 | 1ull << 12);
	cr_expect_eq(msr_write(e, 0x1a0, told), 0);
	cr_expect_eq(value(0x1a0), 1ull << 11 | 1ull << 12);
}

/* SDM vol. 3, 15.3.1 and 15.3.2: as many banks as IA32_MCG_CAP says, MCG_CTL present; what they report can only be
 * cleared. */
Test(sys_model, msr_machine_check)
{
	unsigned banks = value(0x179) & 0xff;

	cr_expect_eq(banks, MCA_BANKS);
	cr_expect(value(0x179) & 0x100);
	cr_expect_eq(msr_write(e, 0x179, 0), -EINVAL, "IA32_MCG_CAP is read-only");
	cr_expect_eq(msr_write(e, 0x17b, ~0ull), 0);
	cr_expect_eq(value(0x17b), ~0ull);
	for (unsigned n = 0; n < banks; n++) {
		for (uint64_t ctl = 1; ctl; ctl = ctl << 1 | (ctl & 1)) { /* 15.3.2.1: each bit is a switch of its own */
			cr_expect_eq(msr_write(e, 0x400 + 4 * n, ctl), 0);
			cr_expect_eq(value(0x400 + 4 * n), ctl);
			if (ctl == ~0ull)
				break;
		}
		for (unsigned k = 1; k < 4; k++) {
			cr_expect_eq(value(0x400 + 4 * n + k), 0);
			cr_expect_eq(msr_write(e, 0x400 + 4 * n + k, 0), 0);
			cr_expect_eq(msr_write(e, 0x400 + 4 * n + k, 1), -EINVAL);
		}
	}
	cr_expect_eq(rd(0x400 + 4 * banks), -EINVAL);
}

/* CPUID 0Ah version 0: no architectural counters, so none of their registers exist (SDM vol. 3, 19.2.1). */
Test(sys_model, no_performance_counters)
{
	static const uint32_t msrs[] = { 0xc1, 0xc2, 0x186, 0x187, 0x309, 0x38d, 0x38e, 0x38f, 0x390 };

	cr_expect_eq(cpuid_read(e, 0xa, 0).r[0] & 0xff, 0);
	for (unsigned n = 0; n < sizeof(msrs) / sizeof(msrs[0]); n++) {
		cr_expect_eq(rd(msrs[n]), -EINVAL);
		cr_expect_eq(msr_write(e, msrs[n], 0), -EINVAL);
	}
}

/* SDM vol. 3, 17.17.3: IA32_TSC_ADJUST and the counter move together. */
Test(sys_model, tsc_adjust)
{
	uint64_t before = emu_tsc(e);

	cr_expect_eq(msr_write(e, 0x3b, 1ull << 50), 0);
	cr_expect_geq(emu_tsc(e) - before, 1ull << 50);
	cr_expect_eq(msr_write(e, 0x3b, 0), 0);
	cr_expect_eq(e->cpu.msr.tsc_offset, 0);
	cr_expect_eq(msr_write(e, 0x10, 1ull << 60), 0);
	cr_expect_eq(value(0x3b), e->cpu.msr.tsc_offset);
	cr_expect_eq(emu_tsc(e) >> 59, 2);
}

/* ---- CPUID ---- */

/* SDM vol. 2, CPUID: leaf 0 names the vendor in EBX, EDX, ECX. */
Test(sys_model, cpuid_vendor)
{
	struct cpuid_regs r = cpuid_read(e, 0, 0);
	char text[13] = { 0 };

	memcpy(text, &r.r[1], 4);
	memcpy(text + 4, &r.r[3], 4);
	memcpy(text + 8, &r.r[2], 4);
	cr_expect_str_eq(text, "GenuineIntel");
	cr_expect_geq(r.r[0], 0x16u);
	memset(text, 0, sizeof(text));
	r = cpuid_read(e, 0x40000000, 0);
	memcpy(text, &r.r[1], 12);
	cr_expect_str_eq(text, "BulkheadEMU");
	cr_expect(cpuid_read(e, 1, 0).r[2] & 1u << 31, "hypervisor bit");
}

/* OSXSAVE mirrors CR4, APIC mirrors IA32_APIC_BASE. */
Test(sys_model, cpuid_dynamic_bits)
{
	cr_expect_not(cpuid_read(e, 1, 0).r[2] & 1u << 27);
	e->cpu.cr4 |= CR4_OSXSAVE;
	cr_expect(cpuid_read(e, 1, 0).r[2] & 1u << 27);
	cr_expect(cpuid_read(e, 1, 0).r[3] & 1u << 9);
	e->cpu.msr.apic_base &= ~(1ull << 11);
	cr_expect_not(cpuid_read(e, 1, 0).r[3] & 1u << 9);
}

/* Leaf 0Dh: EBX is the size for XCR0 as it is, ECX for all of XCR0; 512 legacy bytes and a 64-byte header. */
Test(sys_model, cpuid_xsave)
{
	struct cpuid_regs r = cpuid_read(e, 0xd, 0);

	cr_expect_eq(r.r[0], EMU_XCR0_SUPPORTED);
	cr_expect_eq(r.r[1], 576);
	cr_expect_eq(r.r[2], 2688 + 8);
	r = cpuid_read(e, 0xd, 2); /* AVX: size, offset, not aligned, user state */
	cr_expect_eq(r.r[0], 256);
	cr_expect_eq(r.r[1], 576);
	cr_expect_eq(r.r[2], 0);
	r = cpuid_read(e, 0xd, 9); /* PKRU: eight bytes, after what AVX-512 would need */
	cr_expect_eq(r.r[0], 8);
	cr_expect_eq(r.r[1], 2688);
	cr_expect_eq(r.r[2], 0);
}

/* Leaves 0Bh and 1Fh: levels end with type 0; EDX is the x2APIC id at every level; the shift covers all ids. */
Test(sys_model, cpuid_topology)
{
	e->cpu.vcpu = 2;
	for (uint32_t leaf = 0xb; leaf <= 0x1f; leaf += 0x14) {
		struct cpuid_regs smt = cpuid_read(e, leaf, 0), core = cpuid_read(e, leaf, 1), end = cpuid_read(e, leaf, 2);

		cr_expect_eq(smt.r[2], 0x100);
		cr_expect_eq(smt.r[1], 1);
		cr_expect_eq(core.r[2], 0x201);
		cr_expect_eq(core.r[1], 3);
		cr_expect_eq(core.r[0], 2, "three ids need two bits");
		cr_expect_eq(end.r[2], 2);
		cr_expect_eq(end.r[1], 0);
		cr_expect_eq(smt.r[3], 2);
		cr_expect_eq(end.r[3], 2);
	}
	cr_expect_eq(cpuid_read(e, 1, 0).r[1] >> 24, 2);
	e->cpu.vcpu = 0;
}

/* TSC frequency = ECX * EBX / EAX of leaf 15h; leaf 16h in MHz; leaf 80000008h tells the address widths. */
Test(sys_model, cpuid_frequencies_and_widths)
{
	struct cpuid_regs r = cpuid_read(e, 0x15, 0);

	cr_expect_eq((uint64_t)r.r[2] * r.r[1] / r.r[0], emu_tsc_khz(e) * 1000ull);
	cr_expect_eq(cpuid_read(e, 0x16, 0).r[0], emu_tsc_khz(e) / 1000);
	cr_expect_eq(cpuid_read(e, 0x80000008, 0).r[0], EMU_MAXPHYADDR | 57 << 8);
}

/* Whatever CPUID hides is refused by CR4 (SDM vol. 3, 2.5: reserved bits). */
Test(sys_model, hidden_features_are_reserved)
{
	cr_expect_eq(emu_has_feature(e, FEAT_PKU), (cr4_supported(e) & CR4_PKE) != 0);
	cr_expect_eq(emu_has_feature(e, FEAT_LA57), (cr4_supported(e) & CR4_LA57) != 0);
	cr_expect_not(emu_has_feature(e, FEAT_MONITOR));
	cr_expect_not(emu_has_feature(e, FEAT_SSE4A));
	cr_expect_not(emu_has_feature(e, FEAT_COUNT));
	machine.config.no_tsc_deadline = true;
	cr_assert_eq(machine_init(&machine), 0);
	cr_expect_not(emu_has_feature(e, FEAT_TSC_DEADLINE));
	cr_expect_not(cpuid_read(e, 1, 0).r[2] & 1u << 24);
	cr_expect_eq(rd(0x6e0), -EINVAL);
	machine.config.no_tsc_deadline = false;
	cr_assert_eq(machine_init(&machine), 0);
}

/* Every feature that CPUID offers has at least one row in the instruction table, or is no instruction at all. */
Test(sys_model, offered_features_have_instructions)
{
	static const uint8_t no_instructions[] = { FEAT_FPU,  FEAT_PCID,     FEAT_SMEP, FEAT_X2APIC,  FEAT_TSC_DEADLINE,
						   FEAT_ERMS, FEAT_FSRM,     FEAT_UMIP, FEAT_XGETBV1, FEAT_LAHF64,
						   FEAT_CX16, FEAT_AVX512VL, FEAT_LA57 };
	bool has_row[FEAT_COUNT] = { false };

	for (unsigned n = 1; n < ISA_COUNT; n++)
		has_row[isa_rows[n].feature] = true;
	for (unsigned n = 0; n < sizeof(no_instructions); n++)
		has_row[no_instructions[n]] = true;
	for (unsigned n = 0; n < FEAT_COUNT; n++) {
		if (emu_has_feature(e, n))
			cr_expect(has_row[n], "feature %u", n);
	}
}

/* ---- segment limits: SDM vol. 3, 5.3 ---- */

Test(sys_model, limits)
{
	struct segment up = { .limit = 0xfff, .attr = 0x93 };
	struct segment down16 = { .limit = 0xfff, .attr = 0x97 }, down32 = { .limit = 0xfff, .attr = 0x97 | SEG_ATTR_DB };
	struct segment null = { .limit = UINT32_MAX, .attr = SEG_ATTR_UNUSABLE };

	cr_expect(segment_in_limit(&up, 0xffc, 4));
	cr_expect_not(segment_in_limit(&up, 0xffd, 4));
	cr_expect_not(segment_in_limit(&up, UINT32_MAX, 4));
	cr_expect_not(segment_in_limit(&down16, 0xfff, 1));
	cr_expect(segment_in_limit(&down16, 0x1000, 4));
	cr_expect(segment_in_limit(&down16, 0xfffc, 4));
	cr_expect_not(segment_in_limit(&down16, 0xfffd, 4));
	cr_expect(segment_in_limit(&down32, 0xfffffffc, 4));
	cr_expect_not(segment_in_limit(&null, 0, 1));
}

/* ---- random numbers: RFC 8439, appendix A.1 ---- */

Test(sys_model, chacha20_known_answer)
{
	static const uint8_t zero[32];
	struct rng r;

	/* Appendix A.1, vector 1. The first half of the block becomes the next key; words 8 and 9 are given out first. */
	rng_init_seed(&r, zero);
	cr_expect_eq(rng_next(&r), 0x7c5941da8d485751);
}

Test(sys_model, random_numbers_differ)
{
	uint64_t a = rng_next(&e->sys->rng), b = rng_next(&e->sys->rng);

	cr_expect_neq(a, b);
}
