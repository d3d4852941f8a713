/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: pid 1 of the machine's own pid namespace, so that its end is the end of every process of the machine.
 * It holds memory objects, pidfds and sockets; no file of the host can be reached from it.
 */
#include "attach.h"
#include "control.h"
#include "debug.h"
#include "dial_link.h"
#include "ending.h"
#include "machine.h"
#include "proc.h"
#include "recovery.h"
#include "report.h"
#include "spawn.h"
#include "take.h"
#include "tell.h"
#include "vm.h"
#include "watchdog.h"

#include "../common/exit_codes.h"
#include "../common/limits.h"

#include "../../proto/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One machine per process. Not on the stack: the frame inside is large. */
static struct vm the_vm;

/* ---- keeper ---------------------------------------------------------------------------------------------------- */

/* Whoever starts a machine is told what it lacks, wherever the log goes. */
static void warn(struct vm *vm, const char *text)
{
	vm_log(vm, 1, "%s", text);
	vm_tell_keeper(vm, NOTE_MISSING, 0, text);
}

static void note_keepers_missing(struct vm *vm, const char *phrase)
{
	char text[256];

	vm_note_missing(vm, phrase);
	snprintf(text, sizeof(text), "the sandbox is incomplete on this host, missing: %s", phrase);
	warn(vm, text);
}

static void on_keeper(evutil_socket_t fd, short what, void *ctx)
{
	struct vm *vm = ctx;
	struct keeper_note note;
	int client, rc = note_recv(fd, &note, &client);

	if (rc == -EAGAIN)
		return;
	if (rc)
		_exit(EXIT_VMM); /* the keeper is dead; nobody is left to tidy up for */
	if (note.kind == NOTE_CLIENT && client >= 0) {
		control_add(vm, client, (enum client_rights)note.code);
		return;
	}
	if (note.kind == NOTE_METRICS && client >= 0) {
		control_add_scraper(vm, client);
		return;
	}
	if (note.kind == NOTE_DEBUGGER && client >= 0) {
		debug_client(vm, client);
		return;
	}
	if (client >= 0)
		close(client);
	if (note.kind == NOTE_PING)
		vm_tell_keeper(vm, NOTE_PING, 0, "");
	if (note.kind == NOTE_STOP)
		machine_stop(vm, vm->config->stop_timeout_ms);
	if (note.kind == NOTE_KILL) {
		machine_end(vm, EXIT_VMM, "killed", "killed by signal");
		machine_hurry(vm);
	} else if (note.kind == NOTE_MISSING) {
		note_keepers_missing(vm, note.text);
	}
}

/* ---- the fence ------------------------------------------------------------------------------------------------- */

static int wait_for_ids(struct launch *l)
{
	char byte;

	if (l->go_fd < 0)
		return 0;
	if (read(l->go_fd, &byte, 1) != 1)
		return -ECONNRESET;
	l->isolation = (enum isolation)byte;
	close(l->go_fd);
	return 0;
}

/* Of user and group; 0 in a user namespace is nobody's on the host. */
static uint32_t own_id(enum isolation isolation)
{
	return isolation == ISOLATION_ROOT ? LAUNCH_UID_BASE + LAUNCH_UIDS * (uint32_t)getpid() : 0;
}

static int take_ids(enum isolation isolation)
{
	return isolation == ISOLATION_NONE || isolation == ISOLATION_USER ? 0 : sandbox_take_id(own_id(isolation));
}

/*
 * A detached mount of one directory of /proc: ".." does not lead out of it, unlike from a plain handle. Without the
 * privilege to mount, a plain handle is what there is.
 */
static int open_own_proc(const char *path)
{
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC);

	return fd >= 0 ? fd : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Root of the machine's own pid namespace and so on came with the clone; what is left is the root directory. */
static int enter_root(struct vm *vm)
{
	struct launch *l = vm->launch;
	int rc = 0;

	vm->self_fd = open_own_proc("/proc/self/fd");
	if (vm->self_fd < 0) {
		vm_log(vm, 0, "/proc is needed and cannot be opened: %s; mount it", strerror(errno));
		return -errno;
	}
	if (l->isolation != ISOLATION_NONE)
		rc = sandbox_empty_root();
	if (rc) {
		vm_note_missing(vm, "empty root (mounting is not permitted here)");
		rc = 0;
	}
	return rc;
}

/* Children with user ids of their own are ended under those: that takes one capability, valid in here only. */
static uint64_t kept_caps(enum isolation isolation)
{
	return isolation == ISOLATION_UIDS ? 1ull << CAP_KILL : 0;
}

static int enter_fence(struct vm *vm)
{
	struct launch *l = vm->launch;
	struct rlimit files = { 1024, 1024 };
	int rc;

	if (vm->config->sandbox == SANDBOX_OFF)
		l->isolation = ISOLATION_NONE;
	setrlimit(RLIMIT_NOFILE, &files);
	rc = spawn_start(vm, own_id(l->isolation));
	if (!rc)
		rc = enter_root(vm);
	if (vm->config->sandbox == SANDBOX_OFF)
		return rc ? rc : spawn_go(vm);
	/* In the root case without user namespaces mounting needs root, so the id changes after it. */
	if (!rc && take_ids(l->isolation)) {
		if (l->isolation == ISOLATION_UIDS)
			return -errno;
		vm_note_missing(vm, "an unprivileged user id (a container that maps too few)");
	}
	if (!rc)
		rc = spawn_go(vm);
	if (!rc)
		rc = sandbox_drop_caps(kept_caps(l->isolation));
	/* Cleared by the change of id; the keeper's death is also seen as the end of its socket. */
	if (!rc && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		rc = -errno;
	if (!rc)
		rc = sandbox_enter_setup(SANDBOX_SUPERVISOR, vm->config->sandbox, NULL);
	return rc;
}

/* ---- main ------------------------------------------------------------------------------------------------------ */

static int prepare(struct vm *vm)
{
	struct event_config *config = event_config_new();
	int rc;

	if (!config)
		return -ENOMEM;
	event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV | EVENT_BASE_FLAG_NOLOCK);
	vm->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!vm->base)
		return -ENOMEM;
	vm->on_keeper = event_new(vm->base, vm->launch->keeper_fd, EV_READ | EV_PERSIST, on_keeper, vm);
	if (!vm->on_keeper || event_add(vm->on_keeper, NULL))
		return -ENOMEM;
	proc_init(vm);
	control_init(vm);
	rc = spawn_watch(vm);
	return rc ? rc : dial_watch(vm);
}

/* The objects are there, and who is asked for children is there: from here on nothing is opened any more. */
static int enter_run(struct vm *vm)
{
	close(vm->self_fd);
	vm->self_fd = -1;
	return sandbox_enter_run(SANDBOX_SUPERVISOR, vm->config->sandbox);
}

static void spawner_lost(struct vm *vm, const char *why)
{
	machine_end(vm, EXIT_VMM, "failure", "the spawner %s: no process can be started any more", why);
}

static void machine_ends(struct vm *vm)
{
	debug_machine_ends(vm);
	take_end(vm);
}

static const struct vm_hooks hooks = {
	.spawned = proc_spawned,
	.spawner_lost = spawner_lost,
	.dialled = recovery_dialled,
	.born = watchdog_born,
	.reply = machine_reply,
	.event = machine_event,
	.gone = machine_proc_gone,
	.ends = machine_ends,
	.start_again = machine_start_again,
	.ended = control_ended,
	.left = take_device_gone,
	.maybe_run = machine_maybe_run,
	.device_changed = control_device_changed,
	.engine_changed = control_engine_changed,
	.answer_take = control_answer_take,
	.refuse = control_refuse,
	.news = control_news,
	.stats_changed = control_stats_changed,
	.console_answered = attach_answered,
};

static void init(struct vm *vm, struct launch *launch)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	vm->hooks = &hooks;
	vm->launch = launch;
	vm->config = launch->config;
	vm->missing = launch->missing;
	vm->engine_kvm = launch->engine_kvm;
	vm->clock = machine_clock_at(clock_ns(), 0);
	vm->realtime_started_ns = (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
	vm->ram = vm->code_map = vm->screen = vm->mailbox = vm->picture = vm->legacy = vm->framebuffer =
		(struct object){ -1, -1 };
	vm->self_fd = vm->debug_fd[0] = vm->debug_fd[1] = -1;
}

static void warn_missing(struct vm *vm)
{
	char text[SANDBOX_MISSING_MAX * (SANDBOX_MISSING_LEN + 2) + 64] = "the sandbox is incomplete on this host, missing: ";
	size_t len = strlen(text);

	for (unsigned i = 0; i < vm->missing.count; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? "; " : "", vm->missing.missing[i]);
	if (vm->missing.count)
		warn(vm, text);
}

/* Parts that are missing by request; a build that cannot have a sandbox says so in status only. */
static void warn_mode(struct vm *vm)
{
	if (vm->config->sandbox == SANDBOX_LOG) {
		warn(vm,
		     "--sandbox log: forbidden calls are not stopped; the kernel logs them as type=1326, see dmesg or the audit "
		     "log (ausearch -m SECCOMP)");
		vm_note_missing(vm, "filters that stop a call (--sandbox log)");
	}
	if (vm->config->sandbox == SANDBOX_OFF) {
		if (SANDBOX_DEFAULT != SANDBOX_OFF)
			warn(vm, "--sandbox off: no process of this machine has a sandbox");
		vm_note_missing(vm, "everything: filters, namespaces, empty root, limits (--sandbox off)");
	}
}

_Noreturn void supervisor_main(struct launch *launch)
{
	struct vm *vm = &the_vm;
	int rc;

	init(vm, launch);
	report_claim(launch);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	rc = wait_for_ids(launch);
	if (!rc)
		rc = enter_fence(vm);
	report_begin(vm);
	vm_trace(vm, "supervisor behind its fence");
	warn_missing(vm);
	warn_mode(vm);
	if (!rc)
		rc = prepare(vm);
	if (!rc)
		rc = machine_start(vm);
	if (!rc)
		rc = enter_run(vm);
	if (rc) {
		vm_log(vm, 0, "the machine could not be set up: %s%s", strerror(-rc), limits_hint(rc));
		_exit(EXIT_VMM);
	}
	while (!vm->finished)
		if (event_base_loop(vm->base, EVLOOP_ONCE) < 0)
			_exit(EXIT_VMM);
	_exit((int)vm->exit_code);
}
