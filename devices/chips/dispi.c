/* SPDX-License-Identifier: MIT */
/* The Bochs VBE extensions: dispi.h. */
#include "dispi.h"

#include "proto/layout.h"

/* A new mode is there when the answer is: what it clears must not be what the guest draws next. */
const struct reg_desc dispi_regs[DISPI_REG_COUNT] = {
	{ .name = "DISPI_INDEX", .offset = DISPI_INDEX, .size = 2, .readable = true, .writable = true, .write_mask = 0xffff,
	  .post = REG_POSTED, .class = CLASS_INDEX },
	{ .name = "DISPI_DATA", .offset = DISPI_DATA, .size = 2, .readable = true, .writable = true, .write_mask = 0xffff,
	  .post = REG_SYNC },
};

void dispi_reset(struct dispi *d)
{
	*d = (struct dispi){ .registers = { [DISPI_ID] = DISPI_VERSION, [DISPI_BPP] = 8 } };
}

static bool is_depth(uint16_t bits)
{
	return bits == 8 || bits == 32;
}

static uint32_t pixel_bytes(const struct dispi *d)
{
	return d->registers[DISPI_BPP] / 8u;
}

/* How many rows of that width there is memory for. */
static uint32_t rows_of(const struct dispi *d, uint32_t width)
{
	uint32_t rows = width ? LAYOUT_SCREEN_BYTES / (width * pixel_bytes(d)) : 0;

	return rows < UINT16_MAX ? rows : UINT16_MAX;
}

static uint16_t capability(unsigned index)
{
	switch (index) {
	case DISPI_XRES:
		return DISPI_XRES_MAX;
	case DISPI_YRES:
		return DISPI_YRES_MAX;
	default:
		return DISPI_BPP_MAX;
	}
}

uint16_t dispi_read(const struct dispi *d, unsigned index)
{
	bool asks = d->registers[DISPI_ENABLE] & DISPI_GETCAPS;

	if (index >= DISPI_REGISTERS)
		return 0;
	if (asks && index >= DISPI_XRES && index <= DISPI_BPP)
		return capability(index);
	if (index == DISPI_MEMORY)
		return LAYOUT_SCREEN_BYTES >> 16;
	if (index == DISPI_VIRT_HEIGHT)
		return (uint16_t)rows_of(d, d->registers[DISPI_VIRT_WIDTH]);
	return d->registers[index];
}

/* Size and depth hold still while the mode is on. */
static void set_size(struct dispi *d, unsigned index, uint16_t value)
{
	const uint16_t most = index == DISPI_XRES ? DISPI_XRES_MAX : DISPI_YRES_MAX;

	if (d->registers[DISPI_ENABLE] & DISPI_ENABLED)
		return;
	if (index == DISPI_BPP ? is_depth(value) : value <= most)
		d->registers[index] = value;
}

static bool has_size(const struct dispi *d)
{
	return d->registers[DISPI_XRES] && d->registers[DISPI_YRES] &&
	       d->registers[DISPI_YRES] <= rows_of(d, d->registers[DISPI_XRES]);
}

static bool enable(struct dispi *d, uint16_t value)
{
	const uint16_t known = DISPI_ENABLED | DISPI_GETCAPS | DISPI_LFB | DISPI_NOCLEAR;
	bool was = d->registers[DISPI_ENABLE] & DISPI_ENABLED, turns_on = value & DISPI_ENABLED && !was;

	if (turns_on && !has_size(d))
		return false;
	d->registers[DISPI_ENABLE] = value & known;
	if (!turns_on)
		return false;
	d->registers[DISPI_VIRT_WIDTH] = d->registers[DISPI_XRES];
	d->registers[DISPI_X_OFFSET] = d->registers[DISPI_Y_OFFSET] = 0;
	return !(value & DISPI_NOCLEAR);
}

static bool offsets_fit(const struct dispi *d, uint32_t width, uint32_t x, uint32_t y)
{
	return x + d->registers[DISPI_XRES] <= width && y + d->registers[DISPI_YRES] <= rows_of(d, width);
}

static void set_window(struct dispi *d, unsigned index, uint16_t value)
{
	struct dispi wanted = *d;

	wanted.registers[index] = value;
	if (offsets_fit(d, wanted.registers[DISPI_VIRT_WIDTH], wanted.registers[DISPI_X_OFFSET],
			wanted.registers[DISPI_Y_OFFSET]))
		*d = wanted;
}

bool dispi_write(struct dispi *d, unsigned index, uint16_t value)
{
	switch (index) {
	case DISPI_ID:
		if (value >= DISPI_VERSION_MIN && value <= DISPI_VERSION)
			d->registers[DISPI_ID] = value;
		break;
	case DISPI_XRES:
	case DISPI_YRES:
	case DISPI_BPP:
		set_size(d, index, value);
		break;
	case DISPI_ENABLE:
		return enable(d, value);
	case DISPI_VIRT_WIDTH:
	case DISPI_X_OFFSET:
	case DISPI_Y_OFFSET:
		set_window(d, index, value);
		break;
	default: /* banks are for real mode, which reaches nothing through them here */
		break;
	}
	return false;
}

bool dispi_mode(const struct dispi *d, struct dispi_mode *out)
{
	const uint16_t *r = d->registers;
	const uint32_t bytes = pixel_bytes(d);

	if (!(r[DISPI_ENABLE] & DISPI_ENABLED))
		return false;
	*out = (struct dispi_mode){ r[DISPI_XRES], r[DISPI_YRES], r[DISPI_VIRT_WIDTH] * bytes,
				    ((uint32_t)r[DISPI_Y_OFFSET] * r[DISPI_VIRT_WIDTH] + r[DISPI_X_OFFSET]) * bytes, bytes };
	return true;
}

const char *dispi_check(const struct dispi *d)
{
	const uint16_t *r = d->registers;

	if (r[DISPI_ID] < DISPI_VERSION_MIN || r[DISPI_ID] > DISPI_VERSION || !is_depth(r[DISPI_BPP]))
		return "dispi.bpp";
	if (r[DISPI_XRES] > DISPI_XRES_MAX || r[DISPI_YRES] > DISPI_YRES_MAX)
		return "dispi.size";
	if (r[DISPI_ENABLE] & DISPI_ENABLED &&
	    (!has_size(d) || !offsets_fit(d, r[DISPI_VIRT_WIDTH], r[DISPI_X_OFFSET], r[DISPI_Y_OFFSET])))
		return "dispi.window";
	if (r[DISPI_BANK] || r[DISPI_VIRT_HEIGHT] || r[DISPI_MEMORY] || r[DISPI_ENABLE] & ~0xc3)
		return "dispi.reserved";
	return NULL;
}
