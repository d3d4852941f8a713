/* SPDX-License-Identifier: MIT */
/*
 * The SHADOW page: registers that the vCPU process reads in place. Each entry is one cache line with its own sequence
 * count, so a reader never combines halves of two values; a hostile writer can only give wrong values of its own
 * registers. Which posted operations an entry depends on is not in the page: it stands in the register table (route.h).
 */
#ifndef BULKHEAD_PROTO_SHADOW_H
#define BULKHEAD_PROTO_SHADOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"

enum { MODEL_MAX_SHADOW = 16 };

/* A read that can be answered from shared memory. `index` is a row of the model's shadow table. */
struct shadow_value {
	bool valid;
	uint64_t value;	  /* REG_SHADOW_VALUE; REG_SHADOW_TIME: see `hz` */
	uint64_t base_ns; /* REG_SHADOW_TIME: value + (now - base_ns) * hz / 1e9, masked by `mask`; `now`: the machine's clock */
	uint64_t hz;
	uint64_t mask;
};

/* Writer: daemon. Reader: vcpu. */
struct shadow_entry {
	_Atomic uint32_t seq;	 /* odd while the fields below change */
	_Atomic uint32_t valid;	 /* 0: ask the daemon */
	_Atomic uint64_t value;	 /* hz == 0: the value; else see struct shadow_value */
	_Atomic uint64_t base_ns;
	_Atomic uint64_t hz;
	_Atomic uint64_t mask;
	uint64_t reserved[3];
};
_Static_assert(sizeof(struct shadow_entry) == 64, "an entry is one cache line");
_Static_assert(offsetof(struct shadow_entry, value) == 8 && offsetof(struct shadow_entry, mask) == 32, "SHADOW");

struct shadow_page {
	struct shadow_entry entries[MODEL_MAX_SHADOW];
};
_Static_assert(sizeof(struct shadow_page) == 1024, "SHADOW");

struct shadow_writer {
	struct shadow_page *page;
	struct shadow_value last[MODEL_MAX_SHADOW]; /* what the page says, so that unchanged entries are not touched */
};

/* Withdraws all entries (also those of an earlier incarnation). */
void shadow_writer_init(struct shadow_writer *w, struct shadow_page *page);
void shadow_publish(struct shadow_writer *w, const struct shadow_value *values, unsigned count);

/*
 * 0        *value
 * -EAGAIN  not valid, or being changed: take the slow path
 * The caller has checked ring_is_applied() for the classes that the register depends on, before this call.
 */
int shadow_read(const struct shadow_page *page, unsigned index, const struct machine_clock *clock, uint64_t *value);

#endif
