/* SPDX-License-Identifier: MIT */
/* The model of keyboard and mouse: input_model.h. */
#include "input_model.h"

#include <errno.h>
#include <string.h>

#include "devices/chips/ps2_codes.h"

enum input_range { INPUTD_RANGES(RANGE_ID) RANGES };
static const struct model_range ranges[RANGES] = { INPUTD_RANGES(RANGE_ROW) };

enum { KEY_DOWN = 1, KEY_REPEATS = 2 };

/* ---- events ---------------------------------------------------------------------------------------------------- */

bool input_model_take_reset(void *state)
{
	struct input_state *s = state;
	bool due = s->reset_due;

	s->reset_due = 0;
	return due;
}

unsigned input_model_room(const void *state)
{
	const struct input_state *s = state;

	return INPUT_QUEUE - s->count;
}

static bool is_within(uint32_t value, int least, int most)
{
	const int32_t v = (int32_t)value;

	return v >= least && v <= most;
}

static bool is_event(const struct screen_event *e)
{
	if (e->code > SCREEN_CODE_MAX)
		return false;
	switch (e->type) {
	case SCREEN_EV_SYN:
		return true;
	case SCREEN_EV_KEY:
		return e->value <= KEY_REPEATS;
	case SCREEN_EV_REL:
		return is_within(e->value, -SCREEN_WAY_MAX, SCREEN_WAY_MAX);
	case SCREEN_EV_ABS:
		return is_within(e->value, 0, SCREEN_WAY_MAX);
	default:
		return false;
	}
}

int input_model_offer(void *state, const struct screen_event *events, unsigned count)
{
	struct input_state *s = state;

	for (unsigned i = 0; i < count; i++)
		if (!is_event(&events[i]))
			return -EINVAL;
	if (count > input_model_room(s))
		return -ENOSPC;
	for (unsigned i = 0; i < count; i++)
		s->queue[(s->head + s->count + i) % INPUT_QUEUE] = events[i];
	s->count += count;
	return 0;
}

static struct screen_event *first(struct input_state *s)
{
	return s->count ? &s->queue[s->head] : NULL;
}

static void drop_first(struct input_state *s)
{
	s->queue[s->head] = (struct screen_event){ 0 };
	s->head = (s->head + 1) % INPUT_QUEUE;
	s->count--;
}

/* ---- the mouse ------------------------------------------------------------------------------------------------- */

static uint8_t button_bit(unsigned code)
{
	static const uint16_t buttons[] = { SCREEN_BTN_LEFT, SCREEN_BTN_RIGHT, SCREEN_BTN_MIDDLE, SCREEN_BTN_SIDE,
					    SCREEN_BTN_EXTRA };

	for (unsigned i = 0; i < sizeof(buttons) / sizeof(buttons[0]); i++)
		if (buttons[i] == code)
			return (uint8_t)(1u << i);
	return 0;
}

/* A mouse knows ways and no positions: it goes the way from the last one. */
static void make_relative(struct input_state *s, struct screen_event *e)
{
	int32_t *at = e->code == SCREEN_ABS_X ? &s->x : &s->y;

	if (e->type != SCREEN_EV_ABS || e->code > SCREEN_ABS_Y)
		return;
	*e = (struct screen_event){ SCREEN_EV_REL, e->code, (uint32_t)((int32_t)e->value - *at) };
	*at += (int32_t)e->value;
}

/* Takes no more than `most` of what is left of an event's way. */
static int take_way(struct screen_event *e, int most)
{
	const int way = (int32_t)e->value, part = way > most ? most : way < -most ? -most : way;

	e->value = (uint32_t)(way - part);
	return part;
}

enum { AXES = 3 };

static unsigned axis_of(const struct screen_event *e)
{
	if (e->type != SCREEN_EV_REL)
		return AXES;
	return e->code <= SCREEN_REL_Y ? e->code : e->code == SCREEN_REL_WHEEL ? 2 : AXES;
}

/* One report for what belongs together: a way along each axis at most. */
static void move(struct input_state *s)
{
	int way[AXES] = { 0 };
	unsigned moved = 0;

	for (struct screen_event *e = first(s); e; e = first(s)) {
		unsigned axis;

		make_relative(s, e);
		axis = axis_of(e);
		if (axis == AXES || moved >> axis & 1)
			break;
		moved |= 1u << axis;
		way[axis] = take_way(e, axis == 2 ? PS2_MOUSE_NOTCHES : PS2_MOUSE_STEP);
		if (e->value)
			break;
		drop_first(s);
	}
	/* Linux counts downwards, and notches away from the user. */
	ps2_mouse_move(&s->mouse, way[0], -way[1], -way[2], s->mouse.buttons);
}

static void press(struct input_state *s, uint8_t bit, bool down)
{
	const uint8_t buttons = down ? s->mouse.buttons | bit : s->mouse.buttons & (uint8_t)~bit;

	ps2_mouse_move(&s->mouse, 0, 0, 0, buttons);
}

/* ---- from events to bytes -------------------------------------------------------------------------------------- */

static bool is_mouse_s(struct input_state *s, struct screen_event *e)
{
	make_relative(s, e);
	return axis_of(e) != AXES || (e->type == SCREEN_EV_KEY && button_bit(e->code));
}

/* Whoever listens is waited for. */
static bool is_taken(const struct input_state *s, bool mouse)
{
	return i8042_is_inhibited(&s->controller, mouse) ||
	       (mouse ? ps2_mouse_has_room(&s->mouse) : ps2_keyboard_has_room(&s->keyboard));
}

static void feed_one(struct input_state *s, const struct screen_event *e)
{
	const uint8_t bit = button_bit(e->code);

	if (axis_of(e) != AXES) {
		move(s);
		return;
	}
	if (e->type == SCREEN_EV_KEY && bit)
		press(s, bit, e->value != 0);
	else if (e->type == SCREEN_EV_KEY && e->value <= KEY_DOWN) /* it repeats keys by itself */
		ps2_keyboard_key(&s->keyboard, e->code, e->value == KEY_DOWN);
	drop_first(s);
}

static void feed(struct input_state *s)
{
	for (struct screen_event *e = first(s); e && is_taken(s, is_mouse_s(s, e)); e = first(s))
		feed_one(s, e);
}

static bool is_heard(const struct input_state *s, bool mouse)
{
	return i8042_is_ready(&s->controller, mouse);
}

/* A byte for the controller's output buffer. F0h before it is none when it is translated. */
static bool give(struct input_state *s)
{
	int byte = -1;

	while (byte < 0 && is_heard(s, false) && ps2_keyboard_has_byte(&s->keyboard)) {
		byte = ps2_keyboard_take(&s->keyboard);
		if (i8042_translates(&s->controller))
			byte = ps2_translate(&s->release, (uint8_t)byte);
	}
	if (byte >= 0) {
		i8042_give(&s->controller, false, (uint8_t)byte);
		return true;
	}
	byte = is_heard(s, true) ? ps2_mouse_take(&s->mouse) : -1;
	if (byte >= 0)
		i8042_give(&s->controller, true, (uint8_t)byte);
	return byte >= 0;
}

static void run(struct input_state *s)
{
	feed(s);
	while (give(s))
		feed(s);
	s->keyboard_line = line_set(s->keyboard_line, i8042_irq1(&s->controller));
	s->mouse_line = line_set(s->mouse_line, i8042_irq12(&s->controller));
}

/* ---- accesses -------------------------------------------------------------------------------------------------- */

/* Reading the output buffer takes its interrupt down; the next byte, if there is one, is a new edge. */
static uint8_t read_data(struct input_state *s)
{
	const uint8_t value = i8042_read_data(&s->controller);

	s->keyboard_line = line_set(s->keyboard_line, false);
	s->mouse_line = line_set(s->mouse_line, false);
	run(s);
	return value;
}

static uint64_t input_read(void *state, unsigned range, uint32_t offset, unsigned size, uint64_t now_ns)
{
	struct input_state *s = state;
	uint64_t value;

	(void)now_ns;
	if (range >= RANGES || offset)
		return UINT64_MAX;
	value = range == RANGE_DATA ? read_data(s) : i8042_read_status(&s->controller);
	return (reg_all_ones(size) & ~0xffull) | value; /* nobody answers at the ports behind it */
}

static void input_write(void *state, unsigned range, uint32_t offset, uint64_t data, unsigned size, uint64_t now_ns)
{
	struct input_state *s = state;
	struct i8042_effect effect;

	(void)size;
	(void)now_ns;
	if (range >= RANGES || offset)
		return;
	effect = range == RANGE_DATA ? i8042_write_data(&s->controller, (uint8_t)data)
				     : i8042_write_command(&s->controller, (uint8_t)data);
	if (effect.sends && effect.aux)
		ps2_mouse_command(&s->mouse, effect.byte);
	else if (effect.sends)
		ps2_keyboard_command(&s->keyboard, effect.byte);
	s->reset_due |= effect.reset;
	run(s);
}

static void input_reset(void *state, const struct model_config *config, uint64_t now_ns)
{
	struct input_state *s = state;

	(void)config;
	(void)now_ns;
	memset(s, 0, sizeof(*s));
	i8042_reset(&s->controller);
	ps2_keyboard_reset(&s->keyboard);
	ps2_mouse_reset(&s->mouse);
}

/* Fingers that are still typing hold no key down, and neither does a guest that has not read the last one. */
static bool is_idle(const struct input_state *s)
{
	return !s->count && !s->controller.count && !ps2_keyboard_has_byte(&s->keyboard);
}

static uint64_t input_advance(void *state, uint64_t now_ns)
{
	struct input_state *s = state;
	uint64_t next;

	run(s);
	next = ps2_keyboard_advance(&s->keyboard, now_ns, is_idle(s));
	run(s);
	return next;
}

static void input_get_lines(const void *state, uint32_t words[MODEL_LINES])
{
	const struct input_state *s = state;

	words[LAYOUT_KBD_IRQ] = s->keyboard_line;
	words[LAYOUT_AUX_IRQ] = s->mouse_line;
}

static unsigned input_get_shadow(const void *state, struct shadow_value out[MODEL_MAX_SHADOW])
{
	const struct input_state *s = state;

	out[0] = (struct shadow_value){ .valid = true, .value = i8042_read_status(&s->controller) };
	return 1;
}

static const char *check_queue(const struct input_state *s)
{
	if (s->head >= INPUT_QUEUE || s->count > INPUT_QUEUE)
		return "input.queue";
	for (uint32_t i = 0; i < s->count; i++)
		if (!is_event(&s->queue[(s->head + i) % INPUT_QUEUE]))
			return "input.events";
	return NULL;
}

static const char *check_own(const struct input_state *s)
{
	if (s->release & 0x7f)
		return "input.release";
	if (s->reset_due > 1)
		return "input.reset_due";
	if (!is_within((uint32_t)s->x, 0, SCREEN_WAY_MAX) || !is_within((uint32_t)s->y, 0, SCREEN_WAY_MAX))
		return "input.position";
	if ((s->keyboard_line & LINE_LEVEL) != i8042_irq1(&s->controller))
		return "input.keyboard_line";
	return (s->mouse_line & LINE_LEVEL) != i8042_irq12(&s->controller) ? "input.mouse_line" : NULL;
}

static int input_validate(const void *state, const char **field)
{
	const struct input_state *s = state;
	const char *bad = i8042_check(&s->controller);

	if (!bad)
		bad = ps2_keyboard_check(&s->keyboard);
	if (!bad)
		bad = ps2_mouse_check(&s->mouse);
	if (!bad)
		bad = check_queue(s);
	if (!bad)
		bad = check_own(s);
	*field = bad;
	return bad ? -EINVAL : 0;
}

const struct device_model input_model = {
	.name = "input",
	.version = 1,
	.state_size = sizeof(struct input_state),
	.ranges = ranges,
	.range_count = RANGES,
	.lines = INPUTD_LINES,
	.reset = input_reset,
	.read = input_read,
	.write = input_write,
	.advance = input_advance,
	.get_lines = input_get_lines,
	.get_shadow = input_get_shadow,
	.validate = input_validate,
};
