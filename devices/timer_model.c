/* SPDX-License-Identifier: MIT */
/* The timer daemon's machine: 8254 with port 61h, MC146818A with CMOS, ACPI PM timer, HPET. */
#include "timer_model.h"

#include <errno.h>
#include <string.h>

#include "devices/chips/ticks.h"
#include "proto/kind.h"
#include "proto/layout.h"

enum { PIT_BASE = 0x40, PORT61_BASE = 0x61, RTC_BASE = 0x70 };
#define PIT_LINE_BIT (1u << LAYOUT_PIT_IRQ)
#define RTC_LINE_BIT (1u << LAYOUT_RTC_IRQ)
#define LINES TIMERD_LINES

enum timer_range { TIMERD_RANGES(RANGE_ID) RANGES };
static const struct model_range ranges[RANGES] = { TIMERD_RANGES(RANGE_ROW) };

static void pass_time(struct timer_state *s, uint64_t now_ns)
{
	if (now_ns > TIME_MAX_NS)
		now_ns = TIME_MAX_NS;
	if (now_ns > s->now_ns)
		s->now_ns = now_ns;
}

/* With legacy replacement the HPET's timers 0 and 1 have the lines of the PIT and the RTC for themselves. */
static uint32_t levels(const struct timer_state *s)
{
	uint32_t bits = 0;

	if (!hpet_is_legacy(&s->hpet))
		bits |= (pit_out(&s->pit, 0) ? PIT_LINE_BIT : 0) | (rtc_irq(&s->rtc) ? RTC_LINE_BIT : 0);
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		if (hpet_level(&s->hpet, n) && hpet_line(&s->hpet, n) >= 0)
			bits |= 1u << hpet_line(&s->hpet, n);
	return bits;
}

/* `edges` rising edges passed; the line ends at `level`. A line that somebody else holds high shows no edges. */
static uint32_t pulse(uint32_t word, uint64_t edges, bool held)
{
	return held ? word : word + (uint32_t)edges * LINE_EDGE;
}

/* OUT0 is itself the line: its level before and after, and the rises between, all count. */
static void put_pit_edges(struct timer_state *s, uint32_t now)
{
	uint64_t rises = s->pit.out0_rises - s->pit_rises;
	uint32_t *word = &s->lines[LAYOUT_PIT_IRQ];

	s->pit_rises = s->pit.out0_rises;
	if (hpet_is_legacy(&s->hpet) || rises == 0)
		return;
	*word = (pulse(*word, rises, false) & ~LINE_LEVEL) | (now & PIT_LINE_BIT ? LINE_LEVEL : 0);
}

static void put_hpet_edges(struct timer_state *s, unsigned n, uint32_t now)
{
	uint64_t fires = s->hpet.timers[n].fires - s->hpet_fires[n];
	int line = hpet_line(&s->hpet, n);

	s->hpet_fires[n] = s->hpet.timers[n].fires;
	if (fires == 0 || line < 0)
		return;
	s->lines[line] = pulse(s->lines[line], fires, now >> line & 1);
}

static void set_lines(struct timer_state *s)
{
	uint32_t now = levels(s);

	put_pit_edges(s, now);
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		put_hpet_edges(s, n, now);
	for (unsigned i = 0; i < MODEL_LINES; i++)
		if (LINES >> i & 1)
			s->lines[i] = line_set(s->lines[i], now >> i & 1);
}

/* Time passes before an access, so that what came due earlier is on the lines as they are routed now. */
static uint64_t advance_chips(struct timer_state *s, uint64_t now_ns)
{
	uint64_t next;

	pass_time(s, now_ns);
	next = pit_advance(&s->pit, s->now_ns);
	if (hpet_is_legacy(&s->hpet))
		next = TIME_NEVER; /* nobody hears the PIT */
	next = time_min(next, rtc_advance(&s->rtc, s->now_ns));
	next = time_min(next, hpet_advance(&s->hpet, s->now_ns));
	set_lines(s);
	return next;
}

static void timer_reset(void *state, const struct model_config *config, uint64_t now_ns)
{
	struct timer_state *s = state;
	struct rtc_memory memory = {
		.below_4g = config->ram_low,
		.above_4g = config->ram_high,
		.processors = config->vcpus,
	};
	int64_t wall_ns;

	memset(s, 0, sizeof(*s));
	pass_time(s, now_ns);
	if (__builtin_add_overflow(config->realtime_ns, (int64_t)s->now_ns, &wall_ns))
		wall_ns = INT64_MAX;
	pit_reset(&s->pit, s->now_ns);
	rtc_reset(&s->rtc, &memory, wall_ns, config->rtc_offset_s, s->now_ns);
	hpet_reset(&s->hpet, s->now_ns);
	pmtimer_reset(&s->pmtimer, s->now_ns);
	/* OUT0 stands high, without an edge: it did so before anybody looked. */
	s->lines[LAYOUT_PIT_IRQ] = pit_out(&s->pit, 0) ? LINE_LEVEL : 0;
	s->pit_rises = s->pit.out0_rises;
}

static uint8_t read_byte(struct timer_state *s, enum timer_range range, uint32_t offset)
{
	if (offset >= ranges[range].len)
		return 0xff;
	switch (range) {
	case RANGE_PIT:
		return pit_read(&s->pit, offset);
	case RANGE_PORT61:
		return port61_read(&s->pit);
	case RANGE_RTC:
		return rtc_read(&s->rtc, offset);
	case RANGE_PMTIMER:
		return (uint8_t)(pmtimer_read(&s->pmtimer, s->now_ns) >> 8 * offset);
	case RANGE_HPET: /* byte lanes of the register: nothing there has a side effect */
		return (uint8_t)(hpet_read(&s->hpet, offset & ~7u) >> 8 * (offset & 7));
	case RANGES:
		break;
	}
	return 0xff;
}

static uint64_t timer_read(void *state, unsigned range, uint32_t offset, unsigned size, uint64_t now_ns)
{
	struct timer_state *s = state;
	uint64_t value = 0;

	if (range >= RANGES)
		return UINT64_MAX;
	advance_chips(s, now_ns);
	for (unsigned i = 0; i < size && i < 8; i++)
		value |= (uint64_t)read_byte(s, range, offset + i) << 8 * i;
	set_lines(s);
	return value;
}

static void write_port(struct timer_state *s, enum timer_range range, uint32_t offset, uint8_t value)
{
	if (offset >= ranges[range].len)
		return;
	switch (range) {
	case RANGE_PIT:
		pit_write(&s->pit, offset, value);
		break;
	case RANGE_PORT61:
		port61_write(&s->pit, value);
		break;
	case RANGE_RTC:
		rtc_write(&s->rtc, offset, value);
		break;
	case RANGE_PMTIMER: /* read-only */
	case RANGE_HPET:
	case RANGES:
		break;
	}
}

/* The HPET wants aligned 32 or 64-bit accesses (1.0a, 2.3); others touch the byte lanes that they cover. */
static void write_hpet(struct timer_state *s, uint32_t offset, uint64_t data, unsigned size)
{
	uint64_t lanes = size >= 8 ? UINT64_MAX : (1ull << 8 * size) - 1;
	unsigned shift = 8 * (offset & 7);

	offset &= ~7u;
	hpet_write(&s->hpet, offset, data << shift, lanes << shift);
	if (shift && lanes >> (64 - shift) && offset + 8 < LAYOUT_HPET_SIZE)
		hpet_write(&s->hpet, offset + 8, data >> (64 - shift), lanes >> (64 - shift));
}

static void timer_write(void *state, unsigned range, uint32_t offset, uint64_t data, unsigned size, uint64_t now_ns)
{
	struct timer_state *s = state;

	advance_chips(s, now_ns);
	if (range == RANGE_HPET && offset < LAYOUT_HPET_SIZE)
		write_hpet(s, offset, data, size);
	for (unsigned i = 0; range < RANGE_HPET && i < size && i < 8; i++) {
		write_port(s, range, offset + i, (uint8_t)(data >> 8 * i));
		set_lines(s);
	}
	set_lines(s);
}

static uint64_t timer_advance(void *state, uint64_t now_ns)
{
	struct timer_state *s = state;
	uint64_t next = advance_chips(s, now_ns);

	return next != TIME_NEVER && next < s->now_ns + MODEL_MIN_STEP_NS ? s->now_ns + MODEL_MIN_STEP_NS : next;
}

static void timer_get_lines(const void *state, uint32_t words[MODEL_LINES])
{
	const struct timer_state *s = state;

	for (unsigned i = 0; i < MODEL_LINES; i++)
		if (LINES >> i & 1)
			words[i] = s->lines[i];
}

/*
 * Port 61h as a function of time can say only its refresh bit, so it is published while every other bit reads 0 and
 * channel 2 does not run; otherwise a read takes the round trip.
 */
static struct shadow_value port61_shadow(const struct timer_state *s)
{
	const struct pit_channel *c = &s->pit.ch[2];

	return (struct shadow_value){
		.valid = s->pit.port61 == 0 && !pit_out(&s->pit, 2) && (!c->armed || c->frozen),
		.base_ns = s->pit.epoch_ns,
		.hz = PIT_REFRESH_HZ,
		.mask = PORT61_REFRESH,
	};
}

static struct shadow_value hpet_shadow(const struct timer_state *s, uint64_t mask)
{
	bool runs = s->hpet.config & HPET_ENABLE;

	return (struct shadow_value){
		.valid = true,
		.value = runs ? s->hpet.count : s->hpet.count & mask,
		.base_ns = s->hpet.base_ns,
		.hz = runs ? HPET_HZ : 0,
		.mask = mask,
	};
}

static unsigned timer_get_shadow(const void *state, struct shadow_value out[MODEL_MAX_SHADOW])
{
	const struct timer_state *s = state;

	out[0] = port61_shadow(s);
	out[1] = (struct shadow_value){
		.valid = true,
		.base_ns = s->pmtimer.epoch_ns,
		.hz = LAYOUT_PM_TIMER_HZ,
		.mask = PMTIMER_MASK,
	};
	out[2] = hpet_shadow(s, UINT64_MAX);
	out[3] = hpet_shadow(s, UINT32_MAX);
	return 4;
}

static const char *bad_line(const struct timer_state *s)
{
	uint32_t now = levels(s);

	for (unsigned i = 0; i < MODEL_LINES; i++)
		if (LINES >> i & 1 ? (s->lines[i] & LINE_LEVEL) != (now >> i & 1) : s->lines[i] != 0)
			return "timer.lines";
	if (s->pit_rises != s->pit.out0_rises)
		return "timer.pit_rises";
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		if (s->hpet_fires[n] != s->hpet.timers[n].fires)
			return "timer.hpet_fires";
	return NULL;
}

static const char *bad_field(const struct timer_state *s)
{
	const char *bad = pit_bad_field(&s->pit);

	if (s->now_ns != s->pit.now_ns || s->now_ns != s->rtc.now_ns || s->now_ns != s->hpet.now_ns)
		return "timer.now_ns";
	if (!bad)
		bad = rtc_bad_field(&s->rtc);
	if (!bad)
		bad = hpet_bad_field(&s->hpet);
	if (!bad)
		bad = pmtimer_bad_field(&s->pmtimer, s->now_ns);
	return bad ? bad : bad_line(s);
}

static int timer_validate(const void *state, const char **field)
{
	*field = bad_field(state);
	return *field ? -EINVAL : 0;
}

const struct device_model timer_model = {
	.name = "timer",
	.version = 1,
	.state_size = sizeof(struct timer_state),
	.ranges = ranges,
	.range_count = RANGES,
	.lines = LINES,
	.reset = timer_reset,
	.read = timer_read,
	.write = timer_write,
	.advance = timer_advance,
	.get_lines = timer_get_lines,
	.get_shadow = timer_get_shadow,
	.validate = timer_validate,
};
