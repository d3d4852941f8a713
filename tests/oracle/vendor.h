/* SPDX-License-Identifier: MIT */
/*
 * Where processors of the two vendors differ.
 *
 * The emulated processor says that it is Intel's (emu/sem/sys/cpuid.c), and behaves so. A host of the other vendor cannot
 * judge it in these points, and only in these. Whoever compares with the host asks here, holds the emulator against
 * the manual's rule instead where there is one, and prints what was left in the end.
 */
#ifndef BULKHEAD_TESTS_VENDOR_H
#define BULKHEAD_TESTS_VENDOR_H

#include <stdbool.h>
#include <stdio.h>

enum vendor_difference {
	VD_DOUBLE_SHIFT_16,
	VD_NOP_0F0D,
	VD_SAVED_POINTERS,
	VD_POINTER_HALVES,
	VD_POINTER_WIDTH,
	VD_FOP_FDP,
	VD_MISALIGNED_SSE,
	VD_SHA_ALIGNMENT,
	VD_GATHER_FAULT,
	VD_VCVTPS2PH_FAULT,
	VD_VPERMQ_W0,
	VD_EVEX_BITS,
	VD_VREDUCE_PE,
	VD_VGETMANT_DE,
	VD_COUNT,
};

/* Is this host's processor of the other vendor? */
bool host_is_foreign(void);

/* The same for one point of difference that a comparison has come to; if so, it is counted. */
bool vendor_leaves(enum vendor_difference d);

/* One line with the sum, and one for each difference that was met. */
void vendor_report(FILE *out);

#endif
