/* SPDX-License-Identifier: MIT */
/* Motorola MC146818A: see rtc.h. Names in quotes are headings of the data sheet. */
#include "rtc.h"

#include <string.h>

#include "ticks.h"

enum { CRYSTAL_HZ = 32768, DAY_S = 86400 };
/* Years 0000 to 9999 and the 146 years that time can run. */
#define SECONDS_LIMIT 300000000000ll

const struct reg_desc rtc_port_regs[RTC_PORT_REG_COUNT] = {
	{ .name = "CMOS_INDEX", .offset = RTC_PORT_INDEX, .size = 1, .writable = true, .write_mask = 0xff,
	  .post = REG_POSTED, .class = CLASS_INDEX },
	{ .name = "CMOS_DATA", .offset = RTC_PORT_DATA, .size = 1, .readable = true, .writable = true,
	  .write_mask = 0xff, .class = CLASS_CONFIG },
};

#define CMOS_ROW(n, i, mask, value) \
	{ .name = n, .offset = i, .size = 1, .readable = true, .writable = (mask) != 0, .write_mask = mask, \
	  .reset = value, .class = CLASS_CONFIG }

/* Rows of bytes that change by themselves have no reset value; the alarms are set to "don't care". */
enum { CMOS_ROW_A, CMOS_ROW_B, CMOS_ROW_C, CMOS_ROW_D };
const struct reg_desc rtc_cmos_regs[RTC_CMOS_REG_COUNT] = {
	[CMOS_ROW_A] = CMOS_ROW("RTC_A", RTC_A, 0x7f, 0x26),
	[CMOS_ROW_B] = CMOS_ROW("RTC_B", RTC_B, 0xff, RTC_B_24H),
	[CMOS_ROW_C] = CMOS_ROW("RTC_C", RTC_C, 0, 0),
	[CMOS_ROW_D] = CMOS_ROW("RTC_D", RTC_D, 0, RTC_D_VRT),
	CMOS_ROW("RTC_SECONDS", RTC_SECONDS, 0xff, 0),
	CMOS_ROW("RTC_SECONDS_ALARM", RTC_SECONDS_ALARM, 0xff, 0),
	CMOS_ROW("RTC_MINUTES", RTC_MINUTES, 0xff, 0),
	CMOS_ROW("RTC_MINUTES_ALARM", RTC_MINUTES_ALARM, 0xff, 0),
	CMOS_ROW("RTC_HOURS", RTC_HOURS, 0xff, 0),
	CMOS_ROW("RTC_HOURS_ALARM", RTC_HOURS_ALARM, 0xff, 0),
	CMOS_ROW("RTC_WEEKDAY", RTC_WEEKDAY, 0xff, 0),
	CMOS_ROW("RTC_DAY", RTC_DAY, 0xff, 0),
	CMOS_ROW("RTC_MONTH", RTC_MONTH, 0xff, 0),
	CMOS_ROW("RTC_YEAR", RTC_YEAR, 0xff, 0),
	CMOS_ROW("RTC_CENTURY", RTC_CENTURY, 0xff, 0),
	CMOS_ROW("CMOS_SHUTDOWN", RTC_SHUTDOWN, 0xff, 0),
};

struct calendar {
	int64_t year;
	unsigned month, day, weekday, hour, minute, second; /* weekday: 1 is Sunday */
};

/* The divider chain runs only at the crystal that the board has; other rates and the reset codes stop it. */
static bool divider_runs(const struct rtc *r)
{
	return (r->ram[RTC_A] & RTC_A_DV) == RTC_A_DV_RUN;
}

static bool clock_runs(const struct rtc *r)
{
	return divider_runs(r) && !(r->ram[RTC_B] & RTC_B_SET);
}

/* Days since 1970-01-01 of a date of the Gregorian calendar; years are counted from March so that leap days come last. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
	int64_t y = month <= 2 ? year - 1 : year, era, in_era;
	unsigned in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	era = (y >= 0 ? y : y - 399) / 400;
	in_era = (y - era * 400) * 365 + (y - era * 400) / 4 - (y - era * 400) / 100 + in_year;
	return era * 146097 + in_era - 719468;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static struct calendar calendar_of(int64_t seconds, unsigned weekday_ahead)
{
	int64_t days = floor_div(seconds, DAY_S), shifted = days + 719468, era = floor_div(shifted, 146097);
	unsigned in_era = (unsigned)(shifted - era * 146097), rest = (unsigned)(seconds - days * DAY_S);
	unsigned year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	unsigned in_year = in_era - (365 * year + year / 4 - year / 100), m = (5 * in_year + 2) / 153;
	int64_t weekday = (days + 4 + weekday_ahead) % 7; /* day 0 was a Thursday */

	return (struct calendar){
		.year = era * 400 + year + (m >= 10),
		.month = m < 10 ? m + 3 : m - 9,
		.day = in_year - (153 * m + 2) / 5 + 1,
		.weekday = (unsigned)(weekday < 0 ? weekday + 7 : weekday) + 1,
		.hour = rest / 3600,
		.minute = rest / 60 % 60,
		.second = rest % 60,
	};
}

static uint8_t encode(const struct rtc *r, unsigned value)
{
	return (uint8_t)(r->ram[RTC_B] & RTC_B_BINARY ? value : value / 10 << 4 | value % 10);
}

static unsigned decode(const struct rtc *r, uint8_t raw)
{
	return r->ram[RTC_B] & RTC_B_BINARY ? raw : (raw >> 4) * 10u + (raw & 15u);
}

/* "Time, Calendar, and Alarm Locations": in 12-hour mode bit 7 says p.m. and the hours go 12, 1, ... 11. */
static uint8_t encode_hour(const struct rtc *r, unsigned hour)
{
	if (r->ram[RTC_B] & RTC_B_24H)
		return encode(r, hour);
	return encode(r, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0);
}

static unsigned decode_hour(const struct rtc *r, uint8_t raw)
{
	if (r->ram[RTC_B] & RTC_B_24H)
		return decode(r, raw);
	return decode(r, raw & 0x7f) % 12 + (raw & 0x80 ? 12 : 0);
}

static unsigned clamp(unsigned value, unsigned low, unsigned high)
{
	return value < low ? low : value > high ? high : value;
}

static int64_t phase_ns(const struct rtc *r)
{
	return (int64_t)r->now_ns - r->base_ns;
}

static int64_t current_seconds(const struct rtc *r)
{
	return r->seconds + phase_ns(r) / NS_PER_S;
}

/* The clock stops, or one byte of it is about to be written: the time goes to the time bytes. */
static void time_to_bytes(struct rtc *r)
{
	struct calendar c = calendar_of(current_seconds(r), r->weekday);
	unsigned year = (unsigned)((c.year % 10000 + 10000) % 10000);

	r->ram[RTC_SECONDS] = encode(r, c.second);
	r->ram[RTC_MINUTES] = encode(r, c.minute);
	r->ram[RTC_HOURS] = encode_hour(r, c.hour);
	r->ram[RTC_WEEKDAY] = encode(r, c.weekday);
	r->ram[RTC_DAY] = encode(r, c.day);
	r->ram[RTC_MONTH] = encode(r, c.month);
	r->ram[RTC_YEAR] = encode(r, year % 100);
	r->ram[RTC_CENTURY] = encode(r, year / 100);
}

/*
 * The time bytes become the time; the fraction of the running second is kept, because writing the time does not touch
 * the divider chain. Bytes that are no date are brought to the nearest that is.
 */
static void bytes_to_time(struct rtc *r)
{
	unsigned year = (decode(r, r->ram[RTC_CENTURY]) * 100 + clamp(decode(r, r->ram[RTC_YEAR]), 0, 99)) % 10000;
	unsigned month = clamp(decode(r, r->ram[RTC_MONTH]), 1, 12);
	unsigned hour = clamp(decode_hour(r, r->ram[RTC_HOURS]), 0, 23);
	int64_t days = days_of(year, month, clamp(decode(r, r->ram[RTC_DAY]), 1, 31));
	unsigned weekday = clamp(decode(r, r->ram[RTC_WEEKDAY]), 1, 7);

	r->seconds = days * DAY_S + hour * 3600 + clamp(decode(r, r->ram[RTC_MINUTES]), 0, 59) * 60 +
		     clamp(decode(r, r->ram[RTC_SECONDS]), 0, 59);
	r->base_ns = (int64_t)r->now_ns - phase_ns(r) % NS_PER_S;
	r->weekday = (uint8_t)((weekday + 7 - calendar_of(r->seconds, 0).weekday) % 7);
}

/* "Don't care" is any alarm byte from C0h to FFh. */
static bool alarm_matches(uint8_t alarm, uint8_t now)
{
	return alarm >= 0xc0 || alarm == now;
}

static bool hour_matches(const struct rtc *r, unsigned hour)
{
	return alarm_matches(r->ram[RTC_HOURS_ALARM], encode_hour(r, hour));
}

static bool minute_matches(const struct rtc *r, unsigned minute)
{
	return alarm_matches(r->ram[RTC_MINUTES_ALARM], encode(r, minute));
}

static bool second_matches(const struct rtc *r, unsigned second)
{
	return alarm_matches(r->ram[RTC_SECONDS_ALARM], encode(r, second));
}

static bool any_matches(const struct rtc *r, bool (*matches)(const struct rtc *, unsigned), unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (matches(r, i))
			return true;
	return false;
}

/* A byte may hold no time at all (EFh is "don't care", but 99h or, in BCD, 0Ah never come). */
static bool alarm_is_possible(const struct rtc *r)
{
	return any_matches(r, hour_matches, 24) && any_matches(r, minute_matches, 60) && any_matches(r, second_matches, 60);
}

/* The second of the day, from `from` on, at which a possible alarm strikes; DAY_S: not before midnight. */
static unsigned alarm_in_day(const struct rtc *r, unsigned from)
{
	unsigned s = from;

	while (s < DAY_S) {
		if (!hour_matches(r, s / 3600))
			s = (s / 3600 + 1) * 3600;
		else if (!minute_matches(r, s / 60 % 60))
			s = (s / 60 + 1) * 60;
		else if (!second_matches(r, s % 60))
			s++;
		else
			return s;
	}
	return DAY_S;
}

/* The first second after `after` at which the alarm strikes; INT64_MAX: never (an alarm byte is no time). */
static int64_t next_alarm(const struct rtc *r, int64_t after)
{
	int64_t first = after + 1, day = floor_div(first, DAY_S) * DAY_S;
	unsigned s;

	if (!alarm_is_possible(r))
		return INT64_MAX;
	s = alarm_in_day(r, (unsigned)(first - day));
	return s < DAY_S ? day + s : day + DAY_S + alarm_in_day(r, 0);
}

/* "Periodic Interrupt Rate": RS 1 and 2 repeat the rates of 8 and 9. 0: off. */
static uint32_t periodic_ticks(const struct rtc *r)
{
	unsigned rs = r->ram[RTC_A] & RTC_A_RS;

	if (rs == 0)
		return 0;
	return rs <= 2 ? 1u << (rs + 6) : 1u << (rs - 1);
}

static bool periodic_passed(const struct rtc *r, uint64_t from_ns, uint64_t to_ns)
{
	uint32_t period = periodic_ticks(r);

	return period != 0 && ticks_in(from_ns, CRYSTAL_HZ) / period != ticks_in(to_ns, CRYSTAL_HZ) / period;
}

bool rtc_irq(const struct rtc *r)
{
	return r->ram[RTC_C] & r->ram[RTC_B] & RTC_C_FLAGS;
}

/* From base_ns on, in nanoseconds; the periods of the divider chain are whole parts of a second. */
static uint64_t next_phase_ns(const struct rtc *r)
{
	uint64_t phase = (uint64_t)phase_ns(r), next = TIME_NEVER;
	uint32_t period = periodic_ticks(r);
	int64_t alarm;

	if ((r->ram[RTC_B] & RTC_B_PIE) && period)
		next = ns_of((ticks_in(phase, CRYSTAL_HZ) / period + 1) * period, CRYSTAL_HZ);
	if (!clock_runs(r))
		return next;
	if (r->ram[RTC_B] & RTC_B_UIE)
		next = time_min(next, (phase / (uint64_t)NS_PER_S + 1) * (uint64_t)NS_PER_S);
	alarm = r->ram[RTC_B] & RTC_B_AIE ? next_alarm(r, current_seconds(r)) : INT64_MAX;
	if (alarm != INT64_MAX)
		next = time_min(next, (uint64_t)(alarm - r->seconds) * (uint64_t)NS_PER_S);
	return next;
}

static uint64_t next_ns(const struct rtc *r)
{
	uint64_t next;

	if (!divider_runs(r) || rtc_irq(r)) /* an asserted IRQ stays until register C is read */
		return TIME_NEVER;
	next = next_phase_ns(r);
	return next == TIME_NEVER ? TIME_NEVER : (uint64_t)(r->base_ns + (int64_t)next);
}

uint64_t rtc_advance(struct rtc *r, uint64_t now_ns)
{
	uint64_t from = (uint64_t)phase_ns(r), to;
	int64_t before = current_seconds(r), after;

	if (now_ns > r->now_ns)
		r->now_ns = now_ns;
	if (!divider_runs(r))
		return TIME_NEVER;
	to = (uint64_t)phase_ns(r);
	if (periodic_passed(r, from, to))
		r->ram[RTC_C] |= RTC_C_PF;
	after = current_seconds(r);
	if (clock_runs(r) && after != before) {
		r->ram[RTC_C] |= RTC_C_UF;
		if (next_alarm(r, before) <= after)
			r->ram[RTC_C] |= RTC_C_AF;
	}
	return next_ns(r);
}

/* Never visible while SET stops updates ("Register A", UIP). */
static bool update_in_progress(const struct rtc *r)
{
	return clock_runs(r) && phase_ns(r) % NS_PER_S >= NS_PER_S - RTC_UPDATE_NS;
}

static bool is_time(unsigned index)
{
	return index == RTC_CENTURY || index <= RTC_YEAR;
}

static bool is_alarm(unsigned index)
{
	return index == RTC_SECONDS_ALARM || index == RTC_MINUTES_ALARM || index == RTC_HOURS_ALARM;
}

/* "Register A", DV: the first update after the divider leaves reset comes half a second later. */
static void write_control(struct rtc *r, unsigned index, uint8_t value)
{
	bool ran = clock_runs(r), divided = divider_runs(r);
	uint8_t mask = (uint8_t)rtc_cmos_regs[index == RTC_A ? CMOS_ROW_A : CMOS_ROW_B].write_mask;

	if (ran)
		time_to_bytes(r);
	r->ram[index] = (uint8_t)((r->ram[index] & ~mask) | (value & mask));
	if (r->ram[RTC_B] & RTC_B_SET) /* "Register B": SET clears UIE */
		r->ram[RTC_B] &= (uint8_t)~RTC_B_UIE;
	if (!divided && divider_runs(r))
		r->base_ns = (int64_t)r->now_ns - NS_PER_S / 2;
	if (!ran && clock_runs(r))
		bytes_to_time(r);
}

static void write_time(struct rtc *r, unsigned index, uint8_t value)
{
	bool runs = clock_runs(r);

	if (runs)
		time_to_bytes(r);
	r->ram[index] = value;
	if (runs)
		bytes_to_time(r);
}

static uint8_t read_flags(struct rtc *r)
{
	uint8_t value = r->ram[RTC_C] | (rtc_irq(r) ? RTC_C_IRQF : 0);

	r->ram[RTC_C] = 0;
	return value;
}

uint8_t rtc_read(struct rtc *r, unsigned port)
{
	if (port != RTC_PORT_DATA)
		return 0xff; /* the PC's index latch cannot be read */
	if (r->index == RTC_A)
		return r->ram[RTC_A] | (update_in_progress(r) ? RTC_A_UIP : 0);
	if (r->index == RTC_C)
		return read_flags(r);
	if (is_time(r->index) && !is_alarm(r->index) && clock_runs(r))
		time_to_bytes(r);
	return r->ram[r->index];
}

void rtc_write(struct rtc *r, unsigned port, uint8_t value)
{
	if (port != RTC_PORT_DATA) {
		r->index = value & (RTC_RAM_SIZE - 1);
		r->nmi_masked = value >> 7;
	} else if (r->index == RTC_A || r->index == RTC_B) {
		write_control(r, r->index, value);
	} else if (r->index == RTC_C || r->index == RTC_D) {
		return; /* read-only */
	} else if (is_time(r->index) && !is_alarm(r->index)) {
		write_time(r, r->index, value);
	} else {
		r->ram[r->index] = value;
	}
}

static void put16(uint8_t *ram, unsigned index, uint64_t value)
{
	value = value > 0xffff ? 0xffff : value;
	ram[index] = (uint8_t)value;
	ram[index + 1] = (uint8_t)(value >> 8);
}

/* What firmware of the AT and its heirs leaves in CMOS for systems that do not ask by E820. */
static void store_memory_sizes(uint8_t *ram, const struct rtc_memory *m)
{
	uint64_t above_1m = m->below_4g > 1 << 20 ? m->below_4g - (1 << 20) : 0;
	uint64_t above_16m = m->below_4g > 16 << 20 ? m->below_4g - (16 << 20) : 0;
	uint64_t above_4g = m->above_4g >> 16;
	unsigned sum = 0;

	put16(ram, RTC_BASE_MEMORY, (m->below_4g < 640 << 10 ? m->below_4g : 640 << 10) >> 10);
	put16(ram, RTC_EXT_MEMORY, above_1m >> 10);
	put16(ram, RTC_EXT_MEMORY_COPY, above_1m >> 10);
	put16(ram, RTC_MEMORY_16M, above_16m >> 16);
	for (unsigned i = 0; i < 3; i++)
		ram[RTC_MEMORY_4G + i] = (uint8_t)((above_4g > 0xffffff ? 0xffffff : above_4g) >> 8 * i);
	for (unsigned i = 0x10; i < RTC_CHECKSUM; i++)
		sum += ram[i];
	ram[RTC_CHECKSUM] = (uint8_t)(sum >> 8);
	ram[RTC_CHECKSUM + 1] = (uint8_t)sum;
}

static int64_t limit_seconds(int64_t seconds)
{
	return seconds < -SECONDS_LIMIT ? -SECONDS_LIMIT : seconds > SECONDS_LIMIT ? SECONDS_LIMIT : seconds;
}

void rtc_reset(struct rtc *r, const struct rtc_memory *memory, int64_t wall_ns, int64_t offset_s, uint64_t now_ns)
{
	int64_t seconds = floor_div(wall_ns, NS_PER_S);

	memset(r, 0, sizeof(*r));
	r->now_ns = now_ns;
	r->seconds = limit_seconds(seconds + limit_seconds(offset_s));
	r->base_ns = (int64_t)now_ns - (wall_ns % NS_PER_S + NS_PER_S) % NS_PER_S;
	r->ram[RTC_A] = (uint8_t)rtc_cmos_regs[CMOS_ROW_A].reset;
	r->ram[RTC_B] = (uint8_t)rtc_cmos_regs[CMOS_ROW_B].reset;
	r->ram[RTC_D] = (uint8_t)rtc_cmos_regs[CMOS_ROW_D].reset;
	r->ram[RTC_EQUIPMENT] = 0x02; /* a coprocessor; no diskette drive, no display */
	r->ram[RTC_PROCESSORS] = (uint8_t)(memory->processors ? memory->processors - 1 : 0);
	store_memory_sizes(r->ram, memory);
	time_to_bytes(r);
}

const char *rtc_bad_field(const struct rtc *r)
{
	int64_t limit = (int64_t)TIME_MAX_NS;

	if (r->now_ns > TIME_MAX_NS)
		return "rtc.now_ns";
	if (r->base_ns < -NS_PER_S || r->base_ns > limit || r->base_ns > (int64_t)r->now_ns)
		return "rtc.base_ns";
	if (r->seconds < -SECONDS_LIMIT || r->seconds > SECONDS_LIMIT)
		return "rtc.seconds";
	if (r->index >= RTC_RAM_SIZE)
		return "rtc.index";
	if (r->nmi_masked > 1)
		return "rtc.nmi_masked";
	if (r->weekday > 6)
		return "rtc.weekday";
	if (r->ram[RTC_A] & RTC_A_UIP)
		return "rtc.register_a";
	if ((r->ram[RTC_B] & RTC_B_SET) && (r->ram[RTC_B] & RTC_B_UIE))
		return "rtc.register_b";
	if (r->ram[RTC_C] & ~RTC_C_FLAGS)
		return "rtc.register_c";
	return r->ram[RTC_D] == RTC_D_VRT ? NULL : "rtc.register_d";
}
