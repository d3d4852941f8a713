/* SPDX-License-Identifier: MIT */
/*
 * Local APIC timer (SDM vol. 3, 10.5.4): one-shot, periodic, TSC-deadline.
 *
 * It counts CPUID 15h's crystal, 1 GHz: a count divided by one is a nanosecond. Deadlines are absolute; a periodic timer
 * is advanced from its last deadline, never from "now", so it does not drift.
 */
#include "lapic.h"

#include "emu/core/machine.h"
#include "emu/core/tsc.h"

#define STOPPED UINT64_MAX
/* A period of a few nanoseconds would leave no time for the guest between two expirations. */
#define MIN_PERIOD_NS 20000ull

/* Nobody waits for what is 584 years away. */
static uint64_t after(uint64_t now_ns, uint64_t ns)
{
	return ns < STOPPED - now_ns ? now_ns + ns : STOPPED;
}

static bool is_deadline_mode(const struct lapic *a)
{
	return (a->lvt[LVT_TIMER] & (3u << 17)) == LVT_TIMER_DEADLINE;
}

static bool is_periodic(const struct lapic *a)
{
	return (a->lvt[LVT_TIMER] & (3u << 17)) == LVT_TIMER_PERIODIC;
}

/* Divide configuration: bits 3, 1, 0 encode 2, 4, ... 128, 1. */
static unsigned divide_shift(uint32_t divide)
{
	return (((divide >> 1 & 4) | (divide & 3)) + 1) & 7;
}

static uint64_t period_ns(const struct lapic *a)
{
	return (uint64_t)a->timer.initial << divide_shift(a->timer.divide);
}

void timer_reset(struct lapic *a)
{
	a->timer = (struct lapic_timer){ .deadline_ns = STOPPED };
}

void timer_set_initial(struct lapic *a, uint32_t count)
{
	if (is_deadline_mode(a))
		return; /* SDM vol. 3, 10.5.4.1: writes are ignored */
	a->timer.initial = count;
	a->timer.deadline_ns = count ? after(a->now_ns(a->emu), period_ns(a)) : STOPPED;
	emu_attention(a->emu);
}

uint32_t timer_current(const struct lapic *a, uint64_t now)
{
	uint64_t left;

	if (is_deadline_mode(a) || a->timer.deadline_ns == STOPPED || a->timer.initial == 0)
		return 0;
	if (a->timer.deadline_ns > now)
		left = a->timer.deadline_ns - now;
	else if (is_periodic(a))
		left = period_ns(a) - (now - a->timer.deadline_ns) % period_ns(a);
	else
		return 0;
	if (is_periodic(a)) /* the deadline may be several short periods ahead: MIN_PERIOD_NS */
		left = (left - 1) % period_ns(a) + 1;
	return (uint32_t)(left >> divide_shift(a->timer.divide));
}

/* A change on the fly keeps the count and changes its speed. */
void timer_set_divide(struct lapic *a, uint32_t value)
{
	uint64_t now = a->now_ns(a->emu);
	uint32_t count = timer_current(a, now);

	a->timer.divide = value & 0xb;
	if (count)
		a->timer.deadline_ns = after(now, (uint64_t)count << divide_shift(a->timer.divide));
	emu_attention(a->emu);
}

/*
 * Entering or leaving TSC-deadline mode disarms; between one-shot and periodic the count runs on. What expired until now
 * did so under the old entry: nobody has looked since, if that was masked.
 */
void timer_set_lvt(struct lapic *a, uint32_t value)
{
	bool was_deadline = is_deadline_mode(a);

	lapic_advance(a, a->now_ns(a->emu));
	a->lvt[LVT_TIMER] = value;
	if (was_deadline != is_deadline_mode(a)) {
		a->timer.deadline_ns = STOPPED;
		a->timer.tsc_deadline = 0;
	}
	emu_attention(a->emu);
}

void timer_set_deadline(struct lapic *a, uint64_t tsc)
{
	if (!is_deadline_mode(a))
		return;
	a->timer.tsc_deadline = tsc;
	emu_attention(a->emu);
}

/* The counter itself is compared, not the converted time, so that the interrupt is never early. */
static uint64_t advance_deadline(struct lapic *a, uint64_t now_ns)
{
	uint64_t tsc = a->tsc(a->emu);

	if (a->timer.tsc_deadline == 0)
		return STOPPED;
	if (tsc < a->timer.tsc_deadline)
		return after(now_ns, tsc_ns(a->machine->tsc_khz, a->timer.tsc_deadline - tsc));
	a->timer.tsc_deadline = 0;
	lapic_raise_lvt(a, LVT_TIMER);
	return STOPPED;
}

/* Of a periodic timer, whose deadline has passed: the first one on its grid that is not too soon. */
static uint64_t next_period(const struct lapic *a, uint64_t now_ns)
{
	uint64_t period = period_ns(a), soonest = after(now_ns, period < MIN_PERIOD_NS ? MIN_PERIOD_NS : 1);
	uint64_t periods = (soonest - a->timer.deadline_ns + period - 1) / period;

	return after(a->timer.deadline_ns, periods * period);
}

static uint64_t advance_count(struct lapic *a, uint64_t now_ns)
{
	struct lapic_timer *t = &a->timer;

	if (t->deadline_ns > now_ns || t->deadline_ns == STOPPED)
		return t->deadline_ns;
	lapic_raise_lvt(a, LVT_TIMER);
	t->deadline_ns = is_periodic(a) ? next_period(a, now_ns) : STOPPED;
	return t->deadline_ns;
}

/* A masked timer counts, but nobody has to wake up for it. */
uint64_t lapic_advance(struct lapic *a, uint64_t now_ns)
{
	uint64_t next = is_deadline_mode(a) ? advance_deadline(a, now_ns) : advance_count(a, now_ns);

	return a->lvt[LVT_TIMER] & LVT_MASKED ? STOPPED : next;
}

void timer_restore(struct lapic *a, const struct lapic_timer *in, uint32_t current, uint64_t time_ns)
{
	a->timer = (struct lapic_timer){ .initial = in->initial,
					 .divide = in->divide & 0xb,
					 .deadline_ns = STOPPED,
					 .tsc_deadline = is_deadline_mode(a) ? in->tsc_deadline : 0 };
	if (current && in->initial && !is_deadline_mode(a))
		a->timer.deadline_ns = after(time_ns, (uint64_t)current << divide_shift(a->timer.divide));
	emu_attention(a->emu);
}
