/* SPDX-License-Identifier: MIT */
/*
 * Finds devices that live but do not work: the ring has requests and its head does not move, or the heartbeat of an idle
 * one is missing. What is found is killed, and goes on as a death (recovery.c).
 *
 * A device that waits for a processor looks much like one that waits for ever. It is not killed for that: the next one
 * would wait as long, and the guest's request would count as what killed it. So two things have to be told apart.
 *
 * Is the whole host slow? All limits here are in watch time, which passes by at most LOOK_MAX_NS from one look to the
 * next: while we do not run ourselves, it stands still.
 *
 * Is it that one process? One that sleeps can be woken, and then runs, if only for microseconds; one that is queued
 * behind others, or whose virtual processor the host has taken away, does not. Its processor time tells which.
 */
#include "vm.h"

#include "../../proto/clock.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PERIOD_MS = 100, AWAKE = 3 };
#define MS CLOCK_NS_PER_MS
#define LOOK_MAX_NS (3 * PERIOD_MS * MS / 2)
#define HANG_NS (200 * MS)
#define BUSY_NS (80 * MS)     /* processor time on one request: no request takes a millisecond */
#define BLOCKED_NS (600 * MS) /* it runs when it is woken, and lets its requests be */
#define BEAT_NS (3000 * MS)   /* it beats every second */
#define START_NS (6000 * MS)  /* the first time; nobody waits for it yet */
#define LEAVE_NS (2000 * MS)
#define ABSENT_NS (10000 * MS) /* it does not even run: an uninterruptible sleep, or a host that is beyond help */

uint64_t watchdog_now(const struct vm *vm)
{
	uint64_t passed = clock_ns() - vm->looked_ns;

	return vm->watched_ns + (passed < LOOK_MAX_NS ? passed : LOOK_MAX_NS);
}

/* Linux: the clock of another process is named by the complement of its pid; 2 is CPUCLOCK_SCHED. */
static uint64_t cpu_time(pid_t pid)
{
	clockid_t clock = (clockid_t)((~(unsigned)pid << 3) | 2u);
	struct timespec ts;

	if (clock_gettime(clock, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t watchdog_cpu_ns(const struct proc *p)
{
	return cpu_time(p->pid);
}

static bool is_stopped(const struct proc *p)
{
	siginfo_t info = { 0 };

	return waitid(P_PIDFD, (id_t)p->pidfd, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid;
}

void watchdog_born(struct proc *p)
{
	struct recovery *r = &p->recovery;

	r->head = atomic_load_explicit(&r->rsp->head, memory_order_relaxed);
	r->spawned_ns = r->head_ns = r->beat_ns = watchdog_now(p->vm);
	r->stopped_ns = 0;
	r->cpu_ns = cpu_time(p->pid);
	r->poked = false;
}

/*
 * SIGSTOP wakes whoever sleeps interruptibly, and SIGCONT takes it back before it is acted upon: the sleeper runs, finds
 * nothing to do and sleeps again. (Should it be quick enough to stop, it goes on at once.) Counts how many times in a row
 * it has run after that; one look would not do, as a starving process may get a moment on a processor just then.
 */
static void poke(struct proc *p)
{
	struct recovery *r = &p->recovery;
	uint64_t cpu = cpu_time(p->pid);

	r->awake = r->poked && cpu != r->poked_cpu_ns ? r->awake + 1 : 0;
	r->poked = true;
	r->poked_cpu_ns = cpu;
	syscall(SYS_pidfd_send_signal, p->pidfd, SIGSTOP, NULL, 0);
	syscall(SYS_pidfd_send_signal, p->pidfd, SIGCONT, NULL, 0);
}

static void poke_if(struct proc *p, bool overdue)
{
	if (overdue)
		poke(p);
	else
		p->recovery.poked = false;
}

/* It has not done its work for `idle` ns, of which `limit` are allowed: is that its own fault? */
static bool is_guilty(const struct proc *p, uint64_t idle, uint64_t limit)
{
	return (idle >= limit && p->recovery.poked && p->recovery.awake >= AWAKE) || idle >= ABSENT_NS;
}

static void observe(struct proc *p, uint64_t now)
{
	struct recovery *r = &p->recovery;
	uint32_t head = atomic_load_explicit(&r->rsp->head, memory_order_relaxed);
	uint32_t tail = atomic_load_explicit(&r->req->tail, memory_order_relaxed);
	uint64_t beat = atomic_load_explicit(&r->rsp->heartbeat_ns, memory_order_relaxed);

	bool holds = atomic_load_explicit(&r->rsp->holding, memory_order_relaxed);

	if (head != r->head || tail == head || holds) {
		r->head = head;
		r->head_ns = now;
		r->cpu_ns = cpu_time(p->pid);
	}
	if (beat != r->beat) {
		r->beat = beat;
		r->beat_ns = now;
	}
}

/* NULL, or why it is to be killed. */
static const char *judge_work(struct proc *p, uint64_t now)
{
	struct recovery *r = &p->recovery;
	uint64_t idle, silent;

	observe(p, now);
	idle = now - r->head_ns;
	silent = now - r->beat_ns;
	poke_if(p, idle >= HANG_NS || silent >= BEAT_NS);
	if (idle >= HANG_NS && cpu_time(p->pid) - r->cpu_ns >= BUSY_NS)
		return "hang: it works and works on one request";
	if (is_guilty(p, idle, BLOCKED_NS))
		return "hang: it does not read its requests";
	return is_guilty(p, silent, BEAT_NS) ? "hang: no sign of life for three seconds" : NULL;
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

/* Its predecessor's clients wait for at most a second, of which a good part may be gone. The first start has time. */
static const char *judge_start(struct proc *p, uint64_t now)
{
	struct recovery *r = &p->recovery;
	uint64_t passed = now - r->spawned_ns;
	bool busy = r->ready_ns && passed >= HANG_NS && cpu_time(p->pid) >= BUSY_NS;

	poke_if(p, passed >= HANG_NS);
	return busy || is_guilty(p, passed, r->ready_ns ? BLOCKED_NS : START_NS) ? "hang: it did not start in time" : NULL;
}

static const char *judge(struct proc *p, uint64_t now)
{
	const char *why = judge_stop(p, now);

	if (why || p->recovery.stopped_ns)
		return why;
	if (p->state == PROC_STARTING)
		return judge_start(p, now);
	if (p->recovery.leaving_ns && now - p->recovery.leaving_ns >= LEAVE_NS)
		return "hang: it did not leave when it was asked to";
	return judge_work(p, now);
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

	vm->watched_ns = watchdog_now(vm);
	vm->looked_ns = clock_ns();
	for (unsigned i = PROC_FIRST_DEVICE; i < PROCS; i++)
		look_at(&vm->procs[i], vm->watched_ns);
}

/* Where nothing is fenced, someone debugs: a process that stands in a debugger is not to be killed. */
int watchdog_start(struct vm *vm)
{
	const struct timeval tv = { 0, PERIOD_MS * 1000 };

	if (vm->config->sandbox == SANDBOX_OFF)
		return 0;
	vm->watched_ns = watchdog_now(vm); /* children that were born before this have that as their birthday */
	vm->looked_ns = clock_ns();
	vm->watchdog = event_new(vm->base, -1, EV_PERSIST, on_tick, vm);
	return vm->watchdog && !event_add(vm->watchdog, &tv) ? 0 : -1;
}
