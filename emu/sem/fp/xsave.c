/* SPDX-License-Identifier: MIT */
/* FXSAVE, FXRSTOR and the XSAVE family (SDM vol. 1, 10.5 and chapter 13). */
#include "x87.h"
#include "emu/core/machine.h"
#include "emu/core/xstate.h"
#include "fp.h"

#include <stddef.h>

enum {
	XFEATURE_X87 = 1 << 0,
	XFEATURE_SSE = 1 << 1,
	XFEATURE_AVX = 1 << XSTATE_AVX,
	LEGACY_BYTES = XSTATE_LEGACY_BYTES,
	HEADER_BYTES = XSTATE_HEADER_BYTES,
	FX_WRITTEN = 416,      /* FXSAVE leaves bytes 464..511 to software, and we leave 416..463, too */
	MXCSR_DEFAULT = 0x1f80,
};
#define XCOMP_COMPACTED (1ull << 63)

uint32_t xsave_size(uint64_t xcr0, bool compacted)
{
	uint32_t end = LEGACY_BYTES + HEADER_BYTES;

	for (unsigned k = 2; k < XSTATE_COMPONENTS; k++) {
		if (!(xcr0 >> k & 1) || !xstate_components[k].size)
			continue;
		if (!compacted)
			end = xstate_components[k].offset;
		else if (xstate_components[k].align64)
			end = (end + 63) & ~63u;
		end += xstate_components[k].size;
	}
	return end;
}

uint32_t xsave_component(unsigned k, uint32_t *offset, bool *align64)
{
	if (k < 2 || k >= XSTATE_COMPONENTS)
		return 0;
	*offset = xstate_components[k].offset;
	*align64 = xstate_components[k].align64;
	return xstate_components[k].size;
}

/* ---- the two legacy components ------------------------------------------------------------------------- */

static unsigned xmm_count(const struct emu *e)
{
	return e->code_size == 8 ? 16 : 8;
}

static void pack_x87(const struct emu *e, const struct insn *i, struct fx_image *m)
{
	const struct x87 *f = &e->cpu.fpu;
	const bool wide = e->code_size == 8 && (i->prefixes & PFX_REX_W);

	m->cw = f->cw;
	m->sw = f->sw;
	m->tag = f->tag;
	m->reserved0 = 0;
	m->fop = f->fop;
	m->fip = wide ? f->fip : (uint32_t)f->fip | (uint64_t)f->fcs << 32;
	m->fdp = wide ? f->fdp : (uint32_t)f->fdp | (uint64_t)f->fds << 32;
	memset(m->st, 0, sizeof(m->st));
	for (unsigned n = 0; n < 8; n++) {
		const struct x87_reg r = x87_get(f, n);
		memcpy(m->st[n], &r, 10);
	}
}

/* The instruction pointer is kept as an address: 48 bits, sign-extended. FDP is not. */
static uint64_t canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16);
}

static void unpack_x87(struct emu *e, const struct insn *i, const struct fx_image *m)
{
	struct x87 *f = &e->cpu.fpu;
	const bool wide = e->code_size == 8 && (i->prefixes & PFX_REX_W);

	f->sw = m->sw;
	f->tag = m->tag;
	f->fop = m->fop & 0x7ff;
	f->fip = wide ? canonical(m->fip) : (uint32_t)m->fip;
	f->fdp = wide ? m->fdp : (uint32_t)m->fdp;
	x87_set_selectors(e, wide ? 0 : (uint16_t)(m->fip >> 32), wide ? 0 : (uint16_t)(m->fdp >> 32));
	for (unsigned n = 0; n < 8; n++)
		memcpy(&f->r[x87_physical(f, n)], m->st[n], 10);
	x87_set_cw(f, m->cw);
}

static void init_x87(struct emu *e)
{
	x87_init(&e->cpu.fpu);
	memset(e->cpu.fpu.r, 0, sizeof(e->cpu.fpu.r));
}

static bool x87_is_init(const struct x87 *f)
{
	static const struct x87_reg zero[8];

	return f->cw == X87_CW_INIT && !f->sw && !f->tag && !f->fop && !f->fip && !f->fdp &&
	       memcmp(f->r, zero, sizeof(zero)) == 0;
}

static void pack_xmm(const struct emu *e, struct fx_image *m)
{
	for (unsigned n = 0; n < xmm_count(e); n++)
		memcpy(m->xmm[n], &e->cpu.vec[n], SSE_BYTES);
}

static void unpack_xmm(struct emu *e, const struct fx_image *m)
{
	for (unsigned n = 0; n < xmm_count(e); n++)
		memcpy(&e->cpu.vec[n], m->xmm[n], SSE_BYTES);
}

static void init_xmm(struct emu *e)
{
	for (unsigned n = 0; n < xmm_count(e); n++)
		memset(&e->cpu.vec[n], 0, SSE_BYTES);
}

static bool xmm_is_init(const struct emu *e)
{
	uint64_t any = 0;

	for (unsigned n = 0; n < 16; n++)
		any |= e->cpu.vec[n].u64[0] | e->cpu.vec[n].u64[1];
	return any == 0;
}

/* ---- extended components: bytes of vector registers, opmasks, PKRU ------------------------------------------ */

/* Vector registers that exist. */
static unsigned registers(const struct emu *e)
{
	return e->code_size == 8 ? XSTATE_REGISTERS : 8;
}

/* Bytes of component k that a save writes and a restore reads. */
static unsigned component_bytes(const struct emu *e, unsigned k)
{
	return xstate_bytes(k, registers(e));
}

static void unpack_component(struct emu *e, unsigned k, const uint8_t *in)
{
	xstate_unpack(&e->cpu, k, registers(e), in);
	if (k == XSTATE_PKRU) /* translations depend on it: mmu_mode_changed() drops those that are not valid any more */
		mmu_mode_changed(e);
}

/* Does component k hold anything? Of all registers, whatever the mode. */
static bool component_in_use(const struct cpu *c, unsigned k)
{
	const struct xstate_component *x = &xstate_components[k];
	uint64_t any = k == XSTATE_PKRU ? c->pkru : 0;

	for (unsigned n = 0; n < 8 && k == XSTATE_OPMASK; n++)
		any |= c->k[n];
	for (unsigned n = x->first; n < x->first + x->count; n++)
		for (unsigned q = x->at / 8; q < (x->at + x->bytes) / 8u; q++)
			any |= c->vec[n].u64[q];
	return any != 0;
}

/* Where component k of an area stands; in the compacted form the components of `xcomp_bv` follow one another. */
static uint32_t component_offset(unsigned k, bool compacted, uint64_t xcomp_bv)
{
	return compacted ? xsave_size(xcomp_bv & ((1ull << k) - 1), true) : xstate_components[k].offset;
}

/* ---- FXSAVE, FXRSTOR ----------------------------------------------------------------------------------- */

/* Address of the area of at least `bytes`, with the alignment that the instruction wants. */
static int area(struct emu *e, const struct insn *i, unsigned bytes, unsigned align, bool write, uint64_t *linear)
{
	if (emu_linear(e, i, bytes, write, linear))
		return EMU_STOP;
	return *linear & (align - 1) ? emu_gp0(e) : 0;
}

SEM(fxsave)
{
	struct fx_image m;
	uint64_t linear;

	if (e->cpu.cr0 & (CR0_EM | CR0_TS))
		return emu_fault(e, VEC_NM);
	/* The operand has 512 bytes, also where none is stored. */
	if (area(e, i, LEGACY_BYTES, 16, true, &linear) || emu_probe_write(e, i->seg, linear, LEGACY_BYTES) ||
	    emu_read(e, i->seg, linear, &m, FX_WRITTEN))
		return EMU_STOP;
	pack_x87(e, i, &m);
	m.mxcsr = e->cpu.mxcsr;
	m.mxcsr_mask = emu_mxcsr_mask(e);
	if (e->cpu.cr4 & CR4_OSFXSR)
		pack_xmm(e, &m);
	return emu_write(e, i->seg, linear, &m, FX_WRITTEN);
}

SEM(fxrstor)
{
	struct fx_image m;
	uint64_t linear;

	if (e->cpu.cr0 & (CR0_EM | CR0_TS))
		return emu_fault(e, VEC_NM);
	if (area(e, i, LEGACY_BYTES, 16, false, &linear) || emu_read(e, i->seg, linear, &m, sizeof(m)))
		return EMU_STOP;
	if (m.mxcsr & ~emu_mxcsr_mask(e))
		return emu_gp0(e);
	unpack_x87(e, i, &m);
	e->cpu.mxcsr = m.mxcsr;
	if (e->cpu.cr4 & CR4_OSFXSR)
		unpack_xmm(e, &m);
	return 0;
}

/* ---- XSAVE family -------------------------------------------------------------------------------------- */

/* #UD, #NM; the requested-feature bitmap; the address. */
static int begin(struct emu *e, const struct insn *i, bool write, uint64_t *rfbm, uint64_t *linear)
{
	if (!(e->cpu.cr4 & CR4_OSXSAVE))
		return emu_ud(e);
	if (e->cpu.cr0 & CR0_TS)
		return emu_fault(e, VEC_NM);
	*rfbm = e->cpu.xcr0 & ((uint32_t)e->cpu.gpr[RAX] | e->cpu.gpr[RDX] << 32);
	return area(e, i, LEGACY_BYTES + HEADER_BYTES, 64, write, linear);
}

/* XINUSE: components that are not in their initial state. */
static uint64_t in_use(const struct emu *e)
{
	uint64_t used = (x87_is_init(&e->cpu.fpu) ? 0 : XFEATURE_X87) | (xmm_is_init(e) ? 0 : XFEATURE_SSE);

	for (unsigned k = 2; k < XSTATE_COMPONENTS; k++)
		used |= (uint64_t)component_in_use(&e->cpu, k) << k;
	return used;
}

/* An area in memory: compacted areas hold the components of xcomp_bv, others all. */
struct layout {
	uint64_t linear, xcomp_bv;
	bool compacted;
};

/* Probes everything that a save of the components `save` writes. */
static int probe(struct emu *e, const struct insn *i, const struct layout *l, uint64_t save)
{
	if (emu_probe_write(e, i->seg, l->linear, LEGACY_BYTES + HEADER_BYTES))
		return EMU_STOP;
	for (unsigned k = 2; k < XSTATE_COMPONENTS; k++) {
		const unsigned bytes = save >> k & 1 ? component_bytes(e, k) : 0;

		if (bytes && emu_probe_write(e, i->seg, l->linear + component_offset(k, l->compacted, l->xcomp_bv), bytes))
			return EMU_STOP;
	}
	return 0;
}

static int save_extended(struct emu *e, const struct insn *i, const struct layout *l, uint64_t save)
{
	uint8_t image[XSTATE_COMPONENT_MOST];

	for (unsigned k = 2; k < XSTATE_COMPONENTS; k++) {
		const unsigned bytes = save >> k & 1 ? component_bytes(e, k) : 0;

		if (!bytes)
			continue;
		xstate_pack(&e->cpu, k, registers(e), image);
		if (emu_write(e, i->seg, l->linear + component_offset(k, l->compacted, l->xcomp_bv), image, bytes))
			return EMU_STOP;
	}
	return 0;
}

/* Writes components `save` and, if `mxcsr`, MXCSR with its mask. The legacy region may have holes that must
 * keep what they held, hence several stores; all are probed first, so that a fault leaves the area alone. */
static int save_legacy(struct emu *e, const struct insn *i, uint64_t linear, uint64_t save, bool mxcsr)
{
	const uint32_t control[2] = { e->cpu.mxcsr, emu_mxcsr_mask(e) };
	struct fx_image m;

	if (save & XFEATURE_X87) {
		pack_x87(e, i, &m);
		if (emu_write(e, i->seg, linear, &m, offsetof(struct fx_image, mxcsr)) ||
		    emu_write(e, i->seg, linear + offsetof(struct fx_image, st), m.st, sizeof(m.st)))
			return EMU_STOP;
	}
	if (mxcsr && emu_write(e, i->seg, linear + offsetof(struct fx_image, mxcsr), control, sizeof(control)))
		return EMU_STOP;
	if (!(save & XFEATURE_SSE))
		return 0;
	pack_xmm(e, &m);
	return emu_write(e, i->seg, linear + offsetof(struct fx_image, xmm), m.xmm, xmm_count(e) * SSE_BYTES);
}

/* XSAVE and XSAVEOPT: standard form. Header bits outside RFBM are kept. XSAVEOPT skips components in
 * initial state. */
static int save_standard(struct emu *e, const struct insn *i, bool optimise)
{
	const uint64_t used = in_use(e);
	struct layout l = { .compacted = false };
	uint64_t rfbm = 0, save, bv;

	if (begin(e, i, true, &rfbm, &l.linear))
		return EMU_STOP;
	save = optimise ? rfbm & used : rfbm;
	if (probe(e, i, &l, save) || emu_read(e, i->seg, l.linear + LEGACY_BYTES, &bv, sizeof(bv)) ||
	    save_legacy(e, i, l.linear, save, rfbm & (XFEATURE_SSE | XFEATURE_AVX)) || save_extended(e, i, &l, save))
		return EMU_STOP;
	bv = (bv & ~rfbm) | (rfbm & used);
	return emu_write(e, i->seg, l.linear + LEGACY_BYTES, &bv, sizeof(bv));
}

/* XSAVEC and XSAVES: compacted form; components in initial state are not written. MXCSR belongs to SSE here. */
static int save_compacted(struct emu *e, const struct insn *i)
{
	const uint64_t used = in_use(e) | (e->cpu.mxcsr != MXCSR_DEFAULT ? XFEATURE_SSE : 0);
	struct layout l = { .compacted = true };
	uint64_t header[2];

	if (begin(e, i, true, &l.xcomp_bv, &l.linear) || probe(e, i, &l, l.xcomp_bv & used) ||
	    save_legacy(e, i, l.linear, l.xcomp_bv & used, l.xcomp_bv & used & XFEATURE_SSE) ||
	    save_extended(e, i, &l, l.xcomp_bv & used))
		return EMU_STOP;
	header[0] = l.xcomp_bv & used;
	header[1] = l.xcomp_bv | XCOMP_COMPACTED;
	return emu_write(e, i->seg, l.linear + LEGACY_BYTES, header, sizeof(header));
}

SEM(xsave)
{
	return save_standard(e, i, false);
}

SEM(xsaveopt)
{
	return save_standard(e, i, true);
}

SEM(xsavec)
{
	return save_compacted(e, i);
}

/* No supervisor components exist (IA32_XSS is zero), so XSAVES is XSAVEC at CPL 0, XRSTORS a stricter
 * XRSTOR. */
SEM(xsaves)
{
	return save_compacted(e, i);
}

/* Header rules of XRSTOR (SDM vol. 1, 13.8): false means #GP. Only processors with XSAVEC know the compacted form. */
static bool header_is_valid(const struct emu *e, const struct xsave_header *h)
{
	const uint64_t xcr0 = e->cpu.xcr0;
	uint64_t reserved = 0;

	if (!(h->xcomp_bv & XCOMP_COMPACTED))
		return !(h->xstate_bv & ~xcr0) && !h->xcomp_bv && !h->reserved[0];
	if (!emu_has_feature(e, FEAT_XSAVEC))
		return false;
	for (unsigned k = 0; k < 6; k++)
		reserved |= h->reserved[k];
	return !(h->xcomp_bv & ~(xcr0 | XCOMP_COMPACTED)) && !(h->xstate_bv & ~h->xcomp_bv) && !reserved;
}

/* Does the restore load MXCSR from memory? The standard form does even if SSE itself is to be initialised. */
static bool loads_mxcsr(const struct xsave_header *h, uint64_t rfbm)
{
	if (h->xcomp_bv & XCOMP_COMPACTED)
		return rfbm & h->xstate_bv & XFEATURE_SSE;
	return rfbm & (XFEATURE_SSE | XFEATURE_AVX);
}

/* What a restore reads of the extended components before it changes anything; zeroes for those to be initialised. */
static int read_extended(struct emu *e, const struct insn *i, uint64_t linear, const struct xsave_header *h, uint64_t rfbm,
			 uint8_t image[XSTATE_COMPONENTS][XSTATE_COMPONENT_MOST])
{
	const bool compacted = h->xcomp_bv & XCOMP_COMPACTED;

	for (unsigned k = 2; k < XSTATE_COMPONENTS; k++) {
		const unsigned bytes = component_bytes(e, k);

		if (!(rfbm >> k & 1) || !bytes)
			continue;
		memset(image[k], 0, bytes);
		if ((h->xstate_bv >> k & 1) &&
		    emu_read(e, i->seg, linear + component_offset(k, compacted, h->xcomp_bv), image[k], bytes))
			return EMU_STOP;
	}
	return 0;
}

static void restore_legacy(struct emu *e, const struct insn *i, const struct fx_image *m, const struct xsave_header *h,
			   uint64_t rfbm)
{
	if (loads_mxcsr(h, rfbm))
		e->cpu.mxcsr = m->mxcsr;
	else if (rfbm & XFEATURE_SSE)
		e->cpu.mxcsr = MXCSR_DEFAULT;
	if (rfbm & h->xstate_bv & XFEATURE_X87)
		unpack_x87(e, i, m);
	else if (rfbm & XFEATURE_X87)
		init_x87(e);
	if (rfbm & h->xstate_bv & XFEATURE_SSE)
		unpack_xmm(e, m);
	else if (rfbm & XFEATURE_SSE)
		init_xmm(e);
}

static int restore(struct emu *e, const struct insn *i, bool only_compacted)
{
	uint8_t image[XSTATE_COMPONENTS][XSTATE_COMPONENT_MOST];
	struct xsave_header h;
	struct fx_image m;
	uint64_t rfbm = 0, linear;

	if (begin(e, i, false, &rfbm, &linear) || emu_read(e, i->seg, linear + LEGACY_BYTES, &h, sizeof(h)))
		return EMU_STOP;
	if (!header_is_valid(e, &h) || (only_compacted && !(h.xcomp_bv & XCOMP_COMPACTED)))
		return emu_gp0(e);
	if (emu_read(e, i->seg, linear, &m, sizeof(m)) || read_extended(e, i, linear, &h, rfbm, image))
		return EMU_STOP;
	if (loads_mxcsr(&h, rfbm) && (m.mxcsr & ~emu_mxcsr_mask(e)))
		return emu_gp0(e);
	restore_legacy(e, i, &m, &h, rfbm);
	for (unsigned k = 2; k < XSTATE_COMPONENTS; k++)
		if (rfbm >> k & 1)
			unpack_component(e, k, image[k]);
	return 0;
}

SEM(xrstor)
{
	return restore(e, i, false);
}

SEM(xrstors)
{
	return restore(e, i, true);
}
