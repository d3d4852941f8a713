/* SPDX-License-Identifier: MIT */
/* Text on the serial port, and sums that stand for pictures and results. */
#ifndef BULKHEAD_TESTS_FIRST_PRINT_H
#define BULKHEAD_TESTS_FIRST_PRINT_H

#include <stddef.h>
#include <stdint.h>

void print(const char *s);
void print_dec(uint64_t v);
/* All 16 digits. */
void print_hex(uint64_t v);

/* FNV-1a over words of 64 bits instead of bytes: sum is the value so far, at first SUM_START. */
#define SUM_START 0xcbf29ce484222325u

static inline uint64_t sum_add(uint64_t sum, uint64_t v)
{
	return (sum ^ v) * 0x100000001b3u;
}

/* Of what is in the framebuffer. */
uint64_t picture_sum(void);

#endif
