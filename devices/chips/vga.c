/* SPDX-License-Identifier: MIT */
/* The registers of a VGA: vga.h. */
#include "vga.h"

#include <string.h>

/* Offsets from VGA_BASE. */
enum {
	ATTRIBUTE = 0,
	ATTRIBUTE_READ = 1,
	MISC = 2, /* reads input status 0 */
	ENABLE = 3,
	SEQUENCER = 4,
	SEQUENCER_DATA = 5,
	DAC_MASK = 6,
	DAC_READ = 7, /* reads the DAC's state */
	DAC_WRITE = 8,
	DAC_DATA = 9,
	FEATURE_READ = 10,
	MISC_READ = 12,
	GRAPHICS = 14,
	GRAPHICS_DATA = 15,
};

#define BYTE(name_, offset_, readable_, writable_, mask_) \
	{ .name = name_, .offset = offset_, .size = 1, .readable = readable_, .writable = writable_, .write_mask = mask_, \
	  .post = REG_POSTED, .class = CLASS_CONFIG }
/* Index and data in one access, as programs like to write them. */
#define PAIR(name_, offset_) \
	{ .name = name_, .offset = offset_, .size = 2, .writable = true, .write_mask = 0xffff, .post = REG_POSTED, \
	  .class = CLASS_CONFIG }

/* What is written shows only in what is read later, and on the screen: nothing here interrupts anybody. */
const struct reg_desc vga_regs[VGA_REG_COUNT] = {
	BYTE("ATTRIBUTE", ATTRIBUTE, true, true, 0xff),
	BYTE("ATTRIBUTE_READ", ATTRIBUTE_READ, true, false, 0),
	BYTE("INPUT_STATUS_0", MISC, true, false, 0),
	BYTE("MISC_OUTPUT", MISC, false, true, 0xef),
	BYTE("SUBSYSTEM_ENABLE", ENABLE, true, true, 1),
	BYTE("SEQUENCER_INDEX", SEQUENCER, true, true, 0xff),
	BYTE("SEQUENCER_DATA", SEQUENCER_DATA, true, true, 0xff),
	BYTE("DAC_MASK", DAC_MASK, true, true, 0xff),
	BYTE("DAC_STATE", DAC_READ, true, false, 0),
	BYTE("DAC_READ_INDEX", DAC_READ, false, true, 0xff),
	BYTE("DAC_WRITE_INDEX", DAC_WRITE, true, true, 0xff),
	BYTE("DAC_DATA", DAC_DATA, true, true, 0x3f),
	BYTE("FEATURE_READ", FEATURE_READ, true, false, 0),
	BYTE("MISC_READ", MISC_READ, true, false, 0),
	BYTE("GRAPHICS_INDEX", GRAPHICS, true, true, 0xff),
	PAIR("GRAPHICS_PAIR", GRAPHICS),
	PAIR("SEQUENCER_PAIR", SEQUENCER),
};
/* Cursor, and where the screen begins: nothing protects these from being written, and nothing else writes them. */
static const uint8_t crtc_echo[] = { [0x0a] = 0x3f, [0x0b] = 0x7f, [0x0c] = 0xff, [0x0d] = 0xff, [0x0e] = 0xff, [0x0f] = 0xff };

const struct reg_desc vga_crtc_regs[VGA_CRTC_REG_COUNT] = {
	BYTE("VGA_CRTC_INDEX", 0, true, true, 0x1f),
	{ .name = "VGA_CRTC_DATA", .offset = 1, .size = 1, .readable = true, .writable = true, .write_mask = 0xff,
	  .post = REG_POSTED, .class = CLASS_CONFIG, .echo = crtc_echo, .echo_count = sizeof(crtc_echo), .echo_index_mask = 0x1f },
	PAIR("VGA_CRTC_PAIR", 0),
};
const struct reg_desc vga_status_regs[VGA_STATUS_REG_COUNT] = {
	BYTE("INPUT_STATUS_1", 0, true, false, 0),
	BYTE("FEATURE_CONTROL", 0, false, true, 0x0b),
};

/* Registers of the CRT controller and their bits of interest. */
enum {
	CRTC_COLUMNS = 1, /* less one */
	CRTC_OVERFLOW = 7,
	CRTC_CELL = 9, /* scan lines of a character less one; bit 7: each is shown twice */
	CRTC_CURSOR_START = 0xa,
	CRTC_CURSOR_END = 0xb,
	CRTC_START = 0xc, /* high, low */
	CRTC_CURSOR = 0xe,
	CRTC_PROTECT = 0x11, /* bit 7: registers 0 to 7 cannot be written */
	CRTC_LINES = 0x12, /* less one; two more bits in CRTC_OVERFLOW */
	CRTC_PITCH = 0x13,
};
enum { OVERFLOW_WRITABLE = 1 << 4, PROTECTED = 1 << 7, CURSOR_OFF = 1 << 5, DOUBLED = 1 << 7 };
enum { SEQUENCER_CLOCKING = 1, SEQUENCER_MEMORY = 4, CLOCK_EIGHT = 1 << 0, CLOCK_OFF = 1 << 5, MEMORY_CHAINED = 1 << 3 };
enum { GRAPHICS_MODE = 5, GRAPHICS_MISC = 6, MODE_256 = 1 << 6, MODE_SHIFTED = 1 << 5, MISC_GRAPHICS = 1 << 0 };
enum { ATTRIBUTE_MODE = 0x10, ATTRIBUTE_MASK = 0x12, ATTRIBUTE_SELECT = 0x14 };
enum { MODE_GRAPHICS = 1 << 0, MODE_LINES = 1 << 2, MODE_BLINK = 1 << 3, MODE_WIDE_PIXEL = 1 << 6, MODE_SELECT = 1 << 7 };
enum { PALETTE_SHOWN = 1 << 5, ATTRIBUTE_INDEX = 0x1f };

static const uint8_t crtc_bits[VGA_CRTC] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0x3f, 0x7f, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff,
};
static const uint8_t sequencer_bits[VGA_SEQUENCER] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
static const uint8_t graphics_bits[VGA_GRAPHICS] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };
static const uint8_t attribute_bits[VGA_ATTRIBUTE] = {
	0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
	0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f,
};
enum { MISC_BITS = 0xef, FEATURE_BITS = 0x0b, ENABLE_BITS = 1, DAC_BITS = 0x3f };

/* Mode 3 of a VGA's BIOS. */
static const struct vga mode_3 = {
	.crtc = { 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
		  0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff },
	.sequencer = { 0x03, 0x00, 0x03, 0x00, 0x02 },
	.graphics = { 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff },
	.attribute_index = PALETTE_SHOWN,
	.attribute = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
		       0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00 },
	.misc = 0x67,
	.enable = 1,
	.dac_mask = 0xff,
};

/* The 64 colours of an EGA: two bits for each of red, green, blue, of which the upper one is worth twice the lower. */
static uint8_t ega_level(unsigned colour, unsigned primary)
{
	return (uint8_t)((colour >> primary & 1) * 42 + (colour >> (primary + 3) & 1) * 21);
}

void vga_reset(struct vga *v)
{
	*v = mode_3;
	for (unsigned i = 0; i < VGA_COLOURS; i++)
		for (unsigned part = 0; part < 3; part++)
			v->dac[i][part] = ega_level(i & 63, 2 - part);
}

/* ---- registers ------------------------------------------------------------------------------------------------- */

static uint8_t read_indexed(const uint8_t *registers, unsigned count, unsigned index)
{
	return index < count ? registers[index] : 0;
}

static uint8_t read_colour(struct vga *v)
{
	uint8_t value = v->dac[v->dac_index][v->dac_part];

	v->dac_part = (uint8_t)((v->dac_part + 1) % 3);
	v->dac_index = (uint8_t)(v->dac_index + !v->dac_part);
	return value;
}

static void write_colour(struct vga *v, uint8_t value)
{
	v->dac[v->dac_index][v->dac_part] = value & DAC_BITS;
	v->dac_part = (uint8_t)((v->dac_part + 1) % 3);
	v->dac_index = (uint8_t)(v->dac_index + !v->dac_part);
}

static void select_colour(struct vga *v, uint8_t index, bool reads)
{
	v->dac_index = index;
	v->dac_part = 0;
	v->dac_reads = reads;
}

/* The palette can be written only while it is the processor's; nobody is hurt if that is not looked at. */
static void write_attribute(struct vga *v, uint8_t value)
{
	unsigned index = v->attribute_index & ATTRIBUTE_INDEX;

	if (!v->attribute_data)
		v->attribute_index = value & (PALETTE_SHOWN | ATTRIBUTE_INDEX);
	else if (index < VGA_ATTRIBUTE)
		v->attribute[index] = value & attribute_bits[index];
	v->attribute_data = !v->attribute_data;
}

uint8_t vga_read(struct vga *v, unsigned offset)
{
	switch (offset) {
	case ATTRIBUTE:
		return v->attribute_index;
	case ATTRIBUTE_READ:
		return read_indexed(v->attribute, VGA_ATTRIBUTE, v->attribute_index & ATTRIBUTE_INDEX);
	case MISC:
		return 0x10; /* the switch sense: a colour display */
	case ENABLE:
		return v->enable;
	case SEQUENCER:
		return v->sequencer_index;
	case SEQUENCER_DATA:
		return read_indexed(v->sequencer, VGA_SEQUENCER, v->sequencer_index);
	case DAC_MASK:
		return v->dac_mask;
	case DAC_READ:
		return v->dac_reads ? 3 : 0;
	case DAC_WRITE:
		return v->dac_index;
	case DAC_DATA:
		return read_colour(v);
	case FEATURE_READ:
		return v->feature;
	case MISC_READ:
		return v->misc;
	case GRAPHICS:
		return v->graphics_index;
	case GRAPHICS_DATA:
		return read_indexed(v->graphics, VGA_GRAPHICS, v->graphics_index);
	default:
		return 0xff;
	}
}

void vga_write(struct vga *v, unsigned offset, uint8_t value)
{
	switch (offset) {
	case ATTRIBUTE:
		write_attribute(v, value);
		break;
	case MISC:
		v->misc = value & MISC_BITS;
		break;
	case ENABLE:
		v->enable = value & ENABLE_BITS;
		break;
	case SEQUENCER:
		v->sequencer_index = value & 7;
		break;
	case SEQUENCER_DATA:
		if (v->sequencer_index < VGA_SEQUENCER)
			v->sequencer[v->sequencer_index] = value & sequencer_bits[v->sequencer_index];
		break;
	case DAC_MASK:
		v->dac_mask = value;
		break;
	case DAC_READ:
	case DAC_WRITE:
		select_colour(v, value, offset == DAC_READ);
		break;
	case DAC_DATA:
		write_colour(v, value);
		break;
	case GRAPHICS:
		v->graphics_index = value & 15;
		break;
	case GRAPHICS_DATA:
		if (v->graphics_index < VGA_GRAPHICS)
			v->graphics[v->graphics_index] = value & graphics_bits[v->graphics_index];
		break;
	default:
		break;
	}
}

uint8_t vga_crtc_read(const struct vga *v, unsigned offset)
{
	return offset ? read_indexed(v->crtc, VGA_CRTC, v->crtc_index) : v->crtc_index;
}

void vga_crtc_write(struct vga *v, unsigned offset, uint8_t value)
{
	uint8_t *reg = v->crtc_index < VGA_CRTC ? &v->crtc[v->crtc_index] : NULL;
	bool is_protected = v->crtc_index <= CRTC_OVERFLOW && v->crtc[CRTC_PROTECT] & PROTECTED;

	if (!offset)
		v->crtc_index = value & 0x1f;
	else if (reg && !is_protected)
		*reg = value & crtc_bits[v->crtc_index];
	else if (reg && v->crtc_index == CRTC_OVERFLOW)
		*reg = (uint8_t)((*reg & ~OVERFLOW_WRITABLE) | (value & OVERFLOW_WRITABLE));
}

/* 449 lines of 31.8 us make a picture of 400; in the 412th and 413th the beam goes back. */
uint8_t vga_status(struct vga *v, uint64_t now_ns)
{
	enum { LINE_NS = 31778, SHOWN_NS = 25422, LINES = 449, SHOWN = 400, RETRACE = 412, RETRACE_LINES = 2 };
	enum { STATUS_HIDDEN = 1 << 0, STATUS_RETRACE = 1 << 3 };
	unsigned line = (unsigned)(now_ns / LINE_NS % LINES);
	bool hidden = line >= SHOWN || now_ns % LINE_NS >= SHOWN_NS;

	v->attribute_data = 0;
	return (uint8_t)((hidden ? STATUS_HIDDEN : 0) | (line - RETRACE < RETRACE_LINES ? STATUS_RETRACE : 0));
}

void vga_feature_write(struct vga *v, uint8_t value)
{
	v->feature = value & FEATURE_BITS;
}

static bool is_within(const uint8_t *registers, const uint8_t *bits, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (registers[i] & ~bits[i])
			return false;
	return true;
}

const char *vga_check(const struct vga *v)
{
	if (v->crtc_index > 0x1f || !is_within(v->crtc, crtc_bits, VGA_CRTC))
		return "vga.crtc";
	if (v->sequencer_index > 7 || !is_within(v->sequencer, sequencer_bits, VGA_SEQUENCER))
		return "vga.sequencer";
	if (v->graphics_index > 15 || !is_within(v->graphics, graphics_bits, VGA_GRAPHICS))
		return "vga.graphics";
	if (v->attribute_index & ~(PALETTE_SHOWN | ATTRIBUTE_INDEX) || v->attribute_data > 1 ||
	    !is_within(v->attribute, attribute_bits, VGA_ATTRIBUTE))
		return "vga.attribute";
	if (v->misc & ~MISC_BITS || v->feature & ~FEATURE_BITS || v->enable & ~ENABLE_BITS)
		return "vga.misc";
	if (v->dac_part > 2 || v->dac_reads > 1)
		return "vga.dac_part";
	for (unsigned i = 0; i < VGA_COLOURS; i++)
		for (unsigned part = 0; part < 3; part++)
			if (v->dac[i][part] & ~DAC_BITS)
				return "vga.dac";
	return NULL;
}

/* ---- what is shown --------------------------------------------------------------------------------------------- */

static uint32_t pair(const struct vga *v, unsigned high)
{
	return (uint32_t)v->crtc[high] << 8 | v->crtc[high + 1];
}

static uint32_t scan_lines(const struct vga *v)
{
	unsigned more = v->crtc[CRTC_OVERFLOW];

	return (v->crtc[CRTC_LINES] | (more & 1 << 1) << 7 | (more & 1 << 6) << 3) + 1u;
}

static void text_mode(const struct vga *v, struct vga_mode *m)
{
	bool has_cursor = !(v->crtc[CRTC_CURSOR_START] & CURSOR_OFF);

	m->columns = v->crtc[CRTC_COLUMNS] + 1u;
	m->cell_width = v->sequencer[SEQUENCER_CLOCKING] & CLOCK_EIGHT ? 8 : 9;
	m->cell_height = (v->crtc[CRTC_CELL] & 0x1fu) + 1;
	m->lines = scan_lines(v) / m->cell_height;
	m->columns = m->columns < VGA_COLUMNS_MAX ? m->columns : VGA_COLUMNS_MAX;
	m->lines = m->lines < VGA_LINES_MAX ? m->lines : VGA_LINES_MAX;
	m->width = m->columns * m->cell_width;
	m->height = m->lines * m->cell_height;
	m->base = (v->graphics[GRAPHICS_MISC] >> 2 & 3) == 2 ? 0x10000 : 0x18000;
	m->start = pair(v, CRTC_START);
	m->pitch = v->crtc[CRTC_PITCH] * 2u;
	m->cursor = pair(v, CRTC_CURSOR);
	m->cursor_top = v->crtc[CRTC_CURSOR_START] & 0x1f;
	m->cursor_end = has_cursor ? (v->crtc[CRTC_CURSOR_END] & 0x1fu) + 1 : 0;
	m->blinks = v->attribute[ATTRIBUTE_MODE] & MODE_BLINK;
	m->joins = v->attribute[ATTRIBUTE_MODE] & MODE_LINES;
}

/* Each pixel of mode 13h is two clocks wide, and each row so many scan lines high. */
static void linear_mode(const struct vga *v, struct vga_mode *m)
{
	m->repeat = ((v->crtc[CRTC_CELL] & 0x1fu) + 1) << (v->crtc[CRTC_CELL] & DOUBLED ? 1 : 0);
	m->width = (v->crtc[CRTC_COLUMNS] + 1u) * (v->attribute[ATTRIBUTE_MODE] & MODE_WIDE_PIXEL ? 4 : 8);
	m->height = scan_lines(v) / m->repeat;
	m->pitch = v->crtc[CRTC_PITCH] * 8u;
	m->start = pair(v, CRTC_START) * 4;
}

static bool is_off(const struct vga *v)
{
	return v->sequencer[SEQUENCER_CLOCKING] & CLOCK_OFF || !(v->attribute_index & PALETTE_SHOWN);
}

void vga_mode(const struct vga *v, struct vga_mode *out)
{
	bool graphics = v->graphics[GRAPHICS_MISC] & MISC_GRAPHICS, chained = v->sequencer[SEQUENCER_MEMORY] & MEMORY_CHAINED;

	*out = (struct vga_mode){ .kind = VGA_MODE_PLANES };
	if (!graphics) {
		out->kind = VGA_MODE_TEXT;
		text_mode(v, out);
	} else if (v->graphics[GRAPHICS_MODE] & MODE_256 && chained) {
		out->kind = VGA_MODE_LINEAR;
		linear_mode(v, out);
	}
	if (is_off(v) || (out->kind != VGA_MODE_PLANES && (!out->width || !out->height || !out->pitch)))
		out->kind = VGA_MODE_OFF;
}

static uint32_t level(uint8_t six_bits)
{
	return (uint32_t)(six_bits << 2 | six_bits >> 4);
}

uint32_t vga_dac_colour(const struct vga *v, unsigned index)
{
	const uint8_t *c = v->dac[index & v->dac_mask];

	return level(c[0]) << 16 | level(c[1]) << 8 | level(c[2]);
}

uint32_t vga_text_colour(const struct vga *v, unsigned attribute)
{
	unsigned index = v->attribute[attribute & v->attribute[ATTRIBUTE_MASK] & 15], select = v->attribute[ATTRIBUTE_SELECT];

	if (v->attribute[ATTRIBUTE_MODE] & MODE_SELECT)
		index = (index & 0x0f) | (select & 3) << 4;
	return vga_dac_colour(v, (index & 0x3f) | (select & 0x0c) << 4);
}
