/* SPDX-License-Identifier: MIT */
/* One child process as the supervisor sees it: start, requests, events, log lines, death. */
#include "proc.h"
#include "cpu_time.h"
#include "spawn.h"
#include "tell.h"
#include "vm.h"

#include "../common/limits.h"

#include "../../proto/clock.h"
#include "../../proto/control_check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

const char *proc_name(const struct proc *p)
{
	return p->name;
}

/* Those that no row of devices.def is about. */
struct fixed {
	Bulkhead__Role role;
	enum program program;
	enum sandbox_role fence; /* of the vcpu process, with the emulator */
	const char *name;
};

static const struct fixed *fixed_of(const struct proc *p)
{
	static const struct fixed rows[] = {
		[PROC_BOOT] = { BULKHEAD__ROLE__ROLE_BOOT, PROGRAM_BOOT, SANDBOX_BOOT, "bulkhead-boot" },
		[PROC_GDBD] = { BULKHEAD__ROLE__ROLE_GDBD, PROGRAM_GDBD, SANDBOX_GDBD, "bulkhead-gdbd" },
		[PROC_VCPU] = { BULKHEAD__ROLE__ROLE_VCPU, PROGRAM_VCPU, SANDBOX_VCPU_EMU, "bulkhead-vcpu" },
	};

	return &rows[p->id];
}

Bulkhead__Role proc_role(const struct proc *p)
{
	if (p->kind)
		return (Bulkhead__Role)p->kind->role;
	return fixed_of(p)->role;
}

bool proc_exists(const struct proc *p)
{
	return !p->kind || p->instance < p->vm->config->devices[p->kind - kind_rows];
}

static enum program program_of(const struct proc *p)
{
	if (p->kind)
		return PROGRAM_DEVICE + (enum program)(p->kind - kind_rows);
	return fixed_of(p)->program;
}

/* Which kind's which instance a process id stands for, and who starts it. */
static void find_kind(struct proc *p)
{
	unsigned n = p->id - PROC_FIRST_DEVICE;

	if (p->id < PROC_FIRST_DEVICE)
		return;
	p->kind = kind_of_number(n, &p->instance);
	p->external = p->vm->config->external[n].path;
}

void proc_init(struct vm *vm)
{
	for (unsigned i = 0; i < PROCS; i++) {
		struct proc *p = &vm->procs[i];

		p->vm = vm;
		p->id = (enum proc_id)i;
		find_kind(p);
		control_process_name(proc_role(p), p->instance, p->name);
		bulkhead__stats__init(&p->stats);
		p->recovery.program_fd = p->recovery.fallback_fd = -1;
		p->pidfd = p->control_fd = p->event_fd = p->log_fd = -1;
	}
}

/* ---- requests and replies -------------------------------------------------------------------------------------- */

int proc_request(struct proc *p, uint16_t type, const ProtobufCMessage *msg, const int *fds, unsigned nfds)
{
	static const Bulkhead__Empty empty = BULKHEAD__EMPTY__INIT;
	uint32_t id = ++p->next_id;
	int rc;

	for (unsigned i = 0; i < PROC_PENDING; i++) {
		if (p->pending[i].type)
			continue;
		rc = frame_send(p->control_fd, type, id, msg ? msg : &empty.base, fds, nfds);
		if (!rc) {
			p->pending[i].id = id;
			p->pending[i].type = type;
		}
		/* It is dead: its pidfd tells so, and how, in a moment. */
		return rc == -EPIPE || rc == -ECONNRESET ? 0 : rc;
	}
	return -EBUSY; /* it does not answer */
}

bool proc_owes(const struct proc *p, uint16_t type)
{
	for (unsigned i = 0; i < PROC_PENDING; i++)
		if (p->pending[i].type == type)
			return true;
	return false;
}

/* The type of the request with that id, which is then no longer pending; 0: there is none. */
static uint16_t take_pending(struct proc *p, uint32_t id)
{
	for (unsigned i = 0; i < PROC_PENDING; i++) {
		uint16_t type = p->pending[i].type;

		if (type && p->pending[i].id == id) {
			p->pending[i].type = 0;
			return type;
		}
	}
	return 0;
}

/* ---- how much it may say --------------------------------------------------------------------------------------- */

/* Events, pieces of stderr per second; then it waits, in sockets and pipes that the kernel bounds. */
enum { TALK_LIMIT = 400, TALK_WINDOW_MS = 1000, LOG_LIMIT = 40 };
#define LOG_WINDOW_NS 10000000000ull

bool proc_may_log(struct proc *p)
{
	bool may = budget_allows(&p->logging, LOG_LIMIT, LOG_WINDOW_NS);
	unsigned refused = budget_take_refused(&p->logging);

	if (refused)
		vm_log(p->vm, 1, "%s: %u lines suppressed", proc_name(p), refused);
	return may;
}

static void on_pardon(evutil_socket_t fd, short what, void *ctx)
{
	struct proc *p = ctx;

	if (p->on_event)
		event_add(p->on_event, NULL);
	if (p->on_log)
		event_add(p->on_log, NULL);
}

/* False: it has said too much for now. Requests of the supervisor and their answers go on. */
static bool may_talk(struct proc *p)
{
	const struct timeval tv = { TALK_WINDOW_MS / 1000, TALK_WINDOW_MS % 1000 * 1000 };

	if (budget_allows(&p->talk, TALK_LIMIT, TALK_WINDOW_MS * 1000000ull))
		return true;
	if (!p->on_pardon)
		p->on_pardon = evtimer_new(p->vm->base, on_pardon, p);
	if (!p->on_pardon || evtimer_add(p->on_pardon, &tv))
		return true;
	event_del(p->on_event);
	if (p->on_log)
		event_del(p->on_log);
	if (proc_may_log(p))
		vm_log(p->vm, 1, "%s talks too much: it is not listened to for a second", proc_name(p));
	return false;
}

static void stop_listening(struct proc *p, struct event **event, int *fd)
{
	if (*event)
		event_free(*event);
	*event = NULL;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void hang_up(struct proc *p);

/* It sent what no child of ours sends: from now on nothing it says is listened to, and it is ended. */
static void distrust(struct proc *p, const char *channel, int rc)
{
	vm_log(p->vm, 0, "%s: broken message on its %s channel: %s", proc_name(p), channel, strerror(-rc));
	snprintf(p->blame, sizeof(p->blame), "broken message on its %s channel", channel);
	proc_blame(p, NULL);
}

/* The end of the channel of one of ours is told better by its pidfd. Of another there is no other sign. */
static void channel_ended(struct proc *p, int rc)
{
	event_del(p->on_control);
	p->hung_up = true;
	if (rc != -ECONNRESET)
		distrust(p, "control", rc);
	else if (p->external)
		hang_up(p);
}

/* One that is not ours may turn us away before we have asked for anything. */
static bool is_refusal(const struct proc *p, const struct frame *f)
{
	return p->external && f->header.type == BULKHEAD__MESSAGE_TYPE__MSG_ERROR && !f->header.id;
}

/* Who hangs up with something of ours unread resets the connection. What it has said before that waits behind the error. */
static int receive(const struct proc *p, int fd, struct frame *f)
{
	int rc = p->external && p->doomed ? -ECONNRESET : frame_recv(fd, f);

	return rc == -ECONNRESET && p->external && !p->doomed ? frame_recv(fd, f) : rc;
}

static void on_control(evutil_socket_t fd, short what, void *ctx)
{
	struct proc *p = ctx;
	struct frame *f = &p->vm->frame;
	int rc = receive(p, fd, f);
	uint16_t type;

	if (rc == -EAGAIN)
		return;
	if (rc) {
		channel_ended(p, rc);
		return;
	}
	p->heard++;
	frame_close_fds(f);
	trust_message(f);
	if (is_refusal(p, f)) {
		proc_blame(p, ((const Bulkhead__Error *)f->msg)->text);
		return;
	}
	type = take_pending(p, f->header.id);
	if (!type || (f->header.type != BULKHEAD__MESSAGE_TYPE__MSG_OK && f->header.type != BULKHEAD__MESSAGE_TYPE__MSG_ERROR)) {
		event_del(p->on_control);
		distrust(p, "control", -EPROTO);
		return;
	}
	p->vm->hooks->reply(p, type, f);
}

/* False: there was none. */
static bool take_event(struct proc *p)
{
	struct frame *f = &p->vm->frame;
	struct control_complaint complaint;
	int rc = frame_recv(p->event_fd, f);

	if (rc == -EAGAIN)
		return false;
	if (!rc && f->header.type != BULKHEAD__MESSAGE_TYPE__MSG_EVENT)
		rc = -EPROTO;
	if (!rc)
		rc = control_check_event((const Bulkhead__Event *)f->msg, &complaint);
	if (rc) {
		event_del(p->on_event);
		if (rc != -ECONNRESET)
			distrust(p, "event", rc);
		return false;
	}
	p->heard++;
	frame_close_fds(f);
	trust_message(f);
	p->vm->hooks->event(p, (const Bulkhead__Event *)f->msg);
	return true;
}

static void on_event(evutil_socket_t fd, short what, void *ctx)
{
	if (may_talk(ctx))
		take_event(ctx);
}

/*
 * What lies in the channel is bounded by the kernel, unless its process goes on writing. That it talked too much is no
 * reason not to hear its last words: they may be its guest's exit.
 */
void proc_read_events(struct proc *p)
{
	if (p->on_pardon && evtimer_pending(p->on_pardon, NULL)) {
		evtimer_del(p->on_pardon);
		on_pardon(-1, 0, p);
	}
	for (unsigned i = 0; i < TALK_LIMIT && p->event_fd >= 0 && event_pending(p->on_event, EV_READ, NULL) && take_event(p);
	     i++)
		;
}

/* ---- stderr of a child ----------------------------------------------------------------------------------------- */

static void line_done(struct proc *p)
{
	p->line[p->line_len] = 0;
	if (p->line_len) {
		memcpy(p->last_line, p->line, p->line_len + 1);
		if (proc_may_log(p))
			vm_log(p->vm, 0, "%s[%u]: %s", proc_name(p), p->incarnation, p->line);
	}
	p->line_len = 0;
}

/* Only printable characters reach our log: a terminal may show it. */
static void take_log(struct proc *p, const char *buf, ssize_t n)
{
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] == '\n' || p->line_len == PROC_LINE - 1)
			line_done(p);
		if (buf[i] >= ' ' && buf[i] < 127)
			p->line[p->line_len++] = buf[i];
	}
}

static void on_log(evutil_socket_t fd, short what, void *ctx)
{
	struct proc *p = ctx;
	char buf[512];
	ssize_t n;

	if (!may_talk(p))
		return;
	n = read(fd, buf, sizeof(buf));
	if (n > 0)
		take_log(p, buf, n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		event_del(p->on_log);
}

/* ---- death ----------------------------------------------------------------------------------------------------- */

static void forget(struct proc *p)
{
	stop_listening(p, &p->on_control, &p->control_fd);
	stop_listening(p, &p->on_event, &p->event_fd);
	stop_listening(p, &p->on_log, &p->log_fd);
	if (p->on_pardon)
		event_free(p->on_pardon);
	p->on_pardon = NULL;
	stop_listening(p, &p->on_exit, &p->pidfd);
	memset(p->pending, 0, sizeof(p->pending));
	p->stats_wanted = p->stats_late = false;
}

/* The connection to one that is not ours is no more: because it ended, or because we want no more of it. */
static void hang_up(struct proc *p)
{
	bool asked = p->recovery.leaving_ns || p->state == PROC_LEAVING;
	bool left = asked && !p->doomed && !ring_backlog(p->recovery.req, p->recovery.rsp);

	proc_read_events(p);
	forget(p);
	p->host_pid = 0;
	p->vm->hooks->gone(p, left ? CLD_EXITED : CLD_KILLED, left ? 0 : SIGKILL);
}

void proc_count_cost(struct proc *p, uint64_t ns)
{
	if (p->recovery.is_restart)
		p->recovery.cost_ns += ns;
}

static uint64_t to_ns(struct timeval tv)
{
	return (uint64_t)tv.tv_sec * CLOCK_NS_PER_S + (uint64_t)tv.tv_usec * 1000;
}

/*
 * Its pidfd, channels and log may all become readable in one turn of the loop, in any order: what it said is read first,
 * since a guest's power-off must not look like a crash, and its last words name the reason.
 */
static void on_exit_event(evutil_socket_t fd, short what, void *ctx)
{
	struct proc *p = ctx;
	struct rusage used = { 0 };
	siginfo_t info = { 0 };

	/* The C library's waitid() does not ask for the processor time. */
	if (syscall(SYS_waitid, P_PIDFD, fd, &info, WEXITED | WNOHANG, &used) < 0 || !info.si_pid)
		return;
	proc_read_events(p);
	for (unsigned i = 0; i < 8 && p->control_fd >= 0 && event_pending(p->on_control, EV_READ, NULL); i++)
		on_control(p->control_fd, EV_READ, p);
	on_log(p->log_fd, EV_READ, p);
	line_done(p);
	forget(p);
	if (!p->recovery.served_ns) /* else its start has been counted then */
		proc_count_cost(p, to_ns(used.ru_utime) + to_ns(used.ru_stime));
	p->vm->hooks->gone(p, info.si_code, info.si_status);
}

/* One that is not ours is left alone: without a supervisor it ends. Its channel's end is looked at when this is over. */
static void send_kill(struct proc *p)
{
	if (p->external) {
		p->doomed = p->on_control != NULL;
		if (p->doomed)
			event_active(p->on_control, EV_READ, 0);
		return;
	}
	if (p->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
	else
		p->doomed = p->spawning;
}

void proc_kill(struct proc *p)
{
	send_kill(p);
	if (p->state != PROC_NONE && p->state != PROC_GONE)
		p->state = PROC_LEAVING;
}

void proc_blame(struct proc *p, const char *why)
{
	if (why)
		snprintf(p->blame, sizeof(p->blame), "%s", why);
	send_kill(p);
}

/* ---- birth ----------------------------------------------------------------------------------------------------- */

static struct event *listen_on(struct proc *p, int fd, event_callback_fn callback)
{
	struct event *e = event_new(p->vm->base, fd, EV_READ | EV_PERSIST, callback, p);

	if (e)
		event_add(e, NULL);
	return e;
}

/* One that is not ours has a standard error of its own. */
static int listen_all(struct proc *p)
{
	p->on_control = listen_on(p, p->control_fd, on_control);
	p->on_event = listen_on(p, p->event_fd, on_event);
	p->on_log = p->external ? NULL : listen_on(p, p->log_fd, on_log);
	return p->on_control && p->on_event && (p->external || p->on_log) ? 0 : -ENOMEM;
}

/* `event_fd`: its end of the channel for events, if it has not got that yet; else -1. */
static int say_hello(struct proc *p, int event_fd)
{
	Bulkhead__Hello m = BULKHEAD__HELLO__INIT;

	m.has_proto_major = m.has_proto_minor = m.has_role = m.has_incarnation = m.has_log_level = true;
	m.proto_major = CONTROL_MAJOR;
	m.proto_minor = CONTROL_MINOR;
	m.role = proc_role(p);
	m.has_instance = p->instance != 0;
	m.instance = p->instance;
	m.vm = (char *)p->vm->config->name;
	m.incarnation = p->incarnation;
	m.log_level = p->vm->config->verbose ? 3 : 1;
	m.version = BULKHEAD_VERSION;
	return proc_request(p, BULKHEAD__MESSAGE_TYPE__MSG_HELLO, &m.base, &event_fd, event_fd >= 0);
}

struct channel {
	int ours, theirs;
};

/* Ours is non-blocking: a child that does not read must not stop the supervisor. */
static int make_channel(struct channel *c)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	*c = (struct channel){ fds[0], fds[1] };
	return fcntl(fds[0], F_SETFL, O_RDWR | O_NONBLOCK) < 0 ? -errno : 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

enum sandbox_mode proc_sandbox(const struct proc *p)
{
	return p->recovery.program_fd >= 0 ? SANDBOX_DEFAULT : p->vm->config->sandbox;
}

static enum sandbox_role sandbox_role_of(const struct proc *p)
{
	if (p->kind)
		return sandbox_of_kind((enum kind)(p->kind - kind_rows));
	return p->id == PROC_VCPU && p->vm->engine_kvm ? SANDBOX_VCPU_KVM : fixed_of(p)->fence;
}

static int run_program(struct proc *p, int control, int event, int log)
{
	int replaced = p->recovery.program_fd;
	const int fds[SPAWN_FDS] = {
		[SPAWN_PROGRAM] = replaced >= 0 ? replaced : p->vm->launch->program_fd[program_of(p)],
		[SPAWN_CONTROL] = control,
		[SPAWN_EVENT] = event,
		[SPAWN_LOG] = log,
	};
	struct spawn_packet r = { .role = sandbox_role_of(p), .mode = proc_sandbox(p), .uid = 1 + (uint32_t)p->id };
	int rc;

	snprintf(r.name, sizeof(r.name), "%s", p->kind ? p->kind->program : fixed_of(p)->name);
	rc = spawn(p->vm, &r, fds);
	p->spawning = rc ? 0 : r.sequence;
	return rc;
}

static struct proc *find_spawning(struct vm *vm, uint32_t sequence)
{
	for (unsigned i = 0; i < PROCS; i++)
		if (vm->procs[i].spawning == sequence)
			return &vm->procs[i];
	return NULL;
}

/* The host refuses a process, or we can do nothing with it: as if it had ended at once. */
static void stillborn(struct proc *p, int error)
{
	snprintf(p->last_line, sizeof(p->last_line), "it could not be started: %s%s", strerror(error), limits_hint(error));
	forget(p);
	p->vm->hooks->gone(p, CLD_EXITED, 127);
}

void proc_spawned(struct vm *vm, const struct spawn_answer *answer, int pidfd)
{
	struct proc *p = answer->sequence ? find_spawning(vm, answer->sequence) : NULL;
	uint64_t cost_ns = spawn_cost(vm);

	if (!p) {
		if (pidfd >= 0)
			close(pidfd);
		return;
	}
	p->spawning = 0;
	p->pidfd = pidfd;
	if (answer->error || pidfd < 0) {
		stillborn(p, answer->error ? -answer->error : EPROTO);
		return;
	}
	p->pid = answer->pid;
	p->host_pid = answer->host_pid;
	/* It may have been quicker than the answer; nobody knew then which process it is. */
	proc_count_cost(p, cost_ns + (p->state == PROC_READY ? cpu_time_ns(p->pid) : 0));
	p->on_exit = listen_on(p, pidfd, on_exit_event);
	if (p->doomed || !p->on_exit)
		send_kill(p);
	if (!p->on_exit)
		stillborn(p, ENOMEM);
}

static void begin(struct proc *p)
{
	p->incarnation++;
	p->line_len = 0;
	p->last_line[0] = p->blame[0] = p->version[0] = 0;
	p->hung_up = p->doomed = false;
	p->pid = p->host_pid = 0;
}

int proc_adopt(struct proc *p, int fd)
{
	struct channel event = { -1, -1 };
	int rc = make_channel(&event);

	begin(p);
	p->control_fd = fd;
	p->event_fd = event.ours;
	if (!rc && fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		rc = -errno;
	if (!rc)
		rc = listen_all(p);
	if (!rc) {
		p->state = PROC_STARTING;
		p->vm->hooks->born(p);
		rc = say_hello(p, event.theirs);
	}
	close_fd(event.theirs);
	if (rc)
		forget(p);
	return rc;
}

int proc_spawn(struct proc *p)
{
	struct channel control = { -1, -1 }, event = { -1, -1 };
	int log[2] = { -1, -1 }, rc;

	rc = make_channel(&control);
	if (!rc)
		rc = make_channel(&event);
	if (!rc && pipe2(log, O_CLOEXEC | O_NONBLOCK) < 0)
		rc = -errno;
	p->control_fd = control.ours;
	p->event_fd = event.ours;
	p->log_fd = log[0];
	begin(p);
	if (!rc)
		rc = run_program(p, control.theirs, event.theirs, log[1]);
	close_fd(control.theirs);
	close_fd(event.theirs);
	close_fd(log[1]);
	if (!rc) {
		p->state = PROC_STARTING;
		p->killed_ns = 0;
		p->vm->hooks->born(p);
		rc = listen_all(p);
	}
	if (!rc)
		rc = say_hello(p, -1);
	if (rc)
		vm_log(p->vm, 0, "%s could not be started: %s%s", proc_name(p), strerror(-rc), limits_hint(rc));
	return rc;
}
