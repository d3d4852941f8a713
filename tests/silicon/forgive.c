/* SPDX-License-Identifier: MIT */
/* What cannot be compared: by the system that the cases run on, or by a point of tests/host/points.def. */
#include "silicon.h"
#include "tests/host/processor.h"
#include "tests/host/undefined.h"

#include <string.h>

enum { VECTOR_BYTES = 32, ZMM_BYTES = 64, MXCSR_PE = 0x20 };

/* enum isa_flag to RFLAGS. */
static uint64_t rflags_of(unsigned flags)
{
	static const uint16_t bits[] = { RFLAGS_CF, RFLAGS_PF, RFLAGS_AF, RFLAGS_ZF, RFLAGS_SF, RFLAGS_OF };
	uint64_t r = 0;

	for (unsigned n = 0; n < 6; n++)
		r |= flags >> n & 1 ? bits[n] : 0;
	return r;
}

/* The first address that a program does not have. */
static uint64_t user_end(void)
{
	return 1ull << (processor_differs(PT_WIDE_LINEAR, false) ? 56 : 47);
}

/* Outside 64-bit mode, and after leaving it, the upper halves of registers and R8..R15 are undefined (SDM vol. 1, 3.4.1.1). */
static void forget_upper_halves(struct outcome *o)
{
	for (unsigned n = 0; n < 8; n++)
		o->s.gpr[n] = (uint32_t)o->s.gpr[n];
	memset(o->s.gpr + 8, 0, 8 * sizeof(o->s.gpr[0]));
	memset(o->s.fx.xmm[8], 0, 8 * 16);
	memset(o->s.ymm_high[8], 0, 8 * 16);
	memset(o->s.zmm_high[8], 0, 8 * 32);
	memset(o->s.zmm16, 0, sizeof(o->s.zmm16));
	o->s.rip = (uint32_t)o->s.rip;
	o->s.fs_base = o->s.gs_base = 0;
}

/* The kernel hides its own layout: a fault there is always one of protection (arch/x86/mm/fault.c). */
static void hide_kernel(struct outcome *o)
{
	if (o->vector == VEC_PF && o->cr2 >= user_end() - PAGE)
		o->error |= 1;
	/* The emulated kernel's tables are where a process has nothing. */
	if (o->vector == VEC_PF && o->cr2 < 0x10000)
		o->error &= ~1u;
	if (o->vector != VEC_PF)
		o->cr2 = 0;
}

/* A null selector's RPL does not survive the kernel's IRET to the handler. */
static void forget_null_rpl(struct outcome *o)
{
	for (unsigned n = 0; n < SEG_COUNT; n++)
		o->s.seg[n] = o->s.seg[n] <= 3 ? 0 : o->s.seg[n];
}

/* The flags that this case leaves undefined. CF of long shifts is SHIFT_CARRY's. */
static uint64_t undefined_flags(const struct test_case *t)
{
	const struct isa_row *r = &isa_rows[t->row];
	unsigned flags = undefined_after(&t->i, t->in.gpr[RCX]).flags;

	if ((r->attr & ISA_COUNTW) && (flags & ISA_FL_C) && !point_doubted(PT_SHIFT_CARRY))
		flags &= ~(unsigned)ISA_FL_C;
	return rflags_of(flags);
}

/* KMOVQ from a general register: half of what it loads is undefined there, too. */
static void forget_upper_half_of_mask(struct outcome *o, const struct test_case *t)
{
	if (isa_rows[t->row].op[0].kind == OPK_KG && isa_rows[t->row].op[1].kind == OPK_R)
		o->s.k[t->i.reg] = (uint32_t)o->s.k[t->i.reg];
}

static void forget(struct outcome *o, const struct test_case *t)
{
	/* RF is set in what a fault pushes, IF is the system's. */
	const uint64_t flags = RFLAGS_ARITH | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID;

	o->s.rflags &= flags & ~undefined_flags(t);
	hide_kernel(o);
	forget_null_rpl(o);
	if (t->code_size != 8 || o->s.seg[SEG_CS] != USER_CODE64)
		forget_upper_halves(o);
	if (t->code_size != 8)
		forget_upper_half_of_mask(o, t);
}

static bool both_fault(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return a->s.rip == t->in.rip && b->s.rip == t->in.rip;
}

/* ---- cases that are left out altogether --------------------------------------------------------------------- */

typedef bool applies_fn(const struct test_case *t, const struct outcome *a, const struct outcome *b);

static bool is_undefined_shift(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return undefined_after(&t->i, t->in.gpr[RCX]).result;
}

/* Instructions of several accesses to the stack. */
static bool has_frame(const struct test_case *t)
{
	switch (t->row) {
	case ISA_PUSHA:
	case ISA_POPA:
	case ISA_CALL_Ap:
	case ISA_CALL_Mp:
	case ISA_RETF:
	case ISA_RETF_Iw:
	case ISA_IRET:
	case ISA_ENTER:
		return true;
	default:
		return false;
	}
}

static bool is_partial_frame(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return has_frame(t) && both_fault(t, a, b);
}

static bool is_masked_store(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	const bool masked = t->row == ISA_MASKMOVQ || t->row == ISA_MASKMOVDQU || t->row == ISA_VMASKMOVDQU;

	return masked && (a->s.rip == t->in.rip || b->s.rip == t->in.rip);
}

static bool is_masked_wrap(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	const struct isa_row *r = &isa_rows[t->row];
	const bool masked = r->map == ISA_V0F38 && ((r->opcode & 0xfc) == 0x2c || (r->opcode & 0xfd) == 0x8c);
	const bool by_opmask = r->map >= ISA_E0F && t->i.is_mem && t->i.mask;
	const unsigned bytes = by_opmask ? ZMM_BYTES : VECTOR_BYTES;
	const uint64_t end = t->i.asize == 2 ? 0x10000 : 0x100000000;

	return (masked || by_opmask) && t->i.asize != 8 && operand_linear(t) - segment_base(t, t->i.seg) > end - bytes;
}

static bool is_vector(const struct test_case *t)
{
	return isa_rows[t->row].attr & (ISA_SSEX | ISA_AVXX | ISA_AVX512X);
}

/* The emulator has it for operands of up to 8 bytes. */
static bool is_vector_ac(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return is_vector(t) && (a->vector == VEC_AC) != (b->vector == VEC_AC);
}

static bool is_repeated_loop(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return (t->row == ISA_LOOPE || t->row == ISA_LOOPNE) && (t->i.prefixes & (PFX_REP | PFX_REPNE));
}

static bool is_cut_ud0(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return t->row == ISA_UD0 && visible_bytes(t) < t->length;
}

static bool is_cut_ud1(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return t->row == ISA_UD1 && visible_bytes(t) < t->length;
}

static bool is_nop_0f0d(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return t->row == ISA_NOP_0F0D;
}

static bool is_short_near_branch(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return t->code_size == 8 && (isa_rows[t->row].modes & ISA_MODE_F64) && (t->i.prefixes & PFX_OPSIZE);
}

static bool is_wide_far_pointer(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return has_size(&isa_rows[t->row], OPS_p) && t->i.size == 8;
}

static bool is_short_movsxd(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return t->row == ISA_MOVSXD_Gv_Ed && t->i.size == 2 && t->i.is_mem;
}

/* VPINSRD and VPEXTRD with W. */
static bool is_wide_insertion(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	const struct isa_row *r = &isa_rows[t->row];
	unsigned n = 0;

	if (t->code_size == 8 || r->map != ISA_V0F3A || (r->opcode != 0x22 && r->opcode != 0x16))
		return false;
	while (t->code[n] != 0xc4)
		n++;
	return t->code[n + 2] & 0x80;
}

/* A far call or return between 64-bit and other code. */
static bool is_mode_change(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return has_frame(t) && a->s.seg[SEG_CS] != t->in.seg[SEG_CS] && (t->code_size == 8 || a->s.seg[SEG_CS] == USER_CODE64);
}

static bool is_locked_mov_cr(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return (t->row == ISA_MOV_Rd_Cd || t->row == ISA_MOV_Cd_Rd) && (t->i.prefixes & PFX_LOCK);
}

static bool is_ring0_only(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return t->row == ISA_SYSEXIT || t->row == ISA_SYSRET || t->row == ISA_SWAPGS;
}

static bool is_split_lock(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return a->vector == VEC_AC && !(t->in.rflags & RFLAGS_AC);
}

static bool is_bit_string(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	const struct isa_row *r = &isa_rows[t->row];

	return r->map == ISA_M0F && (r->opcode & 0xe7) == 0xa3 && t->i.is_mem && a->s.rip == t->in.rip;
}

static bool is_kernel_half(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return b->vector == VEC_PF && b->cr2 >> 63 && a->vector != VEC_PF;
}

static const struct {
	enum point at;
	applies_fn *applies;
} left_out[] = {
	{ PT_PARTIAL_FRAME, is_partial_frame },
	{ PT_MASKED_STORE, is_masked_store },
	{ PT_MASKED_WRAP, is_masked_wrap },
	{ PT_VECTOR_AC, is_vector_ac },
	{ PT_DOUBLE_SHIFT_16, is_undefined_shift },
	{ PT_REPEAT_PREFIX, is_repeated_loop },
	{ PT_UD0_MODRM, is_cut_ud0 },
	{ PT_UD1_MODRM, is_cut_ud1 },
	{ PT_NOP_0F0D, is_nop_0f0d },
	{ PT_NEAR_66, is_short_near_branch },
	{ PT_FAR_REX_W, is_wide_far_pointer },
	{ PT_MOVSXD_66, is_short_movsxd },
	{ PT_VPINSR_W1, is_wide_insertion },
	{ PT_FAR_STACK, is_mode_change },
	{ PT_LOCK_CR0, is_locked_mov_cr },
	{ PT_RING0_ONLY, is_ring0_only },
	{ PT_SPLIT_LOCK, is_split_lock },
	{ PT_BIT_STRING, is_bit_string },
	{ PT_KERNEL_HALF, is_kernel_half },
};

/* One by one, and the point is asked last: it counts. */
static bool is_left_out(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	for (unsigned n = 0; n < sizeof(left_out) / sizeof(left_out[0]); n++)
		if (left_out[n].applies(t, a, b) && point_leaves(left_out[n].at))
			return true;
	if (t->row == ISA_FXSAVE && (a->vector == VEC_PF) != (b->vector == VEC_PF) && point_doubted(PT_FXSAVE_TAIL))
		return true;
	if (t->row == ISA_XBEGIN && point_doubted(PT_TRANSACTION))
		return true;
	return is_undocumented(t->row) && point_doubted(PT_UNDOCUMENTED);
}

/* ---- which of several faults ---------------------------------------------------------------------------------- */

/* Each piece may be out of its segment or in a missing page: offset and selector, limit and base, two bounds, the ten bytes of the
 * x87, compressed elements, a vector of 64 bytes (which may be stored as two halves). Elements under a mask are not among them: the emulator has their order. */
static bool is_in_pieces(const struct test_case *t)
{
	const struct isa_row *r = &isa_rows[t->row];
	const bool wide = r->map >= ISA_E0F && t->i.vl == 2 && !t->i.mask;

	const bool pair = has_size(r, OPS_p) || has_size(r, OPS_s) || t->row == ISA_BOUND;

	return pair || has_size(r, OPS_t) || r->sem == sem_evex_compress || wide;
}

/* CMPS: the first or the second operand. CALL: the target or the push. Gathers, bit strings: an address on the way that is not
 * canonical, or the page. Areas and what is longer than the processor's accesses, piece by piece. */
static bool has_many_faults(const struct test_case *t)
{
	const struct isa_row *r = &isa_rows[t->row];
	const bool calls = t->row == ISA_CALL_Ev || t->row == ISA_CALL_Jz, cmps = t->row == ISA_CMPSB || t->row == ISA_CMPSV;
	const bool steps = has_operand(r, OPK_VS) || (r->map == ISA_M0F && (r->opcode & 0xe7) == 0xa3);
	const bool area = has_size(r, OPS_env) || has_size(r, OPS_fsv) || has_size(r, OPS_fx) || r->feature == FEAT_XSAVE ||
			  r->feature == FEAT_XSAVEOPT || r->feature == FEAT_XSAVEC;

	return calls || cmps || steps || area || is_in_pieces(t);
}

static void make_same_fault(const struct outcome *from, struct outcome *to)
{
	to->vector = from->vector;
	to->error = from->error;
	to->cr2 = from->cr2;
}

static bool is_same_fault(const struct outcome *a, const struct outcome *b)
{
	return a->vector == b->vector && a->error == b->error && a->cr2 == b->cr2;
}

/* Misaligned, and out of its segment. */
static bool is_alignment_or_limit(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	const bool either = (a->vector == VEC_GP || a->vector == VEC_SS) && (b->vector == VEC_GP || b->vector == VEC_SS);

	return either && is_vector(t);
}

static void forgive_order(const struct test_case *t, const struct outcome *a, struct outcome *b)
{
	isa_semantic *const sem = isa_rows[t->row].sem;
	const bool vcvtps2ph = sem == sem_f16c_cvtps2ph || sem == sem_evex_cvtps2ph;

	if (!both_fault(t, a, b) || (is_same_fault(a, b) && !vcvtps2ph))
		return;
	if (!has_many_faults(t) && !is_alignment_or_limit(t, a, b) && !vcvtps2ph && !point_doubted(PT_FAULT_ORDER))
		return;
	if (!point_leaves(PT_FAULT_ORDER))
		return;
	make_same_fault(a, b);
	/* Flags of a conversion that was not to be. */
	if (vcvtps2ph)
		b->s.fx.mxcsr = a->s.fx.mxcsr;
}

/* An operand that wraps around at 4 GiB, or begins below the last canonical address and ends beyond it. */
static void forgive_wrap(const struct test_case *t, const struct outcome *a, struct outcome *b)
{
	const uint64_t end = t->code_size == 8 ? user_end() : 0x100000000;
	const bool at_the_end = a->vector == VEC_PF && ((a->cr2 >= end - 0x100 && a->cr2 < end) || a->cr2 < 0x100);

	if (both_fault(t, a, b) && at_the_end && !is_same_fault(a, b) && point_leaves(PT_WRAP))
		make_same_fault(a, b);
}

/* ---- registers -------------------------------------------------------------------------------------------------- */

/* The mask and the destination of a gather that faults. */
static void forgive_gather(const struct test_case *t, struct outcome *a, const struct outcome *b)
{
	const struct isa_row *r = &isa_rows[t->row];

	if (!has_operand(r, OPK_VS) || r->map >= ISA_E0F || !both_fault(t, a, b) || !point_leaves(PT_GATHER_FAULT))
		return;
	memcpy(a->s.fx.xmm[t->i.vvvv], b->s.fx.xmm[t->i.vvvv], 16);
	memcpy(a->s.ymm_high[t->i.vvvv], b->s.ymm_high[t->i.vvvv], 16);
	memcpy(a->s.fx.xmm[t->i.reg], b->s.fx.xmm[t->i.reg], 16);
	memcpy(a->s.ymm_high[t->i.reg], b->s.ymm_high[t->i.reg], 16);
	memcpy(a->s.zmm_high[t->i.vvvv], b->s.zmm_high[t->i.vvvv], 32);
	memcpy(a->s.zmm_high[t->i.reg], b->s.zmm_high[t->i.reg], 32);
}

/* The manual's rule is that the instruction faults, and changes nothing. */
static void expect_gp(const struct test_case *t, struct outcome *a)
{
	a->s = t->in;
	a->vector = VEC_GP;
	a->error = 0;
	a->cr2 = 0;
}

/* LDMXCSR, FXRSTOR, XRSTOR of a bit that the emulated MXCSR does not have. */
static void forgive_mxcsr_bits(const struct test_case *t, struct outcome *a)
{
	if ((a->s.fx.mxcsr & ~0xffffu) && point_leaves(PT_MXCSR_BITS))
		expect_gp(t, a);
}

static void forgive_misaligned_sha(const struct test_case *t, struct outcome *a, const struct outcome *b)
{
	if (isa_rows[t->row].feature != FEAT_SHA || !t->i.is_mem || !(operand_linear(t) & 15))
		return;
	if (a->s.rip != t->in.rip && point_leaves(PT_SHA_ALIGNMENT))
		expect_gp(t, a);
	else if (!is_same_fault(a, b) && b->vector == VEC_GP && point_leaves(PT_SHA_ALIGNMENT))
		make_same_fault(b, a);
}

/* All vectors and the vector of the fault, from one outcome to the other. */
static void take_vectors(struct outcome *a, const struct outcome *b)
{
	make_same_fault(b, a);
	a->s.rip = b->s.rip;
	memcpy(a->s.fx.xmm, b->s.fx.xmm, sizeof(a->s.fx.xmm));
	memcpy(a->s.ymm_high, b->s.ymm_high, sizeof(a->s.ymm_high));
	memcpy(a->s.zmm_high, b->s.zmm_high, sizeof(a->s.zmm_high));
	memcpy(a->s.zmm16, b->s.zmm16, sizeof(a->s.zmm16));
}

/* Without the precision exception of the first rounding: its flag, or its #XM, after which there is no result. */
static void forgive_vreduce(const struct test_case *t, struct outcome *a, const struct outcome *b)
{
	const bool suppressed = t->i.imm & 8;

	if (strncmp(isa_rows[t->row].mnemonic, "vreduce", 7) != 0 || suppressed || !(b->s.fx.mxcsr & MXCSR_PE) ||
	    !point_leaves(PT_VREDUCE_PE))
		return;
	if (b->vector == VEC_XM && a->s.rip != t->in.rip)
		take_vectors(a, b);
	a->s.fx.mxcsr |= MXCSR_PE;
}

static void forgive_null_base(const struct test_case *t, struct outcome *a, const struct outcome *b)
{
	const bool fs = a->s.seg[SEG_FS] == 0 && a->s.fs_base != b->s.fs_base;
	const bool gs = a->s.seg[SEG_GS] == 0 && a->s.gs_base != b->s.gs_base;

	if ((!fs && !gs) || isa_rows[t->row].feature == FEAT_FSGSBASE || !point_leaves(PT_NULL_BASE))
		return;
	a->s.fs_base = fs ? b->s.fs_base : a->s.fs_base;
	a->s.gs_base = gs ? b->s.gs_base : a->s.gs_base;
}

static void forgive_bit_scan(const struct test_case *t, struct outcome *a, const struct outcome *b)
{
	if ((t->row == ISA_BSF || t->row == ISA_BSR) && (b->s.rflags & RFLAGS_ZF) && point_doubted(PT_BIT_SCAN_ZERO))
		a->s.gpr[t->i.reg] = b->s.gpr[t->i.reg];
}

static void forgive_lar(const struct test_case *t, struct outcome *a, struct outcome *b)
{
	if (t->row != ISA_LAR || !point_doubted(PT_LAR_LIMIT))
		return;
	a->s.gpr[t->i.reg] &= ~0xf0000ull;
	b->s.gpr[t->i.reg] &= ~0xf0000ull;
}

static void forgive_result(const struct test_case *t, struct outcome *a, const struct outcome *b)
{
	const enum point p = open_result(t->row, t->i.size);

	if (p == POINT_COUNT || !point_doubted(p))
		return;
	a->s.fx.sw = b->s.fx.sw;
	memcpy(a->s.fx.st, b->s.fx.st, sizeof(a->s.fx.st));
	if (p == PT_SSE4A_FIELDS)
		memcpy(a->s.fx.xmm, b->s.fx.xmm, sizeof(a->s.fx.xmm));
	if (p == PT_BSWAP_16)
		a->s.gpr[t->i.reg] = b->s.gpr[t->i.reg];
}

bool forgive(unsigned tier, const struct test_case *t, struct outcome *native, struct outcome *emulated)
{
	if (is_left_out(t, native, emulated))
		return false;
	forgive_mxcsr_bits(t, native);
	forgive_misaligned_sha(t, native, emulated);
	forget(native, t);
	forget(emulated, t);
	forgive_order(t, native, emulated);
	forgive_wrap(t, native, emulated);
	forgive_gather(t, native, emulated);
	forgive_vreduce(t, native, emulated);
	forgive_null_base(t, native, emulated);
	forgive_bit_scan(t, native, emulated);
	forgive_lar(t, native, emulated);
	forgive_result(t, native, emulated);
	forgive_x87(t, native, emulated);
	forgive_memory(tier, t, native, emulated);
	return true;
}
