/* SPDX-License-Identifier: MIT */
/* Starts the tracer of --trace, --trace-io and --profile, with all that it needs open: keeper.h. */
#include "keeper.h"

#include "../common/exit_codes.h"
#include "../common/programs.h"
#include "../trace/traced.h"

#include "../../proto/shm.h"
#include "../../proto/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What it may still have to write: a reader that is gone is given ten seconds (vmm/trace/sink.c). */
static const struct timespec patience = { .tv_sec = 15 };
enum { PARKED = 64 };

static bool is_wanted(const struct vm_config *c)
{
	return c->trace || c->trace_io || c->profile;
}

/* A FIFO needs no reader yet, as with --log. */
static int open_output(struct keeper *k, const char *option, const char *file, const char *suffix, int *out)
{
	const int flags = O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	char path[4200];

	if (!file)
		return 0;
	snprintf(path, sizeof(path), "%.4100s%s", file, suffix);
	*out = open(path, O_WRONLY | flags, 0600);
	if (*out < 0 && errno == ENXIO)
		*out = open(path, O_RDWR | flags, 0600);
	return *out >= 0 ? 0 : keeper_fail(k, EXIT_USAGE, "--%s %.150s: %s", option, path, strerror(errno));
}

static int open_files(struct keeper *k, int fds[TRACED_FDS])
{
	const struct vm_config *c = &k->config;
	int rc = open_output(k, "trace", c->trace, "", &fds[TRACED_INSNS]);

	if (!rc)
		rc = open_output(k, "trace-io", c->trace_io, "", &fds[TRACED_IO]);
	if (!rc)
		rc = open_output(k, "profile", c->profile, "", &fds[TRACED_TEXT]);
	if (!rc)
		rc = open_output(k, "profile", c->profile, ".json", &fds[TRACED_JSON]);
	if (!rc)
		rc = open_output(k, "profile", c->profile, ".folded", &fds[TRACED_FOLDED]);
	if (rc || !c->symbols)
		return rc;
	fds[TRACED_SYMBOLS] = open(c->symbols, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fds[TRACED_SYMBOLS] >= 0 ? 0 : keeper_fail(k, EXIT_USAGE, "--symbols %.150s: %s", c->symbols, strerror(errno));
}

/* An object's two handles: the writer's, and the reader's, which cannot write. */
static int make_object(const char *name, size_t size, int *rw, int *ro)
{
	int rc = shm_create(name, size, rw);

	return rc ? rc : shm_reopen_readonly(*rw, ro);
}

static int make_channels(struct keeper *k, int fds[TRACED_FDS])
{
	int *ours = k->launch.trace_fd, bell[2], end[2];
	int rc = make_object("bulkhead-trace", trace_object_size(topology_cpus(&k->config.cpus) + 1), &ours[TRACE_FD_RINGS],
			     &fds[TRACED_RINGS]);

	if (!rc)
		rc = make_object("bulkhead-traced", sizeof(struct traced_object), &fds[TRACED_HEADS], &ours[TRACE_FD_HEADS]);
	if (!rc && (pipe2(bell, O_CLOEXEC) < 0 || pipe2(end, O_CLOEXEC) < 0))
		rc = -errno;
	if (rc)
		return keeper_fail(k, EXIT_INTERNAL, "the tracer's memory: %s", strerror(-rc));
	fds[TRACED_BELL] = bell[0];
	ours[TRACE_FD_BELL] = bell[1];
	fds[TRACED_END] = end[0];
	ours[TRACE_FD_END] = end[1];
	return 0;
}

static bool is_packed(const char *file)
{
	size_t len = file ? strlen(file) : 0;

	return len > 4 && !strcmp(file + len - 4, ".zst");
}

/* Everything to its place, and nothing else stays open. */
static _Noreturn void in_tracer(const struct keeper *k, int program, const int fds[TRACED_FDS])
{
	char threads[16], last[16], mode[16], empty[] = "";
	char *argv[] = {
		"bulkhead-traced", (char *)k->config.name, threads, last, is_packed(k->config.trace) ? "1" : "0", mode, NULL
	};
	char *env[] = { NULL };
	int parked[TRACED_FDS], file = fcntl(program, F_DUPFD_CLOEXEC, PARKED);

	snprintf(threads, sizeof(threads), "%u", topology_cpus(&k->config.cpus) + 1);
	snprintf(last, sizeof(last), "%u", k->config.trace_last);
	snprintf(mode, sizeof(mode), "%u", (unsigned)k->config.sandbox);
	for (int i = TRACED_RINGS; i < TRACED_FDS; i++)
		parked[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, PARKED);
	close_range(TRACED_RINGS, PARKED - 1, 0);
	for (int i = TRACED_RINGS; i < TRACED_FDS; i++)
		if (parked[i] >= 0)
			dup2(parked[i], i);
	syscall(SYS_execveat, file, empty, argv, env, AT_EMPTY_PATH);
	dprintf(STDERR_FILENO, "bulkhead: the tracer could not be executed: %s\n", strerror(errno));
	_exit(EXIT_INTERNAL);
}

static int start(struct keeper *k, const int fds[TRACED_FDS])
{
	char path[4200];
	int program = program_open("bulkhead-traced", path, sizeof(path));
	pid_t pid;

	if (program < 0)
		return keeper_fail(k, EXIT_USAGE, "program %.150s: %s; it is built where Zydis is", path, strerror(-program));
	pid = (pid_t)syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &k->traced_fd, NULL, 0);
	if (!pid)
		in_tracer(k, program, fds);
	close(program);
	return pid > 0 ? 0 : keeper_fail(k, EXIT_INTERNAL, "the tracer could not be started: %s", strerror(errno));
}

int tracer_start(struct keeper *k)
{
	int fds[TRACED_FDS], rc;

	for (unsigned i = 0; i < TRACED_FDS; i++)
		fds[i] = -1;
	for (unsigned i = 0; i < TRACE_FD_COUNT; i++)
		k->launch.trace_fd[i] = -1;
	if (!is_wanted(&k->config))
		return 0;
	rc = open_files(k, fds);
	if (!rc)
		rc = make_channels(k, fds);
	if (!rc)
		rc = start(k, fds);
	for (unsigned i = 0; i < TRACED_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return rc;
}

void tracer_finish(struct keeper *k)
{
	struct pollfd p = { .fd = k->traced_fd, .events = POLLIN };

	if (k->traced_fd >= 0)
		ppoll(&p, 1, &patience, NULL);
}
