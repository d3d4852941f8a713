/* SPDX-License-Identifier: MIT */
/* What sandbox_gen writes at build time. */
#ifndef BULKHEAD_PROTO_SANDBOX_FILTERS_H
#define BULKHEAD_PROTO_SANDBOX_FILTERS_H

#include "sandbox.h"

#include <linux/filter.h>

struct sandbox_filter {
	const struct sock_filter *insn;
	unsigned short len;
};

extern const struct sandbox_filter sandbox_filters[SANDBOX_ROLES][3]; /* [role][enum sandbox_phase] */
extern const char *const sandbox_call_names[];
extern const long sandbox_call_count;

#endif
