/* SPDX-License-Identifier: MIT */
/* Names of counters, and what a histogram says: counters.h. */
#include "counters.h"

const char *const counter_names[COUNTERS] = {
#define COUNTER(NAME, name, text) #name,
#include "counters.def"
};
const char *const counter_texts[COUNTERS] = {
#define COUNTER(NAME, name, text) text,
#include "counters.def"
};

uint64_t counters_quantile(const uint64_t rounds[COUNTERS_BUCKETS], unsigned per_mille)
{
	uint64_t all = 0, seen = 0;

	for (unsigned n = 0; n < COUNTERS_BUCKETS; n++)
		all += rounds[n];
	for (unsigned n = 0; all && n < COUNTERS_BUCKETS; n++) {
		seen += rounds[n];
		if ((unsigned __int128)seen * 1000 >= (unsigned __int128)all * per_mille)
			return 1ull << n;
	}
	return 0;
}
