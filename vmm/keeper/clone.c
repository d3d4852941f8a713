/* SPDX-License-Identifier: MIT */
/* From the keeper to a supervisor in namespaces of its own: keeper.h. */
#include "keeper.h"

#include "../common/exit_codes.h"
#include "../common/limits.h"
#include "../common/say.h"
#include "../common/title.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAMESPACES (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

static pid_t clone_once(struct keeper *k, unsigned long flags)
{
	return (pid_t)syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, NULL, &k->pidfd, NULL, 0);
}

/* From everything to nothing: what this host refuses is left out, and named. */
static pid_t clone_supervisor(struct keeper *k)
{
	struct launch *l = &k->launch;
	bool root = geteuid() == 0;
	pid_t pid;

	l->isolation = ISOLATION_NONE;
	if (k->config.sandbox == SANDBOX_OFF)
		return clone_once(k, 0);
	l->isolation = root ? ISOLATION_UIDS : ISOLATION_USER;
	pid = clone_once(k, CLONE_NEWUSER | CLONE_NEWCGROUP | NAMESPACES);
	if (pid >= 0 || errno == EAGAIN) /* no process at all, whatever its namespaces */
		return pid;
	sandbox_report_add(&l->missing, "user namespaces (%s; see user.max_user_namespaces)", strerror(errno));
	l->isolation = ISOLATION_ROOT;
	sandbox_report_add(&l->missing, root ? "a user id of its own for each process"
					     : "empty root; own mount, pid, net, ipc and uts namespaces");
	pid = root ? clone_once(k, NAMESPACES) : -1;
	if (pid >= 0)
		return pid;
	if (root)
		sandbox_report_add(&l->missing, "own mount, pid, net, ipc and uts namespaces (%s)", strerror(errno));
	l->isolation = ISOLATION_NONE;
	return clone_once(k, 0);
}

static int write_file(pid_t pid, const char *name, const char *text)
{
	char path[64];
	int fd, rc;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

static int map_one(pid_t pid)
{
	char uid[64], gid[64];
	int rc;

	snprintf(uid, sizeof(uid), "0 %u 1", geteuid());
	snprintf(gid, sizeof(gid), "0 %u 1", getegid());
	rc = write_file(pid, "setgroups", "deny");
	if (!rc)
		rc = write_file(pid, "uid_map", uid);
	return rc ? rc : write_file(pid, "gid_map", gid);
}

/*
 * Root gives a range of ids that nobody else has, by the number of this process. An ordinary user has one id to give,
 * and needs to give up setgroups for it; so has root in a container that maps few ids.
 */
static int map_ids(struct keeper *k, pid_t pid)
{
	char range[64];

	if (k->launch.isolation == ISOLATION_USER)
		return map_one(pid);
	if (k->launch.isolation != ISOLATION_UIDS)
		return 0;
	snprintf(range, sizeof(range), "0 %u %u", LAUNCH_UID_BASE + LAUNCH_UIDS * (unsigned)getpid(), LAUNCH_UIDS);
	if (!write_file(pid, "uid_map", range))
		return write_file(pid, "gid_map", range);
	k->launch.isolation = ISOLATION_USER;
	return map_one(pid);
}

/* The supervisor has nothing of ours but what stands in struct launch. */
static _Noreturn void in_supervisor(struct keeper *k)
{
	const int ours[] = { k->note_fd,       k->go_wr,	  k->signal_fd,	 k->signal_wr, k->ready_fd,
			     k->notify_fd,     k->control_fd,	  k->gdb_fd,	 k->logger_fd, k->rundir.lock_fd,
			     k->rundir.dir_fd, k->rundir.base_fd, k->record_fd,	 k->result_fd, k->capture_fd[0],
			     k->capture_fd[1], k->capture_fd[2],  k->metrics_fd, k->traced_fd };

	for (unsigned i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (ours[i] >= 0)
			close(ours[i]);
	dup2(k->launch.null_fd, STDIN_FILENO);
	dup2(k->launch.null_fd, STDOUT_FILENO);
	title_set(k->config.name, "supervisor");
	supervisor_main(&k->launch);
}

int keeper_clone(struct keeper *k)
{
	int pair[2], go[2], rc;
	char isolation;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 || pipe2(go, O_CLOEXEC) < 0)
		return keeper_fail(k, EXIT_INTERNAL, "socketpair: %s", strerror(errno));
	k->note_fd = pair[0];
	k->launch.keeper_fd = pair[1];
	k->launch.go_fd = go[0];
	k->go_wr = go[1];
	pid = clone_supervisor(k);
	if (pid < 0)
		return keeper_fail(k, EXIT_INTERNAL, "the supervisor could not be started: %s%s", strerror(errno),
				   limits_hint(errno));
	if (!pid)
		in_supervisor(k);
	close(pair[1]);
	close(go[0]);
	rc = map_ids(k, pid);
	isolation = (char)k->launch.isolation;
	/* Without the byte the supervisor ends, and so do we, by way of its exit code. */
	if (rc)
		say("bulkhead: %s: user ids could not be mapped: %s", k->config.name, strerror(-rc));
	else if (write(k->go_wr, &isolation, 1) != 1)
		say("bulkhead: %s: the supervisor is gone", k->config.name);
	close(k->go_wr);
	return 0;
}
