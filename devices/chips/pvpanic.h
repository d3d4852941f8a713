/* SPDX-License-Identifier: MIT */
/* pvpanic: a guest's kernel says that it cannot go on (QEMU, docs/specs/pvpanic.rst). */
#ifndef BULKHEAD_DEVICES_CHIPS_PVPANIC_H
#define BULKHEAD_DEVICES_CHIPS_PVPANIC_H

#include "proto/reg.h"

#include <stdbool.h>

extern const struct reg_desc pvpanic_reg;

/* Which events the guest may tell, a bit each. */
uint8_t pvpanic_read(void);
/* Is it the one? Others, and what is to come, are nobody's business. */
bool pvpanic_write(uint8_t value);

#endif
