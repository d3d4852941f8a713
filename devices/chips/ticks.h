/* SPDX-License-Identifier: MIT */
/*
 * Nanoseconds to chip clock ticks and back, without drift: every chip keeps an absolute base and converts the whole
 * distance each time (128-bit intermediate), it never adds up rounded periods.
 */
#ifndef BULKHEAD_DEVICES_CHIPS_TICKS_H
#define BULKHEAD_DEVICES_CHIPS_TICKS_H

#include <stdint.h>

#define NS_PER_S 1000000000ll
#define TIME_NEVER UINT64_MAX
/* Times are clamped to this (146 years), so that sums of two of them never wrap whatever a clock or a journal says. */
#define TIME_MAX_NS (1ull << 62)

/*
 * A guest may program a periodic timer to 600 kHz. Edges are counted exactly, but the daemon is woken for them at most
 * this often (50 kHz): several edges are then published at once.
 */
#define PERIODIC_MIN_WAKE_NS 20000ull

/*
 * Edges that came while nobody looked are made up for at most this long: longer than a guest waits for a device that is
 * started again. Of an hour in which its host stood still it does not want every tick.
 */
enum { MISSED_EDGES_S = 20 };

/* Whole ticks of a clock of `hz` in `ns`. */
static inline uint64_t ticks_in(uint64_t ns, uint32_t hz)
{
	return (uint64_t)((unsigned __int128)ns * hz / (uint64_t)NS_PER_S);
}

/* The first nanosecond at which `ticks` ticks have passed: ticks_in(ns_of(t)) == t. Saturates at TIME_NEVER. */
static inline uint64_t ns_of(uint64_t ticks, uint32_t hz)
{
	unsigned __int128 ns = ((unsigned __int128)ticks * (uint64_t)NS_PER_S + hz - 1) / hz;

	return ns > TIME_MAX_NS ? TIME_NEVER : (uint64_t)ns;
}

static inline uint64_t time_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

#endif
