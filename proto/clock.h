/* SPDX-License-Identifier: MIT */
/* The one clock of all processes: CLOCK_MONOTONIC in nanoseconds. */
#ifndef BULKHEAD_PROTO_CLOCK_H
#define BULKHEAD_PROTO_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_S 1000000000ull
#define CLOCK_NS_PER_MS 1000000ull

static inline uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

#endif
