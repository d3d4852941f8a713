/* SPDX-License-Identifier: MIT */
/* A mouse: ps2_mouse.h. */
#include "ps2_mouse.h"

#include <stddef.h>

enum { ACK = 0xfa, RESEND = 0xfe, TEST_PASSED = 0xaa };
enum { SET_RESOLUTION = 0xe8, SET_RATE = 0xf3 }; /* commands of two bytes */
enum { RESET_WRAP = 0xec, RESET = 0xff };	 /* what is not echoed in wrap mode */
enum { RATE_DEFAULT = 100, RESOLUTION_DEFAULT = 2, REPORT_MAX = 4, COUNTER_MAX = PS2_MOUSE_STEP };

static void answer(struct ps2_mouse *m, uint8_t byte)
{
	ps2_queue_put(&m->answers, byte);
}

/* ---- reports --------------------------------------------------------------------------------------------------- */

static unsigned report_bytes(const struct ps2_mouse *m)
{
	return m->id ? REPORT_MAX : REPORT_MAX - 1;
}

static void forget_movement(struct ps2_mouse *m)
{
	m->dx = m->dy = m->dz = 0;
	m->changed = m->overflow = 0;
}

/* "Set Scaling 2:1", in stream mode only. */
static int scaled(const struct ps2_mouse *m, int d)
{
	static const uint8_t small[] = { 0, 1, 1, 3, 6, 9 };
	const int size = d < 0 ? -d : d;
	int made = size;

	if (m->scaling && !m->remote)
		made = size < (int)sizeof(small) ? small[size] : 2 * size;
	made = made > COUNTER_MAX ? COUNTER_MAX : made;
	return d < 0 ? -made : made;
}

static void report(struct ps2_mouse *m, struct ps2_queue *to)
{
	const int dx = scaled(m, m->dx), dy = scaled(m, m->dy);
	const uint8_t first = (uint8_t)((m->buttons & 7) | 8 | (dx < 0) << 4 | (dy < 0) << 5 | m->overflow << 6);

	ps2_queue_put(to, first);
	ps2_queue_put(to, (uint8_t)dx);
	ps2_queue_put(to, (uint8_t)dy);
	if (m->id == 3)
		ps2_queue_put(to, (uint8_t)m->dz);
	else if (m->id == 4)
		ps2_queue_put(to, (uint8_t)((m->dz & 0xf) | (m->buttons & (PS2_MOUSE_FOURTH | PS2_MOUSE_FIFTH)) << 1));
	forget_movement(m);
}

static bool is_streaming(const struct ps2_mouse *m)
{
	return m->reporting && !m->remote && !m->wrap;
}

bool ps2_mouse_has_room(const struct ps2_mouse *m)
{
	return ps2_queue_room(&m->reports) >= report_bytes(m);
}

static void report_if_due(struct ps2_mouse *m)
{
	if (m->changed && is_streaming(m) && ps2_mouse_has_room(m))
		report(m, &m->reports);
}

static int16_t add(struct ps2_mouse *m, int16_t counter, int d, uint8_t overflow_bit)
{
	const int sum = counter + d;

	if (sum > COUNTER_MAX || sum < -COUNTER_MAX)
		m->overflow |= overflow_bit;
	return (int16_t)(sum > COUNTER_MAX ? COUNTER_MAX : sum < -COUNTER_MAX ? -COUNTER_MAX : sum);
}

static int16_t add_notches(int16_t counter, int d)
{
	const int sum = counter + d;

	return (int16_t)(sum > PS2_MOUSE_NOTCHES ? PS2_MOUSE_NOTCHES : sum < -PS2_MOUSE_NOTCHES ? -PS2_MOUSE_NOTCHES : sum);
}

void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, int dz, uint8_t buttons)
{
	const uint8_t seen = m->id == 4 ? PS2_MOUSE_BUTTONS : PS2_MOUSE_LEFT | PS2_MOUSE_RIGHT | PS2_MOUSE_MIDDLE;
	const bool pressed = (buttons ^ m->buttons) & seen;

	dz = m->id ? dz : 0;
	m->buttons = buttons & PS2_MOUSE_BUTTONS;
	if (!m->remote && !m->reporting)
		return; /* nobody asks where it goes */
	m->dx = add(m, m->dx, dx, 1);
	m->dy = add(m, m->dy, dy, 2);
	m->dz = add_notches(m->dz, dz);
	m->changed = m->changed || dx || dy || dz || pressed;
	report_if_due(m);
}

int ps2_mouse_take(struct ps2_mouse *m)
{
	report_if_due(m);
	if (!m->answers.count && !m->reports.count)
		return -1;
	m->last = ps2_queue_take(m->answers.count ? &m->answers : &m->reports);
	return m->last;
}

/* ---- commands -------------------------------------------------------------------------------------------------- */

static void set_defaults(struct ps2_mouse *m)
{
	m->rate = RATE_DEFAULT;
	m->resolution = RESOLUTION_DEFAULT;
	m->scaling = m->remote = m->wrap = m->reporting = 0;
	m->knock[0] = m->knock[1] = 0;
	forget_movement(m);
}

void ps2_mouse_reset(struct ps2_mouse *m)
{
	*m = (struct ps2_mouse){ .id = 0 };
	set_defaults(m);
}

static void command_reset(struct ps2_mouse *m)
{
	const uint8_t buttons = m->buttons;

	ps2_mouse_reset(m);
	m->buttons = buttons;
	answer(m, ACK);
	answer(m, TEST_PASSED);
	answer(m, m->id);
}

/* "Status Request". */
static void tell_status(struct ps2_mouse *m)
{
	answer(m, (uint8_t)(m->remote << 6 | m->reporting << 5 | m->scaling << 4 | (m->buttons & PS2_MOUSE_LEFT ? 4 : 0) |
			    (m->buttons & PS2_MOUSE_MIDDLE ? 2 : 0) | (m->buttons & PS2_MOUSE_RIGHT ? 1 : 0)));
	answer(m, m->resolution);
	answer(m, m->rate);
}

/* 200, 100, 80: a wheel; 200, 200, 80: five buttons. */
static void listen_for_knock(struct ps2_mouse *m, uint8_t rate)
{
	if (m->knock[0] == 200 && rate == 80)
		m->id = m->knock[1] == 100 ? 3 : m->knock[1] == 200 ? 4 : m->id;
	m->knock[0] = m->knock[1];
	m->knock[1] = rate;
}

static bool is_rate(uint8_t rate)
{
	static const uint8_t rates[] = { 10, 20, 40, 60, 80, 100, 200 };

	for (unsigned i = 0; i < sizeof(rates); i++)
		if (rates[i] == rate)
			return true;
	return false;
}

static void take_argument(struct ps2_mouse *m, uint8_t command, uint8_t byte)
{
	const bool good = command == SET_RATE ? is_rate(byte) : byte <= 3;

	if (good && command == SET_RATE) {
		m->rate = byte;
		listen_for_knock(m, byte);
	} else if (good) {
		m->resolution = byte;
	}
	answer(m, good ? ACK : RESEND);
}

static void set_mode(struct ps2_mouse *m, uint8_t remote, uint8_t wrap)
{
	m->remote = remote;
	m->wrap = wrap;
	forget_movement(m);
}

/* False: no such command. */
static bool obey(struct ps2_mouse *m, uint8_t byte)
{
	switch (byte) {
	case 0xe6:
	case 0xe7:
		m->scaling = byte & 1;
		break;
	case 0xea:
	case 0xf0:
		set_mode(m, byte == 0xf0, 0);
		break;
	case 0xee:
		set_mode(m, m->remote, 1);
		break;
	case RESET_WRAP:
		set_mode(m, m->remote, 0);
		break;
	case 0xf4:
	case 0xf5:
		m->reporting = byte == 0xf4;
		forget_movement(m);
		break;
	case 0xf6:
		set_defaults(m);
		break;
	case SET_RESOLUTION:
	case SET_RATE:
		m->command = byte;
		break;
	default:
		return false;
	}
	return true;
}

static void simple_command(struct ps2_mouse *m, uint8_t byte)
{
	const bool asks = byte == 0xe9 || byte == 0xeb || byte == 0xf2;

	if (byte == RESET) {
		command_reset(m);
		return;
	}
	if (byte == 0xfe) {
		answer(m, m->last);
		return;
	}
	answer(m, asks || obey(m, byte) ? ACK : RESEND);
	if (byte == 0xe9)
		tell_status(m);
	else if (byte == 0xeb)
		report(m, &m->answers);
	else if (byte == 0xf2)
		answer(m, m->id);
}

/* "When a command is received, the mouse stops what it sends": an answer in the middle of a report would be taken for part of it. */
void ps2_mouse_command(struct ps2_mouse *m, uint8_t byte)
{
	const uint8_t command = m->command;

	ps2_queue_clear(&m->answers);
	ps2_queue_clear(&m->reports);
	m->command = 0;
	if (m->wrap && byte != RESET && byte != RESET_WRAP)
		answer(m, byte);
	else if (command)
		take_argument(m, command, byte);
	else
		simple_command(m, byte);
}

static bool is_counter(int d, int most)
{
	return d >= -most && d <= most;
}

const char *ps2_mouse_check(const struct ps2_mouse *m)
{
	if (!ps2_queue_is_valid(&m->answers) || !ps2_queue_is_valid(&m->reports))
		return "mouse.queue";
	if (!is_counter(m->dx, COUNTER_MAX) || !is_counter(m->dy, COUNTER_MAX) || !is_counter(m->dz, PS2_MOUSE_NOTCHES))
		return "mouse.counters";
	if (m->command && m->command != SET_RESOLUTION && m->command != SET_RATE)
		return "mouse.command";
	if (m->id != 0 && m->id != 3 && m->id != 4)
		return "mouse.id";
	if (m->resolution > 3 || !is_rate(m->rate))
		return "mouse.rate";
	if (m->scaling > 1 || m->remote > 1 || m->wrap > 1 || m->reporting > 1 || m->changed > 1 || m->overflow > 3)
		return "mouse.mode";
	return m->buttons > PS2_MOUSE_BUTTONS ? "mouse.buttons" : NULL;
}
