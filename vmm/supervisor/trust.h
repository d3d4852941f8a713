/* SPDX-License-Identifier: MIT */
/* What stands between a child that was taken over and the supervisor that listens to it. */
#ifndef BULKHEAD_VMM_TRUST_H
#define BULKHEAD_VMM_TRUST_H

#include "../../proto/frame.h"

#include <stdbool.h>
#include <stdint.h>

/* So much in each window of time; all zeroes at first. */
struct budget {
	uint64_t since_ns;
	unsigned used, refused;
	unsigned refused_before; /* in the window before this one */
};

bool budget_allows(struct budget *b, unsigned limit, uint64_t window_ns);
/* How often the last window said no; once. */
unsigned budget_take_refused(struct budget *b);

/* A message of a child: its texts are made harmless, and what it carries for nobody is forgotten. */
void trust_message(struct frame *f);

#endif
