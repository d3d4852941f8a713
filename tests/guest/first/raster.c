/* SPDX-License-Identifier: MIT */
#include "raster.h"
#include "frame.h"

static float nearest[FRAME_PIXELS];

/* a x + b y + c, at the centre of a pixel: 0 or above on the inner side of an edge. */
struct edge {
	int64_t a, b, c;
};

struct box {
	int x0, y0, x1, y1; /* the last ones belong to it */
};

uint32_t raster_shade(uint32_t colour, unsigned of_256)
{
	uint32_t red_blue = (colour & 0xff00ff) * of_256 >> 8 & 0xff00ff;

	return red_blue | ((colour & 0xff00) * of_256 >> 8 & 0xff00);
}

static uint32_t mixed(uint32_t top, uint32_t bottom, unsigned of_256)
{
	return raster_shade(top, 256 - of_256) + raster_shade(bottom, of_256);
}

void raster_clear(uint32_t top, uint32_t bottom)
{
	uint32_t *pixel = frame_pixels();
	float *depth = nearest;

	for (int y = 0; y < FRAME_HEIGHT; y++) {
		uint32_t colour = mixed(top, bottom, (unsigned)y * 256 / FRAME_HEIGHT);

		for (int x = 0; x < FRAME_WIDTH; x++) {
			*pixel++ = colour;
			*depth++ = 0;
		}
	}
}

/*
 * The edge from p to q. A pixel whose centre lies on an edge of two triangles belongs to one of them: to that whose upper or left
 * edge it is. For the other, the edge is moved by the smallest step.
 */
static struct edge edge_of(const struct raster_vertex *p, const struct raster_vertex *q)
{
	int64_t dx = q->x - p->x, dy = q->y - p->y;
	bool is_top_or_left = dy < 0 || (dy == 0 && dx > 0);
	struct edge e = { .a = -dy * RASTER_SUBPIXELS, .b = dx * RASTER_SUBPIXELS };

	e.c = dy * p->x - dx * p->y + (e.a + e.b) / 2 - (is_top_or_left ? 0 : 1);
	return e;
}

static int64_t edge_at(const struct edge *e, int x, int y)
{
	return e->a * x + e->b * y + e->c;
}

static int clamp(int v, int low, int high)
{
	return v < low ? low : v > high ? high : v;
}

static int least(int a, int b, int c)
{
	int ab = a < b ? a : b;

	return ab < c ? ab : c;
}

static struct box box_of(const struct raster_vertex v[3])
{
	int x0 = least(v[0].x, v[1].x, v[2].x), x1 = -least(-v[0].x, -v[1].x, -v[2].x);
	int y0 = least(v[0].y, v[1].y, v[2].y), y1 = -least(-v[0].y, -v[1].y, -v[2].y);

	return (struct box){
		.x0 = clamp(x0 / RASTER_SUBPIXELS, 0, FRAME_WIDTH),
		.y0 = clamp(y0 / RASTER_SUBPIXELS, 0, FRAME_HEIGHT),
		.x1 = clamp(x1 / RASTER_SUBPIXELS, -1, FRAME_WIDTH - 1),
		.y1 = clamp(y1 / RASTER_SUBPIXELS, -1, FRAME_HEIGHT - 1),
	};
}

/* The depth over the triangle: d + x dx + y dy. `area` is twice the triangle's, in 256ths of a square pixel. */
struct plane {
	double dx, dy, d;
};

static struct plane plane_of(const struct raster_vertex v[3], double area)
{
	double x1 = v[1].x - v[0].x, y1 = v[1].y - v[0].y, d1 = v[1].depth - v[0].depth;
	double x2 = v[2].x - v[0].x, y2 = v[2].y - v[0].y, d2 = v[2].depth - v[0].depth;
	struct plane p = { .dx = (d1 * y2 - d2 * y1) / area * RASTER_SUBPIXELS,
			   .dy = (d2 * x1 - d1 * x2) / area * RASTER_SUBPIXELS };

	p.d = v[0].depth - p.dx * v[0].x / RASTER_SUBPIXELS - p.dy * v[0].y / RASTER_SUBPIXELS;
	return p;
}

static void fill_row(const struct edge e[3], const struct plane *plane, const struct box *box, int y, uint32_t colour)
{
	int64_t in0 = edge_at(&e[0], box->x0, y), in1 = edge_at(&e[1], box->x0, y), in2 = edge_at(&e[2], box->x0, y);
	double row = plane->d + plane->dy * y;
	size_t start = (size_t)y * FRAME_WIDTH;
	uint32_t *pixels = frame_pixels() + start;
	float *depths = nearest + start;

	for (int x = box->x0; x <= box->x1; x++) {
		float depth = (float)(row + plane->dx * x);

		if ((in0 | in1 | in2) >= 0 && depth > depths[x]) {
			depths[x] = depth;
			pixels[x] = colour;
		}
		in0 += e[0].a;
		in1 += e[1].a;
		in2 += e[2].a;
	}
}

void raster_triangle(const struct raster_vertex v[3], uint32_t colour)
{
	int64_t area = (int64_t)(v[1].x - v[0].x) * (v[2].y - v[0].y) - (int64_t)(v[2].x - v[0].x) * (v[1].y - v[0].y);
	struct edge e[3] = { edge_of(&v[0], &v[1]), edge_of(&v[1], &v[2]), edge_of(&v[2], &v[0]) };
	struct box box = box_of(v);
	struct plane plane;

	if (area <= 0)
		return;
	plane = plane_of(v, (double)area);
	for (int y = box.y0; y <= box.y1; y++)
		fill_row(e, &plane, &box, y, colour);
}
