/* SPDX-License-Identifier: MIT */
/*
 * From a row of the table to bytes: prefixes with and without a meaning, all registers, all addressing forms. The
 * decoder must find the row again; if another row answers, the draw is repeated.
 */
#include "silicon.h"
#include "emu/decode/decode.h"

#include <string.h>

enum { DRAWS = 24, LONGEST = 16 };

bool has_operand(const struct isa_row *r, unsigned kind)
{
	for (unsigned n = 0; n < 4; n++) {
		if (r->op[n].kind == kind)
			return true;
	}
	return false;
}

bool has_size(const struct isa_row *r, unsigned size)
{
	for (unsigned n = 0; n < 4; n++) {
		if (r->op[n].size == size)
			return true;
	}
	return false;
}

static bool one_in(unsigned n)
{
	return rnd_below(n) == 0;
}

static void put(struct test_case *t, uint64_t v, unsigned bytes)
{
	for (unsigned n = 0; n < bytes && t->length < LONGEST; n++)
		t->code[t->length++] = (uint8_t)(v >> (8 * n));
}

/* What was drawn, before it becomes bytes. */
struct draw {
	bool memory, opsize, addrsize, rex_w;
	unsigned modrm, sib, rxb;
};

static bool is_sized(const struct isa_row *r)
{
	return has_size(r, OPS_v) || has_size(r, OPS_z) || has_size(r, OPS_p) || has_size(r, OPS_env) || has_size(r, OPS_fsv) ||
	       (r->modes & (ISA_MODE_D64 | ISA_MODE_F64));
}

static struct draw draw_form(const struct isa_row *r, unsigned code_size)
{
	struct draw d = { 0 };
	unsigned reg = rnd_below(8), rm = rnd_below(8);

	d.memory = r->mod == ISA_MOD_MEM || (r->mod == ISA_MOD_ANY && rnd_below(2));
	if (r->ext != ISA_EXT_ANY && r->ext != ISA_EXT_NO_MODRM) {
		reg = r->ext & ISA_EXT_RM ? r->ext >> 3 & 7 : r->ext;
		rm = r->ext & ISA_EXT_RM ? r->ext & 7 : rm;
	}
	if (has_operand(r, OPK_VS))
		rm = 4;
	d.modrm = (d.memory ? rnd_below(3) << 6 : 0xc0) | reg << 3 | rm;
	d.sib = (unsigned)rnd() & 0xff;
	if (code_size == 8) {
		d.rxb = (unsigned)rnd() & 7 & (rnd_below(2) ? 7 : 0);
		d.rex_w = one_in(is_sized(r) || has_size(r, OPS_y) || has_size(r, OPS_fx) ? 3 : 16);
	}
	d.opsize = one_in(is_sized(r) ? 3 : 40);
	d.addrsize = one_in(6);
	return d;
}

/* ---- prefixes and opcode ---- */

static void put_segment(struct test_case *t)
{
	static const uint8_t prefixes[6] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };

	if (one_in(6))
		put(t, prefixes[rnd_below(6)], 1);
}

static void put_repeat(struct test_case *t, const struct isa_row *r)
{
	if (r->pp == ISA_PP_F3 || r->pp == ISA_PP_F2)
		put(t, r->pp == ISA_PP_F3 ? 0xf3 : 0xf2, 1);
	else if (r->pp == ISA_PP_ANY && ((r->attr & ISA_STRING) ? rnd_below(3) : one_in(40)))
		put(t, rnd_below(2) ? 0xf3 : 0xf2, 1);
}

static void put_legacy(struct test_case *t, const struct isa_row *r, const struct draw *d, unsigned code_size)
{
	const unsigned rex = (d->rex_w ? 8u : 0) | d->rxb;

	put_segment(t);
	if (d->addrsize)
		put(t, 0x67, 1);
	if (r->pp == ISA_PP_66 || (r->pp != ISA_PP_NP && d->opsize))
		put(t, 0x66, 1);
	put_repeat(t, r);
	if ((r->attr & ISA_LOCKABLE) && d->memory ? one_in(4) : one_in(200))
		put(t, 0xf0, 1);
	if (code_size == 8 && (rex || one_in(8)))
		put(t, 0x40 | rex, 1);
	if (r->map != ISA_M0)
		put(t, 0x0f, 1);
	if (r->map == ISA_M0F38 || r->map == ISA_M0F3A)
		put(t, r->map == ISA_M0F38 ? 0x38 : 0x3a, 1);
	put(t, r->opcode | (r->plus_r ? rnd_below(8) : 0), 1);
}

static void put_vex(struct test_case *t, const struct isa_row *r, const struct draw *d, unsigned code_size)
{
	static const uint8_t pp_of[] = { [ISA_PP_NP] = 0, [ISA_PP_66] = 1, [ISA_PP_F3] = 2, [ISA_PP_F2] = 3 };
	const bool l = r->l == ISA_L1 || (r->l != ISA_L0 && rnd_below(2));
	const bool w = r->w == ISA_W1 || (r->w == ISA_WIG && rnd_below(2));
	const bool uses_vvvv = has_operand(r, OPK_H) || has_operand(r, OPK_B) || has_operand(r, OPK_VS);
	const unsigned vvvv = uses_vvvv		       ? rnd_below(code_size == 8 ? 16 : 8)
			      : has_operand(r, OPK_KH) ? rnd_below(8)
			      : one_in(100)	       ? 3
						       : 0;
	const unsigned tail = (~vvvv & 15) << 3 | (l ? 4u : 0) | pp_of[r->pp], map = r->map - ISA_V0F + 1u;
	unsigned rxb = ~d->rxb & 7;

	if (code_size != 8)
		rxb |= 6;
	if (has_operand(r, OPK_KG))
		rxb |= 4; /* eight opmasks: VEX.R is #UD (SDM vol. 2, KMOVW), and is ignored by some */
	put_segment(t);
	if (d->addrsize)
		put(t, 0x67, 1);
	if (map == 1 && !w && (rxb & 3) == 3 && rnd_below(2)) {
		put(t, 0xc5, 1);
		put(t, (rxb & 4) << 5 | tail, 1);
	} else {
		put(t, 0xc4, 1);
		put(t, rxb << 5 | map, 1);
		put(t, (w ? 0x80u : 0) | tail, 1);
	}
	put(t, r->opcode, 1);
}

/* ---- EVEX ---- */

static unsigned draw_length(const struct isa_row *r)
{
	switch ((enum isa_l)r->l) {
	case ISA_L0:
		return 0;
	case ISA_L1:
		return 1;
	case ISA_L2:
		return 2;
	case ISA_L12:
		return 1 + rnd_below(2);
	case ISA_LIG:
	case ISA_L01:
	case ISA_L012:
		break;
	}
	return rnd_below(3);
}

/* EVEX.R', X, B and R as far as operands have that many registers; R', V', X and R stay out of other code's way. */
static unsigned draw_extensions(const struct isa_row *r, const struct draw *d, unsigned code_size)
{
	const bool vectors_only = !has_operand(r, OPK_E) && !has_operand(r, OPK_R);
	unsigned rxb = (unsigned)rnd() & 0xf; /* R' R X B */

	if (code_size != 8 || one_in(4))
		return 0;
	if (has_operand(r, OPK_G))
		rxb &= 7;
	if (has_operand(r, OPK_KG))
		rxb &= 3;
	if (!d->memory && !vectors_only)
		rxb &= ~2u;
	if (!d->memory && has_operand(r, OPK_KR))
		rxb &= ~3u;
	return rxb;
}

/* The last byte: z, L'L, b, V', aaa. What the form does not allow, the decoder refuses: drawn again. */
static unsigned draw_context(const struct isa_row *r, const struct draw *d, unsigned v4)
{
	const bool b = (d->memory ? (r->evex & ISA_BC) : (r->evex & (ISA_ER | ISA_SAE))) && one_in(3);
	const unsigned l = b && !d->memory ? rnd_below(4) : draw_length(r);
	const bool masked = (r->evex & ISA_KREQ) || ((r->evex & ISA_MK) && rnd_below(3));
	const unsigned aaa = masked ? 1 + rnd_below(7) : 0;
	const bool z = aaa && (r->evex & ISA_MZ) && rnd_below(2);

	return (z ? 0x80u : 0) | l << 5 | (b ? 0x10u : 0) | (v4 ? 0 : 8u) | aaa;
}

/* Registers are stored inverted. */
static void put_evex(struct test_case *t, const struct isa_row *r, const struct draw *d, unsigned code_size)
{
	static const uint8_t pp_of[] = { [ISA_PP_NP] = 0, [ISA_PP_66] = 1, [ISA_PP_F3] = 2, [ISA_PP_F2] = 3 };
	const unsigned registers = code_size == 8 ? 32 : 8, rxb = draw_extensions(r, d, code_size);
	const bool w = r->w == ISA_W1 || (r->w == ISA_WIG && rnd_below(2)), vsib = has_operand(r, OPK_VS);
	const unsigned vvvv = has_operand(r, OPK_H) ? rnd_below(registers) : 0;
	const unsigned v4 = vsib ? rnd_below(registers) >> 4 : vvvv >> 4;

	put_segment(t);
	if (d->addrsize)
		put(t, 0x67, 1);
	put(t, 0x62, 1);
	put(t, (~rxb & 7) << 5 | (rxb & 8 ? 0 : 0x10u) | (r->map - ISA_E0F + 1u), 1);
	put(t, (w ? 0x80u : 0) | (~vvvv & 15) << 3 | 4 | pp_of[r->pp], 1);
	put(t, draw_context(r, d, v4), 1);
	put(t, r->opcode, 1);
}

/* ---- ModRM, displacement ---- */

static uint64_t any_displacement(void)
{
	return one_in(4) ? rnd() : (uint64_t)(int64_t)((int)rnd_below(0x400) - 0x200);
}

static unsigned address_bytes(unsigned code_size, bool prefix)
{
	if (code_size == 8)
		return prefix ? 4 : 8;
	return (code_size == 2) == prefix ? 4 : 2;
}

static void put_modrm(struct test_case *t, const struct draw *d, unsigned code_size)
{
	const unsigned mod = d->modrm >> 6, rm = d->modrm & 7;
	unsigned bytes;

	put(t, d->modrm, 1);
	if (mod == 3)
		return;
	if (address_bytes(code_size, d->addrsize) == 2) {
		bytes = mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0;
	} else {
		if (rm == 4)
			put(t, d->sib, 1);
		bytes = mod == 1 ? 1 : mod == 2 || rm == 5 || (rm == 4 && (d->sib & 7) == 5) ? 4 : 0;
	}
	t->disp_at = t->length;
	t->disp_bytes = bytes;
	put(t, any_displacement(), bytes);
}

/* ---- immediates ---- */

static const uint16_t selectors[] = {
	0, 3, USER_CODE32, USER_DATA, USER_CODE64, 0x10, 0x18, 0x1b, 0x28, 0x7b, 0x88, LOCAL(LDT_CODE32), LOCAL(LDT_CODE16),
	LOCAL(LDT_SMALL), LOCAL(LDT_DATA16), LOCAL(LDT_DOWN), LOCAL(LDT_READ_ONLY), LOCAL(LDT_ABSENT), LOCAL(LDT_STACK16),
	LOCAL(LDT_EXECUTE_ONLY), LOCAL(40), LOCAL(LDT_SMALL) & ~3u,
};

uint16_t any_selector(void)
{
	return selectors[rnd_below(sizeof(selectors) / sizeof(selectors[0]))];
}

/* Mostly a pad in the code pages, as an offset from `base`; never the instruction itself, which would be a loop. */
uint64_t any_target(const struct test_case *t, uint64_t base)
{
	if (one_in(16))
		return rnd();
	for (;;) {
		const uint64_t linear = CODE + rnd_below(CODE_PAGES * PAGE);

		if (linear < t->at || linear >= t->at + sizeof(t->code))
			return linear - base;
	}
}

static uint64_t any_immediate(const struct test_case *t, const struct isa_operand *op, unsigned bytes)
{
	if (op->kind != OPK_J)
		return rnd_below(2) ? random_integer() : rnd_below(40);
	if (bytes == 1)
		return rnd_below(2) ? rnd_below(0x70) : 0x100 - sizeof(t->code) - rnd_below(0x60);
	return any_target(t, t->at + t->length + bytes);
}

static void put_far_pointer(struct test_case *t, unsigned bytes)
{
	const uint16_t selector = any_selector();

	put(t, any_target(t, selector == LOCAL(LDT_CODE16) ? CODE : 0), bytes);
	put(t, selector, 2);
}

static void put_immediate(struct test_case *t, const struct isa_operand *op, const struct draw *d, unsigned code_size,
			  const struct isa_row *r)
{
	const bool wide = d->rex_w || (code_size == 8 && (r->modes & ISA_MODE_F64));
	const unsigned v = wide ? 8 : (code_size == 2) == d->opsize ? 4 : 2;
	unsigned bytes = 0;

	switch (op->kind) {
	case OPK_L:
		bytes = 1;
		break;
	case OPK_O:
		bytes = address_bytes(code_size, d->addrsize);
		t->disp_at = t->length;
		t->disp_bytes = bytes;
		break;
	case OPK_A:
		put_far_pointer(t, v == 2 ? 2 : 4);
		return;
	case OPK_I:
	case OPK_J:
		bytes = op->size == OPS_w   ? 2
			: op->size == OPS_d ? 4
			: op->size == OPS_v ? v
			: op->size == OPS_z ? (v == 2 ? 2 : 4)
					    : 1;
		break;
	default:
		return;
	}
	put(t, any_immediate(t, op, bytes), bytes);
}

/* ---- a case ---- */

/* Anywhere in the two pages; now and then over the boundary, or over the end. */
static uint64_t any_place(void)
{
	switch (rnd_below(64)) {
	case 0:
		return CODE + CODE_PAGES * PAGE - 1 - rnd_below(14);
	case 1:
	case 2:
	case 3:
		return CODE + PAGE - 1 - rnd_below(14);
	default:
		return CODE + rnd_below(CODE_PAGES * PAGE - 32);
	}
}

static bool encode(unsigned row, unsigned code_size, struct test_case *t)
{
	const struct isa_row *r = &isa_rows[row];
	const struct draw d = draw_form(r, code_size);

	t->length = t->disp_bytes = 0;
	if (r->map >= ISA_E0F)
		put_evex(t, r, &d, code_size);
	else if (r->map >= ISA_V0F)
		put_vex(t, r, &d, code_size);
	else
		put_legacy(t, r, &d, code_size);
	if (r->ext != ISA_EXT_NO_MODRM)
		put_modrm(t, &d, code_size);
	for (unsigned n = 0; n < 4; n++)
		put_immediate(t, &r->op[n], &d, code_size, r);
	return t->length < LONGEST;
}

/* A branch to itself would never end. */
static bool is_loop(const struct test_case *t)
{
	const uint64_t target = t->i.imm + t->length;

	return has_operand(&isa_rows[t->row], OPK_J) && target < t->length;
}

/* Instructions that note or load x87 pointers. */
static bool has_pointers(const struct isa_row *r)
{
	return (r->attr & ISA_FP) || r->sem == sem_fxrstor || r->sem == sem_xrstor;
}

static void append_fnstenv(struct test_case *t)
{
	static const uint8_t fnstenv[] = {
		0xd9, 0x34, 0x25, ENVIRONMENT & 0xff, ENVIRONMENT >> 8 & 0xff, ENVIRONMENT >> 16 & 0xff, ENVIRONMENT >> 24
	};

	memcpy(t->code + t->length, fnstenv, sizeof(fnstenv));
	t->bytes = t->length + (unsigned)sizeof(fnstenv);
}

bool generate(unsigned row, unsigned code_size, struct test_case *t)
{
	t->row = row;
	t->code_size = code_size;
	t->at = any_place();
	for (unsigned n = 0; n < DRAWS; n++) {
		enum decode_result r;

		if (!encode(row, code_size, t))
			continue;
		r = decode(t->code, t->length, code_size, &t->i);
		if (r != DECODE_OK || t->i.id != row || t->i.len != t->length || is_loop(t))
			continue;
		t->bytes = t->length;
		if (code_size == 8 && has_pointers(&isa_rows[row]) && rnd_below(2))
			append_fnstenv(t);
		return true;
	}
	return false;
}
