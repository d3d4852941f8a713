/* SPDX-License-Identifier: MIT */
/* What cannot be compared of x87 state: in registers, and in what FNSTENV, FNSAVE, FXSAVE and the XSAVEs store. */
#include "silicon.h"
#include "tests/host/processor.h"
#include "tests/host/undefined.h"

#include <string.h>

enum { SW_ES = 0x80, MXCSR_ALL = 0xffff };
/* The 28 bytes of FNSTENV (SDM vol. 1, figure 8-9), and those of FXSAVE. */
enum { ENV_SW = 4, ENV_FIP = 12, ENV_FCS = 16, ENV_FOP = 18, ENV_FDP = 20, ENV_FDS = 24, ENV_BYTES = 28, FX_FOP = 6, FX_POINTERS = 8, FX_MXCSR_MASK = 28 };

/* The emulator's own FIP: 48 bits, sign-extended (emu/sem/fp/xsave.c). */
#define EMULATED_FIP ((1ull << 48) - 1)

static bool has_environment(const struct test_case *t, const struct outcome *o)
{
	return t->bytes > t->length && o->s.rip == t->in.rip + t->bytes;
}

/* The status word as the instruction left it. */
static uint16_t status(const struct test_case *t, const struct outcome *o)
{
	uint16_t sw;

	if (!has_environment(t, o))
		return o->s.fx.sw;
	memcpy(&sw, native_memory(ENVIRONMENT + ENV_SW), sizeof(sw));
	return sw;
}

/* A non-control instruction went by, whose address is in FIP now, without an unmasked exception: FOP and FDP have to be as
 * before. */
static bool is_noted(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	return (isa_rows[t->row].attr & ISA_FP) && b->s.fx.fip == t->in.rip && !(status(t, a) & SW_ES);
}

/* ---- registers ------------------------------------------------------------------------------------------------- */

static void mask_pointers(struct state *s, uint64_t fip, uint64_t fdp)
{
	s->fx.fip &= fip;
	s->fx.fdp &= fdp;
}

static void leave_pointer_width(const struct test_case *t, struct outcome *a, struct outcome *b)
{
	isa_semantic *const sem = isa_rows[t->row].sem;
	uint64_t fip, fdp;

	if (sem != sem_fxrstor && sem != sem_xrstor)
		return;
	fip = point_fip_mask() & EMULATED_FIP;
	fdp = point_fdp_mask();
	mask_pointers(&a->s, fip, fdp);
	mask_pointers(&b->s, fip, fdp);
}

static bool loads_pointers(const struct isa_row *r)
{
	return r->sem == sem_fxrstor || r->sem == sem_xrstor || r->sem == sem_fldenv || r->sem == sem_frstor;
}

/* Are the pointers those that the case was to begin with? FXRSTOR and XRSTOR may not have loaded them. */
static bool is_older(const struct test_case *t, uint16_t sw, uint64_t fip)
{
	const bool newer = loads_pointers(&isa_rows[t->row]) || (uint32_t)fip == (uint32_t)t->in.rip;

	return !(t->in.fx.sw & SW_ES) && !((sw & SW_ES) && newer);
}

static bool has_same_pointers(const struct state *a, const struct state *b)
{
	return a->fx.fop == b->fx.fop && a->fx.fip == b->fx.fip && a->fx.fdp == b->fx.fdp;
}

static void take_pointers(struct state *to, const struct fximage *from)
{
	to->fx.fop = from->fop;
	to->fx.fip = from->fip;
	to->fx.fdp = from->fdp;
}

/* As a signal frame has them, which the system's XSAVE has written. With an exception pending all processors save them. */
static void forgive_pointers(const struct test_case *t, struct outcome *a, struct outcome *b)
{
	leave_pointer_width(t, a, b);
	if (has_same_pointers(&a->s, &b->s))
		return;
	if ((!(a->s.fx.sw & SW_ES) && point_leaves(PT_SAVED_POINTERS)) ||
	    (is_older(t, a->s.fx.sw, a->s.fx.fip) && point_leaves(PT_RESTORED_POINTERS))) {
		take_pointers(&a->s, &b->s.fx);
		return;
	}
	if (!is_noted(t, a, b))
		return;
	if (point_leaves(PT_NOTED_FOP))
		a->s.fx.fop = t->in.fx.fop;
	if (point_leaves(PT_NOTED_FDP))
		a->s.fx.fdp = t->in.fx.fdp;
}

/* C0, C2 and C3 after what defines none of them: not comparisons, remainders, FXAM, what loads them. */
static void forgive_codes(const struct test_case *t, struct outcome *a, struct outcome *b)
{
	const uint16_t codes = x87_undefined_codes(t->row);

	if (!codes || !point_doubted(PT_X87_CODES))
		return;
	a->s.fx.sw &= (uint16_t)~codes;
	b->s.fx.sw &= (uint16_t)~codes;
}

static void forgive_partial_restore(const struct test_case *t, const struct outcome *a, struct outcome *b)
{
	if (isa_rows[t->row].sem == sem_xrstor && a->s.rip == t->in.rip && b->s.rip == t->in.rip && a->vector == VEC_GP &&
	    point_leaves(PT_PARTIAL_RESTORE))
		b->s.fx = a->s.fx;
}

void forgive_x87(const struct test_case *t, struct outcome *native, struct outcome *emulated)
{
	forgive_codes(t, native, emulated);
	forgive_partial_restore(t, native, emulated);
	forgive_pointers(t, native, emulated);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static bool is_environment(const struct isa_row *r)
{
	return r->feature == FEAT_FPU && (has_size(r, OPS_env) || has_size(r, OPS_fsv)) && r->op[0].access == OPA_W;
}

static bool is_fx(const struct isa_row *r)
{
	return r->map != ISA_M0 && ((r->feature == FEAT_FXSR && r->ext == 0) || (r->feature == FEAT_XSAVE && r->ext == 4) ||
				    r->feature == FEAT_XSAVEOPT || r->feature == FEAT_XSAVEC);
}

/* The processor's side is what the manual says. */
static void expect(uint64_t linear, const void *data, unsigned bytes)
{
	for (unsigned n = 0; n < bytes; n++)
		if (is_ours(linear + n))
			*native_memory(linear + n) = ((const uint8_t *)data)[n];
}

/* SDM vol. 1, 10.5.1: with or without an exception, the pointers of the state before. Selectors are zero. */
static void expect_saved_pointers(const struct test_case *t, uint64_t linear)
{
	const bool x87 = isa_rows[t->row].feature == FEAT_FXSR || (t->in.gpr[RAX] & 1), wide = t->i.prefixes & PFX_REX_W;
	const struct fximage *fx = &t->in.fx;
	const uint64_t pointers[2] = { wide ? fx->fip : (uint32_t)fx->fip, wide ? fx->fdp : (uint32_t)fx->fdp };

	if (!x87 || (fx->sw & SW_ES) || !point_leaves(PT_SAVED_POINTERS))
		return;
	expect(linear + FX_FOP, &fx->fop, sizeof(fx->fop));
	expect(linear + FX_POINTERS, pointers, sizeof(pointers));
}

/* XSAVE may have been told to leave it alone. */
static void expect_mxcsr_mask(unsigned tier, uint64_t linear)
{
	const uint32_t all = MXCSR_ALL, here = processor()->mxcsr_mask;
	uint8_t stored[sizeof(here)];

	for (unsigned n = 0; n < sizeof(stored); n++)
		stored[n] = is_ours(linear + n) ? *native_memory(linear + n) : 0;
	if (memcmp(stored, &here, sizeof(here)) == 0 && (here & ~all) && point_leaves(PT_MXCSR_BITS))
		expect(linear, &all, sizeof(all));
	else if (point_doubted(PT_MXCSR_BITS))
		leave_bytes(tier, linear, sizeof(all));
}

/* By FNSTENV or FNSAVE. */
static void leave_older_pointers(unsigned tier, const struct test_case *t, uint64_t linear, bool narrow)
{
	if (!(t->in.fx.sw & SW_ES) && point_leaves(PT_RESTORED_POINTERS))
		leave_bytes(tier, linear + (narrow ? 6 : ENV_FIP), narrow ? 8 : 16);
}

static void leave_reserved(unsigned tier, unsigned row, bool narrow, uint64_t linear)
{
	if (!point_doubted(PT_IMAGE_RESERVED))
		return;
	for (unsigned n = 0; n < IMAGE_BYTES; n++)
		if (is_reserved_byte(row, narrow, n))
			leave_bytes(tier, linear + n, 1);
}

static void forgive_image(unsigned tier, const struct test_case *t)
{
	const struct isa_row *r = &isa_rows[t->row];
	const uint64_t linear = operand_linear(t);

	if (is_fx(r)) {
		expect_saved_pointers(t, linear);
		expect_mxcsr_mask(tier, linear + FX_MXCSR_MASK);
	} else if (is_environment(r)) {
		leave_older_pointers(tier, t, linear, t->i.size == 2);
	} else {
		return;
	}
	leave_reserved(tier, t->row, t->i.size == 2, linear);
}

/* Some processors keep FCS and FDS; the emulated one reports that it does not (CPUID.7.EBX[13]), and stores zeroes. */
static void expect_no_selectors(void)
{
	const uint16_t none = 0;

	expect(ENVIRONMENT + ENV_FCS, &none, sizeof(none));
	expect(ENVIRONMENT + ENV_FDS, &none, sizeof(none));
}

/* What the FNSTENV behind the instruction tells. */
static void forgive_environment(unsigned tier, const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
	const uint16_t codes = x87_undefined_codes(t->row);
	const enum point open = open_result(t->row, t->i.size);
	const bool noted = is_noted(t, a, b);
	uint32_t fip;

	expect_no_selectors();
	if (open != POINT_COUNT && point_doubted(open))
		leave_bytes(tier, ENVIRONMENT, ENV_BYTES);
	if (noted && point_leaves(PT_NOTED_FOP))
		expect(ENVIRONMENT + ENV_FOP, &t->in.fx.fop, 2);
	if (noted && point_leaves(PT_NOTED_FDP))
		expect(ENVIRONMENT + ENV_FDP, &t->in.fx.fdp, 4);
	if (codes && point_doubted(PT_X87_CODES))
		leave_bytes(tier, ENVIRONMENT + ENV_SW, 2);
	memcpy(&fip, native_memory(ENVIRONMENT + ENV_FIP), sizeof(fip));
	if (is_older(t, status(t, a), fip))
		leave_older_pointers(tier, t, ENVIRONMENT, false);
	leave_reserved(tier, ISA_FNSTENV, false, ENVIRONMENT);
}

void forgive_x87_memory(unsigned tier, const struct test_case *t, const struct outcome *native, const struct outcome *emulated)
{
	forgive_image(tier, t);
	if (has_environment(t, native) && has_environment(t, emulated))
		forgive_environment(tier, t, native, emulated);
}
