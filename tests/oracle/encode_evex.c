/* SPDX-License-Identifier: MIT */
/* From an EVEX row to bytes: all lengths, masks, zeroing, broadcast, rounding, 32 registers, disp8*N, vector indexes. */
#include "oracle.h"

#include <string.h>

static bool has_operand(const struct isa_row *r, unsigned kind)
{
	for (unsigned n = 0; n < 4; n++)
		if (r->op[n].kind == kind)
			return true;
	return false;
}

/* General registers keep off RSP and off what addresses memory. */
static unsigned pick_register(bool general, bool opmask)
{
	for (;;) {
		const unsigned n = rnd_below(general ? 16 : opmask ? 8 : 32);

		if (!general || (n != RSP && n != RSI && n != RDI))
			return n;
	}
}

static unsigned pick_length(const struct isa_row *r)
{
	switch ((enum isa_l)r->l) {
	case ISA_L0: return 0;
	case ISA_L1: return 1;
	case ISA_L2: return 2;
	case ISA_L12: return 1 + rnd_below(2);
	case ISA_LIG: case ISA_L01: case ISA_L012: break;
	}
	return rnd_below(3);
}

struct evex {
	bool memory, w, b, z;
	unsigned reg, rm, vvvv, index, scale, l, aaa, disp_bytes;
	int disp;
};

static struct evex pick_form(const struct isa_row *r)
{
	struct evex f = { 0 };

	f.memory = r->mod == ISA_MOD_MEM || (r->mod == ISA_MOD_ANY && rnd_below(2));
	f.reg = pick_register(has_operand(r, OPK_G), has_operand(r, OPK_KG));
	f.rm = f.memory ? RSI : pick_register(has_operand(r, OPK_E) || has_operand(r, OPK_R), has_operand(r, OPK_KR));
	if (r->ext != ISA_EXT_ANY)
		f.reg = r->ext;
	f.vvvv = has_operand(r, OPK_H) ? rnd_below(32) : 0;
	f.w = r->w == ISA_W1 || (r->w == ISA_WIG && rnd_below(2));
	f.l = pick_length(r);
	if (f.memory)
		f.b = (r->evex & ISA_BC) && rnd_below(3) == 0;
	else
		f.b = (r->evex & (ISA_ER | ISA_SAE)) && rnd_below(3) == 0;
	if (f.b && !f.memory)
		f.l = rnd_below(4);
	if ((r->evex & ISA_KREQ) || ((r->evex & ISA_MK) && rnd_below(3)))
		f.aaa = 1 + rnd_below(7);
	f.z = f.aaa && (r->evex & ISA_MZ) && !(f.memory && (r->op[0].kind == OPK_W || r->op[0].kind == OPK_M)) && rnd_below(2);
	f.disp_bytes = f.memory ? (unsigned[]){ 0, 1, 4 }[rnd_below(3)] : 0;
	return f;
}

/* R, X, B, R', vvvv and V' are stored inverted. */
static unsigned put_evex(const struct isa_row *r, const struct evex *f, bool vsib, uint8_t *p)
{
	static const uint8_t pp_of[] = { [ISA_PP_NP] = 0, [ISA_PP_66] = 1, [ISA_PP_F3] = 2, [ISA_PP_F2] = 3 };
	const unsigned x = vsib ? f->index >> 3 & 1 : f->memory ? 0 : f->rm >> 4 & 1;
	const unsigned v4 = vsib ? f->index >> 4 : f->vvvv >> 4;

	p[0] = 0x62;
	p[1] = (uint8_t)((f->reg >> 3 & 1 ? 0 : 0x80) | (x ? 0 : 0x40) | (f->rm >> 3 & 1 ? 0 : 0x20) | (f->reg >> 4 ? 0 : 0x10) |
			 (r->map - ISA_E0F + 1u));
	p[2] = (uint8_t)((f->w ? 0x80 : 0) | (~f->vvvv & 15) << 3 | 4 | pp_of[r->pp]);
	p[3] = (uint8_t)((f->z ? 0x80 : 0) | f->l << 5 | (f->b ? 0x10 : 0) | (v4 ? 0 : 8) | f->aaa);
	p[4] = r->opcode;
	return 5;
}

/* The operand lies in the window, mostly; one case in four at its end, which is where mapped memory ends. Aligned for
 * those that want it, but for one in eight: of those none whose mask leaves out everything, for which SDM vol. 2, table
 * 2-46 asks for #GP all the same, and which some run. */
static void place_operand(struct test_case *t, const struct isa_row *r, const struct evex *f, unsigned unit)
{
	const unsigned class = isa_exception_class(r), align = class == 1 && (f->aaa || rnd_below(8)) ? 64 : 1;
	unsigned at = rnd_below(900) / align * align;

	if (rnd_below(4) == 0)
		at = (WINDOW_BYTES - 1 - rnd_below(80)) / align * align;
	t->in.gpr[RSI] = (uintptr_t)oracle_window + at - (uint64_t)(int64_t)f->disp * (f->disp_bytes == 1 ? unit : 1);
}

/* Indexes that stay in the window, but for some that lie where nothing is mapped. */
static void tame_indexes(struct test_case *t, unsigned index, bool quads, unsigned scale)
{
	for (unsigned k = 0; k < 16; k++) {
		uint8_t *lane = k < 4 ? t->in.fx.xmm[index & 15] : k < 8 ? t->in.ymm_high[index & 15] : t->in.zmm_high[index & 15];
		const unsigned at = k < 8 ? k % 4 * 4 : (k - 8) * 4;
		uint64_t offset = rnd_below(400) >> scale;
		uint32_t half;

		if (rnd_below(48) == 0)
			offset = (WINDOW_BYTES + rnd_below(1500)) >> scale;
		half = quads && (k & 1) ? 0 : (uint32_t)offset;
		memcpy(index < 16 ? lane + at : t->in.zmm16[index - 16] + 4 * k, &half, 4);
	}
}

bool encode_evex(unsigned row, struct test_case *t)
{
	const struct isa_row *r = &isa_rows[row];
	const bool vsib = has_operand(r, OPK_VS);
	struct evex f = pick_form(r);
	const unsigned unit = isa_evex_bytes(r, f.l, f.b, f.w);
	unsigned n;

	t->row = row;
	if (f.disp_bytes)
		f.disp = f.disp_bytes == 1 ? (int)rnd_below(7) - 3 : (int)rnd_below(2000) - 1000;
	if (vsib) {
		do
			f.index = rnd_below(32);
		while (f.index == f.reg && rnd_below(8));
		f.scale = rnd_below(4);
	}
	n = put_evex(r, &f, vsib, t->code);
	t->code[n++] = (uint8_t)((f.memory ? f.disp_bytes == 0 ? 0 : f.disp_bytes == 1 ? 0x40 : 0x80 : 0xc0) | (f.reg & 7) << 3 |
				 (vsib ? 4 : f.rm & 7));
	if (vsib)
		t->code[n++] = (uint8_t)(f.scale << 6 | (f.index & 7) << 3 | RSI);
	memcpy(t->code + n, &f.disp, 4);
	n += f.disp_bytes;
	if (has_operand(r, OPK_I))
		t->code[n++] = (uint8_t)(rnd_below(2) ? rnd() : rnd_below(33));
	t->length = n;
	place_operand(t, r, &f, unit);
	if (vsib) {
		t->in.gpr[RSI] = (uintptr_t)oracle_window + 200 - (uint64_t)(int64_t)f.disp * (f.disp_bytes == 1 ? unit : 1);
		tame_indexes(t, f.index, (r->opcode & 1) != 0, f.scale);
	}
	return true;
}

/* Opmasks and the registers that only AVX-512 has. */
void random_zmm(struct state *s)
{
	static const uint64_t masks[] = { 0, 1, 0x8000000000000000, UINT64_MAX, 0x5555555555555555, 0xff, 0xfe, 0xffff, 3, 2 };

	for (unsigned n = 0; n < 16; n++) {
		random_bytes(s->zmm_high[n], sizeof(s->zmm_high[n]));
		random_bytes(s->zmm16[n], sizeof(s->zmm16[n]));
	}
	for (unsigned n = 0; n < 8; n++)
		s->k[n] = rnd_below(2) ? rnd() : masks[rnd_below(sizeof(masks) / sizeof(masks[0]))];
	if (rnd_below(4) == 0) { /* equal operands */
		const unsigned to = rnd_below(16), from = rnd_below(16);

		memcpy(s->zmm_high[to], s->zmm_high[from], sizeof(s->zmm_high[to]));
		memcpy(s->zmm16[from], s->zmm16[to], sizeof(s->zmm16[to]));
	}
}
