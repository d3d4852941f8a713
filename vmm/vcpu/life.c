/* SPDX-License-Identifier: MIT */
/* Signs of life: the process's own, for the supervisor, and those of its vCPUs (pulse.h). */
#include "vcpu.h"

#include "proto/clock.h"

#include <stdio.h>
#include <time.h>

#define EVERY_NS CLOCK_NS_PER_S
#define LOOK_MAX_NS (3 * EVERY_NS / 2)

/* Both flags are our own: set by the ring's producer, which sleeps in short slices and looks whether it is given up. */
static bool waits_for_device(const struct vcpu_process *p, unsigned vcpu)
{
	for (unsigned i = 0; i < p->bus.channel_count; i++) {
		const struct ring_req *req = p->bus.channels[i].ring.req;

		if (atomic_load_explicit(&req->waiting[vcpu], memory_order_relaxed) ||
		    atomic_load_explicit(&req->space_waiting, memory_order_relaxed))
			return true;
	}
	return false;
}

static uint64_t thread_cpu_ns(pthread_t thread)
{
	struct timespec ts;
	clockid_t clock;

	if (pthread_getcpuclockid(thread, &clock) || clock_gettime(clock, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void look_at(struct vcpu_process *p, unsigned vcpu)
{
	struct pulse_sample s = {
		.now_ns = p->watch_time.ns,
		.cpu_ns = thread_cpu_ns(p->thread[vcpu]),
		.rounds = atomic_load(&p->rounds[vcpu]),
	};
	const char *why;
	char text[96];

	pthread_mutex_lock(&p->lock);
	s.excused = p->state[vcpu] != RUN_RUNNING || waits_for_device(p, vcpu) || atomic_load(&p->bus.at_rest);
	pthread_mutex_unlock(&p->lock);
	why = pulse_look(&p->pulse[vcpu], &s);
	if (why) {
		snprintf(text, sizeof(text), "hang: vcpu %u %s", vcpu, why);
		child_event(&p->child, BULKHEAD__EVENT_TYPE__EVENT_ENGINE_ERROR, vcpu, BULKHEAD__ROLE__ROLE_VCPU, text);
	}
	p->engine->ops->kick(p->engine, vcpu);
}

/* The kick also wakes a vCPU that sleeps in KVM with interrupts off, where nothing else would: it looks whether it is dead. */
void life_signs(struct vcpu_process *p)
{
	uint64_t now = clock_ns();

	if (now - p->life_ns < EVERY_NS)
		return;
	p->life_ns = now;
	atomic_store_explicit(&p->bus.irqd->ring.req->heartbeat_ns, now, memory_order_relaxed);
	watch_time_look(&p->watch_time, now, LOOK_MAX_NS);
	for (unsigned i = 0; i < p->vcpus; i++)
		look_at(p, i);
}
