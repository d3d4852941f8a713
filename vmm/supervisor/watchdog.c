/* SPDX-License-Identifier: MIT */
/*
 * Looks at every process of the machine, ten times a second: does it live and not work? Who is to blame for that, watch.h
 * says. A device that is, is killed, and goes on as a death (recovery.c). What a vcpu process or a loader has done, nobody
 * can take over: the machine ends.
 */
#include "watchdog.h"
#include "cpu_time.h"
#include "ending.h"
#include "proc.h"
#include "vm.h"

#include "../common/exit_codes.h"

#include "../../proto/clock.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PERIOD_MS = 100, DYING_LOOKS = 1, DYING_LOOKS_MAX = 20 };
#define MS CLOCK_NS_PER_MS
#define LOOK_MAX_NS (3 * PERIOD_MS * MS / 2)
#define LEAVE_NS (2000 * MS)	 /* a device that was asked to */
#define GREETING_NS (10000 * MS) /* of one that somebody else has started */
#define UNDEAD_NS (60000 * MS) /* a process that was killed: the kernel does not let go of it */

uint64_t watchdog_now(const struct vm *vm)
{
	return watch_time_at(&vm->watch_time, clock_ns(), LOOK_MAX_NS);
}

static bool is_stopped(const struct proc *p)
{
	siginfo_t info = { 0 };

	return waitid(P_PIDFD, (id_t)p->pidfd, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid;
}

/*
 * SIGSTOP wakes whoever sleeps interruptibly, and SIGCONT takes it back before it is acted upon: the sleeper runs, finds
 * nothing to do and sleeps again. (Should it be quick enough to stop, it goes on at once.)
 */
static void wake(const struct proc *p)
{
	syscall(SYS_pidfd_send_signal, p->pidfd, SIGSTOP, NULL, 0);
	syscall(SYS_pidfd_send_signal, p->pidfd, SIGCONT, NULL, 0);
}

/* ---- what is seen ---------------------------------------------------------------------------------------------- */

static bool is_device(const struct proc *p)
{
	return (int)p->id >= PROC_FIRST_DEVICE;
}

static struct watch_sample look(const struct proc *p, enum watch_phase phase)
{
	return (struct watch_sample){
		.phase = phase,
		.now_ns = watchdog_now(p->vm),
		.cpu_ns = cpu_time_ns(p->pid),
		.stopped = is_stopped(p),
	};
}

static struct watch_sample look_at_device(const struct proc *p)
{
	const struct recovery *r = &p->recovery;
	enum watch_phase starts = r->ready_ns ? WATCH_RESTARTS : WATCH_STARTS;
	struct watch_sample s = look(p, p->state == PROC_STARTING ? starts : WATCH_SERVES);

	s.head = atomic_load_explicit(&r->rsp->head, memory_order_relaxed);
	s.has_work = atomic_load_explicit(&r->req->tail, memory_order_relaxed) != s.head &&
		     !atomic_load_explicit(&r->rsp->holding, memory_order_relaxed);
	s.beat = atomic_load_explicit(&r->rsp->heartbeat_ns, memory_order_relaxed);
	return s;
}

/* The loader owes its end when it has answered. */
static bool owes_something(const struct proc *p)
{
	for (unsigned i = 0; i < PROC_PENDING; i++)
		if (p->pending[i].type)
			return true;
	return p->id == PROC_BOOT && p->vm->boot_done;
}

/* Until it is ready, what it says is its sign of life; then its heart beats where irqd finds its requests. */
static struct watch_sample look_at_guest(const struct proc *p)
{
	const struct ring_req *req = p->vm->procs[PROC_IRQD].recovery.req;
	struct watch_sample s = look(p, p->state == PROC_READY || owes_something(p) ? WATCH_SERVES : WATCH_WAITS);

	s.beat = p->heard;
	if (p->id == PROC_VCPU && p->state == PROC_READY && req)
		s.beat = atomic_load_explicit(&req->heartbeat_ns, memory_order_relaxed);
	return s;
}

static const struct watch_limits *limits_of(const struct proc *p)
{
	return is_device(p) ? &watch_device : p->id == PROC_VCPU ? &watch_vcpu : &watch_loader;
}

/* ---- what follows ---------------------------------------------------------------------------------------------- */

void watchdog_born(struct proc *p)
{
	struct watch_sample s = is_device(p) ? look_at_device(p) : look_at_guest(p);

	watch_begin(&p->watch, &s);
}

static void blame(struct proc *p, const char *why)
{
	if (is_device(p))
		proc_blame(p, why);
	else if (p->id == PROC_BOOT && p->vm->boot_done)
		proc_kill(p); /* it has done its work, and is not needed for anything any more */
	else
		machine_end(p->vm, EXIT_VMM, "hang", "%s was ended by its supervisor: %s", proc_name(p), why);
}

static const char *judge(struct proc *p)
{
	struct watch_sample s = is_device(p) ? look_at_device(p) : look_at_guest(p);
	const char *why;
	bool late;

	if (p->recovery.leaving_ns && s.now_ns - p->recovery.leaving_ns >= LEAVE_NS)
		return "hang: it did not leave when it was asked to";
	why = watch_look(&p->watch, limits_of(p), &s, &late);
	if (late)
		wake(p);
	return why;
}

/* It may stand in a debugger, and the guest waits. But who does not answer at all is no device daemon, and who was asked to
 * leave leaves. */
static const char *judge_external(const struct proc *p)
{
	uint64_t now = watchdog_now(p->vm);

	if (p->state == PROC_STARTING && now - p->connected_ns >= GREETING_NS)
		return "it does not answer; is it a device daemon?";
	if (p->recovery.leaving_ns && now - p->recovery.leaving_ns >= LEAVE_NS)
		return "hang: it did not leave when it was asked to";
	return NULL;
}

/* A dying process is expected to be dead soon. How it died is told better by its end than by this. */
static bool is_cut_off(struct proc *p)
{
	p->hung_up_looks = p->hung_up ? p->hung_up_looks + 1 : 0;
	return p->hung_up_looks > (is_device(p) ? DYING_LOOKS : DYING_LOOKS_MAX);
}

static void look_at(struct proc *p)
{
	const char *why = p->external ? judge_external(p) : is_cut_off(p) ? "it closed its control channel" : judge(p);

	if (why)
		blame(p, why);
}

/* A reset waits for the end of what was before it. */
static void look_at_undead(struct proc *p)
{
	uint64_t now = watchdog_now(p->vm);

	if (!p->killed_ns)
		p->killed_ns = now;
	if (!is_device(p) && now - p->killed_ns >= UNDEAD_NS)
		machine_end(p->vm, EXIT_VMM, "hang", "%s was killed, and does not end", proc_name(p));
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct vm *vm = ctx;

	watch_time_look(&vm->watch_time, clock_ns(), LOOK_MAX_NS);
	for (unsigned i = 0; i < PROCS; i++) {
		struct proc *p = &vm->procs[i];

		/* A debugger's process that hangs harms its user, who sees it. */
		if (p->id != PROC_GDBD && (p->state == PROC_READY || p->state == PROC_STARTING))
			look_at(p);
		else if (p->state == PROC_LEAVING)
			look_at_undead(p);
	}
}

/* Where nothing is fenced, someone debugs: a process that stands in a debugger is not to be killed. */
int watchdog_start(struct vm *vm)
{
	const struct timeval tv = { 0, PERIOD_MS * 1000 };

	if (vm->config->sandbox == SANDBOX_OFF)
		return 0;
	watch_time_look(&vm->watch_time, clock_ns(), LOOK_MAX_NS);
	vm->watchdog = event_new(vm->base, -1, EV_PERSIST, on_tick, vm);
	return vm->watchdog && !event_add(vm->watchdog, &tv) ? 0 : -1;
}
