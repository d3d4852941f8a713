/* SPDX-License-Identifier: MIT */
/* IA-PC HPET 1.0a: see hpet.h. Section numbers are those of the specification. */
#include "hpet.h"

#include <string.h>

#include "proto/layout.h"
#include "ticks.h"

#define CAP_VALUE ((uint64_t)HPET_PERIOD_FS << 32 | HPET_BLOCK_ID)
#define TIMER_CAPS ((uint64_t)HPET_ROUTES << 32 | HPET_T_PERIODIC_CAP | HPET_T_64BIT_CAP)
#define TIMER_MASK                                                                                       \
	((uint64_t)HPET_T_LEVEL | HPET_T_INT_ENABLE | HPET_T_PERIODIC | HPET_T_VAL_SET | HPET_T_32BIT | \
	 HPET_T_ROUTE)

/* Every write is synchronous: each of them can mask, move or drop an interrupt. */
#define TIMER_ROWS(n) \
	{ .name = "HPET_T" #n "_CONFIG", .offset = HPET_TIMER + HPET_TIMER_STRIDE * n, .size = 8, .readable = true, \
	  .writable = true, .reset = TIMER_CAPS, .write_mask = TIMER_MASK, .class = CLASS_CONFIG }, \
	{ .name = "HPET_T" #n "_COMPARATOR", .offset = HPET_TIMER + HPET_TIMER_STRIDE * n + HPET_TIMER_COMPARATOR, \
	  .size = 8, .readable = true, .writable = true, .reset = UINT64_MAX, .write_mask = UINT64_MAX, \
	  .class = CLASS_CONFIG }

/* The counter is read by systems that use it as their clock: 64 bits at once, or the low half only. */
const struct reg_desc hpet_regs[HPET_REG_COUNT] = {
	{ .name = "HPET_CAP", .offset = HPET_CAP, .size = 8, .readable = true, .reset = CAP_VALUE },
	{ .name = "HPET_CONFIG", .offset = HPET_CONFIG, .size = 8, .readable = true, .writable = true,
	  .write_mask = HPET_ENABLE | HPET_LEGACY, .class = CLASS_CONFIG },
	{ .name = "HPET_STATUS", .offset = HPET_STATUS, .size = 8, .readable = true, .writable = true,
	  .write_mask = 0x7, .class = CLASS_CONFIG },
	{ .name = "HPET_COUNTER", .offset = HPET_COUNTER, .size = 8, .readable = true, .writable = true,
	  .write_mask = UINT64_MAX, .class = CLASS_CONFIG, .shadow = REG_SHADOW_TIME, .depends = CLASS_CONFIG },
	{ .name = "HPET_COUNTER_LOW", .offset = HPET_COUNTER, .size = 4, .readable = true, .writable = true,
	  .write_mask = UINT32_MAX, .class = CLASS_CONFIG, .shadow = REG_SHADOW_TIME, .depends = CLASS_CONFIG },
	TIMER_ROWS(0),
	TIMER_ROWS(1),
	TIMER_ROWS(2),
};

static bool is_enabled(const struct hpet *h)
{
	return h->config & HPET_ENABLE;
}

bool hpet_is_legacy(const struct hpet *h)
{
	return h->config & HPET_LEGACY;
}

static uint64_t counter(const struct hpet *h)
{
	return is_enabled(h) ? h->count + (h->now_ns - h->base_ns) / HPET_TICK_NS : h->count;
}

static uint64_t width_mask(const struct hpet_timer *t)
{
	return t->config & HPET_T_32BIT ? UINT32_MAX : UINT64_MAX;
}

static bool is_periodic(const struct hpet_timer *t)
{
	return (t->config & HPET_T_PERIODIC) && t->period != 0;
}

/* Ticks after `seen` until the comparator matches, less one: 0 if the very next tick does. */
static uint64_t ticks_to_match(const struct hpet *h, const struct hpet_timer *t)
{
	return (t->comparator - h->seen - 1) & width_mask(t);
}

static void fire(struct hpet *h, unsigned n, uint64_t times)
{
	struct hpet_timer *t = &h->timers[n];
	uint64_t most = is_periodic(t) ? MISSED_EDGES_S * HPET_HZ / t->period + 1 : 1;

	if (t->config & HPET_T_LEVEL)
		h->status |= 1ull << n; /* also while the interrupt is disabled: 2.3.8, Tn_INT_ENB_CNF */
	else if (t->config & HPET_T_INT_ENABLE)
		t->fires += times < most ? times : most;
}

/* 2.3.9: matches in the `passed` ticks after `seen`; a periodic timer adds its period at each match. */
static void timer_advance(struct hpet *h, unsigned n, uint64_t passed)
{
	struct hpet_timer *t = &h->timers[n];
	uint64_t wait = ticks_to_match(h, t), times = 1;

	if (wait >= passed)
		return;
	if (is_periodic(t)) {
		times += (passed - 1 - wait) / t->period;
		t->comparator = (t->comparator + times * t->period) & width_mask(t);
	}
	fire(h, n, times);
}

int hpet_line(const struct hpet *h, unsigned n)
{
	unsigned route = (unsigned)(h->timers[n].config & HPET_T_ROUTE) >> HPET_T_ROUTE_SHIFT;

	if (hpet_is_legacy(h) && n < 2) /* 2.3.5, LEG_RT_CNF */
		return n == 0 ? LAYOUT_PIT_IRQ : LAYOUT_RTC_IRQ;
	return HPET_ROUTES >> route & 1 ? (int)route : -1;
}

bool hpet_level(const struct hpet *h, unsigned n)
{
	return (h->status >> n & 1) && (h->timers[n].config & HPET_T_INT_ENABLE);
}

static uint64_t timer_next_ns(const struct hpet *h, unsigned n)
{
	const struct hpet_timer *t = &h->timers[n];
	uint64_t ticks, ns;

	if (!(t->config & HPET_T_INT_ENABLE) || hpet_line(h, n) < 0 || hpet_level(h, n))
		return TIME_NEVER;
	ticks = ticks_to_match(h, t);
	if (ticks >= TIME_MAX_NS / HPET_TICK_NS)
		return TIME_NEVER;
	ns = h->base_ns + (h->seen - h->count + ticks + 1) * HPET_TICK_NS;
	if (is_periodic(t) && ns < h->now_ns + PERIODIC_MIN_WAKE_NS)
		return h->now_ns + PERIODIC_MIN_WAKE_NS;
	return ns;
}

uint64_t hpet_advance(struct hpet *h, uint64_t now_ns)
{
	uint64_t now, next = TIME_NEVER;

	if (now_ns > h->now_ns)
		h->now_ns = now_ns;
	if (!is_enabled(h))
		return TIME_NEVER;
	now = counter(h);
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		timer_advance(h, n, now - h->seen);
	h->seen = now;
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		next = time_min(next, timer_next_ns(h, n));
	return next;
}

void hpet_reset(struct hpet *h, uint64_t now_ns)
{
	memset(h, 0, sizeof(*h));
	h->now_ns = h->base_ns = now_ns;
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		h->timers[n].comparator = UINT64_MAX; /* 2.3.9 */
}

static uint64_t timer_read(const struct hpet_timer *t, unsigned offset)
{
	switch (offset) {
	case HPET_TIMER_CONFIG:
		return t->config | TIMER_CAPS;
	case HPET_TIMER_COMPARATOR:
		return t->comparator;
	default: /* FSB route: not implemented, reads as zero */
		return 0;
	}
}

static struct hpet_timer *timer_at(struct hpet *h, unsigned offset)
{
	unsigned n = (offset - HPET_TIMER) / HPET_TIMER_STRIDE;

	return offset >= HPET_TIMER && n < HPET_TIMERS ? &h->timers[n] : NULL;
}

uint64_t hpet_read(const struct hpet *h, unsigned offset)
{
	unsigned n = (offset - HPET_TIMER) / HPET_TIMER_STRIDE;

	switch (offset) {
	case HPET_CAP:
		return CAP_VALUE;
	case HPET_CONFIG:
		return h->config;
	case HPET_STATUS:
		return h->status;
	case HPET_COUNTER:
		return counter(h);
	default:
		break;
	}
	if (offset < HPET_TIMER || n >= HPET_TIMERS)
		return 0;
	return timer_read(&h->timers[n], (offset - HPET_TIMER) % HPET_TIMER_STRIDE);
}

/* The counter goes on from `value` at this instant (running), or will when it is enabled. */
static void set_counter(struct hpet *h, uint64_t value)
{
	h->count = h->seen = value;
	h->base_ns = h->now_ns;
}

static void write_config(struct hpet *h, uint64_t value)
{
	uint64_t now = counter(h), old = h->config;

	h->config = value & (HPET_ENABLE | HPET_LEGACY);
	if ((h->config ^ old) & HPET_ENABLE) /* 2.3.5: it halts and goes on with the value it has */
		set_counter(h, now);
}

/* 2.3.8: a route that the timer cannot have does not stick; VAL_SET means nothing to a one-shot timer. */
static void write_timer_config(struct hpet *h, struct hpet_timer *t, uint64_t value)
{
	uint64_t old = t->config;

	t->config = value & TIMER_MASK;
	if (!(HPET_ROUTES >> (t->config >> HPET_T_ROUTE_SHIFT & 31) & 1))
		t->config = (t->config & ~(uint64_t)HPET_T_ROUTE) | (old & HPET_T_ROUTE);
	if (!(t->config & HPET_T_PERIODIC))
		t->config &= ~(uint64_t)HPET_T_VAL_SET;
	if (!(t->config & HPET_T_LEVEL)) /* 2.3.6: the status bit is not used by edge timers and stays 0 */
		h->status &= ~(1ull << (t - h->timers));
	t->comparator &= width_mask(t);
	t->period &= width_mask(t);
}

/*
 * 2.3.9: a one-shot timer takes the value as comparator. A periodic one takes it as its period, and as the next match
 * too only if VAL_SET was written before, which then clears itself.
 */
static void write_comparator(struct hpet_timer *t, uint64_t value, uint64_t mask)
{
	bool periodic = t->config & HPET_T_PERIODIC;

	if (!periodic || (t->config & HPET_T_VAL_SET))
		t->comparator = ((t->comparator & ~mask) | (value & mask)) & width_mask(t);
	if (periodic)
		t->period = ((t->period & ~mask) | (value & mask)) & width_mask(t);
	t->config &= ~(uint64_t)HPET_T_VAL_SET;
}

static void write_timer(struct hpet *h, unsigned offset, uint64_t value, uint64_t mask)
{
	struct hpet_timer *t = timer_at(h, offset);

	if (!t)
		return;
	switch ((offset - HPET_TIMER) % HPET_TIMER_STRIDE) {
	case HPET_TIMER_CONFIG:
		write_timer_config(h, t, (t->config & ~mask) | (value & mask));
		break;
	case HPET_TIMER_COMPARATOR:
		write_comparator(t, value, mask);
		break;
	default:
		break;
	}
}

void hpet_write(struct hpet *h, unsigned offset, uint64_t value, uint64_t mask)
{
	switch (offset) {
	case HPET_CONFIG:
		write_config(h, (h->config & ~mask) | (value & mask));
		break;
	case HPET_STATUS: /* 2.3.6: write 1 to clear */
		h->status &= ~(value & mask);
		break;
	case HPET_COUNTER:
		set_counter(h, (counter(h) & ~mask) | (value & mask));
		break;
	default:
		write_timer(h, offset, value, mask);
		break;
	}
}

static bool timer_is_sane(const struct hpet *h, unsigned n)
{
	const struct hpet_timer *t = &h->timers[n];
	unsigned route = (unsigned)(t->config & HPET_T_ROUTE) >> HPET_T_ROUTE_SHIFT;

	if ((t->config & ~TIMER_MASK) || (route != 0 && !(HPET_ROUTES >> route & 1)))
		return false;
	if ((t->config & HPET_T_VAL_SET) && !(t->config & HPET_T_PERIODIC))
		return false;
	if ((h->status >> n & 1) && !(t->config & HPET_T_LEVEL))
		return false;
	return ((t->comparator | t->period) & ~width_mask(t)) == 0;
}

const char *hpet_bad_field(const struct hpet *h)
{
	if (h->now_ns > TIME_MAX_NS)
		return "hpet.now_ns";
	if (h->base_ns > h->now_ns)
		return "hpet.base_ns";
	if (h->config & ~(uint64_t)(HPET_ENABLE | HPET_LEGACY))
		return "hpet.config";
	if (h->status >> HPET_TIMERS)
		return "hpet.status";
	if (h->seen != counter(h))
		return "hpet.seen";
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		if (!timer_is_sane(h, n))
			return "hpet.timer";
	return NULL;
}
