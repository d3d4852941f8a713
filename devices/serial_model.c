/* SPDX-License-Identifier: MIT */
/* The serial daemon's machine: four 16550A on two shared interrupt lines. */
#include "serial_model.h"

#include <errno.h>
#include <string.h>

#include "devices/chips/ticks.h"
#include "proto/kind.h"
#include "proto/layout.h"

/* COM1 and COM3, COM2 and COM4 share a line: wired-OR, so a unit's wire is its number modulo two. */
static const uint8_t wire_line[SERIAL_WIRES] = { LAYOUT_COM1_IRQ, LAYOUT_COM2_IRQ };

/* A range for each unit, in their order. */
enum { SERIALD_RANGES(RANGE_ID) RANGES };
_Static_assert((int)RANGES == (int)SERIAL_UNITS, "a unit's number is its range");
static const struct model_range ranges[RANGES] = { SERIALD_RANGES(RANGE_ROW) };

static void pass_time(struct serial_state *s, uint64_t now_ns)
{
	if (now_ns > TIME_MAX_NS)
		now_ns = TIME_MAX_NS;
	if (now_ns > s->now_ns)
		s->now_ns = now_ns;
}

static bool wire_level(const struct serial_state *s, unsigned wire)
{
	return uart_irq(&s->uart[wire]) || uart_irq(&s->uart[wire + SERIAL_WIRES]);
}

static void set_wires(struct serial_state *s)
{
	for (unsigned i = 0; i < SERIAL_WIRES; i++)
		s->wires[i] = line_set(s->wires[i], wire_level(s, i));
}

static uint64_t settle(struct serial_state *s)
{
	uint64_t next = TIME_NEVER;

	for (unsigned i = 0; i < SERIAL_UNITS; i++)
		next = time_min(next, uart_advance(&s->uart[i], s->now_ns));
	set_wires(s);
	return next;
}

static void serial_reset(void *state, const struct model_config *config, uint64_t now_ns)
{
	struct serial_state *s = state;

	memset(s, 0, sizeof(*s));
	pass_time(s, now_ns);
	for (unsigned i = 0; i < SERIAL_UNITS; i++)
		uart_reset(&s->uart[i]);
}

/* Wide accesses are split into bytes, as on the ISA bus. */
static uint64_t serial_read(void *state, unsigned range, uint32_t offset, unsigned size, uint64_t now_ns)
{
	struct serial_state *s = state;
	uint64_t value = 0;

	if (range >= SERIAL_UNITS)
		return UINT64_MAX;
	pass_time(s, now_ns);
	settle(s);
	for (unsigned i = 0; i < size && i < 8; i++) {
		uint8_t byte = offset + i < UART_PORTS ? uart_read(&s->uart[range], offset + i, s->now_ns) : 0xff;

		value |= (uint64_t)byte << 8 * i;
		settle(s);
	}
	return value;
}

/*
 * The lines are set twice: writing THR lowers the THRE interrupt, and the byte going out raises it again. A driver that
 * answers each interrupt with one byte and never reads IIR needs that edge (the 8259 is edge-triggered).
 */
static void serial_write(void *state, unsigned range, uint32_t offset, uint64_t data, unsigned size, uint64_t now_ns)
{
	struct serial_state *s = state;

	if (range >= SERIAL_UNITS)
		return;
	pass_time(s, now_ns);
	settle(s);
	for (unsigned i = 0; i < size && i < 8 && offset + i < UART_PORTS; i++) {
		uart_write(&s->uart[range], offset + i, (uint8_t)(data >> 8 * i), s->now_ns);
		set_wires(s);
		settle(s);
	}
}

static uint64_t serial_advance(void *state, uint64_t now_ns)
{
	struct serial_state *s = state;
	uint64_t next;

	pass_time(s, now_ns);
	next = settle(s);
	return next != TIME_NEVER && next < s->now_ns + MODEL_MIN_STEP_NS ? s->now_ns + MODEL_MIN_STEP_NS : next;
}

static void serial_get_lines(const void *state, uint32_t words[MODEL_LINES])
{
	const struct serial_state *s = state;

	for (unsigned i = 0; i < SERIAL_WIRES; i++)
		words[wire_line[i]] = s->wires[i];
}

static unsigned serial_get_shadow(const void *state, struct shadow_value out[MODEL_MAX_SHADOW])
{
	const struct serial_state *s = state;
	unsigned n = 0;

	for (unsigned i = 0; i < SERIAL_UNITS; i++) {
		const struct uart *u = &s->uart[i];

		out[n++] = (struct shadow_value){ .valid = uart_lsr_is_shadowable(u), .value = uart_lsr(u) };
		out[n++] = (struct shadow_value){ .valid = uart_msr_is_shadowable(u), .value = uart_msr(u) };
	}
	return n;
}

static int serial_validate(const void *state, const char **field)
{
	const struct serial_state *s = state;

	*field = "serial.now_ns";
	if (s->now_ns > TIME_MAX_NS)
		return -EINVAL;
	for (unsigned i = 0; i < SERIAL_UNITS; i++) {
		*field = uart_bad_field(&s->uart[i], s->now_ns);
		if (*field)
			return -EINVAL;
	}
	*field = "serial.wires";
	for (unsigned i = 0; i < SERIAL_WIRES; i++)
		if ((s->wires[i] & LINE_LEVEL) != wire_level(s, i))
			return -EINVAL;
	*field = NULL;
	return 0;
}

size_t serial_model_take(void *state, unsigned unit, uint8_t *buf, size_t len)
{
	struct serial_state *s = state;

	return unit < SERIAL_UNITS ? uart_take(&s->uart[unit], buf, len) : 0;
}

size_t serial_model_offer(void *state, unsigned unit, const uint8_t *buf, size_t len, uint64_t now_ns)
{
	struct serial_state *s = state;
	size_t n = 0;

	if (unit >= SERIAL_UNITS)
		return 0;
	pass_time(s, now_ns);
	settle(s);
	while (n < len && uart_rx_room(&s->uart[unit]) > 0)
		uart_receive(&s->uart[unit], buf[n++], 0, s->now_ns);
	settle(s);
	return n;
}

void serial_model_set_credit(void *state, unsigned unit, uint32_t bytes)
{
	struct serial_state *s = state;

	if (unit >= SERIAL_UNITS)
		return;
	uart_set_credit(&s->uart[unit], bytes);
	settle(s);
}

const struct device_model serial_model = {
	.name = "serial",
	.version = 1,
	.state_size = sizeof(struct serial_state),
	.ranges = ranges,
	.range_count = RANGES,
	.lines = SERIALD_LINES,
	.reset = serial_reset,
	.read = serial_read,
	.write = serial_write,
	.advance = serial_advance,
	.get_lines = serial_get_lines,
	.get_shadow = serial_get_shadow,
	.validate = serial_validate,
};
