/* SPDX-License-Identifier: MIT */
/* What a virtio GPU shows: see gpu_picture.h. */
#include "devices/gpu_picture.h"

#include <string.h>

#include "devices/gpu.h"

enum { CURSOR_SIDE = 64 };

/* At which byte of a pixel is what; no format has its colours elsewhere. */
static const struct layout {
	uint8_t format, red, green, blue, alpha;
} layouts[] = {
	{ GPU_BGRA, 2, 1, 0, 3 }, { GPU_BGRX, 2, 1, 0, 3 }, { GPU_ARGB, 1, 2, 3, 0 }, { GPU_XRGB, 1, 2, 3, 0 },
	{ GPU_RGBA, 0, 1, 2, 3 }, { GPU_RGBX, 0, 1, 2, 3 }, { GPU_XBGR, 3, 2, 1, 0 }, { GPU_ABGR, 3, 2, 1, 0 },
};

static const struct layout *layout_of(uint32_t format)
{
	for (unsigned i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (layouts[i].format == format)
			return &layouts[i];
	return NULL;
}

bool gpu_format_is_known(uint32_t format)
{
	return layout_of(format) != NULL;
}

const struct gpu_resource *gpu_resource_of(const struct gpu_store *s, uint32_t id)
{
	for (unsigned i = 0; id && i < GPU_RESOURCES; i++)
		if (s->resources[i].id == id)
			return &s->resources[i];
	return NULL;
}

static const uint8_t *pixel_of(const struct gpu_store *s, const struct gpu_resource *r, uint32_t x, uint32_t y)
{
	return s->pixels[r->page] + 4 * ((size_t)y * r->width + x);
}

static uint32_t colour(const struct layout *l, const uint8_t *p)
{
	return (uint32_t)p[l->red] << 16 | (uint32_t)p[l->green] << 8 | p[l->blue];
}

static void put_row(const struct layout *l, const uint8_t *from, uint32_t *to, uint32_t width)
{
	for (uint32_t x = 0; x < width; x++)
		to[x] = colour(l, from + 4 * x);
}

/* Colours of a cursor are multiplied with its alpha already, as DRM has them. */
static uint32_t over(uint32_t below, uint32_t above, unsigned alpha)
{
	uint32_t out = 0;

	for (unsigned shift = 0; shift < 24; shift += 8) {
		uint32_t c = (above >> shift & 0xff) + (below >> shift & 0xff) * (255 - alpha) / 255;

		out |= (c > 255 ? 255 : c) << shift;
	}
	return out;
}

/* Its position is that of its hot spot. What is outside of the picture is not seen; coordinates wrap as the guest computes them. */
static void put_cursor(const struct gpu_store *s, const struct vga_canvas *to)
{
	const struct gpu_resource *r = gpu_resource_of(s, s->cursor.resource);
	const struct layout *l = r ? layout_of(r->format) : NULL;

	for (uint32_t y = 0; l && y < r->height && y < CURSOR_SIDE; y++)
		for (uint32_t x = 0; x < r->width && x < CURSOR_SIDE; x++) {
			const uint32_t column = s->cursor.x - s->cursor.hot_x + x, row = s->cursor.y - s->cursor.hot_y + y;
			const uint8_t *p = pixel_of(s, r, x, y);
			uint32_t *out;

			if (column >= to->half->width || row >= to->half->height)
				continue;
			out = &to->pixels[(size_t)row * to->half->width + column];
			*out = over(*out, colour(l, p), p[l->alpha]);
		}
}

void gpu_picture(const struct gpu_store *s, const struct vga_canvas *to)
{
	const struct gpu_resource *r = gpu_resource_of(s, s->scanout.resource);
	const struct gpu_rect *rect = &s->scanout.rect;

	to->half->columns = to->half->lines = 0;
	to->half->cursor = UINT32_MAX;
	to->half->width = r ? rect->width : s->width;
	to->half->height = r ? rect->height : s->height;
	if (!r) {
		memset(to->pixels, 0, 4ull * s->width * s->height);
		return;
	}
	for (uint32_t y = 0; y < rect->height; y++)
		put_row(layout_of(r->format), pixel_of(s, r, rect->x, rect->y + y), to->pixels + (size_t)y * rect->width,
			rect->width);
	put_cursor(s, to);
}
