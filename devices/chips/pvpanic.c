/* SPDX-License-Identifier: MIT */
/* pvpanic: stateless. */
#include "pvpanic.h"

/* Bit 0 of both: the guest has panicked. It goes on behind that, with its own idea of what comes next. */
enum { PANICKED = 1 << 0 };

const struct reg_desc pvpanic_reg = {
	.name = "PVPANIC",
	.offset = 0,
	.size = 1,
	.readable = true,
	.writable = true,
	.reset = PANICKED,
	.post = REG_SYNC,
	.shadow = REG_SHADOW_VALUE,
};

uint8_t pvpanic_read(void)
{
	return PANICKED;
}

bool pvpanic_write(uint8_t value)
{
	return value & PANICKED;
}
