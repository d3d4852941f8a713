/* SPDX-License-Identifier: MIT */
/* What cannot be compared: each with its reason. */
#include "silicon.h"
#include "tests/oracle/host.h"

#include <string.h>

/* enum isa_flag to RFLAGS. */
static uint64_t rflags_of(unsigned flags)
{
	static const uint16_t bits[] = { RFLAGS_CF, RFLAGS_PF, RFLAGS_AF, RFLAGS_ZF, RFLAGS_SF, RFLAGS_OF };
	uint64_t r = 0;

	for (unsigned n = 0; n < 6; n++)
		r |= flags >> n & 1 ? bits[n] : 0;
	return r;
}

/* Outside 64-bit mode the upper halves of registers and R8..R15 are undefined (SDM vol. 1, 3.4.1.1). */
static void forget_upper_halves(struct outcome *o)
{
	for (unsigned n = 0; n < 8; n++)
		o->s.gpr[n] = (uint32_t)o->s.gpr[n];
	memset(o->s.gpr + 8, 0, 8 * sizeof(o->s.gpr[0]));
	memset(o->s.fx.xmm[8], 0, 8 * 16);
	memset(o->s.ymm_high[8], 0, 8 * 16);
	o->s.rip = (uint32_t)o->s.rip;
	o->s.fs_base = o->s.gs_base = 0;
}

/* The kernel hides its own layout: a fault there is always one of protection (arch/x86/mm/fault.c). */
static void hide_kernel(struct outcome *o)
{
	if (o->vector == VEC_PF && o->cr2 >= 0x7ffffffff000)
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

static void forget(struct outcome *o, const struct test_case *t)
{
	const struct isa_row *r = &isa_rows[t->row];
	/* RF is set in what a fault pushes, IF is the system's. */
	const uint64_t flags = RFLAGS_ARITH | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID;

	o->s.rflags &= flags & ~rflags_of(r->flags_undefined);
	/* x87 pointers: tests/oracle compares them, where FNSTENV tells more than a signal frame does. */
	o->s.fx.fop = 0;
	o->s.fx.fip = o->s.fx.fdp = 0;
	hide_kernel(o);
	forget_null_rpl(o);
	if (t->code_size != 8)
		forget_upper_halves(o);
}

/* ---- where AMD's processors differ from Intel's, or the SDM leaves a result undefined: not compared on AMD's ---- */

/* SHLD and SHRD of 16-bit operands by more than 16 are undefined; the emulator does what Intel's processors do. */
static bool is_undefined_shift(const struct test_case *t)
{
	const struct isa_row *r = &isa_rows[t->row];
	const uint64_t count = r->op[2].kind == OPK_CL ? t->in.gpr[RCX] : t->i.imm;

	return r->map == ISA_M0F && (r->opcode & 0xf6) == 0xa4 && t->i.size == 2 && (count & 31) > 16;
}

/* 66 before a near branch in 64-bit mode: AMD truncates RIP, Intel ignores it (SDM vol. 2, Jcc; APM vol. 3, 1.2.7). */
static bool is_truncated_branch(const struct test_case *t)
{
	return t->code_size == 8 && (isa_rows[t->row].modes & ISA_MODE_F64) && (t->i.prefixes & PFX_OPSIZE);
}

/* With REX.W a far pointer in memory has 64 bits of offset; AMD's processors ignore it (APM vol. 3, LFS, JMP far). */
static bool is_wide_far_pointer(const struct test_case *t)
{
	return has_size(&isa_rows[t->row], OPS_p) && t->i.size == 8;
}

/*
 * FOP, FIP and FDP are saved only while an exception is pending, also by the kernel's context switch in the middle of a
 * case, and MXCSR_MASK has a bit more: tests/oracle knows about that.
 */
static bool is_state_save(const struct isa_row *r)
{
	if (r->feature == FEAT_FPU && (has_size(r, OPS_env) || has_size(r, OPS_fsv)) && r->op[0].access == OPA_W)
		return true;
	return r->map != ISA_M0 && ((r->feature == FEAT_FXSR && r->ext == 0) || (r->feature == FEAT_XSAVE && r->ext == 4) ||
				    r->feature == FEAT_XSAVEOPT || r->feature == FEAT_XSAVEC);
}

/* VPINSRD and VPEXTRD with W1 outside 64-bit mode: W is ignored (SDM vol. 2), AMD's #UD. */
static bool is_wide_insertion(const struct test_case *t)
{
	const struct isa_row *r = &isa_rows[t->row];
	unsigned n = 0;

	if (t->code_size == 8 || r->map != ISA_V0F3A || (r->opcode != 0x22 && r->opcode != 0x16))
		return false;
	while (t->code[n] != 0xc4)
		n++;
	return t->code[n + 2] & 0x80;
}

static bool is_foreign(const struct test_case *t)
{
	const struct isa_row *r = &isa_rows[t->row];

	/* MOVSXD with 66 reads four bytes. */
	if (t->row == ISA_MOVSXD_Gv_Ed && t->i.size == 2 && t->i.is_mem)
		return true;
	/* F2 and F3 change the sense of LOOPE and LOOPNE. */
	if ((t->row == ISA_LOOPE || t->row == ISA_LOOPNE) && (t->i.prefixes & (PFX_REP | PFX_REPNE)))
		return true;
	/* UD0 and UD1 have no ModRM byte that could be missing. */
	if ((t->row == ISA_UD0 || t->row == ISA_UD1) && visible_bytes(t) < t->length)
		return true;
	/* 0F 0D between registers is #UD, not a NOP. SHA wants no alignment. */
	return is_undefined_shift(t) || is_truncated_branch(t) || is_wide_far_pointer(t) || is_state_save(r) ||
	       is_wide_insertion(t) || t->row == ISA_NOP_0F0D || (r->feature == FEAT_SHA && t->i.is_mem);
}

static void make_same_fault(const struct outcome *from, struct outcome *to)
{
	to->vector = from->vector;
	to->error = from->error;
	to->cr2 = from->cr2;
}

/*
 * Which of several faults comes first. CMPS: AMD's begin with ES:rDI. CALL: with the stack, Intel's with the target.
 * Bit strings and gathers: AMD's fault if an address on the way is not canonical.
 */
static void forgive_order(const struct test_case *t, struct outcome *a, struct outcome *b)
{
	const struct isa_row *r = &isa_rows[t->row];
	const bool calls = t->row == ISA_CALL_Ev || t->row == ISA_CALL_Jz, cmps = t->row == ISA_CMPSB || t->row == ISA_CMPSV;
	const bool steps = has_operand(r, OPK_VS) || (r->map == ISA_M0F && (r->opcode & 0xe7) == 0xa3);

	if ((calls || cmps || steps) && a->s.rip == t->in.rip && b->s.rip == t->in.rip)
		make_same_fault(b, a);
}

static bool both_fault(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return a->s.rip == t->in.rip && b->s.rip == t->in.rip;
}

/* Instructions of several accesses to the stack. */
static bool has_frame(const struct test_case *t)
{
	switch (t->row) {
	case ISA_PUSHA: case ISA_POPA: case ISA_CALL_Ap: case ISA_CALL_Mp: case ISA_RETF: case ISA_RETF_Iw: case ISA_IRET:
	case ISA_ENTER:
		return true;
	default:
		return false;
	}
}

/* What they have stored or loaded before the access that faults is visible; the emulator does all or nothing. */
static bool is_partial_stack(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return has_frame(t) && both_fault(t, a, b);
}

/* An operand that wraps around at 4 GiB, or begins below the last canonical address and ends beyond it: a fault, but
 * which is not defined (SDM vol. 3, 5.3). */
static void forgive_wrap(const struct test_case *t, struct outcome *a, struct outcome *b)
{
	const uint64_t end = t->code_size == 8 ? 0x800000000000 : 0x100000000;
	const bool at_the_end = a->vector == VEC_PF && ((a->cr2 >= end - 0x100 && a->cr2 < end) || a->cr2 < 0x100);

	if (both_fault(t, a, b) && at_the_end)
		make_same_fault(b, a);
}

/* Elements of a masked load or store beyond 64 KiB, with 16-bit addresses: they wrap, or are over the limit. */
static bool is_masked_wrap(const struct test_case *t)
{
	const struct isa_row *r = &isa_rows[t->row];

	return r->map == ISA_V0F38 && t->i.asize == 2 && ((r->opcode & 0xfc) == 0x2c || (r->opcode & 0xfd) == 0x8c);
}

/* A far call or return between 64-bit and other code: AMD's use the stack's width of the one they go to. */
static bool is_mode_change(const struct test_case *t, const struct outcome *a)
{
	return has_frame(t) && a->s.seg[SEG_CS] != t->in.seg[SEG_CS] &&
	       (t->code_size == 8 || a->s.seg[SEG_CS] == USER_CODE64);
}

/*
 * A masked store whose mask leaves out the bytes that would fault may fault all the same (SDM vol. 2, MASKMOVDQU), and
 * AMD's MASKMOVQ has become an MMX instruction before it does.
 */
static bool is_masked_fault(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	const bool masked = t->row == ISA_MASKMOVQ || t->row == ISA_MASKMOVDQU || t->row == ISA_VMASKMOVDQU;

	return masked && (a->s.rip == t->in.rip || b->s.rip == t->in.rip);
}

/* Areas that are accessed piece by piece: it is not defined which of several faults is found, and at which byte. */
static void forgive_piece(const struct test_case *t, struct outcome *a, struct outcome *b)
{
	const struct isa_row *r = &isa_rows[t->row];
	const bool area = has_size(r, OPS_env) || has_size(r, OPS_fsv) || has_size(r, OPS_fx) ||
			  r->feature == FEAT_XSAVE || r->feature == FEAT_XSAVEOPT || r->feature == FEAT_XSAVEC;

	if (area && both_fault(t, a, b))
		make_same_fault(b, a);
}

/* Misaligned and out of its segment: either may be found first. */
static void forgive_alignment_order(const struct test_case *t, struct outcome *a, struct outcome *b)
{
	const bool either = (a->vector == VEC_GP || a->vector == VEC_SS) && (b->vector == VEC_GP || b->vector == VEC_SS);

	if (both_fault(t, a, b) && either && (isa_rows[t->row].attr & (ISA_SSEX | ISA_AVXX)))
		a->vector = b->vector;
}

/* The mask and the destination of a gather that faults: the SDM says which elements are done, AMD's keep the others. */
static void forgive_gather(const struct test_case *t, struct outcome *a, struct outcome *b)
{
	if (!has_operand(&isa_rows[t->row], OPK_VS) || !both_fault(t, a, b))
		return;
	memcpy(a->s.fx.xmm[t->i.vvvv], b->s.fx.xmm[t->i.vvvv], 16);
	memcpy(a->s.ymm_high[t->i.vvvv], b->s.ymm_high[t->i.vvvv], 16);
	memcpy(a->s.fx.xmm[t->i.reg], b->s.fx.xmm[t->i.reg], 16);
	memcpy(a->s.ymm_high[t->i.reg], b->s.ymm_high[t->i.reg], 16);
}

/* #AC for vectors is up to the processor (SDM vol. 2, MOVUPS); the emulator's have it for operands up to 8 bytes. */
static bool is_vector_alignment(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return (isa_rows[t->row].attr & (ISA_SSEX | ISA_AVXX)) && (a->vector == VEC_AC) != (b->vector == VEC_AC);
}

static bool is_undefined(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return is_partial_stack(t, a, b) || is_masked_fault(t, a, b) || is_vector_alignment(t, a, b);
}

bool forgive(const struct test_case *t, struct outcome *native, struct outcome *emulated)
{
	const bool intel = host_is_intel();

	if (is_undefined(t, native, emulated) || is_masked_wrap(t) || (!intel && (is_foreign(t) || is_mode_change(t, native))))
		return false;
	forget(native, t);
	forget(emulated, t);
	if (!intel) {
		/* Intel's convert first, and keep the flags if the store faults. */
		if (t->row == ISA_VCVTPS2PH && both_fault(t, native, emulated)) {
			make_same_fault(emulated, native);
			native->s.fx.mxcsr = emulated->s.fx.mxcsr;
		}
		forgive_order(t, native, emulated);
		forgive_gather(t, native, emulated);
	}
	forgive_piece(t, native, emulated);
	forgive_wrap(t, native, emulated);
	forgive_alignment_order(t, native, emulated);
	return true;
}
