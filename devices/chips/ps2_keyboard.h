/* SPDX-License-Identifier: MIT */
/*
 * A 101/102-key keyboard (PS/2 Hardware Interface Technical Reference, "Keyboard"): scan code sets 1 and 2, LEDs, typematic repeat.
 * Set 3 it has not, and says so. Time is in ns.
 */
#ifndef BULKHEAD_DEVICES_CHIPS_PS2_KEYBOARD_H
#define BULKHEAD_DEVICES_CHIPS_PS2_KEYBOARD_H

#include "ps2_queue.h"

enum { PS2_KEY_BYTES = 8 }; /* the longest sequence of a key */

struct ps2_keyboard {
	struct ps2_queue answers; /* to commands: they come before what is typed */
	struct ps2_queue typed;
	uint8_t command;   /* that waits for its second byte, or 0 */
	uint8_t set;	   /* 1 or 2 */
	uint8_t leds;	   /* bit 0 Scroll Lock, 1 Num Lock, 2 Caps Lock */
	uint8_t typematic; /* as F3h sets it */
	uint8_t scanning;  /* 0 or 1 */
	uint8_t last;	   /* byte sent, for FEh */
	uint8_t held;	   /* Shift, Ctrl and Alt, a bit each */
	uint8_t repeats;   /* the key that was pressed last and is down, or 0 */
	uint8_t reserved[4];
	uint64_t repeat_ns; /* when it is sent again; 0: its delay begins when time is told next */
};

void ps2_keyboard_reset(struct ps2_keyboard *k);
/* A byte from the system. */
void ps2_keyboard_command(struct ps2_keyboard *k, uint8_t byte);
/* The next byte for it, or -1. */
int ps2_keyboard_take(struct ps2_keyboard *k);
bool ps2_keyboard_has_byte(const struct ps2_keyboard *k);
/* Is there room for what any key may send? If not, a key is lost, and the overrun code in the buffer's last place says so. */
bool ps2_keyboard_has_room(const struct ps2_keyboard *k);
/* A key (Linux's number) goes down or up. What is no key of this keyboard is none. */
void ps2_keyboard_key(struct ps2_keyboard *k, unsigned key, bool down);
/* Time passes; if `idle`, a key that is held down is sent again when it is due: a repetition nobody has read is not followed by
 * another. Returns when it will be due (UINT64_MAX: never). */
uint64_t ps2_keyboard_advance(struct ps2_keyboard *k, uint64_t now_ns, bool idle);
/* NULL, or the field that cannot be. */
const char *ps2_keyboard_check(const struct ps2_keyboard *k);

#endif
