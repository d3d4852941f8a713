/* SPDX-License-Identifier: MIT */
/* 8254 against Intel's data sheet (order number 231164), "Mode Definitions" and "Programming the 8254". */
#include <criterion/criterion.h>

#include "devices/chips/pit.h"
#include "devices/chips/ticks.h"

static struct pit p;
static uint64_t epoch;

/* Time in clock pulses since reset. */
static uint64_t at(uint64_t tick)
{
	return pit_advance(&p, epoch + ns_of(tick, PIT_HZ));
}

static void count16(unsigned ch, uint16_t n)
{
	pit_write(&p, ch, (uint8_t)n);
	pit_write(&p, ch, (uint8_t)(n >> 8));
}

static unsigned read16(unsigned ch)
{
	unsigned low = pit_read(&p, ch);

	return low | (unsigned)pit_read(&p, ch) << 8;
}

static unsigned latched(unsigned ch)
{
	pit_write(&p, 3, (uint8_t)(ch << 6));
	return read16(ch);
}

static uint8_t status(unsigned ch)
{
	pit_write(&p, 3, (uint8_t)(0xe0 | 2u << ch));
	return pit_read(&p, ch);
}

static void gate2(bool level)
{
	port61_write(&p, level);
}

static void init(void)
{
	epoch = 123456789;
	pit_reset(&p, epoch);
	at(100);
}

TestSuite(pit, .init = init);

Test(pit, table)
{
	for (unsigned i = 0; i < PIT_REG_COUNT; i++)
		cr_assert_eq(pit_regs[i].post, i < 3 ? REG_POSTED : REG_SYNC);
	cr_assert_eq(port61_regs[0].post, REG_SYNC);
	cr_assert_eq(port61_regs[0].write_mask, 0x0f);
}

/* "Mode 0": OUT is low from the control word, goes high N + 1 pulses after the count is written, and stays. */
Test(pit, mode0)
{
	pit_write(&p, 3, 0x30);
	cr_assert_not(pit_out(&p, 0));
	count16(0, 4);
	at(101);
	cr_assert_eq(latched(0), 4, "the count is loaded on the next pulse");
	at(104);
	cr_assert_not(pit_out(&p, 0));
	cr_assert_eq(latched(0), 1);
	at(105);
	cr_assert(pit_out(&p, 0));
	at(107);
	cr_assert(pit_out(&p, 0));
	cr_assert_eq(latched(0), 0xfffe, "it goes on counting from FFFFh");
}

/* "Mode 0": writing the first of two bytes disables counting and lowers OUT; the second starts it anew. */
Test(pit, mode0_new_count)
{
	pit_write(&p, 3, 0x30);
	count16(0, 10);
	at(200);
	cr_assert(pit_out(&p, 0));
	pit_write(&p, 0, 5);
	cr_assert_not(pit_out(&p, 0));
	at(300);
	cr_assert_not(pit_out(&p, 0));
	cr_assert_eq(at(300), TIME_NEVER);
	pit_write(&p, 0, 0);
	at(305);
	cr_assert_not(pit_out(&p, 0));
	at(306);
	cr_assert(pit_out(&p, 0));
}

/* "Mode 0", gate: 0 disables counting, no effect on OUT; a count written meanwhile is loaded all the same. */
Test(pit, mode0_gate)
{
	gate2(true);
	pit_write(&p, 3, 0xb0);
	count16(2, 10);
	at(104); /* 3 pulses counted */
	gate2(false);
	at(500);
	cr_assert_eq(latched(2), 7);
	gate2(true);
	at(506);
	cr_assert_not(pit_out(&p, 2));
	at(507);
	cr_assert(pit_out(&p, 2));
	gate2(false);
	cr_assert(pit_out(&p, 2));
	count16(2, 3);
	at(600);
	cr_assert_eq(latched(2), 3);
	gate2(true);
	at(603);
	cr_assert(pit_out(&p, 2), "N pulses after the gate: no pulse is needed to load");
}

/* "Mode 1": the trigger loads on the next pulse, OUT is low for N pulses; retriggerable. */
Test(pit, mode1)
{
	pit_write(&p, 3, 0xb2);
	cr_assert(pit_out(&p, 2));
	count16(2, 4);
	at(150);
	cr_assert(pit_out(&p, 2), "armed, not triggered");
	cr_assert(status(2) & 0x40, "null count: not yet in the counting element");
	gate2(true);
	at(151);
	cr_assert_not(pit_out(&p, 2));
	cr_assert_not(status(2) & 0x40);
	gate2(false);
	at(153);
	gate2(true); /* retrigger */
	at(157);
	cr_assert_not(pit_out(&p, 2));
	at(158);
	cr_assert(pit_out(&p, 2), "the gate level has no effect, only its edge");
	count16(2, 2); /* not before the next trigger */
	at(160);
	cr_assert_eq(latched(2), 0xfffe);
}

/* "Mode 2": divide by N; OUT is low for the one pulse in which the count is 1. */
Test(pit, mode2)
{
	pit_write(&p, 3, 0x34);
	count16(0, 3);
	cr_assert(pit_out(&p, 0));
	for (unsigned i = 0; i < 9; i++) {
		at(101 + i);
		cr_assert_eq(latched(0), 3 - i % 3);
		cr_assert_eq(pit_out(&p, 0), i % 3 != 2, "pulse %u", i);
	}
}

/* "Mode 2": a count written while counting takes over at the end of the cycle. */
Test(pit, mode2_new_count)
{
	pit_write(&p, 3, 0x34);
	count16(0, 10);
	at(104);
	count16(0, 4);
	cr_assert_eq(latched(0), 7);
	cr_assert(status(0) & 0x40, "null count until then");
	at(110);
	cr_assert_eq(latched(0), 1);
	at(111);
	cr_assert_eq(latched(0), 4);
	cr_assert_not(status(0) & 0x40);
	at(114);
	cr_assert_eq(latched(0), 1);
}

/* "Mode 2", gate: low stops and forces OUT high; the rising edge reloads. */
Test(pit, mode2_gate)
{
	gate2(true);
	pit_write(&p, 3, 0xb4);
	count16(2, 5);
	at(105);
	cr_assert_not(pit_out(&p, 2));
	gate2(false);
	cr_assert(pit_out(&p, 2), "immediately");
	at(150);
	gate2(true);
	at(151);
	cr_assert_eq(latched(2), 5);
}

/* "Mode 3", even counts: high N/2, low N/2, counting by two. */
Test(pit, mode3_even)
{
	static const unsigned counts[] = { 4, 2, 4, 2 };

	pit_write(&p, 3, 0x36);
	count16(0, 4);
	for (unsigned i = 0; i < 12; i++) {
		at(101 + i);
		cr_assert_eq(latched(0), counts[i % 4]);
		cr_assert_eq(pit_out(&p, 0), i % 4 < 2);
	}
}

/* "Mode 3", odd counts: high (N+1)/2, low (N-1)/2; the data sheet's figure for 5 shows 4 2 0 4 2. */
Test(pit, mode3_odd)
{
	static const unsigned counts[] = { 4, 2, 0, 4, 2 };

	pit_write(&p, 3, 0x36);
	count16(0, 5);
	for (unsigned i = 0; i < 15; i++) {
		at(101 + i);
		cr_assert_eq(latched(0), counts[i % 5]);
		cr_assert_eq(pit_out(&p, 0), i % 5 < 3);
	}
}

/* "Mode 3": a new count takes over at the end of the current half cycle, whichever it is. */
Test(pit, mode3_new_count)
{
	pit_write(&p, 3, 0x36);
	count16(0, 100); /* high 101..150, low 151..200 */
	at(120);
	count16(0, 20);
	at(150);
	cr_assert(pit_out(&p, 0));
	at(151);
	cr_assert_not(pit_out(&p, 0));
	cr_assert_eq(latched(0), 20);
	at(160);
	cr_assert_not(pit_out(&p, 0));
	at(161);
	cr_assert(pit_out(&p, 0), "a low half of the new count");
	at(175);
	count16(0, 100); /* in the low half 171..180 */
	at(180);
	cr_assert_not(pit_out(&p, 0));
	at(181);
	cr_assert(pit_out(&p, 0));
	at(230);
	cr_assert(pit_out(&p, 0));
	at(231);
	cr_assert_not(pit_out(&p, 0));
}

/* "Mode 4": a strobe of one pulse, N + 1 pulses after the count was written, once. */
Test(pit, mode4)
{
	pit_write(&p, 3, 0x38);
	count16(0, 4);
	for (unsigned i = 100; i < 120; i++) {
		at(i);
		cr_assert_eq(pit_out(&p, 0), i != 105, "pulse %u", i);
	}
}

/* "Mode 5": the same strobe, after a trigger. */
Test(pit, mode5)
{
	pit_write(&p, 3, 0xba);
	count16(2, 4);
	at(130);
	gate2(true);
	for (unsigned i = 130; i < 150; i++) {
		at(i);
		cr_assert_eq(pit_out(&p, 2), i != 135, "pulse %u", i);
	}
}

/* "Control Word Format": mode bits x10 and x11. */
Test(pit, mode_aliases)
{
	pit_write(&p, 3, 0x3c);
	cr_assert_eq(status(0) & 0x0e, 2 << 1);
	pit_write(&p, 3, 0x3e);
	cr_assert_eq(status(0) & 0x0e, 3 << 1);
}

/* "Control Word Format", BCD: four decades, zero is 10000. */
Test(pit, bcd)
{
	pit_write(&p, 3, 0x31);
	count16(0, 0x1000);
	at(102);
	cr_assert_eq(latched(0), 0x0999);
	pit_write(&p, 3, 0x31);
	count16(0, 0);
	at(103);
	cr_assert_eq(latched(0), 0x0000);
	at(104);
	cr_assert_eq(latched(0), 0x9999);
	at(103 + 10000);
	cr_assert(pit_out(&p, 0));
	at(103 + 10001);
	cr_assert_eq(latched(0), 0x9999, "wraps to 9999");
}

/* "Write Operations": LSB only sets the MSB to 0 and the reverse; reads follow the same access. */
Test(pit, byte_access)
{
	pit_write(&p, 3, 0x14);
	pit_write(&p, 0, 200);
	at(101);
	cr_assert_eq(pit_read(&p, 0), 200);
	cr_assert_eq(pit_read(&p, 0), 200, "no flip-flop");
	pit_write(&p, 3, 0x24);
	pit_write(&p, 0, 2);
	at(102);
	cr_assert_eq(pit_read(&p, 0), 2);
	at(103);
	cr_assert_eq(pit_read(&p, 0), 1, "511 is 01FFh");
}

/* Two programmings in a row: the second is not mixed with the first. */
Test(pit, second_programming_stands_alone)
{
	pit_write(&p, 3, 0x34);
	count16(0, 0x1f0f);
	pit_write(&p, 3, 0x34);
	count16(0, 0x2030);
	at(101);
	cr_assert_eq(latched(0), 0x2030);
	pit_write(&p, 3, 0x34);
	pit_write(&p, 0, 0xff); /* half a count */
	pit_write(&p, 3, 0x34); /* the control word resets the flip-flop */
	count16(0, 0x0102);
	at(102);
	cr_assert_eq(latched(0), 0x0102);
}

/* "Counter Latch Command": held until read; a second one before that is ignored; the count goes on. */
Test(pit, latch)
{
	pit_write(&p, 3, 0x34);
	count16(0, 0x1000);
	at(101);
	pit_write(&p, 3, 0x00);
	at(301);
	pit_write(&p, 3, 0x00);
	cr_assert_eq(read16(0), 0x1000);
	cr_assert_eq(read16(0), 0x1000 - 200);
}

/* "Read-Back Command": bits 5 and 4 are active low; several counters at once; status before count. */
Test(pit, read_back)
{
	pit_write(&p, 3, 0x34);
	count16(0, 0x0100);
	pit_write(&p, 3, 0x74);
	count16(1, 0x0200);
	at(111);
	pit_write(&p, 3, 0xc6); /* count and status of 0 and 1 */
	at(151);
	cr_assert_eq(pit_read(&p, 0), 0x80 | 0x30 | 2 << 1);
	cr_assert_eq(read16(0), 0x00f6);
	cr_assert_eq(pit_read(&p, 1), 0x80 | 0x30 | 2 << 1);
	cr_assert_eq(read16(1), 0x01f6);
	pit_write(&p, 3, 0xd2); /* count only */
	cr_assert_eq(read16(0), 0x00ce);
	pit_write(&p, 3, 0xe2); /* status only */
	at(152);
	cr_assert_eq(pit_read(&p, 0), 0xb4);
	cr_assert_eq(read16(0), 0x00cd);
	pit_write(&p, 3, 0xf2); /* neither */
	at(153);
	cr_assert_eq(read16(0), 0x00cc);
}

/* "Status", null count: set by control word and count write, cleared when the count reaches the counting element. */
Test(pit, null_count)
{
	pit_write(&p, 3, 0x34);
	cr_assert(status(0) & 0x40);
	count16(0, 1000);
	cr_assert(status(0) & 0x40, "before the next clock pulse");
	at(101);
	cr_assert_not(status(0) & 0x40);
}

/* Port 43h cannot be read: the bus floats. */
Test(pit, control_reads_all_ones)
{
	cr_assert_eq(pit_read(&p, 3), 0xff);
}

/* Only channel 0's output counts as an interrupt. */
Test(pit, only_channel_0_interrupts)
{
	uint64_t before;

	pit_write(&p, 3, 0x38); /* mode 4 without a count: quiet */
	before = p.out0_rises;
	pit_write(&p, 3, 0x74);
	count16(1, 10);
	gate2(true);
	pit_write(&p, 3, 0xb4);
	count16(2, 10);
	cr_assert_eq(at(100000), TIME_NEVER);
	cr_assert_eq(p.out0_rises, before);
}

/* Edges are counted by time: 100 Hz for ten minutes in steps of any size, no drift from the absolute grid. */
Test(pit, no_drift)
{
	uint64_t before;

	pit_write(&p, 3, 0x34);
	count16(0, 11932);
	before = p.out0_rises;
	for (unsigned i = 1; i <= 60000; i++) {
		uint64_t next = at(101 + 11932ull * i - 1);

		cr_assert_eq(p.out0_rises - before, i - 1);
		cr_assert_eq(next, epoch + ns_of(101 + 11932ull * i, PIT_HZ) > p.now_ns + PERIODIC_MIN_WAKE_NS
					   ? epoch + ns_of(101 + 11932ull * i, PIT_HZ)
					   : p.now_ns + PERIODIC_MIN_WAKE_NS);
	}
}

/* Edges missed in a long pause: no more than a guest may have waited for a device is made up. */
Test(pit, missed_edges_are_capped)
{
	uint64_t before;

	pit_write(&p, 3, 0x34);
	count16(0, 1193);
	before = p.out0_rises;
	pit_advance(&p, epoch + 3600ull * 1000000000);
	cr_assert_geq(p.out0_rises - before, MISSED_EDGES_S * 1000 - 5);
	cr_assert_leq(p.out0_rises - before, MISSED_EDGES_S * 1000 + 5);
}

/* Every control word with every interesting count, two-byte and single-byte: no deadline in the past, no storm. */
Test(pit, no_storm_whatever_is_programmed)
{
	static const uint16_t counts[] = { 0, 1, 2, 3, 4, 5, 9, 10, 0x99, 0xff, 0x100, 0x9999, 0xffff };

	for (unsigned control = 0x10; control < 0x40; control++) {
		for (unsigned c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
			unsigned wakes = 0;
			uint64_t end, next;

			init();
			pit_write(&p, 3, (uint8_t)control);
			pit_write(&p, 0, (uint8_t)counts[c]);
			if (control >> 4 == 3)
				pit_write(&p, 0, (uint8_t)(counts[c] >> 8));
			end = p.now_ns + 1000000;
			next = pit_advance(&p, p.now_ns);
			while (next <= end) {
				cr_assert_gt(next, p.now_ns);
				cr_assert_lt(wakes++, 55, "control %x count %x", control, counts[c]);
				next = pit_advance(&p, next);
			}
			cr_assert_null(pit_bad_field(&p));
		}
	}
}

/* Count 1 is illegal in modes 2 and 3 ("Mode 2", note): no edges, ever, and a later count works. */
Test(pit, count_of_one)
{
	for (unsigned control = 0x34; control <= 0x36; control += 2) {
		uint64_t before;

		init();
		pit_write(&p, 3, (uint8_t)control);
		count16(0, 1);
		before = p.out0_rises;
		cr_assert_eq(at(1000000), TIME_NEVER);
		cr_assert_eq(p.out0_rises, before);
		count16(0, 1000);
		at(1003001);
		cr_assert_geq(p.out0_rises, before + 2);
	}
}

/* A control word for modes 1 to 5 sets OUT high: a rising edge if it was low (mode 0). */
Test(pit, control_word_edge)
{
	uint64_t before;

	pit_write(&p, 3, 0x30);
	before = p.out0_rises;
	pit_write(&p, 3, 0x34);
	cr_assert_eq(p.out0_rises, before + 1);
	pit_write(&p, 3, 0x34);
	cr_assert_eq(p.out0_rises, before + 1);
}

/* Port 61h: bits 0 to 3 read back, 4 toggles with refresh, 5 is OUT2, 6 and 7 (check errors) are 0. */
Test(pit, port61)
{
	for (unsigned v = 0; v < 256; v++) {
		port61_write(&p, (uint8_t)v);
		cr_assert_eq(port61_read(&p) & 0xcf, v & 0x0f);
		cr_assert_eq(!!(port61_read(&p) & 0x20), pit_out(&p, 2));
	}
	port61_write(&p, 0);
	pit_write(&p, 3, 0xb0);
	cr_assert_not(port61_read(&p) & 0x20);
	count16(2, 100);
	gate2(true);
	at(p.tick + 101);
	cr_assert(port61_read(&p) & 0x20, "the way Linux calibrates its TSC");
}

/* AT: the refresh bit toggles every 15.085 us, as channel 1 divides by 18. */
Test(pit, refresh_toggle)
{
	unsigned toggles = 0;
	uint8_t last = port61_read(&p) & 0x10;
	uint64_t start = p.now_ns;

	for (unsigned i = 1; i <= 10000; i++) {
		pit_advance(&p, start + i * 1000ull);
		toggles += (port61_read(&p) & 0x10) != last;
		last = port61_read(&p) & 0x10;
	}
	cr_assert_geq(toggles, 662);
	cr_assert_leq(toggles, 663);
}

/* The 8254 of a daemon whose clock goes back a little. */
Test(pit, earlier_time_is_the_latest_seen)
{
	uint64_t tick;

	at(1000);
	tick = p.tick;
	at(10);
	cr_assert_eq(p.tick, tick);
}

Test(pit, validation_names_the_field)
{
	struct pit good = p;

#define BAD(change, field)                                  \
	do {                                                \
		p = good;                                   \
		change;                                     \
		cr_assert_str_eq(pit_bad_field(&p), field); \
	} while (0)
	cr_assert_null(pit_bad_field(&p));
	BAD(p.epoch_ns = p.now_ns + 1, "pit.epoch_ns");
	BAD(p.now_ns = UINT64_MAX, "pit.epoch_ns");
	BAD(p.tick++, "pit.tick");
	BAD(p.port61 = 0x10, "pit.port61");
	BAD(p.ch[0].gate = 0, "pit.gate");
	BAD(p.ch[2].gate = 1, "pit.gate");
	BAD(p.ch[1].mode = 6, "pit.mode");
	BAD(p.ch[1].access = 0, "pit.access");
	BAD(p.ch[1].access = 4, "pit.access");
	BAD(p.ch[0].bcd = 2, "pit.flags");
	BAD(p.ch[0].read_msb = 0x80, "pit.flags");
	BAD(p.ch[0].n = 0, "pit.count");
	BAD(p.ch[0].n = 65537, "pit.count");
	BAD(p.ch[0].cr = 0, "pit.count");
	BAD(p.ch[0].start = INT64_MIN, "pit.time");
	BAD(p.ch[0].start = (int64_t)p.tick + 2, "pit.time");
	BAD(p.ch[0].frozen = 1, "pit.time");
	BAD(p.ch[0].switch_tick = 0, "pit.time");
	BAD(p.ch[0].switch_tick = INT64_MAX - 1, "pit.time");
#undef BAD
}
