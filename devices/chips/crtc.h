/* SPDX-License-Identifier: MIT */
/*
 * The CRT controller's index and data port (3D4h, 3D5h) of a display adapter that is not there. Programs that find the
 * cursor by them would go wild over all-ones; here registers keep what is written to them, from 0, and show nothing.
 */
#ifndef BULKHEAD_DEVICES_CHIPS_CRTC_H
#define BULKHEAD_DEVICES_CHIPS_CRTC_H

#include "proto/reg.h"

enum { CRTC_BASE = 0x3d4, CRTC_REG_COUNT = 2, CRTC_INDEX_MASK = 0x1f, CRTC_REGISTERS = 0x19 };

struct crtc {
	uint8_t absent; /* 0, or 1: nobody answers */
	uint8_t index;
	uint8_t registers[CRTC_REGISTERS]; /* 00h to 18h, as on a VGA */
};

extern const struct reg_desc crtc_regs[CRTC_REG_COUNT];

void crtc_reset(struct crtc *c, bool absent);
/* Offset 0 the index, 1 the register that it selects; of indices without a register 0. */
uint8_t crtc_read(const struct crtc *c, unsigned offset);
void crtc_write(struct crtc *c, unsigned offset, uint8_t value);
const char *crtc_check(const struct crtc *c);

#endif
