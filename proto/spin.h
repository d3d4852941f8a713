/* SPDX-License-Identifier: MIT */
/* For loops that read a word which another process writes. */
#ifndef BULKHEAD_PROTO_SPIN_H
#define BULKHEAD_PROTO_SPIN_H

#include <stdatomic.h>

/* Tells the host's processor that this is such a loop, and the compiler that the word may have changed. */
static inline void spin_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#else
	atomic_signal_fence(memory_order_seq_cst);
#endif
}

#endif
