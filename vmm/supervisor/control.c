/* SPDX-License-Identifier: MIT */
/*
 * Clients of the control socket. The keeper accepts them and checks who they are (only there do user ids have their
 * host meaning); here a bounded number of them is served, each of which may vanish at any moment.
 */
#include "control.h"
#include "attach.h"
#include "capture.h"
#include "counted.h"
#include "ending.h"
#include "handover.h"
#include "metrics.h"
#include "news.h"
#include "proc.h"
#include "recovery.h"
#include "scrape.h"
#include "take.h"
#include "vm.h"

#include "../common/exit_codes.h"
#include "../common/say.h"

#include "../../proto/clock.h"
#include "../../proto/control_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How long STATUS waits for the numbers of busy processes. */
enum { REQUEST_MAX = 8192, /* of a scraper */ STATS_MS = 50, WAITERS_MAX = VM_CLIENTS - 4, STOP_DEFAULT_MS = 30000, TRIAL_MAX_MS = 60000 };

static void drop(struct client *c)
{
	bool took = c->takes;

	if (c->on_read)
		event_free(c->on_read);
	if (c->on_room)
		event_free(c->on_room);
	if (c->fd >= 0)
		close(c->fd);
	if (c->console_fd >= 0)
		close(c->console_fd);
	*c = (struct client){ .vm = c->vm, .fd = -1, .console_fd = -1 };
	if (took)
		take_end(c->vm);
}

static void reply(struct client *c, uint32_t id, const Bulkhead__Ok *ok)
{
	if (frame_send_dontwait(c->fd, BULKHEAD__MESSAGE_TYPE__MSG_OK, id, &ok->base))
		drop(c);
}

void control_refuse(struct client *c, uint32_t id, int code, const char *text)
{
	if (frame_reply_error(c->fd, id, code, NULL, "%s", text))
		drop(c);
}

/* ---- status ---------------------------------------------------------------------------------------------------- */

static const char *state_name(const struct vm *vm)
{
	switch (vm->state) {
	case VM_STARTING:
		return "starting";
	case VM_RUNNING:
		return vm->rebooting ? "rebooting" : vm->paused || take_is_going_on(vm) ? "paused" : "running";
	case VM_STOPPING:
		return "stopping";
	case VM_ENDED:
		return "ended";
	}
	return "?";
}

static const char *sandbox_state(const struct vm *vm)
{
	if (vm->config->sandbox == SANDBOX_OFF)
		return "off";
	return vm->missing.count ? "partial" : "on";
}

static const char *proc_state_name(const struct proc *p)
{
	switch (p->state) {
	case PROC_NONE:
	case PROC_GONE:
		return p->recovery.health == DEVICE_GIVEN_UP  ? "given up"
		       : p->recovery.health == DEVICE_WAITING ? (p->external ? "waiting for it" : "waiting to restart")
							      : "gone";
	case PROC_STARTING:
		return p->recovery.left_ns ? "restarting" : "starting";
	case PROC_READY:
		return "running";
	case PROC_LEAVING:
		return "ending";
	}
	return "?";
}

struct status_parts {
	Bulkhead__ProcessStatus rows[PROCS + 1], *list[PROCS + 1];
	char *missing[SANDBOX_MISSING_MAX];
	char console[160];
	char serial_text[SERIAL_PORTS][160], *serial[SERIAL_PORTS];
	char *poison[PROCS][RECOVERY_POISON];
	char *cpu_features[CPUF_COUNT];
};

static void add_recovery(Bulkhead__ProcessStatus *row, char **poison, const struct recovery *r)
{
	row->has_deaths = row->has_died_monotonic_ns = row->has_died_realtime_ns = row->has_recovery_ns = true;
	row->deaths = r->deaths;
	row->died_monotonic_ns = r->died_ns;
	row->died_realtime_ns = r->died_realtime_ns;
	row->recovery_ns = recovery_time(r);
	row->has_fruitless = row->has_held_back = row->has_away_ns = row->has_restart_cpu_ns = true;
	row->fruitless = r->restart.fruitless;
	row->held_back = r->restart.held_back;
	row->away_ns = r->away_ns + (r->left_ns ? clock_ns() - r->left_ns : 0);
	row->restart_cpu_ns = r->cost_ns;
	row->poison = poison;
	for (; row->n_poison < r->poison_count && row->n_poison < RECOVERY_POISON; row->n_poison++)
		poison[row->n_poison] = (char *)r->poison[row->n_poison];
}

/* As the host numbers it; 0: it has no process now, or only its number in the machine is known. */
static uint32_t host_pid(const struct proc *p)
{
	if (p->pidfd < 0 && !p->external)
		return 0;
	if (p->host_pid || p->vm->launch->isolation != ISOLATION_NONE)
		return (uint32_t)p->host_pid;
	return (uint32_t)p->pid;
}

/* How it ended; or, of one that somebody else is to start, why it is not back. */
static const char *reason_of(const struct proc *p)
{
	if (p->external && p->recovery.health == DEVICE_WAITING && p->last_line[0])
		return p->last_line;
	return p->last_reason[0] ? p->last_reason : NULL;
}

static void add_process(Bulkhead__Status *s, struct status_parts *parts, const struct proc *p)
{
	Bulkhead__ProcessStatus *row = &parts->rows[s->n_processes];

	bulkhead__process_status__init(row);
	row->has_role = row->has_pid = row->has_incarnation = true;
	row->role = proc_role(p);
	row->name = (char *)proc_name(p);
	row->pid = host_pid(p);
	row->incarnation = p->incarnation;
	row->state = (char *)proc_state_name(p);
	row->version = (char *)p->version;
	row->external = (char *)p->external;
	row->capture = (char *)(p->recovery.captured[0] ? p->recovery.captured : NULL);
	row->last_reason = (char *)reason_of(p);
	row->stats = (Bulkhead__Stats *)&p->stats;
	if (p->recovery.rsp)
		add_recovery(row, parts->poison[p->id], &p->recovery);
	parts->list[s->n_processes++] = row;
}

static void add_cpu(Bulkhead__Status *s, struct status_parts *parts, const struct vm *vm)
{
	s->cpu = (char *)config_cpu(vm->config);
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if (cpu_has(&vm->cpu_features, f))
			parts->cpu_features[s->n_cpu_features++] = (char *)cpu_features[f].name;
	s->cpu_features = parts->cpu_features;
}

static void add_serial(Bulkhead__Status *s, struct status_parts *parts, const struct vm *vm)
{
	s->serial = parts->serial;
	for (unsigned i = 0; i < SERIAL_PORTS; i++) {
		char *text = parts->serial_text[i];

		if (vm->launch->serial_kind[i] == SERIAL_NOTHING)
			continue;
		if (vm->launch->serial_kind[i] == SERIAL_PTY)
			snprintf(text, sizeof(parts->serial_text[i]), "%u:pty %s/com%u", i + 1, vm->launch->dir, i + 1);
		else
			snprintf(text, sizeof(parts->serial_text[i]), "%s", vm->config->serial[i]);
		s->serial[s->n_serial++] = text;
	}
}

static void fill_status(const struct vm *vm, Bulkhead__Status *s, struct status_parts *parts)
{
	s->name = (char *)vm->config->name;
	s->state = (char *)state_name(vm);
	s->engine = vm->engine_kvm ? "kvm" : "emu";
	s->has_fallbacks = vm->engine_kvm;
	s->fallbacks = counted_sum(vm, COUNTER_FALLBACKS);
	s->engine_reason = vm->launch->engine_reason;
	s->has_ram_bytes = s->has_started_ns = s->has_reboots = true;
	s->ram_bytes = vm->config->ram_bytes;
	s->started_ns = vm->realtime_started_ns;
	s->has_vcpus = s->has_sockets = s->has_cores = s->has_threads = true;
	s->vcpus = vm_cpus(vm);
	s->sockets = vm->config->cpus.sockets;
	s->cores = vm->config->cpus.cores;
	s->threads = vm->config->cpus.threads;
	s->reboots = vm->reboots;
	s->kernel = (char *)config_image(vm->config);
	s->firmware_reason = (char *)vm->config->firmware_why;
	snprintf(parts->console, sizeof(parts->console), "%s/console.sock", vm->launch->dir);
	s->console = parts->console;
	s->debugger = (char *)vm->launch->debugger;
	add_serial(s, parts, vm);
	s->has_gave_up = true;
	for (unsigned i = PROC_FIRST_DEVICE; i < PROCS; i++)
		s->gave_up |= vm->procs[i].recovery.gave_up;
	for (unsigned i = 0; i < PROCS; i++)
		if ((vm->procs[i].state != PROC_NONE && vm->procs[i].state != PROC_GONE) ||
		    (vm->procs[i].kind && proc_exists(&vm->procs[i])))
			add_process(s, parts, &vm->procs[i]);
	s->processes = parts->list;
	for (unsigned i = 0; i < vm->missing.count; i++)
		parts->missing[i] = (char *)vm->missing.missing[i];
	add_cpu(s, parts, vm);
	s->sandbox = (char *)sandbox_state(vm);
	s->n_sandbox_missing = vm->missing.count;
	s->sandbox_missing = parts->missing;
}

/* What does not fit into its socket at once was not read for long. */
static void answer_scraper(struct client *c)
{
	size_t len;
	const char *text = metrics_answer(c->vm, &len);

	send(c->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	drop(c);
}

static void answer_counters(struct client *c, Bulkhead__Ok *ok)
{
	static struct counted counted;
	static struct counted_parts parts;
	Bulkhead__Counters m;

	counted_read(c->vm, &counted);
	counted_message(&counted, &m, &parts);
	ok->counters = &m;
	reply(c, c->status_id, ok);
	ok->counters = NULL;
}

static void answer_status(struct vm *vm)
{
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	Bulkhead__Status status = BULKHEAD__STATUS__INIT;
	struct status_parts parts;

	if (vm->status_timer)
		evtimer_del(vm->status_timer);
	fill_status(vm, &status, &parts);
	ok.status = &status;
	for (unsigned i = 0; i < VM_CLIENTS; i++) {
		struct client *c = &vm->clients[i];

		if (c->fd < 0 || !c->status_wanted)
			continue;
		c->status_wanted = false;
		if (c->scrapes)
			answer_scraper(c);
		else if (c->counters_wanted)
			answer_counters(c, &ok);
		else
			reply(c, c->status_id, &ok);
	}
}

void control_stats_changed(struct vm *vm)
{
	for (unsigned i = 0; i < PROCS; i++)
		if (vm->procs[i].stats_wanted && !vm->procs[i].stats_late)
			return;
	answer_status(vm);
}

static void on_stats_timeout(evutil_socket_t fd, short what, void *ctx)
{
	struct vm *vm = ctx;

	for (unsigned i = 0; i < PROCS; i++)
		vm->procs[i].stats_late = vm->procs[i].stats_wanted;
	answer_status(vm);
}

static void ask_for_stats(struct vm *vm)
{
	const struct timeval limit = { 0, STATS_MS * 1000 };

	if (!vm->status_timer)
		vm->status_timer = evtimer_new(vm->base, on_stats_timeout, vm);
	for (unsigned i = PROC_VCPU; i < PROCS; i++) {
		struct proc *p = &vm->procs[i];

		if (p->state == PROC_READY && !p->stats_wanted)
			p->stats_wanted = !proc_request(p, BULKHEAD__MESSAGE_TYPE__MSG_STATS, NULL, NULL, 0);
	}
	/* Not put off by the next client's question. */
	if (vm->status_timer && !evtimer_pending(vm->status_timer, NULL))
		evtimer_add(vm->status_timer, &limit);
	control_stats_changed(vm);
}

/* ---- requests -------------------------------------------------------------------------------------------------- */

static void on_status(struct client *c, const struct frame *f)
{
	c->status_id = f->header.id;
	c->status_wanted = true;
	c->counters_wanted = f->header.type == BULKHEAD__MESSAGE_TYPE__MSG_COUNTERS;
	ask_for_stats(c->vm);
}

/* Those who only wait for the end leave room for those who want to bring it about. */
static unsigned count_waiters(const struct vm *vm)
{
	unsigned n = 0;

	for (unsigned i = 0; i < VM_CLIENTS; i++)
		n += vm->clients[i].fd >= 0 && (vm->clients[i].wait_type || vm->clients[i].watches);
	return n;
}

static void wait_for_end(struct client *c, const struct frame *f)
{
	c->wait_id = f->header.id;
	c->wait_type = f->header.type;
}

static void on_stop(struct client *c, const struct frame *f)
{
	const Bulkhead__Stop *m = (const Bulkhead__Stop *)f->msg;
	uint32_t ms = m->has_timeout_ms ? m->timeout_ms : STOP_DEFAULT_MS;
	bool force = m->has_force && m->force;

	wait_for_end(c, f);
	machine_stop(c->vm, force ? 0 : ms);
	if (force)
		machine_hurry(c->vm);
}

static void on_kill(struct client *c, const struct frame *f)
{
	wait_for_end(c, f);
	if (take_leave(c))
		return;
	machine_end(c->vm, EXIT_VMM, "killed", "killed by request");
	machine_hurry(c->vm);
}

static void on_wait(struct client *c, const struct frame *f)
{
	if (count_waiters(c->vm) < WAITERS_MAX)
		wait_for_end(c, f);
	else
		control_refuse(c, f->header.id, EBUSY, "too many clients wait for the end of this machine; try again later");
}

static void on_take(struct client *c, const struct frame *f)
{
	take_begin(c, f->header.id);
}

void control_answer_take(struct vm *vm, uint32_t id, const int fds[FRAME_TAKE_FDS])
{
	const Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	struct client *c = take_client(vm);

	if (c && frame_send(c->fd, BULKHEAD__MESSAGE_TYPE__MSG_OK, id, &ok.base, fds, FRAME_TAKE_FDS))
		drop(c);
}

/* ---- news ------------------------------------------------------------------------------------------------------ */

static void on_room(evutil_socket_t fd, short what, void *ctx);

static void wait_for_room(struct client *c)
{
	if (!c->on_room)
		c->on_room = event_new(c->vm->base, c->fd, EV_WRITE, on_room, c);
	if (!c->on_room || event_add(c->on_room, NULL))
		drop(c);
}

/* Whoever does not read is told later, what is still there then. */
static void tell_news(struct client *c)
{
	const struct news *n;
	Bulkhead__News m;
	int rc = 0;

	while (!rc && (n = news_after(&c->vm->news, c->told))) {
		news_message(n, &m);
		rc = frame_send_dontwait(c->fd, BULKHEAD__MESSAGE_TYPE__MSG_NEWS, 0, &m.base);
		if (!rc)
			c->told = n->number;
	}
	if (rc == -EAGAIN)
		wait_for_room(c);
	else if (rc)
		drop(c);
}

static void on_room(evutil_socket_t fd, short what, void *ctx)
{
	tell_news(ctx);
}

void control_news(struct vm *vm)
{
	for (unsigned i = 0; i < VM_CLIENTS; i++)
		if (vm->clients[i].fd >= 0 && vm->clients[i].watches)
			tell_news(&vm->clients[i]);
}

static void on_watch(struct client *c, const struct frame *f)
{
	const Bulkhead__Watch *m = (const Bulkhead__Watch *)f->msg;
	const Bulkhead__Ok ok = BULKHEAD__OK__INIT;

	if (count_waiters(c->vm) >= WAITERS_MAX) {
		control_refuse(c, f->header.id, EBUSY, "too many clients listen to this machine; try again later");
		return;
	}
	c->told = m->has_after ? m->after : 0;
	c->watches = true;
	reply(c, f->header.id, &ok);
	if (c->fd >= 0)
		tell_news(c);
}

static void on_reopen_log(struct client *c, const struct frame *f)
{
	const Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	int rc = say_elsewhere(f->fds[0]);

	if (rc)
		control_refuse(c, f->header.id, -rc, "the log's writer does not take another file now");
	else
		reply(c, f->header.id, &ok);
}

/* ---- devices --------------------------------------------------------------------------------------------------- */

static const char no_such_device[] = "no such device in this machine; bulkhead device list NAME tells";

static struct proc *find_device(struct vm *vm, const Bulkhead__DeviceName *m)
{
	for (unsigned i = PROC_FIRST_DEVICE; m->device && i < PROCS; i++)
		if (proc_exists(&vm->procs[i]) && !strcmp(proc_name(&vm->procs[i]), m->device))
			return &vm->procs[i];
	return NULL;
}

/* fd -1: the same program again. Answered when it is done, by control_device_changed(). */
static void renew(struct client *c, const struct frame *f, int fd)
{
	const Bulkhead__DeviceName *m = (const Bulkhead__DeviceName *)f->msg;
	uint64_t trial_ms = m->has_trial_ms && m->trial_ms < TRIAL_MAX_MS ? m->trial_ms : 0;
	struct proc *p = find_device(c->vm, m);
	uint32_t id = f->header.id;
	int rc = -ENODEV;

	if (p && c->vm->state != VM_ENDED) {
		c->device = p;
		c->device_id = id;
		c->waits_for_trial = trial_ms != 0;
		rc = fd >= 0 ? recovery_replace(p, fd, trial_ms * CLOCK_NS_PER_MS) : recovery_restart(p);
	}
	if (!rc)
		return;
	if (fd >= 0)
		close(fd);
	c->device = NULL;
	control_refuse(c, id, -rc,
		       rc == -EOPNOTSUPP
			       ? "somebody else serves this device (--device): end that process, and start another program "
				 "at its socket; the guest waits"
		       : p ? "the device is being restarted already, or was given up"
			   : no_such_device);
}

static void on_device_restart(struct client *c, const struct frame *f)
{
	renew(c, f, -1);
}

static void on_device_replace(struct client *c, const struct frame *f)
{
	int fd = f->fds[0];

	c->vm->frame.fds[0] = -1;
	renew(c, f, fd);
}

static void on_device_capture(struct client *c, const struct frame *f)
{
	struct proc *p = find_device(c->vm, (const Bulkhead__DeviceName *)f->msg);
	const Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	const char *why = p ? capture_now(p) : no_such_device;

	if (why)
		control_refuse(c, f->header.id, p ? EBUSY : ENODEV, why);
	else if (frame_send(c->fd, BULKHEAD__MESSAGE_TYPE__MSG_OK, f->header.id, &ok.base, &c->vm->state_object.ro, 1))
		drop(c);
}

/* Answered when the guest goes on, by control_engine_changed(). */
static void on_engine(struct client *c, const struct frame *f)
{
	const Bulkhead__Engine *m = (const Bulkhead__Engine *)f->msg;
	const bool kvm = m->engine && !strcmp(m->engine, "kvm");
	const char *why = "the engine has to be emu or kvm";

	if (kvm || (m->engine && !strcmp(m->engine, "emu"))) {
		c->engine_id = f->header.id;
		why = handover_begin(c->vm, kvm, m->has_force && m->force);
	}
	if (!why)
		return;
	c->engine_id = 0;
	control_refuse(c, f->header.id, EBUSY, why);
}

void control_engine_changed(struct vm *vm, const char *error)
{
	const Bulkhead__Ok ok = BULKHEAD__OK__INIT;

	for (unsigned i = 0; i < VM_CLIENTS; i++) {
		struct client *c = &vm->clients[i];
		uint32_t id = c->engine_id;

		if (c->fd < 0 || !id)
			continue;
		c->engine_id = 0;
		if (error)
			control_refuse(c, id, ENOTSUP, error);
		else
			reply(c, id, &ok);
	}
}

void control_device_changed(struct vm *vm, struct proc *p, const char *error)
{
	const Bulkhead__Ok ok = BULKHEAD__OK__INIT;

	/* A new program that failed: its requester has been told, the old one's return is nobody's news. */
	for (unsigned i = 0; i < VM_CLIENTS; i++) {
		struct client *c = &vm->clients[i];

		if (c->fd < 0 || c->device != p || (!error && c->waits_for_trial && p->recovery.on_trial))
			continue;
		c->device = NULL;
		if (error)
			control_refuse(c, c->device_id, EIO, error);
		else
			reply(c, c->device_id, &ok);
	}
}

/* What each request takes. Replacing a program is executing a program, and a machine's state is all that its guest knows:
 * that belongs to the owner. */
static const struct {
	uint16_t type;
	enum client_rights least;
	void (*handle)(struct client *c, const struct frame *f);
} requests[] = {
	{ BULKHEAD__MESSAGE_TYPE__MSG_STATUS, CLIENT_MEMBER, on_status },
	{ BULKHEAD__MESSAGE_TYPE__MSG_COUNTERS, CLIENT_MEMBER, on_status },
	{ BULKHEAD__MESSAGE_TYPE__MSG_WATCH, CLIENT_MEMBER, on_watch },
	{ BULKHEAD__MESSAGE_TYPE__MSG_REOPEN_LOG, CLIENT_OWNER, on_reopen_log },
	{ BULKHEAD__MESSAGE_TYPE__MSG_STOP, CLIENT_MEMBER, on_stop },
	{ BULKHEAD__MESSAGE_TYPE__MSG_KILL, CLIENT_MEMBER, on_kill },
	{ BULKHEAD__MESSAGE_TYPE__MSG_WAIT, CLIENT_MEMBER, on_wait },
	{ BULKHEAD__MESSAGE_TYPE__MSG_DEVICE_RESTART, CLIENT_MEMBER, on_device_restart },
	{ BULKHEAD__MESSAGE_TYPE__MSG_DEVICE_REPLACE, CLIENT_OWNER, on_device_replace },
	{ BULKHEAD__MESSAGE_TYPE__MSG_CONSOLE, CLIENT_MEMBER, attach_asked },
	{ BULKHEAD__MESSAGE_TYPE__MSG_SCREEN, CLIENT_MEMBER, attach_asked },
	{ BULKHEAD__MESSAGE_TYPE__MSG_INPUT, CLIENT_MEMBER, attach_asked },
	{ BULKHEAD__MESSAGE_TYPE__MSG_DEVICE_CAPTURE, CLIENT_OWNER, on_device_capture },
	{ BULKHEAD__MESSAGE_TYPE__MSG_TAKE, CLIENT_OWNER, on_take },
	{ BULKHEAD__MESSAGE_TYPE__MSG_ENGINE, CLIENT_OWNER, on_engine },
};

static void dispatch(struct client *c, const struct frame *f)
{
	uint32_t id = f->header.id;

	c->heard_ns = clock_ns();
	if (c->wait_type || c->status_wanted || c->watches || c->device || c->console_fd >= 0 ||
	    (c->takes && c->vm->take.step != TAKE_HELD)) {
		control_refuse(c, id, EBUSY, "one request at a time: the last one is not answered yet");
		return;
	}
	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (requests[i].type != f->header.type)
			continue;
		if (c->rights >= requests[i].least)
			requests[i].handle(c, f);
		else
			control_refuse(c, id, EPERM, "only the machine's owner and root may do that");
		return;
	}
	control_refuse(c, id, EOPNOTSUPP, "not a request that this supervisor serves");
}

/* Only where the request ends is looked for, at most so far. */
static void on_scraper(struct client *c)
{
	char bytes[1024];
	ssize_t n = read(c->fd, bytes, sizeof(bytes));

	if (n < 0 && errno == EAGAIN)
		return;
	c->heard_ns = clock_ns();
	c->request_bytes += n > 0 ? (unsigned)n : 0;
	if (n < 0 || c->request_bytes > REQUEST_MAX) {
		drop(c);
		return;
	}
	if (n && !scrape_ends(&c->request_tail, bytes, (size_t)n))
		return;
	event_del(c->on_read);
	c->status_wanted = true;
	ask_for_stats(c->vm);
}

static void on_client(evutil_socket_t fd, short what, void *ctx)
{
	struct client *c = ctx;
	struct frame *f = &c->vm->frame;
	int rc;

	if (c->scrapes) {
		on_scraper(c);
		return;
	}
	rc = frame_recv(fd, f);

	if (rc == -EAGAIN)
		return;
	if (rc) {
		drop(c);
		return;
	}
	dispatch(c, f);
	frame_close_fds(f);
}

void control_init(struct vm *vm)
{
	for (unsigned i = 0; i < VM_CLIENTS; i++)
		vm->clients[i] = (struct client){ .vm = vm, .fd = -1, .console_fd = -1 };
}

/* A free one, else the one that has been silent for longest without waiting for anything: it only holds the place. */
static struct client *find_place(struct vm *vm)
{
	struct client *idle = NULL;

	for (unsigned i = 0; i < VM_CLIENTS; i++) {
		struct client *c = &vm->clients[i];

		if (c->fd < 0)
			return c;
		if (!c->wait_type && !c->status_wanted && !c->watches && !c->device && !c->takes && c->console_fd < 0 &&
		    (!idle || c->heard_ns < idle->heard_ns))
			idle = c;
	}
	if (idle)
		drop(idle);
	return idle;
}

static void take_place(struct client *c, int fd, enum client_rights rights)
{
	c->fd = fd;
	c->rights = rights;
	c->heard_ns = clock_ns();
	c->on_read = event_new(c->vm->base, fd, EV_READ | EV_PERSIST, on_client, c);
	if (!c->on_read || event_add(c->on_read, NULL))
		drop(c);
}

void control_add_scraper(struct vm *vm, int fd)
{
	struct client *c = find_place(vm);

	if (!c) {
		close(fd);
		return;
	}
	c->scrapes = true;
	take_place(c, fd, CLIENT_STRANGER);
}

void control_add(struct vm *vm, int fd, enum client_rights rights)
{
	struct client *c = find_place(vm);

	if (c) {
		take_place(c, fd, rights);
		return;
	}
	frame_reply_error(fd, 0, EBUSY, NULL, "too many control clients (%d); try again later", VM_CLIENTS);
	close(fd);
}

/* A client that is mid-message or asked for status gets the same last answer. */
void control_ended(struct vm *vm)
{
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	Bulkhead__ExitInfo info = BULKHEAD__EXIT_INFO__INIT;

	info.has_code = true;
	info.code = vm->exit_code;
	info.reason = vm->exit_reason;
	info.text = vm->exit_text;
	info.has_guest_code = vm->launch->report->has_guest_code;
	info.guest_code = vm->launch->report->guest_code;
	ok.exit = &info;
	answer_status(vm);
	for (unsigned i = 0; i < VM_CLIENTS; i++)
		if (vm->clients[i].fd >= 0 && vm->clients[i].wait_type)
			reply(&vm->clients[i], vm->clients[i].wait_id, &ok);
}
