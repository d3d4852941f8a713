/* SPDX-License-Identifier: MIT */
/* Does anybody run guest code: vcpu.h. */
#include "vcpu.h"

bool vcpu_any_runs_locked(const struct vcpu_process *p)
{
	bool any = false;

	for (unsigned i = 0; i < p->vcpus; i++)
		any |= p->state[i] == RUN_RUNNING;
	return any;
}

bool vcpu_any_runs(struct vcpu_process *p)
{
	bool any;

	pthread_mutex_lock(&p->lock);
	any = vcpu_any_runs_locked(p);
	pthread_mutex_unlock(&p->lock);
	return any;
}
