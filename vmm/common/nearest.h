/* SPDX-License-Identifier: MIT */
/* Did you mean? The word that somebody who mistyped most likely wanted. Pure. */
#ifndef BULKHEAD_VMM_NEAREST_H
#define BULKHEAD_VMM_NEAREST_H

#include <stddef.h>

/* Letters that have to be inserted, deleted, replaced, or swapped with their neighbour to make `b` of `a`. Words of more
 * than 31 letters count as NEAREST_FAR from all others. */
enum { NEAREST_FAR = 99 };
unsigned edit_distance(const char *a, const char *b);

/* struct nearest n = { .typed = typed }; nearest_try() for each word that there is; then n.best is the nearest, or NULL: none is near. */
struct nearest {
	const char *typed;
	const char *best;
	unsigned distance, edits; /* of words as near as each other, e.g. because it is the beginning of both, fewer edits decide */
};
void nearest_try(struct nearest *n, const char *word);
/* The same for all words of "one|two|three"; the result is kept in `room`. */
void nearest_try_list(struct nearest *n, const char *list, char *room, size_t size);

#endif
