/* SPDX-License-Identifier: MIT */
/*
 * Fast handlers of vector instructions: the host's own instruction on the guest's registers in memory.
 *
 * Floating point needs the guest's MXCSR. Loading and reading it for each instruction costs more than the instruction,
 * so it stays loaded ("live") from the first fast handler that needs it until anything else wants to know: h_generic()
 * before it runs a semantic function, and the code cache when a block comes back. Meanwhile flags collect in the host's MXCSR,
 * where they are sticky as in the guest's. Only with all exceptions masked: what may fault goes the generic way.
 *
 * e->units says which units CR0, CR4 and XCR0 allow; all that changes these ends the block.
 */
#ifndef BULKHEAD_EMU_FAST_SIMD_H
#define BULKHEAD_EMU_FAST_SIMD_H

#include "fast.h"

#define NEED(e, i, unit)                                                                                               \
	do {                                                                                                           \
		if (UNLIKELY(!((e)->units & (unit))))                                                                   \
			MISS(e, i);                                                                                    \
	} while (0)
#define NEED_FP(e, i, unit)                                                                                            \
	do {                                                                                                           \
		if (UNLIKELY(!((e)->mxcsr_live & (unit))))                                                              \
			TAIL(h_mxcsr_load((e), (i)));                                                                  \
	} while (0)

#endif
