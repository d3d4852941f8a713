/* SPDX-License-Identifier: MIT */
/* What the fuzz targets share: reading numbers from the input, and checks that end the run. */
#ifndef BULKHEAD_TESTS_FUZZ_H
#define BULKHEAD_TESTS_FUZZ_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t left;
};

/* Zeroes once the input has ended. */
static inline uint64_t take(struct input *in, size_t bytes)
{
	uint64_t v = 0;

	for (size_t i = 0; i < bytes && in->left > 0; i++, in->left--)
		v |= (uint64_t)*in->data++ << (8 * i);
	return v;
}

/* A number below n; 0 where there is none. */
static inline unsigned take_below(struct input *in, unsigned n)
{
	return n ? (unsigned)take(in, n > 256 ? 2 : 1) % n : 0;
}

/* Writes 1 to 8 bytes of the input somewhere into an object: what a hostile writer of it can do. */
static inline void take_poke(struct input *in, void *object, size_t object_size)
{
	size_t n = 1 + take_below(in, 8), at;
	uint64_t v;

	if (object_size <= 8) /* a model without state */
		return;
	at = take(in, 3) % (object_size - 8);
	v = take(in, n);
	memcpy((uint8_t *)object + at, &v, n);
}

static inline void *fuzz_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		exit(1);
	return p;
}

/* libFuzzer keeps the input of a run that aborts. */
__attribute__((format(printf, 4, 5))) static inline _Noreturn void fuzz_fail(const char *file, int line,
									       const char *what, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "%s:%d: does not hold: %s ", file, line, what);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	abort();
}

#define CHECK(condition, ...) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition, "" __VA_ARGS__))

#endif
