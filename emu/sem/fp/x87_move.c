/* SPDX-License-Identifier: MIT */
/* x87 loads, stores, constants, exchanges, conditional moves and stack management. */
#include "x87.h"

/* ---- loads --------------------------------------------------------------------------------------------- */

/* Pushes a value that needs no conversion. */
static int push(struct emu *e, const struct insn *i, bool source_empty, struct x87_reg value)
{
	struct x87 *f = &e->cpu.fpu;
	const bool full = !x87_is_empty(f, 7);

	x87_note(e, i);
	x87_cc(f, X87_C1, 0);
	if (source_empty || full) {
		if (source_empty ? x87_underflow(e, i) : x87_overflow(e, i))
			return 0;
		value = X87_INDEFINITE;
	}
	x87_push(f, value);
	return 0;
}

/* Pushes what the provider makes of memory or of nothing (constants). An unmasked exception pushes nothing. */
static int load(struct emu *e, const struct insn *i, unsigned size, fp_x87_fn *fn)
{
	struct x87 *f = &e->cpu.fpu;
	struct fp_x87 x = { .cw = f->cw };

	if (size && emu_load(e, i, x.mem, size))
		return EMU_STOP;
	if (!x87_is_empty(f, 7))
		return push(e, i, false, X87_INDEFINITE);
	x87_note(e, i);
	fn(&x);
	x87_finish(e, i, &x, X87_C1);
	if (x.depth == 1)
		x87_push(f, x.st[0]);
	return 0;
}

#define LOAD_SEM(name, size)                                                                                      \
	SEM(name)                                                                                                 \
	{                                                                                                         \
		return load(e, i, size, fp_##name);                                                               \
	}
LOAD_SEM(fld_m32, 4)
LOAD_SEM(fld_m64, 8)
LOAD_SEM(fild_m16, 2)
LOAD_SEM(fild_m32, 4)
LOAD_SEM(fild_m64, 8)
LOAD_SEM(fbld, 10)
LOAD_SEM(fld1, 0)
LOAD_SEM(fldl2t, 0)
LOAD_SEM(fldl2e, 0)
LOAD_SEM(fldpi, 0)
LOAD_SEM(fldlg2, 0)
LOAD_SEM(fldln2, 0)
LOAD_SEM(fldz, 0)

SEM(fld_m80)
{
	struct x87_reg r = { 0 };

	if (emu_load(e, i, &r, 10))
		return EMU_STOP;
	return push(e, i, false, r);
}

SEM(fld_sti)
{
	const struct x87 *f = &e->cpu.fpu;

	return push(e, i, x87_is_empty(f, i->rm & 7), x87_get(f, i->rm & 7));
}

/* ---- stores to memory ---------------------------------------------------------------------------------- */

/* Also a store that an unmasked exception suppresses finds out first whether its page is writable. */
static int store_or_probe(struct emu *e, const struct insn *i, bool really, const void *data, unsigned size)
{
	uint64_t linear;

	if (really)
		return emu_store(e, i, data, size);
	return emu_linear(e, i, size, true, &linear) ? EMU_STOP : emu_probe_write(e, i->seg, linear, size);
}

/*
 * Stores ST0 converted by fn; `indefinite` is what an empty register stores. The store comes first, since
 * it may fault; flags and stack change after it. An unmasked IE, OE or UE stores nothing and does not pop.
 */
static int store(struct emu *e, const struct insn *i, unsigned size, fp_x87_fn *fn, const void *indefinite, bool pop)
{
	struct x87 *f = &e->cpu.fpu;
	struct fp_x87 x = { .st = { x87_get(f, 0) }, .cw = f->cw };

	if (x87_is_empty(f, 0)) {
		if (store_or_probe(e, i, f->cw & X87_IE, indefinite, size))
			return EMU_STOP;
		x87_note(e, i);
		if (x87_underflow(e, i))
			return 0;
	} else {
		fn(&x);
		if (store_or_probe(e, i, x.depth == 0, x.mem, size))
			return EMU_STOP;
		x87_note(e, i);
		x87_finish(e, i, &x, X87_C1);
		if (x.depth != 0)
			return 0;
	}
	if (pop)
		x87_pop(f);
	return 0;
}

static const uint32_t indefinite_m32 = 0xffc00000;
static const uint64_t indefinite_m64 = 0xfff8000000000000;
static const uint16_t indefinite_i16 = 0x8000;
static const uint32_t indefinite_i32 = 0x80000000;
static const uint64_t indefinite_i64 = 0x8000000000000000;
static const uint8_t indefinite_bcd[10] = { [7] = 0xc0, [8] = 0xff, [9] = 0xff };

#define STORE_SEM(name, fn, size, indefinite, pop)                                                                \
	SEM(name)                                                                                                 \
	{                                                                                                         \
		return store(e, i, size, fp_##fn, indefinite, pop);                                               \
	}
STORE_SEM(fst_m32, fstp_m32, 4, &indefinite_m32, false)
STORE_SEM(fstp_m32, fstp_m32, 4, &indefinite_m32, true)
STORE_SEM(fst_m64, fstp_m64, 8, &indefinite_m64, false)
STORE_SEM(fstp_m64, fstp_m64, 8, &indefinite_m64, true)
STORE_SEM(fist_m16, fistp_m16, 2, &indefinite_i16, false)
STORE_SEM(fistp_m16, fistp_m16, 2, &indefinite_i16, true)
STORE_SEM(fist_m32, fistp_m32, 4, &indefinite_i32, false)
STORE_SEM(fistp_m32, fistp_m32, 4, &indefinite_i32, true)
STORE_SEM(fistp_m64, fistp_m64, 8, &indefinite_i64, true)
STORE_SEM(fisttp_m16, fisttp_m16, 2, &indefinite_i16, true)
STORE_SEM(fisttp_m32, fisttp_m32, 4, &indefinite_i32, true)
STORE_SEM(fisttp_m64, fisttp_m64, 8, &indefinite_i64, true)
STORE_SEM(fbstp, fbstp, 10, indefinite_bcd, true)

SEM(fstp_m80)
{
	struct x87 *f = &e->cpu.fpu;
	const bool empty = x87_is_empty(f, 0);
	const struct x87_reg r = empty ? X87_INDEFINITE : x87_get(f, 0);

	if (store_or_probe(e, i, !empty || (f->cw & X87_IE), &r, 10))
		return EMU_STOP;
	x87_note(e, i);
	x87_cc(f, X87_C1, 0);
	if (!empty || !x87_underflow(e, i))
		x87_pop(f);
	return 0;
}

/* ---- registers ----------------------------------------------------------------------------------------- */

static int store_reg(struct emu *e, const struct insn *i, bool pop)
{
	struct x87 *f = &e->cpu.fpu;
	struct x87_reg r = x87_get(f, 0);

	x87_note(e, i);
	x87_cc(f, X87_C1, 0);
	if (x87_is_empty(f, 0)) {
		if (x87_underflow(e, i))
			return 0;
		r = X87_INDEFINITE;
	}
	x87_set(f, i->rm & 7, r);
	if (pop)
		x87_pop(f);
	return 0;
}

SEM(fst_sti)
{
	return store_reg(e, i, false);
}

SEM(fstp_sti)
{
	return store_reg(e, i, true);
}

/* D9 D8+i, undocumented: FSTP that does not mind an empty ST0. */
SEM(fstpnce)
{
	struct x87 *f = &e->cpu.fpu;

	x87_note(e, i);
	x87_cc(f, X87_C1, 0);
	if (!x87_is_empty(f, 0))
		x87_set(f, i->rm & 7, x87_get(f, 0));
	x87_pop(f);
	return 0;
}

SEM(fxch)
{
	struct x87 *f = &e->cpu.fpu;
	const unsigned n = i->rm & 7;
	struct x87_reg a = x87_get(f, 0), b = x87_get(f, n);

	x87_note(e, i);
	x87_cc(f, X87_C1, 0);
	if (x87_is_empty(f, 0) || x87_is_empty(f, n)) {
		if (x87_underflow(e, i))
			return 0;
		a = x87_is_empty(f, 0) ? X87_INDEFINITE : a;
		b = x87_is_empty(f, n) ? X87_INDEFINITE : b;
	}
	x87_set(f, 0, b);
	x87_set(f, n, a);
	return 0;
}

/* FCMOVcc: the register check does not depend on the condition. */
static int cmov(struct emu *e, const struct insn *i, uint64_t flags, bool if_set)
{
	struct x87 *f = &e->cpu.fpu;
	const unsigned n = i->rm & 7;

	x87_note(e, i);
	if (x87_is_empty(f, 0) || x87_is_empty(f, n)) {
		if (!x87_underflow(e, i))
			x87_set(f, 0, X87_INDEFINITE);
		return 0;
	}
	if (((emu_flags_get(e) & flags) != 0) == if_set)
		x87_set(f, 0, x87_get(f, n));
	return 0;
}

#define CMOV_SEM(name, flags, if_set)                                                                             \
	SEM(name)                                                                                                 \
	{                                                                                                         \
		return cmov(e, i, flags, if_set);                                                                 \
	}
CMOV_SEM(fcmovb, RFLAGS_CF, true)
CMOV_SEM(fcmove, RFLAGS_ZF, true)
CMOV_SEM(fcmovbe, RFLAGS_CF | RFLAGS_ZF, true)
CMOV_SEM(fcmovu, RFLAGS_PF, true)
CMOV_SEM(fcmovnb, RFLAGS_CF, false)
CMOV_SEM(fcmovne, RFLAGS_ZF, false)
CMOV_SEM(fcmovnbe, RFLAGS_CF | RFLAGS_ZF, false)
CMOV_SEM(fcmovnu, RFLAGS_PF, false)

SEM(fincstp)
{
	x87_note(e, i);
	x87_cc(&e->cpu.fpu, X87_C1, 0);
	x87_rotate(&e->cpu.fpu, 1);
	return 0;
}

SEM(fdecstp)
{
	x87_note(e, i);
	x87_cc(&e->cpu.fpu, X87_C1, 0);
	x87_rotate(&e->cpu.fpu, -1);
	return 0;
}

SEM(ffree)
{
	x87_note(e, i);
	x87_cc(&e->cpu.fpu, X87_C1, 0);
	x87_free(&e->cpu.fpu, i->rm & 7);
	return 0;
}

/* DF C0+i, undocumented: FFREE and pop. */
SEM(ffreep)
{
	x87_note(e, i);
	x87_cc(&e->cpu.fpu, X87_C1, 0);
	x87_free(&e->cpu.fpu, i->rm & 7);
	x87_pop(&e->cpu.fpu);
	return 0;
}
