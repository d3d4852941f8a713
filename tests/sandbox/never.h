/* SPDX-License-Identifier: MIT */
/* Calls that no filter may let through, whatever the table says: what docs/threat-model.md promises, one by one. */
#ifndef BULKHEAD_TESTS_NEVER_H
#define BULKHEAD_TESTS_NEVER_H

#include <stdint.h>

struct never {
	const char *what;
	long number;
	uint32_t roles; /* bit mask */
	uint64_t args[6];
};

extern const struct never nevers[];
extern const unsigned never_count;

#endif
