/* SPDX-License-Identifier: MIT */
/* What a VGA shows, as pixels and as text: pure. The guest may write its memory meanwhile: each byte is read once. */
#ifndef BULKHEAD_DEVICES_VGA_PICTURE_H
#define BULKHEAD_DEVICES_VGA_PICTURE_H

#include "devices/chips/dispi.h"
#include "devices/chips/vga.h"
#include "proto/screen.h"

struct vga_memory {
	const uint8_t *legacy; /* LAYOUT_VGA_BYTES */
	const uint8_t *screen; /* LAYOUT_SCREEN_BYTES */
};

/* Where a picture goes: the size into `half`, pixels and characters behind each other. */
struct vga_canvas {
	struct picture_half *half;
	uint32_t *pixels; /* PICTURE_PIXELS */
	uint16_t *cells;  /* PICTURE_CELLS */
};

/* What blinks is dark in every other of these: the cursor twice as often as characters. */
struct vga_blink {
	bool cursor_dark, text_dark;
};
struct vga_blink vga_blink_at(uint64_t now_ns);

/* The picture of the registers' mode. */
void vga_picture(const struct vga *vga, const struct vga_memory *m, struct vga_blink blink, const struct vga_canvas *to);
/* Of the framebuffer. 8 bits a pixel have the DAC's colours. */
void vga_picture_linear(const struct vga *vga, const struct dispi_mode *mode, const struct vga_memory *m, const struct vga_canvas *to);

/* The first row in which two pictures of one size differ, and the one behind the last; both 0: none. */
struct picture_rows vga_picture_difference(const struct vga_canvas *a, const struct vga_canvas *b);

#endif
