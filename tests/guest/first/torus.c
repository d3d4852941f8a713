/* SPDX-License-Identifier: MIT */
/*
 * A torus of 2048 triangles, each lit by how it faces the light. Drag to turn it, wheel to come nearer, space stops and starts the
 * spin, Home is the view it began with, at rest; Escape ends the machine.
 */
#include "frame.h"
#include "print.h"
#include "raster.h"
#include "turn.h"

enum {
	AROUND = 64, /* the ring */
	ACROSS = 16, /* the tube */
	SPIN_STEP = TURN / 256,
	FIRST_TILT = TURN * 5 / 32,
	NEAREST = 24, /* tenths of the ring's radius, from the eye to the middle */
	FIRST_DISTANCE = 36,
	FARTHEST = 120,
	FOCAL_LENGTH = 560, /* pixels */
};

#define RING_RADIUS 1.0
#define TUBE_RADIUS 0.42
static const uint32_t skin[2] = { 0xff9838, 0xf4ead8 };

struct point {
	double x, y, z;
};

struct view {
	int pan, tilt; /* TURN is once round */
	int distance;
	bool is_spinning, is_dragging;
	int mouse_x, mouse_y;
};

static struct view view = { .tilt = FIRST_TILT, .distance = FIRST_DISTANCE, .is_spinning = true };
static struct point points[AROUND][ACROSS]; /* as seen: x to the right, y down, z away from the eye */

static struct point point_of(int around, int across)
{
	int a = around * (TURN / AROUND) + view.pan, b = across * (TURN / ACROSS);
	double ring = RING_RADIUS + TUBE_RADIUS * turn_cos(b);
	struct point flat = { ring * turn_cos(a), TUBE_RADIUS * turn_sin(b), ring * turn_sin(a) };
	double sine = turn_sin(view.tilt), cosine = turn_cos(view.tilt);

	return (struct point){ flat.x, flat.y * cosine - flat.z * sine, flat.y * sine + flat.z * cosine };
}

static struct raster_vertex projected(const struct point *p)
{
	double depth = 1.0 / (p->z + view.distance / 10.0);
	double scale = FOCAL_LENGTH * RASTER_SUBPIXELS * depth;

	return (struct raster_vertex){
		.x = (int32_t)(p->x * scale + FRAME_WIDTH * RASTER_SUBPIXELS / 2),
		.y = (int32_t)(p->y * scale + FRAME_HEIGHT * RASTER_SUBPIXELS / 2),
		.depth = depth,
	};
}

static struct point minus(const struct point *p, const struct point *q)
{
	return (struct point){ p->x - q->x, p->y - q->y, p->z - q->z };
}

/* How much of the light a face sends back: its normal (the cross product of two edges, outwards) against
 * where the light comes from. */
static unsigned brightness(const struct point *p, const struct point *q, const struct point *r)
{
	static const struct point light = { -0.40, -0.64, -0.656 };
	struct point u = minus(q, p), v = minus(r, p);
	struct point n = { u.z * v.y - u.y * v.z, u.x * v.z - u.z * v.x, u.y * v.x - u.x * v.y };
	double length = turn_root(n.x * n.x + n.y * n.y + n.z * n.z);
	double facing = (n.x * light.x + n.y * light.y + n.z * light.z) / length;

	return facing > 0 ? 60 + (unsigned)(190 * facing) : 60;
}

static void draw_face(const struct point *p, const struct point *q, const struct point *r, uint32_t colour)
{
	struct raster_vertex v[3] = { projected(p), projected(q), projected(r) };

	raster_triangle(v, raster_shade(colour, brightness(p, q, r)));
}

static void draw(void)
{
	raster_clear(0x182030, 0x506078);
	for (int a = 0; a < AROUND; a++)
		for (int b = 0; b < ACROSS; b++)
			points[a][b] = point_of(a, b);
	for (int a = 0; a < AROUND; a++) {
		for (int b = 0; b < ACROSS; b++) {
			int a2 = (a + 1) % AROUND, b2 = (b + 1) % ACROSS;
			uint32_t colour = skin[(a / 2 + b / 2) & 1];

			draw_face(&points[a][b], &points[a2][b2], &points[a][b2], colour);
			draw_face(&points[a][b], &points[a2][b], &points[a2][b2], colour);
		}
	}
}

static int within(int v, int low, int high)
{
	return v < low ? low : v > high ? high : v;
}

static void on_key(uint16_t code)
{
	switch (code) {
	case KEY_SPACE:
		view.is_spinning = !view.is_spinning;
		break;
	case KEY_HOME:
		view.pan = 0;
		view.tilt = FIRST_TILT;
		view.distance = FIRST_DISTANCE;
		view.is_spinning = false;
		break;
	case KEY_ESCAPE:
		print("picture at the end ");
		print_hex(picture_sum());
		print("\n");
		frame_exit(0);
	}
}

/* An eighth of a turn for each 160 pixels. */
static void on_mouse(uint16_t axis, int value)
{
	int *at = axis == AXIS_X ? &view.mouse_x : &view.mouse_y;
	int *angle = axis == AXIS_X ? &view.pan : &view.tilt;
	int way = axis == AXIS_X ? -1 : 1;

	if (view.is_dragging)
		*angle = (*angle + way * (value - *at) * (TURN / 8) / 160) & (TURN - 1);
	*at = value;
}

static void on_event(const struct frame_event *e)
{
	if (e->type == EVENT_KEY && e->code == BUTTON_LEFT)
		view.is_dragging = e->value != 0;
	else if (e->type == EVENT_KEY && e->value == 1)
		on_key(e->code);
	else if (e->type == EVENT_ABSOLUTE && e->code <= AXIS_Y)
		on_mouse(e->code, within((int)e->value, 0, FRAME_WIDTH - 1));
	else if (e->type == EVENT_RELATIVE && e->code == WHEEL)
		view.distance = within(view.distance - 2 * within((int)e->value, -FARTHEST, FARTHEST), NEAREST, FARTHEST);
}

/* Some pictures of the spin are told by their sums. */
static void say(unsigned frame)
{
	if (frame != 1 && frame != 16)
		return;
	print("picture ");
	print_dec(frame);
	print(" ");
	print_hex(picture_sum());
	print("\n");
}

/* What does not change is not drawn again. */
void guest_main(void)
{
	bool has_changed = true;

	for (unsigned frame = 1;; frame++) {
		if (has_changed)
			draw();
		say(frame);
		frame_show();
		has_changed = frame_event_count() > 0;
		for (uint32_t i = 0; i < frame_event_count(); i++)
			on_event(&frame_mailbox()->events[i]);
		if (view.is_spinning) {
			view.pan = (view.pan + SPIN_STEP) & (TURN - 1);
			has_changed = true;
		}
	}
}
