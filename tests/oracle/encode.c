/* SPDX-License-Identifier: MIT */
/* From a row of the instruction table to bytes: register forms, and one memory form, [RSI]. */
#include "oracle.h"

#include <string.h>

static bool has_operand(const struct isa_row *r, unsigned kind)
{
	for (unsigned n = 0; n < 4; n++)
		if (r->op[n].kind == kind)
			return true;
	return false;
}

static bool has_size(const struct isa_row *r, unsigned size)
{
	for (unsigned n = 0; n < 4; n++)
		if (r->op[n].size == size)
			return true;
	return false;
}

static bool takes_imm8(const struct isa_row *r)
{
	return has_operand(r, OPK_I);
}

/* A register number for ModRM; general registers keep off RSP, and off what addresses memory. */
static unsigned pick_register(bool general)
{
	for (;;) {
		const unsigned n = rnd_below(16);
		if (!general || (n != RSP && n != RSI && n != RDI))
			return n;
	}
}

struct form {
	bool memory, rex_w;
	unsigned reg, rm;
};

static struct form pick_form(const struct isa_row *r)
{
	struct form f = { 0 };

	f.memory = r->mod == ISA_MOD_MEM || (r->mod == ISA_MOD_ANY && rnd_below(2));
	f.reg = pick_register(has_operand(r, OPK_G));
	f.rm = f.memory ? RSI : pick_register(has_operand(r, OPK_E) || has_operand(r, OPK_R));
	if (has_operand(r, OPK_KG))
		f.reg &= 7; /* VEX.R is #UD (SDM vol. 2, KMOVW), and is ignored by some */
	if (r->ext != ISA_EXT_ANY && r->ext != ISA_EXT_NO_MODRM)
		f.reg = r->ext & ISA_EXT_RM ? r->ext >> 3 & 7 : r->ext;
	if (r->ext != ISA_EXT_NO_MODRM && r->ext != ISA_EXT_ANY && (r->ext & ISA_EXT_RM))
		f.rm = r->ext & 7;
	f.rex_w = has_size(r, OPS_y) || has_size(r, OPS_fx) ? rnd_below(2) : rnd_below(16) == 0;
	if (has_size(r, OPS_env) || has_size(r, OPS_fsv))
		f.rex_w = false;
	return f;
}

/* ---- VEX ---- */

static bool is_vsib(const struct isa_row *r)
{
	return has_operand(r, OPK_VS);
}

/* A gather faults with #UD if two of its three registers are the same: one case in eight leaves that to chance. */
static void pick_gather(struct form *f, unsigned *vvvv, unsigned *index)
{
	do {
		f->reg = rnd_below(16);
		*vvvv = rnd_below(16);
		*index = rnd_below(16);
	} while ((f->reg == *vvvv || f->reg == *index || *vvvv == *index) && rnd_below(8));
}

/* Indexes that stay in the window, but for one that faults now and then. The scale is 1. */
static void tame_indexes(struct test_case *t, unsigned index, bool quads)
{
	for (unsigned k = 0; k < 8; k++) {
		uint8_t *half = k < 4 ? t->in.fx.xmm[index] : t->in.ymm_high[index];
		uint64_t offset = rnd_below(480);
		uint32_t low;

		if (rnd_below(64) == 0)
			offset = 0 - 0x40000000ull;
		low = (uint32_t)offset;
		if (!quads)
			memcpy(half + 4 * (k % 4), &low, 4);
		else if (k % 2 == 0)
			memcpy(half + 4 * (k % 4), &offset, 8);
	}
}

static unsigned put_vex(const struct isa_row *r, const struct form *f, unsigned vvvv, unsigned index, bool l, uint8_t *p)
{
	static const uint8_t pp_of[] = { [ISA_PP_NP] = 0, [ISA_PP_66] = 1, [ISA_PP_F3] = 2, [ISA_PP_F2] = 3 };
	const unsigned tail = (~vvvv & 15) << 3 | (l ? 4u : 0) | pp_of[r->pp], map = r->map - ISA_V0F + 1u;
	const unsigned rxb = (f->reg >= 8 ? 0 : 4u) | (index >= 8 ? 0 : 2u) | (f->rm >= 8 ? 0 : 1u);

	if (map == 1 && !f->rex_w && (rxb & 3) == 3 && rnd_below(2)) {
		p[0] = 0xc5;
		p[1] = (uint8_t)((rxb & 4) << 5 | tail);
		p[2] = r->opcode;
		return 3;
	}
	p[0] = 0xc4;
	p[1] = (uint8_t)(rxb << 5 | map);
	p[2] = (uint8_t)((f->rex_w ? 0x80 : 0) | tail);
	p[3] = r->opcode;
	return 4;
}

static unsigned encode_vex(struct test_case *t, const struct isa_row *r, struct form f)
{
	const bool l = r->l == ISA_L1 || (r->l != ISA_L0 && rnd_below(2));
	unsigned vvvv = 0, index = 0, n;

	if (has_operand(r, OPK_H) || has_operand(r, OPK_B))
		vvvv = pick_register(has_operand(r, OPK_B));
	if (has_operand(r, OPK_KH))
		vvvv = rnd_below(8);
	f.rex_w = r->w == ISA_W1 || (r->w == ISA_WIG && rnd_below(2));
	if (is_vsib(r))
		pick_gather(&f, &vvvv, &index);
	n = put_vex(r, &f, vvvv, index, l, t->code);
	if (r->ext == ISA_EXT_NO_MODRM)
		return n;
	t->code[n++] = (uint8_t)((f.memory ? 0 : 0xc0) | (f.reg & 7) << 3 | (is_vsib(r) ? 4 : f.rm & 7));
	if (is_vsib(r)) {
		t->code[n++] = (uint8_t)((index & 7) << 3 | RSI);
		tame_indexes(t, index, (r->opcode & 1) != 0);
	}
	if (takes_imm8(r) || has_operand(r, OPK_L))
		t->code[n++] = (uint8_t)(rnd_below(2) ? rnd() : rnd_below(33));
	return n;
}

static unsigned put_prefixes(const struct isa_row *r, uint8_t *p)
{
	static const uint8_t mandatory[] = { [ISA_PP_66] = 0x66, [ISA_PP_F3] = 0xf3, [ISA_PP_F2] = 0xf2 };
	unsigned n = 0;

	if (r->pp == ISA_PP_66 || r->pp == ISA_PP_F3 || r->pp == ISA_PP_F2)
		p[n++] = mandatory[r->pp];
	/* The 14- and 94-byte forms. */
	if ((has_size(r, OPS_env) || has_size(r, OPS_fsv)) && rnd_below(2))
		p[n++] = 0x66;
	return n;
}

static unsigned put_opcode(const struct isa_row *r, uint8_t *p)
{
	unsigned n = 0;

	if (r->map != ISA_M0)
		p[n++] = 0x0f;
	if (r->map == ISA_M0F38 || r->map == ISA_M0F3A)
		p[n++] = r->map == ISA_M0F38 ? 0x38 : 0x3a;
	p[n++] = r->opcode;
	return n;
}

static bool is_xsave(const struct isa_row *r)
{
	return r->mod == ISA_MOD_MEM &&
	       (r->feature == FEAT_XSAVE || r->feature == FEAT_XSAVEOPT || r->feature == FEAT_XSAVEC);
}

static bool is_runnable(const struct isa_row *r)
{
	if (r->attr & (ISA_PRIV | ISA_END | ISA_BRANCH))
		return false;
	if (is_xsave(r) || r->map >= ISA_V0F)
		return true;
	return (r->attr & (ISA_FP | ISA_SSEX | ISA_MMXX)) || r->feature == FEAT_FXSR ||
	       r->feature == FEAT_FPU;
}

/* Operand addresses: mostly aligned to 16, so that legacy SSE goes through; sometimes not, so that it
 * faults. */
static void place_pointers(struct test_case *t)
{
	const unsigned align = rnd_below(8) ? 16 : 1;

	t->in.gpr[RSI] = (uintptr_t)oracle_window + rnd_below(448) / align * align;
	t->in.gpr[RDI] = (uintptr_t)oracle_window + rnd_below(900);
	/* Over the end of what is mapped. */
	if (isa_rows[t->row].map >= ISA_V0F && rnd_below(8) == 0)
		t->in.gpr[RSI] = (uintptr_t)oracle_window + WINDOW_BYTES - 1 - rnd_below(40);
}

/* FXRSTOR and LDMXCSR: mostly a valid MXCSR, else nearly every case would be #GP. */
static void tame_memory(struct test_case *t)
{
	uint8_t *operand = t->in.window + (t->in.gpr[RSI] - (uintptr_t)oracle_window);
	const unsigned at = isa_rows[t->row].feature == FEAT_FXSR ? 24 : 0;
	const bool wanted = isa_rows[t->row].feature == FEAT_FXSR ||
			    (isa_rows[t->row].opcode == 0xae && isa_rows[t->row].ext == 2);

	if (wanted && rnd_below(8))
		operand[at + 2] = operand[at + 3] = 0;
}

/*
 * The XSAVE family: this host has more components than x87 and SSE, so only those two are asked for,
 * besides numbers that neither side has; the header is mostly valid, in the standard or the compacted form.
 */
static void prepare_xsave(struct test_case *t)
{
	const uint64_t none = 1ull << 20 | 1ull << 40;
	uint64_t header[8] = { rnd() & 3, 0 };
	uint8_t *area;

	t->in.gpr[RSI] = (uintptr_t)oracle_window + rnd_below(7) * 64 + (rnd_below(16) ? 0 : 16);
	area = t->in.window + (t->in.gpr[RSI] - (uintptr_t)oracle_window);
	t->in.gpr[RAX] = (t->in.gpr[RAX] & ~0xffffffffull) | (rnd() & (rnd_below(4) ? 3 : 0x100003));
	if (rnd_below(2))
		header[1] = 1ull << 63 | (rnd() & 3) | (rnd_below(2) ? header[0] : 0);
	if (rnd_below(8) == 0)
		header[rnd_below(8)] |= rnd() & none;
	if (rnd_below(8))
		memcpy(area + 512, header, sizeof(header));
	if (rnd_below(8))
		area[24 + 2] = area[24 + 3] = 0; /* MXCSR */
}

bool encode_case(unsigned row, struct test_case *t)
{
	const struct isa_row *r = &isa_rows[row];
	const struct form f = pick_form(r);
	unsigned n, rex;

	if (r->map >= ISA_E0F)
		return encode_evex(row, t);
	if (!is_runnable(r))
		return false;
	t->row = row;
	if (r->map >= ISA_V0F) {
		t->length = encode_vex(t, r, f);
		place_pointers(t);
		tame_memory(t);
		return true;
	}
	n = put_prefixes(r, t->code);
	rex = (f.rex_w ? 8u : 0) | (f.reg >= 8 ? 4 : 0) | (f.rm >= 8 ? 1 : 0);
	if (rex || rnd_below(16) == 0)
		t->code[n++] = (uint8_t)(0x40 | rex);
	n += put_opcode(r, t->code + n);
	if (r->ext != ISA_EXT_NO_MODRM)
		t->code[n++] = (uint8_t)((f.memory ? 0 : 0xc0) | (f.reg & 7) << 3 | (f.rm & 7));
	for (unsigned k = 0; k < 4; k++) /* EXTRQ and INSERTQ have two */
		if (r->op[k].kind == OPK_I)
			t->code[n++] = (uint8_t)(rnd_below(2) ? rnd() : rnd_below(20));
	t->length = n;
	place_pointers(t);
	tame_memory(t);
	if (is_xsave(r))
		prepare_xsave(t);
	return true;
}
