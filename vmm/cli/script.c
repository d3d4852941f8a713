/* SPDX-License-Identifier: MIT */
/* Typing and waiting by a script: script.h. */
#include "script.h"

#include <string.h>

void script_begin(struct script *s, const struct step_list *steps, uint64_t history, uint64_t patience_ns)
{
	memset(s, 0, sizeof(*s));
	s->steps = steps;
	s->history = history;
	s->patience_ns = patience_ns;
}

/* Who looks for something that far back has asked for too much: half of what there is goes. */
static void keep(struct script *s, char byte)
{
	if (s->len == SCRIPT_WINDOW) {
		memmove(s->window, s->window + SCRIPT_WINDOW / 2, SCRIPT_WINDOW / 2);
		s->len = SCRIPT_WINDOW / 2;
	}
	s->window[s->len++] = byte;
}

/* Of the history the text counts while nothing was sent; its control sequences are followed all the same. */
void script_hear(struct script *s, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool is_history = s->history > 0;

		s->history -= is_history;
		if (escape_feed(&s->escape, (uint8_t)bytes[i]) == ESCAPE_TEXT && bytes[i] && bytes[i] != '\r' &&
		    !(is_history && s->sent))
			keep(s, bytes[i]);
	}
}

static void consume(struct script *s, size_t len)
{
	memmove(s->window, s->window + len, s->len - len);
	s->len -= len;
}

static bool is_found(struct script *s, const char *text)
{
	regmatch_t where[1] = { { .rm_so = 0, .rm_eo = (regoff_t)s->len } };

	if (!s->has_regex)
		s->has_regex = regcomp(&s->regex, text, REG_EXTENDED | REG_NEWLINE) == 0;
	if (!s->has_regex || regexec(&s->regex, s->window, 1, where, REG_STARTEND))
		return false;
	consume(s, (size_t)where[0].rm_eo);
	return true;
}

static void advance(struct script *s)
{
	if (s->has_regex)
		regfree(&s->regex);
	s->has_regex = false;
	s->deadline_ns = 0;
	s->at++;
}

enum script_verdict script_next(struct script *s, uint64_t now_ns, const char **text, size_t *len)
{
	const struct cli_step *step;

	for (; s->at < s->steps->count; advance(s)) {
		step = &s->steps->of[s->at];
		if (!step->expects) {
			*text = step->text;
			*len = step->len;
			s->sent = true;
			s->len = 0;
			advance(s);
			return SCRIPT_SENDS;
		}
		if (is_found(s, step->text))
			continue;
		if (!s->deadline_ns)
			s->deadline_ns = now_ns + s->patience_ns;
		return now_ns >= s->deadline_ns ? SCRIPT_LATE : SCRIPT_WAITS;
	}
	return SCRIPT_DONE;
}
