/* SPDX-License-Identifier: MIT */
/* What a guest is told of its terminal: guest_note.h. */
#include "guest_note.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TERM_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._+"
enum { SIZE_LIMIT = 10000 };

/* Takes `word` off the front of *text. */
static bool take(const char **text, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*text, word, len))
		return false;
	*text += len;
	return true;
}

int guest_note_parse(const char *text, size_t len, struct guest_note *note)
{
	char line[GUEST_NOTE_MAX];
	const char *rest;
	int at = 0;

	if (len >= sizeof(line))
		return -EINVAL;
	memcpy(line, text, len);
	line[len] = 0;
	*note = (struct guest_note){ .rows = 0 };
	if (sscanf(line, "%4ux%4u,%n", &note->rows, &note->columns, &at) != 2 || !at)
		return -EINVAL;
	rest = line + at;
	note->in = take(&rest, "in,");
	note->out = take(&rest, "out,");
	if (strlen(rest) >= sizeof(note->term) || rest[strspn(rest, TERM_LETTERS)])
		return -EINVAL;
	strcpy(note->term, rest);
	return 0;
}

void guest_note_format(const struct guest_note *note, char out[GUEST_NOTE_MAX])
{
	bool is_clean =
		strnlen(note->term, sizeof(note->term)) < sizeof(note->term) && !note->term[strspn(note->term, TERM_LETTERS)];

	snprintf(out, GUEST_NOTE_MAX, "%ux%u,%s%s%s", note->rows < SIZE_LIMIT ? note->rows : 0,
		 note->columns < SIZE_LIMIT ? note->columns : 0, note->in ? "in," : "", note->out ? "out," : "",
		 is_clean ? note->term : "");
}

unsigned guest_words(bool exec, const struct guest_note *note, char *words[GUEST_WORDS], char room[GUEST_NOTE_MAX * 2])
{
	unsigned n = 0;
	char *at = room;

	if (exec) {
		words[n++] = "rdinit=/" GUEST_NOTE_INIT;
		words[n++] = "quiet";
	}
	if (note && note->term[0]) {
		words[n++] = at;
		at += sprintf(at, "TERM=%s", note->term) + 1;
	}
	if (note && note->rows && note->columns) {
		words[n++] = at;
		at += sprintf(at, "bulkhead.rows=%u", note->rows) + 1;
		words[n++] = at;
		sprintf(at, "bulkhead.columns=%u", note->columns);
	}
	return n;
}
