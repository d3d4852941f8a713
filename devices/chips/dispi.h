/* SPDX-License-Identifier: MIT */
/*
 * The Bochs VBE extensions ("VBE DISPI", vbe_display_api.txt of Bochs): an index and a data register, 16 bits each, by which a
 * linear framebuffer gets its size and depth. Version B0C5h; 32 bits a pixel, and 8 with the DAC's colours, are what there is.
 */
#ifndef BULKHEAD_DEVICES_CHIPS_DISPI_H
#define BULKHEAD_DEVICES_CHIPS_DISPI_H

#include "proto/reg.h"

enum { DISPI_BASE = 0x1ce, DISPI_PORTS = 3, DISPI_REG_COUNT = 2, DISPI_INDEX = 0, DISPI_DATA = 1 };

enum dispi_index {
	DISPI_ID,
	DISPI_XRES,
	DISPI_YRES,
	DISPI_BPP,
	DISPI_ENABLE,
	DISPI_BANK,
	DISPI_VIRT_WIDTH,
	DISPI_VIRT_HEIGHT,
	DISPI_X_OFFSET,
	DISPI_Y_OFFSET,
	DISPI_MEMORY, /* in units of 64 KiB */
	DISPI_REGISTERS
};
enum { DISPI_ENABLED = 1 << 0, DISPI_GETCAPS = 1 << 1, DISPI_LFB = 1 << 6, DISPI_NOCLEAR = 1 << 7 };
enum { DISPI_VERSION_MIN = 0xb0c0, DISPI_VERSION = 0xb0c5, DISPI_XRES_MAX = 2560, DISPI_YRES_MAX = 1600, DISPI_BPP_MAX = 32 };

struct dispi {
	uint16_t index;
	uint16_t registers[DISPI_REGISTERS];
};

extern const struct reg_desc dispi_regs[DISPI_REG_COUNT];

void dispi_reset(struct dispi *d);
uint16_t dispi_read(const struct dispi *d, unsigned index);
/* Values that cannot be are not taken. True: the framebuffer is to be cleared, as far as it is shown. */
bool dispi_write(struct dispi *d, unsigned index, uint16_t value);
const char *dispi_check(const struct dispi *d);

/* What is shown while it is enabled; all of it lies in the framebuffer. */
struct dispi_mode {
	uint32_t width, height, pitch; /* the latter in bytes */
	uint32_t start;
	uint32_t bytes; /* of a pixel: 1 or 4 */
};
bool dispi_mode(const struct dispi *d, struct dispi_mode *out);

#endif
