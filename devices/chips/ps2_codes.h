/* SPDX-License-Identifier: MIT */
/*
 * Scan codes (PS/2 Hardware Interface Technical Reference, "Scan Code Sets"). A key's number is that of Linux's evdev, which up to 88 is
 * its code in set 1; what the controller translates of set 2 gives set 1, so that one table and its inverse serve both.
 */
#ifndef BULKHEAD_DEVICES_CHIPS_PS2_CODES_H
#define BULKHEAD_DEVICES_CHIPS_PS2_CODES_H

#include <stdbool.h>
#include <stdint.h>

/* Keys that have a say in what others send. */
enum {
	PS2_KEY_LEFTCTRL = 29,
	PS2_KEY_LEFTSHIFT = 42,
	PS2_KEY_RIGHTSHIFT = 54,
	PS2_KEY_LEFTALT = 56,
	PS2_KEY_RIGHTCTRL = 97,
	PS2_KEY_SYSRQ = 99, /* Print Screen */
	PS2_KEY_RIGHTALT = 100,
	PS2_KEY_PAUSE = 119,
};

/* A key's make code in set 1, with 100h for the prefix E0h; 0: no such key. Not of Print Screen and Pause, whose codes are sequences. */
unsigned ps2_set1_code(unsigned key);
/* The byte that stands in set 2 for a byte of set 1 below 80h. */
uint8_t ps2_set2_of_set1(uint8_t code);
/* What the controller makes of a byte of set 2: the byte of set 1, or -1: it waits for the next one. *release is its memory: 0, or 80h. */
int ps2_translate(uint8_t *release, uint8_t byte);

#endif
