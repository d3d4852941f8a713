/* SPDX-License-Identifier: MIT */
/* The last so many records, whatever came before. */
#ifndef BULKHEAD_VMM_TRACE_LAST_H
#define BULKHEAD_VMM_TRACE_LAST_H

#include "proto/trace.h"

struct last {
	uint8_t *memory;
	size_t size;	    /* of it */
	uint64_t begin, end; /* bytes ever dropped, and ever added */
	uint32_t count, most;
};

/* 0 or -ENOMEM. */
int last_init(struct last *l, uint32_t most);
void last_add(struct last *l, const struct trace_head *record);
/* Takes the oldest one out. False: there is none. */
bool last_take(struct last *l, struct trace_head *out);

#endif
