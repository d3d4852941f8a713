/* SPDX-License-Identifier: MIT */
/*
 * When chips want to be called again, over the whole range of time and of what a guest can program: never before the exact
 * moment, at the first nanosecond after it (short periods together, PERIODIC_MIN_WAKE_NS), always later than now. Exact
 * moments are computed here from the data sheets, in 128 bits. The local APIC's timer is in apic_test.c.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "devices/chips/hpet.h"
#include "devices/chips/pit.h"
#include "devices/chips/rtc.h"
#include "devices/chips/ticks.h"
#include "devices/chips/uart.h"

typedef unsigned __int128 u128;
enum { ROUNDS = 20000 };
#define NEVER_EXACT ((u128)1 << 100)

static uint64_t random_state = 88172645463325252ull;

static uint64_t random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Of any magnitude, and the edges of the range. */
static uint64_t any64(void)
{
	static const uint64_t edges[] = { 0, 1, 2, UINT64_MAX, UINT64_MAX - 1, 1ull << 63, (1ull << 63) - 1, UINT32_MAX };
	uint64_t r = random64();

	return r % 4 ? random64() >> (r >> 8) % 64 : edges[(r >> 8) % 8];
}

/* Two moments of a machine's life, in order. */
static void any_times(uint64_t *epoch, uint64_t *now)
{
	uint64_t a = any64() % (TIME_MAX_NS + 1), b = any64() % (TIME_MAX_NS + 1);

	*epoch = a < b ? a : b;
	*now = a < b ? b : a;
}

static u128 ceil_div(u128 a, u128 b)
{
	return (a + b - 1) / b;
}

/* `exact`: when it happens; NEVER_EXACT: not at all. `together`: how much later it may be told. */
static void check_next(uint64_t next, uint64_t now, u128 exact, uint64_t together)
{
	if (exact > TIME_MAX_NS && next == TIME_NEVER)
		return; /* in 146 years */
	cr_assert_neq(exact, NEVER_EXACT, "%lu: nothing was to come", next);
	cr_assert_gt(next, now);
	cr_assert(next >= exact, "%lu is early", next);
	cr_assert(next == exact || next <= now + together, "%lu at %lu is late by %lu", next, now, (uint64_t)(next - exact));
}

/* ---- 8254 ---- */

struct pit_case {
	uint8_t mode;
	uint32_t n;
};

static struct pit_case program_pit(struct pit *p)
{
	static const uint8_t modes[] = { 0, 2, 3, 4 }; /* 1 and 5 wait for the gate, which is high for ever */
	uint16_t raw = (uint16_t)any64();
	struct pit_case c = { modes[random64() % 4], raw ? raw : 65536 };

	pit_write(p, PIT_PORT_CONTROL, (uint8_t)(0x30 | c.mode << 1));
	pit_write(p, 0, (uint8_t)raw);
	pit_write(p, 0, (uint8_t)(raw >> 8));
	return c;
}

/* "Mode Definitions": the count is loaded by the next clock pulse. OUT rises n pulses later; in mode 4, after a strobe. */
static u128 pit_exact(const struct pit *p, const struct pit_case *c, uint64_t now)
{
	u128 tick = (u128)(now - p->epoch_ns) * PIT_HZ / NS_PER_S + 1 + c->n + (c->mode == 4);

	if (c->n == 1 && (c->mode == 2 || c->mode == 3))
		return NEVER_EXACT;
	return p->epoch_ns + ceil_div(tick * NS_PER_S, PIT_HZ);
}

Test(deadline, pit)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t epoch, now, rises;
		struct pit_case c;
		struct pit p;
		u128 exact;

		any_times(&epoch, &now);
		pit_reset(&p, epoch);
		pit_advance(&p, now);
		c = program_pit(&p);
		exact = pit_exact(&p, &c, now);
		check_next(pit_advance(&p, now), now, exact, c.mode == 2 || c.mode == 3 ? PERIODIC_MIN_WAKE_NS : 0);
		if (exact > TIME_MAX_NS)
			continue;
		rises = p.out0_rises;
		pit_advance(&p, (uint64_t)exact - 1);
		cr_assert_eq(p.out0_rises, rises);
		pit_advance(&p, (uint64_t)exact);
		cr_assert_eq(p.out0_rises, rises + 1);
		cr_assert_null(pit_bad_field(&p));
	}
}

/* ---- HPET ---- */

struct hpet_case {
	uint64_t config, count, comparator;
};

static struct hpet_case program_hpet(struct hpet *h)
{
	struct hpet_case c = { HPET_T_INT_ENABLE | 20u << HPET_T_ROUTE_SHIFT, any64(), any64() };

	c.config |= random64() % 2 ? HPET_T_32BIT : 0;
	c.config |= random64() % 2 ? HPET_T_PERIODIC | HPET_T_VAL_SET : 0;
	if (random64() % 2) /* soon */
		c.comparator = c.count + any64() % 1000;
	hpet_write(h, HPET_COUNTER, c.count, UINT64_MAX);
	hpet_write(h, HPET_TIMER + HPET_TIMER_CONFIG, c.config, UINT64_MAX);
	hpet_write(h, HPET_TIMER + HPET_TIMER_COMPARATOR, c.comparator, UINT64_MAX);
	hpet_write(h, HPET_CONFIG, HPET_ENABLE, UINT64_MAX);
	return c;
}

/* 2.3.9: when the counter, counting up, comes to be equal to the comparator in the timer's width. */
static u128 hpet_exact(const struct hpet_case *c, uint64_t now)
{
	u128 mask = c->config & HPET_T_32BIT ? UINT32_MAX : UINT64_MAX;
	u128 ticks = (c->comparator - c->count) & (uint64_t)mask;

	return now + (ticks ? ticks : mask + 1) * HPET_TICK_NS;
}

Test(deadline, hpet)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t epoch, now;
		struct hpet_case c;
		struct hpet h;
		u128 exact;

		any_times(&epoch, &now);
		hpet_reset(&h, epoch);
		hpet_advance(&h, now);
		c = program_hpet(&h);
		exact = hpet_exact(&c, now);
		check_next(hpet_advance(&h, now), now, exact, c.config & HPET_T_PERIODIC ? PERIODIC_MIN_WAKE_NS : 0);
		if (exact > TIME_MAX_NS)
			continue;
		hpet_advance(&h, (uint64_t)exact - 1);
		cr_assert_eq(h.timers[0].fires, 0);
		hpet_advance(&h, (uint64_t)exact);
		cr_assert_eq(h.timers[0].fires, 1);
		cr_assert_null(hpet_bad_field(&h));
	}
}

/* ---- MC146818 ---- */

static void cmos(struct rtc *r, uint8_t index, uint8_t value)
{
	rtc_write(r, RTC_PORT_INDEX, index);
	rtc_write(r, RTC_PORT_DATA, value);
}

/* Powered on at `epoch`, whose calendar time is `wall`; binary, 24 hours. */
static uint64_t start_rtc(struct rtc *r, uint64_t *now, int64_t *wall_ns)
{
	static const struct rtc_memory memory = { .below_4g = 1 << 30 };
	uint64_t epoch;

	any_times(&epoch, now);
	*wall_ns = (int64_t)any64() / 4;
	rtc_reset(r, &memory, *wall_ns, 0, epoch);
	rtc_advance(r, *now);
	cmos(r, RTC_B, RTC_B_BINARY | RTC_B_24H);
	rtc_write(r, RTC_PORT_INDEX, RTC_C);
	rtc_read(r, RTC_PORT_DATA);
	return epoch;
}

/* The calendar's second in which `epoch` lies began this much before it. */
static uint64_t fraction(int64_t wall_ns)
{
	return (uint64_t)((wall_ns % NS_PER_S + NS_PER_S) % NS_PER_S);
}

static void expect_flag_at(struct rtc *r, u128 exact, uint8_t flag)
{
	if (exact > TIME_MAX_NS)
		return;
	rtc_advance(r, (uint64_t)exact - 1);
	cr_assert_not(rtc_irq(r));
	rtc_advance(r, (uint64_t)exact);
	cr_assert(rtc_irq(r));
	cr_assert(r->ram[RTC_C] & flag);
	cr_assert_null(rtc_bad_field(r));
}

/* "Periodic Interrupt Rate": 2^15 / 2^(RS-1) times a second; RS 1 and 2 are those of 8 and 9. */
Test(deadline, rtc_periodic)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned rs = 1 + (unsigned)(random64() % 15), hz = 32768 >> ((rs < 3 ? rs + 7 : rs) - 1);
		uint64_t now, epoch;
		int64_t wall_ns;
		struct rtc r;
		u128 phase, exact;

		epoch = start_rtc(&r, &now, &wall_ns);
		cmos(&r, RTC_A, (uint8_t)(RTC_A_DV_RUN | rs));
		cmos(&r, RTC_B, RTC_B_BINARY | RTC_B_24H | RTC_B_PIE);
		phase = (u128)now - epoch + fraction(wall_ns);
		exact = now + ceil_div((phase * hz / NS_PER_S + 1) * NS_PER_S, hz) - phase;
		check_next(rtc_advance(&r, now), now, exact, 0);
		expect_flag_at(&r, exact, RTC_C_PF);
	}
}

Test(deadline, rtc_update)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t now, epoch;
		int64_t wall_ns;
		struct rtc r;
		u128 exact;

		epoch = start_rtc(&r, &now, &wall_ns);
		cmos(&r, RTC_B, RTC_B_BINARY | RTC_B_24H | RTC_B_UIE);
		exact = now + NS_PER_S - (now - epoch + fraction(wall_ns)) % NS_PER_S;
		check_next(rtc_advance(&r, now), now, exact, 0);
		expect_flag_at(&r, exact, RTC_C_UF);
	}
}

/* Second of the day at which that alarm next strikes after `from`, by trying them all. */
static unsigned seconds_to_alarm(unsigned from, const uint8_t alarm[3])
{
	unsigned ahead = 0, s;

	do
		s = (from + ++ahead) % 86400;
	while ((alarm[0] < 0xc0 && alarm[0] != s / 3600) || (alarm[1] < 0xc0 && alarm[1] != s / 60 % 60) ||
	       (alarm[2] < 0xc0 && alarm[2] != s % 60));
	return ahead;
}

static uint8_t any_alarm(unsigned count)
{
	return (uint8_t)(random64() % 2 ? random64() % count : 0xc0 + random64() % 64);
}

Test(deadline, rtc_alarm)
{
	for (unsigned i = 0; i < 500; i++) {
		uint8_t alarm[3] = { any_alarm(24), any_alarm(60), any_alarm(60) };
		uint64_t now, epoch, elapsed;
		int64_t wall_ns, second;
		struct rtc r;
		u128 exact;

		epoch = start_rtc(&r, &now, &wall_ns);
		cmos(&r, RTC_HOURS_ALARM, alarm[0]);
		cmos(&r, RTC_MINUTES_ALARM, alarm[1]);
		cmos(&r, RTC_SECONDS_ALARM, alarm[2]);
		cmos(&r, RTC_B, RTC_B_BINARY | RTC_B_24H | RTC_B_AIE);
		elapsed = now - epoch + fraction(wall_ns);
		second = (wall_ns - (int64_t)fraction(wall_ns)) / NS_PER_S + (int64_t)(elapsed / NS_PER_S);
		second = (second % 86400 + 86400) % 86400;
		exact = (u128)now + seconds_to_alarm((unsigned)second, alarm) * (u128)NS_PER_S - elapsed % NS_PER_S;
		check_next(rtc_advance(&r, now), now, exact, 0);
		expect_flag_at(&r, exact, RTC_C_AF);
	}
}

/* ---- 16550A ---- */

/* "FIFO Interrupt Mode Operation": four character times; the clock is 1.8432 MHz, 16 of its pulses make a bit. */
Test(deadline, uart_timeout)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint16_t divisor = (uint16_t)(1 + any64() % 65535);
		uint8_t lcr = (uint8_t)(random64() & 0x3f);
		uint64_t epoch, now, next;
		struct uart u;
		u128 exact;

		any_times(&epoch, &now);
		uart_reset(&u);
		uart_write(&u, 3, 0x80, now);
		uart_write(&u, 0, (uint8_t)divisor, now);
		uart_write(&u, 1, (uint8_t)(divisor >> 8), now);
		uart_write(&u, 3, lcr, now);
		uart_write(&u, 2, 0x81, now);
		uart_receive(&u, 'x', 0, now);
		exact = now +
			ceil_div((u128)4 * (1 + 5 + (lcr & 3) + (lcr >> 3 & 1) + 1 + (lcr >> 2 & 1)) * divisor * 16 * NS_PER_S,
				 1843200);
		next = uart_advance(&u, now);
		check_next(next, now, exact, 0);
		uart_advance(&u, next - 1);
		cr_assert_not(u.timed_out);
		uart_advance(&u, next);
		cr_assert(u.timed_out);
	}
}
