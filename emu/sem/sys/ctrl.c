/* SPDX-License-Identifier: MIT */
/* Control registers (SDM vol. 3, 2.5), translations and caches: MOV CR, LMSW, CLTS, INVLPG, INVPCID, XSETBV... */
#include "emu/mmu/mmu.h"
#include "internal.h"

#define CR0_WRITABLE                                                                                       \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define CR3_NO_FLUSH (1ull << 63)
#define CR3_PCID 0xfffull
#define XCR0_AVX512 0xe0ull

/* ---- CR0 ------------------------------------------------------------------------------------------------------ */

/* Combinations that MOV CR0 refuses (SDM vol. 2, "MOV - Move to/from Control Registers"). */
static bool cr0_is_valid(const struct emu *e, uint64_t value)
{
	const struct cpu *c = &e->cpu;
	bool enables_paging = (value & CR0_PG) && !(c->cr0 & CR0_PG);
	bool disables_paging = !(value & CR0_PG) && (c->cr0 & CR0_PG);

	if (value >> 32)
		return false;
	if ((value & CR0_NW) && !(value & CR0_CD))
		return false;
	if ((value & CR0_PG) && !(value & CR0_PE))
		return false;
	if (enables_paging && (c->msr.efer & EFER_LME)) /* SDM vol. 3, 9.8.5.1: not with a 16-bit TSS either */
		return (c->cr4 & CR4_PAE) && !(c->seg[SEG_CS].attr & SEG_ATTR_L) &&
		       ((c->tr.attr & SEG_ATTR_UNUSABLE) || (c->tr.attr & 8));
	if (disables_paging && (e->code_size == 8 || (c->cr4 & CR4_PCIDE)))
		return false;
	return true;
}

/* PAE paging reads its four top entries when paging or caching bits change (SDM vol. 3, 4.4.1). */
static bool cr0_reloads_pdptes(const struct emu *e, uint64_t value)
{
	uint64_t changed = value ^ e->cpu.cr0;

	return (value & CR0_PG) && (e->cpu.cr4 & CR4_PAE) && !(e->cpu.msr.efer & EFER_LME) &&
	       (changed & (CR0_PG | CR0_CD | CR0_NW));
}

int cr0_write(struct emu *e, uint64_t value)
{
	uint64_t changed;

	if (!cr0_is_valid(e, value))
		return emu_gp0(e);
	value = (value & CR0_WRITABLE) | CR0_ET;
	if (cr0_reloads_pdptes(e, value) && mmu_load_pdptes(e, e->cpu.cr3))
		return EMU_STOP;
	changed = value ^ e->cpu.cr0;
	e->cpu.cr0 = value;
	if (changed & CR0_PG) {
		e->cpu.msr.efer &= ~EFER_LMA;
		if ((value & CR0_PG) && (e->cpu.msr.efer & EFER_LME))
			e->cpu.msr.efer |= EFER_LMA;
	}
	mmu_mode_changed(e);
	if (changed & (CR0_PG | CR0_WP | CR0_PE))
		mmu_flush_all(e);
	return 0;
}

/* ---- CR3 -------------------------------------------------------------------------------------------------------- */

int cr3_write(struct emu *e, uint64_t value)
{
	bool pcide = e->cpu.cr4 & CR4_PCIDE, keep = pcide && (value & CR3_NO_FLUSH);
	bool pae = (e->cpu.cr0 & CR0_PG) && (e->cpu.cr4 & CR4_PAE) && !e->long_mode;

	if (pcide)
		value &= ~CR3_NO_FLUSH;
	if (e->long_mode && value >> EMU_MAXPHYADDR)
		return emu_gp0(e);
	if (pae && mmu_load_pdptes(e, value))
		return EMU_STOP;
	e->cpu.cr3 = value;
	if (!pcide) {
		mmu_flush_nonglobal(e);
		return 0;
	}
	if (!keep)
		mmu_flush_pcid(e, value & CR3_PCID);
	mmu_switch_pcid(e);
	return 0;
}

/* ---- CR4 ---------------------------------------------------------------------------------------------------------- */

/* A bit whose feature CPUID hides is reserved (features.def). */
uint64_t cr4_supported(const struct emu *e)
{
	return e->machine->cr4_supported;
}

static bool cr4_is_valid(const struct emu *e, uint64_t value)
{
	uint64_t changed = value ^ e->cpu.cr4;

	if (value & ~cr4_supported(e))
		return false;
	if (e->long_mode && ((changed & CR4_LA57) || !(value & CR4_PAE)))
		return false;
	if ((changed & value & CR4_PCIDE) && (!e->long_mode || (e->cpu.cr3 & CR3_PCID)))
		return false;
	return true;
}

int cr4_write(struct emu *e, uint64_t value)
{
	uint64_t changed = value ^ e->cpu.cr4, old = e->cpu.cr4;
	bool pae = (e->cpu.cr0 & CR0_PG) && (value & CR4_PAE) && !e->long_mode;

	if (!cr4_is_valid(e, value))
		return emu_gp0(e);
	e->cpu.cr4 = value;
	if (pae && (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) && mmu_load_pdptes(e, e->cpu.cr3)) {
		e->cpu.cr4 = old;
		return EMU_STOP;
	}
	mmu_mode_changed(e);
	if (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_LA57))
		mmu_flush_all(e);
	return 0;
}

/* ---- MOV CR ---------------------------------------------------------------------------------------------------------- */

static unsigned cr_size(const struct emu *e)
{
	return e->code_size == 8 ? 8 : 4;
}

int sem_mov_from_cr(struct emu *e, const struct insn *i)
{
	uint64_t value;

	switch (i->reg) {
	case 0:
		value = e->cpu.cr0;
		break;
	case 2:
		value = e->cpu.cr2;
		break;
	case 3:
		value = e->cpu.cr3;
		break;
	case 4:
		value = e->cpu.cr4;
		break;
	case 8:
		value = lapic_cr8_read(e->lapic);
		break;
	default:
		return emu_ud(e);
	}
	reg_write(e, i->rm, cr_size(e), value);
	return 0;
}

static int cr8_write(struct emu *e, uint64_t value)
{
	if (value > 15)
		return emu_gp0(e);
	lapic_cr8_write(e->lapic, (uint8_t)value);
	return 0;
}

int sem_mov_to_cr(struct emu *e, const struct insn *i)
{
	uint64_t value = reg_read(e, i->rm, cr_size(e));
	int r;

	switch (i->reg) {
	case 0:
		r = cr0_write(e, value);
		break;
	case 2:
		e->cpu.cr2 = value;
		r = 0;
		break;
	case 3:
		r = cr3_write(e, value);
		break;
	case 4:
		r = cr4_write(e, value);
		break;
	case 8:
		r = cr8_write(e, value);
		break;
	default:
		return emu_ud(e);
	}
	return r ? EMU_STOP : emu_end_block(e, i);
}

/* LMSW can set PE but never clear it. */
int sem_lmsw(struct emu *e, const struct insn *i)
{
	uint64_t value, low = CR0_PE | CR0_MP | CR0_EM | CR0_TS;

	if (sys_read_rm(e, i, 2, &value))
		return EMU_STOP;
	value = (e->cpu.cr0 & ~low) | (value & low) | (e->cpu.cr0 & CR0_PE);
	return cr0_write(e, value) ? EMU_STOP : emu_end_block(e, i);
}

int sem_smsw(struct emu *e, const struct insn *i)
{
	if ((e->cpu.cr4 & CR4_UMIP) && e->cpl > 0)
		return emu_gp0(e);
	return sys_write_rm(e, i, i->is_mem ? 2 : i->size, e->cpu.cr0);
}

int sem_clts(struct emu *e, const struct insn *i)
{
	e->cpu.cr0 &= ~CR0_TS;
	mmu_mode_changed(e);
	return emu_end_block(e, i);
}

/* ---- translations ----------------------------------------------------------------------------------------------------- */

/* The address is not accessed: no limit check in 64-bit mode, and a non-canonical one does nothing. */
int sem_invlpg(struct emu *e, const struct insn *i)
{
	uint64_t linear = emu_ea(e, i) + e->seg_base[i->seg];

	if (e->code_size != 8)
		linear = (uint32_t)linear;
	if (sys_canonical_register(e, linear))
		mmu_flush_page(e, linear);
	return emu_end_block(e, i);
}

int sem_invpcid(struct emu *e, const struct insn *i)
{
	enum { INVPCID_ADDRESS, INVPCID_CONTEXT, INVPCID_ALL, INVPCID_ALL_NONGLOBAL };
	uint64_t type = reg_read(e, i->reg, cr_size(e)), d[2];
	bool single = type <= INVPCID_CONTEXT;

	if (e->cpl > 0 || sys_v86(e))
		return emu_gp0(e);
	if (emu_load(e, i, d, 16))
		return EMU_STOP;
	if (type > INVPCID_ALL_NONGLOBAL || d[0] >> 12)
		return emu_gp0(e);
	if (single && !(e->cpu.cr4 & CR4_PCIDE) && d[0] != 0)
		return emu_gp0(e);
	if (type == INVPCID_ADDRESS && !sys_canonical_register(e, d[1]))
		return emu_gp0(e);
	switch (type) {
	case INVPCID_ADDRESS:
		mmu_flush_page_pcid(e, d[1], (unsigned)d[0]);
		break;
	case INVPCID_CONTEXT:
		mmu_flush_pcid(e, (unsigned)d[0]);
		break;
	default:
		mmu_flush_all(e);
		break;
	}
	return emu_end_block(e, i);
}

/* The address is checked as a byte load would, but that a line of an execute-only segment may be flushed, too (SDM vol. 2,
 * CLFLUSH). */
static int line_address(struct emu *e, const struct insn *i, uint64_t *linear)
{
	const struct segment *s = &e->cpu.seg[i->seg];

	if (e->code_size == 8 || (s->attr & (SEG_ATTR_CODE | SEG_ATTR_RW)) != SEG_ATTR_CODE)
		return emu_linear(e, i, 1, false, linear);
	if (emu_ea(e, i) > s->limit)
		return emu_gp0(e);
	*linear = (uint32_t)(emu_ea(e, i) + s->base);
	return 0;
}

/* There is no cache to write back. */
int sem_clflush(struct emu *e, const struct insn *i)
{
	uint64_t linear;
	uint8_t *host;

	if (line_address(e, i, &linear))
		return EMU_STOP;
	/* Only translated: reading device memory would have side effects that flushing a line has not. */
	return mmu_page_ptr(e, i->seg, linear, false, &host);
}

int sem_wbinvd(struct emu *e, const struct insn *i)
{
	return sys_serialized(e, i);
}

int sem_serialize(struct emu *e, const struct insn *i)
{
	return sys_serialized(e, i);
}

/*
 * MONITOR watches nothing and MWAIT returns at once, as it may for any reason (SDM vol. 2, MWAIT). CPUID does not offer
 * the two unasked: an idle loop made of them would never sleep.
 */
int sem_monitor(struct emu *e, const struct insn *i)
{
	uint64_t linear;
	uint8_t byte;

	if (e->cpl > 0 || !(e->cpu.msr.misc_enable & MISC_ENABLE_MONITOR))
		return emu_ud(e);
	if ((uint32_t)e->cpu.gpr[RCX] != 0)
		return emu_gp0(e);
	if (emu_seg_linear(e, i->seg, truncate_to(e->cpu.gpr[RAX], i->asize), 1, false, &linear))
		return EMU_STOP;
	return emu_read(e, i->seg, linear, &byte, 1);
}

/* Bit 0 of ECX, enumerated by CPUID 5: interrupts end it even if masked, as everything does. */
int sem_mwait(struct emu *e, const struct insn *i)
{
	if (e->cpl > 0 || !(e->cpu.msr.misc_enable & MISC_ENABLE_MONITOR))
		return emu_ud(e);
	if ((uint32_t)e->cpu.gpr[RCX] > 1)
		return emu_gp0(e);
	emu_pause(e);
	return emu_end_block(e, i);
}

/* ---- extended control registers, protection keys ---------------------------------------------------------------- */

int sem_xgetbv(struct emu *e, const struct insn *i)
{
	uint32_t index = (uint32_t)e->cpu.gpr[RCX];
	uint64_t value = e->cpu.xcr0;

	if (!(e->cpu.cr4 & CR4_OSXSAVE))
		return emu_ud(e);
	/* XCR0 & XINUSE: components are never reported as being in their initial state (SDM vol. 1, 13.2). */
	if (index > 1 || (index == 1 && !emu_has_feature(e, FEAT_XGETBV1)))
		return emu_gp0(e);
	reg_write(e, RAX, 4, value);
	reg_write(e, RDX, 4, value >> 32);
	return 0;
}

/* x87 always; AVX only with SSE, the three components of AVX-512 together and only with AVX (SDM vol. 1, 13.3). */
static bool xcr0_is_valid(const struct emu *e, uint64_t value)
{
	const uint64_t avx512 = value & XCR0_AVX512;

	if ((value & ~sys_xcr0_supported(e)) || !(value & 1) || (value & 6) == 4)
		return false;
	return !avx512 || (avx512 == XCR0_AVX512 && (value & 4));
}

int sem_xsetbv(struct emu *e, const struct insn *i)
{
	uint64_t value = reg_read(e, RAX, 4) | reg_read(e, RDX, 4) << 32;

	if (!(e->cpu.cr4 & CR4_OSXSAVE))
		return emu_ud(e);
	if (e->cpl > 0 || reg_read(e, RCX, 4) != 0 || !xcr0_is_valid(e, value))
		return emu_gp0(e);
	e->cpu.xcr0 = value;
	mmu_mode_changed(e);
	return emu_end_block(e, i);
}

int sem_rdpkru(struct emu *e, const struct insn *i)
{
	if (!(e->cpu.cr4 & CR4_PKE))
		return emu_ud(e);
	if (reg_read(e, RCX, 4) != 0)
		return emu_gp0(e);
	reg_write(e, RAX, 4, e->cpu.pkru);
	reg_write(e, RDX, 4, 0);
	return 0;
}

int sem_wrpkru(struct emu *e, const struct insn *i)
{
	if (!(e->cpu.cr4 & CR4_PKE))
		return emu_ud(e);
	if (reg_read(e, RCX, 4) != 0 || reg_read(e, RDX, 4) != 0)
		return emu_gp0(e);
	e->cpu.pkru = (uint32_t)e->cpu.gpr[RAX];
	mmu_mode_changed(e); /* translations that depend on PKRU are not cached, see mmu/walk.c; key 0 is seen to there */
	return emu_end_block(e, i);
}
