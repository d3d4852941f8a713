/* SPDX-License-Identifier: MIT */
/* What a comparison leaves out: each a point of tests/host/points.def. */
#include "oracle.h"
#include "tests/host/processor.h"
#include "tests/host/undefined.h"

#include <string.h>

enum { SW_ES = 0x80, MXCSR_ALL = 0xffff, MXCSR_PE = 0x20, XCR0_X87 = 1 };

/* The emulator's own FIP: 48 bits, sign-extended (emu/sem/fp/xsave.c). */
#define EMULATED_FIP ((1ull << 48) - 1)

/* ---- x87 pointers ----------------------------------------------------------------------------------------- */

static void keep_pointers(struct state *s, uint64_t fop, uint64_t fip, uint64_t fdp)
{
	s->fx.fop &= (uint16_t)fop;
	s->fx.fip &= fip;
	s->fx.fdp &= fdp;
}

/* What could not be observed is not compared. With an exception pending, all save them. */
static void leave_untold(struct state *a, struct state *b)
{
	const uint64_t told = !(a->fx.sw & SW_ES) && point_doubted(PT_SAVED_POINTERS) ? 0 : a->told;

	keep_pointers(a, told, told, told);
	keep_pointers(b, told, told, told);
}

static void leave_pointer_width(const struct test_case *t, struct state *a, struct state *b)
{
	isa_semantic *const sem = isa_rows[t->row].sem;
	uint64_t fip, fdp;

	if (sem != sem_fxrstor && sem != sem_xrstor)
		return;
	fip = point_fip_mask() & EMULATED_FIP;
	fdp = point_fdp_mask();
	keep_pointers(a, UINT64_MAX, fip, fdp);
	keep_pointers(b, UINT64_MAX, fip, fdp);
}

/* A non-control instruction went by, whose address is in FIP now, without an unmasked exception: FOP and FDP have to be
 * as before. */
static void leave_fop_fdp(const struct test_case *t, struct state *a, const struct state *b)
{
	const bool noted = (isa_rows[t->row].attr & ISA_FP) && b->fx.fip == (uintptr_t)oracle_code;

	if (!noted || (a->fx.sw & SW_ES))
		return;
	if (point_leaves(PT_NOTED_FOP))
		a->fx.fop = t->in.fx.fop;
	if (point_leaves(PT_NOTED_FDP))
		a->fx.fdp = t->in.fx.fdp;
}

/* ---- images ----------------------------------------------------------------------------------------------- */

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

	if (!image || !x87 || (fx->sw & SW_ES) || !point_leaves(PT_SAVED_POINTERS))
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

/* MXCSR_MASK of images that both have saved. XSAVE may have been told to leave it alone. */
static void leave_mxcsr_mask(const struct test_case *t, struct state *a, struct state *b)
{
	const uint32_t all = MXCSR_ALL, here = processor()->mxcsr_mask;
	uint8_t *of_a = saved_image(t, a), *of_b = saved_image(t, b);
	uint32_t stored;

	if (!of_a || !of_b)
		return;
	memcpy(&stored, of_a + 28, sizeof(stored));
	if (stored == here && (here & ~all) && point_leaves(PT_MXCSR_BITS))
		memcpy(of_a + 28, &all, sizeof(all));
	else if (point_doubted(PT_MXCSR_BITS))
		memcpy(of_a + 28, of_b + 28, sizeof(all));
}

/* What loads an MXCSR with a bit that the emulated one has not. */
static void leave_mxcsr_bits(const struct test_case *t, struct state *a)
{
	if ((a->fx.mxcsr & ~(uint32_t)MXCSR_ALL) && point_leaves(PT_MXCSR_BITS))
		expect_gp(t, a);
}

static void leave_reserved(const struct test_case *t, struct state *s)
{
	const bool environment = isa_rows[t->row].sem == sem_fnstenv || isa_rows[t->row].sem == sem_fnsave;
	uint8_t *at = s->window + (t->in.gpr[RSI] - (uintptr_t)oracle_window);

	if ((!environment && !saved_image(t, s)) || !point_doubted(PT_IMAGE_RESERVED))
		return;
	for (unsigned n = 0; n < IMAGE_BYTES && at + n < s->window + WINDOW_BYTES; n++)
		if (is_reserved_byte(t->row, t->code[0] == 0x66, n))
			at[n] = 0;
}

/* Where FXRSTOR has not loaded them, FNSTENV and FNSAVE store older ones. */
static void leave_environment(const struct test_case *t, struct state *a, const struct state *b)
{
	const bool environment = isa_rows[t->row].sem == sem_fnstenv || isa_rows[t->row].sem == sem_fnsave;
	const bool narrow = t->code[0] == 0x66;
	const size_t at = t->in.gpr[RSI] - (uintptr_t)oracle_window + (narrow ? 6 : 12);

	if (environment && a->vector == NO_FAULT && !(t->in.fx.sw & SW_ES) && point_leaves(PT_RESTORED_POINTERS))
		memcpy(a->window + at, b->window + at, narrow ? 8 : 16);
}

/* A faulting XRSTOR (MXCSR with reserved bits) may have restored something; the emulator never has. */
static void leave_partial_restore(const struct test_case *t, const struct state *a, struct state *b)
{
	if (a->vector == VEC_GP && b->vector == VEC_GP && isa_rows[t->row].sem == sem_xrstor && point_leaves(PT_PARTIAL_RESTORE))
		b->fx = a->fx;
}

/* C0, C2 and C3 after what defines none of them: not comparisons, remainders, FXAM, what loads them. */
static void leave_codes(const struct test_case *t, struct state *a, struct state *b)
{
	const uint16_t codes = x87_undefined_codes(t->row);

	if (!codes || !point_doubted(PT_X87_CODES))
		return;
	a->fx.sw &= (uint16_t)~codes;
	b->fx.sw &= (uint16_t)~codes;
}

static bool is_fault_of_execution(unsigned vector)
{
	return vector == VEC_GP || vector == VEC_SS || vector == VEC_PF || vector == VEC_AC || vector == VEC_XM;
}

static void leave_fault_order(struct state *a, const struct state *b)
{
	if (a->vector == b->vector || !is_fault_of_execution(a->vector) || !is_fault_of_execution(b->vector) ||
	    !point_doubted(PT_FAULT_ORDER))
		return;
	a->vector = b->vector;
	a->fx.mxcsr = b->fx.mxcsr;
}

static void leave_open_result(const struct test_case *t, struct state *a, const struct state *b)
{
	const enum point p = open_result(t->row, 0);

	if (p == POINT_COUNT || !point_doubted(p))
		return;
	a->fx.sw = b->fx.sw;
	memcpy(a->fx.st, b->fx.st, sizeof(a->fx.st));
	if (p == PT_SSE4A_FIELDS)
		memcpy(a->fx.xmm, b->fx.xmm, sizeof(a->fx.xmm));
}

/* ---- SSE, AVX --------------------------------------------------------------------------------------------- */

static bool has_memory_operand(const struct test_case *t)
{
	unsigned modrm = t->length - (isa_rows[t->row].sem == sem_sse_sha1rnds4 ? 2 : 1);

	return t->code[modrm] < 0xc0;
}

static void leave_sha_alignment(const struct test_case *t, struct state *a)
{
	if (isa_rows[t->row].feature == FEAT_SHA && a->vector == NO_FAULT && has_memory_operand(t) &&
	    (t->in.gpr[RSI] & 15) && point_leaves(PT_SHA_ALIGNMENT))
		expect_gp(t, a);
}

static void leave_vcvtps2ph_fault(const struct test_case *t, struct state *a, const struct state *b)
{
	isa_semantic *const sem = isa_rows[t->row].sem;

	if ((sem != sem_f16c_cvtps2ph && sem != sem_evex_cvtps2ph) || a->vector != VEC_PF ||
	    !point_leaves(PT_FAULT_ORDER))
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

	if (!is_gather(&isa_rows[t->row]) || isa_rows[t->row].map >= ISA_E0F || a->vector != VEC_PF ||
	    !point_leaves(PT_GATHER_FAULT))
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

static void take_vectors(struct state *a, const struct state *b)
{
	a->vector = b->vector;
	memcpy(a->fx.xmm, b->fx.xmm, sizeof(a->fx.xmm));
	memcpy(a->ymm_high, b->ymm_high, sizeof(a->ymm_high));
	memcpy(a->zmm_high, b->zmm_high, sizeof(a->zmm_high));
	memcpy(a->zmm16, b->zmm16, sizeof(a->zmm16));
}

/* Without the precision exception of the first rounding: its flag, or its #XM, after which there is no result. */
static void leave_vreduce(const struct test_case *t, struct state *a, const struct state *b)
{
	const bool suppressed = t->code[t->length - 1] & 8;

	if (strncmp(isa_rows[t->row].mnemonic, "vreduce", 7) != 0 || suppressed || !(b->fx.mxcsr & MXCSR_PE) ||
	    !point_leaves(PT_VREDUCE_PE))
		return;
	if (b->vector == VEC_XM && a->vector == NO_FAULT)
		take_vectors(a, b);
	a->fx.mxcsr |= MXCSR_PE;
}

void reconcile(const struct test_case *t, struct state *a, struct state *b)
{
	leave_partial_restore(t, a, b);
	leave_mxcsr_mask(t, a, b);
	leave_mxcsr_bits(t, a);
	leave_sha_alignment(t, a);
	leave_fop_fdp(t, a, b);
	leave_untold(a, b);
	leave_pointer_width(t, a, b);
	leave_saved_pointers(t, a);
	leave_reserved(t, a);
	leave_reserved(t, b);
	leave_environment(t, a, b);
	leave_codes(t, a, b);
	leave_open_result(t, a, b);
	leave_fault_order(a, b);
	leave_gather_fault(t, a, b);
	leave_vcvtps2ph_fault(t, a, b);
	leave_vreduce(t, a, b);
}
