/* SPDX-License-Identifier: MIT */
/* The thread of one vCPU: waits until it may run, runs, reports why it stopped. */
#include "dump.h"
#include "vcpu.h"

#include <stdlib.h>
#include <string.h>

static void set_state(struct vcpu_process *p, unsigned index, enum run_state state)
{
	pthread_mutex_lock(&p->lock);
	p->state[index] = state;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

/* A debugger does not hold up what comes before the first instruction: the devices' resets, and the news that it runs. */
static bool may_run(const struct vcpu_process *p, unsigned index)
{
	return p->want_run && !((p->debug.hold || (p->debug.stay >> index & 1)) && atomic_load(&p->begun));
}

/* Blocks until MSG_RUN; a pause is over when want_run is set again. */
static void wait_for_run(struct vcpu_process *p, unsigned index)
{
	pthread_mutex_lock(&p->lock);
	if (!may_run(p, index) && p->state[index] == RUN_RUNNING)
		p->state[index] = RUN_PAUSED;
	debug_tell_held(p);
	pthread_cond_broadcast(&p->changed);
	while (!may_run(p, index))
		pthread_cond_wait(&p->changed, &p->lock);
	p->state[index] = RUN_RUNNING;
	pthread_mutex_unlock(&p->lock);
}

/*
 * Once, before the first guest instruction. It is a vCPU that waits for devices here, not the helper thread, which has to
 * go on hearing the supervisor: it may be about to say that one of them is given up.
 */
static void begin(struct vcpu_process *p, unsigned index)
{
	if (index == 0) {
		if (p->used_before)
			bus_reset(&p->bus, &p->msi);
		else if (p->restored)
			bus_find_bars(&p->bus);
		child_event(&p->child, BULKHEAD__EVENT_TYPE__EVENT_RUNNING, 0, BULKHEAD__ROLE__ROLE_VCPU, NULL);
		pthread_mutex_lock(&p->lock);
		atomic_store(&p->begun, true);
		pthread_cond_broadcast(&p->changed);
	} else {
		pthread_mutex_lock(&p->lock);
		while (!atomic_load(&p->begun))
			pthread_cond_wait(&p->changed, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
}

static bool wants_run(struct vcpu_process *p, unsigned index)
{
	bool want;

	pthread_mutex_lock(&p->lock);
	want = may_run(p, index);
	pthread_mutex_unlock(&p->lock);
	return want;
}

static void report_stop(struct vcpu_process *p, unsigned index, enum engine_stop stop)
{
	static const Bulkhead__EventType type[] = {
		[ENGINE_HALTED] = BULKHEAD__EVENT_TYPE__EVENT_HALTED,
		[ENGINE_TRIPLE_FAULT] = BULKHEAD__EVENT_TYPE__EVENT_TRIPLE_FAULT,
		[ENGINE_ERROR] = BULKHEAD__EVENT_TYPE__EVENT_ENGINE_ERROR,
	};
	static _Thread_local struct cpu cpu;
	char text[2048];
	size_t used = 0;

	if (stop != ENGINE_HALTED)
		vcpu_trace_crash(&p->bus.trace, index);
	if (stop != ENGINE_HALTED && p->engine->ops->last_error(p->engine)[0]) {
		strncpy(text, p->engine->ops->last_error(p->engine), sizeof(text) / 4);
		text[sizeof(text) / 4] = 0;
		used = strlen(text);
		text[used++] = '\n';
	}
	text[used] = 0;
	if (p->engine->ops->get_state(p->engine, index, &cpu) == 0)
		entry_dump(&cpu, text + used, sizeof(text) - used);
	child_event(&p->child, type[stop], index, BULKHEAD__ROLE__ROLE_VCPU, text);
}

void *vcpu_thread(void *arg)
{
	struct vcpu_arg a = *(struct vcpu_arg *)arg;
	struct vcpu_process *p = a.process;
	enum engine_stop stop = ENGINE_KICKED;

	free(arg);
	pthread_mutex_lock(&p->lock);
	p->started++;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	do {
		wait_for_run(p, a.index);
		if (!atomic_load(&p->begun))
			begin(p, a.index);
		while (stop == ENGINE_KICKED && wants_run(p, a.index)) {
			stop = p->engine->ops->run(p->engine, a.index);
			atomic_fetch_add_explicit(&p->rounds[a.index], 1, memory_order_relaxed);
			if (stop == ENGINE_DEBUG) {
				debug_stopped(p, a.index);
				stop = ENGINE_KICKED;
			}
		}
	} while (stop == ENGINE_KICKED);
	set_state(p, a.index, RUN_ENDED);
	report_stop(p, a.index, stop);
	/* The end of a thread makes calls that the run-time filter does not know; the supervisor ends the process. */
	pthread_mutex_lock(&p->lock);
	for (;;)
		pthread_cond_wait(&p->changed, &p->lock);
}
