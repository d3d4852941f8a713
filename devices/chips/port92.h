/* SPDX-License-Identifier: MIT */
/* System control port A (92h) of a PS/2: alternate A20 gate and fast reset. */
#ifndef BULKHEAD_DEVICES_CHIPS_PORT92_H
#define BULKHEAD_DEVICES_CHIPS_PORT92_H

#include "proto/reg.h"

enum { PORT92 = 0x92 };

struct port92 {
	uint8_t value;
};

extern const struct reg_desc port92_reg;

void port92_reset(struct port92 *p);
uint8_t port92_read(const struct port92 *p);
/* true: the write asks for a reset. */
bool port92_write(struct port92 *p, uint8_t value);
const char *port92_check(const struct port92 *p);

#endif
