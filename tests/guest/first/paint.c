/* SPDX-License-Identifier: MIT */
/*
 * The mouse leaves a trail. Any key chooses a colour, space clears, Escape ends the machine. The picture depends on the order of
 * events alone, not on which of them came in one frame: a stroke is drawn when it is known where it ends, which is at AXIS_Y, or
 * at whatever follows an AXIS_X.
 */
#include "frame.h"
#include "print.h"

enum { BRUSH = 3, COLOURS = 8, PAPER = 0xf8f4e8 };

static const uint32_t colours[COLOURS] = { 0x202020, 0xc02020, 0xe08000, 0xe0c000, 0x208020, 0x2060c0, 0x602080, 0xe060a0 };

static struct {
	int x, y;
	int from_x, from_y; /* where the stroke before ended */
	bool has_begun, has_moved;
	uint32_t colour;
} pen;

static void clear(void)
{
	uint32_t *pixels = frame_pixels();

	for (int i = 0; i < FRAME_PIXELS; i++)
		pixels[i] = PAPER;
}

static void dot(int x, int y)
{
	for (int dy = -BRUSH; dy <= BRUSH; dy++) {
		for (int dx = -BRUSH; dx <= BRUSH; dx++) {
			bool is_round = dx * dx + dy * dy <= BRUSH * BRUSH + 1;
			bool is_inside = (unsigned)(x + dx) < FRAME_WIDTH && (unsigned)(y + dy) < FRAME_HEIGHT;

			if (is_round && is_inside)
				frame_pixels()[(y + dy) * FRAME_WIDTH + x + dx] = pen.colour;
		}
	}
}

static int magnitude(int v)
{
	return v < 0 ? -v : v;
}

/* One dot for each pixel of the longer way. */
static void line(int x0, int y0, int x1, int y1)
{
	int dx = x1 - x0, dy = y1 - y0;
	int steps = magnitude(dx) > magnitude(dy) ? magnitude(dx) : magnitude(dy);

	for (int i = 0; i <= steps; i++)
		dot(x0 + (steps ? dx * i / steps : 0), y0 + (steps ? dy * i / steps : 0));
}

static void stroke(void)
{
	if (!pen.has_moved)
		return;
	if (pen.has_begun)
		line(pen.from_x, pen.from_y, pen.x, pen.y);
	pen.from_x = pen.x;
	pen.from_y = pen.y;
	pen.has_begun = true;
	pen.has_moved = false;
}

static void on_key(uint16_t code)
{
	switch (code) {
	case KEY_SPACE:
		clear();
		return;
	case KEY_ESCAPE:
		print("picture ");
		print_hex(picture_sum());
		print("\n");
		frame_exit(0);
	}
	pen.colour = colours[code % COLOURS];
}

static void on_event(const struct frame_event *e)
{
	bool is_place = e->type == EVENT_ABSOLUTE && e->code <= AXIS_Y;

	if (!is_place || e->code == AXIS_X)
		stroke();
	if (is_place) {
		*(e->code == AXIS_X ? &pen.x : &pen.y) = e->value < FRAME_WIDTH ? (int)e->value : FRAME_WIDTH - 1;
		pen.has_moved = true;
	}
	if (is_place && e->code == AXIS_Y)
		stroke();
	if (e->type == EVENT_KEY && e->value == 1 && e->code < BUTTON_LEFT)
		on_key(e->code);
}

void guest_main(void)
{
	pen.colour = colours[0];
	clear();
	print("paint\n");
	for (;;) {
		frame_show();
		for (uint32_t i = 0; i < frame_event_count(); i++)
			on_event(&frame_mailbox()->events[i]);
	}
}
