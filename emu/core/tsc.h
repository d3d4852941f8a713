/* SPDX-License-Identifier: MIT */
/* The guest's time-stamp counter. */
#ifndef BULKHEAD_EMU_TSC_H
#define BULKHEAD_EMU_TSC_H

#include "emu.h"
#include "proto/clock.h"

/* Chooses the host's clock; before the first processor runs, any number of times. */
void emu_tsc_init(void);
/* After that: has the host a counter that goes evenly, whatever its processors do? Only such a one can be a guest's as it is. */
bool emu_tsc_has_hosts(void);
/* Guest TSC now: the host's clock at the frequency that CPUID 15h/16h reports, or the host's counter, plus tsc_offset. */
uint64_t emu_tsc(const struct emu *e);
uint32_t emu_tsc_khz(const struct emu *e);

enum { TSC_NOMINAL_KHZ = 1000000 };

/*
 * CPUID 15h for a counter of that frequency: so many ticks (EBX) for each so many (EAX) of the crystal, whose 1 GHz the local APIC's
 * timer counts (ECX; SDM vol. 3, 10.5.4). Linux multiplies EBX by the crystal's kHz in 32 bits, so EBX is below 4295: the nearest
 * fraction of that size. It is off by some in a million, as a crystal is.
 */
struct tsc_fraction {
	uint32_t ticks, of;
};
struct tsc_fraction tsc_fraction(uint32_t khz);

/* Ticks of a counter of that frequency (0: the nominal one) in so many nanoseconds. */
static inline uint64_t tsc_ticks(uint32_t khz, uint64_t ns)
{
	if (khz == 0 || khz == TSC_NOMINAL_KHZ)
		return ns;
	return (uint64_t)((unsigned __int128)ns * (((uint64_t)khz << 32) / TSC_NOMINAL_KHZ) >> 32);
}

/* The other way round, rounded up: until then so many ticks have certainly gone by. */
static inline uint64_t tsc_ns(uint32_t khz, uint64_t ticks)
{
	unsigned __int128 ns;

	if (khz == 0 || khz == TSC_NOMINAL_KHZ)
		return ticks;
	ns = ((unsigned __int128)ticks * TSC_NOMINAL_KHZ + khz - 1) / khz;
	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

/* One moment by two clocks: the machine's, and the ticks that every processor of the emulator adds its tsc_offset to. */
struct tsc_moment {
	uint64_t machine_ns, ticks;
};

/* Now, as exactly as the host can tell. */
struct tsc_moment emu_tsc_moment(const struct machine *m);

/* Is this counter, by now, the host's, give or take a second? Then whoever it comes from shows its guests the host's as it is. */
bool emu_tsc_is_near_hosts(uint64_t tsc);

#endif
