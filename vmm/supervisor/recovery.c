/* SPDX-License-Identifier: MIT */
/* The death of a device and its next incarnation: see recovery.h. */
#include "recovery.h"
#include "cpu_time.h"
#include "ending.h"
#include "news.h"
#include "proc.h"
#include "setup.h"
#include "tell.h"
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
enum { POISON_DEATHS = 2, BIRTHS_MAX = 3 };

static const char *on_failure_name(enum on_device_failure policy)
{
	switch (policy) {
	case ON_DEVICE_FAILURE_RESTART:
	case ON_DEVICE_FAILURE_DEGRADE:
		return "the machine goes on without it";
	case ON_DEVICE_FAILURE_PAUSE:
		return "the machine is paused";
	case ON_DEVICE_FAILURE_STOP:
		return "the machine is ended";
	}
	return "?";
}

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

/* ---- poisonous requests ---------------------------------------------------------------------------------------- */

/* From REQ, which only the vcpu process can write; false: it is not in the ring (any more). */
static bool copy_slot(const struct recovery *r, uint32_t seq, struct io_slot *out)
{
	uint32_t tail = atomic_load_explicit(&r->req->tail, memory_order_acquire);

	if (tail - seq - 1 >= RING_SLOTS)
		return false;
	memcpy(out, &r->req->slots[seq % RING_SLOTS], sizeof(*out));
	return out->seq == seq;
}

static void describe_slot(char *out, size_t len, const struct io_slot *s)
{
	static const char *const names[IO_OPS] = {
		[IO_INVALID] = "nothing",
		[IO_READ] = "read",
		[IO_WRITE] = "write",
		[IO_EOI] = "end of interrupt",
		[IO_INTA] = "interrupt acknowledge",
		[IO_FENCE] = "fence",
		[IO_RESET] = "reset",
	};

	snprintf(out, len, "request %u: %s of %u x %u bytes at %s 0x%llx, data 0x%llx, vcpu %u", s->seq,
		 s->op < IO_OPS ? names[s->op] : "unknown", s->count ? s->count : 1, s->size,
		 s->space == MODEL_PORT ? "port" : "address", (unsigned long long)s->addr, (unsigned long long)s->data, s->vcpu);
}

static void condemn(struct proc *p, uint32_t seq)
{
	struct recovery *r = &p->recovery;
	char *words = r->poison[r->poison_count % RECOVERY_POISON];
	struct io_slot slot;

	r->poison_count++;
	if (copy_slot(r, seq, &slot))
		describe_slot(words, RECOVERY_WORDS, &slot);
	else
		snprintf(words, RECOVERY_WORDS, "request %u, which is not in the ring any more", seq);
	news_add(p->vm, "request-skipped", p, words);
	vm_log(p->vm, 0, "%s was killed %u times by the same request, which will be skipped: %s", proc_name(p), r->suspect_deaths,
	       words);
}

/* Was it applying a request when it died, and is it the one of last time? Who is killed from outside says nothing. */
static void blame_request(struct proc *p, bool foreign)
{
	struct recovery *r = &p->recovery;
	bool known = r->suspected;
	uint32_t before = r->suspect_seq, seq;

	/* Told to skip one, but died before that? */
	r->skips = r->skips && r->skip_seq == atomic_load_explicit(&r->rsp->head, memory_order_relaxed);
	if (foreign)
		return;
	r->suspected = journal_attempted(r->journal, &seq);
	if (!r->suspected)
		return;
	r->suspect_seq = seq;
	r->suspect_deaths = known && before == seq ? r->suspect_deaths + 1 : 1;
	if (r->suspect_deaths == POISON_DEATHS)
		condemn(p, seq);
	r->skips = r->suspect_deaths >= POISON_DEATHS;
	r->skip_seq = seq;
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

static int start_again(struct proc *p)
{
	struct recovery *r = &p->recovery;
	uint64_t begun_ns = our_cpu_ns();
	int rc = proc_spawn(p);

	r->health = DEVICE_SERVING;
	r->is_restart = r->left_ns != 0;
	r->broken = false;
	r->served_ns = 0;
	r->start_events = journal_events(r->journal);
	r->start_head = atomic_load_explicit(&r->rsp->head, memory_order_relaxed);
	if (!rc)
		rc = setup_device(p, true);
	r->cost_ns += our_cpu_ns() - begun_ns;
	return rc;
}

void recovery_respawn(struct proc *p)
{
	struct recovery *r = &p->recovery;
	int rc = start_again(p);

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

/* ---- giving up ------------------------------------------------------------------------------------------------- */

static void tell_vcpu(struct proc *p, bool given_up)
{
	Bulkhead__DeviceState m = BULKHEAD__DEVICE_STATE__INIT;
	struct proc *vcpu = &p->vm->procs[PROC_VCPU];

	m.has_device = m.has_given_up = true;
	m.device = proc_role(p);
	m.has_instance = p->instance != 0;
	m.instance = p->instance;
	m.given_up = given_up;
	if (vcpu->state == PROC_READY)
		proc_request(vcpu, BULKHEAD__MESSAGE_TYPE__MSG_DEVICE_STATE, &m.base, NULL, 0);
}

void recovery_tell_vcpu(struct vm *vm)
{
	for (unsigned i = PROC_FIRST_DEVICE; i < PROCS; i++)
		if (vm->procs[i].recovery.health == DEVICE_GIVEN_UP)
			tell_vcpu(&vm->procs[i], true);
}

/* In ring slots: nobody can say how many more would have come. */
static void log_loss(struct proc *p)
{
	int left = ring_backlog(p->recovery.req, p->recovery.rsp);

	news_add(p->vm, "device-given-up", p, p->last_reason);
	vm_log(p->vm, 0,
	       "%s is given up after %u deaths, the last %u without progress: %s; lost from now on: %u requests in its "
	       "ring, every write to it; its reads are all-ones; bulkhead device restart %s %s tries again",
	       proc_name(p), p->recovery.deaths, p->recovery.restart.fruitless, on_failure_name(p->vm->config->on_device_failure),
	       left > 0 ? (unsigned)left : 0, p->vm->config->name, proc_name(p));
}

static void on_unread_text(evutil_socket_t fd, short what, void *ctx)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	(void)n;
}

/* Text of the debug ports goes to the console's daemon. Without a reader platformd would keep its guest waiting. */
static void read_in_its_place(struct proc *p, bool read)
{
	struct vm *vm = p->vm;

	for (unsigned i = 0; i < p->kind->fd_count; i++) {
		if (p->kind->fds[i] != KIND_FD_DEBUG_READ)
			continue;
		if (!vm->unread_text)
			vm->unread_text =
				event_new(vm->base, vm->shared_fd[KIND_FD_DEBUG_READ], EV_READ | EV_PERSIST, on_unread_text, vm);
		if (vm->unread_text)
			read ? event_add(vm->unread_text, NULL) : event_del(vm->unread_text);
	}
}

static void give_up(struct proc *p)
{
	enum on_device_failure policy = p->vm->config->on_device_failure;
	struct vm *vm = p->vm;

	p->recovery.health = DEVICE_GIVEN_UP;
	p->recovery.gave_up = true;
	log_loss(p);
	read_in_its_place(p, true);
	vm->hooks->device_changed(vm, p, "the device was given up");
	if (policy == ON_DEVICE_FAILURE_STOP) {
		machine_end(vm, EXIT_QUARANTINE, "device", "%s was given up: %s", proc_name(p), p->last_reason);
	} else if (policy == ON_DEVICE_FAILURE_PAUSE && vm->state != VM_ENDED) {
		vm->paused = true;
		proc_request(&vm->procs[PROC_VCPU], BULKHEAD__MESSAGE_TYPE__MSG_PAUSE, NULL, NULL, 0);
	}
	tell_vcpu(p, true);
	vm->hooks->maybe_run(vm);
	machine_device_settled(p);
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

/* A program that cannot take over leaves the field to the one before it. */
static void end_trial(struct proc *p)
{
	struct recovery *r = &p->recovery;

	vm_log(p->vm, 0, "the new program of %s is not used: %s", proc_name(p), p->last_reason);
	p->vm->hooks->device_changed(p->vm, p, p->last_reason);
	if (r->program_fd >= 0)
		close(r->program_fd);
	r->program_fd = r->fallback_fd;
	r->fallback_fd = -1;
	r->on_trial = r->strict = false;
	recovery_respawn(p);
}

static void answer_death(struct proc *p, bool progress, uint64_t now)
{
	uint64_t wait = restart_after(&p->recovery.restart, progress, p->vm->config->device_failure_limit, now);

	if (p->vm->config->on_device_failure == ON_DEVICE_FAILURE_DEGRADE || wait == RESTART_NEVER)
		give_up(p);
	else if (wait)
		retry_after(p, wait);
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
		if (!p->vm->hooks->left(p))
			recovery_respawn(p);
		return;
	}
	if (r->on_trial) {
		end_trial(p);
		return;
	}
	if (was_refused(p)) {
		vm_log(p->vm, 1, "%s", p->last_reason);
		retry_after(p, restart_refused(&r->restart));
		return;
	}
	note_death(p, now);
	news_add(p->vm, "device-died", p, p->last_reason);
	blame_request(p, foreign);
	vm_log(p->vm, 1, "%s", p->last_reason);
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
	if (r->on_trial) {
		r->on_trial = false;
		if (r->fallback_fd >= 0)
			close(r->fallback_fd);
		r->fallback_fd = -1;
	}
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
	if (r->health == DEVICE_GIVEN_UP) {
		read_in_its_place(p, false);
		r->drops = true;
		r->drop_to = atomic_load_explicit(&r->req->tail, memory_order_relaxed);
	}
	recovery_respawn(p);
	tell_vcpu(p, false);
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

int recovery_replace(struct proc *p, int program_fd)
{
	struct recovery *r = &p->recovery;
	int rc;

	if (p->state != PROC_READY || r->leaving_ns || r->on_trial)
		return -EBUSY;
	rc = recovery_let_go(p);
	if (rc)
		return rc;
	r->fallback_fd = r->program_fd;
	r->program_fd = program_fd;
	r->on_trial = r->strict = true;
	restart_forgive(&r->restart);
	return 0;
}
