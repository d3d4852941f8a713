/* SPDX-License-Identifier: MIT */
/* Linked into the loader: it answers, and then takes its time to leave, as under load. It may make few calls by then. */
#include "proto/clock.h"

#define LATE_NS (2 * CLOCK_NS_PER_S)

__attribute__((destructor)) static void leave_late(void)
{
	uint64_t end = clock_ns() + LATE_NS;

	while (clock_ns() < end)
		;
}
