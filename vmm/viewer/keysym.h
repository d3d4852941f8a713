/* SPDX-License-Identifier: MIT */
/* X11's keysyms, as RFB sends them (RFC 6143, 7.5.4), into codes of linux/input-event-codes.h. Pure. */
#ifndef BULKHEAD_VMM_KEYSYM_H
#define BULKHEAD_VMM_KEYSYM_H

#include <stdbool.h>
#include <stdint.h>

/* Of a key that types a character: the one that the US layout has it on. */
struct keysym_key {
	uint16_t code; /* 0: none */
	bool is_character, shift; /* shift: that layout needs it for this character */
};

struct keysym_key keysym_find(uint32_t keysym);

#endif
