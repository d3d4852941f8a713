/* SPDX-License-Identifier: MIT */
/* The model of a PC's display: vga_model.h. */
#include "vga_model.h"

#include <errno.h>
#include <string.h>

enum vga_range { VGAD_RANGES(RANGE_ID) RANGES };
static const struct model_range ranges[RANGES] = { VGAD_RANGES(RANGE_ROW) };

static uint8_t read_crtc(const struct vga_state *s, unsigned offset)
{
	return s->display.kind == DISPLAY_VGA ? vga_crtc_read(&s->vga, offset) : crtc_read(&s->stub, offset);
}

static void write_crtc(struct vga_state *s, unsigned offset, uint8_t value)
{
	if (s->display.kind == DISPLAY_VGA)
		vga_crtc_write(&s->vga, offset, value);
	else
		crtc_write(&s->stub, offset, value);
}

static uint8_t read_byte(struct vga_state *s, enum vga_range range, uint32_t offset, uint64_t now_ns)
{
	if (offset >= ranges[range].len)
		return 0xff;
	if (range == RANGE_CRTC)
		return read_crtc(s, offset);
	if (s->display.kind != DISPLAY_VGA)
		return 0xff;
	switch (range) {
	case RANGE_CRTC_MONO:
		return vga_crtc_read(&s->vga, offset);
	case RANGE_STATUS:
	case RANGE_STATUS_MONO:
		return vga_status(&s->vga, now_ns);
	case RANGE_REGISTERS:
		return vga_read(&s->vga, offset);
	case RANGE_CRTC:
	case RANGE_DISPI:
	case RANGES:
		break;
	}
	return 0xff;
}

static void write_byte(struct vga_state *s, enum vga_range range, uint32_t offset, uint8_t value)
{
	if (offset >= ranges[range].len)
		return;
	if (range == RANGE_CRTC)
		write_crtc(s, offset, value);
	if (s->display.kind != DISPLAY_VGA)
		return;
	switch (range) {
	case RANGE_CRTC_MONO:
		vga_crtc_write(&s->vga, offset, value);
		break;
	case RANGE_STATUS:
	case RANGE_STATUS_MONO:
		vga_feature_write(&s->vga, value);
		break;
	case RANGE_REGISTERS:
		vga_write(&s->vga, offset, value);
		break;
	case RANGE_CRTC:
	case RANGE_DISPI:
	case RANGES:
		break;
	}
}

/* Registers of 16 bits at two neighbouring ports: only accesses of that size mean anything. */
static uint64_t read_dispi(const struct vga_state *s, uint32_t offset, unsigned size)
{
	if (s->display.kind != DISPLAY_VGA || size != 2 || offset > DISPI_DATA)
		return UINT64_MAX;
	return offset == DISPI_INDEX ? s->dispi.index : dispi_read(&s->dispi, s->dispi.index);
}

static void write_dispi(struct vga_state *s, uint32_t offset, uint16_t value, unsigned size)
{
	if (s->display.kind != DISPLAY_VGA || size != 2 || offset > DISPI_DATA)
		return;
	if (offset == DISPI_INDEX)
		s->dispi.index = value;
	else if (dispi_write(&s->dispi, s->dispi.index, value))
		s->clear = 1;
}

static uint64_t vga_model_read(void *state, unsigned range, uint32_t offset, unsigned size, uint64_t now_ns)
{
	struct vga_state *s = state;
	uint64_t value = 0;

	if (range >= RANGES)
		return UINT64_MAX;
	if (range == RANGE_DISPI)
		return read_dispi(s, offset, size);
	for (unsigned i = 0; i < size && i < 8; i++)
		value |= (uint64_t)read_byte(s, range, offset + i, now_ns) << 8 * i;
	return value;
}

static void vga_model_write(void *state, unsigned range, uint32_t offset, uint64_t data, unsigned size, uint64_t now_ns)
{
	struct vga_state *s = state;

	(void)now_ns;
	if (range >= RANGES)
		return;
	if (range == RANGE_DISPI)
		write_dispi(s, offset, (uint16_t)data, size);
	for (unsigned i = 0; range != RANGE_DISPI && i < size && i < 8; i++)
		write_byte(s, range, offset + i, (uint8_t)(data >> 8 * i));
}

bool vga_model_linear(const void *state, struct dispi_mode *out)
{
	const struct vga_state *s = state;

	if (s->display.kind == DISPLAY_VGA)
		return dispi_mode(&s->dispi, out);
	*out = (struct dispi_mode){
		.width = s->display.width, .height = s->display.height, .pitch = s->display.width * 4, .bytes = 4
	};
	return true;
}

bool vga_model_take_clear(void *state)
{
	struct vga_state *s = state;
	bool clear = s->clear;

	s->clear = 0;
	return clear;
}

static void vga_model_reset(void *state, const struct model_config *config, uint64_t now_ns)
{
	struct vga_state *s = state;

	(void)now_ns;
	memset(s, 0, sizeof(*s));
	vga_reset(&s->vga);
	dispi_reset(&s->dispi);
	crtc_reset(&s->stub, config->no_vga);
	s->display = config->display;
}

static uint64_t vga_model_advance(void *state, uint64_t now_ns)
{
	(void)state;
	(void)now_ns;
	return UINT64_MAX;
}

static void vga_model_get_lines(const void *state, uint32_t words[MODEL_LINES])
{
	(void)state;
	(void)words;
}

static unsigned vga_model_get_shadow(const void *state, struct shadow_value out[MODEL_MAX_SHADOW])
{
	(void)state;
	(void)out;
	return 0;
}

static int vga_model_validate(const void *state, const char **field)
{
	static const uint8_t nothing[3];
	const struct vga_state *s = state;

	*field = vga_check(&s->vga);
	if (!*field)
		*field = dispi_check(&s->dispi);
	if (!*field)
		*field = crtc_check(&s->stub);
	if (!*field && !display_is_possible(&s->display))
		*field = "display";
	if (!*field && (s->clear > 1 || memcmp(s->reserved, nothing, sizeof(nothing))))
		*field = "clear";
	return *field ? -EINVAL : 0;
}

const struct device_model vga_model = {
	.name = "vga",
	.version = 1,
	.state_size = sizeof(struct vga_state),
	.ranges = ranges,
	.range_count = RANGES,
	.lines = VGAD_LINES,
	.reset = vga_model_reset,
	.read = vga_model_read,
	.write = vga_model_write,
	.advance = vga_model_advance,
	.get_lines = vga_model_get_lines,
	.get_shadow = vga_model_get_shadow,
	.validate = vga_model_validate,
};
