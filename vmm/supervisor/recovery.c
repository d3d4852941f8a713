/* SPDX-License-Identifier: MIT */
/* The death of a device and its next incarnation: see recovery.h. */
#include "recovery.h"
#include "capture.h"
#include "cpu_time.h"
#include "dial_link.h"
#include "ending.h"
#include "giving_up.h"
#include "news.h"
#include "poison.h"
#include "proc.h"
#include "setup.h"
#include "tell.h"
#include "trial.h"
#include "vm.h"
#include "watchdog.h"

#include "../common/exit_codes.h"

#include "../../proto/clock.h"
#include "../../proto/control_check.h"
#include "../../proto/range.h"
#include "../../proto/shm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IDLE_SERVICE_NS (50 * CLOCK_NS_PER_MS)
enum { BIRTHS_MAX = 3 };
/* --device: how long the first connection may take, and when it is tried again. */
#define DIAL_FIRST_NS (2 * CLOCK_NS_PER_S)
#define DIAL_AGAIN_NS (100 * CLOCK_NS_PER_MS)
#define DIAL_REFUSED_NS CLOCK_NS_PER_S

int recovery_init(struct proc *p, const struct device_objects *d)
{
	struct recovery *r = &p->recovery;
	const void *req, *rsp, *journal;
	int rc = shm_map_ro(d->req.ro, sizeof(*r->req), &req);

	if (!rc)
		rc = shm_map_ro(d->rsp.ro, sizeof(*r->rsp), &rsp);
	if (!rc)
		rc = shm_map_ro(d->journal.ro, sizeof(*r->journal), &journal);
	if (rc)
		return rc;
	r->req = req;
	r->rsp = rsp;
	r->journal = journal;
	/* Not zero in a machine that goes on from the state of another. */
	r->start_events = journal_events(r->journal);
	r->start_head = atomic_load_explicit(&r->rsp->head, memory_order_relaxed);
	r->program_fd = r->fallback_fd = -1;
	return 0;
}

/* ---- birth ----------------------------------------------------------------------------------------------------- */

static void on_retry(evutil_socket_t fd, short what, void *ctx);

static void retry_after(struct proc *p, uint64_t ns)
{
	const struct timeval tv = { (time_t)(ns / CLOCK_NS_PER_S), (suseconds_t)(ns % CLOCK_NS_PER_S / 1000) };
	struct recovery *r = &p->recovery;

	r->health = DEVICE_WAITING;
	if (!r->retry)
		r->retry = evtimer_new(p->vm->base, on_retry, p);
	if (!r->retry || evtimer_add(r->retry, &tv))
		machine_end(p->vm, EXIT_VMM, "failure", "no memory to restart %s", proc_name(p));
}

static uint64_t our_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* The first incarnation has a journal only if that comes from another machine. */
static bool has_journal(const struct proc *p)
{
	return p->incarnation > 1 || p->vm->launch->taken_fd[FRAME_TAKE_STATE] >= 0;
}

/* `connection`: to one that is not ours; else -1. */
static int start_again(struct proc *p, int connection)
{
	struct recovery *r = &p->recovery;
	uint64_t begun_ns = our_cpu_ns();
	int rc = connection < 0 ? proc_spawn(p) : proc_adopt(p, connection);

	r->health = DEVICE_SERVING;
	r->is_restart = r->left_ns != 0;
	r->broken = false;
	r->served_ns = 0;
	r->start_events = journal_events(r->journal);
	r->start_head = atomic_load_explicit(&r->rsp->head, memory_order_relaxed);
	/* One that is not ours is handed nothing before it has said what it is. */
	if (!rc && !p->external)
		rc = setup_device(p, has_journal(p));
	r->cost_ns += our_cpu_ns() - begun_ns;
	return rc;
}

void recovery_respawn(struct proc *p)
{
	struct recovery *r = &p->recovery;
	int rc = p->external ? recovery_dial(p) : start_again(p, -1);

	if (!rc)
		return;
	vm_log(p->vm, 1, "%s cannot be restarted now: %s", proc_name(p), strerror(-rc));
	if (p->state == PROC_STARTING)
		proc_blame(p, "could not be set up"); /* its end is coming, and leads back here */
	else
		retry_after(p, restart_refused(&r->restart));
}

static void on_retry(evutil_socket_t fd, short what, void *ctx)
{
	struct proc *p = ctx;

	if (p->recovery.health == DEVICE_WAITING && machine_wants(p))
		recovery_respawn(p);
}

/* ---- one that somebody else starts ---------------------------------------------------------------------------- */

int recovery_dial(struct proc *p)
{
	struct recovery *r = &p->recovery;

	r->health = DEVICE_WAITING;
	if (!r->dialled_ns)
		r->dialled_ns = watchdog_now(p->vm);
	return dial(p->vm, p->id - PROC_FIRST_DEVICE);
}

static void say_why(struct proc *p, const struct dial_answer *answer)
{
	char text[2 * PROC_LINE];

	if (answer->error == -EPERM && answer->uid)
		snprintf(text, sizeof(text), "%s: user %u listens at %s; --device %s=unix:%s,user=%u lets them", proc_name(p),
			 answer->uid, p->external, proc_name(p), p->external, answer->uid);
	else if (answer->error == -EPROTOTYPE)
		snprintf(text, sizeof(text), "%s: no device daemon listens at %s: it is another kind of socket", proc_name(p),
			 p->external);
	else
		snprintf(text, sizeof(text), "%s: cannot connect to %s: %s", proc_name(p), p->external, strerror(-answer->error));
	if (strncmp(p->last_line, text, PROC_LINE - 1))
		vm_log(p->vm, p->recovery.ready_ns ? 1 : 2, "%s", text);
	snprintf(p->last_line, sizeof(p->last_line), "%.*s", PROC_LINE - 1, text);
}

/* Whoever starts daemon and machine at once need not wait for the one before the other. */
static bool may_come_yet(const struct proc *p, int error)
{
	bool absent = error == -ENOENT || error == -ECONNREFUSED || error == -EAGAIN;

	return absent && watchdog_now(p->vm) - p->recovery.dialled_ns < DIAL_FIRST_NS;
}

/* At first it is a mistake of the user's, who is told. Later the guest waits until somebody has mended it. */
static void no_connection(struct proc *p, const struct dial_answer *answer)
{
	say_why(p, answer);
	if (p->recovery.ready_ns || may_come_yet(p, answer->error))
		retry_after(p, DIAL_AGAIN_NS);
	else
		machine_end(p->vm, EXIT_USAGE, "device-socket", "%s", p->last_line);
}

static void connected(struct proc *p, int fd)
{
	int rc;

	p->connected_ns = watchdog_now(p->vm);
	rc = start_again(p, fd);
	if (!rc)
		return;
	vm_log(p->vm, 1, "%s: the process at %s cannot be set up: %s", proc_name(p), p->external, strerror(-rc));
	if (p->state == PROC_STARTING)
		proc_blame(p, "could not be set up");
	else
		retry_after(p, DIAL_REFUSED_NS);
}

void recovery_greeted(struct proc *p)
{
	int rc = setup_device(p, has_journal(p));

	if (rc)
		proc_blame(p, strerror(-rc));
}

void recovery_dialled(struct vm *vm, const struct dial_answer *answer, int fd)
{
	struct proc *p = answer->device < DEVICES ? &vm->procs[PROC_FIRST_DEVICE + answer->device] : NULL;

	if (!p || p->recovery.health != DEVICE_WAITING || !machine_wants(p)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (fd >= 0)
		connected(p, fd);
	else
		no_connection(p, answer);
}

/* ---- death ----------------------------------------------------------------------------------------------------- */

static void note_death(struct proc *p, uint64_t now)
{
	struct recovery *r = &p->recovery;
	struct timespec real;

	clock_gettime(CLOCK_REALTIME, &real);
	r->deaths++;
	r->died_ns = now;
	if (!r->left_ns)
		r->left_ns = now;
	capture_death(p);
	r->died_realtime_ns = (uint64_t)real.tv_sec * CLOCK_NS_PER_S + (uint64_t)real.tv_nsec;
}

/* See restart.h. What the ring says is the dead daemon's word; it gains no more than being started again by it. */
static bool made_progress(const struct proc *p, uint64_t now)
{
	const struct recovery *r = &p->recovery;
	uint32_t head = atomic_load_explicit(&r->rsp->head, memory_order_relaxed);
	int left = ring_backlog(r->req, r->rsp);

	if (r->broken || left < 0)
		return false;
	/* Skipping a request is not applying it. */
	if (head != r->start_head)
		return head != r->start_head + r->skips;
	return !left && journal_events(r->journal) != r->start_events && r->served_ns && now - r->served_ns >= IDLE_SERVICE_NS;
}

static void end_trial(struct proc *p)
{
	struct recovery *r = &p->recovery;

	r->on_trial = false;
	if (r->trial_end)
		evtimer_del(r->trial_end);
	if (r->fallback_fd >= 0)
		close(r->fallback_fd);
	r->fallback_fd = -1;
	trial_forget(p);
}

/* A program that cannot take over, or not for long, leaves the field to the one before it. */
static void lose_trial(struct proc *p)
{
	struct recovery *r = &p->recovery;
	bool back = trial_can_go_back(p);

	vm_log(p->vm, 0, "the new program of %s %s: %s", proc_name(p),
	       back ? "is not used" : "has failed, and the one before it cannot take over what it has done", p->last_reason);
	if (back) {
		if (r->program_fd >= 0)
			close(r->program_fd);
		r->program_fd = r->fallback_fd;
		r->fallback_fd = -1;
	}
	end_trial(p);
	p->vm->hooks->device_changed(p->vm, p, p->last_reason);
	r->strict = false;
	recovery_respawn(p);
}

static void on_trial_end(evutil_socket_t fd, short what, void *ctx)
{
	struct proc *p = ctx;

	end_trial(p);
	p->vm->hooks->device_changed(p->vm, p, NULL);
}

/* It serves. Now it has to do so for a while, or that is all. */
static void go_on_with_trial(struct proc *p)
{
	struct recovery *r = &p->recovery;
	const struct timeval tv = { (time_t)(r->trial_ns / CLOCK_NS_PER_S), (suseconds_t)(r->trial_ns % CLOCK_NS_PER_S / 1000) };

	if (r->trial_ns && !r->trial_end)
		r->trial_end = evtimer_new(p->vm->base, on_trial_end, p);
	if (!r->trial_ns || !r->trial_end || evtimer_add(r->trial_end, &tv))
		end_trial(p);
}

static void answer_death(struct proc *p, bool progress, uint64_t now)
{
	uint64_t wait = restart_after(&p->recovery.restart, progress, p->vm->config->device_failure_limit, now);

	if (p->vm->config->on_device_failure == ON_DEVICE_FAILURE_DEGRADE || wait == RESTART_NEVER)
		giving_up(p);
	else if (wait)
		retry_after(p, wait);
	else
		recovery_respawn(p);
}

static void tell_death(struct proc *p)
{
	const char *file = p->recovery.captured;

	news_add(p->vm, "device-died", p, p->last_reason);
	vm_log(p->vm, 1, "%s%s%s", p->last_reason, *file ? "; what it was then: " : "", file);
}

/* Nobody can tell whether it crashed, was killed or replaced: it is not judged, and the guest waits for the next one. */
static void external_gone(struct proc *p, uint64_t now)
{
	struct recovery *r = &p->recovery;

	if (!r->served_ns)
		vm_log(p->vm, 1, "%s", p->last_reason);
	if (!r->ready_ns) {
		machine_end(p->vm, EXIT_USAGE, "device-socket", "%s", p->last_reason);
		return;
	}
	if (!r->served_ns) { /* not one that can take over */
		retry_after(p, DIAL_REFUSED_NS);
		return;
	}
	note_death(p, now);
	tell_death(p);
	if (p->vm->config->on_device_failure == ON_DEVICE_FAILURE_DEGRADE)
		giving_up(p);
	else
		recovery_respawn(p);
}

/* The host refuses a process: it may have more to give later. It is no death, and not this device's failure. */
static bool was_refused(const struct proc *p)
{
	return !p->pid && p->recovery.ready_ns;
}

void recovery_gone(struct proc *p, bool foreign)
{
	struct recovery *r = &p->recovery;
	uint64_t now = clock_ns();
	bool progress = made_progress(p, now);

	if (r->leaving_ns) {
		r->leaving_ns = 0;
		if (r->on_trial)
			trial_keep(p);
		if (!p->vm->hooks->left(p))
			recovery_respawn(p);
		return;
	}
	if (r->on_trial) {
		if (r->served_ns)
			capture_death(p);
		lose_trial(p);
		return;
	}
	if (p->external) {
		external_gone(p, now);
		return;
	}
	if (was_refused(p)) {
		vm_log(p->vm, 1, "%s", p->last_reason);
		retry_after(p, restart_refused(&r->restart));
		return;
	}
	note_death(p, now);
	poison_blame(p, foreign);
	tell_death(p);
	r->births_failed += !r->ready_ns && !foreign;
	if (r->births_failed >= BIRTHS_MAX)
		machine_end(p->vm, EXIT_VMM, "failure", "%s", p->last_reason);
	else
		answer_death(p, progress, now);
}

void recovery_ready(struct proc *p)
{
	struct recovery *r = &p->recovery;
	bool back = r->left_ns != 0;

	r->ready_ns = r->served_ns = clock_ns();
	proc_count_cost(p, cpu_time_ns(p->pid));
	if (back)
		r->away_ns += r->ready_ns - r->left_ns;
	r->left_ns = 0;
	r->strict = r->must_reset = false;
	if (r->on_trial)
		go_on_with_trial(p);
	if (back) {
		news_add(p->vm, "device-back", p, "it serves again");
		vm_log(p->vm, 2, "%s is back: incarnation %u, after %.1f ms", proc_name(p), p->incarnation,
		       (double)(r->ready_ns - r->died_ns) / 1e6);
	}
	p->vm->hooks->device_changed(p->vm, p, NULL);
}

void recovery_broken(struct proc *p)
{
	if (p->state != PROC_READY)
		return;
	p->recovery.broken = true;
	proc_blame(p, "it broke the ring protocol");
}

uint64_t recovery_time(const struct recovery *r)
{
	uint64_t first = atomic_load_explicit(&r->rsp->first_ns, memory_order_relaxed);

	if (!r->deaths || r->left_ns)
		return 0;
	return first > r->died_ns ? first - r->died_ns : r->ready_ns - r->died_ns;
}

/* ---- on request ------------------------------------------------------------------------------------------------ */

/* It finishes its ring and commits before it goes. */
int recovery_let_go(struct proc *p)
{
	int rc = proc_request(p, BULKHEAD__MESSAGE_TYPE__MSG_QUIESCE, NULL, NULL, 0);

	if (!rc)
		p->recovery.leaving_ns = watchdog_now(p->vm);
	return rc;
}

static void resume(struct vm *vm)
{
	if (!vm->paused)
		return;
	vm->paused = false;
	proc_request(&vm->procs[PROC_VCPU], BULKHEAD__MESSAGE_TYPE__MSG_RUN, NULL, NULL, 0);
}

static void rearm(struct proc *p)
{
	struct recovery *r = &p->recovery;

	if (r->retry)
		evtimer_del(r->retry);
	restart_forgive(&r->restart);
	if (r->health == DEVICE_GIVEN_UP)
		giving_up_take_back(p);
	recovery_respawn(p);
	giving_up_over(p);
	resume(p->vm);
}

int recovery_restart(struct proc *p)
{
	struct recovery *r = &p->recovery;

	if (r->health != DEVICE_SERVING) {
		rearm(p);
		return 0;
	}
	return p->state == PROC_READY && !r->leaving_ns ? recovery_let_go(p) : -EBUSY;
}

int recovery_replace(struct proc *p, int program_fd, uint64_t trial_ns)
{
	struct recovery *r = &p->recovery;
	int rc;

	if (p->external)
		return -EOPNOTSUPP;
	if (p->state != PROC_READY || r->leaving_ns || r->on_trial)
		return -EBUSY;
	rc = recovery_let_go(p);
	if (rc)
		return rc;
	r->fallback_fd = r->program_fd;
	r->program_fd = program_fd;
	r->on_trial = r->strict = true;
	r->trial_ns = trial_ns;
	restart_forgive(&r->restart);
	return 0;
}
