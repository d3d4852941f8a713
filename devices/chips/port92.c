/* SPDX-License-Identifier: MIT */
/*
 * Port 92h. Bit 1 reads back what was written, but address line 20 is never masked in this machine: nothing
 * has needed the wrap-around at 1 MiB since the 286, and every memory access would pay for it.
 */
#include "port92.h"

enum { FAST_RESET = 1 << 0, A20 = 1 << 1 };

const struct reg_desc port92_reg = {
	.name = "PORT92",
	.offset = 0,
	.size = 1,
	.readable = true,
	.writable = true,
	.reset = A20,
	.write_mask = FAST_RESET | A20,
	.post = REG_SYNC,
	.shadow = REG_SHADOW_VALUE,
};

void port92_reset(struct port92 *p)
{
	p->value = (uint8_t)port92_reg.reset;
}

uint8_t port92_read(const struct port92 *p)
{
	return p->value;
}

/* The change of bit 0 from 0 to 1 pulses reset. */
bool port92_write(struct port92 *p, uint8_t value)
{
	const bool go = (value & ~p->value) & FAST_RESET;

	p->value = value & (uint8_t)port92_reg.write_mask;
	return go;
}

const char *port92_check(const struct port92 *p)
{
	return p->value & ~port92_reg.write_mask ? "port92.value" : NULL;
}
