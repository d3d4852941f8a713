/* SPDX-License-Identifier: MIT */
/*
 * IA-PC HPET 1.0a, pure: one 64-bit counter, three timers, each periodic or one-shot, level or edge; no FSB delivery.
 *
 * The counter runs at 10 MHz, the slowest that the specification allows (COUNTER_CLK_PERIOD at most 05F5E100h fs): a
 * tick is exactly 100 ns, so comparator values and deadlines convert without rounding, and nothing a guest could do
 * with a finer clock would survive the way from a daemon's timer to a vCPU.
 *
 * A timer's effect on its line: level timers drive it while their status bit stands; edge timers pulse it, counted in
 * `fires` (at most MISSED_EDGES_S at once, as with the PIT).
 */
#ifndef BULKHEAD_DEVICES_CHIPS_HPET_H
#define BULKHEAD_DEVICES_CHIPS_HPET_H

#include "proto/reg.h"
#include "proto/layout.h"

enum { HPET_TIMERS = 3, HPET_TICK_NS = 100, HPET_HZ = 10000000 };

enum { /* offsets */
	HPET_CAP = 0x000,
	HPET_CONFIG = 0x010,
	HPET_STATUS = 0x020,
	HPET_COUNTER = 0x0f0,
	HPET_TIMER = 0x100, /* + 20h * n */
	HPET_TIMER_STRIDE = 0x20,
	HPET_TIMER_CONFIG = 0x00,
	HPET_TIMER_COMPARATOR = 0x08,
	HPET_TIMER_FSB = 0x10,
};

/* GCAP_ID: revision 1, three timers, 64 bits, legacy replacement, vendor 8086h; its low half is also the "event timer
 * block id" of the ACPI HPET table. */
#define HPET_BLOCK_ID 0x8086a201u
#define HPET_PERIOD_FS 100000000u
/* Pins that timers can be routed to. */
#define HPET_ROUTES LAYOUT_HPET_LINES

enum {
	HPET_ENABLE = 0x1, HPET_LEGACY = 0x2,

	HPET_T_LEVEL = 0x2, HPET_T_INT_ENABLE = 0x4, HPET_T_PERIODIC = 0x8, HPET_T_PERIODIC_CAP = 0x10,
	HPET_T_64BIT_CAP = 0x20, HPET_T_VAL_SET = 0x40, HPET_T_32BIT = 0x100, HPET_T_ROUTE = 0x3e00,
	HPET_T_ROUTE_SHIFT = 9,
};

struct hpet_timer {
	uint64_t config;     /* writable bits */
	uint64_t comparator; /* periodic: the accumulator, next match */
	uint64_t period;     /* periodic: value last written to the comparator register */
	uint64_t fires;	     /* edges so far */
};

struct hpet {
	uint64_t base_ns; /* the counter was `count` at this time; only while enabled */
	uint64_t count;
	uint64_t seen;	  /* counter value up to which matches were handled */
	uint64_t now_ns;
	uint64_t config;
	uint64_t status;
	struct hpet_timer timers[HPET_TIMERS];
};

enum { HPET_REG_COUNT = 11 };
extern const struct reg_desc hpet_regs[HPET_REG_COUNT];

void hpet_reset(struct hpet *h, uint64_t now_ns);
/* Brings the state to `now_ns`; returns when an interrupt comes next, or TIME_NEVER. Call before read and write. */
uint64_t hpet_advance(struct hpet *h, uint64_t now_ns);
/* `offset` must be a multiple of 8. */
uint64_t hpet_read(const struct hpet *h, unsigned offset);
/* Writes the bytes of `value` that `mask` selects (FFh each), in one go. */
void hpet_write(struct hpet *h, unsigned offset, uint64_t value, uint64_t mask);

bool hpet_is_legacy(const struct hpet *h);
/* The interrupt pin that timer n drives now: 0 and 8 in legacy replacement, else its route; -1: none. */
int hpet_line(const struct hpet *h, unsigned n);
/* Level that timer n puts on that line. */
bool hpet_level(const struct hpet *h, unsigned n);

const char *hpet_bad_field(const struct hpet *h);

#endif
