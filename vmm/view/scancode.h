/* SPDX-License-Identifier: MIT */
/*
 * Keys by their place: SDL's scan codes, which are those of USB (HID Usage Tables, 10, keyboard page), and buttons of the mouse, into
 * codes of linux/input-event-codes.h. The guest's layout is the one that counts then, whatever the host's is. Pure.
 */
#ifndef BULKHEAD_VMM_SCANCODE_H
#define BULKHEAD_VMM_SCANCODE_H

#include <stdint.h>

/* 0: none. */
uint16_t scancode_key(unsigned usage);

#endif
