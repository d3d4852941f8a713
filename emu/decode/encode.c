/* SPDX-License-Identifier: MIT */
/* Instruction encoder: the inverse of decode(), from the same rows and forms (SDM vol. 2, chapter 2). */
#include "encode.h"
#include "internal.h"

#include <string.h>

struct writer {
	uint8_t p[2 * INSN_MAX_BYTES]; /* immediate and displacement may pass the limit before it is checked */
	unsigned n;
};

static void put(struct writer *w, uint64_t v, unsigned bytes)
{
	for (unsigned k = 0; k < bytes; k++)
		w->p[w->n++] = (uint8_t)(v >> 8 * k);
}

/* Bits of register numbers that lie outside ModRM and SIB: R, X, B and their EVEX extensions. */
struct register_bits {
	unsigned r, x, b, r4, x4, v4;
};

static bool uses_reg(const struct isa_row *r, const struct form *f)
{
	return (f->flags & FORM_MODRM) && r->ext == ISA_EXT_ANY;
}

static struct register_bits register_bits(const struct insn *i, const struct isa_row *r, const struct form *f)
{
	struct register_bits bits = { 0 };

	if (uses_reg(r, f)) {
		bits.r = i->reg >> 3 & 1;
		bits.r4 = i->reg >> 4 & 1;
	}
	if (f->flags & FORM_PLUS_R)
		bits.b = i->reg >> 3 & 1;
	if (!(f->flags & FORM_MODRM))
		return bits;
	if (i->is_mem) {
		bits.b = i->base >= 0 ? i->base >> 3 & 1u : 0;
		bits.x = i->index != ADDR_NONE || (f->flags & FORM_VSIB) ? i->index >> 3 & 1u : 0;
		bits.v4 = f->flags & FORM_VSIB ? i->index >> 4 & 1 : 0;
	} else {
		bits.b = i->rm >> 3 & 1;
		bits.x4 = i->rm >> 4 & 1;
	}
	return bits;
}

/* ---- prefixes ---- */

static bool is_high_byte(unsigned reg, bool byte)
{
	return byte && reg >= REG8_AH;
}

/* SPL, BPL, SIL, DIL exist only with a REX prefix. */
static bool is_low_byte(unsigned reg, bool byte)
{
	return byte && reg >= 4 && reg < 8;
}

static void put_legacy(struct writer *w, const struct insn *i, bool has_vex)
{
	static const uint8_t segments[SEG_COUNT] = {
		[SEG_ES] = 0x26, [SEG_CS] = 0x2e, [SEG_SS] = 0x36, [SEG_DS] = 0x3e, [SEG_FS] = 0x64, [SEG_GS] = 0x65,
	};

	if ((i->prefixes & PFX_SEG) && i->seg < SEG_COUNT)
		put(w, segments[i->seg], 1);
	if (i->asize == 4)
		put(w, 0x67, 1);
	if (has_vex)
		return;
	if (i->prefixes & PFX_LOCK)
		put(w, 0xf0, 1);
	if (i->prefixes & PFX_OPSIZE)
		put(w, 0x66, 1);
	if (i->prefixes & PFX_REP)
		put(w, 0xf3, 1);
	if (i->prefixes & PFX_REPNE)
		put(w, 0xf2, 1);
}

/* False: AH, CH, DH, BH next to something that needs REX. */
static bool put_rex(struct writer *w, const struct insn *i, const struct isa_row *r, const struct form *f,
		    const struct register_bits *bits)
{
	const bool reg8 = f->flags & FORM_REG8 && (uses_reg(r, f) || (f->flags & FORM_PLUS_R));
	const bool rm8 = f->flags & FORM_RM8 && !i->is_mem;
	const bool high = is_high_byte(i->reg, reg8) || is_high_byte(i->rm, rm8);
	unsigned rex = (i->prefixes & PFX_REX_W ? 8u : 0) | bits->x << 1;

	rex |= is_high_byte(i->reg, reg8) && uses_reg(r, f) ? 0 : bits->r << 2;
	rex |= is_high_byte(i->rm, rm8) || is_high_byte(i->reg, reg8 && (f->flags & FORM_PLUS_R)) ? 0 : bits->b;
	if (!rex && !(i->prefixes & PFX_REX) && !is_low_byte(i->reg, reg8) && !is_low_byte(i->rm, rm8))
		return true;
	put(w, 0x40 | rex, 1);
	return !high;
}

static unsigned pp_of(const struct insn *i)
{
	return i->prefixes & PFX_REP ? 2 : i->prefixes & PFX_REPNE ? 3 : i->prefixes & PFX_OPSIZE ? 1 : 0;
}

static void put_vex(struct writer *w, const struct insn *i, const struct isa_row *r, const struct register_bits *bits)
{
	const unsigned wide = i->prefixes & PFX_REX_W ? 1 : 0;
	const unsigned last = (~i->vvvv & 15u) << 3 | (i->vl & 1u) << 2 | pp_of(i);

	if (r->map == ISA_V0F && !wide && !bits->x && !bits->b) {
		put(w, 0xc5, 1);
		put(w, (bits->r ^ 1) << 7 | last, 1);
		return;
	}
	put(w, 0xc4, 1);
	put(w, (bits->r ^ 1) << 7 | (bits->x ^ 1) << 6 | (bits->b ^ 1) << 5 | (r->map - ISA_V0F + 1u), 1);
	put(w, wide << 7 | last, 1);
}

static void put_evex(struct writer *w, const struct insn *i, const struct isa_row *r, const struct register_bits *bits)
{
	const bool rounding = i->bcst && !i->is_mem;
	const unsigned x = bits->x | bits->x4, v4 = bits->v4 | (i->vvvv >> 4 & 1u);

	put(w, 0x62, 1);
	put(w, (bits->r ^ 1) << 7 | (x ^ 1) << 6 | (bits->b ^ 1) << 5 | (bits->r4 ^ 1) << 4 | (r->map - ISA_E0F + 1u), 1);
	put(w, (i->prefixes & PFX_REX_W ? 0x80u : 0) | (~i->vvvv & 15u) << 3 | 4 | pp_of(i), 1);
	put(w, (unsigned)i->zero << 7 | (rounding ? i->imm2 & 3u : i->vl) << 5 | (unsigned)i->bcst << 4 | (v4 ^ 1) << 3 | i->mask,
	    1);
}

static void put_opcode(struct writer *w, const struct insn *i, const struct isa_row *r)
{
	if (r->map == ISA_M0F || r->map == ISA_M0F38 || r->map == ISA_M0F3A)
		put(w, 0x0f, 1);
	if (r->map == ISA_M0F38 || r->map == ISA_M0F3A)
		put(w, r->map == ISA_M0F38 ? 0x38 : 0x3a, 1);
	put(w, r->opcode | (r->plus_r ? i->reg & 7u : 0), 1);
}

/* ---- operands ---- */

static unsigned modrm_reg(const struct insn *i, const struct isa_row *r)
{
	if (r->ext == ISA_EXT_ANY)
		return i->reg & 7;
	return r->ext & ISA_EXT_RM ? r->ext >> 3 & 7 : r->ext & 7;
}

/* Bytes of displacement: 0, 1 (in units of 1 << shift), 4. */
static unsigned disp_bytes(const struct insn *i, unsigned shift)
{
	const int32_t scaled = i->disp >> shift;

	if (i->base == ADDR_NONE)
		return 4;
	if (i->disp == 0 && (i->base & 7) != RBP)
		return 0;
	return scaled >= INT8_MIN && scaled <= INT8_MAX && (int32_t)((uint32_t)scaled << shift) == i->disp ? 1 : 4;
}

static void put_memory(struct writer *w, const struct insn *i, unsigned reg, bool vsib, unsigned shift)
{
	const unsigned bytes = disp_bytes(i, shift), mod = i->base == ADDR_NONE ? 0 : bytes == 4 ? 2 : bytes;
	const bool indexed = vsib || i->index != ADDR_NONE;
	const bool sib = indexed || i->base == ADDR_NONE || (i->base & 7) == RSP;

	put(w, mod << 6 | reg << 3 | (sib ? 4 : i->base & 7u), 1);
	if (sib)
		put(w, (unsigned)i->scale << 6 | (indexed ? i->index & 7u : 4) << 3 | (i->base == ADDR_NONE ? 5 : i->base & 7u),
		    1);
	put(w, (uint64_t)(int64_t)(bytes == 1 ? i->disp >> shift : i->disp), bytes);
}

static void put_modrm(struct writer *w, const struct insn *i, const struct isa_row *r, const struct form *f)
{
	const bool evex = r->map >= ISA_E0F;
	const unsigned shift = !evex ? 0 : (unsigned)__builtin_ctz(isa_evex_bytes(r, i->vl, i->bcst, i->prefixes & PFX_REX_W));

	if (!i->is_mem)
		put(w, 0xc0 | modrm_reg(i, r) << 3 | (r->ext != ISA_EXT_ANY && (r->ext & ISA_EXT_RM) ? r->ext & 7u : i->rm & 7u),
		    1);
	else if (i->base == ADDR_PC)
		put(w, modrm_reg(i, r) << 3 | 5, 1); /* the displacement follows when the length is known */
	else
		put_memory(w, i, modrm_reg(i, r), f->flags & FORM_VSIB, shift);
}

static unsigned immediate_bytes(const struct insn *i, const struct form *f)
{
	if (f->imm_kind == OPK_O)
		return i->asize;
	switch ((enum isa_size)f->imm[0]) {
	case OPS_b:
	case OPS_bs:
		return 1;
	case OPS_w:
		return 2;
	case OPS_d:
		return 4;
	case OPS_v:
		return i->size;
	default: /* z */
		return i->size == 2 ? 2 : 4;
	}
}

static void put_immediates(struct writer *w, const struct insn *i, const struct form *f)
{
	if (f->imm_kind)
		put(w, i->imm, immediate_bytes(i, f));
	if (f->imm[1])
		put(w, i->imm2, 1);
}

static bool is_encodable(const struct insn *i, const struct isa_row *r)
{
	return i->id != ISA_INVALID && i->id < ISA_COUNT && !(r->modes & ISA_MODE_NO64) && i->asize != 2;
}

unsigned encode(const struct insn *i, uint8_t bytes[INSN_MAX_BYTES])
{
	const struct isa_row *r = &isa_rows[i->id < ISA_COUNT ? i->id : ISA_INVALID];
	const struct form *f = &decode_forms[i->id < ISA_COUNT ? i->id : ISA_INVALID];
	const struct register_bits bits = register_bits(i, r, f);
	struct writer w = { .n = 0 };
	unsigned rip = 0;

	if (!is_encodable(i, r) || (r->map < ISA_E0F && (bits.r4 | bits.x4 | bits.v4) && !(f->flags & (FORM_REG8 | FORM_RM8))))
		return 0;
	put_legacy(&w, i, r->map >= ISA_V0F);
	if (r->map >= ISA_E0F)
		put_evex(&w, i, r, &bits);
	else if (r->map >= ISA_V0F)
		put_vex(&w, i, r, &bits);
	else if (!put_rex(&w, i, r, f, &bits))
		return 0;
	put_opcode(&w, i, r);
	if (f->flags & FORM_MODRM)
		put_modrm(&w, i, r, f);
	if (i->is_mem && i->base == ADDR_PC) {
		rip = w.n;
		w.n += 4;
	}
	put_immediates(&w, i, f);
	if (w.n > INSN_MAX_BYTES)
		return 0;
	if (rip) {
		const int32_t from = i->scale == INSN_DISP_FROM_END ? 0 : (int32_t)w.n;
		const uint32_t disp = (uint32_t)i->disp - (uint32_t)from;

		memcpy(w.p + rip, &disp, sizeof(disp));
	}
	memcpy(bytes, w.p, w.n);
	return w.n;
}
