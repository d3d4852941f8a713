/* SPDX-License-Identifier: MIT */
/* What the facts about a host mean: host.h. */
#include "judge.h"

void host_judge(const struct host_facts *f, struct host_report *r)
{
	r->count = 0;
	host_judge_processor(f, r);
	host_judge_kvm(f, r);
	host_judge_fence(f, r);
	host_judge_resources(f, r);
}
