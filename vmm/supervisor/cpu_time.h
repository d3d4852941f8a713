/* SPDX-License-Identifier: MIT */
/* Processor time of another process. */
#ifndef BULKHEAD_VMM_CPU_TIME_H
#define BULKHEAD_VMM_CPU_TIME_H

#include "../../proto/clock.h"

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* In ns, of a live process; 0: it is not known. Linux names the clock of another process by the complement of its pid; 2 is
 * CPUCLOCK_SCHED. */
static inline uint64_t cpu_time_ns(pid_t pid)
{
	clockid_t clock = (clockid_t)((~(unsigned)pid << 3) | 2u);
	struct timespec ts;

	if (!pid || clock_gettime(clock, &ts) < 0) /* 0 would be ourselves */
		return 0;
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

#endif
