/* SPDX-License-Identifier: MIT */
/* Instruction decoder: ModRM, SIB, displacement, immediates, and the operands of VEX and EVEX. */
#include "internal.h"

unsigned operand_size(const struct isa_row *r, const struct form *f, const struct prefixes *p, unsigned code_size)
{
	bool opsize = p->opsize && !f->fixed_opsize;

	if (f->size_rule == SIZE_Y)
		return code_size == 8 && (p->rex & 8) ? 8 : 4;
	if (f->size_rule != SIZE_V)
		return f->size_rule;
	if (code_size == 8) {
		if ((p->rex & 8) || (r->modes & ISA_MODE_F64))
			return 8;
		if (r->modes & ISA_MODE_D64)
			return opsize ? 2 : 8;
	}
	return (code_size == 2) == opsize ? 4 : 2;
}

/* EVEX counts an 8-bit displacement in units of the operand (disp8*N: SDM vol. 2, 2.7.5). */
static int32_t take_displacement(struct cursor *c, const struct prefixes *p, unsigned bytes)
{
	const int32_t disp = (int32_t)sign_extend(take(c, bytes), bytes);

	return bytes == 1 ? disp * (1 << p->disp8_shift) : disp;
}

/* 16-bit addressing (SDM vol. 2, table 2-1). */
static enum decode_result memory16(struct cursor *c, const struct prefixes *p, unsigned mod, unsigned rm,
				   struct insn *out)
{
	static const int8_t bases[8] = { RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX };
	static const int8_t indexes[8] = { RSI, RDI, RSI, RDI, ADDR_NONE, ADDR_NONE, ADDR_NONE, ADDR_NONE };
	unsigned bytes = mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0;
	enum decode_result r;

	out->base = bases[rm];
	out->index = indexes[rm];
	if (mod == 0 && rm == 6)
		out->base = ADDR_NONE;
	else if (mod == 1 || mod == 0)
		bytes = mod;
	r = need(c, bytes);
	if (r == DECODE_OK && bytes)
		out->disp = take_displacement(c, p, bytes);
	if (out->base == RBP)
		out->seg = SEG_SS;
	return r;
}

static enum decode_result memory(struct cursor *c, const struct prefixes *p, const struct form *f, unsigned mod,
				 unsigned rm, unsigned code_size, bool *rip_relative, struct insn *out)
{
	unsigned bytes = mod == 1 ? 1 : mod == 2 ? 4 : 0;
	enum decode_result r;

	if ((f->flags & FORM_VSIB) && (out->asize == 2 || rm != 4)) /* SDM vol. 2, 2.3.12 */
		return DECODE_UD;
	if (out->asize == 2)
		return memory16(c, p, mod, rm, out);
	out->base = (int8_t)(rm | (p->rex & 1) << 3);
	out->index = ADDR_NONE;
	if (rm == 4) {
		unsigned sib;

		r = need(c, 1);
		if (r != DECODE_OK)
			return r;
		sib = (unsigned)take(c, 1);
		out->scale = (uint8_t)(sib >> 6);
		out->index = (int8_t)(((sib >> 3) & 7) | (p->rex & 2) << 2);
		if (out->index == 4 && !(f->flags & FORM_VSIB))
			out->index = ADDR_NONE;
		out->base = (int8_t)((sib & 7) | (p->rex & 1) << 3);
		if ((sib & 7) == 5 && mod == 0) {
			out->base = ADDR_NONE;
			bytes = 4;
		}
	} else if (rm == 5 && mod == 0) {
		bytes = 4;
		*rip_relative = code_size == 8;
		out->base = code_size == 8 ? ADDR_PC : ADDR_NONE;
	}
	r = need(c, bytes);
	if (r == DECODE_OK && bytes)
		out->disp = take_displacement(c, p, bytes);
	if (out->base == RSP || out->base == RBP)
		out->seg = SEG_SS;
	return r;
}

static uint8_t byte_register(unsigned r, const struct prefixes *p)
{
	return (uint8_t)(!p->rex && !p->vex && r >= 4 && r < 8 ? r + 16 : r);
}

static enum decode_result take_modrm(struct cursor *c, const struct prefixes *p, const struct form *f,
				     unsigned code_size, bool *rip_relative, struct insn *out)
{
	unsigned modrm = (unsigned)take(c, 1), mod = modrm >> 6, rm = modrm & 7;

	out->reg = (uint8_t)(((modrm >> 3) & 7) | ((f->flags & FORM_REG_3BITS) ? 0 : (p->rex & 4) << 1));
	if (f->flags & FORM_REG8)
		out->reg = byte_register(out->reg, p);
	if (mod != 3 && !(f->flags & FORM_RM_IS_REG)) {
		out->is_mem = 1;
		return memory(c, p, f, mod, rm, code_size, rip_relative, out);
	}
	out->rm = (uint8_t)(rm | ((f->flags & FORM_RM_3BITS) ? 0 : (p->rex & 1) << 3));
	if (f->flags & FORM_RM8)
		out->rm = byte_register(out->rm, p);
	return DECODE_OK;
}

static enum decode_result take_far_pointer(struct cursor *c, struct insn *out)
{
	unsigned bytes = out->size == 2 ? 2 : 4;
	enum decode_result r = need(c, bytes + 2);

	if (r == DECODE_OK) {
		out->imm = take(c, bytes);
		out->imm |= take(c, 2) << 32;
	}
	return r;
}

static enum decode_result take_immediate(struct cursor *c, const struct form *f, struct insn *out)
{
	unsigned bytes = 0;
	bool is_signed = f->imm_kind == OPK_J;
	enum decode_result r;

	if (f->imm_kind == OPK_A)
		return take_far_pointer(c, out);
	switch ((enum isa_size)f->imm[0]) {
	case OPS_b:
		bytes = 1;
		break;
	case OPS_bs:
		bytes = 1;
		is_signed = true;
		break;
	case OPS_w:
		bytes = 2;
		break;
	case OPS_d:
		bytes = 4;
		break;
	case OPS_v:
		bytes = out->size;
		break;
	default: /* z */
		bytes = out->size == 2 ? 2 : 4;
		is_signed = true;
		break;
	}
	if (f->imm_kind == OPK_O)
		bytes = out->asize;
	r = need(c, bytes);
	if (r != DECODE_OK)
		return r;
	out->imm = take(c, bytes);
	if (is_signed)
		out->imm = (uint64_t)sign_extend(out->imm, bytes);
	return DECODE_OK;
}

enum decode_result take_operands(struct cursor *c, const struct prefixes *p, const struct form *f, unsigned code_size,
				 unsigned opcode, bool *rip_relative, struct insn *out)
{
	enum decode_result r = DECODE_OK;

	if (f->flags & FORM_MODRM) {
		r = take_modrm(c, p, f, code_size, rip_relative, out);
	} else if (f->flags & FORM_PLUS_R) {
		out->reg = (uint8_t)((opcode & 7) | (p->rex & 1) << 3);
		if (f->flags & FORM_REG8)
			out->reg = byte_register(out->reg, p);
	}
	if (r == DECODE_OK && f->imm_kind)
		r = take_immediate(c, f, out);
	if (r == DECODE_OK && f->imm[1]) {
		r = need(c, 1);
		if (r == DECODE_OK)
			out->imm2 = (uint8_t)take(c, 1);
	}
	return r;
}

enum decode_result finish_vex(const struct prefixes *p, const struct form *f, bool code64, struct insn *out)
{
	out->vvvv = p->vvvv & (code64 ? 15 : 7); /* but where it is no operand all four bits count */
	out->vl = p->l & 1;
	if (!code64) /* W may have selected the row, but there is no 64-bit operand */
		out->prefixes &= (uint8_t)~PFX_REX_W;
	if ((p->vvvv && !(f->flags & FORM_VVVV)) || ((f->flags & FORM_OPMASK_H) && out->vvvv >= 8))
		return DECODE_UD;
	if (f->imm_kind == OPK_L)
		out->imm2 = (uint8_t)(out->imm >> 4 & (code64 ? 15 : 7));
	if ((f->flags & FORM_GATHER) && (out->reg == out->vvvv || out->reg == out->index || out->vvvv == out->index))
		return DECODE_UD;
	return DECODE_OK;
}

static bool has_operand(const struct isa_row *r, unsigned kind)
{
	return r->op[0].kind == kind || r->op[1].kind == kind || r->op[2].kind == kind || r->op[3].kind == kind;
}

/* Masking, zeroing, broadcast and rounding where the row has them (SDM vol. 2, table 2-41 ff.). */
static bool evex_bits_allowed(const struct isa_row *r, const struct prefixes *p, const struct insn *out)
{
	const unsigned first = r->op[0].kind;
	const bool stores = out->is_mem && (first == OPK_W || first == OPK_M || first == OPK_VS);
	const bool rounding = has_embedded_rounding(r, p, !out->is_mem);

	if (p->l == 3 && !rounding)
		return false;
	if (p->b && !rounding && !(out->is_mem && (r->evex & ISA_BC)))
		return false;
	if (p->aaa ? !(r->evex & ISA_MK) : (r->evex & ISA_KREQ) || p->z)
		return false;
	return !p->z || ((r->evex & ISA_MZ) && !stores);
}

/* The fifth bits of register numbers. A general register has only four, and a vector index takes V'. */
static bool evex_registers(const struct isa_row *r, const struct prefixes *p, const struct form *f, bool code64,
			   struct insn *out)
{
	out->vvvv = p->vvvv & (code64 ? 31 : 7);
	if (r->ext == ISA_EXT_ANY)
		out->reg |= p->r4;
	if (has_operand(r, OPK_G) && p->r4)
		return false;
	if (!out->is_mem && (has_operand(r, OPK_W) || has_operand(r, OPK_U)))
		out->rm |= p->x4;
	if (f->flags & FORM_VSIB) {
		out->index |= p->vvvv & (code64 ? 16 : 0);
		/* A gather's destination is not its index. */
		return !(p->vvvv & 15) && !(r->op[0].kind == OPK_V && out->reg == out->index);
	}
	if ((r->evex & ISA_DIST) && (out->reg == out->vvvv || (!out->is_mem && out->reg == out->rm)))
		return false;
	return !p->vvvv || (f->flags & FORM_VVVV);
}

enum decode_result finish_evex(const struct isa_row *r, const struct prefixes *p, const struct form *f, bool code64,
			       struct insn *out)
{
	out->vl = vector_length(r, p, !out->is_mem) & 3;
	out->bcst = p->b;
	out->mask = p->aaa & 7u;
	out->zero = p->z;
	if (p->b && !out->is_mem)
		out->imm2 = p->l; /* the rounding */
	if (!code64)
		out->prefixes &= (uint8_t)~PFX_REX_W;
	if (!evex_bits_allowed(r, p, out) || !evex_registers(r, p, f, code64, out))
		return DECODE_UD;
	/* Shorter vectors are a feature of their own. */
	return (r->l == ISA_L012 || r->l == ISA_L12) && out->vl < 2 && !decode_has_vl ? DECODE_UD : DECODE_OK;
}
