/* SPDX-License-Identifier: MIT */
/*
 * Control sequences in a stream of bytes for a terminal, whatever pieces they come in: ECMA-48 (5.4, 5.6), with the strings
 * that BEL may end, as xterm's ctlseqs.txt has it. C1 controls are recognised as ESC and a letter, as one byte 80h to 9Fh, and as
 * that character in UTF-8 (C2h 80h to C2h 9Fh).
 */
#ifndef BULKHEAD_VMM_ESCAPE_H
#define BULKHEAD_VMM_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ESCAPE_MAX = 8192 }; /* of a longer one the rest is not kept */

enum escape_state {
	ESCAPE_GROUND,
	ESCAPE_ESC,	/* ESC, and intermediates */
	ESCAPE_C1,	/* C2h: a character of UTF-8, or a control */
	ESCAPE_CSI,
	ESCAPE_STRING,	/* OSC, DCS, APC, PM or SOS, until ST */
	ESCAPE_STRING_ESC, /* it may be ST */
	ESCAPE_STRING_C1,
};

struct escape {
	enum escape_state state;
	uint8_t kind;	/* of a complete one: '[' CSI, ']' OSC, 'P' DCS, '_' APC, '^' PM, 'X' SOS; 0: ESC and what stands in `bytes` */
	unsigned utf8;	/* bytes of a character that are still to come */
	size_t len, body; /* of `bytes`; where parameters or the string begin */
	bool too_long;
	uint8_t bytes[ESCAPE_MAX];
};

enum escape_verdict {
	ESCAPE_TEXT, /* the byte is for the screen, or a C0 control, which is executed at once even within a sequence */
	ESCAPE_HELD, /* a sequence is not complete; what it had begun with may have been given up */
	ESCAPE_DONE, /* it is, and lies in `bytes`, this byte included */
};

enum escape_verdict escape_feed(struct escape *e, uint8_t byte);

/* Is a sequence under way? */
static inline bool escape_is_open(const struct escape *e)
{
	return e->state != ESCAPE_GROUND;
}

#endif
