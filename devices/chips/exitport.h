/* SPDX-License-Identifier: MIT */
/* Exit ports: a guest ends the machine with an exit code. Beside them the port by which it says that it is ready. */
#ifndef BULKHEAD_DEVICES_CHIPS_EXITPORT_H
#define BULKHEAD_DEVICES_CHIPS_EXITPORT_H

#include "proto/reg.h"

enum { EXITPORT_LEN = 4 }; /* the two that take a value of up to four bytes */

extern const struct reg_desc exitport_regs[3]; /* byte, word, doubleword */
extern const struct reg_desc exitport_plain_reg;
extern const struct reg_desc ready_reg; /* what is written does not matter */

/* Process exit code for a value written to 501h or F4h, and to the plain port 01h. */
uint8_t exitport_code(uint64_t value);
uint8_t exitport_plain_code(uint64_t value);

#endif
