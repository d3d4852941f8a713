/* SPDX-License-Identifier: MIT */
/* Animated GIF files: gif.h. */
#include "gif.h"

#include <errno.h>
#include <gif_lib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { COLOURS = 256, COLOUR_BITS = 8, SLOTS = 1024, LEAST_DELAY = 2 };

/* ---- colours --------------------------------------------------------------------------------------------------- */

struct colour_set {
	uint32_t *colours;
	unsigned count;
	uint16_t slot[SLOTS]; /* index + 1; 0: free */
};

/* Its index, or -1: there are too many. */
static int find_colour(struct colour_set *s, uint32_t colour)
{
	unsigned at = (colour * 2654435761u) >> 22;

	for (; s->slot[at]; at = (at + 1) % SLOTS)
		if (s->colours[s->slot[at] - 1u] == colour)
			return s->slot[at] - 1;
	if (s->count == COLOURS)
		return -1;
	s->colours[s->count++] = colour;
	s->slot[at] = (uint16_t)s->count;
	return (int)s->count - 1;
}

static bool exact(const uint32_t *pixels, size_t count, uint8_t *indices, struct colour_set *s)
{
	for (size_t i = 0; i < count; i++) {
		int index = find_colour(s, pixels[i] & 0xffffff);

		if (index < 0)
			return false;
		indices[i] = (uint8_t)index;
	}
	return true;
}

/* 6 reds, 7 greens, 6 blues: the eye tells greens best. */
enum { REDS = 6, GREENS = 7, BLUES = 6 };

static void make_cube(uint32_t colours[COLOURS])
{
	for (unsigned i = 0; i < REDS * GREENS * BLUES; i++) {
		unsigned r = i / (GREENS * BLUES) * 255 / (REDS - 1), g = i / BLUES % GREENS * 255 / (GREENS - 1);

		colours[i] = r << 16 | g << 8 | i % BLUES * 255 / (BLUES - 1);
	}
}

/* Ordered dithering (Bayer's matrix of 4 x 4): the same pixel stays the same from frame to frame. */
static unsigned level(unsigned value, unsigned levels, unsigned x, unsigned y)
{
	static const uint8_t bayer[4][4] = { { 0, 8, 2, 10 }, { 12, 4, 14, 6 }, { 3, 11, 1, 9 }, { 15, 7, 13, 5 } };

	return (value * (levels - 1) * 16 + 255 * bayer[y & 3][x & 3]) / (255 * 16);
}

static void dither(const uint32_t *pixels, uint32_t width, uint32_t height, uint8_t *indices)
{
	for (uint32_t y = 0; y < height; y++)
		for (uint32_t x = 0; x < width; x++) {
			uint32_t p = *pixels++;
			unsigned r = level(p >> 16 & 0xff, REDS, x, y), g = level(p >> 8 & 0xff, GREENS, x, y);

			*indices++ = (uint8_t)((r * GREENS + g) * BLUES + level(p & 0xff, BLUES, x, y));
		}
}

unsigned gif_indices(const uint32_t *pixels, uint32_t width, uint32_t height, uint8_t *indices, uint32_t colours[COLOURS])
{
	struct colour_set s = { .colours = colours };

	if (exact(pixels, (size_t)width * height, indices, &s))
		return s.count;
	make_cube(colours);
	dither(pixels, width, height, indices);
	return REDS * GREENS * BLUES;
}

/* ---- the file -------------------------------------------------------------------------------------------------- */

static int put(GifFileType *file, const GifByteType *data, int len)
{
	return (int)fwrite(data, 1, (size_t)len, file->UserData);
}

/* NETSCAPE2.0, by which a GIF says that it goes on for ever: 0 rounds. */
static bool put_loop(GifFileType *file)
{
	static const uint8_t rounds[] = { 1, 0, 0 };

	return EGifPutExtensionLeader(file, APPLICATION_EXT_FUNC_CODE) == GIF_OK &&
	       EGifPutExtensionBlock(file, 11, "NETSCAPE2.0") == GIF_OK && EGifPutExtensionBlock(file, 3, rounds) == GIF_OK &&
	       EGifPutExtensionTrailer(file) == GIF_OK;
}

static int failure(void)
{
	return errno ? -errno : -EIO;
}

int gif_begin(struct gif *g, FILE *out, uint32_t width, uint32_t height)
{
	int error;

	*g = (struct gif){ .out = out, .width = width, .height = height, .indices = malloc((size_t)width * height) };
	g->file = g->indices ? EGifOpen(out, put, &error) : NULL;
	if (!g->file)
		return -ENOMEM;
	EGifSetGifVersion(g->file, true);
	return EGifPutScreenDesc(g->file, (int)width, (int)height, COLOUR_BITS, 0, NULL) == GIF_OK && put_loop(g->file)
		       ? 0
		       : failure();
}

static bool put_control(GifFileType *file, uint32_t delay_ms)
{
	GraphicsControlBlock control = { .DisposalMode = DISPOSE_DO_NOT, .TransparentColor = NO_TRANSPARENT_COLOR };
	GifByteType bytes[4];
	uint32_t delay = (delay_ms + 5) / 10;

	control.DelayTime = (int)(delay < LEAST_DELAY ? LEAST_DELAY : delay > UINT16_MAX ? UINT16_MAX : delay);
	return EGifPutExtension(file, GRAPHICS_EXT_FUNC_CODE, (int)EGifGCBToExtension(&control, bytes), bytes) == GIF_OK;
}

static ColorMapObject *make_map(const uint32_t *colours, unsigned count)
{
	GifColorType table[COLOURS] = { { 0 } };

	for (unsigned i = 0; i < count; i++)
		table[i] = (GifColorType){ (GifByteType)(colours[i] >> 16), (GifByteType)(colours[i] >> 8),
					   (GifByteType)colours[i] };
	return GifMakeMapObject(COLOURS, table);
}

int gif_frame(struct gif *g, const uint32_t *pixels, uint32_t delay_ms)
{
	uint32_t colours[COLOURS];
	ColorMapObject *map = make_map(colours, gif_indices(pixels, g->width, g->height, g->indices, colours));
	bool ok = map && put_control(g->file, delay_ms) &&
		  EGifPutImageDesc(g->file, 0, 0, (int)g->width, (int)g->height, false, map) == GIF_OK;

	for (uint32_t y = 0; ok && y < g->height; y++)
		ok = EGifPutLine(g->file, g->indices + (size_t)y * g->width, (int)g->width) == GIF_OK;
	GifFreeMapObject(map);
	return ok ? 0 : failure();
}

int gif_end(struct gif *g)
{
	int error, rc = g->file && EGifCloseFile(g->file, &error) != GIF_OK ? failure() : 0;

	free(g->indices);
	*g = (struct gif){ .out = NULL };
	return rc;
}
