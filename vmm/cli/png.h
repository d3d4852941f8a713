/* SPDX-License-Identifier: MIT */
/*
 * PNG files, still and animated (PNG specification, third edition), of 8-bit RGB. The container is ours: libpng, which is the
 * reference for it, writes no animation; what is difficult in a PNG, deflate and CRC, is zlib's.
 */
#ifndef BULKHEAD_VMM_PNG_H
#define BULKHEAD_VMM_PNG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct png {
	FILE *out; /* animated: one that can be sought in */
	uint32_t width, height;
	bool animated;
	uint32_t sequence, frames;
	long animation_at; /* of the chunk that tells how many frames there are */
	uint8_t *raw, *packed;
	unsigned long packed_max;
};

/* 0 or -errno. */
int png_begin(struct png *p, FILE *out, uint32_t width, uint32_t height, bool animated);
/* `pixels` are 0RGB. A still picture has one frame. */
int png_frame(struct png *p, const uint32_t *pixels, uint32_t delay_ms);
/* Frees what it has. 0 or -errno; -ENODATA: there was no frame. */
int png_end(struct png *p);

#endif
