/* SPDX-License-Identifier: MIT */
/* What firmware asks and sets up: see firmware_model.h. */
#include "devices/firmware_model.h"

#include <errno.h>
#include <string.h>

#include "proto/kind.h"
#include "proto/layout.h"

/* Firmware looks for a debug console here and would print everything twice. */
static const struct reg_desc no_debug_reg = { .name = "NO_DEBUG", .size = 1, .readable = true, .writable = true, .post = REG_DROPPED };

enum firmware_range { FIRMWARED_RANGES(RANGE_ID) RANGES };
static const struct model_range ranges[RANGES] = { FIRMWARED_RANGES(RANGE_ROW) };

static uint8_t read_fw_cfg(struct fw_cfg *f, uint32_t offset)
{
	return offset == 1 ? fw_cfg_read(f) : 0xff;
}

uint8_t *firmware_flash;

/* Its place in the content; false: it is not all of it there. */
static bool find_flash(const struct firmware_state *s, uint32_t offset, unsigned size, uint32_t *at)
{
	*at = offset - s->flash_at;
	return firmware_flash && offset >= s->flash_at && size <= s->flash_bytes && *at <= s->flash_bytes - size;
}

static uint64_t read_flash(const struct firmware_state *s, uint32_t offset, unsigned size)
{
	uint64_t value = 0;
	uint32_t at;

	if (!find_flash(s, offset, size, &at))
		return UINT64_MAX;
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)pflash_read(&s->flash, firmware_flash, at + i) << 8 * i;
	return value;
}

/* A byte wide, as its driver uses it: of a wider access the first byte. */
static void write_flash(struct firmware_state *s, uint32_t offset, uint64_t data)
{
	uint32_t at;

	if (find_flash(s, offset, 1, &at))
		s->changed = pflash_write(&s->flash, firmware_flash, s->flash_bytes, at, (uint8_t)data);
}

static uint64_t firmware_read(void *state, unsigned range, uint32_t offset, unsigned size, uint64_t now_ns)
{
	struct firmware_state *s = state;
	uint64_t value = UINT64_MAX;

	(void)now_ns;
	switch ((enum firmware_range)range) {
	case RANGE_FW_CFG:
		value = 0;
		for (unsigned i = 0; i < size && i < 8; i++)
			value |= (uint64_t)read_fw_cfg(&s->fw_cfg, offset + i) << 8 * i;
		break;
	case RANGE_BRIDGE:
		return pci_function_read(&s->bridge, offset, size);
	case RANGE_LPC:
		return pci_function_read(&s->lpc, offset, size);
	case RANGE_FLASH:
		return read_flash(s, offset, size);
	case RANGE_NO_DEBUG:
	case RANGES:
		break;
	}
	return value;
}

/* The selector takes words; what is written to the data register is ignored. */
static void firmware_write(void *state, unsigned range, uint32_t offset, uint64_t data, unsigned size, uint64_t now_ns)
{
	struct firmware_state *s = state;

	(void)now_ns;
	switch ((enum firmware_range)range) {
	case RANGE_FW_CFG:
		if (offset == 0 && size == 2)
			fw_cfg_select(&s->fw_cfg, (uint16_t)data);
		break;
	case RANGE_BRIDGE:
		q35_bridge_write(&s->bridge, offset, data, size);
		break;
	case RANGE_LPC:
		q35_lpc_write(&s->lpc, offset, data, size);
		break;
	case RANGE_FLASH:
		write_flash(s, offset, data);
		break;
	case RANGE_NO_DEBUG:
	case RANGES:
		break;
	}
}

/* A description that does not fit is one without the file that was too long: that room is enough, the tests see to. */
static void firmware_reset(void *state, const struct model_config *config, uint64_t now_ns)
{
	struct firmware_state *s = state;

	(void)now_ns;
	memset(s, 0, sizeof(*s));
	fw_cfg_reset(&s->fw_cfg, config->ram_low + config->ram_high, config->vcpus);
	firmware_describe(&s->fw_cfg, config);
	q35_bridge_reset(&s->bridge);
	q35_lpc_reset(&s->lpc);
	pflash_reset(&s->flash);
	s->flash_bytes = (uint32_t)config->flash;
	s->flash_at = (uint32_t)(LAYOUT_FLASH_BYTES - config->rom - config->flash);
}

/* Where there is flash, it ends before the image. */
static bool flash_is_possible(const struct firmware_state *s)
{
	const uint32_t most = LAYOUT_FLASH_BYTES;
	const bool fits = !s->flash_bytes ||
			  (s->flash_bytes % PFLASH_BLOCK == 0 && s->flash_bytes <= most && s->flash_at <= most - s->flash_bytes);

	return fits && s->changed.bytes <= s->flash_bytes && s->changed.at <= s->flash_bytes - s->changed.bytes &&
	       pflash_is_possible(&s->flash);
}

static uint64_t firmware_advance(void *state, uint64_t now_ns)
{
	(void)state;
	(void)now_ns;
	return UINT64_MAX;
}

static void firmware_get_lines(const void *state, uint32_t words[MODEL_LINES])
{
	(void)state;
	(void)words;
}

static unsigned firmware_get_shadow(const void *state, struct shadow_value out[MODEL_MAX_SHADOW])
{
	(void)state;
	(void)out;
	return 0;
}

static int firmware_validate(const void *state, const char **field)
{
	const struct firmware_state *s = state;

	*field = fw_cfg_check(&s->fw_cfg);
	if (!*field && !q35_bridge_is_possible(&s->bridge))
		*field = "bridge";
	if (!*field && !q35_lpc_is_possible(&s->lpc))
		*field = "lpc";
	if (!*field && !flash_is_possible(s))
		*field = "flash";
	return *field ? -EINVAL : 0;
}

const struct device_model firmware_model = {
	.name = "firmware",
	.version = 2,
	.state_size = sizeof(struct firmware_state),
	.ranges = ranges,
	.range_count = RANGES,
	.lines = FIRMWARED_LINES,
	.reset = firmware_reset,
	.read = firmware_read,
	.write = firmware_write,
	.advance = firmware_advance,
	.get_lines = firmware_get_lines,
	.get_shadow = firmware_get_shadow,
	.validate = firmware_validate,
};
