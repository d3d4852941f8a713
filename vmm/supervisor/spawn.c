/* SPDX-License-Identifier: MIT */
/* From the supervisor to a running child program: clone, own user, own descriptors, exec by descriptor. */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Descriptors of the child are put here first, so that moving one to its place never overwrites another. */
enum { PARKED = 700, CHILD_FDS = 5 };

static int arrange_fds(const struct spawn_request *r, int *program_fd)
{
	const int fds[CHILD_FDS] = { r->null_fd, r->null_fd, r->log_fd, r->control_fd, r->event_fd };
	int parked[CHILD_FDS];

	for (int i = 0; i < CHILD_FDS; i++) {
		parked[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, PARKED);
		if (parked[i] < 0)
			return -errno;
	}
	*program_fd = fcntl(r->program_fd, F_DUPFD_CLOEXEC, PARKED);
	if (*program_fd < 0)
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
static int take_identity(const struct spawn_request *r)
{
	if (r->isolation != ISOLATION_UIDS)
		return 0;
	if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, r->uid, r->uid, r->uid) < 0 ||
	    syscall(SYS_setresuid, r->uid, r->uid, r->uid) < 0)
		return -errno;
	return unshare(CLONE_NEWUSER) < 0 ? -errno : 0;
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

static _Noreturn void in_child(const struct spawn_request *r)
{
	static char *const environment[] = { SANDBOX_SUPERVISED "=1", NULL };
	const char *what = "could not be executed";
	int program_fd = -1, rc;

	default_signals();
	rc = arrange_fds(r, &program_fd);
	if (!rc)
		rc = take_identity(r);
	/* After the change of user, which clears it. */
	if (!rc)
		rc = prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ? -errno : 0;
	if (!rc)
		rc = sandbox_drop_caps(0);
	if (!rc)
		syscall(SYS_execveat, program_fd, "", r->argv, environment, AT_EMPTY_PATH);
	if (write(2, what, strlen(what)) < 0)
		_exit(126);
	_exit(127);
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

/* clone, not clone3: a filter can compare its flags. */
int spawn(const struct spawn_request *request, pid_t *pid, int *pidfd)
{
	long rc = syscall(SYS_clone, clone_flags(request->isolation), NULL, pidfd, NULL, 0);

	if (rc < 0)
		return -errno;
	if (!rc)
		in_child(request);
	*pid = (pid_t)rc;
	return 0;
}
