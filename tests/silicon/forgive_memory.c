/* SPDX-License-Identifier: MIT */
/* What cannot be compared of memory: the emulator's is made like the processor's there. */
#include "silicon.h"
#include "tests/host/processor.h"
#include "tests/host/undefined.h"

#include <string.h>

static void leave_bytes(unsigned tier, uint64_t linear, unsigned bytes)
{
	for (unsigned n = 0; n < bytes; n++)
		if (is_ours(linear + n))
			*emulated_memory(tier, linear + n) = *native_memory(linear + n);
}

/* ---- x87 state: what FNSTENV, FNSAVE, FXSAVE and the XSAVEs store ------------------------------------------------ */

static bool is_environment(const struct isa_row *r)
{
	return r->feature == FEAT_FPU && (has_size(r, OPS_env) || has_size(r, OPS_fsv)) && r->op[0].access == OPA_W;
}

static bool is_fx(const struct isa_row *r)
{
	return r->map != ISA_M0 && ((r->feature == FEAT_FXSR && r->ext == 0) || (r->feature == FEAT_XSAVE && r->ext == 4) ||
				    r->feature == FEAT_XSAVEOPT || r->feature == FEAT_XSAVEC);
}

/* Also by FNSTENV: a context switch in the middle of the case may have lost them. */
static void leave_pointers(unsigned tier, const struct test_case *t, uint64_t linear)
{
	const bool narrow = t->i.size == 2;

	if (!point_leaves(PT_SAVED_POINTERS))
		return;
	if (is_fx(&isa_rows[t->row]))
		leave_bytes(tier, linear + 6, 18);
	else
		leave_bytes(tier, linear + (narrow ? 6 : 12), narrow ? 8 : 16);
}

static void leave_reserved(unsigned tier, const struct test_case *t, uint64_t linear)
{
	if (!point_doubted(PT_IMAGE_RESERVED))
		return;
	for (unsigned n = 0; n < IMAGE_BYTES; n++)
		if (is_reserved_byte(t->row, t->i.size == 2, n))
			leave_bytes(tier, linear + n, 1);
}

static void leave_image(unsigned tier, const struct test_case *t)
{
	const struct isa_row *r = &isa_rows[t->row];
	const uint64_t linear = operand_linear(t);

	if (!is_environment(r) && !is_fx(r))
		return;
	leave_pointers(tier, t, linear);
	leave_reserved(tier, t, linear);
	if (is_fx(r) && point_leaves(PT_MXCSR_BITS))
		leave_bytes(tier, linear + 28, 4);
}

/* ---- the stack ----------------------------------------------------------------------------------------------------- */

/* How far above the stack pointer a selector was pushed with 32 bits, or -1. */
static int pushed_selector(const struct test_case *t)
{
	if (t->i.size != 4)
		return -1;
	switch (t->row) {
	case ISA_PUSH_ES: case ISA_PUSH_CS: case ISA_PUSH_SS: case ISA_PUSH_DS: case ISA_PUSH_FS: case ISA_PUSH_GS:
		return 0;
	case ISA_CALL_Ap: case ISA_CALL_Mp:
		return 4;
	default:
		return -1;
	}
}

static void leave_selector(unsigned tier, const struct test_case *t, const struct outcome *native)
{
	const uint64_t mask = t->in.seg[SEG_SS] == LOCAL(LDT_STACK16) ? 0xffff : UINT64_MAX;
	const int at = pushed_selector(t);

	if (at < 0 || !point_leaves(PT_PUSHED_SELECTOR))
		return;
	leave_bytes(tier, segment_base(t, SEG_SS) + (native->s.gpr[RSP] & mask) + (unsigned)at + 2, 2);
}

void forgive_memory(unsigned tier, const struct test_case *t, const struct outcome *native, const struct outcome *emulated)
{
	if (native->s.rip == t->in.rip || emulated->s.rip == t->in.rip)
		return; /* nothing was stored */
	leave_image(tier, t);
	leave_selector(tier, t, native);
}
