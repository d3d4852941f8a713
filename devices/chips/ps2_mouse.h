/* SPDX-License-Identifier: MIT */
/*
 * A mouse (PS/2 Hardware Interface Technical Reference, "Mouse"), and what Microsoft's IntelliMouse and IntelliMouse Explorer have beside:
 * a wheel, and two buttons more, once the system has knocked for them by a sequence of sample rates.
 * The sample rate is remembered and told; a report is not kept back for it.
 */
#ifndef BULKHEAD_DEVICES_CHIPS_PS2_MOUSE_H
#define BULKHEAD_DEVICES_CHIPS_PS2_MOUSE_H

#include "ps2_queue.h"

enum {
	PS2_MOUSE_LEFT = 1 << 0,
	PS2_MOUSE_RIGHT = 1 << 1,
	PS2_MOUSE_MIDDLE = 1 << 2,
	PS2_MOUSE_FOURTH = 1 << 3,
	PS2_MOUSE_FIFTH = 1 << 4,
	PS2_MOUSE_BUTTONS = 31,
	PS2_MOUSE_STEP = 255, /* of a report: at most so far; the wheel PS2_MOUSE_NOTCHES */
	PS2_MOUSE_NOTCHES = 7,
};

struct ps2_mouse {
	struct ps2_queue answers; /* to commands: they come before reports */
	struct ps2_queue reports;
	int16_t dx, dy, dz; /* moved since the last report; up to the right, and the wheel towards the user, is positive */
	uint8_t command;    /* that waits for its second byte, or 0 */
	uint8_t id;	    /* 0, 3: it has a wheel, 4: and five buttons */
	uint8_t rate, resolution, knock[2]; /* knock: the two rates before */
	uint8_t scaling, remote, wrap, reporting, changed; /* 0 or 1 each; changed: a report is due */
	uint8_t overflow; /* bit 0: of dx, bit 1: of dy */
	uint8_t buttons;
	uint8_t last; /* byte sent */
	uint8_t reserved[2];
};

void ps2_mouse_reset(struct ps2_mouse *m);
void ps2_mouse_command(struct ps2_mouse *m, uint8_t byte);
/* The next byte for the system, or -1. */
int ps2_mouse_take(struct ps2_mouse *m);
/* Is there room for a report? If not, movement adds up until there is, and a counter that overflows says so. */
bool ps2_mouse_has_room(const struct ps2_mouse *m);
/* It has moved, or its buttons are these now. */
void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, int dz, uint8_t buttons);
/* NULL, or the field that cannot be. */
const char *ps2_mouse_check(const struct ps2_mouse *m);

#endif
