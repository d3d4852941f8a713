/* SPDX-License-Identifier: MIT */
/* MC146818A against Motorola's data sheet; the CMOS bytes as firmware of the AT lays them out. */
#include <criterion/criterion.h>
#include <time.h>

#include "devices/chips/rtc.h"
#include "devices/chips/ticks.h"

#define START_NS 5000000000ull
#define MS 1000000ull
#define S 1000000000ull

/* Saturday, 29 February 2020, 23:59:57 UTC. */
#define LEAP_EVE 1583020797ll

static struct rtc r;
static const struct rtc_memory memory = { .below_4g = 512 << 20, .processors = 1 };

static uint64_t at(uint64_t ns)
{
	return rtc_advance(&r, START_NS + ns);
}

static uint8_t get(unsigned index)
{
	rtc_write(&r, 0, (uint8_t)index);
	return rtc_read(&r, 1);
}

static void set(unsigned index, uint8_t value)
{
	rtc_write(&r, 0, (uint8_t)index);
	rtc_write(&r, 1, value);
}

static void start(int64_t seconds)
{
	rtc_reset(&r, &memory, 0, seconds, START_NS);
}

static void init(void)
{
	start(LEAP_EVE);
}

static void expect_time(const uint8_t bytes[8])
{
	static const uint8_t index[] = { RTC_CENTURY, RTC_YEAR,	 RTC_MONTH,   RTC_DAY,
					 RTC_WEEKDAY, RTC_HOURS, RTC_MINUTES, RTC_SECONDS };

	for (unsigned i = 0; i < 8; i++)
		cr_assert_eq(get(index[i]), bytes[i], "index %x: %02x, not %02x", index[i], get(index[i]), bytes[i]);
}

TestSuite(rtc, .init = init);

/* "Time, Calendar, and Alarm Locations": BCD, 24 hours; Sunday is 1. Leap day and month roll over. */
Test(rtc, bcd_24h)
{
	expect_time((uint8_t[]){ 0x20, 0x20, 0x02, 0x29, 0x07, 0x23, 0x59, 0x57 });
	at(3 * S);
	expect_time((uint8_t[]){ 0x20, 0x20, 0x03, 0x01, 0x01, 0x00, 0x00, 0x00 });
}

Test(rtc, binary)
{
	set(RTC_B, RTC_B_BINARY | RTC_B_24H);
	expect_time((uint8_t[]){ 20, 20, 2, 29, 7, 23, 59, 57 });
}

/* 12-hour mode: 12, 1 .. 11 with the high bit for p.m., in both formats; BCD with PM bit is decoded again. */
Test(rtc, hours_12)
{
	static const uint8_t bcd[] = { 0x12, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x10, 0x11 };

	for (unsigned h = 0; h < 24; h++) {
		start(LEAP_EVE - 23 * 3600 + h * 3600);
		set(RTC_B, 0);
		cr_assert_eq(get(RTC_HOURS), bcd[h % 12] | (h >= 12 ? 0x80 : 0), "%u h", h);
		set(RTC_HOURS, get(RTC_HOURS));
		set(RTC_B, RTC_B_BINARY | RTC_B_24H);
		cr_assert_eq(get(RTC_HOURS), h);
		set(RTC_B, RTC_B_BINARY);
		cr_assert_eq(get(RTC_HOURS), (h % 12 ? h % 12 : 12) | (h >= 12 ? 0x80 : 0));
	}
}

/* The calendar of the C library agrees over 400 years and more. */
Test(rtc, calendar)
{
	for (int64_t t = -2208988800ll; t < 14000000000ll; t += 86400 * 13 + 4321) {
		struct tm tm;
		time_t tt = (time_t)t;

		start(t);
		set(RTC_B, RTC_B_BINARY | RTC_B_24H);
		gmtime_r(&tt, &tm);
		expect_time((uint8_t[]){ (uint8_t)((tm.tm_year + 1900) / 100), (uint8_t)((tm.tm_year + 1900) % 100),
					 (uint8_t)(tm.tm_mon + 1), (uint8_t)tm.tm_mday, (uint8_t)(tm.tm_wday + 1),
					 (uint8_t)tm.tm_hour, (uint8_t)tm.tm_min, (uint8_t)tm.tm_sec });
		set(RTC_MINUTES, (uint8_t)tm.tm_min); /* to bytes and back */
		cr_assert_eq(r.seconds, t);
	}
}

/* "Register B", SET: the time stands, can be written in any order, and goes on from what was written. */
Test(rtc, set_freezes)
{
	set(RTC_B, RTC_B_SET | RTC_B_24H);
	at(10 * S);
	cr_assert_eq(get(RTC_SECONDS), 0x57);
	set(RTC_CENTURY, 0x19), set(RTC_YEAR, 0x99), set(RTC_MONTH, 0x12), set(RTC_DAY, 0x31), set(RTC_WEEKDAY, 0x06);
	set(RTC_HOURS, 0x23), set(RTC_MINUTES, 0x59), set(RTC_SECONDS, 0x58);
	at(20 * S);
	set(RTC_B, RTC_B_24H);
	expect_time((uint8_t[]){ 0x19, 0x99, 0x12, 0x31, 0x06, 0x23, 0x59, 0x58 });
	at(22 * S);
	expect_time((uint8_t[]){ 0x20, 0x00, 0x01, 0x01, 0x07, 0x00, 0x00, 0x00 });
}

/* The weekday is a counter of its own: it keeps what was written and steps at midnight. */
Test(rtc, weekday_is_free)
{
	set(RTC_WEEKDAY, 0x03);
	cr_assert_eq(get(RTC_WEEKDAY), 0x03);
	cr_assert_eq(get(RTC_DAY), 0x29);
	at(3 * S);
	cr_assert_eq(get(RTC_WEEKDAY), 0x04);
}

/* A running clock can be written too. */
Test(rtc, write_while_running)
{
	at(S / 4);
	set(RTC_MINUTES, 0x10);
	at(2 * S);
	expect_time((uint8_t[]){ 0x20, 0x20, 0x02, 0x29, 0x07, 0x23, 0x10, 0x59 });
}

/* Bytes that are no date do no harm. */
Test(rtc, nonsense_dates)
{
	for (unsigned v = 0; v < 256; v++) {
		init();
		set(RTC_B, RTC_B_SET | (v & 1 ? RTC_B_BINARY : 0) | (v & 2 ? RTC_B_24H : 0));
		for (unsigned i = 0; i < 10; i++)
			set(i, (uint8_t)(v * (i + 1)));
		set(RTC_CENTURY, (uint8_t)v);
		set(RTC_B, (v & 1 ? RTC_B_BINARY : 0) | (v & 2 ? RTC_B_24H : 0) | RTC_B_AIE);
		at(100 * S);
		cr_assert_null(rtc_bad_field(&r));
	}
}

/* "Update Cycle": UIP 244 us before the update begins, through its 1984 us; the time changes when it ends. */
Test(rtc, update_in_progress)
{
	at(S - 2228000 - 1);
	cr_assert_not(get(RTC_A) & RTC_A_UIP);
	at(S - 2228000);
	cr_assert(get(RTC_A) & RTC_A_UIP);
	at(S - 1);
	cr_assert(get(RTC_A) & RTC_A_UIP);
	cr_assert_eq(get(RTC_SECONDS), 0x57);
	at(S);
	cr_assert_not(get(RTC_A) & RTC_A_UIP);
	cr_assert_eq(get(RTC_SECONDS), 0x58);
	set(RTC_B, RTC_B_SET | RTC_B_24H);
	at(2 * S - 1000);
	cr_assert_not(get(RTC_A) & RTC_A_UIP, "SET aborts updates");
}

/* "Register A", DV: reset codes stop the clock; the first update comes half a second after the divider is released. */
Test(rtc, divider_reset)
{
	set(RTC_A, 0x76);
	at(10 * S);
	cr_assert_eq(get(RTC_SECONDS), 0x57);
	cr_assert_not(get(RTC_A) & RTC_A_UIP);
	at(10 * S + 300 * MS);
	set(RTC_A, 0x26);
	at(10 * S + 800 * MS - 1);
	cr_assert_eq(get(RTC_SECONDS), 0x57);
	at(10 * S + 800 * MS);
	cr_assert_eq(get(RTC_SECONDS), 0x58);
}

/* Table 5, "Periodic Interrupt Rate", at 32.768 kHz. */
Test(rtc, periodic_rates)
{
	static const unsigned hz[16] = { 0, 256, 128, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2 };

	for (unsigned rs = 1; rs < 16; rs++) {
		unsigned n = 0;

		init();
		set(RTC_A, (uint8_t)(0x20 | rs));
		set(RTC_B, RTC_B_PIE | RTC_B_24H);
		for (uint64_t next = at(0); next <= START_NS + 2 * S; next = rtc_advance(&r, next)) {
			rtc_advance(&r, next);
			cr_assert(rtc_irq(&r));
			cr_assert_eq(get(RTC_C) & ~RTC_C_UF, RTC_C_IRQF | RTC_C_PF);
			cr_assert_not(rtc_irq(&r));
			n++;
		}
		cr_assert_eq(n, 2 * hz[rs], "rate %u", rs);
	}
}

/* Rate 0 is off, and no shift by minus one. */
Test(rtc, periodic_off)
{
	set(RTC_A, 0x20);
	set(RTC_B, RTC_B_PIE | RTC_B_24H);
	cr_assert_eq(at(0), TIME_NEVER);
	at(10 * S);
	cr_assert_eq(get(RTC_C) & RTC_C_PF, 0);
}

/* "Register C": read clears all flags; flags are set whatever is enabled; IRQF only for enabled ones. */
Test(rtc, register_c)
{
	at(S);
	cr_assert_eq(get(RTC_C), RTC_C_PF | RTC_C_UF);
	cr_assert_eq(get(RTC_C), 0);
	set(RTC_C, 0xff);
	cr_assert_eq(get(RTC_C), 0, "read-only");
	set(RTC_B, RTC_B_UIE | RTC_B_24H);
	cr_assert_eq(at(S), START_NS + 2 * S);
	cr_assert_eq(at(2 * S), TIME_NEVER, "IRQ stays asserted; nothing more can come");
	cr_assert(rtc_irq(&r));
	cr_assert_eq(get(RTC_C) & (RTC_C_IRQF | RTC_C_UF), RTC_C_IRQF | RTC_C_UF);
	cr_assert_not(rtc_irq(&r));
	cr_assert_eq(at(2 * S), START_NS + 3 * S);
}

/* A flag that stands already raises IRQ when its enable bit is set ("Register C", IRQF = PF.PIE + AF.AIE + UF.UIE). */
Test(rtc, enabling_a_standing_flag)
{
	at(S);
	cr_assert_not(rtc_irq(&r));
	set(RTC_B, RTC_B_UIE | RTC_B_24H);
	cr_assert(rtc_irq(&r));
}

/* "Register B": SET going high clears UIE. */
Test(rtc, set_clears_uie)
{
	set(RTC_B, RTC_B_UIE | RTC_B_AIE | RTC_B_24H);
	set(RTC_B, RTC_B_SET | RTC_B_UIE | RTC_B_AIE | RTC_B_24H);
	cr_assert_eq(get(RTC_B), RTC_B_SET | RTC_B_AIE | RTC_B_24H);
}

/* Alarm: the second of the day whose three bytes match; C0h to FFh is "don't care". */
Test(rtc, alarm)
{
	set(RTC_HOURS_ALARM, 0x00), set(RTC_MINUTES_ALARM, 0x01), set(RTC_SECONDS_ALARM, 0x30);
	set(RTC_B, RTC_B_AIE | RTC_B_24H);
	cr_assert_eq(at(0), START_NS + 93 * S);
	at(93 * S - 1);
	cr_assert_not(rtc_irq(&r));
	at(93 * S);
	cr_assert(rtc_irq(&r));
	cr_assert(get(RTC_C) & RTC_C_AF);
	cr_assert_eq(at(93 * S), START_NS + (93 + 86400) * S, "tomorrow again");
}

Test(rtc, alarm_dont_care)
{
	set(RTC_HOURS_ALARM, 0xc0), set(RTC_MINUTES_ALARM, 0xff), set(RTC_SECONDS_ALARM, 0x15);
	set(RTC_B, RTC_B_AIE | RTC_B_24H);
	cr_assert_eq(at(0), START_NS + 18 * S, "each minute");
	set(RTC_SECONDS_ALARM, 0xfe);
	cr_assert_eq(at(0), START_NS + 1 * S, "each second");
	set(RTC_SECONDS_ALARM, 0xbf);
	cr_assert_eq(at(0), TIME_NEVER, "BFh is neither a time nor don't care");
}

/* The hour alarm with PM bit. */
Test(rtc, alarm_12h)
{
	set(RTC_B, RTC_B_AIE);
	set(RTC_HOURS_ALARM, 0x12), set(RTC_MINUTES_ALARM, 0x00), set(RTC_SECONDS_ALARM, 0x00);
	cr_assert_eq(at(0), START_NS + 3 * S, "12 a.m. is midnight");
	set(RTC_HOURS_ALARM, 0x92);
	cr_assert_eq(at(0), START_NS + (3 + 43200) * S, "12 p.m. is noon");
}

/* An alarm that passed while nobody looked, however long ago, is flagged; the search is short whatever the bytes. */
Test(rtc, alarm_after_a_long_pause)
{
	set(RTC_HOURS_ALARM, 0x05), set(RTC_MINUTES_ALARM, 0x06), set(RTC_SECONDS_ALARM, 0x07);
	at(86400 * 1000 * S);
	cr_assert(get(RTC_C) & RTC_C_AF);
	at(86400 * 1000 * S + 60 * S);
	cr_assert_not(get(RTC_C) & RTC_C_AF);
}

/* Register D: VRT, read-only. Register A: UIP is read-only. Memory reads back. */
Test(rtc, read_back_from_table)
{
	cr_assert_eq(get(RTC_D), 0x80);
	set(RTC_D, 0);
	cr_assert_eq(get(RTC_D), 0x80);
	for (unsigned i = 0; i < RTC_CMOS_REG_COUNT; i++) {
		const struct reg_desc *d = &rtc_cmos_regs[i];

		init();
		if (d->offset != RTC_B)
			set(RTC_B, RTC_B_SET | RTC_B_24H);
		for (unsigned v = 0; v < 256; v += 51) {
			uint8_t old = get(d->offset), want = (uint8_t)((old & ~d->write_mask) | (v & d->write_mask));

			set(d->offset, (uint8_t)v);
			if (d->offset == RTC_B && (v & RTC_B_SET))
				want &= (uint8_t)~RTC_B_UIE;
			cr_assert_eq(get(d->offset), want, "%s", d->name);
		}
	}
}

Test(rtc, memory_reads_back)
{
	for (unsigned i = 0x0e; i < 128; i++) {
		if (i == RTC_CENTURY)
			continue;
		set(i, (uint8_t)(i * 7));
		cr_assert_eq(get(i), (uint8_t)(i * 7));
	}
	cr_assert_eq(get(0x0f), 0x0f * 7, "the shutdown byte is memory");
}

/* Port 70h: seven bits of index and the NMI mask, write-only. */
Test(rtc, index_port)
{
	rtc_write(&r, 0, 0x80 | 0x3c);
	rtc_write(&r, 1, 0x42);
	cr_assert_eq(r.nmi_masked, 1);
	cr_assert_eq(rtc_read(&r, 0), 0xff);
	rtc_write(&r, 0, 0x3c);
	cr_assert_eq(r.nmi_masked, 0);
	cr_assert_eq(rtc_read(&r, 1), 0x42);
	cr_assert(rtc_port_regs[0].post == REG_POSTED && rtc_port_regs[0].class == CLASS_INDEX);
	cr_assert_eq(rtc_port_regs[1].post, REG_SYNC);
}

/* Memory sizes: KB below 640 K (15h), KB above 1 MB (17h, 30h; 64 MB at most), 64 KB above 16 MB (34h), above 4 GB (5Bh). */
Test(rtc, memory_sizes)
{
	struct rtc_memory m = { .below_4g = 3ull << 30, .above_4g = 5ull << 30, .processors = 4 };
	unsigned sum = 0;

	rtc_reset(&r, &m, 0, 0, START_NS);
	cr_assert_eq(get(0x15) | get(0x16) << 8, 640);
	cr_assert_eq(get(0x17) | get(0x18) << 8, 0xffff);
	cr_assert_eq(get(0x30) | get(0x31) << 8, 0xffff);
	cr_assert_eq(get(0x34) | get(0x35) << 8, ((3 << 10) - 16) << 4);
	cr_assert_eq(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 5 << 14);
	for (unsigned i = 0x10; i <= 0x2d; i++)
		sum += get(i);
	cr_assert_eq((unsigned)(get(0x2e) << 8 | get(0x2f)), sum & 0xffff, "checksum of 10h to 2Dh");
	m = (struct rtc_memory){ .below_4g = 8 << 20 };
	rtc_reset(&r, &m, 0, 0, START_NS);
	cr_assert_eq(get(0x17) | get(0x18) << 8, 7 << 10);
	cr_assert_eq(get(0x34) | get(0x35) << 8, 0);
	cr_assert_eq(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 0);
}

/* The base is absolute: a year in odd steps is a year. */
Test(rtc, no_drift)
{
	uint64_t t = 0;

	start(1600000000);
	while (t < 366 * 86400 * S) {
		t += 86413 * S + 123456789;
		at(t);
		get(RTC_SECONDS);
		get(RTC_C);
	}
	set(RTC_B, RTC_B_SET | RTC_B_24H);
	set(RTC_B, RTC_B_24H);
	cr_assert_eq(r.seconds, 1600000000 + (int64_t)(t / S));
}

Test(rtc, offset)
{
	rtc_reset(&r, &memory, LEAP_EVE * (int64_t)S, 3, START_NS);
	expect_time((uint8_t[]){ 0x20, 0x20, 0x03, 0x01, 0x01, 0x00, 0x00, 0x00 });
	rtc_reset(&r, &memory, INT64_MAX, INT64_MAX, START_NS);
	cr_assert_null(rtc_bad_field(&r));
	rtc_reset(&r, &memory, INT64_MIN, INT64_MIN, START_NS);
	cr_assert_null(rtc_bad_field(&r));
}

Test(rtc, validation_names_the_field)
{
	struct rtc good = r;

#define BAD(change, field)                                  \
	do {                                                \
		r = good;                                   \
		change;                                     \
		cr_assert_str_eq(rtc_bad_field(&r), field); \
	} while (0)
	cr_assert_null(rtc_bad_field(&r));
	BAD(r.now_ns = UINT64_MAX, "rtc.now_ns");
	BAD(r.base_ns = INT64_MIN, "rtc.base_ns");
	BAD(r.base_ns = (int64_t)r.now_ns + 1, "rtc.base_ns");
	BAD(r.seconds = INT64_MAX, "rtc.seconds");
	BAD(r.index = 128, "rtc.index");
	BAD(r.nmi_masked = 2, "rtc.nmi_masked");
	BAD(r.weekday = 7, "rtc.weekday");
	BAD(r.ram[RTC_A] = 0xa6, "rtc.register_a");
	BAD(r.ram[RTC_B] = 0x90, "rtc.register_b");
	BAD(r.ram[RTC_C] = 0x80, "rtc.register_c");
	BAD(r.ram[RTC_D] = 0, "rtc.register_d");
#undef BAD
}
