/* SPDX-License-Identifier: MIT */
/* IA-PC HPET Specification 1.0a; section numbers are its own. */
#include <criterion/criterion.h>
#include <string.h>

#include "devices/chips/hpet.h"
#include "devices/chips/ticks.h"

#define ALL UINT64_MAX
#define LOW 0x00000000ffffffffull
#define HIGH 0xffffffff00000000ull
#define T(n, reg) (HPET_TIMER + HPET_TIMER_STRIDE * (n) + (reg))

static struct hpet h;
static const uint64_t epoch = 777;

/* Time in counter ticks since reset. */
static uint64_t at(uint64_t ticks)
{
	return hpet_advance(&h, epoch + ticks * HPET_TICK_NS);
}

static void config(unsigned n, uint64_t value)
{
	hpet_write(&h, T(n, HPET_TIMER_CONFIG), value, ALL);
}

static void comparator(unsigned n, uint64_t value)
{
	hpet_write(&h, T(n, HPET_TIMER_COMPARATOR), value, ALL);
}

static void enable(void)
{
	hpet_write(&h, HPET_CONFIG, HPET_ENABLE, ALL);
}

static uint64_t route(unsigned pin)
{
	return (uint64_t)pin << HPET_T_ROUTE_SHIFT;
}

static void init(void)
{
	hpet_reset(&h, epoch);
}

TestSuite(hpet, .init = init);

/* 2.3.4, General Capabilities and ID. */
Test(hpet, capabilities)
{
	uint64_t cap = hpet_read(&h, HPET_CAP);

	cr_assert_leq(cap >> 32, 0x05f5e100, "COUNTER_CLK_PERIOD: at most 100 ns in femtoseconds");
	cr_assert_eq((cap >> 32) * HPET_HZ, 1000000000000000, "and it is the rate of the counter");
	cr_assert_neq(cap & 0xff, 0, "REV_ID must not be 0");
	cr_assert_eq(cap >> 8 & 0x1f, 2, "NUM_TIM_CAP: the last timer");
	cr_assert(cap & 1 << 13, "64-bit counter");
	cr_assert(cap & 1 << 15, "legacy replacement");
	hpet_write(&h, HPET_CAP, 0, ALL);
	cr_assert_eq(hpet_read(&h, HPET_CAP), cap);
}

Test(hpet, read_back_from_table)
{
	static const uint64_t patterns[] = { 0, ~0ull, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa };

	for (unsigned i = 0; i < HPET_REG_COUNT; i++) {
		const struct reg_desc *d = &hpet_regs[i];

		init();
		if (d->size != 8)
			continue;
		cr_assert_eq(hpet_read(&h, d->offset), d->reset, "%s", d->name);
		cr_assert_eq(d->post, REG_SYNC);
		if (strstr(d->name, "STATUS") || strstr(d->name, "_CONFIG"))
			continue; /* side effects: below */
		for (unsigned p = 0; p < 4; p++) {
			uint64_t want = (hpet_read(&h, d->offset) & ~d->write_mask) | (patterns[p] & d->write_mask);

			hpet_write(&h, d->offset, patterns[p], ALL);
			cr_assert_eq(hpet_read(&h, d->offset), want, "%s", d->name);
		}
	}
	hpet_write(&h, HPET_CONFIG, ALL, ALL);
	cr_assert_eq(hpet_read(&h, HPET_CONFIG), 3);
}

/* 2.3.8: capability bits are read-only; a route that is not possible does not stick; VAL_SET needs periodic mode. */
Test(hpet, timer_config)
{
	for (unsigned n = 0; n < HPET_TIMERS; n++) {
		uint64_t caps = (uint64_t)HPET_ROUTES << 32 | 0x30;

		cr_assert_eq(hpet_read(&h, T(n, 0)), caps);
		for (unsigned pin = 0; pin < 32; pin++) {
			config(n, route(pin) | HPET_T_INT_ENABLE);
			if (HPET_ROUTES >> pin & 1)
				cr_assert_eq(hpet_line(&h, n), (int)pin);
			else
				cr_assert_neq(hpet_line(&h, n), (int)pin);
		}
		config(n, ALL);
		cr_assert_eq(hpet_read(&h, T(n, 0)) & ~(uint64_t)HPET_T_ROUTE, caps | 0x14e, "FSB bits stay 0");
		config(n, HPET_T_VAL_SET);
		cr_assert_not(hpet_read(&h, T(n, 0)) & HPET_T_VAL_SET);
		cr_assert_eq(hpet_read(&h, T(n, HPET_TIMER_FSB)), 0);
	}
}

/* 2.3.5, ENABLE_CNF and 2.3.7: halts at its value, goes on from it; is written while halted. */
Test(hpet, main_counter)
{
	at(50);
	cr_assert_eq(hpet_read(&h, HPET_COUNTER), 0);
	enable();
	at(150);
	cr_assert_eq(hpet_read(&h, HPET_COUNTER), 100);
	hpet_write(&h, HPET_CONFIG, 0, ALL);
	at(250);
	cr_assert_eq(hpet_read(&h, HPET_COUNTER), 100);
	hpet_write(&h, HPET_COUNTER, 0xfffffffe, ALL);
	enable();
	at(255);
	cr_assert_eq(hpet_read(&h, HPET_COUNTER), 0x100000003);
	hpet_write(&h, HPET_COUNTER, 0x77ull << 32, HIGH);
	cr_assert_eq(hpet_read(&h, HPET_COUNTER), 0x7700000003, "32-bit writes of one half");
	hpet_write(&h, HPET_COUNTER, ALL, ALL);
	at(256);
	cr_assert_eq(hpet_read(&h, HPET_COUNTER), 0, "wraps");
}

/* 2.3.9.2.1, non-periodic mode, edge: one interrupt when the counter gets to the comparator. */
Test(hpet, one_shot_edge)
{
	config(0, HPET_T_INT_ENABLE | route(20));
	comparator(0, 1000);
	cr_assert_eq(at(5000), TIME_NEVER, "not enabled");
	enable();
	cr_assert_eq(at(5000), epoch + 6000 * HPET_TICK_NS);
	at(5999);
	cr_assert_eq(h.timers[0].fires, 0);
	cr_assert_eq(at(6000), TIME_NEVER);
	cr_assert_eq(h.timers[0].fires, 1);
	cr_assert_eq(hpet_read(&h, HPET_STATUS), 0, "2.3.6: an edge timer does not use its status bit");
	at(100000000);
	cr_assert_eq(h.timers[0].fires, 1);
	comparator(0, 100);
	cr_assert_eq(at(100000000), TIME_NEVER, "a comparator in the past waits for the counter to wrap");
}

/* 2.3.6: a level interrupt stays until 1 is written to its status bit. */
Test(hpet, level)
{
	config(2, HPET_T_LEVEL | HPET_T_INT_ENABLE | route(21));
	comparator(2, 10);
	enable();
	at(9);
	cr_assert_not(hpet_level(&h, 2));
	at(10);
	cr_assert(hpet_level(&h, 2));
	cr_assert_eq(hpet_read(&h, HPET_STATUS), 4);
	hpet_write(&h, HPET_STATUS, 3, ALL);
	cr_assert(hpet_level(&h, 2));
	hpet_write(&h, HPET_STATUS, 4, ALL);
	cr_assert_not(hpet_level(&h, 2));
	cr_assert_eq(hpet_read(&h, HPET_STATUS), 0);
}

/* 2.3.8, INT_ENB: without it the timer works and shows its status, but interrupts nobody. */
Test(hpet, interrupt_disabled)
{
	config(1, HPET_T_LEVEL | route(22));
	comparator(1, 10);
	enable();
	cr_assert_eq(at(10), TIME_NEVER);
	cr_assert_eq(hpet_read(&h, HPET_STATUS), 2);
	cr_assert_not(hpet_level(&h, 1));
}

/* 2.3.9.2.2, periodic mode, as systems program it: VAL_SET, first match, then the period. */
Test(hpet, periodic)
{
	config(0, HPET_T_PERIODIC | HPET_T_VAL_SET | HPET_T_INT_ENABLE | route(20));
	comparator(0, 5000);
	cr_assert_not(hpet_read(&h, T(0, 0)) & HPET_T_VAL_SET, "clears itself");
	comparator(0, 1000);
	cr_assert_eq(hpet_read(&h, T(0, HPET_TIMER_COMPARATOR)), 5000);
	enable();
	cr_assert_eq(at(0), epoch + 5000 * HPET_TICK_NS);
	for (unsigned i = 0; i < 1000; i++) {
		at(5000 + 1000 * i - 1);
		cr_assert_eq(h.timers[0].fires, i);
		cr_assert_eq(at(5000 + 1000 * i), epoch + (6000 + 1000ull * i) * HPET_TICK_NS);
		cr_assert_eq(hpet_read(&h, T(0, HPET_TIMER_COMPARATOR)), 6000 + 1000 * i, "2.3.9: it adds itself");
	}
	at(5000 + 1000 * 999 + 2500);
	cr_assert_eq(h.timers[0].fires, 1002, "a jump over two periods");
	at(5000 + 1000 * 1004 - 1);
	cr_assert_eq(h.timers[0].fires, 1004, "a jump to just before a match");
	at(5000 + 1000 * 1006);
	cr_assert_eq(h.timers[0].fires, 1007, "a jump onto a match");
}

/* 32-bit mode (2.3.8, Tn_32MODE_CNF): compares the low half; fires again at each wrap. */
Test(hpet, mode_32bit)
{
	comparator(0, 0x1234567800000064);
	config(0, HPET_T_32BIT | HPET_T_INT_ENABLE | route(20));
	cr_assert_eq(hpet_read(&h, T(0, HPET_TIMER_COMPARATOR)), 0x64);
	comparator(0, 0xff00000064);
	cr_assert_eq(hpet_read(&h, T(0, HPET_TIMER_COMPARATOR)), 0x64);
	enable();
	at(100);
	cr_assert_eq(h.timers[0].fires, 1);
	at(0x100000063);
	cr_assert_eq(h.timers[0].fires, 1);
	at(0x100000064);
	cr_assert_eq(h.timers[0].fires, 2);
}

/* 32-bit software: two writes; each half of the comparator keeps the other. */
Test(hpet, comparator_halves)
{
	hpet_write(&h, T(0, 8), 0x11111111, LOW);
	hpet_write(&h, T(0, 8), 0x22222222ull << 32, HIGH);
	cr_assert_eq(hpet_read(&h, T(0, 8)), 0x2222222211111111);
}

/* Small periods, zero included: no loop, no storm, deadlines at a bounded rate. */
Test(hpet, no_storm)
{
	for (uint64_t period = 0; period < 5; period++) {
		unsigned wakes = 0;
		uint64_t next;

		init();
		config(0, HPET_T_PERIODIC | HPET_T_VAL_SET | HPET_T_INT_ENABLE | route(20));
		comparator(0, period);
		enable();
		for (next = at(0); next <= epoch + 1000000; next = hpet_advance(&h, next)) {
			cr_assert_gt(next, h.now_ns);
			cr_assert_lt(wakes++, 55);
		}
		hpet_advance(&h, epoch + (1ull << 61));
		cr_assert_null(hpet_bad_field(&h));
		if (period)
			cr_assert_leq(h.timers[0].fires, (MISSED_EDGES_S + 1) * (HPET_HZ / period) + 2, "capped: ticks.h");
	}
}

/* 2.3.5, LEG_RT_CNF: timer 0 has IRQ0, timer 1 IRQ8, whatever their routes; timer 2 keeps its own. */
Test(hpet, legacy_replacement)
{
	config(1, route(23));
	config(2, route(22));
	cr_assert_eq(hpet_line(&h, 0), -1);
	hpet_write(&h, HPET_CONFIG, HPET_LEGACY, ALL);
	cr_assert_eq(hpet_line(&h, 0), 0);
	cr_assert_eq(hpet_line(&h, 1), 8);
	cr_assert_eq(hpet_line(&h, 2), 22);
}

/* Holes read as zero and swallow writes. */
Test(hpet, holes)
{
	struct hpet before = h;

	for (unsigned offset = 0; offset < 0x400; offset += 8) {
		bool known = false;

		for (unsigned i = 0; i < HPET_REG_COUNT; i++)
			known |= hpet_regs[i].offset == offset;
		if (known)
			continue;
		hpet_write(&h, offset, ALL, ALL);
		cr_assert_eq(hpet_read(&h, offset), 0, "%x", offset);
	}
	cr_assert_eq(memcmp(&before, &h, sizeof(h)), 0);
}

Test(hpet, validation_names_the_field)
{
	struct hpet good = h;

#define BAD(change, field)                                   \
	do {                                                 \
		h = good;                                    \
		change;                                      \
		cr_assert_str_eq(hpet_bad_field(&h), field); \
	} while (0)
	cr_assert_null(hpet_bad_field(&h));
	BAD(h.now_ns = UINT64_MAX, "hpet.now_ns");
	BAD(h.base_ns = h.now_ns + 1, "hpet.base_ns");
	BAD(h.config = 4, "hpet.config");
	BAD(h.status = 8, "hpet.status");
	BAD(h.seen = 1, "hpet.seen");
	BAD(h.status = 1, "hpet.timer");
	BAD(h.timers[0].config = HPET_T_VAL_SET, "hpet.timer");
	BAD(h.timers[1].config = 0x8000, "hpet.timer");
	BAD(h.timers[1].config = 3 << HPET_T_ROUTE_SHIFT, "hpet.timer");
	BAD(h.timers[2].config = HPET_T_32BIT, "hpet.timer");
#undef BAD
}
