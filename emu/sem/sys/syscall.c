/* SPDX-License-Identifier: MIT */
/* Fast system calls and the bases of FS and GS (SDM vol. 2: SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS...). */
#include "internal.h"

#define SYSRET_FLAGS 0x3c7fd7ull /* SDM vol. 2, SYSRET, "Operation": RF and VM are cleared, reserved bits too */

static void load_flat(struct emu *e, uint16_t cs, uint16_t ss, unsigned cpl, bool is_64bit)
{
	e->cpu.seg[SEG_CS] = segment_flat_code((uint16_t)((cs & ~3u) | cpl), cpl, is_64bit);
	e->cpu.seg[SEG_SS] = segment_flat_data((uint16_t)((ss & ~3u) | cpl), cpl);
	mmu_mode_changed(e);
}

int sem_syscall(struct emu *e, const struct insn *i)
{
	uint64_t flags = emu_flags_get(e), target = e->cpu.msr.lstar;
	uint16_t cs = (uint16_t)(e->cpu.msr.star >> 32);

	if (!(e->cpu.msr.efer & EFER_SCE))
		return emu_ud(e);
	e->cpu.gpr[RCX] = emu_next_rip(e, i);
	e->cpu.gpr[R11] = flags & ~(uint64_t)RFLAGS_RF;
	emu_flags_set(e, (e->cpu.msr.sfmask | RFLAGS_RF) & ~(uint64_t)RFLAGS_FIXED, 0);
	e->sys->no_single_step = !(e->cpu.rflags & RFLAGS_TF);
	load_flat(e, cs, (uint16_t)((cs & ~3u) + 8), 0, true);
	return emu_jump(e, target);
}

/* A non-canonical RCX faults here, at CPL 0, as on Intel processors. */
int sem_sysret(struct emu *e, const struct insn *i)
{
	uint16_t base = (uint16_t)(e->cpu.msr.star >> 48);
	bool to_64bit = i->size == 8;
	uint64_t rip = to_64bit ? e->cpu.gpr[RCX] : (uint32_t)e->cpu.gpr[RCX], old = e->cpu.rflags;

	if (!(e->cpu.msr.efer & EFER_SCE))
		return emu_ud(e);
	if (e->cpl > 0 || !emu_is_canonical(e, rip))
		return emu_gp0(e);
	emu_flags_set(e, ~0ull, (e->cpu.gpr[R11] & SYSRET_FLAGS) | RFLAGS_FIXED);
	load_flat(e, to_64bit ? (uint16_t)(base + 16) : base, (uint16_t)(base + 8), 3, to_64bit);
	if (!(old & RFLAGS_IF) && (e->cpu.rflags & RFLAGS_IF))
		sys_interrupts_enabled(e);
	return emu_jump(e, rip);
}

int sem_sysenter(struct emu *e, const struct insn *i)
{
	uint16_t cs = (uint16_t)e->cpu.msr.sysenter_cs;
	uint64_t rip = e->cpu.msr.sysenter_eip, rsp = e->cpu.msr.sysenter_esp;

	if (!sys_protected(e) || selector_is_null(cs))
		return emu_gp0(e);
	emu_flags_set(e, RFLAGS_VM | RFLAGS_IF | RFLAGS_RF, 0);
	load_flat(e, cs, (uint16_t)((cs & ~3u) + 8), 0, e->long_mode);
	e->cpu.gpr[RSP] = e->long_mode ? rsp : (uint32_t)rsp;
	return emu_jump(e, e->long_mode ? rip : (uint32_t)rip);
}

int sem_sysexit(struct emu *e, const struct insn *i)
{
	uint16_t base = (uint16_t)(e->cpu.msr.sysenter_cs & ~3u);
	bool to_64bit = i->size == 8 && e->long_mode;
	uint64_t rip = e->cpu.gpr[RDX], rsp = e->cpu.gpr[RCX];

	if (!sys_protected(e) || base == 0 || e->cpl > 0)
		return emu_gp0(e);
	if (to_64bit && (!emu_is_canonical(e, rip) || !emu_is_canonical(e, rsp)))
		return emu_gp0(e);
	load_flat(e, (uint16_t)(base + (to_64bit ? 32 : 16)), (uint16_t)(base + (to_64bit ? 40 : 24)), 3, to_64bit);
	e->cpu.gpr[RSP] = to_64bit ? rsp : (uint32_t)rsp;
	return emu_jump(e, to_64bit ? rip : (uint32_t)rip);
}

/* ---- bases ----------------------------------------------------------------------------------------------------------- */

static void set_base(struct emu *e, unsigned seg, uint64_t base)
{
	e->cpu.seg[seg].base = base;
	e->seg_base[seg] = base;
}

int sem_swapgs(struct emu *e, const struct insn *i)
{
	uint64_t base = e->cpu.seg[SEG_GS].base;

	if (e->cpl > 0)
		return emu_gp0(e);
	set_base(e, SEG_GS, e->cpu.msr.kernel_gs_base);
	e->cpu.msr.kernel_gs_base = base;
	return 0;
}

static int read_base(struct emu *e, const struct insn *i, unsigned seg)
{
	if (!(e->cpu.cr4 & CR4_FSGSBASE))
		return emu_ud(e);
	reg_write(e, i->rm, i->size, e->cpu.seg[seg].base);
	return 0;
}

static int write_base(struct emu *e, const struct insn *i, unsigned seg)
{
	uint64_t base = reg_read(e, i->rm, i->size);

	if (!(e->cpu.cr4 & CR4_FSGSBASE))
		return emu_ud(e);
	if (!sys_canonical_register(e, base))
		return emu_gp0(e);
	set_base(e, seg, base);
	return 0;
}

int sem_rdfsbase(struct emu *e, const struct insn *i)
{
	return read_base(e, i, SEG_FS);
}

int sem_rdgsbase(struct emu *e, const struct insn *i)
{
	return read_base(e, i, SEG_GS);
}

int sem_wrfsbase(struct emu *e, const struct insn *i)
{
	return write_base(e, i, SEG_FS);
}

int sem_wrgsbase(struct emu *e, const struct insn *i)
{
	return write_base(e, i, SEG_GS);
}
