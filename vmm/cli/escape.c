/* SPDX-License-Identifier: MIT */
/* Control sequences: escape.h. */
#include "escape.h"

#include <string.h>

enum { BEL = 0x07, CAN = 0x18, SUB = 0x1a, ESC = 0x1b, DEL = 0x7f, C1_FIRST = 0x80, C1_LAST = 0x9f, UTF8_C1 = 0xc2 };
enum { C1_ST = 0x9c - 0x40 };

static void keep(struct escape *e, uint8_t byte)
{
	if (e->len < ESCAPE_MAX)
		e->bytes[e->len++] = byte;
	else
		e->too_long = true;
}

static enum escape_verdict begin(struct escape *e, enum escape_state state, uint8_t byte)
{
	e->state = state;
	e->len = e->body = 0;
	e->kind = 0;
	e->too_long = false;
	keep(e, byte);
	return ESCAPE_HELD;
}

static enum escape_verdict done(struct escape *e)
{
	e->state = ESCAPE_GROUND;
	return ESCAPE_DONE;
}

/* Behind ESC, or as a C1 control: what it opens. */
static enum escape_verdict open_by(struct escape *e, uint8_t letter)
{
	if (letter == '[')
		e->state = ESCAPE_CSI;
	else if (strchr("]P_^X", letter) && letter)
		e->state = ESCAPE_STRING;
	else
		return done(e);
	e->kind = letter;
	e->body = e->len;
	return ESCAPE_HELD;
}

static unsigned utf8_length(uint8_t byte)
{
	return byte >= 0xf0 && byte < 0xf8 ? 3 : byte >= 0xe0 && byte < 0xf0 ? 2 : byte >= 0xc3 && byte < 0xe0 ? 1 : 0;
}

static enum escape_verdict ground(struct escape *e, uint8_t byte)
{
	if (byte >= C1_FIRST && byte < 0xc0 && e->utf8) {
		e->utf8--;
		return ESCAPE_TEXT;
	}
	e->utf8 = utf8_length(byte);
	if (byte == ESC)
		return begin(e, ESCAPE_ESC, byte);
	if (byte == UTF8_C1)
		return begin(e, ESCAPE_C1, byte);
	if (byte < C1_FIRST || byte > C1_LAST)
		return ESCAPE_TEXT;
	begin(e, ESCAPE_ESC, byte);
	return open_by(e, byte - 0x40);
}

/* Not a control after all: then both bytes are a character, and the caller gets it as a complete sequence of no kind. */
static enum escape_verdict after_c2(struct escape *e, uint8_t byte)
{
	if (byte == ESC)
		return begin(e, ESCAPE_ESC, byte);
	keep(e, byte);
	return byte >= C1_FIRST && byte <= C1_LAST ? open_by(e, byte - 0x40) : done(e);
}

static enum escape_verdict in_esc(struct escape *e, uint8_t byte)
{
	keep(e, byte);
	if (byte >= 0x20 && byte <= 0x2f)
		return ESCAPE_HELD;
	return e->len == 2 ? open_by(e, byte) : done(e);
}

static enum escape_verdict in_csi(struct escape *e, uint8_t byte)
{
	keep(e, byte);
	return byte >= 0x40 && byte < DEL ? done(e) : ESCAPE_HELD;
}

static enum escape_verdict in_string(struct escape *e, uint8_t byte)
{
	enum escape_state before = e->state;

	if (before == ESCAPE_STRING_ESC && byte != '\\') {
		begin(e, ESCAPE_ESC, ESC); /* another sequence has cut it short */
		return byte == ESC ? ESCAPE_HELD : in_esc(e, byte);
	}
	keep(e, byte);
	e->state = ESCAPE_STRING;
	if (before == ESCAPE_STRING_ESC || (before == ESCAPE_STRING_C1 && byte == C1_ST + 0x40))
		return done(e);
	if (byte == BEL || (byte == C1_ST + 0x40 && !e->utf8))
		return done(e);
	e->utf8 = byte >= C1_FIRST && byte < 0xc0 ? e->utf8 - (e->utf8 > 0) : utf8_length(byte);
	if (byte == ESC)
		e->state = ESCAPE_STRING_ESC;
	else if (byte == UTF8_C1)
		e->state = ESCAPE_STRING_C1;
	return ESCAPE_HELD;
}

/* Controls that act at once where they stand; in a string they are part of it. */
static bool is_c0_within(const struct escape *e, uint8_t byte)
{
	return (e->state == ESCAPE_ESC || e->state == ESCAPE_CSI || e->state == ESCAPE_C1) && byte < 0x20;
}

enum escape_verdict escape_feed(struct escape *e, uint8_t byte)
{
	if (e->state != ESCAPE_GROUND && (byte == CAN || byte == SUB)) {
		e->state = ESCAPE_GROUND;
		return ESCAPE_TEXT;
	}
	if (e->state != ESCAPE_GROUND && byte == ESC && e->state != ESCAPE_STRING && e->state != ESCAPE_STRING_C1 &&
	    e->state != ESCAPE_STRING_ESC)
		return begin(e, ESCAPE_ESC, byte);
	if (is_c0_within(e, byte))
		return ESCAPE_TEXT;
	switch (e->state) {
	case ESCAPE_GROUND:
		return ground(e, byte);
	case ESCAPE_ESC:
		return in_esc(e, byte);
	case ESCAPE_C1:
		return after_c2(e, byte);
	case ESCAPE_CSI:
		return in_csi(e, byte);
	case ESCAPE_STRING:
	case ESCAPE_STRING_ESC:
	case ESCAPE_STRING_C1:
		return in_string(e, byte);
	}
	return ESCAPE_TEXT;
}
