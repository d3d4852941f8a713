/* SPDX-License-Identifier: MIT */
/* Provider H: the host's MXCSR while it computes for the guest. */
#ifndef BULKHEAD_EMU_FPU_HOST_MXCSR_H
#define BULKHEAD_EMU_FPU_HOST_MXCSR_H

#include "provider.h"

enum { MXCSR_STICKY = 0x3f };

/*
 * An LDMXCSR that changes anything costs more than the instruction it is for (about 70 ns here), so it is
 * avoided: flags are sticky and stay set on the host, as long as the guest has them set as well. Returns
 * the host's MXCSR.
 */
static inline uint32_t host_mxcsr_enter(uint32_t mxcsr)
{
	uint32_t host;

	__asm__ volatile("stmxcsr %0" : "=m"(host));
	if ((host | MXCSR_STICKY) != (mxcsr | MXCSR_STICKY) || (host & ~mxcsr))
		__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	return host;
}

/* Puts the host's control bits back. */
static inline void host_mxcsr_leave(uint32_t host, uint32_t mxcsr)
{
	if ((host ^ mxcsr) & ~(uint32_t)MXCSR_STICKY)
		__asm__ volatile("ldmxcsr %0" : : "m"(host));
}

#endif
