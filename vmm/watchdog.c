/* SPDX-License-Identifier: MIT */
/*
 * Finds devices that live but do not work: the ring has requests and its head does not move, or the heartbeat of an idle
 * one is missing. Costs the devices nothing. What is found is killed, and goes on as a death (recovery.c).
 */
#include "vm.h"

#include "../proto/clock.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { PERIOD_MS = 100 };
#define MS CLOCK_NS_PER_MS
#define HANG_NS (200 * MS)
#define BLOCKED_NS (600 * MS) /* without using the processor: perhaps the host does not let it run */
#define BUSY_NS (80 * MS)     /* processor time that makes it an endless loop, not a starving process */
#define BEAT_NS (3000 * MS)   /* it beats every second */
#define LEAVE_NS (2000 * MS)
#define LATE_NS (3 * PERIOD_MS * MS) /* we did not run ourselves: nobody else may have */

/* Linux: the clock of another process is named by the complement of its pid; 2 is CPUCLOCK_SCHED. */
static uint64_t cpu_time(pid_t pid)
{
	clockid_t clock = (clockid_t)((~(unsigned)pid << 3) | 2u);
	struct timespec ts;

	if (clock_gettime(clock, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static bool is_stopped(const struct proc *p)
{
	siginfo_t info = { 0 };

	return waitid(P_PIDFD, (id_t)p->pidfd, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid;
}

static void start_over(struct proc *p, uint64_t now)
{
	struct recovery *r = &p->recovery;

	r->head = atomic_load_explicit(&r->rsp->head, memory_order_relaxed);
	r->head_ns = r->beat_ns = now;
	r->stopped_ns = 0;
	r->cpu_ns = cpu_time(p->pid);
}

void watchdog_born(struct proc *p)
{
	p->recovery.spawned_ns = clock_ns();
	start_over(p, p->recovery.spawned_ns);
}

/* NULL, or why it is to be killed. */
static const char *judge_ring(struct proc *p, uint64_t now)
{
	struct recovery *r = &p->recovery;
	uint32_t head = atomic_load_explicit(&r->rsp->head, memory_order_relaxed);
	uint32_t tail = atomic_load_explicit(&r->req->tail, memory_order_relaxed);

	if (head != r->head || tail == head) {
		r->head = head;
		r->head_ns = now;
		r->cpu_ns = cpu_time(p->pid);
		return NULL;
	}
	if (now - r->head_ns < HANG_NS)
		return NULL;
	if (cpu_time(p->pid) - r->cpu_ns >= BUSY_NS)
		return "hang: it works and works on one request";
	return now - r->head_ns >= BLOCKED_NS ? "hang: it does not read its requests" : NULL;
}

static const char *judge_stop(struct proc *p, uint64_t now)
{
	struct recovery *r = &p->recovery;

	if (!is_stopped(p)) {
		r->stopped_ns = 0;
		return NULL;
	}
	if (!r->stopped_ns)
		r->stopped_ns = now;
	return now - r->stopped_ns >= HANG_NS / 2 ? "hang: it was stopped by a signal" : NULL;
}

static const char *judge_beat(struct proc *p, uint64_t now)
{
	struct recovery *r = &p->recovery;
	uint64_t beat = atomic_load_explicit(&r->rsp->heartbeat_ns, memory_order_relaxed);

	if (beat != r->beat) {
		r->beat = beat;
		r->beat_ns = now;
	}
	return now - r->beat_ns >= BEAT_NS ? "hang: no sign of life for three seconds" : NULL;
}

/* Its predecessor's clients wait for at most a second, of which a good part may be gone. The first start has time. */
static const char *judge_start(struct proc *p, uint64_t now)
{
	struct recovery *r = &p->recovery;
	uint64_t patience = r->ready_ns ? BLOCKED_NS : 10 * BLOCKED_NS;

	if (now - r->spawned_ns < HANG_NS || (now - r->spawned_ns < patience && cpu_time(p->pid) < BUSY_NS))
		return NULL;
	return "hang: it did not start in time";
}

static const char *judge(struct proc *p, uint64_t now)
{
	const char *why = judge_stop(p, now);

	if (why)
		return why;
	if (p->state == PROC_STARTING)
		return judge_start(p, now);
	if (p->recovery.leaving_ns && now - p->recovery.leaving_ns >= LEAVE_NS)
		return "hang: it did not leave when it was asked to";
	why = judge_ring(p, now);
	return why ? why : judge_beat(p, now);
}

static void look_at(struct proc *p, uint64_t now)
{
	const char *why;

	if (p->state != PROC_READY && p->state != PROC_STARTING)
		return;
	why = p->hung_up && p->hung_up_seen ? "it closed its control channel" : judge(p, now);
	p->hung_up_seen = p->hung_up; /* a dying process has until the next look */
	if (why)
		proc_blame(p, why);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct vm *vm = ctx;
	uint64_t now = clock_ns();
	bool late = now - vm->watched_ns > LATE_NS;

	vm->watched_ns = now;
	for (unsigned i = PROC_FIRST_DEVICE; i < PROCS; i++) {
		if (late)
			start_over(&vm->procs[i], now);
		else
			look_at(&vm->procs[i], now);
	}
}

/* Where nothing is fenced, someone debugs: a process that stands in a debugger is not to be killed. */
int watchdog_start(struct vm *vm)
{
	const struct timeval tv = { 0, PERIOD_MS * 1000 };

	if (vm->config->sandbox == SANDBOX_OFF)
		return 0;
	vm->watched_ns = clock_ns();
	vm->watchdog = event_new(vm->base, -1, EV_PERSIST, on_tick, vm);
	return vm->watchdog && !event_add(vm->watchdog, &tv) ? 0 : -1;
}
