/* SPDX-License-Identifier: MIT */
/*
 * What a guest prints, on its way to the user's terminal: pure, no I/O.
 *
 * History that is replayed holds questions to the terminal (where is the cursor, what are you, which colours have you). It
 * would answer, and the answers would be typed into the guest, which asked long ago. So they are left out of history; live, a
 * question passes, and its answer too: that is how programs in the guest learn what terminal they have.
 *
 * And what the guest has switched on is noted, so that the terminal can be left whole.
 */
#ifndef BULKHEAD_VMM_SCREEN_H
#define BULKHEAD_VMM_SCREEN_H

#include "escape.h"

enum { SCREEN_RESTORE_MAX = 512 };

struct screen {
	struct escape escape;
	uint64_t history; /* bytes of it that are still to come */
	bool replays;	  /* a sequence that history began is not complete */
	bool alternate, has_region, has_keyboard, has_keys, has_style;
	unsigned asked_for; /* questions that were left out */
};

/* `history` of the bytes to come are replayed. */
void screen_begin(struct screen *s, uint64_t history);

/* What of `len` bytes goes to the terminal, into `out`, which has room for len + ESCAPE_MAX. Returns how many that are. */
size_t screen_pass(struct screen *s, const char *in, size_t len, char *out);

/*
 * What makes the terminal whole again: the main screen, the whole of it to scroll in, a cursor, colours, characters and keys as they
 * were, no mouse, no bracketed paste. Only what is safe is sent unasked: leaving an alternate screen that nobody entered would move
 * the cursor.
 */
size_t screen_restore(const struct screen *s, char out[SCREEN_RESTORE_MAX]);

/* Does a terminal answer to this sequence? For tests. */
bool screen_is_question(const struct escape *e);

#endif
