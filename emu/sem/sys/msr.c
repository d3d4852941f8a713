/* SPDX-License-Identifier: MIT */
/* Model-specific registers (SDM vol. 4): one table; what is not in it raises #GP, which kernels expect and survive. */
#include "internal.h"
#include "emu/core/tsc.h"
#include "emu/model/features.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

/*
 * IA32_ARCH_CAPABILITIES (SDM vol. 4, table 2-2). An interpreter executes nothing speculatively and has no buffers to
 * leak: RDCL_NO, IBRS_ALL, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, IF_PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO,
 * PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO, ITS_NO.
 */
#define ARCH_CAPABILITIES                                                                                        \
	(1ull << 0 | 1ull << 1 | 1ull << 3 | 1ull << 4 | 1ull << 5 | 1ull << 6 | 1ull << 8 | 1ull << 13 |        \
	 1ull << 14 | 1ull << 15 | 1ull << 20 | 1ull << 24 | 1ull << 26 | 1ull << 27 | 1ull << 62)

#define MTRR_VARIABLE 8
#define PHYS_MASK ((1ull << EMU_MAXPHYADDR) - 1)
/* Of IA32_MISC_ENABLE all but what only tells: fast strings, thermal control, SpeedStep, monitor FSM, CPUID limit, xTPR, XD
 * disable, turbo. Software finds there what it wrote (SDM vol. 4, table 2-2); three of them do something, see cpu.h. */
#define MISC_ENABLE_WRITABLE                                                                                     \
	(1ull << 0 | 1ull << 3 | 1ull << 16 | MISC_ENABLE_MONITOR | MISC_ENABLE_LIMIT_CPUID | 1ull << 23 |       \
	 MISC_ENABLE_XD_DISABLE | 1ull << 38)

enum msr_kind {
	MSR_PLAIN,     /* a field of struct msrs; bits outside `mask` must be zero */
	MSR_KEEP,      /* a field; bits outside `mask` keep their value whatever is written */
	MSR_CANONICAL, /* a field that holds an address */
	MSR_TYPES,     /* a field of eight memory types; `mask` bit n: type n is allowed */
	MSR_CONST,     /* reads `mask`, writes raise #GP */
	MSR_IGNORE,    /* reads `mask`, writes are dropped */
	MSR_COMMAND,   /* write-only; bits outside `mask` must be zero */
	MSR_FN,	       /* read and write functions */
};

struct msr_row {
	uint32_t first, last;
	enum msr_kind kind;
	uint16_t offset; /* in struct emu */
	uint64_t mask;
	int (*read)(struct emu *e, uint32_t msr, uint64_t *value);
	int (*write)(struct emu *e, uint32_t msr, uint64_t value);
};

static uint64_t *field(struct emu *e, const struct msr_row *row, uint32_t msr)
{
	return (uint64_t *)(void *)((char *)e + row->offset) + (msr - row->first);
}

static bool types_are_valid(uint64_t value, uint64_t allowed)
{
	for (unsigned n = 0; n < 64; n += 8) {
		uint8_t type = (uint8_t)(value >> n);

		if (type > 7 || !(allowed >> type & 1))
			return false;
	}
	return true;
}

/* ---- registers with a mind of their own ---------------------------------------------------------------------------- */

static int apic_read(struct emu *e, uint32_t msr, uint64_t *value)
{
	return lapic_msr_read(e->lapic, msr, value);
}

static int apic_write(struct emu *e, uint32_t msr, uint64_t value)
{
	int r = lapic_msr_write(e->lapic, msr, value);

	emu_attention(e);
	return r;
}

/* The register page may have appeared, moved or vanished. */
static int apic_base_write(struct emu *e, uint32_t msr, uint64_t value)
{
	uint64_t old = e->cpu.msr.apic_base;
	int r = apic_write(e, msr, value);

	if (e->cpu.msr.apic_base != old)
		mmu_flush_all(e);
	return r;
}

static int tsc_read(struct emu *e, uint32_t msr, uint64_t *value)
{
	*value = emu_tsc(e);
	return 0;
}

/* IA32_TSC_ADJUST moves with every write of the counter, and the other way round (SDM vol. 3, 17.17.3). */
static int tsc_move(struct emu *e, uint64_t delta)
{
	e->cpu.msr.tsc_offset += delta;
	e->cpu.msr.tsc_adjust += delta;
	emu_attention(e);
	return 0;
}

static int tsc_write(struct emu *e, uint32_t msr, uint64_t value)
{
	return tsc_move(e, value - emu_tsc(e));
}

static int tsc_adjust_read(struct emu *e, uint32_t msr, uint64_t *value)
{
	*value = e->cpu.msr.tsc_adjust;
	return 0;
}

static int tsc_adjust_write(struct emu *e, uint32_t msr, uint64_t value)
{
	return tsc_move(e, value - e->cpu.msr.tsc_adjust);
}

static int efer_read(struct emu *e, uint32_t msr, uint64_t *value)
{
	*value = e->cpu.msr.efer;
	return 0;
}

/* LMA is read-only, LME cannot change under paging (SDM vol. 3, 2.2.1). */
static int efer_write(struct emu *e, uint32_t msr, uint64_t value)
{
	uint64_t old = e->cpu.msr.efer;

	if (value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
		return -EINVAL;
	if ((value & ~old & EFER_NXE) && (e->cpu.msr.misc_enable & MISC_ENABLE_XD_DISABLE))
		return -EINVAL;
	if (((value ^ old) & EFER_LME) && (e->cpu.cr0 & CR0_PG))
		return -EINVAL;
	e->cpu.msr.efer = (value & ~EFER_LMA) | (old & EFER_LMA);
	mmu_mode_changed(e);
	if ((value ^ old) & EFER_NXE)
		mmu_flush_all(e);
	return 0;
}

static int base_read(struct emu *e, uint32_t msr, uint64_t *value)
{
	*value = e->cpu.seg[msr & 1 ? SEG_GS : SEG_FS].base;
	return 0;
}

static int base_write(struct emu *e, uint32_t msr, uint64_t value)
{
	unsigned seg = msr & 1 ? SEG_GS : SEG_FS;

	if (!sys_canonical_register(e, value))
		return -EINVAL;
	e->cpu.seg[seg].base = value;
	e->seg_base[seg] = value;
	return 0;
}

static int mtrr_variable_read(struct emu *e, uint32_t msr, uint64_t *value)
{
	unsigned n = (msr - 0x200) / 2;

	*value = msr & 1 ? e->cpu.msr.mtrr_mask[n] : e->cpu.msr.mtrr_base[n];
	return 0;
}

/* Types 0, 1, 4, 5, 6; address bits up to MAXPHYADDR (SDM vol. 3, 11.11.2.3). */
static int mtrr_variable_write(struct emu *e, uint32_t msr, uint64_t value)
{
	unsigned n = (msr - 0x200) / 2;
	uint64_t address = PHYS_MASK & ~0xfffull;

	if (msr & 1) {
		if (value & ~(address | 1u << 11))
			return -EINVAL;
		e->cpu.msr.mtrr_mask[n] = value;
		return 0;
	}
	if ((value & ~(address | 0xff)) || (value & 0xff) > 6 || !(0x73 >> (value & 7) & 1))
		return -EINVAL;
	e->cpu.msr.mtrr_base[n] = value;
	return 0;
}

static int mtrr_default_read(struct emu *e, uint32_t msr, uint64_t *value)
{
	*value = e->cpu.msr.mtrr_def_type;
	return 0;
}

static int mtrr_default_write(struct emu *e, uint32_t msr, uint64_t value)
{
	if ((value & ~0xcffull) || (value & 0xff) > 6 || !(0x73 >> (value & 7) & 1))
		return -EINVAL;
	e->cpu.msr.mtrr_def_type = value;
	return 0;
}

/* Machine-check banks that never have anything to report: of CTL "the processor drops writes to bits that are not
 * implemented" (SDM vol. 3, 15.3.2.1), and all are; STATUS, ADDR and MISC read zero and
 * take nothing else (SDM vol. 3, 15.3.2). */
static int mc_bank_read(struct emu *e, uint32_t msr, uint64_t *value)
{
	*value = msr & 3 ? 0 : e->cpu.msr.mc_ctl[(msr - 0x400) / 4];
	return 0;
}

static int mc_bank_write(struct emu *e, uint32_t msr, uint64_t value)
{
	if (msr & 3)
		return value ? -EINVAL : 0;
	e->cpu.msr.mc_ctl[(msr - 0x400) / 4] = value;
	return 0;
}

/* ---- the table ---------------------------------------------------------------------------------------------------------- */

#define OFFSET(f) offsetof(struct emu, cpu.msr.f)
#define ROW(n, k, f, m) { .first = (n), .last = (n), .kind = (k), .offset = OFFSET(f), .mask = (m) }
#define RANGE(a, b, k, f, m) { .first = (a), .last = (b), .kind = (k), .offset = OFFSET(f), .mask = (m) }
#define VALUE(n, k, m) { .first = (n), .last = (n), .kind = (k), .mask = (m) }
#define FN(a, b, r, w) { .first = (a), .last = (b), .kind = MSR_FN, .read = (r), .write = (w) }

/* Searched from the top: what a running kernel touches often comes first. */
static const struct msr_row rows[] = {
	FN(0x6e0, 0x6e0, apic_read, apic_write),		 /* IA32_TSC_DEADLINE */
	FN(0x800, 0x8ff, apic_read, apic_write),		 /* x2APIC */
	FN(0xc0000100, 0xc0000101, base_read, base_write),	 /* IA32_FS_BASE, IA32_GS_BASE */
	ROW(0xc0000102, MSR_CANONICAL, kernel_gs_base, 0),	 /* IA32_KERNEL_GS_BASE */
	ROW(0x48, MSR_PLAIN, spec_ctrl, 0x407),			 /* IA32_SPEC_CTRL: IBRS, STIBP, SSBD, BHI_DIS_S */
	VALUE(0x49, MSR_COMMAND, 0x1),				 /* IA32_PRED_CMD: IBPB */
	FN(0x10, 0x10, tsc_read, tsc_write),			 /* IA32_TIME_STAMP_COUNTER */
	VALUE(0x17, MSR_CONST, 0),				 /* IA32_PLATFORM_ID */
	FN(0x1b, 0x1b, apic_read, apic_base_write),		 /* IA32_APIC_BASE */
	VALUE(0x3a, MSR_CONST, 1),				 /* IA32_FEATURE_CONTROL: locked, no VMX */
	FN(0x3b, 0x3b, tsc_adjust_read, tsc_adjust_write),	 /* IA32_TSC_ADJUST */
	VALUE(0x8b, MSR_IGNORE, 1ull << 32),			 /* IA32_BIOS_SIGN_ID: microcode revision 1 */
	VALUE(0xce, MSR_CONST, 0xa00),				 /* PLATFORM_INFO: 10 x 100 MHz, no CPUID faulting */
	VALUE(0xfe, MSR_CONST, 0x500 | MTRR_VARIABLE),		 /* IA32_MTRRCAP: WC, fixed ranges */
	VALUE(0x10a, MSR_CONST, ARCH_CAPABILITIES),		 /* IA32_ARCH_CAPABILITIES */
	ROW(0x174, MSR_PLAIN, sysenter_cs, 0xffffffff),		 /* IA32_SYSENTER_CS */
	ROW(0x175, MSR_CANONICAL, sysenter_esp, 0),		 /* IA32_SYSENTER_ESP */
	ROW(0x176, MSR_CANONICAL, sysenter_eip, 0),		 /* IA32_SYSENTER_EIP */
	VALUE(0x179, MSR_CONST, 0x100 | MCA_BANKS),		 /* IA32_MCG_CAP: MCG_CTL_P */
	ROW(0x17a, MSR_PLAIN, mcg_status, 0x7),			 /* IA32_MCG_STATUS */
	ROW(0x17b, MSR_PLAIN, mcg_ctl, ~0ull),			 /* IA32_MCG_CTL */
	VALUE(0x198, MSR_CONST, 0xa00),				 /* IA32_PERF_STATUS */
	VALUE(0x199, MSR_IGNORE, 0xa00),			 /* IA32_PERF_CTL */
	ROW(0x1a0, MSR_KEEP, misc_enable, MISC_ENABLE_WRITABLE), /* IA32_MISC_ENABLE */
	ROW(0x1d9, MSR_PLAIN, debugctl, 0x3),			 /* IA32_DEBUGCTL: LBR, BTF */
	FN(0x200, 0x20f, mtrr_variable_read, mtrr_variable_write),
	RANGE(0x250, 0x250, MSR_TYPES, mtrr_fixed[0], 0x73),	 /* IA32_MTRR_FIX64K_00000 */
	RANGE(0x258, 0x259, MSR_TYPES, mtrr_fixed[1], 0x73),	 /* ..FIX16K.. */
	RANGE(0x268, 0x26f, MSR_TYPES, mtrr_fixed[3], 0x73),	 /* ..FIX4K.. */
	ROW(0x277, MSR_TYPES, pat, 0xf3),			 /* IA32_PAT */
	FN(0x2ff, 0x2ff, mtrr_default_read, mtrr_default_write), /* IA32_MTRR_DEF_TYPE */
	FN(0x400, 0x400 + 4 * MCA_BANKS - 1, mc_bank_read, mc_bank_write), /* IA32_MCi_CTL, STATUS, ADDR, MISC */
	ROW(0xda0, MSR_PLAIN, xss, 0),				 /* IA32_XSS */
	FN(0xc0000080, 0xc0000080, efer_read, efer_write),	 /* IA32_EFER */
	ROW(0xc0000081, MSR_PLAIN, star, ~0ull),		 /* IA32_STAR */
	ROW(0xc0000082, MSR_CANONICAL, lstar, 0),		 /* IA32_LSTAR */
	ROW(0xc0000083, MSR_CANONICAL, cstar, 0),		 /* IA32_CSTAR */
	ROW(0xc0000084, MSR_PLAIN, sfmask, 0xffffffff),		 /* IA32_FMASK */
	ROW(0xc0000103, MSR_PLAIN, tsc_aux, 0xffffffff),	 /* IA32_TSC_AUX */
};

/* What of the register does not exist here (model/msrs.def): all ones, if all of it. */
static uint64_t missing_bits(const struct emu *e, uint32_t msr, bool only_refused)
{
	uint64_t missing = 0;

	for (unsigned n = 0; n < CPU_MSR_ROWS; n++) {
		const struct cpu_msr_row *row = &cpu_msrs[n];

		if (msr >= row->first && msr <= row->last && (row->refused || !only_refused) &&
		    !emu_has_cpu_feature(e, (enum cpu_feature)row->feature))
			missing |= row->bits;
	}
	return missing;
}

static const struct msr_row *find(const struct emu *e, uint32_t msr)
{
	for (unsigned n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
		if (msr >= rows[n].first && msr <= rows[n].last)
			return missing_bits(e, msr, true) == UINT64_MAX ? NULL : &rows[n];
	}
	return NULL;
}

static int unknown(struct emu *e, uint32_t msr, const char *what)
{
	char line[64];

	if (e->machine && e->machine->bus.log) {
		snprintf(line, sizeof(line), "unknown MSR %#x %s at %#llx", msr, what, (unsigned long long)e->cpu.rip);
		e->machine->bus.log(e->machine->bus.ctx, e->cpu.vcpu, line);
	}
	return -EINVAL;
}

static int read_row(struct emu *e, const struct msr_row *row, uint32_t msr, uint64_t *value)
{
	switch (row->kind) {
	case MSR_PLAIN:
	case MSR_KEEP:
	case MSR_CANONICAL:
	case MSR_TYPES:
		*value = *field(e, row, msr);
		return 0;
	case MSR_CONST:
	case MSR_IGNORE:
		*value = row->mask;
		return 0;
	case MSR_COMMAND:
		return -EINVAL;
	case MSR_FN:
		return row->read(e, msr, value);
	}
	return -EINVAL;
}

int msr_read(struct emu *e, uint32_t msr, uint64_t *value)
{
	const struct msr_row *row = find(e, msr);
	int r = row ? read_row(e, row, msr, value) : unknown(e, msr, "read");

	if (r == 0)
		*value &= ~missing_bits(e, msr, false);
	return r;
}

static int store(uint64_t *f, uint64_t value, bool is_valid)
{
	if (!is_valid)
		return -EINVAL;
	*f = value;
	return 0;
}

static int write_row(struct emu *e, const struct msr_row *row, uint32_t msr, uint64_t value)
{
	uint64_t *f = field(e, row, msr);

	switch (row->kind) {
	case MSR_PLAIN:
		return store(f, value, !(value & ~row->mask));
	case MSR_KEEP:
		return store(f, (*f & ~row->mask) | (value & row->mask), true);
	case MSR_CANONICAL:
		return store(f, value, sys_canonical_register(e, value));
	case MSR_TYPES:
		return store(f, value, types_are_valid(value, row->mask));
	case MSR_CONST:
		return -EINVAL;
	case MSR_IGNORE:
		return 0;
	case MSR_COMMAND:
		return value & ~row->mask ? -EINVAL : 0;
	case MSR_FN:
		return row->write(e, msr, value);
	}
	return -EINVAL;
}

int msr_write(struct emu *e, uint32_t msr, uint64_t value)
{
	const struct msr_row *row = find(e, msr);

	if (!row)
		return unknown(e, msr, "write");
	if (value & missing_bits(e, msr, true))
		return -EINVAL;
	return write_row(e, row, msr, value & ~missing_bits(e, msr, false));
}

int sem_rdmsr(struct emu *e, const struct insn *i)
{
	uint64_t value = 0;

	if (e->cpl > 0 || msr_read(e, (uint32_t)e->cpu.gpr[RCX], &value))
		return emu_gp0(e);
	e->cpu.gpr[RAX] = (uint32_t)value;
	e->cpu.gpr[RDX] = value >> 32;
	return 0;
}

int sem_wrmsr(struct emu *e, const struct insn *i)
{
	uint64_t value = (uint32_t)e->cpu.gpr[RAX] | e->cpu.gpr[RDX] << 32;

	if (e->cpl > 0 || msr_write(e, (uint32_t)e->cpu.gpr[RCX], value))
		return emu_gp0(e);
	return emu_end_block(e, i);
}
