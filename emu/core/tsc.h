/* SPDX-License-Identifier: MIT */
/* The guest's time-stamp counter. */
#ifndef BULKHEAD_EMU_TSC_H
#define BULKHEAD_EMU_TSC_H

#include "emu.h"

/* Chooses the host's clock; before the first processor runs, any number of times. */
void emu_tsc_init(void);
/* Guest TSC now: the host's clock at the frequency that CPUID 15h/16h reports, plus tsc_offset. */
uint64_t emu_tsc(const struct emu *e);
uint64_t emu_tsc_hz(void);

#endif
