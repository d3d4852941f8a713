/* SPDX-License-Identifier: MIT */
/*
 * What insns.c runs: classes of instructions, each a table of rows that are run over the same operands. A class's checksum takes in all
 * results, and the flags that the manuals define; so it is the same on every processor that has the class.
 */
#ifndef BULKHEAD_TESTS_FIRST_INSNS_H
#define BULKHEAD_TESTS_FIRST_INSNS_H

#include <stdint.h>

/* How many rows were run over how many operands, and what came of it. */
struct insns_result {
	unsigned runs;
	uint64_t sum;
};

typedef void insns_class(struct insns_result *r);

insns_class insns_arithmetic, insns_shifts, insns_products, insns_bits, insns_strings, insns_conditions, insns_popcnt, insns_bmi;
insns_class insns_sse_integer, insns_sse_float, insns_ssse3, insns_sse41, insns_crc32, insns_aes, insns_sha;
insns_class insns_avx, insns_avx2, insns_fma, insns_avx512;
insns_class insns_x87;

#endif
