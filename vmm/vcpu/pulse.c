/* SPDX-License-Identifier: MIT */
/* Does a vCPU come back when it is called: pulse.h. */
#include "pulse.h"

#include "proto/clock.h"

#include <stddef.h>

/* An engine looks for calls every 100 us of its own time. What sleeps, sleeps where a call wakes it. */
#define LOST_NS (3 * CLOCK_NS_PER_S)
#define ABSENT_NS (60 * CLOCK_NS_PER_S)

const char *pulse_look(struct pulse *p, const struct pulse_sample *s)
{
	if (!p->called || s->rounds != p->rounds || s->excused) {
		*p = (struct pulse){ true, s->now_ns, s->cpu_ns, s->rounds };
		return NULL;
	}
	if (s->cpu_ns - p->called_cpu_ns >= LOST_NS)
		return "works for seconds without an instruction boundary";
	return s->now_ns - p->called_ns >= ABSENT_NS ? "has not answered for a minute" : NULL;
}
