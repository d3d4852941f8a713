/* SPDX-License-Identifier: MIT */
/*
 * What happens to a machine, in words that programs know (docs/observing.md): kept in a ring, so that whoever begins to
 * listen hears what has been, and numbered, so that they see if something is missing.
 */
#ifndef BULKHEAD_VMM_NEWS_H
#define BULKHEAD_VMM_NEWS_H

#include "../../proto/control.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

enum { NEWS_KEPT = 128, NEWS_TEXT = 200 };

struct proc;
struct vm;

struct news {
	uint64_t number, realtime_ns, monotonic_ns;
	const char *what; /* a literal */
	char device[16];
	uint32_t incarnation, code;
	bool has_code;
	char text[NEWS_TEXT];
};

struct news_ring {
	uint64_t count; /* ever */
	struct news last[NEWS_KEPT];
};

/* `device` NULL: of the machine. */
void news_add(struct vm *vm, const char *what, const struct proc *device, const char *text);
/* The machine has ended. */
void news_ended(struct vm *vm);
/* The first one whose number is higher than `after`; NULL: there is none. */
const struct news *news_after(const struct news_ring *ring, uint64_t after);
/* It, as a message; strings stay its own. */
void news_message(const struct news *n, Bulkhead__News *out);

#endif
