/* SPDX-License-Identifier: MIT */
/* The disk's back-end as a device without registers: see blk_model.h. */
#include "devices/blk_model.h"

static void blk_reset(void *state, const struct model_config *config, uint64_t now_ns)
{
	struct blk_state *s = state;

	(void)config;
	(void)now_ns;
	s->batches = 0;
}

static uint64_t blk_read(void *state, unsigned range, uint32_t offset, unsigned size, uint64_t now_ns)
{
	(void)state;
	(void)range;
	(void)offset;
	(void)size;
	(void)now_ns;
	return UINT64_MAX;
}

static void blk_write(void *state, unsigned range, uint32_t offset, uint64_t data, unsigned size, uint64_t now_ns)
{
	(void)state;
	(void)range;
	(void)offset;
	(void)data;
	(void)size;
	(void)now_ns;
}

static uint64_t blk_advance(void *state, uint64_t now_ns)
{
	(void)state;
	(void)now_ns;
	return UINT64_MAX;
}

static void blk_get_lines(const void *state, uint32_t words[MODEL_LINES])
{
	(void)state;
	(void)words;
}

/* Nothing is read often enough. */
static unsigned blk_get_shadow(const void *state, struct shadow_value out[MODEL_MAX_SHADOW])
{
	(void)state;
	(void)out;
	return 0;
}

static int blk_validate(const void *state, const char **field)
{
	(void)state;
	*field = NULL;
	return 0;
}

const struct device_model blk_model = {
	.name = "blk",
	.version = 1,
	.state_size = sizeof(struct blk_state),
	.ranges = NULL,
	.range_count = 0,
	.lines = BLKD_LINES,
	.reset = blk_reset,
	.read = blk_read,
	.write = blk_write,
	.advance = blk_advance,
	.get_lines = blk_get_lines,
	.get_shadow = blk_get_shadow,
	.validate = blk_validate,
};
