/* SPDX-License-Identifier: MIT */
/*
 * What a processor model hides is gone: for each feature turned off, with all that needs it, the test goes through every
 * instruction of the table, every MSR and bit of model/msrs.def, every bit of CR4 and XCR0, every leaf of CPUID.
 */
#include "row_encodings.h"
#include "sys_guest.h"

#include "emu/apic/lapic.h"

#include <errno.h>

#define EACH_FEATURE(f) (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)

/* A guest whose processor has all that the emulator has but this; CPUF_NONE: everything. */
static void create_without(unsigned feature)
{
	static struct cpu_model model;

	model = (struct cpu_model){ .base = CPU_BASE_V2, .possible = cpu_emulated() };
	if (feature != CPUF_NONE)
		cpu_remove(&model.possible, feature);
	cpu_drop_unmet(&model.possible);
	g_model = &model;
	g_create();
}

static bool here(unsigned feature)
{
	return emu_has_cpu_feature(g.e, (enum cpu_feature)feature);
}

static bool has_isa_feature(const void *ctx, unsigned feature)
{
	return emu_has_feature(ctx, feature);
}

/* ---- instructions ------------------------------------------------------------------------------------------------- */

static uint8_t bytes[ISA_COUNT][INSN_MAX_BYTES];
static uint8_t mode_of[ISA_COUNT]; /* 8 or 4: code size of the bytes; 0: none were found */

static void find_encodings(void)
{
	create_without(CPUF_NONE);
	for (unsigned id = 1; id < ISA_COUNT; id++) {
		for (unsigned size = 8; size >= 4 && !mode_of[id]; size /= 2)
			if (find_encoding(id, size, bytes[id]))
				mode_of[id] = (uint8_t)size;
		cr_expect(mode_of[id] || isa_rows[id].feature == FEAT_BASE, "no bytes for %u %s", id, isa_rows[id].mnemonic);
	}
	g_destroy();
}

/* What the bytes mean to a processor without the feature, where that is not #UD (SDM vol. 2, each instruction). */
static const char *older_meaning(unsigned feature)
{
	switch ((enum isa_feature)feature) {
	case FEAT_BMI1:
		return "bsf"; /* TZCNT; the others have VEX */
	case FEAT_LZCNT:
		return "bsr";
	case FEAT_PREFETCHW:
		return "nop";
	case FEAT_CLDEMOTE:
		return "nop";
	case FEAT_WBNOINVD:
		return "wbinvd";
	default:
		return NULL;
	}
}

static bool means_the_older(unsigned id)
{
	const char *older = older_meaning(isa_rows[id].feature);
	struct insn i;

	return older && isa_rows[id].map <= ISA_M0F3A && decode(bytes[id], INSN_MAX_BYTES, mode_of[id], &i) == DECODE_OK &&
	       !strcmp(isa_rows[i.id].mnemonic, older);
}

/* All that software can switch on is on. */
static void enter_mode(unsigned size)
{
	if (size == 8)
		g_long_mode(0);
	else
		g_protected_mode(0);
	g.e->cpu.cr4 |= cr4_supported(g.e) & (CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE | CR4_PKE);
	g.e->cpu.xcr0 = sys_xcr0_supported(g.e) | 1;
	mmu_mode_changed(g.e);
}

/* Behind an instruction that there is, so that a block begins with that: INC RAX; DEC EAX, INC EAX. */
static void expect_undefined(unsigned off, unsigned id)
{
	static const uint8_t inc[] = { 0x48, 0xff, 0xc0 };
	int result;

	enter_mode(mode_of[id]);
	memcpy(g.ram + G_CODE + sizeof(inc), bytes[id], INSN_MAX_BYTES);
	g_code(inc, sizeof(inc));
	harness_sync(&g.h);
	result = harness_run(&g.h, 8);
	cr_expect(result == (0x100 | VEC_UD) && g.e->cpu.rip == G_CODE + sizeof(inc), "without %s: %s of %s runs (%x)",
		  cpu_features[off].name, isa_rows[id].mnemonic, mode_of[id] == 8 ? "64-bit code" : "32-bit code",
		  (unsigned)result);
}

static void hide_each(enum harness_tier tier)
{
	find_encodings();
	g_tier = tier;
	for
		EACH_FEATURE(off)
		{
			if (cpu_features[off].isa == FEAT_BASE)
				continue;
			create_without(off);
			for (unsigned id = 1; id < ISA_COUNT; id++) {
				if (!mode_of[id] || isa_row_exists(&isa_rows[id], has_isa_feature, g.e) || means_the_older(id))
					continue;
				expect_undefined(off, id);
			}
			g_destroy();
		}
}

Test(features_hidden, instructions_are_undefined)
{
	hide_each(HARNESS_STEP);
}

Test(features_hidden, instructions_are_undefined_in_blocks)
{
	hide_each(HARNESS_BLOCK);
}

Test(features_hidden, instructions_are_undefined_in_translated_code)
{
	hide_each(HARNESS_JIT);
}

/* Rows whose feature is off in the model, and nothing else is: the bytes mean something else, and do it. */
Test(features_hidden, older_meanings)
{
	create_without(CPUF_BMI1);
	g_long_mode(0);
	CODE(0xf3, 0x0f, 0xbc, 0xc1); /* tzcnt eax, ecx: BSF leaves the destination alone if the source is zero */
	g.e->cpu.gpr[RAX] = 0x1234;
	g.e->cpu.gpr[RCX] = 0;
	g_try();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.gpr[RAX], 0x1234);
	cr_expect(emu_flags_get(g.e) & RFLAGS_ZF);
	g_destroy();

	create_without(CPUF_ABM);
	g_long_mode(0);
	CODE(0xf3, 0x0f, 0xbd, 0xc1); /* lzcnt eax, ecx: BSR counts from the other end */
	g.e->cpu.gpr[RCX] = 1;
	g_try();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.gpr[RAX], 0);
	g_destroy();

	create_without(CPUF_PREFETCHW);
	g_long_mode(0);
	CODE(0x0f, 0x0d, 0x09); /* prefetchw [rcx] */
	g.e->cpu.gpr[RCX] = 1ull << 63;
	g_try();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.rip, G_CODE + 3);
	g_destroy();
}

/* One row with two meanings: CMPXCHG8B with REX.W is CMPXCHG16B, LAHF is LAHF only outside 64-bit mode. */
Test(features_hidden, wider_forms)
{
	create_without(CPUF_CX16);
	g_long_mode(0);
	g.e->cpu.gpr[RBX] = G_DATA;
	CODE(0x48, 0x0f, 0xc7, 0x0b);
	g_try();
	EXPECT_FAULT(VEC_UD, 0);
	CODE(0x0f, 0xc7, 0x0b);
	g_try();
	EXPECT_NO_FAULT();
	g_destroy();

	create_without(CPUF_LAHF_LM);
	for (unsigned opcode = 0x9e; opcode <= 0x9f; opcode++) {
		g_long_mode(0);
		g_code(&(uint8_t){ (uint8_t)opcode }, 1);
		g_try();
		EXPECT_FAULT(VEC_UD, 0);
		g_protected_mode(0);
		g_code(&(uint8_t){ (uint8_t)opcode }, 1);
		g_try();
		EXPECT_NO_FAULT();
	}
	g_destroy();

	create_without(CPUF_XGETBV1);
	enter_mode(8);
	CODE(0x0f, 0x01, 0xd0);
	g.e->cpu.gpr[RCX] = 1;
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
	g_destroy();
}

/* SDM vol. 1, 13.8: XRSTOR reads the compacted form only on processors with XSAVEC. */
Test(features_hidden, compacted_form)
{
	for (unsigned with = 0; with < 2; with++) {
		create_without(with ? CPUF_NONE : CPUF_XSAVEC);
		enter_mode(8);
		g.e->cpu.gpr[RBX] = G_DATA;
		g.e->cpu.gpr[RAX] = 1;
		g.e->cpu.gpr[RDX] = 0;
		memset(g.ram + G_DATA, 0, 0x400);
		g_poke(G_DATA + 512 + 8, 1ull << 63 | 1, 8);
		CODE(0x0f, 0xae, 0x2b); /* xrstor [rbx] */
		g_try();
		cr_expect_eq(g.e->fault.pending, !with);
		cr_expect(with || g.e->fault.vector == VEC_GP);
		g_destroy();
	}
}

/* ---- registers -------------------------------------------------------------------------------------------------------- */

static void expect_register_gone(unsigned off, uint32_t msr)
{
	uint64_t v = 0;

	cr_expect_eq(msr_read(g.e, msr, &v), -EINVAL, "without %s: MSR %#x can be read", cpu_features[off].name, msr);
	cr_expect_eq(msr_write(g.e, msr, v), -EINVAL, "without %s: MSR %#x can be written", cpu_features[off].name, msr);
}

static void expect_bit_gone(unsigned off, const struct cpu_msr_row *row, uint64_t bit)
{
	uint64_t before = 0, after = 0;
	int r;

	if (msr_read(g.e, row->first, &before))
		return; /* the register is gone as well */
	cr_expect_not(before & bit, "without %s: MSR %#x reads %#llx", cpu_features[off].name, row->first,
		      (unsigned long long)before);
	r = msr_write(g.e, row->first, before | bit);
	cr_expect_eq(r, row->refused ? -EINVAL : 0, "without %s: MSR %#x, %#llx", cpu_features[off].name, row->first,
		     (unsigned long long)bit);
	cr_expect_eq(msr_read(g.e, row->first, &after), 0);
	cr_expect_eq(before, after);
}

Test(features_hidden, msrs_are_gone)
{
	for
		EACH_FEATURE(off)
		{
			create_without(off);
			g_long_mode(0);
			for (unsigned n = 0; n < CPU_MSR_ROWS; n++) {
				const struct cpu_msr_row *row = &cpu_msrs[n];

				if (here(row->feature))
					continue;
				for (uint32_t msr = row->first; row->bits == UINT64_MAX && msr <= row->last; msr++)
					expect_register_gone(off, msr);
				for (uint64_t bit = 1; row->bits != UINT64_MAX && bit; bit <<= 1)
					if (row->bits & bit)
						expect_bit_gone(off, row, bit);
			}
			g_destroy();
		}
}

/* And with the feature they are there: the table names no register that nobody has. */
Test(features_hidden, msrs_are_there_otherwise)
{
	create_without(CPUF_NONE);
	g_long_mode(0);
	g.e->cpu.msr.apic_base |= APIC_BASE_X2; /* x2APIC registers answer in x2APIC mode only */
	for (unsigned n = 0; n < CPU_MSR_ROWS; n++) {
		const struct cpu_msr_row *row = &cpu_msrs[n];
		unsigned found = 0;
		uint64_t v = 0;

		for (uint32_t msr = row->first; msr <= row->last; msr++)
			found += msr_read(g.e, msr, &v) == 0;
		cr_expect(found > 0, "row %u, MSR %#x", n, row->first);
		if (row->bits != UINT64_MAX && !(v & row->bits))
			cr_expect_eq(msr_write(g.e, row->first, v | row->bits), 0, "row %u, MSR %#x", n, row->first);
	}
	g_destroy();
}

/* Reserved bits of CR4 raise #GP (SDM vol. 3, 2.5). */
Test(features_hidden, cr4_bits_are_reserved)
{
	static const uint64_t not_in_long_mode = CR4_LA57 | CR4_PAE; /* LA57 may not change there, PAE is on */

	for (unsigned off = CPUF_NONE; off < CPUF_COUNT; off++) {
		if (off != CPUF_NONE && cpu_features[off].level == CPUF_BASELINE)
			continue; /* no model goes without it, and the test could not do without PAE */
		create_without(off);
		for
			EACH_FEATURE(f)
			{
				for (uint64_t bit = 1; bit <= CR4_PKE; bit <<= 1) {
					if (!(cpu_features[f].cr4 & bit) || (here(f) && (bit & not_in_long_mode)))
						continue;
					g_long_mode(0);
					CODE(0x0f, 0x22, 0xe0); /* mov cr4, rax */
					g.e->cpu.gpr[RAX] = (g.e->cpu.cr4 & cr4_supported(g.e)) | CR4_PAE | bit;
					g.e->cpu.cr4 = g.e->cpu.gpr[RAX] & ~bit;
					g_try();
					cr_expect_eq(g.e->fault.pending, !here(f), "without %s: CR4 %#llx",
						     cpu_features[off].name, (unsigned long long)bit);
				}
			}
		g_destroy();
	}
}

/* Bits of XCR0 that XSETBV refuses (SDM vol. 1, 13.3); without XSAVE it is #UD. */
Test(features_hidden, xcr0_bits_are_reserved)
{
	static const struct {
		uint64_t bits, with;
	} groups[] = { { 2, 1 }, { 4, 3 }, { 0xe0, 7 }, { 0x200, 1 } };

	for (unsigned off = CPUF_NONE; off < CPUF_COUNT; off++) {
		create_without(off);
		for (unsigned n = 0; n < sizeof(groups) / sizeof(groups[0]); n++) {
			const uint64_t value = groups[n].bits | groups[n].with;
			const bool valid = (value & sys_xcr0_supported(g.e)) == value;

			enter_mode(8);
			CODE(0x0f, 0x01, 0xd1); /* xsetbv */
			g.e->cpu.gpr[RAX] = value;
			g.e->cpu.gpr[RCX] = g.e->cpu.gpr[RDX] = 0;
			g_try();
			cr_expect_eq(g.e->fault.pending, !valid, "without %s: XCR0 %#llx", cpu_features[off].name,
				     (unsigned long long)value);
			if (!valid)
				cr_expect_eq(g.e->fault.vector, here(CPUF_XSAVE) ? VEC_GP : VEC_UD);
		}
		g_destroy();
	}
}

/* Bit 18 of the timer's LVT entry is reserved (SDM vol. 3, 10.5.4.1): it stays 0, and in x2APIC mode setting it is #GP. */
Test(features_hidden, tsc_deadline_mode)
{
	uint64_t v;

	for (unsigned with = 0; with < 2; with++) {
		create_without(with ? CPUF_NONE : CPUF_TSC_DEADLINE);
		lapic_mmio_write(g.e->lapic, APIC_SVR, 0x1ff);
		lapic_mmio_write(g.e->lapic, APIC_LVT_TIMER, 1 << 18 | 0x40);
		cr_expect_eq(lapic_mmio_read(g.e->lapic, APIC_LVT_TIMER), with ? 1 << 18 | 0x40 : 0x40);
		cr_expect_eq(msr_write(g.e, 0x1b, 0xfee00000 | APIC_BASE_BSP | APIC_BASE_X2 | APIC_BASE_ENABLED), 0);
		cr_expect_eq(msr_write(g.e, 0x832, 1 << 18 | 0x41), with ? 0 : -EINVAL);
		cr_expect_eq(msr_read(g.e, 0x832, &v), 0);
		cr_expect_eq(v, with ? 1 << 18 | 0x41 : 0x40);
		g_destroy();
	}
}

/* SDM vol. 3, figure 10-27: there is no way to x2APIC mode, and so none to its registers. */
Test(features_hidden, x2apic_mode)
{
	create_without(CPUF_X2APIC);
	cr_expect_eq(msr_write(g.e, 0x1b, 0xfee00000 | APIC_BASE_BSP | APIC_BASE_X2 | APIC_BASE_ENABLED), -EINVAL);
	cr_expect_eq(g.e->cpu.msr.apic_base, 0xfee00000 | APIC_BASE_BSP | APIC_BASE_ENABLED);
	expect_register_gone(CPUF_X2APIC, 0x802);
	g_destroy();
}

/* ---- CPUID -------------------------------------------------------------------------------------------------------------- */

/* features_test.c sees to the bits of the table; here are the leaves. */
Test(features_hidden, leaves_are_gone)
{
	for
		EACH_FEATURE(off)
		{
			create_without(off);
			for (uint32_t leaf = 0; leaf < 0x20; leaf++) {
				for (uint32_t sub = 0; sub < 4 && !cpu_leaf_exists(&g.e->machine->features, leaf); sub++) {
					const struct cpuid_regs r = cpuid_read(g.e, leaf, sub), last = cpuid_read(g.e, 0x1e, sub);
					const bool beyond = leaf > cpuid_read(g.e, 0, 0).r[0];

					for (unsigned n = 0; n < 4; n++)
						cr_expect_eq(r.r[n], beyond ? last.r[n] : 0, "without %s: leaf %#x.%u",
							     cpu_features[off].name, leaf, sub);
				}
			}
			g_destroy();
		}
}

/* "If a value entered for CPUID.EAX is higher than the maximum input value, the data for the highest basic information leaf
 * is returned" (SDM vol. 2, CPUID); there is no range of hypervisors then. */
Test(features_hidden, hypervisor_leaves)
{
	create_without(CPUF_HYPERVISOR);
	for (uint32_t leaf = 0x40000000; leaf < 0x40000003; leaf++)
		for (unsigned n = 0; n < 4; n++)
			cr_expect_eq(cpuid_read(g.e, leaf, 0).r[n], cpuid_read(g.e, cpuid_read(g.e, 0, 0).r[0], 0).r[n]);
	g_destroy();
}

/* ---- IA32_MISC_ENABLE hides, too (SDM vol. 4, table 2-2) ---- */

/* "Limit CPUID maxval": CPUID 0 returns 2. "XD bit disable": CPUID does not show NX, and EFER.NXE cannot be set. */
Test(features_hidden, misc_enable)
{
	create_without(CPUF_NONE);
	cr_expect_eq(msr_write(g.e, 0x1a0, 1ull << 22), 0);
	cr_expect_eq(cpuid_read(g.e, 0, 0).r[0], 2);
	cr_expect_eq(cpuid_read(g.e, 7, 0).r[0], cpuid_read(g.e, 2, 0).r[0]);
	cr_expect_eq(msr_write(g.e, 0x1a0, 1ull << 34), 0);
	cr_expect_geq(cpuid_read(g.e, 0, 0).r[0], 0x16u);
	cr_expect_not(cpuid_read(g.e, 0x80000001, 0).r[3] & 1u << 20);
	cr_expect_eq(msr_write(g.e, 0xc0000080, EFER_NXE), -EINVAL);
	cr_expect_eq(msr_write(g.e, 0x1a0, 0), 0);
	cr_expect(cpuid_read(g.e, 0x80000001, 0).r[3] & 1u << 20);
	cr_expect_eq(msr_write(g.e, 0xc0000080, EFER_NXE), 0);
	g_destroy();
}

/* "Enable monitor FSM": 1 by default; 0: CPUID does not show MONITOR, and MONITOR and MWAIT are #UD. */
Test(features_hidden, monitor_fsm)
{
	uint64_t v;

	create_without(CPUF_NONE);
	g_long_mode(0);
	cr_expect_eq(msr_read(g.e, 0x1a0, &v), 0);
	cr_expect(v & 1 << 18);
	cr_expect(cpuid_read(g.e, 1, 0).r[2] & 1 << 3);
	for (unsigned on = 0; on < 2; on++) {
		cr_expect_eq(msr_write(g.e, 0x1a0, on << 18), 0);
		cr_expect_eq(cpuid_read(g.e, 1, 0).r[2] >> 3 & 1, on);
		for (unsigned n = 0; n < 2; n++) {
			g.e->cpu.gpr[RAX] = G_DATA;
			g.e->cpu.gpr[RCX] = g.e->cpu.gpr[RDX] = 0;
			g_code((const uint8_t[]){ 0x0f, 0x01, (uint8_t)(0xc8 + n) }, 3);
			g_try();
			cr_expect_eq(g.e->fault.pending, !on);
		}
	}
	g_destroy();
}

/* ---- what else there is of a feature -------------------------------------------------------------------------------------- */

/* A 4 KiB page of 32-bit paging at G_DATA, reached by way of a table that has these bits besides. */
static bool faults_on_reserved(uint32_t pde, uint32_t pte)
{
	uint64_t v;

	g_protected_mode(0);
	g_poke(G_PML4, pde & 0x80 ? 3 | pde : G_PD | 3 | pde, 4);
	for (unsigned n = 0; n < 1024; n++)
		g_poke(G_PD + 4 * n, n << 12 | 3 | (n == G_DATA >> 12 ? pte : 0), 4);
	g.e->cpu.cr3 = G_PML4;
	g.e->cpu.cr4 = CR4_PSE;
	g.e->cpu.cr0 |= CR0_PG | CR0_WP;
	mmu_mode_changed(g.e);
	mmu_flush_all(g.e);
	g.e->fault.pending = false;
	return emu_read(g.e, SEG_DS, G_DATA, &v, 4) && g.e->fault.vector == VEC_PF && g.e->fault.error == 9;
}

/* SDM vol. 3, 4.3: bit 7 of an entry for 4 KiB and bit 12 of one for 4 MiB are reserved without PAT, bits 13 to 21 of the
 * latter without PSE-36. */
Test(features_hidden, bits_of_pages)
{
	create_without(CPUF_NONE);
	cr_expect_not(faults_on_reserved(0, 0x80));
	cr_expect_not(faults_on_reserved(0x1080, 0));
	g_destroy();
	create_without(CPUF_PAT);
	cr_expect_not(faults_on_reserved(0, 0));
	cr_expect(faults_on_reserved(0, 0x80));
	cr_expect_not(faults_on_reserved(0x80, 0));
	cr_expect(faults_on_reserved(0x1080, 0));
	g_destroy();
	create_without(CPUF_PSE36);
	for (unsigned bit = 13; bit <= 21; bit++)
		cr_expect(faults_on_reserved(0x80 | 1u << bit, 0), "bit %u", bit);
	g_destroy();
}

/* VIF and VIP came with VME (SDM vol. 1, 3.4.3.3): IRET does not set what there is not. */
Test(features_hidden, virtual_interrupt_flags)
{
	for (unsigned with = 0; with < 2; with++) {
		create_without(with ? CPUF_NONE : CPUF_VME);
		g_protected_mode(0);
		g.e->cpu.gpr[RSP] = G_STACK0 - 12;
		g_poke(G_STACK0 - 12, G_DATA, 4);
		g_poke(G_STACK0 - 8, CODE32, 4);
		g_poke(G_STACK0 - 4, RFLAGS_VIF | RFLAGS_VIP | 2, 4);
		CODE(0xcf);
		g_try();
		EXPECT_NO_FAULT();
		cr_expect_eq(emu_flags_get(g.e), with ? RFLAGS_VIF | RFLAGS_VIP | 2 : 2);
		g_destroy();
	}
}

/* SDM vol. 1, 8.1.8: FDP is that of the last instruction unless CPUID.7.EBX[6] says "on exceptions only"; CPUID.7.EBX[13] says
 * that FCS and FDS are deprecated and saved as zero. */
static void x87_pointers(unsigned off, uint64_t fdp, unsigned fcs, unsigned fds)
{
	create_without(off);
	g_protected_mode(0);
	g.e->cpu.gpr[RBX] = G_DATA;
	CODE(0xdb, 0xe3, 0xd9, 0x03, 0xd9, 0x73, 0x40); /* fninit; fld dword [ebx]; fnstenv [ebx + 64] */
	for (unsigned n = 0; n < 3; n++)
		g_try();
	EXPECT_NO_FAULT();
	cr_expect_eq(g_peek(G_DATA + 64 + 12, 4), G_CODE + 2);
	cr_expect_eq(g_peek(G_DATA + 64 + 16, 2), fcs);
	cr_expect_eq(g_peek(G_DATA + 64 + 20, 4), fdp);
	cr_expect_eq(g_peek(G_DATA + 64 + 24, 2), fds);
	CODE(0xd9, 0x63, 0x40, 0xd9, 0x73, 0x40); /* fldenv [ebx + 64]; fnstenv [ebx + 64] */
	g_try();
	g_try();
	cr_expect_eq(g_peek(G_DATA + 64 + 16, 2), fcs);
	cr_expect_eq(g_peek(G_DATA + 64 + 24, 2), fds);
	g_destroy();
}

Test(features_hidden, x87_pointers)
{
	x87_pointers(CPUF_NONE, 0, 0, 0);
	x87_pointers(CPUF_FDP_EXCPTN, G_DATA, 0, 0);
	x87_pointers(CPUF_ZERO_FCS_FDS, 0, CODE32, DATA0);
}
