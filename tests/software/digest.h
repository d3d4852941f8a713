/* SPDX-License-Identifier: MIT */
/* What the programs of this folder share: operands that are the same on every machine, and a digest of results. */
#ifndef BULKHEAD_SOFTWARE_DIGEST_H
#define BULKHEAD_SOFTWARE_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* FNV-1a, 64 bits. */
struct digest {
	uint64_t h;
};

static inline void digest_begin(struct digest *d)
{
	d->h = 0xcbf29ce484222325ull;
}

static inline void digest_add(struct digest *d, const void *data, size_t size)
{
	const unsigned char *p = data;

	for (size_t n = 0; n < size; n++)
		d->h = (d->h ^ p[n]) * 0x100000001b3ull;
}

static inline void digest_print(const struct digest *d, const char *what)
{
	printf("%s %016llx\n", what, (unsigned long long)d->h);
}

/* splitmix64: one multiplication chain per value, and no state that a library could keep differently. */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static inline void random_fill(uint64_t *state, void *data, size_t size)
{
	unsigned char *p = data;

	for (size_t n = 0; n < size; n++)
		p[n] = (unsigned char)(random_next(state) >> 56);
}

#endif
