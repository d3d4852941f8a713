/* SPDX-License-Identifier: MIT */
/* Animated GIF files, by giflib. A frame of at most 256 colours keeps them; another one is dithered. */
#ifndef BULKHEAD_VMM_GIF_H
#define BULKHEAD_VMM_GIF_H

#include <stdint.h>
#include <stdio.h>

struct GifFileType;

struct gif {
	struct GifFileType *file; /* NULL: not begun */
	FILE *out;
	uint32_t width, height;
	uint8_t *indices;
};

/* Each: 0 or -errno. A GIF's unit of time is 10 ms, and readers take less than two of them for ten. */
int gif_begin(struct gif *g, FILE *out, uint32_t width, uint32_t height);
int gif_frame(struct gif *g, const uint32_t *pixels, uint32_t delay_ms);
int gif_end(struct gif *g);

/* Pure: pixels (0RGB) into indices of a table of `colours`. Returns how many there are, at most 256. */
unsigned gif_indices(const uint32_t *pixels, uint32_t width, uint32_t height, uint8_t *indices, uint32_t colours[256]);

#endif
