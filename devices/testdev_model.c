/* SPDX-License-Identifier: MIT */
/* The test device's machine: see testdev_model.h. */
#include "testdev_model.h"

#include <errno.h>
#include <string.h>

#include "proto/kind.h"

static const struct reg_desc latch_reg = {
	.name = "TEST_LATCH", .size = 4, .readable = true, .writable = true, .write_mask = UINT32_MAX,
};
/* QEMU drops its host's mapping of the page that is named here; no guest can see that, and here is none to drop. */
static const struct reg_desc flush_reg = { .name = "TEST_FLUSH", .size = 4, .writable = true, .post = REG_DROPPED };
static const struct reg_desc memory_regs[] = {
	{ .name = "TEST_ADDRESS", .offset = 0, .size = 8, .readable = true, .writable = true, .write_mask = UINT64_MAX },
	{ .name = "TEST_DATA", .offset = 8, .size = 8, .readable = true, .writable = true, .write_mask = UINT64_MAX },
};
static const struct reg_desc fw_cfg_regs[] = {
	{ .name = "FW_CFG_SELECTOR", .offset = 0, .size = 2, .writable = true },
	{ .name = "FW_CFG_DATA", .offset = 1, .size = 1, .readable = true },
};

enum testdev_range { TESTD_RANGES(RANGE_ID) RANGES };
static const struct model_range ranges[RANGES] = { TESTD_RANGES(RANGE_ROW) };

/* ---- fw_cfg ---------------------------------------------------------------------------------------------------- */

enum { KEY_SIGNATURE = 0x00, KEY_ID = 0x01, KEY_RAM_SIZE = 0x03, KEY_NB_CPUS = 0x05, KEY_MAX_CPUS = 0x0f };
enum { KEY_WRITE = 1 << 14, ID_TRADITIONAL = 1 << 0, FW_CFG_DATA = 1 };

static unsigned put_number(uint8_t out[FW_CFG_ITEM_MAX], uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		out[i] = (uint8_t)(value >> 8 * i);
	return bytes;
}

/* Its bytes; returns how many: 0 if there is no such item. */
static unsigned get_item(const struct testdev_state *s, uint8_t out[FW_CFG_ITEM_MAX])
{
	switch (s->fw_cfg_key & ~KEY_WRITE) {
	case KEY_SIGNATURE:
		memcpy(out, "QEMU", 4);
		return 4;
	case KEY_ID:
		return put_number(out, ID_TRADITIONAL, 4);
	case KEY_RAM_SIZE:
		return put_number(out, s->ram_bytes, 8);
	case KEY_NB_CPUS:
	case KEY_MAX_CPUS:
		return put_number(out, s->vcpus, 2);
	}
	return 0;
}

/* Behind the end of an item reads are 0. */
static uint8_t read_fw_cfg(struct testdev_state *s)
{
	uint8_t item[FW_CFG_ITEM_MAX];
	unsigned len = get_item(s, item);

	return s->fw_cfg_at < len ? item[s->fw_cfg_at++] : 0;
}

/* The selector takes words; what is written to the data register is ignored. */
static void write_fw_cfg(struct testdev_state *s, uint32_t offset, uint64_t data, unsigned size)
{
	if (offset != 0 || size != 2)
		return;
	s->fw_cfg_key = (uint16_t)data;
	s->fw_cfg_at = 0;
}

/* ---- reads and writes ------------------------------------------------------------------------------------------ */

/* A byte of a register of any width. */
static uint8_t get_byte(uint64_t value, uint32_t offset)
{
	return (uint8_t)(value >> 8 * (offset & 7));
}

static uint64_t set_byte(uint64_t value, uint32_t offset, uint8_t byte)
{
	unsigned shift = 8 * (offset & 7);

	return (value & ~(0xffull << shift)) | (uint64_t)byte << shift;
}

static uint8_t read_byte(struct testdev_state *s, enum testdev_range range, uint32_t offset)
{
	if (offset >= ranges[range].len)
		return 0xff;
	switch (range) {
	case RANGE_LATCH:
	case RANGE_LATCH_0:
		return get_byte(s->latch, offset);
	case RANGE_LATCH_2:
		return get_byte(s->latch, offset + 2);
	case RANGE_WINDOW:
		return s->window[offset];
	case RANGE_MEMORY:
		return get_byte(offset < 8 ? s->address : s->data, offset);
	case RANGE_FW_CFG:
		return offset == FW_CFG_DATA ? read_fw_cfg(s) : 0xff;
	case RANGE_FLUSH:
	case RANGE_WIRES:
	case RANGES:
		break;
	}
	return 0xff;
}

static void write_byte(struct testdev_state *s, enum testdev_range range, uint32_t offset, uint8_t value)
{
	if (offset >= ranges[range].len)
		return;
	switch (range) {
	case RANGE_LATCH:
	case RANGE_LATCH_0:
		s->latch = (uint32_t)set_byte(s->latch, offset, value);
		break;
	case RANGE_LATCH_2:
		s->latch = (uint32_t)set_byte(s->latch, offset + 2, value);
		break;
	case RANGE_WIRES: /* as many ports as lines */
		if (TESTD_LINES >> offset & 1)
			s->lines[offset] = line_set(s->lines[offset], value != 0);
		break;
	case RANGE_WINDOW:
		s->window[offset] = value;
		break;
	case RANGE_MEMORY:
		if (offset < 8)
			s->address = set_byte(s->address, offset, value);
		else
			s->data = set_byte(s->data, offset, value);
		break;
	case RANGE_FLUSH:
	case RANGE_FW_CFG:
	case RANGES:
		break;
	}
}

static uint64_t testdev_read(void *state, unsigned range, uint32_t offset, unsigned size, uint64_t now_ns)
{
	struct testdev_state *s = state;
	uint64_t value = 0;

	(void)now_ns;
	if (range >= RANGES)
		return UINT64_MAX;
	for (unsigned i = 0; i < size && i < 8; i++)
		value |= (uint64_t)read_byte(s, range, offset + i) << 8 * i;
	return value;
}

static void testdev_write(void *state, unsigned range, uint32_t offset, uint64_t data, unsigned size, uint64_t now_ns)
{
	struct testdev_state *s = state;

	(void)now_ns;
	if (range >= RANGES)
		return;
	if (range == RANGE_FW_CFG)
		write_fw_cfg(s, offset, data, size);
	for (unsigned i = 0; i < size && i < 8; i++)
		write_byte(s, range, offset + i, (uint8_t)(data >> 8 * i));
	if (range == RANGE_MEMORY)
		s->wish = offset < 8 ? TESTDEV_LOAD : TESTDEV_STORE;
}

enum testdev_memory testdev_model_take_wish(void *state, uint64_t *address, uint64_t *data)
{
	struct testdev_state *s = state;
	enum testdev_memory wish = (enum testdev_memory)s->wish;

	*address = s->address;
	*data = s->data;
	s->wish = TESTDEV_NOTHING;
	return wish;
}

void testdev_model_load(void *state, uint64_t data)
{
	struct testdev_state *s = state;

	s->data = data;
}

/* ---- the rest of a model --------------------------------------------------------------------------------------- */

static void testdev_reset(void *state, const struct model_config *config, uint64_t now_ns)
{
	struct testdev_state *s = state;

	(void)now_ns;
	memset(s, 0, sizeof(*s));
	s->ram_bytes = config->ram_low + config->ram_high;
	s->vcpus = config->vcpus;
}

static uint64_t testdev_advance(void *state, uint64_t now_ns)
{
	(void)state;
	(void)now_ns;
	return UINT64_MAX;
}

static void testdev_get_lines(const void *state, uint32_t words[MODEL_LINES])
{
	const struct testdev_state *s = state;

	for (unsigned i = 0; i < MODEL_LINES; i++)
		if (TESTD_LINES >> i & 1)
			words[i] = s->lines[i];
}

static unsigned testdev_get_shadow(const void *state, struct shadow_value out[MODEL_MAX_SHADOW])
{
	(void)state;
	(void)out;
	return 0;
}

static int testdev_validate(const void *state, const char **field)
{
	const struct testdev_state *s = state;

	*field = "testdev.fw_cfg_at";
	if (s->fw_cfg_at > FW_CFG_ITEM_MAX)
		return -EINVAL;
	*field = "testdev.wish";
	if (s->wish > TESTDEV_STORE)
		return -EINVAL;
	*field = "testdev.lines";
	for (unsigned i = 0; i < MODEL_LINES; i++)
		if (!(TESTD_LINES >> i & 1) && s->lines[i] != 0)
			return -EINVAL;
	*field = NULL;
	return 0;
}

const struct device_model testdev_model = {
	.name = "testdev",
	.version = 1,
	.state_size = sizeof(struct testdev_state),
	.ranges = ranges,
	.range_count = RANGES,
	.lines = TESTD_LINES,
	.reset = testdev_reset,
	.read = testdev_read,
	.write = testdev_write,
	.advance = testdev_advance,
	.get_lines = testdev_get_lines,
	.get_shadow = testdev_get_shadow,
	.validate = testdev_validate,
};
