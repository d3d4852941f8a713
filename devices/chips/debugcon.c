/* SPDX-License-Identifier: MIT */
/* Debug console. The shell takes bytes after each access, so the buffer only has to hold one string
 * instruction's. */
#include "debugcon.h"

#define DEBUGCON_WRITE .offset = 0, .size = 1, .writable = true, .post = REG_POSTED, .class = CLASS_CONFIG

const struct reg_desc debugcon_reg = {
	.name = "DEBUGCON",
	DEBUGCON_WRITE,
	.readable = true,
	.reset = DEBUGCON_PRESENT,
	.shadow = REG_SHADOW_VALUE,
};
const struct reg_desc debugcon_tiny_reg = {.name = "DEBUGCON_TINY", DEBUGCON_WRITE};

void debugcon_reset(struct debugcon *d)
{
	*d = (struct debugcon){ 0 };
}

void debugcon_write(struct debugcon *d, uint8_t value)
{
	if (d->count == DEBUGCON_SIZE) {
		d->dropped++;
		return;
	}
	d->buf[(d->head + d->count++) % DEBUGCON_SIZE] = value;
}

size_t debugcon_take(struct debugcon *d, uint8_t *buf, size_t len)
{
	size_t n = 0;

	while (n < len && d->count) {
		buf[n++] = d->buf[d->head];
		d->head = (uint16_t)((d->head + 1) % DEBUGCON_SIZE);
		d->count--;
	}
	return n;
}

const char *debugcon_check(const struct debugcon *d)
{
	if (d->head >= DEBUGCON_SIZE)
		return "debugcon.head";
	if (d->count > DEBUGCON_SIZE)
		return "debugcon.count";
	return NULL;
}
