/* SPDX-License-Identifier: MIT */
/* The adapter's own character set: code page 437, the leftmost dot in bit 7. */
#ifndef BULKHEAD_DEVICES_CHIPS_VGA_FONT_H
#define BULKHEAD_DEVICES_CHIPS_VGA_FONT_H

#include <stdint.h>

enum { VGA_FONT_ROWS = 16 };
extern const uint8_t vga_font[256][VGA_FONT_ROWS];

#endif
