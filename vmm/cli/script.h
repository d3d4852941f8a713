/* SPDX-License-Identifier: MIT */
/*
 * console --send TEXT --expect REGEX: what is typed and waited for, in the order in which it was given. Pure: bytes and times
 * come from outside.
 *
 * A regular expression (POSIX, extended) is looked for in what the guest has printed since the last one was found, or the last
 * text was sent: text only, without control sequences and carriage returns; ^ and $ are where its lines begin and end. An
 * expression that comes before anything was sent may be found in the history.
 */
#ifndef BULKHEAD_VMM_SCRIPT_H
#define BULKHEAD_VMM_SCRIPT_H

#include "escape.h"
#include "../common/options.h"

#include <regex.h>

enum { SCRIPT_WINDOW = 65536 };

struct script {
	const struct step_list *steps;
	unsigned at; /* the next step */
	bool sent;   /* something has been */
	uint64_t history; /* bytes of it that are still to come */
	uint64_t patience_ns, deadline_ns; /* of each expression; of this one, 0: it is not waited for yet */
	regex_t regex;
	bool has_regex;
	struct escape escape;
	size_t len;
	char window[SCRIPT_WINDOW];
};

/* `steps` is kept; each of its expressions has been seen to be one. */
void script_begin(struct script *s, const struct step_list *steps, uint64_t history, uint64_t patience_ns);

/* What the guest has printed. */
void script_hear(struct script *s, const char *bytes, size_t len);

enum script_verdict { SCRIPT_SENDS, SCRIPT_WAITS, SCRIPT_LATE, SCRIPT_DONE };

/*
 * What is to be done at this time. SENDS: type *text, of *len bytes, and ask again. WAITS: until something has come, or
 * deadline_ns. LATE: steps->of[at] did not come in time.
 */
enum script_verdict script_next(struct script *s, uint64_t now_ns, const char **text, size_t *len);

#endif
