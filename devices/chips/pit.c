/* SPDX-License-Identifier: MIT */
/* Intel 8254: see pit.h. Names in quotes are headings of the data sheet. */
#include "pit.h"

#include <string.h>

#include "ticks.h"

#define NO_SWITCH INT64_MAX

/*
 * The count bytes are posted: what a count changes is seen through later messages of the same ring. A control word
 * can drop OUT0 and with it an interrupt.
 */
#define COUNTER_ROW(i) \
	{ .name = "PIT_COUNTER" #i, .offset = i, .size = 1, .readable = true, .writable = true, .write_mask = 0xff, \
	  .post = REG_POSTED, .class = CLASS_CONFIG }

const struct reg_desc pit_regs[PIT_REG_COUNT] = {
	COUNTER_ROW(0),
	COUNTER_ROW(1),
	COUNTER_ROW(2),
	{ .name = "PIT_CONTROL", .offset = PIT_PORT_CONTROL, .size = 1, .writable = true, .write_mask = 0xff,
	  .class = CLASS_CONFIG },
};

const struct reg_desc port61_regs[PORT61_REG_COUNT] = {
	{ .name = "PORT61", .offset = 0, .size = 1, .readable = true, .writable = true,
	  .write_mask = PORT61_WRITABLE, .class = CLASS_CONFIG, .shadow = REG_SHADOW_TIME, .depends = CLASS_CONFIG },
};

enum { CW_LATCH = 0, CW_READ_BACK = 3, RB_NO_COUNT = 0x20, RB_NO_STATUS = 0x10 };

static bool is_periodic(const struct pit_channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

static bool is_triggered(const struct pit_channel *c)
{
	return c->mode == 1 || c->mode == 5;
}

static uint32_t modulus(const struct pit_channel *c)
{
	return c->bcd ? 10000 : 65536;
}

/* A written count of zero is the largest one ("Mode Definitions"). */
static uint32_t decode_count(const struct pit_channel *c, uint16_t raw)
{
	uint32_t n = raw;

	if (c->bcd)
		n = (raw >> 12) * 1000u + (raw >> 8 & 15) * 100u + (raw >> 4 & 15) * 10u + (raw & 15);
	return n ? n : modulus(c);
}

static uint16_t encode_count(const struct pit_channel *c, uint32_t value)
{
	value %= modulus(c);
	if (!c->bcd)
		return (uint16_t)value;
	return (uint16_t)((value / 1000) << 12 | (value / 100 % 10) << 8 | (value / 10 % 10) << 4 | value % 10);
}

/* Ticks since the counting element was loaded; negative: the clock pulse that loads it has not come yet. */
static int64_t elapsed(const struct pit_channel *c, uint64_t tick)
{
	return c->frozen ? c->frozen_at : (int64_t)tick - c->start;
}

/* Mode 3: the output is high for (n + 1) / 2 ticks, low for the rest. */
static int64_t high_half(const struct pit_channel *c)
{
	return (c->n + 1) / 2;
}

static bool out_at(const struct pit_channel *c, uint64_t tick)
{
	int64_t e = c->armed ? elapsed(c, tick) : -1;

	switch (c->mode) {
	case 0:
		return e >= (int64_t)c->n;
	case 1:
		return e < 0 || e >= (int64_t)c->n;
	case 2:
		return e < 0 || !c->gate || e % c->n != c->n - 1;
	case 3:
		return e < 0 || !c->gate || e % c->n < high_half(c);
	default: /* 4, 5: one low strobe when the count is reached */
		return e != (int64_t)c->n;
	}
}

static uint16_t count_at(const struct pit_channel *c, uint64_t tick)
{
	int64_t e, pos;

	if (!c->armed)
		return c->idle;
	e = elapsed(c, tick);
	if (e < 0)
		e = 0;
	pos = e % c->n;
	switch (c->mode) {
	case 2:
		return encode_count(c, (uint32_t)(c->n - pos));
	case 3: /* counts down by two in each half; odd counts are loaded less one */
		if (pos >= high_half(c))
			pos -= high_half(c);
		return encode_count(c, (uint32_t)((c->n & ~1u) - 2 * pos));
	default: /* goes on below zero, modulo 65536 or 10000 */
		return encode_count(c, (uint32_t)(c->n + modulus(c) - e % modulus(c)));
	}
}

/* Rising edges of OUT in (from, to], as the channel is loaded now. */
static uint64_t rises_between(const struct pit_channel *c, uint64_t from, uint64_t to)
{
	int64_t e0, e1, edge = (int64_t)c->n + (c->mode >= 4);
	uint64_t rises;

	if (!c->armed || c->frozen)
		return 0;
	e0 = elapsed(c, from);
	e1 = elapsed(c, to);
	if (!is_periodic(c))
		return e0 < edge && edge <= e1;
	if (c->n == 1 || e1 < 0)
		return 0;
	rises = (uint64_t)(e1 / c->n - (e0 < 0 ? 0 : e0) / c->n);
	return rises <= MISSED_EDGES_S * PIT_HZ / c->n ? rises : MISSED_EDGES_S * PIT_HZ / c->n + 1;
}

/* The count register goes to the counting element with the next clock pulse. */
static void load(struct pit_channel *c, uint64_t tick)
{
	c->n = c->cr;
	c->start = (int64_t)tick + 1;
	c->switch_tick = NO_SWITCH;
	c->armed = true;
	c->null = false;
	c->frozen = !c->gate && !is_triggered(c);
	c->frozen_at = 0;
}

/* Modes 2 and 3: a count written while counting takes over at the end of the cycle, or half cycle ("Mode 2, 3"). */
static int64_t end_of_phase(const struct pit_channel *c, uint64_t tick)
{
	int64_t e = elapsed(c, tick), pos = e % c->n;

	if (c->mode == 3 && pos < high_half(c))
		return (int64_t)tick - pos + high_half(c);
	return (int64_t)tick - pos + c->n;
}

static void take_over(struct pit_channel *c)
{
	bool low_half = c->mode == 3 && (c->switch_tick - c->start) % c->n == high_half(c) && c->n > 1;

	c->n = c->cr;
	/* A low half begins as if the high half of the new count had just passed. */
	c->start = c->switch_tick - (low_half ? high_half(c) : 0);
	c->switch_tick = NO_SWITCH;
	c->null = false;
}

static uint64_t channel_advance(struct pit_channel *c, uint64_t from, uint64_t to)
{
	uint64_t rises = 0;

	if (c->switch_tick <= (int64_t)to) {
		rises = rises_between(c, from, (uint64_t)c->switch_tick);
		from = (uint64_t)c->switch_tick;
		take_over(c);
	}
	return rises + rises_between(c, from, to);
}

static void write_count(struct pit_channel *c, uint64_t tick, uint16_t raw)
{
	bool counting = is_periodic(c) && c->armed && c->gate && elapsed(c, tick) >= 0;

	c->cr = decode_count(c, raw);
	c->cr_valid = true;
	c->null = true;
	if (counting)
		c->switch_tick = end_of_phase(c, tick);
	else if (!is_triggered(c))
		load(c, tick);
}

/* "Mode 0": writing a count stops the counter and lowers OUT at once, with two bytes already on the first of them. */
static void disarm_mode0(struct pit_channel *c, uint64_t tick)
{
	if (c->mode != 0 || !c->armed)
		return;
	c->idle = count_at(c, tick);
	c->armed = false;
	c->frozen = false;
}

static void write_byte(struct pit_channel *c, uint64_t tick, uint8_t value)
{
	disarm_mode0(c, tick);
	if (c->access == 1) {
		write_count(c, tick, value);
	} else if (c->access == 2) {
		write_count(c, tick, (uint16_t)(value << 8));
	} else if (!c->write_msb) {
		c->lsb = value;
		c->write_msb = true;
	} else {
		c->write_msb = false;
		write_count(c, tick, (uint16_t)(value << 8 | c->lsb));
	}
}

/* "Counter Latch Command": the first latch holds until it is read; further ones are ignored. */
static void latch_count(struct pit_channel *c, uint64_t tick)
{
	if (c->count_latched)
		return;
	c->latch = count_at(c, tick);
	c->count_latched = true;
}

/* "Read-Back Command", status byte. */
static void latch_status(struct pit_channel *c, uint64_t tick)
{
	bool null = c->null || (c->armed && elapsed(c, tick) < 0);

	if (c->status_latched)
		return;
	c->status = (uint8_t)((out_at(c, tick) ? 0x80 : 0) | (null ? 0x40 : 0) | c->access << 4 | c->mode << 1 | c->bcd);
	c->status_latched = true;
}

static uint8_t read_byte(struct pit_channel *c, uint64_t tick)
{
	uint16_t count = c->count_latched ? c->latch : count_at(c, tick);
	bool msb = c->access == 2 || (c->access == 3 && c->read_msb);

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->access == 3)
		c->read_msb = !c->read_msb;
	if (!c->read_msb) /* the last byte of a reading releases the latch */
		c->count_latched = false;
	return (uint8_t)(msb ? count >> 8 : count);
}

static void set_mode(struct pit_channel *c, uint64_t tick, uint8_t control)
{
	uint8_t mode = control >> 1 & 7;

	c->idle = count_at(c, tick);
	c->mode = mode > 5 ? mode - 4 : mode; /* "don't care" bit of modes 2 and 3 */
	c->access = control >> 4 & 3;
	c->bcd = control & 1;
	c->null = true;
	c->armed = c->cr_valid = c->frozen = c->write_msb = c->read_msb = false;
	c->count_latched = c->status_latched = false;
	c->switch_tick = NO_SWITCH;
}

static void read_back(struct pit *p, uint8_t command)
{
	for (unsigned i = 0; i < PIT_CHANNELS; i++) {
		if (!(command & 2u << i))
			continue;
		if (!(command & RB_NO_COUNT)) /* the bits are active low */
			latch_count(&p->ch[i], p->tick);
		if (!(command & RB_NO_STATUS))
			latch_status(&p->ch[i], p->tick);
	}
}

static void write_control(struct pit *p, uint8_t value)
{
	unsigned channel = value >> 6;

	if (channel == CW_READ_BACK)
		read_back(p, value);
	else if ((value >> 4 & 3) == CW_LATCH)
		latch_count(&p->ch[channel], p->tick);
	else
		set_mode(&p->ch[channel], p->tick, value);
}

/* "Gate": modes 0 and 4 pause; 1 and 5 are triggered by the rising edge; 2 and 3 stop high and start afresh. */
static void set_gate(struct pit_channel *c, uint64_t tick, bool gate)
{
	int64_t e = elapsed(c, tick);

	if (gate == c->gate)
		return;
	c->gate = gate;
	if (gate && (is_triggered(c) || is_periodic(c))) {
		if (c->cr_valid)
			load(c, tick);
	} else if (gate && c->frozen) {
		c->start = (int64_t)tick - c->frozen_at;
		c->frozen = false;
	} else if (!gate && c->armed && !is_triggered(c)) {
		c->frozen_at = e < 0 ? 0 : e;
		c->frozen = true;
		c->switch_tick = NO_SWITCH;
	}
}

void pit_reset(struct pit *p, uint64_t now_ns)
{
	static const uint8_t firmware[] = { 0x36, 0x54, 0xb6 };

	memset(p, 0, sizeof(*p));
	p->epoch_ns = p->now_ns = now_ns;
	for (unsigned i = 0; i < PIT_CHANNELS; i++) {
		p->ch[i].gate = i != 2;
		p->ch[i].n = p->ch[i].cr = 65536;
		write_control(p, firmware[i]);
	}
	write_count(&p->ch[0], 0, 0);
	write_count(&p->ch[1], 0, 18);
}

/* The tick at which OUT next rises or a new count takes over; INT64_MAX: never. */
static int64_t next_change(const struct pit_channel *c, uint64_t tick)
{
	int64_t e, edge = (int64_t)c->n + (c->mode >= 4);

	if (!c->armed || c->frozen)
		return INT64_MAX;
	e = elapsed(c, tick);
	if (!is_periodic(c))
		return e < edge ? c->start + edge : INT64_MAX;
	if (c->n == 1)
		return c->switch_tick;
	edge = c->start + ((e < 0 ? 0 : e) / c->n + 1) * (int64_t)c->n;
	return edge < c->switch_tick ? edge : c->switch_tick;
}

static uint64_t next_ns(const struct pit *p)
{
	int64_t tick = next_change(&p->ch[0], p->tick);
	uint64_t ns = tick == INT64_MAX ? TIME_NEVER : ns_of((uint64_t)tick, PIT_HZ);

	if (ns == TIME_NEVER)
		return TIME_NEVER;
	ns += p->epoch_ns;
	if (is_periodic(&p->ch[0]) && ns < p->now_ns + PERIODIC_MIN_WAKE_NS)
		return p->now_ns + PERIODIC_MIN_WAKE_NS;
	return ns;
}

uint64_t pit_advance(struct pit *p, uint64_t now_ns)
{
	uint64_t from = p->tick;

	if (now_ns > p->now_ns)
		p->now_ns = now_ns;
	p->tick = ticks_in(p->now_ns - p->epoch_ns, PIT_HZ);
	p->out0_rises += channel_advance(&p->ch[0], from, p->tick);
	channel_advance(&p->ch[1], from, p->tick);
	channel_advance(&p->ch[2], from, p->tick);
	return next_ns(p);
}

bool pit_out(const struct pit *p, unsigned channel)
{
	return out_at(&p->ch[channel % PIT_CHANNELS], p->tick);
}

uint8_t pit_read(struct pit *p, unsigned offset)
{
	if (offset >= PIT_PORT_CONTROL)
		return 0xff; /* "Read Operations": no operation, the bus floats */
	return read_byte(&p->ch[offset], p->tick);
}

void pit_write(struct pit *p, unsigned offset, uint8_t value)
{
	bool before = pit_out(p, 0);

	if (offset >= PIT_PORT_CONTROL)
		write_control(p, value);
	else
		write_byte(&p->ch[offset], p->tick, value);
	if (!before && pit_out(p, 0)) /* a control word for modes 1 to 5 raises OUT */
		p->out0_rises++;
}

uint8_t port61_read(const struct pit *p)
{
	uint64_t refresh = ticks_in(p->now_ns - p->epoch_ns, PIT_REFRESH_HZ) & PORT61_REFRESH;

	return (uint8_t)(p->port61 | refresh | (pit_out(p, 2) ? PORT61_OUT2 : 0));
}

void port61_write(struct pit *p, uint8_t value)
{
	p->port61 = value & PORT61_WRITABLE;
	set_gate(&p->ch[2], p->tick, value & PORT61_GATE2);
}

static bool flags_are_sane(const struct pit_channel *c)
{
	return (c->bcd | c->gate | c->armed | c->cr_valid | c->null | c->frozen | c->write_msb | c->read_msb | c->count_latched |
		c->status_latched) <= 1;
}

static bool counts_are_sane(const struct pit_channel *c)
{
	return c->n >= 1 && c->n <= 65536 && c->cr >= 1 && c->cr <= 65536 && (!c->armed || c->cr_valid);
}

/* A load lies at most one tick ahead, and only mode 3 puts it (half a count) before the epoch. */
static bool times_are_sane(const struct pit_channel *c, uint64_t tick)
{
	int64_t now = (int64_t)tick;

	if (c->start < -65536 || c->start > now + 1)
		return false;
	if (c->frozen && (!c->armed || c->gate || is_triggered(c) || c->frozen_at < 0 || c->frozen_at > now + 65536))
		return false;
	if (c->switch_tick == NO_SWITCH)
		return true;
	return is_periodic(c) && c->armed && !c->frozen && c->start <= now && c->switch_tick > now &&
	       c->switch_tick <= now + 65536;
}

static const char *channel_bad_field(const struct pit_channel *c, uint64_t tick)
{
	if (c->mode > 5)
		return "pit.mode";
	if (c->access < 1 || c->access > 3)
		return "pit.access";
	if (!flags_are_sane(c))
		return "pit.flags";
	if (!counts_are_sane(c))
		return "pit.count";
	return times_are_sane(c, tick) ? NULL : "pit.time";
}

const char *pit_bad_field(const struct pit *p)
{
	if (p->now_ns > TIME_MAX_NS || p->epoch_ns > p->now_ns)
		return "pit.epoch_ns";
	if (p->tick != ticks_in(p->now_ns - p->epoch_ns, PIT_HZ))
		return "pit.tick";
	if (p->port61 & ~PORT61_WRITABLE)
		return "pit.port61";
	if (p->ch[0].gate != 1 || p->ch[1].gate != 1 || p->ch[2].gate != (p->port61 & PORT61_GATE2))
		return "pit.gate";
	for (unsigned i = 0; i < PIT_CHANNELS; i++)
		if (channel_bad_field(&p->ch[i], p->tick))
			return channel_bad_field(&p->ch[i], p->tick);
	return NULL;
}
