/* SPDX-License-Identifier: MIT */
/* From a request to a running program: clone, own user, own descriptors, fence, exec by descriptor. spawner.h. */
#include "spawner.h"

#include "../common/packet.h"
#include "../common/say.h"
#include "../common/title.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Descriptors of the child are put here first, so that moving one to its place never overwrites another. */
enum { PARKED = 32, CHILD_FDS = 5 };
enum { SPAWNER_UID = LAUNCH_UIDS - 1, FDINFO = SANDBOX_SPAWNER_SOCK + 1 };

/* ---- the child, until it is another program -------------------------------------------------------------------- */

/* In, out: /dev/null, as ours. */
static int arrange_fds(const int fds[SPAWN_FDS])
{
	const int wanted[CHILD_FDS] = { STDIN_FILENO, STDIN_FILENO, fds[SPAWN_LOG], fds[SPAWN_CONTROL], fds[SPAWN_EVENT] };
	int parked[CHILD_FDS];

	for (int i = 0; i < CHILD_FDS; i++) {
		parked[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, PARKED);
		if (parked[i] < 0)
			return -errno;
	}
	if (dup3(fds[SPAWN_PROGRAM], SANDBOX_PROGRAM, O_CLOEXEC) < 0)
		return -errno;
	for (int i = 0; i < CHILD_FDS; i++)
		if (dup2(parked[i], i) < 0)
			return -errno;
	return syscall(SYS_close_range, CHILD_FDS, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) < 0 && errno != ENOSYS ? -errno : 0;
}

/*
 * Root's machine: this process takes a user id that no other one has, then a user namespace that maps nobody, so that
 * there is no id it could change to. Our own mount namespace is a copy of the supervisor's: an empty, read-only root.
 */
static int take_identity(const struct spawner *s, uint32_t uid)
{
	int rc;

	if (s->isolation != ISOLATION_UIDS)
		return 0;
	rc = sandbox_take_id(uid);
	return rc ? rc : unshare(CLONE_NEWUSER) < 0 ? -errno : 0;
}

static void default_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
}

static _Noreturn void give_up(int rc)
{
	char line[96];
	/* Its root is empty: a program that wants a loader and libraries finds none. */
	const char *hint = rc == -ENOENT    ? " (is it a static program?)"
			   : rc == -ENOEXEC ? " (is it a program for this processor?)"
					    : "";
	int n = snprintf(line, sizeof(line), "could not be executed: %s%s\n", strerror(-rc), hint);

	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		_exit(126);
	_exit(127);
}

static _Noreturn void in_child(const struct spawner *s, struct spawn_packet *request, const int fds[SPAWN_FDS])
{
	static char *const environment[] = { SANDBOX_SUPERVISED "=1", NULL };
	char *argv[] = { request->name,
			 "--control-fd",
			 "3",
			 "--event-fd",
			 "4",
			 "--sandbox",
			 (char *)sandbox_mode_name((enum sandbox_mode)request->mode),
			 NULL };
	int rc;

	default_signals();
	rc = arrange_fds(fds);
	if (!rc)
		rc = take_identity(s, request->uid);
	/* After the change of user, which clears it. */
	if (!rc)
		rc = prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ? -errno : 0;
	if (!rc)
		rc = sandbox_enter_exec((enum sandbox_role)request->role, (enum sandbox_mode)request->mode,
					s->mode != SANDBOX_OFF);
	if (!rc && syscall(SYS_execveat, SANDBOX_PROGRAM, "", argv, environment, AT_EMPTY_PATH) < 0)
		rc = -errno;
	give_up(rc);
}

static unsigned long clone_flags(enum isolation isolation)
{
	switch (isolation) {
	case ISOLATION_NONE:
	case ISOLATION_ROOT:
		return SANDBOX_CLONE_CHILD_PLAIN;
	case ISOLATION_USER:
		return SANDBOX_CLONE_CHILD_USER;
	case ISOLATION_UIDS:
		return SANDBOX_CLONE_CHILD;
	}
	return SANDBOX_CLONE_CHILD_PLAIN;
}

/* ---- requests -------------------------------------------------------------------------------------------------- */

/* The fdinfo directory comes from the host's /proc, so it speaks of the host's pids. Where there was no privilege to have
 * it, there is no pid namespace either, or it is not known. */
static pid_t read_host_pid(const struct spawner *s, int pidfd)
{
	char name[16], text[512], *at;
	ssize_t n;
	int fd;

	if (s->fdinfo_fd < 0)
		return 0;
	snprintf(name, sizeof(name), "%d", pidfd);
	fd = openat(s->fdinfo_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	at = strstr(text, "Pid:");
	return at ? atoi(at + 4) : 0;
}

/* The supervisor may have been taken over: it cannot ask for another role's fence than a child's, for user 0, or for less
 * of a fence than the machine has. */
static int check(const struct spawner *s, struct spawn_packet *r, const int fds[SPAWN_FDS])
{
	r->name[sizeof(r->name) - 1] = 0;
	for (unsigned i = 0; i < SPAWN_FDS; i++)
		if (fds[i] < 0)
			return -EBADF;
	if (r->role < SANDBOX_BOOT || r->role >= SANDBOX_ROLES || !r->uid || r->uid >= SPAWNER_UID)
		return -EINVAL;
	return r->mode > (uint32_t)s->mode ? -EPERM : 0;
}

/* clone, not clone3: a filter can compare its flags. */
static int serve(const struct spawner *s, struct spawn_packet *request, const int fds[SPAWN_FDS], struct spawn_answer *a)
{
	int pidfd = -1;
	long pid;

	a->error = check(s, request, fds);
	if (a->error)
		return -1;
	pid = syscall(SYS_clone, clone_flags(s->isolation), NULL, &pidfd, NULL, 0);
	if (!pid)
		in_child(s, request, fds);
	if (pid < 0) {
		a->error = -errno;
		return -1;
	}
	a->pid = (int32_t)pid;
	a->host_pid = read_host_pid(s, pidfd);
	return pidfd;
}

/* ---- its own fence --------------------------------------------------------------------------------------------- */

static int settle(struct spawner *s)
{
	int sock = fcntl(s->sock, F_DUPFD_CLOEXEC, PARKED);
	int fdinfo = s->fdinfo_fd < 0 ? -1 : fcntl(s->fdinfo_fd, F_DUPFD_CLOEXEC, PARKED);

	if (sock < 0 || dup3(sock, SANDBOX_SPAWNER_SOCK, O_CLOEXEC) < 0)
		return -errno;
	if (fdinfo < 0)
		close(FDINFO);
	else if (dup3(fdinfo, FDINFO, O_CLOEXEC) < 0)
		return -errno;
	s->sock = SANDBOX_SPAWNER_SOCK;
	s->fdinfo_fd = fdinfo < 0 ? -1 : FDINFO;
	return syscall(SYS_close_range, FDINFO + 1, ~0u, 0) < 0 && errno != ENOSYS ? -errno : 0;
}

#define OWN_CAPS (1ull << CAP_SETUID | 1ull << CAP_SETGID | 1ull << CAP_SYS_ADMIN)

/*
 * Three capabilities, valid in this user namespace only: children are cloned into namespaces of it (sys_admin), and change
 * their ids. A user id of its own keeps it out of reach of the supervisor.
 */
static int take_own_identity(const struct spawner *s)
{
	const uint64_t keep = s->isolation == ISOLATION_UIDS ? OWN_CAPS : 0;
	int rc = 0;

	if (s->isolation == ISOLATION_ROOT)
		sandbox_take_id(s->id); /* the supervisor says if that cannot be */
	if (!keep)
		return sandbox_drop_caps(0);
	rc = sandbox_drop_caps(keep);
	if (!rc && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		rc = -errno;
	if (!rc)
		rc = sandbox_take_id(SPAWNER_UID);
	return rc ? rc : sandbox_drop_caps(keep); /* the change of id has left them permitted, and not effective */
}

static int enter_fence(struct spawner *s)
{
	int rc = settle(s);

	title_set(s->vm, "spawner");
	if (!rc && s->mode != SANDBOX_OFF)
		rc = take_own_identity(s);
	if (!rc && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		rc = -errno;
	return rc ? rc : sandbox_enter_setup(SANDBOX_SPAWNER, s->mode, NULL);
}

/* A detached mount of one directory of the host's /proc: ".." does not lead out of it. */
static int prepare(struct spawner *s)
{
	const struct spawn_answer ready = { 0 };
	struct spawn_packet go;
	int fds[PACKET_FDS], rc;

	s->fdinfo_fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/proc/self/fdinfo", 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC);
	rc = packet_send(s->sock, &ready, sizeof(ready), NULL, 0);
	return rc ? rc : packet_recv(s->sock, &go, sizeof(go), fds, true);
}

_Noreturn void spawner_main(struct spawner *s)
{
	int rc = prepare(s);

	if (!rc)
		rc = enter_fence(s);
	if (rc && rc != -ECONNRESET)
		say("bulkhead: %s: the spawner's sandbox: %s", s->vm, strerror(-rc));
	while (!rc) {
		struct spawn_packet request;
		struct spawn_answer answer = { 0 };
		int fds[PACKET_FDS], pidfd;

		rc = packet_recv(s->sock, &request, sizeof(request), fds, true);
		if (rc)
			break;
		answer.sequence = request.sequence;
		pidfd = serve(s, &request, fds, &answer);
		packet_send(s->sock, &answer, sizeof(answer), &pidfd, pidfd >= 0);
		close(pidfd);
		for (unsigned i = 0; i < PACKET_FDS; i++)
			close(fds[i]);
	}
	_exit(rc == -ECONNRESET ? 0 : 1);
}
