/* SPDX-License-Identifier: MIT */
/* --display: the screen of a PC, as the processes tell each other of it. */
#ifndef BULKHEAD_PROTO_DISPLAY_H
#define BULKHEAD_PROTO_DISPLAY_H

#include "layout.h"

#include <stdbool.h>
#include <stdint.h>

enum display_kind {
	DISPLAY_NONE, /* no process, no memory */
	DISPLAY_LFB,  /* a framebuffer of one size at LAYOUT_SCREEN_BASE, 32 bits a pixel, and no registers */
	DISPLAY_VGA,  /* a VGA with Bochs' extensions: text at B8000h, the framebuffer at LAYOUT_SCREEN_BASE */
	DISPLAY_KINDS
};

enum { DISPLAY_SIDE_MIN = 64, DISPLAY_SIDE_MAX = 4096, DISPLAY_WIDTH = 1024, DISPLAY_HEIGHT = 768 };

struct display_spec {
	uint32_t kind; /* enum display_kind */
	uint32_t width, height; /* DISPLAY_LFB; otherwise 0 */
};

static inline bool display_size_is_possible(uint32_t width, uint32_t height)
{
	return width >= DISPLAY_SIDE_MIN && height >= DISPLAY_SIDE_MIN && width <= DISPLAY_SIDE_MAX &&
	       height <= DISPLAY_SIDE_MAX && width * height <= LAYOUT_SCREEN_BYTES / 4;
}

static inline bool display_is_possible(const struct display_spec *d)
{
	if (d->kind == DISPLAY_LFB)
		return display_size_is_possible(d->width, d->height);
	return d->kind < DISPLAY_KINDS && !d->width && !d->height;
}

/* Bytes that vCPUs see as memory: RAM, and the framebuffer behind it (proto/code_map.h counts pages of both). */
static inline uint64_t display_memory_bytes(uint64_t ram_bytes, uint32_t kind)
{
	return ram_bytes + (kind == DISPLAY_NONE ? 0 : LAYOUT_SCREEN_BYTES);
}

#endif
