/* SPDX-License-Identifier: MIT */
/* Instruction decoder: from prefixes and opcode to the row, then to struct insn. */
#include "internal.h"

#include <string.h>

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

/* Only 64-bit mode has a general register of 64 bits to broadcast: elsewhere W is ignored (SDM vol. 2, VPBROADCAST, note 1). */
static bool broadcasts_register(const struct isa_row *r)
{
	return r->map >= ISA_E0F && r->op[1].kind == OPK_R && (r->op[1].size == OPS_d || r->op[1].size == OPS_q);
}

/* W selects between sizes of a general operand in 64-bit mode only; where it selects the row it does so in all modes. */
static bool w_matches(const struct isa_row *r, const struct prefixes *p, bool code64)
{
	if (!code64 && broadcasts_register(r))
		return r->w == ISA_W0;
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
	case ISA_LIG:
	case ISA_L01:
	case ISA_L012:
		break;
	}
	return true;
}

/* EVEX.b between registers: L'L is the rounding, and the length 512 (SDM vol. 2, 2.7.7, 2.7.8). */
bool has_embedded_rounding(const struct isa_row *r, const struct prefixes *p, bool registers)
{
	return p->b && registers && (r->evex & (ISA_ER | ISA_SAE));
}

unsigned vector_length(const struct isa_row *r, const struct prefixes *p, bool registers)
{
	return has_embedded_rounding(r, p, registers) ? 2 : p->l;
}

static bool row_matches(const struct isa_row *r, const struct prefixes *p, unsigned modrm, bool code64)
{
	if (r->modes & (code64 ? ISA_MODE_NO64 : ISA_MODE_ONLY64))
		return false;
	if (!pp_matches(r, p) || (p->vex && (!w_matches(r, p, code64) || !l_matches(r, vector_length(r, p, modrm >= 0xc0)))))
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
	const uint16_t *list = &decode_order[decode_slots[map][opcode].first];
	unsigned count = decode_slots[map][opcode].count, modrm = 0;

	if (count == 0)
		return DECODE_UD;
	if (decode_forms[list[0]].flags & FORM_MODRM) {
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

static uint8_t insn_prefixes(const struct prefixes *p)
{
	return (uint8_t)((p->opsize ? PFX_OPSIZE : 0) | (p->addrsize ? PFX_ADDRSIZE : 0) | (p->rep == 0xf3 ? PFX_REP : 0) |
			 (p->rep == 0xf2 ? PFX_REPNE : 0) | (p->lock ? PFX_LOCK : 0) | (p->rex ? PFX_REX : 0) |
			 ((p->rex & 8) ? PFX_REX_W : 0) | (p->seg != SEG_COUNT ? PFX_SEG : 0));
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
	out->size = (uint8_t)(operand_size(&isa_rows[id], &decode_forms[id], &p, code_size) & 15);
	out->seg = SEG_DS;
	out->base = out->index = ADDR_NONE;
	if (p.evex)
		p.disp8_shift = disp8_shift(&isa_rows[id], &p, code64);
	r = take_operands(&c, &p, &decode_forms[id], code_size, opcode, &rip_relative, out);
	if (r != DECODE_OK)
		return r;
	if (p.evex ? finish_evex(&isa_rows[id], &p, &decode_forms[id], code64, out) != DECODE_OK
		   : p.vex && finish_vex(&p, &decode_forms[id], code64, out) != DECODE_OK)
		return DECODE_UD;
	if ((decode_forms[id].flags & FORM_CHECK_REG) && !register_exists(&isa_rows[id], out->reg))
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
