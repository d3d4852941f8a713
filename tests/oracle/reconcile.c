/* SPDX-License-Identifier: MIT */
/* What a comparison leaves out: a difference that we know of, and those of the other vendor's processors. */
#include "oracle.h"
#include "vendor.h"

#include <string.h>

/* A faulting XRSTOR (MXCSR with reserved bits) may have restored something; the emulator never has. */
static void forgive_partial_restore(const struct test_case *t, const struct state *a, struct state *b)
{
	const struct isa_row *r = &isa_rows[t->row];

	if (a->vector == VEC_GP && b->vector == VEC_GP && r->feature == FEAT_XSAVE && r->ext == 5)
		b->fx = a->fx;
}

/* ---- the other vendor ---------------------------------------------------------------------------------- */

enum { SW_ES = 0x80, MXCSR_MM = 1 << 17, XCR0_X87 = 1 };

static void keep_pointers(struct state *s, uint64_t fop, uint64_t fip, uint64_t fdp)
{
	s->fx.fop &= (uint16_t)fop;
	s->fx.fip &= fip;
	s->fx.fdp &= fdp;
}

/* What could not be observed is not compared. */
static void leave_untold(struct state *a, struct state *b)
{
	const uint64_t told = a->told;

	if (told == UINT64_MAX || !vendor_leaves(told ? VD_POINTER_HALVES : VD_SAVED_POINTERS))
		return;
	keep_pointers(a, told, told, told);
	keep_pointers(b, told, told, told);
}

static void leave_pointer_width(const struct test_case *t, struct state *a, struct state *b)
{
	isa_semantic *const sem = isa_rows[t->row].sem;
	const uint64_t fip = (1ull << 48) - 1, fdp = (1ull << 57) - 1;

	if ((sem != sem_fxrstor && sem != sem_xrstor) || a->told != UINT64_MAX || !vendor_leaves(VD_POINTER_WIDTH))
		return;
	keep_pointers(a, UINT64_MAX, fip, fdp);
	keep_pointers(b, UINT64_MAX, fip, fdp);
}

/* A non-control instruction went by, whose address is in FIP now, without an unmasked exception: FOP and FDP have to be
 * as before. */
static void leave_fop_fdp(const struct test_case *t, struct state *a, const struct state *b)
{
	const bool noted = (isa_rows[t->row].attr & ISA_FP) && b->fx.fip == (uintptr_t)oracle_code;

	if (!noted || (a->fx.sw & SW_ES) || !vendor_leaves(VD_FOP_FDP))
		return;
	a->fx.fop = t->in.fx.fop;
	a->fx.fdp = t->in.fx.fdp;
}

/* The image that a save instruction has written to [RSI]; NULL if this is none, or nothing was written. */
static uint8_t *saved_image(const struct test_case *t, struct state *a)
{
	isa_semantic *const sem = isa_rows[t->row].sem;

	if (a->vector != NO_FAULT || (sem != sem_fxsave && sem != sem_xsave && sem != sem_xsaveopt && sem != sem_xsavec))
		return NULL;
	return a->window + (t->in.gpr[RSI] - (uintptr_t)oracle_window);
}

static bool has_rex_w(const struct test_case *t)
{
	for (unsigned n = 0; n < t->length && t->code[n] != 0x0f; n++)
		if ((t->code[n] & 0xf8) == 0x48)
			return true;
	return false;
}

/* SDM vol. 1, 10.5.1: with or without an exception, the pointers of the state before. Selectors are zero. */
static void leave_saved_pointers(const struct test_case *t, struct state *a)
{
	const bool wide = has_rex_w(t), x87 = isa_rows[t->row].sem == sem_fxsave || (t->in.gpr[RAX] & XCR0_X87);
	const struct fximage *fx = &t->in.fx;
	uint8_t *image = saved_image(t, a);
	const uint64_t pointers[2] = { wide ? fx->fip : (uint32_t)fx->fip, wide ? fx->fdp : (uint32_t)fx->fdp };

	if (!image || !x87 || (fx->sw & SW_ES) || !vendor_leaves(VD_SAVED_POINTERS))
		return;
	memcpy(image + 6, &fx->fop, sizeof(fx->fop));
	memcpy(image + 8, pointers, sizeof(pointers));
}

/* The manual's rule is that the instruction faults, and changes nothing. */
static void expect_gp(const struct test_case *t, struct state *a)
{
	const uint64_t told = a->told;

	*a = t->in;
	a->vector = VEC_GP;
	a->told = told;
}

/* MXCSR_MASK of saved images; what loads an MXCSR with the bit set. */
static void leave_misaligned_mask(const struct test_case *t, struct state *a)
{
	uint8_t *image = saved_image(t, a);
	uint32_t mask = 0;

	if (image)
		memcpy(&mask, image + 28, sizeof(mask));
	if (mask == (0xffff | MXCSR_MM) && vendor_leaves(VD_MISALIGNED_SSE))
		image[28 + 2] = 0;
	if ((a->fx.mxcsr & MXCSR_MM) && vendor_leaves(VD_MISALIGNED_SSE))
		expect_gp(t, a);
}

static bool has_memory_operand(const struct test_case *t)
{
	unsigned modrm = t->length - (isa_rows[t->row].sem == sem_sse_sha1rnds4 ? 2 : 1);

	return t->code[modrm] < 0xc0;
}

static void leave_sha_alignment(const struct test_case *t, struct state *a)
{
	if (isa_rows[t->row].feature == FEAT_SHA && a->vector == NO_FAULT && has_memory_operand(t) &&
	    (t->in.gpr[RSI] & 15) && vendor_leaves(VD_SHA_ALIGNMENT))
		expect_gp(t, a);
}

static void leave_vcvtps2ph_fault(const struct test_case *t, struct state *a, const struct state *b)
{
	isa_semantic *const sem = isa_rows[t->row].sem;

	if ((sem != sem_f16c_cvtps2ph && sem != sem_evex_cvtps2ph) || a->vector != VEC_PF ||
	    !vendor_leaves(VD_VCVTPS2PH_FAULT))
		return;
	if (b->vector == VEC_XM)
		a->vector = VEC_XM;
	/* Flags only, and only more of them. */
	a->fx.mxcsr |= b->fx.mxcsr & 0x3f;
}

static bool is_gather(const struct isa_row *r)
{
	for (unsigned n = 0; n < 4; n++)
		if (r->op[n].kind == OPK_VS)
			return true;
	return false;
}

static int8_t top_byte(const struct state *s, unsigned reg, unsigned byte)
{
	return (int8_t)(byte < 16 ? s->fx.xmm[reg][byte] : s->ymm_high[reg][byte - 16]);
}

/* A VEX gather that faulted, always with a three-byte prefix: the sign bits of the mask's elements count, and what the
 * destination has within the vector length. */
static void leave_gather_fault(const struct test_case *t, struct state *a, const struct state *b)
{
	const bool wide = t->code[2] & 0x80, l = t->code[2] & 4;
	const unsigned mask = ~t->code[2] >> 3 & 15, size = wide ? 8 : 4, bytes = l ? 32 : 16;
	const unsigned destination = (t->code[4] >> 3 & 7) | (t->code[1] & 0x80 ? 0 : 8);

	if (!is_gather(&isa_rows[t->row]) || isa_rows[t->row].map >= ISA_E0F || a->vector != VEC_PF || !vendor_leaves(VD_GATHER_FAULT))
		return;
	for (unsigned at = size - 1; at < bytes; at += size)
		if ((top_byte(a, mask, at) ^ top_byte(b, mask, at)) < 0)
			return; /* a real difference: left for the comparison to find */
	memcpy(a->fx.xmm[mask], b->fx.xmm[mask], 16);
	memcpy(a->ymm_high[mask], b->ymm_high[mask], 16);
	memcpy(a->zmm_high[mask], b->zmm_high[mask], 32);
	memcpy(a->zmm_high[destination], b->zmm_high[destination], 32);
	if (!l)
		memcpy(a->ymm_high[destination], b->ymm_high[destination], 16);
}

void reconcile(const struct test_case *t, struct state *a, struct state *b)
{
	forgive_partial_restore(t, a, b);
	leave_misaligned_mask(t, a);
	leave_sha_alignment(t, a);
	leave_fop_fdp(t, a, b);
	leave_untold(a, b);
	leave_pointer_width(t, a, b);
	leave_saved_pointers(t, a);
	leave_gather_fault(t, a, b);
	leave_vcvtps2ph_fault(t, a, b);
}
