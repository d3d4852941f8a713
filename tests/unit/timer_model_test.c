/* SPDX-License-Identifier: MIT */
/* The timer daemon's model: which chip drives which line, time published as functions, bounds on wake-ups. */
#include "model_at.h"
#include "model_fuzz.h"

#include "devices/timer_model.h"
#include "proto/layout.h"

static struct timer_state s;
static const struct model_config config = {
	.ram_low = 1ull << 30,
	.ram_high = 1ull << 32,
	.realtime_ns = 1700000000ll * 1000000000,
	.vcpus = 2,
};
static uint64_t now;

static void out(uint64_t port, uint8_t value)
{
	model_write_at(&timer_model, &s, MODEL_PORT, port, value, 1, now);
}

static uint8_t in(uint64_t port)
{
	return (uint8_t)model_read_at(&timer_model, &s, MODEL_PORT, port, 1, now);
}

static void cmos(uint8_t index, uint8_t value)
{
	out(0x70, index);
	out(0x71, value);
}

static void hpet(unsigned offset, uint64_t value)
{
	model_write_at(&timer_model, &s, MODEL_MMIO, LAYOUT_HPET_BASE + offset, value, 8, now);
}

static uint32_t line(unsigned n)
{
	uint32_t words[MODEL_LINES] = { 0 };

	timer_model.get_lines(&s, words);
	return words[n];
}

static void pass(uint64_t ns)
{
	now += ns;
	timer_model.advance(&s, now);
}

static void pit_periodic(uint16_t count)
{
	out(0x43, 0x34);
	out(0x40, (uint8_t)count);
	out(0x40, (uint8_t)(count >> 8));
}

static void init(void)
{
	now = 1000;
	timer_model.reset(&s, &config, now);
}

TestSuite(timer_model, .init = init);

/* ISA 0 for the PIT, ISA 8 for the RTC. */
Test(timer_model, lines)
{
	uint32_t pit, rtc;

	pit_periodic(11932); /* 100 Hz */
	pit = line(0), rtc = line(8);
	pass(1000000000);
	cr_assert_eq((line(0) >> 1) - (pit >> 1), 99 + 1 * (line(0) >> 1 == (pit >> 1) + 100));
	cr_assert_eq(line(8), rtc);
	cmos(RTC_B, RTC_B_UIE | RTC_B_24H);
	out(0x70, RTC_C);
	in(0x71);
	rtc = line(8);
	pass(1000000000);
	cr_assert_eq(line(8), (rtc + LINE_EDGE) | LINE_LEVEL);
	out(0x70, RTC_C);
	in(0x71);
	cr_assert_not(line(8) & LINE_LEVEL, "reading register C");
}

/* IA-PC HPET 1.0a, 2.3.5: with LEG_RT_CNF, timers 0 and 1 replace PIT and RTC. */
Test(timer_model, legacy_replacement)
{
	uint32_t irq0, irq8;

	pit_periodic(11932);
	cmos(RTC_B, RTC_B_PIE | RTC_B_24H);
	hpet(HPET_TIMER, HPET_T_PERIODIC | HPET_T_VAL_SET | HPET_T_INT_ENABLE);
	hpet(HPET_TIMER + HPET_TIMER_COMPARATOR, 10000); /* 1 kHz */
	hpet(HPET_CONFIG, HPET_ENABLE | HPET_LEGACY);
	irq0 = line(0), irq8 = line(8);
	pass(500000000);
	cr_assert_eq((line(0) >> 1) - (irq0 >> 1), 500);
	cr_assert_eq(line(8) & ~LINE_LEVEL, irq8 & ~LINE_LEVEL, "the RTC is cut off");
	cr_assert_not(line(8) & LINE_LEVEL);
	hpet(HPET_CONFIG, HPET_ENABLE);
	cr_assert(line(8) & LINE_LEVEL, "and back: its IRQ stands");
}

/* A level timer holds its pin until its status bit is cleared; an edge timer pulses it. */
Test(timer_model, hpet_pins)
{
	hpet(HPET_TIMER, HPET_T_LEVEL | HPET_T_INT_ENABLE | 20 << HPET_T_ROUTE_SHIFT);
	hpet(HPET_TIMER + 8, 100);
	hpet(HPET_TIMER + HPET_TIMER_STRIDE, HPET_T_INT_ENABLE | 21 << HPET_T_ROUTE_SHIFT);
	hpet(HPET_TIMER + HPET_TIMER_STRIDE + 8, 200);
	hpet(HPET_CONFIG, HPET_ENABLE);
	pass(100 * 100);
	cr_assert_eq(line(20), LINE_EDGE | LINE_LEVEL);
	pass(100 * 100);
	cr_assert_eq(line(21), LINE_EDGE);
	hpet(HPET_STATUS, 1);
	cr_assert_eq(line(20), LINE_EDGE);
}

/* 1.0a, 2.3: 32-bit halves of a 64-bit register. */
Test(timer_model, hpet_accesses)
{
	uint64_t base = LAYOUT_HPET_BASE;

	cr_assert_eq(model_read_at(&timer_model, &s, MODEL_MMIO, base, 4, now), HPET_BLOCK_ID);
	cr_assert_eq(model_read_at(&timer_model, &s, MODEL_MMIO, base + 4, 4, now), HPET_PERIOD_FS);
	model_write_at(&timer_model, &s, MODEL_MMIO, base + HPET_COUNTER, 0x11111111, 4, now);
	model_write_at(&timer_model, &s, MODEL_MMIO, base + HPET_COUNTER + 4, 0x22222222, 4, now);
	cr_assert_eq(model_read_at(&timer_model, &s, MODEL_MMIO, base + HPET_COUNTER, 8, now), 0x2222222211111111);
	model_write_at(&timer_model, &s, MODEL_MMIO, base + HPET_COUNTER + 6, 0xaabbccdd, 4, now);
	cr_assert_eq(model_read_at(&timer_model, &s, MODEL_MMIO, base + HPET_COUNTER, 8, now), 0xccdd222211111111);
	model_write_at(&timer_model, &s, MODEL_MMIO, base + LAYOUT_HPET_SIZE - 1, UINT64_MAX, 8, now);
	cr_assert_eq(model_read_at(&timer_model, &s, MODEL_MMIO, base + LAYOUT_HPET_SIZE - 4, 8, now), 0xffffffff00000000);
}

/* ACPI: the timer is 32 bits wide to the bus, its upper byte 0. */
Test(timer_model, pm_timer)
{
	pass(2000000000);
	cr_assert_eq(model_read_at(&timer_model, &s, MODEL_PORT, LAYOUT_PM_TIMER, 4, now), 2 * 3579545);
	cr_assert_eq(model_read_at(&timer_model, &s, MODEL_PORT, LAYOUT_PM_TIMER + 1, 1, now), (2 * 3579545) >> 8 & 0xff);
	model_write_at(&timer_model, &s, MODEL_PORT, LAYOUT_PM_TIMER, 0, 4, now);
	cr_assert_eq(model_read_at(&timer_model, &s, MODEL_PORT, LAYOUT_PM_TIMER, 4, now), 2 * 3579545);
}

/* Host time at start, plus what passed. */
Test(timer_model, wall_clock)
{
	pass(60ull * 1000000000);
	out(0x70, RTC_MINUTES);
	cr_assert_eq(in(0x71), 0x14, "2023-11-14 22:13:20 and a minute");
}

/* Port 61h is published only while the refresh bit is all that it shows. */
Test(timer_model, port61_shadow)
{
	struct shadow_value values[MODEL_MAX_SHADOW];

	cr_assert_eq(timer_model.get_shadow(&s, values), 4);
	cr_assert_not(values[0].valid, "OUT2 stands high after firmware");
	out(0x43, 0xb0);
	timer_model.get_shadow(&s, values);
	cr_assert(values[0].valid);
	out(0x61, 0x01);
	timer_model.get_shadow(&s, values);
	cr_assert_not(values[0].valid);
}

/* Absurd clocks are clamped, not believed. */
Test(timer_model, absurd_times)
{
	struct model_config absurd = { .realtime_ns = INT64_MAX, .rtc_offset_s = INT64_MAX, .ram_high = UINT64_MAX };

	timer_model.reset(&s, &absurd, UINT64_MAX);
	fuzz_check_valid(&timer_model, &s);
	timer_model.advance(&s, UINT64_MAX);
	timer_model.advance(&s, 0);
	fuzz_check_valid(&timer_model, &s);
}

Test(timer_model, validation)
{
	const char *field;
	struct timer_state good = s;

	s.lines[8] ^= LINE_LEVEL;
	cr_assert_neq(timer_model.validate(&s, &field), 0);
	cr_assert_str_eq(field, "timer.lines");
	s = good;
	s.pit_rises++;
	cr_assert_neq(timer_model.validate(&s, &field), 0);
	cr_assert_str_eq(field, "timer.pit_rises");
	s = good;
	s.hpet_fires[2]++;
	cr_assert_neq(timer_model.validate(&s, &field), 0);
	cr_assert_str_eq(field, "timer.hpet_fires");
	s = good;
	s.now_ns++;
	cr_assert_neq(timer_model.validate(&s, &field), 0);
	cr_assert_str_eq(field, "timer.now_ns");
}

Test(timer_model, random_operations)
{
	for (fuzz_seed = 1; fuzz_seed < 20; fuzz_seed++) {
		uint64_t seed = fuzz_seed;

		fuzz_run(&timer_model, &config, 2000, PERIODIC_MIN_WAKE_NS);
		fuzz_seed = seed;
	}
}

/* Three HPET timers, PIT (50 kHz each) and RTC (8 kHz), and a few one-shots: in a millisecond. */
Test(timer_model, no_storm)
{
	fuzz_seed = 99;
	for (unsigned i = 0; i < 3000; i++) {
		init();
		for (unsigned n = 0; n < 50; n++)
			fuzz_access(&timer_model, &s, now += fuzz_time() >> 16);
		cr_assert_leq(fuzz_wakes(&timer_model, &s, now), 4 * 51 + 16);
	}
}

Test(timer_model, corrupted_state)
{
	fuzz_seed = 7;
	fuzz_corrupt(&timer_model, &config, 20000, 4 * 51 + 16);
}
