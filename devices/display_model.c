/* SPDX-License-Identifier: MIT */
/* The display's model: display_model.h. */
#include "display_model.h"

#include <errno.h>
#include <string.h>

/* The guest is held until its frame is shown and its mailbox filled: the answer says that both are so. */
static const struct reg_desc frame_reg = { .name = "FRAME", .size = 1, .writable = true, .post = REG_SYNC };

enum display_range { DISPLAYD_RANGES(RANGE_ID) RANGES };
static const struct model_range ranges[RANGES] = { DISPLAYD_RANGES(RANGE_ROW) };

bool display_model_take_frame(void *state)
{
	struct display_state *s = state;
	bool due = s->due;

	s->due = 0;
	s->frame += due;
	return due;
}

void display_model_fill(void *state, struct mailbox *out)
{
	struct display_state *s = state;

	*out = (struct mailbox){ .frame = s->frame, .time_ns = s->time_ns };
	out->count = s->count < MAILBOX_EVENTS ? s->count : MAILBOX_EVENTS;
	for (uint32_t i = 0; i < out->count; i++)
		out->events[i] = s->queue[(s->head + i) % DISPLAY_QUEUE];
	s->head = (s->head + out->count) % DISPLAY_QUEUE;
	s->count -= out->count;
}

unsigned display_model_room(const void *state)
{
	const struct display_state *s = state;

	return DISPLAY_QUEUE - s->count;
}

static bool is_event(const struct screen_event *e)
{
	return e->type <= SCREEN_EV_ABS && e->code <= SCREEN_CODE_MAX;
}

/* A position beyond the screen is at its edge: guests draw there. */
static struct screen_event inside(struct screen_event e)
{
	const uint32_t most = e.code == 0 ? LAYOUT_FRAME_WIDTH - 1 : LAYOUT_FRAME_HEIGHT - 1;

	if (e.type == SCREEN_EV_ABS && e.code <= 1 && e.value > most)
		e.value = most;
	return e;
}

int display_model_offer(void *state, const struct screen_event *events, unsigned count)
{
	struct display_state *s = state;

	for (unsigned i = 0; i < count; i++)
		if (!is_event(&events[i]))
			return -EINVAL;
	if (count > display_model_room(s))
		return -ENOSPC;
	for (unsigned i = 0; i < count; i++)
		s->queue[(s->head + s->count + i) % DISPLAY_QUEUE] = inside(events[i]);
	s->count += count;
	return 0;
}

static uint64_t display_read(void *state, unsigned range, uint32_t offset, unsigned size, uint64_t now_ns)
{
	(void)state;
	(void)range;
	(void)offset;
	(void)size;
	(void)now_ns;
	return UINT64_MAX;
}

static void display_write(void *state, unsigned range, uint32_t offset, uint64_t data, unsigned size, uint64_t now_ns)
{
	struct display_state *s = state;

	(void)data;
	(void)size;
	if (range >= RANGES || offset >= ranges[range].len)
		return;
	s->due = 1;
	s->time_ns = now_ns;
}

static void display_reset(void *state, const struct model_config *config, uint64_t now_ns)
{
	(void)config;
	(void)now_ns;
	memset(state, 0, sizeof(struct display_state));
}

static uint64_t display_advance(void *state, uint64_t now_ns)
{
	(void)state;
	(void)now_ns;
	return UINT64_MAX;
}

static void display_get_lines(const void *state, uint32_t words[MODEL_LINES])
{
	(void)state;
	(void)words;
}

static unsigned display_get_shadow(const void *state, struct shadow_value out[MODEL_MAX_SHADOW])
{
	(void)state;
	(void)out;
	return 0;
}

static int display_validate(const void *state, const char **field)
{
	const struct display_state *s = state;

	*field = "display.queue";
	if (s->head >= DISPLAY_QUEUE || s->count > DISPLAY_QUEUE)
		return -EINVAL;
	*field = "display.due";
	if (s->due > 1 || s->reserved)
		return -EINVAL;
	*field = "display.events";
	for (uint32_t i = 0; i < s->count; i++)
		if (!is_event(&s->queue[(s->head + i) % DISPLAY_QUEUE]))
			return -EINVAL;
	*field = NULL;
	return 0;
}

const struct device_model display_model = {
	.name = "display",
	.version = 1,
	.state_size = sizeof(struct display_state),
	.ranges = ranges,
	.range_count = RANGES,
	.lines = DISPLAYD_LINES,
	.reset = display_reset,
	.read = display_read,
	.write = display_write,
	.advance = display_advance,
	.get_lines = display_get_lines,
	.get_shadow = display_get_shadow,
	.validate = display_validate,
};
