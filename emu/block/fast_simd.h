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

#ifdef HOST_X86_64

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

/* Memory operands as the compiler should see them: exactly their size, of any type. */
struct bytes_4 {
	uint8_t b[4];
} __attribute__((may_alias));
struct bytes_8 {
	uint8_t b[8];
} __attribute__((may_alias));
struct bytes_16 {
	uint8_t b[16];
} __attribute__((may_alias));
struct bytes_32 {
	uint8_t b[32];
} __attribute__((may_alias));
struct bytes_64 {
	uint8_t b[64];
} __attribute__((may_alias));
#define MEMORY_(n, p) (*(const struct bytes_##n *)(const void *)(p))
#define MEMORY(n, p) MEMORY_(n, p)
#define MEMORY_OUT(n, p) (*(struct bytes_##n *)(void *)(p))

#endif
#endif
