/* SPDX-License-Identifier: MIT */
#ifndef BULKHEAD_BENCH_MIX_H
#define BULKHEAD_BENCH_MIX_H

#include <stdint.h>

/* Arithmetic, shifts, multiplication, a table in memory, and branches that cannot be predicted. 1000 steps a round. */
static uint64_t integer_mix(uint64_t n)
{
	static uint32_t table[256];
	uint64_t x = 88172645463325252u, sum = 0;

	for (uint64_t k = 0; k < n * 1000; k++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		table[x & 255] += (uint32_t)(x >> 32);
		sum += table[(x >> 8) & 255] * (x & 0xffff);
		if (x & 0x10000)
			sum ^= sum >> 3;
		else
			sum -= x;
	}
	return sum;
}

#endif
