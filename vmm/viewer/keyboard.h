/* SPDX-License-Identifier: MIT */
/*
 * A keyboard that keysyms are typed on: which keys are down, and what the guest is told so that it comes to the same character,
 * whatever layout the viewer's keyboard has: the shift key is pressed, or let go, for the moment in which a character needs it so.
 */
#ifndef BULKHEAD_VMM_KEYBOARD_H
#define BULKHEAD_VMM_KEYBOARD_H

#include "link.h"

struct keyboard {
	bool down[SCREEN_CODE_MAX + 1];
};

void keyboard_keysym(struct keyboard *k, struct link *l, uint32_t keysym, bool down);
void keyboard_key(struct keyboard *k, struct link *l, uint16_t code, bool down);
/* The viewer is gone, or looks elsewhere: nothing stays pressed. */
void keyboard_release_all(struct keyboard *k, struct link *l);

#endif
