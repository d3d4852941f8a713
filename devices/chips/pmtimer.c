/* SPDX-License-Identifier: MIT */
/* ACPI power management timer: see pmtimer.h. */
#include "pmtimer.h"

#include "proto/layout.h"
#include "ticks.h"

/* Nothing that the guest writes changes the counter: the shadow depends on no class. */
const struct reg_desc pmtimer_regs[PMTIMER_REG_COUNT] = {
	{ .name = "PM_TMR", .offset = 0, .size = 4, .readable = true, .shadow = REG_SHADOW_TIME },
};

void pmtimer_reset(struct pmtimer *t, uint64_t now_ns)
{
	t->epoch_ns = now_ns;
}

uint32_t pmtimer_read(const struct pmtimer *t, uint64_t now_ns)
{
	uint64_t ns = now_ns > t->epoch_ns ? now_ns - t->epoch_ns : 0;

	return (uint32_t)(ticks_in(ns, LAYOUT_PM_TIMER_HZ) & PMTIMER_MASK);
}

const char *pmtimer_bad_field(const struct pmtimer *t, uint64_t now_ns)
{
	return t->epoch_ns <= now_ns ? NULL : "pmtimer.epoch_ns";
}
