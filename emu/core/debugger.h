/* SPDX-License-Identifier: MIT */
/*
 * What a debugger outside the machine asks of an engine, and what the engine tells it. It has nothing to do with the
 * guest's own debug registers, which the guest goes on to use as it likes (under KVM not while `point` holds any of the
 * kinds that need the processor's).
 */
#ifndef BULKHEAD_EMU_DEBUGGER_H
#define BULKHEAD_EMU_DEBUGGER_H

#include <stdbool.h>
#include <stdint.h>

/* Numbers as in gdb's Z packets. */
enum engine_point_kind {
	ENGINE_POINT_SOFT,  /* before the instruction at a linear address; KVM puts INT3 there, which must be mapped then */
	ENGINE_POINT_HARD,  /* the same, and nothing in memory changes */
	ENGINE_POINT_WRITE, /* after an instruction that has written there */
	ENGINE_POINT_READ,  /* that has read; under KVM: or written, as the processor knows no other */
	ENGINE_POINT_ACCESS,
	ENGINE_POINT_KINDS,
};

struct engine_point {
	uint8_t kind;
	uint8_t size; /* of data: 1, 2, 4 or 8 bytes */
	uint64_t address; /* linear */
};

enum { ENGINE_MAX_POINTS = 64 };

/* All zeroes: nobody debugs, and nothing costs anything. */
struct engine_debug {
	uint64_t step; /* bit per vCPU: it stops again after one instruction, and takes no interrupt before that */
	uint64_t stay; /* bit per vCPU: it does not run; who calls run() sees to that */
	unsigned count;
	struct engine_point point[ENGINE_MAX_POINTS];
};

static inline bool engine_debug_is_on(const struct engine_debug *d)
{
	return d->step || d->count;
}

enum engine_hit_why { ENGINE_HIT_NONE, ENGINE_HIT_STEP, ENGINE_HIT_POINT };

/* Why run() came back with ENGINE_DEBUG. */
struct engine_hit {
	enum engine_hit_why why;
	struct engine_point point;
};

#endif
