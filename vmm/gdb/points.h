/* SPDX-License-Identifier: MIT */
/* The breakpoints and watchpoints that gdb has set, by its Z and z packets. */
#ifndef BULKHEAD_VMM_GDB_POINTS_H
#define BULKHEAD_VMM_GDB_POINTS_H

#include "emu/core/debugger.h"

#include <stdbool.h>

struct points {
	unsigned count;
	struct {
		uint8_t kind; /* enum engine_point_kind */
		uint32_t size; /* of data, in bytes */
		uint64_t address;
	} at[ENGINE_MAX_POINTS];
};

/* One that is there already is not added again. -EINVAL: no such kind or size; -ENOSPC: more than `kvm` or the emulator can. */
int points_add(struct points *p, unsigned kind, uint64_t address, uint64_t size, bool kvm);
void points_remove(struct points *p, unsigned kind, uint64_t address, uint64_t size);
/* As an engine wants them: data in pieces that are aligned to their size. How many; at most ENGINE_MAX_POINTS. */
unsigned points_list(const struct points *p, struct engine_point out[ENGINE_MAX_POINTS]);

#endif
