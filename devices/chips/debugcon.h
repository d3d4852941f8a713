/* SPDX-License-Identifier: MIT */
/* Debug console: bytes written to ports E9h, 402h and 10h. */
#ifndef BULKHEAD_DEVICES_CHIPS_DEBUGCON_H
#define BULKHEAD_DEVICES_CHIPS_DEBUGCON_H

#include "proto/reg.h"

enum { DEBUGCON_SIZE = 256, DEBUGCON_PRESENT = 0xe9 };

struct debugcon {
	uint32_t dropped; /* bytes that found the buffer full */
	uint16_t head, count;
	uint8_t buf[DEBUGCON_SIZE];
};

extern const struct reg_desc debugcon_reg;	/* reads back E9h, by which guests find it */
extern const struct reg_desc debugcon_tiny_reg; /* write-only */

void debugcon_reset(struct debugcon *d);
void debugcon_write(struct debugcon *d, uint8_t value);
/* Copies up to `len` of the oldest bytes and removes them. */
size_t debugcon_take(struct debugcon *d, uint8_t *buf, size_t len);
const char *debugcon_check(const struct debugcon *d);

#endif
