/* SPDX-License-Identifier: MIT */
/* What cannot be compared of memory: the emulator's is made like the processor's there. */
#include "silicon.h"
#include "tests/host/processor.h"

#include <string.h>

void leave_bytes(unsigned tier, uint64_t linear, unsigned bytes)
{
	for (unsigned n = 0; n < bytes; n++)
		if (is_ours(linear + n))
			*emulated_memory(tier, linear + n) = *native_memory(linear + n);
}

/* ---- the stack ----------------------------------------------------------------------------------------------------- */

/* How far above the stack pointer a selector was pushed with 32 bits, or -1. */
static int pushed_selector(const struct test_case *t)
{
	if (t->i.size != 4)
		return -1;
	switch (t->row) {
	case ISA_PUSH_ES:
	case ISA_PUSH_CS:
	case ISA_PUSH_SS:
	case ISA_PUSH_DS:
	case ISA_PUSH_FS:
	case ISA_PUSH_GS:
		return 0;
	case ISA_CALL_Ap:
	case ISA_CALL_Mp:
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
	forgive_x87_memory(tier, t, native, emulated);
	leave_selector(tier, t, native);
}
