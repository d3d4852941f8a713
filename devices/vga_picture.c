/* SPDX-License-Identifier: MIT */
/* Pictures of a VGA: vga_picture.h. */
#include "vga_picture.h"

#include "devices/chips/vga_font.h"

#include <string.h>

#define BLINK_NS 266666667ull /* 16 pictures of a 60 Hz screen (VGA: the cursor blinks every 16, characters every 32) */

_Static_assert(VGA_COLUMNS_MAX * VGA_LINES_MAX <= PICTURE_CELLS * 2, "bounded below");

struct vga_blink vga_blink_at(uint64_t now_ns)
{
	uint64_t n = now_ns / BLINK_NS;

	return (struct vga_blink){ .cursor_dark = n & 1, .text_dark = n >> 1 & 1 };
}

static void size(const struct vga_canvas *to, uint32_t width, uint32_t height)
{
	to->half->width = width;
	to->half->height = height;
	to->half->columns = to->half->lines = 0;
	to->half->cursor = UINT32_MAX;
}

/* ---- text ------------------------------------------------------------------------------------------------------ */

/* Text memory is 32 KiB, and what is behind its end is its beginning. */
static uint16_t cell_at(const struct vga_mode *mode, const struct vga_memory *m, uint32_t address)
{
	const uint8_t *at = m->legacy + mode->base + (address * 2 & 0x7ffe);
	uint16_t cell;

	memcpy(&cell, at, sizeof(cell));
	return cell;
}

struct cell_look {
	uint32_t ink, paper;
	unsigned dots[32]; /* of each scan line, the leftmost highest of cell_width bits */
};

static unsigned dots_of(const struct vga_mode *mode, uint8_t character, unsigned row)
{
	unsigned dots = row < VGA_FONT_ROWS ? vga_font[character][row] : 0;

	if (mode->cell_width == 8)
		return dots;
	return dots << 1 | (mode->joins && (character & 0xe0) == 0xc0 ? dots & 1 : 0);
}

static void look_at(const struct vga *vga, const struct vga_mode *mode, uint16_t cell, struct vga_blink blink, struct cell_look *out)
{
	unsigned attribute = cell >> 8;
	bool dark = mode->blinks && attribute & 0x80 && blink.text_dark;

	out->paper = vga_text_colour(vga, attribute >> 4 & (mode->blinks ? 7 : 15));
	out->ink = dark ? out->paper : vga_text_colour(vga, attribute & 15);
	for (unsigned row = 0; row < mode->cell_height; row++)
		out->dots[row] = dots_of(mode, (uint8_t)cell, row);
}

static void put_cursor(const struct vga_mode *mode, struct cell_look *look)
{
	for (unsigned row = mode->cursor_top; row < mode->cursor_end && row < mode->cell_height; row++)
		look->dots[row] = (1u << mode->cell_width) - 1;
}

static void draw(const struct vga_mode *mode, const struct cell_look *look, uint32_t *to)
{
	for (unsigned row = 0; row < mode->cell_height; row++, to += mode->width)
		for (unsigned x = 0; x < mode->cell_width; x++)
			to[x] = look->dots[row] >> (mode->cell_width - 1 - x) & 1 ? look->ink : look->paper;
}

static void picture_text(const struct vga *vga, struct vga_mode *mode, const struct vga_memory *m, struct vga_blink blink,
			 const struct vga_canvas *to)
{
	struct picture_half *half = to->half;

	if (mode->columns * mode->lines > PICTURE_CELLS)
		mode->lines = PICTURE_CELLS / mode->columns;
	mode->height = mode->lines * mode->cell_height;
	size(to, mode->width, mode->height);
	half->columns = (uint16_t)mode->columns;
	half->lines = (uint16_t)mode->lines;
	for (uint32_t n = 0; n < mode->columns * mode->lines; n++) {
		uint32_t x = n % mode->columns, y = n / mode->columns, address = mode->start + y * mode->pitch + x;
		struct cell_look look;

		to->cells[n] = cell_at(mode, m, address);
		look_at(vga, mode, to->cells[n], blink, &look);
		if (address == mode->cursor && mode->cursor_top < mode->cursor_end) {
			half->cursor = n;
			if (!blink.cursor_dark)
				put_cursor(mode, &look);
		}
		draw(mode, &look, to->pixels + (size_t)y * mode->cell_height * mode->width + x * mode->cell_width);
	}
}

/* ---- pixels ---------------------------------------------------------------------------------------------------- */

static void fill_colours(const struct vga *vga, uint32_t colours[VGA_COLOURS])
{
	for (unsigned i = 0; i < VGA_COLOURS; i++)
		colours[i] = vga_dac_colour(vga, i);
}

/* In 64 KiB, round and round. */
static void picture_13h(const struct vga *vga, const struct vga_mode *mode, const struct vga_memory *m, const struct vga_canvas *to)
{
	uint32_t colours[VGA_COLOURS];

	size(to, mode->width, mode->height);
	fill_colours(vga, colours);
	for (uint32_t y = 0; y < mode->height; y++)
		for (uint32_t x = 0; x < mode->width; x++)
			to->pixels[(size_t)y * mode->width + x] =
				colours[m->legacy[(mode->start + y * mode->pitch + x) & 0xffff]];
}

static void row_of_bytes(const uint32_t colours[VGA_COLOURS], const uint8_t *from, uint32_t *to, uint32_t width)
{
	for (uint32_t x = 0; x < width; x++)
		to[x] = colours[from[x]];
}

void vga_picture_linear(const struct vga *vga, const struct dispi_mode *mode, const struct vga_memory *m, const struct vga_canvas *to)
{
	uint32_t colours[VGA_COLOURS];

	size(to, mode->width, mode->height);
	if (mode->bytes == 1)
		fill_colours(vga, colours);
	for (uint32_t y = 0; y < mode->height; y++) {
		const uint8_t *from = m->screen + mode->start + (size_t)y * mode->pitch;
		uint32_t *row = to->pixels + (size_t)y * mode->width;

		if (mode->bytes == 1)
			row_of_bytes(colours, from, row, mode->width);
		else
			memcpy(row, from, (size_t)mode->width * sizeof(*row));
	}
}

/* ---- neither --------------------------------------------------------------------------------------------------- */

/* A text screen that the guest has not written. */
static void say(const struct vga *vga, const char *text, const struct vga_canvas *to)
{
	struct vga_mode mode = {
		.columns = 80, .lines = 25, .cell_width = 8, .cell_height = VGA_FONT_ROWS, .pitch = 80, .width = 640
	};
	uint8_t cells[0x8000] = { 0 };
	const struct vga_memory m = { .legacy = cells };

	for (size_t i = 0; text[i]; i++) {
		cells[2 * i] = (uint8_t)text[i];
		cells[2 * i + 1] = 0x07;
	}
	picture_text(vga, &mode, &m, (struct vga_blink){ .cursor_dark = true }, to);
}

static void picture_dark(const struct vga_canvas *to)
{
	size(to, 640, 400);
	memset(to->pixels, 0, (size_t)640 * 400 * sizeof(to->pixels[0]));
}

void vga_picture(const struct vga *vga, const struct vga_memory *m, struct vga_blink blink, const struct vga_canvas *to)
{
	struct vga_mode mode;

	vga_mode(vga, &mode);
	switch (mode.kind) {
	case VGA_MODE_OFF:
		picture_dark(to);
		break;
	case VGA_MODE_TEXT:
		picture_text(vga, &mode, m, blink, to);
		break;
	case VGA_MODE_LINEAR:
		picture_13h(vga, &mode, m, to);
		break;
	case VGA_MODE_PLANES:
		say(vga, "The guest has chosen a mode of colour planes, which this display does not show.", to);
		break;
	}
}

struct picture_rows vga_picture_difference(const struct vga_canvas *a, const struct vga_canvas *b)
{
	struct picture_rows rows = { 0, 0 };
	const uint32_t width = a->half->width, height = a->half->height;

	if (width != b->half->width || height != b->half->height || a->half->columns != b->half->columns ||
	    a->half->lines != b->half->lines)
		return (struct picture_rows){ 0, height };
	for (uint32_t y = 0; y < height; y++) {
		if (!memcmp(a->pixels + (size_t)y * width, b->pixels + (size_t)y * width, width * sizeof(a->pixels[0])))
			continue;
		rows.top = rows.bottom ? rows.top : y;
		rows.bottom = y + 1;
	}
	return rows;
}
