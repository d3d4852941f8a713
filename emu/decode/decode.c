/* SPDX-License-Identifier: MIT */
/* Instruction decoder: prefixes, opcode, row selection, ModRM/SIB, displacement, immediates. */
#include "decode.h"
#include "../cpu.h"
#include "../isa/isa.h"

#include <string.h>

enum size_rule { SIZE_NONE, SIZE_1 = 1, SIZE_2 = 2, SIZE_4 = 4, SIZE_8 = 8, SIZE_V = 9, SIZE_Y = 10 };

enum form_flags {
	FORM_MODRM = 1 << 0,
	FORM_RM_IS_REG = 1 << 1, /* MOV CRn: mod is ignored (SDM vol. 2, "MOV - Move to/from Control Registers") */
	FORM_REG8 = 1 << 2,	 /* the reg (or opcode) operand is a byte register */
	FORM_RM8 = 1 << 3,
	FORM_REG_3BITS = 1 << 4, /* segment, MMX: REX.R is ignored */
	FORM_RM_3BITS = 1 << 5,
	FORM_PLUS_R = 1 << 6,
	FORM_CHECK_REG = 1 << 7, /* segment, control, debug register: not all numbers exist */
	FORM_VVVV = 1 << 8,	 /* VEX.vvvv is an operand; else it must be 1111b */
	FORM_VSIB = 1 << 9,
	FORM_GATHER = 1 << 10,	 /* destination, index and mask must differ */
	FORM_OPMASK_H = 1 << 11, /* vvvv is one of eight opmask registers */
};

/* What the decoder wants to know of a row, digested once. */
struct form {
	uint16_t flags;
	uint8_t size_rule;
	uint8_t imm[2]; /* enum isa_size of the immediates, OPS__ if none; OPK_J, OPK_A, OPK_O see imm_kind */
	uint8_t imm_kind;
	uint8_t fixed_opsize; /* 66 is part of the opcode */
};

static struct form forms[ISA_COUNT];

/* Rows that may answer to (map, opcode): order[first .. first + count). */
static struct {
	uint16_t first;
	uint8_t count;
} slots[ISA_MAPS][256];
static bool has_vl; /* 128- and 256-bit forms of EVEX rows exist */
static uint16_t order[2 * ISA_COUNT + 8 * 64];

static bool is_general(unsigned kind)
{
	switch (kind) {
	case OPK_E: case OPK_G: case OPK_M: case OPK_R: case OPK_Z: case OPK_O: case OPK_X: case OPK_Y: case OPK_AL:
	case OPK_AX: case OPK_S: case OPK_I: case OPK_A:
		return true;
	default:
		return false;
	}
}

static uint8_t row_size_rule(const struct isa_row *r)
{
	uint8_t fixed = SIZE_NONE;

	if ((r->attr & ISA_BRANCH) || (r->modes & (ISA_MODE_D64 | ISA_MODE_F64)))
		return SIZE_V;
	for (unsigned n = 0; n < 4; n++) {
		unsigned kind = r->op[n].kind;

		switch ((enum isa_size)r->op[n].size) {
		case OPS_v: case OPS_z: case OPS_p: case OPS_s: case OPS_fx: case OPS_env: case OPS_fsv:
		case OPS_bs:
			return SIZE_V;
		case OPS_y:
			fixed = SIZE_Y;
			break;
		case OPS_b:
			if (!fixed && is_general(kind) && kind != OPK_I)
				fixed = SIZE_1;
			break;
		case OPS_w:
			if (!fixed && is_general(kind) && kind != OPK_I)
				fixed = SIZE_2;
			break;
		case OPS_d:
			if (!fixed && is_general(kind))
				fixed = SIZE_4;
			break;
		case OPS_q:
			if (!fixed && is_general(kind))
				fixed = SIZE_8;
			break;
		case OPS__: case OPS_dq: case OPS_x: case OPS_ss: case OPS_sd: case OPS_t: case OPS_hx: case OPS_qx:
		case OPS_ex:
			break;
		}
	}
	return fixed;
}

static void form_operand(struct form *f, const struct isa_row *r, const struct isa_operand *op)
{
	bool byte = op->size == OPS_b;

	switch ((enum isa_kind)op->kind) {
	case OPK_E: case OPK_M:
		f->flags |= byte ? FORM_RM8 : 0;
		break;
	case OPK_R:
		f->flags |= (byte ? FORM_RM8 : 0) | (r->mod == ISA_MOD_ANY ? FORM_RM_IS_REG : 0);
		break;
	case OPK_G: case OPK_Z:
		f->flags |= byte ? FORM_REG8 : 0;
		break;
	case OPK_P:
		f->flags |= FORM_REG_3BITS;
		break;
	case OPK_S:
		f->flags |= r->ext == ISA_EXT_NO_MODRM ? 0 : FORM_REG_3BITS | FORM_CHECK_REG;
		break;
	case OPK_C: case OPK_D:
		f->flags |= FORM_CHECK_REG;
		break;
	case OPK_Q: case OPK_N_: case OPK_STI:
		f->flags |= FORM_RM_3BITS;
		break;
	case OPK_KG:
		f->flags |= FORM_CHECK_REG;
		break;
	case OPK_KE: case OPK_KR:
		f->flags |= FORM_RM_3BITS;
		break;
	case OPK_KH:
		f->flags |= FORM_VVVV | FORM_OPMASK_H;
		break;
	case OPK_H: case OPK_B:
		f->flags |= FORM_VVVV;
		break;
	case OPK_VS:
		f->flags |= FORM_VSIB | FORM_GATHER;
		break;
	case OPK_L:
		f->imm[0] = OPS_b;
		f->imm_kind = OPK_L;
		break;
	case OPK_I: case OPK_J: case OPK_A: case OPK_O:
		if (f->imm[0] == OPS__) {
			f->imm[0] = op->size;
			f->imm_kind = op->kind;
		} else {
			f->imm[1] = op->size;
		}
		break;
	case OPK_NONE: case OPK_V: case OPK_W: case OPK_U: case OPK_X: case OPK_Y:
	case OPK_ST0: case OPK_AL: case OPK_AX: case OPK_CL: case OPK_DX: case OPK_ONE:
		break;
	}
}

static void make_form(unsigned id)
{
	const struct isa_row *r = &isa_rows[id];
	struct form *f = &forms[id];

	memset(f, 0, sizeof(*f));
	f->size_rule = row_size_rule(r);
	f->flags = r->ext != ISA_EXT_NO_MODRM ? FORM_MODRM : 0;
	f->flags |= r->plus_r ? FORM_PLUS_R : 0;
	f->fixed_opsize = r->pp == ISA_PP_66;
	for (unsigned n = 0; n < 4; n++)
		form_operand(f, r, &r->op[n]);
}

/* More constrained rows are tried first: a fixed ModRM byte, then /digit, then a mandatory prefix, then mod. */
static unsigned specificity(const struct isa_row *r)
{
	unsigned s = 0;

	if (r->ext == ISA_EXT_NO_MODRM || r->ext == ISA_EXT_ANY)
		s = r->plus_r ? 0 : 8;
	else
		s = r->ext & ISA_EXT_RM ? 64 : 32;
	if (r->pp == ISA_PP_66 || r->pp == ISA_PP_F3 || r->pp == ISA_PP_F2)
		s += 4;
	else if (r->pp != ISA_PP_ANY)
		s += 2;
	return s + (r->mod != ISA_MOD_ANY);
}

static void add_row(unsigned map, unsigned opcode, unsigned id)
{
	uint16_t *list = &order[slots[map][opcode].first];
	unsigned n = slots[map][opcode].count++;

	while (n > 0 && specificity(&isa_rows[list[n - 1]]) < specificity(&isa_rows[id])) {
		list[n] = list[n - 1];
		n--;
	}
	list[n] = (uint16_t)id;
}

void decode_init(bool (*has)(const void *ctx, unsigned feature), const void *ctx)
{
	unsigned next = 0;
	uint16_t counts[ISA_MAPS][256] = { 0 };

	memset(slots, 0, sizeof(slots));
	for (unsigned id = 1; id < ISA_COUNT; id++) {
		const struct isa_row *r = &isa_rows[id];

		make_form(id);
		for (unsigned k = 0; k < (r->plus_r ? 8 : 1); k++)
			counts[r->map][r->opcode + k]++;
	}
	for (unsigned map = 0; map < ISA_MAPS; map++) {
		for (unsigned op = 0; op < 256; op++) {
			slots[map][op].first = (uint16_t)next;
			next += counts[map][op];
		}
	}
	has_vl = !has || has(ctx, FEAT_AVX512VL);
	for (unsigned id = 1; id < ISA_COUNT; id++) {
		const struct isa_row *r = &isa_rows[id];

		if (has && (!has(ctx, r->feature) || (r->map >= ISA_E0F && !has(ctx, FEAT_AVX512F))))
			continue;
		for (unsigned k = 0; k < (r->plus_r ? 8 : 1); k++)
			add_row(r->map, r->opcode + k, id);
	}
}

/* ---- decoding ---- */

struct cursor {
	const uint8_t *p;
	unsigned pos, avail;
};

struct prefixes {
	bool opsize, addrsize, lock;
	uint8_t rep; /* f2, f3: the last one counts */
	uint8_t rex;
	uint8_t seg; /* SEG_COUNT: none that has an effect */
	bool vex;    /* then 66/F3/F2 above are VEX.pp, and REX holds VEX.RXBW */
	uint8_t vvvv, l;
	bool evex;   /* and vex: vvvv has five bits, L'L is l */
	bool b, z;
	uint8_t aaa, r4, x4; /* R' and X as bit 4 of ModRM.reg and of a vector register in ModRM.rm */
	uint8_t disp8_shift; /* log2 of N, disp8*N */
};

static enum decode_result need(const struct cursor *c, unsigned n)
{
	if (c->pos + n <= c->avail && c->pos + n <= INSN_MAX_BYTES)
		return DECODE_OK;
	return c->avail < INSN_MAX_BYTES ? DECODE_MORE : DECODE_TOO_LONG;
}

static uint64_t take(struct cursor *c, unsigned n)
{
	uint64_t v = 0;

	for (unsigned k = 0; k < n; k++)
		v |= (uint64_t)c->p[c->pos + k] << (8 * k);
	c->pos += n;
	return v;
}

static int64_t sign_extend(uint64_t v, unsigned bytes)
{
	unsigned shift = 64 - 8 * bytes;

	return (int64_t)(v << shift) >> shift;
}

/* True if `b` is a prefix (then recorded). REX only counts directly before the opcode (SDM vol. 2, 2.2.1). */
static bool take_prefix(struct prefixes *p, uint8_t b, bool code64)
{
	static const uint8_t seg_of[4] = { SEG_ES, SEG_CS, SEG_SS, SEG_DS };

	switch (b) {
	case 0x26: case 0x2e: case 0x36: case 0x3e:
		if (!code64)
			p->seg = seg_of[(b >> 3) & 3];
		break;
	case 0x64: case 0x65:
		p->seg = b == 0x64 ? SEG_FS : SEG_GS;
		break;
	case 0x66:
		p->opsize = true;
		break;
	case 0x67:
		p->addrsize = true;
		break;
	case 0xf0:
		p->lock = true;
		break;
	case 0xf2: case 0xf3:
		p->rep = b;
		break;
	default:
		if (!code64 || (b & 0xf0) != 0x40)
			return false;
		p->rex = b;
		return true;
	}
	p->rex = 0;
	return true;
}

static bool pp_matches(const struct isa_row *r, const struct prefixes *p)
{
	switch ((enum isa_pp)r->pp) {
	case ISA_PP_ANY:
		return true;
	case ISA_PP_NP:
		return !p->opsize && !p->rep;
	case ISA_PP_N66:
		return !p->rep;
	case ISA_PP_66:
		return p->opsize && !p->rep;
	case ISA_PP_F3:
		return p->rep == 0xf3;
	case ISA_PP_F2:
		return p->rep == 0xf2;
	}
	return false;
}

/* W selects between sizes of a general operand in 64-bit mode only; where it selects the row it does so in all modes. */
static bool w_matches(const struct isa_row *r, const struct prefixes *p)
{
	return r->w == ISA_WIG || (r->w == ISA_W1) == ((p->rex & 8) != 0);
}

static bool l_matches(const struct isa_row *r, unsigned l)
{
	switch ((enum isa_l)r->l) {
	case ISA_L0:
		return l == 0;
	case ISA_L1:
		return l == 1;
	case ISA_L2:
		return l == 2;
	case ISA_L12:
		return l == 1 || l == 2;
	case ISA_LIG: case ISA_L01: case ISA_L012:
		break;
	}
	return true;
}

/* EVEX.b between registers: L'L is the rounding, and the length 512 (SDM vol. 2, 2.7.7, 2.7.8). */
static bool has_embedded_rounding(const struct isa_row *r, const struct prefixes *p, bool registers)
{
	return p->b && registers && (r->evex & (ISA_ER | ISA_SAE));
}

static unsigned vector_length(const struct isa_row *r, const struct prefixes *p, bool registers)
{
	return has_embedded_rounding(r, p, registers) ? 2 : p->l;
}

static bool row_matches(const struct isa_row *r, const struct prefixes *p, unsigned modrm, bool code64)
{
	if (r->modes & (code64 ? ISA_MODE_NO64 : ISA_MODE_ONLY64))
		return false;
	if (!pp_matches(r, p) || (p->vex && (!w_matches(r, p) || !l_matches(r, vector_length(r, p, modrm >= 0xc0)))))
		return false;
	if (r->ext == ISA_EXT_NO_MODRM) /* with REX.B, 90 is XCHG r8 and neither NOP nor PAUSE */
		return !(r->opcode == 0x90 && r->map == ISA_M0 && !r->plus_r && (p->rex & 1));
	if (r->mod != ISA_MOD_ANY && (r->mod == ISA_MOD_REG) != (modrm >= 0xc0))
		return false;
	if (r->ext == ISA_EXT_ANY)
		return true;
	if (r->ext & ISA_EXT_RM)
		return modrm >= 0xc0 && (modrm & 0x3f) == (r->ext & 0x3fu);
	return ((modrm >> 3) & 7) == r->ext;
}

static enum decode_result select_row(struct cursor *c, const struct prefixes *p, unsigned map, unsigned opcode,
				     bool code64, unsigned *id)
{
	const uint16_t *list = &order[slots[map][opcode].first];
	unsigned count = slots[map][opcode].count, modrm = 0;

	if (count == 0)
		return DECODE_UD;
	if (forms[list[0]].flags & FORM_MODRM) {
		enum decode_result r = need(c, 1);

		if (r != DECODE_OK)
			return r;
		modrm = c->p[c->pos];
	}
	for (unsigned n = 0; n < count; n++) {
		if (row_matches(&isa_rows[list[n]], p, modrm, code64)) {
			*id = list[n];
			return DECODE_OK;
		}
	}
	return DECODE_UD;
}

/* The bytes after C5 or C4 (SDM vol. 2, 2.3.5). R, X, B and vvvv are stored inverted. */
static enum decode_result take_vex(struct cursor *c, unsigned first, bool code64, struct prefixes *p, unsigned *map)
{
	static const uint8_t rep_of[4] = { 0, 0, 0xf3, 0xf2 };
	unsigned rxb, last, extra = first == 0xc4;
	enum decode_result r = need(c, extra + 2);

	if (p->lock || p->opsize || p->rep || p->rex) /* 2.3.2 .. 2.3.4 */
		return DECODE_UD;
	if (r != DECODE_OK)
		return r;
	*map = ISA_V0F;
	rxb = (unsigned)take(c, 1);
	last = rxb;
	if (extra) {
		unsigned m = rxb & 0x1f;

		if (m < 1 || m > 3)
			return DECODE_UD;
		*map = ISA_V0F + m - 1;
		last = (unsigned)take(c, 1);
		p->rex = (uint8_t)((~rxb >> 5 & 7) | (last >> 7) << 3);
	} else {
		p->rex = (uint8_t)(~rxb >> 5 & 4);
	}
	if (!code64) /* eight registers: B is ignored, R and X must be what LES and LDS are not */
		p->rex &= 8;
	p->vex = true;
	p->vvvv = ~last >> 3 & 15;
	p->l = last >> 2 & 1;
	p->opsize = (last & 3) == 1;
	p->rep = rep_of[last & 3];
	return DECODE_OK;
}

/* The three bytes after 62 (SDM vol. 2, 2.7.1), of which R, X, B, R', vvvv and V' are stored inverted. The bits that APX
 * has given a meaning must be what they were before. */
static enum decode_result take_evex(struct cursor *c, bool code64, struct prefixes *p, unsigned *map)
{
	static const uint8_t rep_of[4] = { 0, 0, 0xf3, 0xf2 };
	unsigned p0, p1, p2;
	enum decode_result r = need(c, 4);

	if (p->lock || p->opsize || p->rep || p->rex)
		return DECODE_UD;
	if (r != DECODE_OK)
		return r;
	p0 = (unsigned)take(c, 1);
	p1 = (unsigned)take(c, 1);
	p2 = (unsigned)take(c, 1);
	if ((p0 & 8) || !(p1 & 4) || (p0 & 7) == 0 || (p0 & 7) == 4 || (p0 & 7) == 7)
		return DECODE_UD;
	if (!code64 && !(p2 & 8)) /* V': there are eight registers */
		return DECODE_UD;
	*map = ISA_E0F + (p0 & 7) - 1;
	p->vex = p->evex = true;
	p->rex = (uint8_t)((code64 ? ~p0 >> 5 & 7 : 0) | (p1 >> 7) << 3);
	p->r4 = code64 ? ~p0 & 0x10 : 0;
	p->x4 = code64 ? ~p0 >> 2 & 0x10 : 0;
	p->vvvv = (~p1 >> 3 & 15) | (~p2 << 1 & 0x10);
	p->opsize = (p1 & 3) == 1;
	p->rep = rep_of[p1 & 3];
	p->z = p2 >> 7;
	p->l = p2 >> 5 & 3;
	p->b = p2 >> 4 & 1;
	p->aaa = p2 & 7;
	return DECODE_OK;
}

static enum decode_result take_escape(struct cursor *c, unsigned *map, unsigned *opcode)
{
	enum decode_result r = need(c, 1);

	if (r != DECODE_OK)
		return r;
	*opcode = (unsigned)take(c, 1);
	*map = ISA_M0F;
	if (*opcode == 0x38 || *opcode == 0x3a) {
		*map = *opcode == 0x38 ? ISA_M0F38 : ISA_M0F3A;
		r = need(c, 1);
		if (r == DECODE_OK)
			*opcode = (unsigned)take(c, 1);
	}
	return r;
}

static enum decode_result take_opcode(struct cursor *c, unsigned code_size, struct prefixes *p, unsigned *map,
				      unsigned *opcode)
{
	enum decode_result r;

	*map = ISA_M0;
	*opcode = (unsigned)take(c, 1);
	if (*opcode == 0x0f)
		return take_escape(c, map, opcode);
	if (*opcode != 0xc4 && *opcode != 0xc5 && *opcode != 0x62)
		return DECODE_OK;
	/* VEX and EVEX take these bytes over from LES, LDS and BOUND where those are invalid. */
	if (code_size != 8) {
		r = need(c, 1);
		if (r != DECODE_OK || c->p[c->pos] < 0xc0)
			return r;
	}
	r = *opcode == 0x62 ? take_evex(c, code_size == 8, p, map) : take_vex(c, *opcode, code_size == 8, p, map);
	if (r == DECODE_OK)
		*opcode = (unsigned)take(c, 1);
	return r;
}

static unsigned operand_size(const struct isa_row *r, const struct form *f, const struct prefixes *p,
			     unsigned code_size)
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
	static const uint8_t bases[8] = { RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX };
	static const uint8_t indexes[8] = { RSI, RDI, RSI, RDI, GPR_ZERO, GPR_ZERO, GPR_ZERO, GPR_ZERO };
	unsigned bytes = mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0;
	enum decode_result r;

	out->base = bases[rm];
	out->index = indexes[rm];
	if (mod == 0 && rm == 6)
		out->base = GPR_ZERO;
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
	out->base = (uint8_t)(rm | (p->rex & 1) << 3);
	out->index = GPR_ZERO;
	if (rm == 4) {
		unsigned sib;

		r = need(c, 1);
		if (r != DECODE_OK)
			return r;
		sib = (unsigned)take(c, 1);
		out->scale = (uint8_t)(sib >> 6);
		out->index = (uint8_t)(((sib >> 3) & 7) | (p->rex & 2) << 2);
		if (out->index == 4 && !(f->flags & FORM_VSIB))
			out->index = GPR_ZERO;
		out->base = (uint8_t)((sib & 7) | (p->rex & 1) << 3);
		if ((sib & 7) == 5 && mod == 0) {
			out->base = GPR_ZERO;
			bytes = 4;
		}
	} else if (rm == 5 && mod == 0) {
		bytes = 4;
		*rip_relative = code_size == 8;
		out->base = code_size == 8 ? GPR_PC : GPR_ZERO;
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
	return (uint8_t)(!p->rex && r >= 4 && r < 8 ? r + 16 : r);
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

/* What VEX adds to an instruction, and what it forbids. */
static enum decode_result finish_vex(const struct prefixes *p, const struct form *f, bool code64, struct insn *out)
{
	out->vvvv = p->vvvv & (code64 ? 15 : 7); /* but where it is no operand all four bits count */
	out->vl = p->l & 1;
	if (!code64) /* W may have selected the row, but there is no 64-bit operand */
		out->prefixes &= (uint8_t)~PFX_REX_W;
	if ((p->vvvv && !(f->flags & FORM_VVVV)) || ((f->flags & FORM_OPMASK_H) && out->vvvv >= 8))
		return DECODE_UD;
	if (f->imm_kind == OPK_L)
		out->imm2 = (uint8_t)(out->imm >> 4 & (code64 ? 15 : 7));
	if ((f->flags & FORM_GATHER) &&
	    (out->reg == out->vvvv || out->reg == out->index || out->vvvv == out->index))
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

static enum decode_result finish_evex(const struct isa_row *r, const struct prefixes *p, const struct form *f, bool code64,
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
	return (r->l == ISA_L012 || r->l == ISA_L12) && out->vl < 2 && !has_vl ? DECODE_UD : DECODE_OK;
}

/* There are six segment registers, and CS cannot be loaded; CR0, CR2, CR3, CR4 and CR8; eight debug and opmask registers. */
static bool register_exists(const struct isa_row *r, unsigned reg)
{
	for (unsigned n = 0; n < 4; n++) {
		if (r->op[n].kind == OPK_S)
			return reg < SEG_COUNT && !(reg == SEG_CS && (r->op[n].access & OPA_W));
		if (r->op[n].kind == OPK_C)
			return reg <= 8 && (0x11d >> reg & 1);
		if (r->op[n].kind == OPK_D || r->op[n].kind == OPK_KG)
			return reg < 8;
	}
	return true;
}

static enum decode_result take_operands(struct cursor *c, const struct prefixes *p, const struct form *f,
					unsigned code_size, unsigned opcode, bool *rip_relative, struct insn *out)
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

static uint8_t insn_prefixes(const struct prefixes *p)
{
	return (uint8_t)((p->opsize ? PFX_OPSIZE : 0) | (p->addrsize ? PFX_ADDRSIZE : 0) |
			 (p->rep == 0xf3 ? PFX_REP : 0) | (p->rep == 0xf2 ? PFX_REPNE : 0) |
			 (p->lock ? PFX_LOCK : 0) | (p->rex ? PFX_REX : 0) | ((p->rex & 8) ? PFX_REX_W : 0) |
			 (p->seg != SEG_COUNT ? PFX_SEG : 0));
}

static unsigned address_size(unsigned code_size, bool prefix)
{
	if (code_size == 8)
		return prefix ? 4 : 8;
	return (code_size == 2) == prefix ? 4 : 2;
}

static uint8_t disp8_shift(const struct isa_row *r, const struct prefixes *p, bool code64)
{
	return (uint8_t)__builtin_ctz(isa_evex_bytes(r, p->l, p->b, code64 && (p->rex & 8)));
}

enum decode_result decode(const uint8_t *bytes, unsigned avail, unsigned code_size, struct insn *out)
{
	struct cursor c = { bytes, 0, avail };
	struct prefixes p = { .seg = SEG_COUNT };
	bool code64 = code_size == 8, rip_relative = false;
	unsigned map, opcode, id;
	enum decode_result r;

	for (;;) {
		r = need(&c, 1);
		if (r != DECODE_OK)
			return r;
		if (!take_prefix(&p, c.p[c.pos], code64))
			break;
		c.pos++;
	}
	r = take_opcode(&c, code_size, &p, &map, &opcode);
	if (r == DECODE_OK)
		r = select_row(&c, &p, map, opcode, code64, &id);
	if (r != DECODE_OK)
		return r;

	memset(out, 0, sizeof(*out));
	out->id = (uint16_t)id;
	out->prefixes = insn_prefixes(&p);
	out->asize = (uint8_t)(address_size(code_size, p.addrsize) & 15);
	out->size = (uint8_t)(operand_size(&isa_rows[id], &forms[id], &p, code_size) & 15);
	out->seg = SEG_DS;
	out->base = out->index = GPR_ZERO;
	if (p.evex)
		p.disp8_shift = disp8_shift(&isa_rows[id], &p, code64);
	r = take_operands(&c, &p, &forms[id], code_size, opcode, &rip_relative, out);
	if (r != DECODE_OK)
		return r;
	if (p.evex ? finish_evex(&isa_rows[id], &p, &forms[id], code64, out) != DECODE_OK :
		     p.vex && finish_vex(&p, &forms[id], code64, out) != DECODE_OK)
		return DECODE_UD;
	if ((forms[id].flags & FORM_CHECK_REG) && !register_exists(&isa_rows[id], out->reg))
		return DECODE_UD;
	if (p.lock && !((isa_rows[id].attr & ISA_LOCKABLE) && out->is_mem))
		return DECODE_UD;
	if (p.seg != SEG_COUNT)
		out->seg = p.seg;
	out->len = (uint8_t)c.pos;
	if (rip_relative && __builtin_add_overflow(out->disp, (int32_t)c.pos, &out->disp)) {
		out->disp = (int32_t)((uint32_t)out->disp - c.pos);
		out->scale = INSN_DISP_FROM_END;
	}
	return DECODE_OK;
}
