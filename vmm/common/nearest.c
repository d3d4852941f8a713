/* SPDX-License-Identifier: MIT */
/* Optimal string alignment: nearest.h. */
#include "nearest.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 63, BEGINNING = 3 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Row by row of the table of distances between beginnings of the words; a swap looks two rows back. */
unsigned edit_distance(const char *a, const char *b)
{
	unsigned row[3][LONGEST + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > LONGEST || m > LONGEST)
		return strcmp(a, b) ? NEAREST_FAR : 0;
	for (unsigned j = 0; j <= m; j++)
		row[0][j] = j;
	for (unsigned i = 1; i <= n; i++) {
		const unsigned *above = row[(i - 1) % 3];
		unsigned *now = row[i % 3];

		now[0] = i;
		for (unsigned j = 1; j <= m; j++) {
			now[j] = least(above[j - 1] + (a[i - 1] != b[j - 1]), least(above[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], row[(i - 2) % 3][j - 2] + 1);
		}
	}
	return row[n % 3][m];
}

/* Who writes --mem or --kernel-image has made no mistake of the fingers, and is understood all the same. */
static bool is_beginning(const char *a, const char *b)
{
	size_t n = least((unsigned)strlen(a), (unsigned)strlen(b));

	return n >= BEGINNING && !strncmp(a, b, n);
}

/* NEAREST_FAR: further than mistakes go. */
static unsigned how_far(const char *typed, const char *word)
{
	unsigned distance = is_beginning(typed, word) ? 1 : edit_distance(typed, word);

	return distance > ((unsigned)strlen(typed) + 1) / 3 ? NEAREST_FAR : distance;
}

static bool is_nearer(struct nearest *n, const char *word)
{
	const unsigned distance = how_far(n->typed, word), edits = edit_distance(n->typed, word);

	if (distance == NEAREST_FAR || (n->best && (distance > n->distance || (distance == n->distance && edits >= n->edits))))
		return false;
	n->distance = distance;
	n->edits = edits;
	return true;
}

void nearest_try(struct nearest *n, const char *word)
{
	if (is_nearer(n, word))
		n->best = word;
}

void nearest_try_list(struct nearest *n, const char *list, char *room, size_t size)
{
	while (*list) {
		size_t len = strcspn(list, "|");
		char word[LONGEST + 1];

		snprintf(word, sizeof(word), "%.*s", (int)len, list);
		if (is_nearer(n, word)) {
			snprintf(room, size, "%s", word);
			n->best = room;
		}
		list += len + (list[len] == '|');
	}
}
