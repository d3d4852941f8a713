/* SPDX-License-Identifier: MIT */
/* x87 arithmetic, comparison and transcendental instructions. */
#include "x87.h"

/* ---- two operands -------------------------------------------------------------------------------------- */

/* ST(dest) = ST0 op ST(i), where dest is 0 or i; then pops. */
static int arith(struct emu *e, const struct insn *i, fp_x87_fn *fn, bool to_st0, bool pop)
{
	struct x87 *f = &e->cpu.fpu;
	const unsigned n = i->rm & 7, dest = to_st0 ? 0 : n;
	struct fp_x87 x = { .st = { x87_get(f, 0), x87_get(f, n) }, .cw = f->cw };

	x87_note(e, i);
	if (x87_is_empty(f, 0) || x87_is_empty(f, n)) {
		if (x87_underflow(e, i))
			return 0;
		x87_set(f, dest, X87_INDEFINITE);
	} else {
		fn(&x);
		if (x87_finish(e, i, &x, X87_C1))
			return 0;
		x87_set(f, dest, x.st[to_st0 ? 0 : 1]);
	}
	if (pop)
		x87_pop(f);
	return 0;
}

/* ST0 = ST0 op memory */
static int arith_mem(struct emu *e, const struct insn *i, unsigned size, fp_x87_fn *fn)
{
	struct x87 *f = &e->cpu.fpu;
	struct fp_x87 x = { .st = { x87_get(f, 0) }, .cw = f->cw };

	if (emu_load(e, i, x.mem, size))
		return EMU_STOP;
	x87_note(e, i);
	if (x87_is_empty(f, 0)) {
		if (!x87_underflow(e, i))
			x87_set(f, 0, X87_INDEFINITE);
		return 0;
	}
	fn(&x);
	if (!x87_finish(e, i, &x, X87_C1))
		x87_set(f, 0, x.st[0]);
	return 0;
}

#define ARITH_SEM(op)                                                                                             \
	SEM(f##op##_st0_sti)                                                                                      \
	{                                                                                                         \
		return arith(e, i, fp_f##op, true, false);                                                        \
	}                                                                                                         \
	SEM(f##op##_sti_st0)                                                                                      \
	{                                                                                                         \
		return arith(e, i, fp_f##op##_rev, false, false);                                                 \
	}                                                                                                         \
	SEM(f##op##p)                                                                                             \
	{                                                                                                         \
		return arith(e, i, fp_f##op##_rev, false, true);                                                  \
	}                                                                                                         \
	SEM(f##op##_m32)                                                                                          \
	{                                                                                                         \
		return arith_mem(e, i, 4, fp_f##op##_m32);                                                        \
	}                                                                                                         \
	SEM(f##op##_m64)                                                                                          \
	{                                                                                                         \
		return arith_mem(e, i, 8, fp_f##op##_m64);                                                        \
	}                                                                                                         \
	SEM(fi##op##_m16)                                                                                         \
	{                                                                                                         \
		return arith_mem(e, i, 2, fp_fi##op##_m16);                                                       \
	}                                                                                                         \
	SEM(fi##op##_m32)                                                                                         \
	{                                                                                                         \
		return arith_mem(e, i, 4, fp_fi##op##_m32);                                                       \
	}
ARITH_SEM(add)
ARITH_SEM(mul)
ARITH_SEM(sub)
ARITH_SEM(subr)
ARITH_SEM(div)
ARITH_SEM(divr)

/* ---- comparison ---------------------------------------------------------------------------------------- */

/* Compares ST0 with `other` (or with memory, already in x->mem) and pops `pops` registers. C1 is cleared. */
static int compare(struct emu *e, const struct insn *i, struct fp_x87 *x, fp_x87_fn *fn, bool empty, unsigned pops)
{
	struct x87 *f = &e->cpu.fpu;

	x87_note(e, i);
	if (empty) {
		/* "Unordered", whether or not the exception is masked. */
		x87_cc(f, X87_C0 | X87_C2 | X87_C3, X87_C0 | X87_C2 | X87_C3);
		if (x87_underflow(e, i))
			return 0;
	} else {
		fn(x);
		if (x87_finish(e, i, x, X87_CC))
			return 0;
	}
	while (pops--)
		x87_pop(f);
	return 0;
}

static int compare_reg(struct emu *e, const struct insn *i, unsigned n, fp_x87_fn *fn, unsigned pops)
{
	struct x87 *f = &e->cpu.fpu;
	struct fp_x87 x = { .st = { x87_get(f, 0), x87_get(f, n) }, .cw = f->cw };

	return compare(e, i, &x, fn, x87_is_empty(f, 0) || x87_is_empty(f, n), pops);
}

static int compare_mem(struct emu *e, const struct insn *i, unsigned size, fp_x87_fn *fn, unsigned pops)
{
	struct x87 *f = &e->cpu.fpu;
	struct fp_x87 x = { .st = { x87_get(f, 0) }, .cw = f->cw };

	if (emu_load(e, i, x.mem, size))
		return EMU_STOP;
	return compare(e, i, &x, fn, x87_is_empty(f, 0), pops);
}

#define COMPARE_REG_SEM(name, fn, n, pops)                                                                        \
	SEM(name)                                                                                                 \
	{                                                                                                         \
		return compare_reg(e, i, n, fn, pops);                                                            \
	}
COMPARE_REG_SEM(fcom, fp_fcom, i->rm & 7, 0)
COMPARE_REG_SEM(fcomp, fp_fcom, i->rm & 7, 1)
COMPARE_REG_SEM(fcompp, fp_fcom, 1, 2)
COMPARE_REG_SEM(fucom, fp_fucom, i->rm & 7, 0)
COMPARE_REG_SEM(fucomp, fp_fucom, i->rm & 7, 1)
COMPARE_REG_SEM(fucompp, fp_fucom, 1, 2)

#define COMPARE_MEM_SEM(name, fn, size, pops)                                                                     \
	SEM(name)                                                                                                 \
	{                                                                                                         \
		return compare_mem(e, i, size, fn, pops);                                                         \
	}
COMPARE_MEM_SEM(fcom_m32, fp_fcom_m32, 4, 0)
COMPARE_MEM_SEM(fcomp_m32, fp_fcom_m32, 4, 1)
COMPARE_MEM_SEM(fcom_m64, fp_fcom_m64, 8, 0)
COMPARE_MEM_SEM(fcomp_m64, fp_fcom_m64, 8, 1)
COMPARE_MEM_SEM(ficom_m16, fp_ficom_m16, 2, 0)
COMPARE_MEM_SEM(ficomp_m16, fp_ficom_m16, 2, 1)
COMPARE_MEM_SEM(ficom_m32, fp_ficom_m32, 4, 0)
COMPARE_MEM_SEM(ficomp_m32, fp_ficom_m32, 4, 1)

/* FCOMI, FUCOMI: the outcome goes to ZF PF CF; condition codes stay, but for C1 of a stack fault. */
static int compare_flags(struct emu *e, const struct insn *i, fp_x87_fn *fn, bool pop)
{
	struct x87 *f = &e->cpu.fpu;
	const unsigned n = i->rm & 7;
	struct fp_x87 x = { .st = { x87_get(f, 0), x87_get(f, n) }, .cw = f->cw };
	bool stop;

	x87_note(e, i);
	x.eflags = RFLAGS_ZF | RFLAGS_PF | RFLAGS_CF;
	if (x87_is_empty(f, 0) || x87_is_empty(f, n)) {
		stop = x87_underflow(e, i);
	} else {
		fn(&x);
		stop = x87_finish(e, i, &x, 0);
	}
	/* An unmasked exception keeps only the pop from happening. */
	emu_flags_set(e, RFLAGS_ARITH, x.eflags & (RFLAGS_ZF | RFLAGS_PF | RFLAGS_CF));
	if (pop && !stop)
		x87_pop(f);
	return 0;
}

SEM(fcomi)
{
	return compare_flags(e, i, fp_fcomi, false);
}

SEM(fcomip)
{
	return compare_flags(e, i, fp_fcomi, true);
}

SEM(fucomi)
{
	return compare_flags(e, i, fp_fucomi, false);
}

SEM(fucomip)
{
	return compare_flags(e, i, fp_fucomi, true);
}

SEM(ftst)
{
	return compare_reg(e, i, 0, fp_ftst, 0);
}

/* FXAM classifies any register, an empty one too: C3 C2 C0 = 101, C1 the sign. */
SEM(fxam)
{
	struct x87 *f = &e->cpu.fpu;
	struct fp_x87 x = { .st = { x87_get(f, 0) }, .cw = f->cw };

	x87_note(e, i);
	fp_fxam(&x);
	if (x87_is_empty(f, 0))
		x.sw = (uint16_t)(X87_C3 | X87_C0 | (x.sw & X87_C1));
	x87_cc(f, X87_CC, x.sw);
	return 0;
}

/* ---- functions of one or two stack registers ----------------------------------------------------------- */

static bool is_nan(const struct x87_reg *r)
{
	return (r->se & 0x7fff) == 0x7fff && r->sig << 1 != 0;
}

/*
 * Takes `in` registers off the stack and puts `out` back. The provider's depth tells what happened: a
 * result, or operands left alone (unmasked exception, C2 = out of range).
 */
static int function(struct emu *e, const struct insn *i, fp_x87_fn *fn, unsigned in, unsigned out, unsigned cc)
{
	struct x87 *f = &e->cpu.fpu;
	struct fp_x87 x = { .st = { x87_get(f, 0), x87_get(f, 1) }, .cw = f->cw };
	const bool underflow = x87_is_empty(f, 0) || (in == 2 && x87_is_empty(f, 1));

	x87_note(e, i);
	if (underflow || (out > in && !x87_is_empty(f, 7))) {
		x87_cc(f, cc & X87_C2, 0);
		if (underflow ? x87_underflow(e, i) : x87_overflow(e, i))
			return 0;
		x.st[0] = X87_INDEFINITE;
		x.st[1] = in == 1 ? X87_INDEFINITE : x.st[1];
		x.depth = (uint16_t)out;
	} else {
		fn(&x);
		/* FPREM gives no quotient bits with a NaN or a fault: C0 and C3 stay as they were. */
		if (cc == X87_CC && ((x.sw & X87_IE) || (x.sw & ~x.cw & X87_PRE) || is_nan(&x.st[0])))
			cc = X87_C1 | X87_C2;
		x87_finish(e, i, &x, cc);
	}
	if (x.depth != out)
		return 0;
	if (out < in)
		x87_pop(f);
	if (out > in)
		x87_rotate(f, -1);
	x87_set(f, 0, x.st[0]);
	if (out > in)
		x87_set(f, 1, x.st[1]);
	return 0;
}

#define FUNCTION_SEM(name, in, out, cc)                                                                           \
	SEM(name)                                                                                                 \
	{                                                                                                         \
		return function(e, i, fp_##name, in, out, cc);                                                    \
	}
FUNCTION_SEM(fsqrt, 1, 1, X87_C1)
FUNCTION_SEM(frndint, 1, 1, X87_C1)
FUNCTION_SEM(f2xm1, 1, 1, X87_C1)
FUNCTION_SEM(fsin, 1, 1, X87_C1 | X87_C2)
FUNCTION_SEM(fcos, 1, 1, X87_C1 | X87_C2)
FUNCTION_SEM(fsincos, 1, 2, X87_C1 | X87_C2)
FUNCTION_SEM(fptan, 1, 2, X87_C1 | X87_C2)
FUNCTION_SEM(fxtract, 1, 2, X87_C1)
FUNCTION_SEM(fpatan, 2, 1, X87_C1)
FUNCTION_SEM(fyl2x, 2, 1, X87_C1)
FUNCTION_SEM(fyl2xp1, 2, 1, X87_C1)
FUNCTION_SEM(fscale, 2, 2, X87_C1)
FUNCTION_SEM(fprem, 2, 2, X87_CC)
FUNCTION_SEM(fprem1, 2, 2, X87_CC)

/* FCHS, FABS touch only the sign, whatever the register holds. */
static int set_sign(struct emu *e, const struct insn *i, uint16_t keep, uint16_t flip)
{
	struct x87 *f = &e->cpu.fpu;
	struct x87_reg r = x87_get(f, 0);

	x87_note(e, i);
	if (x87_is_empty(f, 0)) {
		if (!x87_underflow(e, i))
			x87_set(f, 0, X87_INDEFINITE);
		return 0;
	}
	r.se = (uint16_t)((r.se & keep) ^ flip);
	x87_set(f, 0, r);
	x87_cc(f, X87_C1, 0);
	return 0;
}

SEM(fchs)
{
	return set_sign(e, i, 0xffff, 0x8000);
}

SEM(fabs)
{
	return set_sign(e, i, 0x7fff, 0);
}
