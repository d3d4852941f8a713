/* SPDX-License-Identifier: MIT */
/*
 * Time as somebody has it who watches others and must not blame them for a slow host: it passes by at most so much from
 * one look to the next, and so stands still while the watcher itself does not run.
 */
#ifndef BULKHEAD_PROTO_WATCH_TIME_H
#define BULKHEAD_PROTO_WATCH_TIME_H

#include <stdint.h>

struct watch_time {
	uint64_t ns;	    /* watch time of the last look */
	uint64_t looked_ns; /* clock of the last look */
};

/* Watch time at `clock_ns`, which is not before the last look. */
static inline uint64_t watch_time_at(const struct watch_time *t, uint64_t clock_ns, uint64_t step_max_ns)
{
	uint64_t passed = clock_ns - t->looked_ns;

	return t->ns + (passed < step_max_ns ? passed : step_max_ns);
}

/* A look at `clock_ns`; returns its watch time. */
static inline uint64_t watch_time_look(struct watch_time *t, uint64_t clock_ns, uint64_t step_max_ns)
{
	t->ns = watch_time_at(t, clock_ns, step_max_ns);
	t->looked_ns = clock_ns;
	return t->ns;
}

#endif
