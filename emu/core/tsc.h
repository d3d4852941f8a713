/* SPDX-License-Identifier: MIT */
/* The guest's time-stamp counter. */
#ifndef BULKHEAD_EMU_TSC_H
#define BULKHEAD_EMU_TSC_H

#include "emu.h"
#include "proto/clock.h"

/* Chooses the host's clock; before the first processor runs, any number of times. */
void emu_tsc_init(void);
/* Guest TSC now: the host's clock at the frequency that CPUID 15h/16h reports, plus tsc_offset. */
uint64_t emu_tsc(const struct emu *e);
uint64_t emu_tsc_hz(void);

/* One moment by two clocks: the machine's, and the counter that every processor of the emulator adds its tsc_offset to. */
struct tsc_moment {
	uint64_t machine_ns, base;
};

/* Now, as exactly as the host can tell. */
struct tsc_moment emu_tsc_moment(const struct machine_clock *clock);

#endif
