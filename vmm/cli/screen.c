/* SPDX-License-Identifier: MIT */
/* From a guest to a terminal: screen.h. What asks a terminal is in xterm's ctlseqs.txt, kitty's and iTerm2's documents. */
#include "screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENQ = 0x05 };

/* A control sequence in its parts: "CSI ? 1 ; 2 $ p" has the prefix '?', the parameters "1;2", the intermediate '$', the final 'p'. */
struct csi {
	char prefix, intermediate, final;
	char params[64];
};

static struct csi take_apart(const struct escape *e)
{
	struct csi c = { .final = (char)e->bytes[e->len - 1] };
	size_t at = e->body, n = 0;

	if (e->bytes[at] >= '<' && e->bytes[at] <= '?')
		c.prefix = (char)e->bytes[at++];
	for (; at < e->len - 1; at++) {
		if (e->bytes[at] >= 0x20 && e->bytes[at] <= 0x2f)
			c.intermediate = (char)e->bytes[at];
		else if (n < sizeof(c.params) - 1)
			c.params[n++] = (char)e->bytes[at];
	}
	return c;
}

static bool has_param(const char *params, unsigned wanted)
{
	for (const char *p = params; *p; p += strcspn(p, ";:"), p += *p != 0)
		if ((unsigned)strtoul(p, NULL, 10) == wanted)
			return true;
	return false;
}

/* Reports of window state, position, size, title: "CSI Ps t" (XTWINOPS) with 11 and 13 to 21. */
static bool is_window_question(const char *params)
{
	unsigned long op = strtoul(params, NULL, 10);

	return op == 11 || (op >= 13 && op <= 21);
}

/* Each is a question whatever its parameters are. Prefix, intermediate, final; '*' stands for any. */
static const struct {
	char prefix, intermediate, final;
} questions[] = {
	{ '*', 0, 'c' },    /* DA1, DA2, DA3 */
	{ 0, 0, 'n' },	    /* DSR, CPR */
	{ '?', 0, 'n' },    /* DECDSR; with '>' it is a mode of the keyboard */
	{ 0, 0, 'x' },	    /* DECREQTPARM */
	{ 0, '$', 'p' },    /* DECRQM */
	{ '?', '$', 'p' },  /* DECRQM */
	{ '>', 0, 'q' },    /* XTVERSION */
	{ 0, '$', 'u' },    /* DECRQTSR */
	{ 0, '&', 'u' },    /* DECRQUPSS */
	{ 0, '$', 'w' },    /* DECRQPSR */
	{ 0, '*', 'y' },    /* DECRQCRA */
	{ 0, '\'', '|' },   /* DECRQLP */
	{ 0, '"', 'v' },    /* DECRQDE */
	{ 0, '#', '|' },    /* XTREPORTSGR */
	{ 0, '#', 'R' },    /* XTREPORTCOLORS */
	{ '?', 0, 'S' },    /* XTSMGRAPHICS */
	{ '?', 0, 'm' },    /* XTQMODKEYS */
	{ '?', 0, 'u' },    /* keyboard protocol of kitty's: which flags */
	{ '?', 0, 'y' },    /* DECTST and kin */
};

static bool is_csi_question(const struct escape *e)
{
	const struct csi c = take_apart(e);

	for (unsigned i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		if ((questions[i].prefix == '*' || questions[i].prefix == c.prefix) &&
		    questions[i].intermediate == c.intermediate && questions[i].final == c.final)
			return true;
	if (c.prefix == '?' && c.final == 'h' && has_param(c.params, 2048))
		return true; /* the size is reported at once, and whenever it changes */
	return !c.prefix && !c.intermediate && c.final == 't' && is_window_question(c.params);
}

static bool begins_with(const struct escape *e, const char *text)
{
	return e->len - e->body >= strlen(text) && !memcmp(e->bytes + e->body, text, strlen(text));
}

/* Behind a field of an OSC: another one, or its end by BEL or ST. */
static bool ends_field(uint8_t byte)
{
	return byte == ';' || byte == ':' || byte == 0x07 || byte == 0x1b || byte == 0x9c || byte == 0xc2;
}

/* A field that is "?", or ends so: colours, fonts, selection, notifications. */
static bool is_osc_question(const struct escape *e)
{
	static const char *const named[] = { "60", "61", "1337;Report", "1337;Capabilities", "1337;RequestUpload" };

	for (unsigned i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		if (begins_with(e, named[i]))
			return true;
	for (size_t at = e->body; at + 1 < e->len; at++)
		if (e->bytes[at] == '?' && ends_field(e->bytes[at + 1]))
			return true;
	return false;
}

/* DECRQSS, XTGETTCAP, XTGETXRES; and what tmux passes on as it is. Pictures (sixel, "q" alone) and DECUDK are none. */
static bool is_dcs_question(const struct escape *e)
{
	return begins_with(e, "$q") || begins_with(e, "+q") || begins_with(e, "+Q") || begins_with(e, "tmux;");
}

/* Of one that is too long only the beginning is here: it is left out as well. */
bool screen_is_question(const struct escape *e)
{
	if (e->too_long)
		return true;
	switch (e->kind) {
	case '[':
		return is_csi_question(e);
	case ']':
		return is_osc_question(e);
	case 'P':
		return is_dcs_question(e);
	case '_':
	case '^':
	case 'X':
		return true; /* kitty's pictures are answered; nobody prints any with the others */
	default:
		/* DECID, as ESC Z and as a C1 control; ST by itself, which is left of what tmux passes on */
		return (e->len == 2 && e->bytes[0] == 0x1b && (e->bytes[1] == 'Z' || e->bytes[1] == '\\')) ||
		       (e->len == 1 && e->bytes[0] == 0x9a) || (e->len == 2 && e->bytes[0] == 0xc2 && e->bytes[1] == 0x9a);
	}
}

/* ---- what the guest has switched on ---------------------------------------------------------------------------- */

static bool is_alternate(const char *params)
{
	return has_param(params, 47) || has_param(params, 1047) || has_param(params, 1049);
}

static void note(struct screen *s)
{
	const struct csi c = s->escape.kind == '[' ? take_apart(&s->escape) : (struct csi){ .final = 0 };

	if (!s->escape.kind && s->escape.len == 2 && s->escape.bytes[0] == 0x1b && s->escape.bytes[1] == 'c')
		s->alternate = s->has_region = s->has_keyboard = s->has_keys = false; /* RIS */
	s->has_style = s->has_style || (c.intermediate == ' ' && c.final == 'q');
	if (c.intermediate)
		return;
	if (c.prefix == '?' && (c.final == 'h' || c.final == 'l') && is_alternate(c.params))
		s->alternate = c.final == 'h';
	if (!c.prefix && c.final == 'r')
		s->has_region = c.params[0] != 0;
	if (c.final == 'u' && (c.prefix == '>' || c.prefix == '='))
		s->has_keyboard = true;
	if (c.final == 'm' && c.prefix == '>')
		s->has_keys = true;
}

void screen_begin(struct screen *s, uint64_t history)
{
	memset(s, 0, sizeof(*s));
	s->history = history;
}

static size_t put(char *out, const void *bytes, size_t len)
{
	memcpy(out, bytes, len);
	return len;
}

/* A sequence that history began, and that goes on live, is judged as history: what it began with was kept back. */
size_t screen_pass(struct screen *s, const char *in, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		bool replayed = s->history > 0 || s->replays;
		enum escape_verdict v = escape_feed(&s->escape, (uint8_t)in[i]);

		s->history -= s->history > 0;
		s->replays = replayed && v == ESCAPE_HELD;
		if (v == ESCAPE_DONE)
			note(s);
		if (!replayed || (v == ESCAPE_TEXT && in[i] != ENQ))
			out[n++] = in[i];
		else if (v == ESCAPE_DONE && !screen_is_question(&s->escape))
			n += put(out + n, s->escape.bytes, s->escape.len);
		else
			s->asked_for += v != ESCAPE_HELD;
	}
	return n;
}

/*
 * DECRC brings the cursor back from where DECSTBM moves it. Origin mode, attributes and character sets are put right behind it: it
 * restores those of the moment, too.
 */
size_t screen_restore(const struct screen *s, char out[SCREEN_RESTORE_MAX])
{
	size_t n = 0;
#define PUT(text) n += put(out + n, text, sizeof(text) - 1)
	if (escape_is_open(&s->escape))
		PUT("\030"); /* CAN ends a sequence that is not complete */
	PUT("\033[?2026l\033[?1000l\033[?1002l\033[?1003l\033[?1004l\033[?1005l\033[?1006l\033[?1015l\033[?1016l\033[?2004l"
	    "\033[?2031l\033[?2048l");
	if (s->has_keyboard)
		PUT("\033[<99u\033[=0u");
	if (s->has_keys)
		PUT("\033[>4m");
	if (s->has_style)
		PUT("\033[0 q");
	if (s->has_region)
		PUT("\0337\033[r\0338");
	if (s->alternate)
		PUT("\033[?1049l");
	PUT("\033[4l\033[?1l\033>\033[?7h\033[?25h\033(B\017\033[0m");
#undef PUT
	return n;
}
