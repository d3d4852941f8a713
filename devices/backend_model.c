/* SPDX-License-Identifier: MIT */
/* A back-end as a device without registers: see backend_model.h. */
#include "devices/backend_model.h"

static void backend_reset(void *state, const struct model_config *config, uint64_t now_ns)
{
	struct backend_state *s = state;

	(void)config;
	(void)now_ns;
	s->batches = 0;
}

static uint64_t backend_read(void *state, unsigned range, uint32_t offset, unsigned size, uint64_t now_ns)
{
	(void)state;
	(void)range;
	(void)offset;
	(void)size;
	(void)now_ns;
	return UINT64_MAX;
}

static void backend_write(void *state, unsigned range, uint32_t offset, uint64_t data, unsigned size, uint64_t now_ns)
{
	(void)state;
	(void)range;
	(void)offset;
	(void)data;
	(void)size;
	(void)now_ns;
}

static uint64_t backend_advance(void *state, uint64_t now_ns)
{
	(void)state;
	(void)now_ns;
	return UINT64_MAX;
}

static void backend_get_lines(const void *state, uint32_t words[MODEL_LINES])
{
	(void)state;
	(void)words;
}

/* Nothing is read often enough. */
static unsigned backend_get_shadow(const void *state, struct shadow_value out[MODEL_MAX_SHADOW])
{
	(void)state;
	(void)out;
	return 0;
}

static int backend_validate(const void *state, const char **field)
{
	(void)state;
	*field = NULL;
	return 0;
}

const struct device_model backend_model = {
	.name = "backend",
	.version = 1,
	.state_size = sizeof(struct backend_state),
	.ranges = NULL,
	.range_count = 0,
	.lines = 0,
	.reset = backend_reset,
	.read = backend_read,
	.write = backend_write,
	.advance = backend_advance,
	.get_lines = backend_get_lines,
	.get_shadow = backend_get_shadow,
	.validate = backend_validate,
};
