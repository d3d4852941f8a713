/* SPDX-License-Identifier: MIT */
/* The parts of host_judge(). */
#ifndef BULKHEAD_VMM_HOST_JUDGE_H
#define BULKHEAD_VMM_HOST_JUDGE_H

#include "host.h"

/* Adds a line whose value is printf's; the next calls of advise() are about it. */
__attribute__((format(printf, 5, 6))) void host_find(struct host_report *r, const char *area, const char *name,
						     enum host_verdict verdict, const char *value, ...);
__attribute__((format(printf, 2, 3))) void host_advise(struct host_report *r, const char *advice, ...);

void host_judge_processor(const struct host_facts *f, struct host_report *r);
void host_judge_kvm(const struct host_facts *f, struct host_report *r);
void host_judge_fence(const struct host_facts *f, struct host_report *r);
void host_judge_resources(const struct host_facts *f, struct host_report *r);

#endif
