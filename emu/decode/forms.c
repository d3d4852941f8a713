/* SPDX-License-Identifier: MIT */
/* Instruction decoder: the rows of the table, digested for look-up. */
#include "internal.h"

#include <string.h>

struct form decode_forms[ISA_COUNT];
struct slot decode_slots[ISA_MAPS][256];
uint16_t decode_order[2 * ISA_COUNT + 8 * 64];
bool decode_has_vl;

static bool is_general(unsigned kind)
{
	switch (kind) {
	case OPK_E:
	case OPK_G:
	case OPK_M:
	case OPK_R:
	case OPK_Z:
	case OPK_O:
	case OPK_X:
	case OPK_Y:
	case OPK_AL:
	case OPK_AX:
	case OPK_S:
	case OPK_I:
	case OPK_A:
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
		case OPS_v:
		case OPS_z:
		case OPS_p:
		case OPS_s:
		case OPS_fx:
		case OPS_env:
		case OPS_fsv:
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
		case OPS__:
		case OPS_dq:
		case OPS_x:
		case OPS_ss:
		case OPS_sd:
		case OPS_t:
		case OPS_hx:
		case OPS_qx:
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
	case OPK_E:
	case OPK_M:
		f->flags |= byte ? FORM_RM8 : 0;
		break;
	case OPK_R:
		f->flags |= (byte ? FORM_RM8 : 0) | (r->mod == ISA_MOD_ANY ? FORM_RM_IS_REG : 0);
		break;
	case OPK_G:
	case OPK_Z:
		f->flags |= byte ? FORM_REG8 : 0;
		break;
	case OPK_P:
		f->flags |= FORM_REG_3BITS;
		break;
	case OPK_S:
		f->flags |= r->ext == ISA_EXT_NO_MODRM ? 0 : FORM_REG_3BITS | FORM_CHECK_REG;
		break;
	case OPK_C:
	case OPK_D:
		f->flags |= FORM_CHECK_REG;
		break;
	case OPK_Q:
	case OPK_N_:
	case OPK_STI:
		f->flags |= FORM_RM_3BITS;
		break;
	case OPK_KG:
		f->flags |= FORM_CHECK_REG;
		break;
	case OPK_KE:
	case OPK_KR:
		f->flags |= FORM_RM_3BITS;
		break;
	case OPK_KH:
		f->flags |= FORM_VVVV | FORM_OPMASK_H;
		break;
	case OPK_H:
	case OPK_B:
		f->flags |= FORM_VVVV;
		break;
	case OPK_VS:
		f->flags |= FORM_VSIB | FORM_GATHER;
		break;
	case OPK_L:
		f->imm[0] = OPS_b;
		f->imm_kind = OPK_L;
		break;
	case OPK_I:
	case OPK_J:
	case OPK_A:
	case OPK_O:
		if (f->imm[0] == OPS__) {
			f->imm[0] = op->size;
			f->imm_kind = op->kind;
		} else {
			f->imm[1] = op->size;
		}
		break;
	case OPK_NONE:
	case OPK_V:
	case OPK_W:
	case OPK_U:
	case OPK_X:
	case OPK_Y:
	case OPK_ST0:
	case OPK_AL:
	case OPK_AX:
	case OPK_CL:
	case OPK_DX:
	case OPK_ONE:
		break;
	}
}

static void make_form(unsigned id)
{
	const struct isa_row *r = &isa_rows[id];
	struct form *f = &decode_forms[id];

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
	uint16_t *list = &decode_order[decode_slots[map][opcode].first];
	unsigned n = decode_slots[map][opcode].count++;

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

	memset(decode_slots, 0, sizeof(decode_slots));
	for (unsigned id = 1; id < ISA_COUNT; id++) {
		const struct isa_row *r = &isa_rows[id];

		make_form(id);
		for (unsigned k = 0; k < (r->plus_r ? 8 : 1); k++)
			counts[r->map][r->opcode + k]++;
	}
	for (unsigned map = 0; map < ISA_MAPS; map++) {
		for (unsigned op = 0; op < 256; op++) {
			decode_slots[map][op].first = (uint16_t)next;
			next += counts[map][op];
		}
	}
	decode_has_vl = !has || has(ctx, FEAT_AVX512VL);
	for (unsigned id = 1; id < ISA_COUNT; id++) {
		const struct isa_row *r = &isa_rows[id];

		if (has && !isa_row_exists(r, has, ctx))
			continue;
		for (unsigned k = 0; k < (r->plus_r ? 8 : 1); k++)
			add_row(r->map, r->opcode + k, id);
	}
}
