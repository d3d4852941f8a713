/* SPDX-License-Identifier: MIT */
/*
 * The state of a case: awkward values everywhere, then those registers that make the operands land where something can
 * happen: inside pages, over their boundaries, in read-only and missing ones.
 */
#include "silicon.h"

#include <string.h>

/* Whose cases have something in the registers of AVX-512. */
enum { VECTOR_ROWS = ISA_SSEX | ISA_AVXX | ISA_AVX512X };

static bool one_in(unsigned n)
{
	return rnd_below(n) == 0;
}

/* ---- addresses ---- */

/* A linear address for an operand of `size` bytes. */
static uint64_t any_address(unsigned size)
{
	const unsigned cut = 1 + rnd_below(size);

	switch (rnd_below(20)) {
	case 0:
		return DATA + PAGE - cut; /* both writable */
	case 1:
		return DATA + 2 * PAGE - cut; /* then read-only */
	case 2:
		return DATA + 3 * PAGE - cut; /* read-only, then missing */
	case 3:
		return DATA + 4 * PAGE - cut; /* missing, then writable */
	case 4:
		return DATA + DATA_READ_ONLY * PAGE + rnd_below(PAGE - size) / 16 * 16;
	case 5:
		return DATA + DATA_MISSING * PAGE + rnd_below(PAGE);
	case 6:
		return one_in(4) ? 0x800000000000ull + rnd_below(64) - 32 : DATA + 5 * PAGE - cut; /* not canonical */
	case 7:
		return (one_in(2) ? DATA - 0x4000 : STACK - 0x8000) + 0x10000 -
		       cut; /* missing, and over the end of a 16-bit segment */
	case 8:
	case 9:
		return DATA + (rnd_below(3) ? rnd_below(2) : 4) * PAGE + rnd_below(PAGE - size);
	default:
		return DATA + (rnd_below(3) ? rnd_below(2) : 4) * PAGE + rnd_below((PAGE - 1024) / 64) * 64;
	}
}

/* Bits above the address size do not count. */
static uint64_t with_noise(const struct test_case *t, uint64_t v, unsigned asize)
{
	if (asize == 2)
		return (v & 0xffff) | (rnd() & (t->code_size == 8 ? ~0xffffull : 0xffff0000));
	return asize == 4 ? (uint32_t)v | rnd() << 32 : v;
}

static void patch_displacement(struct test_case *t, uint64_t disp)
{
	memcpy(t->code + t->disp_at, &disp, t->disp_bytes);
}

/* The registers (or the displacement) for the memory operand to be at `offset`. */
static void aim(struct test_case *t, uint64_t offset)
{
	const struct insn *i = &t->i;
	uint64_t *g = t->in.gpr, rest = offset - (uint64_t)(int64_t)i->disp;
	const bool vsib = has_operand(&isa_rows[t->row], OPK_VS), indexed = i->index != ADDR_NONE && !vsib;
	const unsigned scale = indexed ? i->scale : 0;

	if (i->base == ADDR_PC) {
		patch_displacement(t, offset - (t->in.rip + t->length));
	} else if (i->base == ADDR_NONE && !indexed) {
		patch_displacement(t, offset);
	} else if (i->base == ADDR_NONE) {
		g[i->index] = with_noise(t, rest >> scale, i->asize);
		patch_displacement(t, offset - (rest >> scale << scale));
	} else if (indexed && i->base == i->index) {
		g[i->base] = with_noise(t, rest / (1 + (1u << scale)), i->asize);
	} else {
		g[i->base] = with_noise(t, rest - (indexed ? g[i->index] << scale : 0), i->asize);
	}
}

/* EVEX.W, which is not in struct insn. */
static bool has_evex_w(const struct test_case *t)
{
	const uint8_t *p = memchr(t->code, 0x62, t->length);

	return p && p[2] & 0x80;
}

static unsigned size_of(const struct test_case *t, const struct isa_operand *op)
{
	if (isa_rows[t->row].map >= ISA_E0F)
		return isa_evex_bytes(&isa_rows[t->row], t->i.vl, t->i.is_mem && t->i.bcst, has_evex_w(t));
	switch (op->size) {
	case OPS_b:
		return 1;
	case OPS_w:
		return 2;
	case OPS_d:
	case OPS_ss:
		return 4;
	case OPS_q:
	case OPS_sd:
		return 8;
	case OPS_v:
	case OPS_y:
		return t->i.size ? t->i.size : 4;
	case OPS_x:
		return t->i.vl ? 32 : 16;
	case OPS_hx:
		return t->i.vl ? 16 : 8;
	case OPS_t:
	case OPS_p:
		return 10;
	case OPS_fx:
		return 512;
	case OPS_env:
		return 28;
	case OPS_fsv:
		return 108;
	default:
		return 16;
	}
}

static const struct isa_operand *memory_operand(const struct isa_row *r)
{
	for (unsigned n = 0; n < 4; n++) {
		switch (r->op[n].kind) {
		case OPK_E:
		case OPK_M:
		case OPK_W:
		case OPK_Q:
		case OPK_VS:
			return &r->op[n];
		default:
			break;
		}
	}
	return NULL;
}

/* ---- segments ---- */

static void prepare_segments(struct test_case *t)
{
	static const uint16_t data32[] = { LOCAL(LDT_SMALL), LOCAL(LDT_DOWN), LOCAL(LDT_READ_ONLY), USER_DATA, 0 };
	static const uint64_t bases[] = { DATA, DATA + 8, STACK + PAGE, 0, 0xffffffff, 0x7ffffffff000, 16 };
	uint16_t *seg = t->in.seg;

	t->in.fs_base = bases[rnd_below(7)];
	t->in.gs_base = bases[rnd_below(7)];
	seg[SEG_CS] = USER_CODE64;
	seg[SEG_SS] = USER_DATA;
	if (t->code_size == 8)
		return;
	t->in.fs_base = t->in.gs_base = 0;
	seg[SEG_CS] = t->code_size == 2 ? LOCAL(LDT_CODE16)
		      : one_in(8)	? LOCAL(LDT_EXECUTE_ONLY)
		      : rnd_below(2)	? LOCAL(LDT_CODE32)
					: USER_CODE32;
	seg[SEG_DS] = seg[SEG_ES] = t->code_size == 2 ? LOCAL(LDT_DATA16) : USER_DATA;
	if (one_in(8))
		seg[SEG_DS] = data32[rnd_below(5)];
	if (one_in(8))
		seg[SEG_ES] = data32[rnd_below(5)];
	seg[SEG_FS] = data32[rnd_below(5)];
	seg[SEG_GS] = data32[rnd_below(5)];
	/* A far call to 64-bit code would push to the 64-bit address that RSP holds there: ours. */
	if (t->code_size == 2 && rnd_below(2) && t->row != ISA_CALL_Ap && t->row != ISA_CALL_Mp)
		seg[SEG_SS] = LOCAL(LDT_STACK16);
}

static void prepare_stack(struct test_case *t)
{
	uint64_t at = STACK + PAGE + 64 + rnd_below(2 * PAGE - 128) / 8 * 8;

	switch (rnd_below(16)) {
	case 0:
		at = STACK + PAGE + rnd_below(40);
		break;
	case 1:
		at = STACK + 3 * PAGE - rnd_below(40);
		break;
	case 2:
		at += rnd_below(8);
		break;
	default:
		break;
	}
	t->in.gpr[RSP] = at - segment_base(t, SEG_SS);
	if (rnd_below(2))
		t->in.gpr[RBP] = t->in.gpr[RSP] + rnd_below(128) - 64;
}

/* ---- what rows need ---- */

static void put_operand(struct test_case *t, uint64_t linear, const void *data, unsigned bytes)
{
	put_memory(linear, data, bytes);
}

static uint64_t stack_top(const struct test_case *t)
{
	uint64_t sp = t->in.gpr[RSP];

	if (t->in.seg[SEG_SS] == LOCAL(LDT_STACK16))
		sp &= 0xffff;
	return segment_base(t, SEG_SS) + sp;
}

static uint64_t code_base(const struct test_case *t)
{
	return t->code_size == 2 ? CODE : 0;
}

static void prepare_string(struct test_case *t, unsigned size)
{
	uint64_t *g = t->in.gpr;

	g[RSI] = with_noise(t, any_address(size) - segment_base(t, t->i.seg), t->i.asize);
	g[RDI] = with_noise(t, any_address(size) - segment_base(t, SEG_ES), t->i.asize);
	g[RCX] = with_noise(t, one_in(8) ? rnd_below(9000) : rnd_below(24), t->i.asize);
	if (one_in(8)) /* overlapping */
		g[RDI] = g[RSI] + rnd_below(16) - 8;
}

/* A quotient that fits, mostly. */
static void prepare_division(struct test_case *t)
{
	if (rnd_below(4))
		t->in.gpr[RDX] = rnd_below(2) ? 0 : UINT64_MAX;
	if (rnd_below(4) && t->i.size == 1)
		t->in.gpr[RAX] &= 0x7f;
}

/* Frames of RET, RETF, IRET: return address, CS, flags, stack pointer, SS, in units of the operand size. */
static void prepare_frame(struct test_case *t)
{
	const bool iret = t->row == ISA_IRET, near = t->row == ISA_RET || t->row == ISA_RET_Iw;
	const uint16_t cs = one_in(4) ? any_selector() : t->in.seg[SEG_CS];
	const uint64_t base = cs == LOCAL(LDT_CODE16) ? CODE : 0, unit = t->i.size;
	uint64_t frame[5] = { any_target(t, near ? code_base(t) : base), cs, 0x202 | (rnd() & RFLAGS_ARITH), STACK + PAGE + 1024,
			      one_in(4) ? any_selector() : USER_DATA };

	if (!iret) {
		frame[2] = frame[3];
		frame[3] = frame[4];
	}
	for (unsigned n = 0; n < (near ? 1 : 5); n++)
		put_memory(stack_top(t) + n * unit, &frame[n], (unsigned)unit);
}

/* POPF: all flags that can be changed, but TF, which would trap after the instruction, and AC. */
static void prepare_flags_image(struct test_case *t)
{
	const uint64_t image = rnd() & ~(uint64_t)(RFLAGS_TF | RFLAGS_AC);

	put_memory(stack_top(t), &image, 8);
}

/* The operand in rm: a register's number, or the memory's address. */
static void put_source(struct test_case *t, uint64_t linear, const void *data, unsigned bytes)
{
	uint64_t v = 0;

	memcpy(&v, data, bytes < 8 ? bytes : 8);
	if (t->i.is_mem)
		put_operand(t, linear, data, bytes);
	else if (t->i.rm < 16)
		t->in.gpr[t->i.rm] = v;
}

static void prepare_far_pointer(struct test_case *t, uint64_t linear)
{
	const unsigned bytes = t->i.size;
	uint8_t pointer[10];
	const uint16_t sel = any_selector();
	const uint64_t to = any_target(t, sel == LOCAL(LDT_CODE16) ? CODE : 0);

	memcpy(pointer, &to, bytes);
	memcpy(pointer + bytes, &sel, 2);
	put_operand(t, linear, pointer, bytes + 2);
}

static void prepare_control(struct test_case *t, uint64_t linear)
{
	uint64_t target = any_target(t, code_base(t));
	uint16_t sel = any_selector();

	switch (t->row) {
	case ISA_JMP_Ev:
	case ISA_CALL_Ev:
		put_source(t, linear, &target, 8);
		break;
	case ISA_RET:
	case ISA_RET_Iw:
	case ISA_RETF:
	case ISA_RETF_Iw:
	case ISA_IRET:
		prepare_frame(t);
		break;
	case ISA_CALL_Mp:
	case ISA_JMP_Mp:
	case ISA_LES:
	case ISA_LDS:
	case ISA_LSS:
	case ISA_LFS:
	case ISA_LGS:
		prepare_far_pointer(t, linear);
		break;
	case ISA_MOV_Sw_Ew:
	case ISA_LAR:
	case ISA_LSL:
	case ISA_VERR:
	case ISA_VERW:
		put_source(t, linear, &sel, 2);
		break;
	case ISA_POP_ES:
	case ISA_POP_SS:
	case ISA_POP_DS:
	case ISA_POP_FS:
	case ISA_POP_GS:
		put_memory(stack_top(t), &sel, 2);
		break;
	case ISA_POPF:
		prepare_flags_image(t);
		break;
	default:
		break;
	}
}

/* A misaligned operand of which the mask leaves nothing: #GP all the same for SDM vol. 2, table 2-46; some run it. */
static void prepare_mask(struct test_case *t)
{
	if (t->i.mask && isa_exception_class(&isa_rows[t->row]) == 1)
		t->in.k[t->i.mask] |= 1;
}

/*
 * XSAVE and XRSTOR: a processor with more components would save and load more, so that only x87 and SSE are asked for,
 * besides numbers that nobody has; the header is mostly valid.
 */
static void prepare_xsave(struct test_case *t, uint64_t linear)
{
	const uint64_t none = 1ull << 20 | 1ull << 40;
	uint64_t header[8] = { rnd() & 3, 0 };
	const uint16_t zero = 0;

	t->in.gpr[RAX] = (t->in.gpr[RAX] & ~0xffffffffull) | (rnd() & (rnd_below(4) ? 3 : 0x100003));
	if (rnd_below(2))
		header[1] = 1ull << 63 | (rnd() & 3) | (rnd_below(2) ? header[0] : 0);
	if (one_in(8))
		header[rnd_below(8)] |= rnd() & none;
	if (rnd_below(8))
		put_memory(linear + 512, header, sizeof(header));
	if (rnd_below(8))
		put_memory(linear + 26, &zero, 2);
}

/* LDMXCSR, FXRSTOR: mostly a valid MXCSR. */
static void prepare_mxcsr(struct test_case *t, uint64_t linear)
{
	const uint16_t zero = 0;

	if (rnd_below(8))
		put_memory(linear + (isa_rows[t->row].feature == FEAT_FXSR ? 26 : 2), &zero, 2);
}

static bool is_bit_string(const struct isa_row *r)
{
	return r->map == ISA_M0F && (r->opcode & 0xe7) == 0xa3 && r->op[1].kind == OPK_G;
}

static bool is_division(const struct isa_row *r)
{
	return r->map == ISA_M0 && (r->opcode == 0xf6 || r->opcode == 0xf7) && r->ext >= 6;
}

static void prepare_row(struct test_case *t, const struct isa_row *r, uint64_t linear)
{
	if (is_division(r))
		prepare_division(t);
	if (has_operand(r, OPK_VS))
		tame_indexes(&t->in, (unsigned)t->i.index, r->opcode & 1, t->i.scale);
	if (r->feature == FEAT_XSAVE || r->feature == FEAT_XSAVEOPT || r->feature == FEAT_XSAVEC)
		prepare_xsave(t, linear);
	if (r->feature == FEAT_FXSR || (r->map != ISA_M0 && r->opcode == 0xae && r->ext == 2))
		prepare_mxcsr(t, linear);
	if (r->map >= ISA_E0F)
		prepare_mask(t);
	prepare_control(t, linear);
}

static enum vectors vectors_of(const struct isa_row *r)
{
	if (native_has_avx512() && (r->attr & VECTOR_ROWS))
		return VECTORS_ZMM;
	return native_has_avx() ? VECTORS_YMM : VECTORS_XMM;
}

static void prepare_values(struct test_case *t)
{
	struct state *s = &t->in;

	random_state(s, vectors_of(&isa_rows[t->row]));
	s->rflags |= (one_in(4) ? RFLAGS_DF : 0) | (one_in(16) ? RFLAGS_AC : 0);
	s->rip = t->at - code_base(t);
}

/* Where the instruction's memory operand goes, if it has one. */
static uint64_t aim_operand(struct test_case *t, const struct isa_row *r)
{
	const struct isa_operand *op = memory_operand(r);
	const bool area =
		r->feature == FEAT_FXSR || r->feature == FEAT_XSAVE || r->feature == FEAT_XSAVEOPT || r->feature == FEAT_XSAVEC;
	const uint64_t linear = any_address(area ? 576 : op ? size_of(t, op) : 1);
	uint8_t fresh[64];

	random_bytes(fresh, sizeof(fresh));
	put_memory(linear, fresh, sizeof(fresh));
	if (has_operand(r, OPK_O)) {
		const uint64_t offset = linear - segment_base(t, t->i.seg);
		patch_displacement(t, offset);
	} else if (t->i.is_mem) {
		if (is_bit_string(r) && t->i.reg != t->i.base && t->i.reg != t->i.index)
			t->in.gpr[t->i.reg] = rnd_below(8000) - 4000u;
		aim(t, linear - segment_base(t, t->i.seg));
	} else if (r->opcode == 0xd7 && r->map == ISA_M0) { /* XLAT */
		t->in.gpr[RBX] = with_noise(t, linear - segment_base(t, t->i.seg) - (t->in.gpr[RAX] & 0xff), t->i.asize);
	} else if (r->opcode == 0xf7 && r->map != ISA_M0 && r->mod == ISA_MOD_REG) { /* MASKMOVQ, MASKMOVDQU */
		t->in.gpr[RDI] = with_noise(t, linear - segment_base(t, t->i.seg), t->i.asize);
	}
	return linear;
}

void prepare(struct test_case *t)
{
	const struct isa_row *r = &isa_rows[t->row];
	uint64_t linear;

	prepare_values(t);
	prepare_segments(t);
	prepare_stack(t);
	if (r->attr & ISA_STRING)
		prepare_string(t, t->i.size ? t->i.size : 1);
	linear = aim_operand(t, r);
	prepare_row(t, r, linear);
	if (t->in.seg[SEG_SS] == LOCAL(LDT_STACK16))
		t->in.gpr[RSP] = native_esp_high() | (t->in.gpr[RSP] & 0xffff);
	if (t->code_size != 8) {
		for (unsigned n = 0; n < 16; n++)
			t->in.gpr[n] = (uint32_t)t->in.gpr[n];
	}
}
