/* SPDX-License-Identifier: MIT */
/* Where a request ends: scrape.h. */
#include "scrape.h"

bool scrape_ends(unsigned *tail, const char *bytes, size_t len)
{
	/* Line feeds in a row, carriage returns not counted: the second one ends it. */
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\r')
			continue;
		*tail = bytes[i] == '\n' ? *tail + 1 : 0;
		if (*tail == 2)
			return true;
	}
	return false;
}
