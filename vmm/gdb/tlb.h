/* SPDX-License-Identifier: MIT */
/*
 * What a guest's page tables map just now, as ranges, for `monitor info tlb`: walks them all, in every mode (SDM vol. 3,
 * chapter 4), from the registers and physical memory. Pure.
 */
#ifndef BULKHEAD_VMM_GDB_TLB_H
#define BULKHEAD_VMM_GDB_TLB_H

#include "emu/core/cpu.h"

#include <stdbool.h>
#include <stddef.h>

struct tlb_range {
	uint64_t linear, gpa, size;
	bool writable, user, executable;
};

/* Reads `size` bytes of guest-physical memory; false: there are none. */
typedef bool tlb_read(void *ctx, uint64_t gpa, void *out, size_t size);
/* Is told of one range after the other; false: enough. */
typedef bool tlb_range_found(void *ctx, const struct tlb_range *r);

/* Looks at no more than `tables` tables: a guest can make them lead in circles. False: there would have been more. */
bool tlb_walk_all(const struct cpu *c, unsigned tables, tlb_read *read, tlb_range_found *found, void *ctx);

#endif
