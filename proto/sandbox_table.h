/* SPDX-License-Identifier: MIT */
/* The shape of the system call table, for the filter compiler and for the tests that walk it. */
#ifndef BULKHEAD_PROTO_SANDBOX_TABLE_H
#define BULKHEAD_PROTO_SANDBOX_TABLE_H

#include "sandbox.h"

/* In the order in which they are entered: before a child's program is executed, when it has started, when it works. */
enum sandbox_phase { SANDBOX_PHASE_EXEC, SANDBOX_PHASE_SETUP, SANDBOX_PHASE_RUN };
enum { SANDBOX_PHASES = SANDBOX_PHASE_RUN + 1 };
enum { SANDBOX_MAX_CONDS = 3 };

/* Argument `arg`, masked, must equal `value`. Mask 0: no condition. */
struct sandbox_cond {
	unsigned arg;
	uint64_t mask, value;
};

/*
 * One allowed call. Several rows for the same call are alternatives. RUN rows are also part of the filters before, since
 * filters add up; the spawner's filter holds every row of its children, since they inherit it.
 */
struct sandbox_rule {
	const char *call;
	uint32_t exec, setup, run; /* bit masks of roles: the last phase in which it is allowed */
	struct sandbox_cond conds[SANDBOX_MAX_CONDS];
	int deny_errno; /* not allowed, but fails with this errno instead of ending the process */
	const char *why;
};

extern const struct sandbox_rule sandbox_rules[];
extern const unsigned sandbox_rule_count;

/* Whether the row is part of the filter of that role and phase. */
bool sandbox_rule_applies(const struct sandbox_rule *rule, enum sandbox_role role, enum sandbox_phase phase);

/* At most so many different calls may be allowed to a role at run time; 0: no promise. */
unsigned sandbox_run_limit(enum sandbox_role role);

#endif
