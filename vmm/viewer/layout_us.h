/* SPDX-License-Identifier: MIT */
/* The US layout: which key has a character. Pure. */
#ifndef BULKHEAD_VMM_LAYOUT_US_H
#define BULKHEAD_VMM_LAYOUT_US_H

#include <stdbool.h>
#include <stdint.h>

/* Its code in linux/input-event-codes.h, and whether it takes shift; 0: no key has it. */
uint16_t layout_us_key(char c, bool *shift);

#endif
