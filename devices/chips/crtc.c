/* SPDX-License-Identifier: MIT */
/* Index and data of a CRT controller: see crtc.h. */
#include "crtc.h"

#include <string.h>

const struct reg_desc crtc_regs[CRTC_REG_COUNT] = {
	{
		.name = "CRTC_INDEX",
		.offset = 0,
		.size = 1,
		.readable = true,
		.writable = true,
		.write_mask = CRTC_INDEX_MASK,
		.post = REG_POSTED,
		.class = CLASS_INDEX,
	},
	{
		.name = "CRTC_DATA",
		.offset = 1,
		.size = 1,
		.readable = true,
		.writable = true,
		.write_mask = 0xff,
		.post = REG_POSTED,
		.class = CLASS_CONFIG,
	},
};

void crtc_reset(struct crtc *c, bool absent)
{
	memset(c, 0, sizeof(*c));
	c->absent = absent;
}

uint8_t crtc_read(const struct crtc *c, unsigned offset)
{
	if (c->absent)
		return 0xff;
	if (offset == 0)
		return c->index;
	return c->index < CRTC_REGISTERS ? c->registers[c->index] : 0;
}

void crtc_write(struct crtc *c, unsigned offset, uint8_t value)
{
	if (c->absent)
		return;
	if (offset == 0)
		c->index = value & CRTC_INDEX_MASK;
	else if (c->index < CRTC_REGISTERS)
		c->registers[c->index] = value;
}

const char *crtc_check(const struct crtc *c)
{
	if (c->absent > 1)
		return "crtc.absent";
	return c->index & ~CRTC_INDEX_MASK ? "crtc.index" : NULL;
}
