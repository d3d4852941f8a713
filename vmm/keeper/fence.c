/* SPDX-License-Identifier: MIT */
/*
 * What is left to the keeper when the supervisor runs: keeper.h. It has to stay outside, with the host's user ids, since
 * it tells who a control client is; and it has to remove a directory when everything else is dead. So it is the one
 * process of a machine that keeps a way into the host's file system, and that way is made as narrow as it gets:
 *
 *   the filter      unlinkat() through two descriptors only, and no other call that takes a path; the record of the end is
 *                   written to a file that is open already
 *   a root          root's keeper: the machine's own directory, in a mount of nothing but the machines' directory, out of
 *                   which ".." does not lead
 *   Landlock        only removing, below those two directories, whoever the keeper runs as
 */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PARKED = 64, WANTED = 16 + REPORT_CAPTURES };

int keeper_settle(struct keeper *k)
{
	int *const wanted[WANTED] = {
		&k->note_fd,	    &k->control_fd,    &k->rundir.dir_fd, &k->rundir.base_fd, &k->gdb_fd,
		&k->metrics_fd, /* enum sandbox_keeper_fd */
		&k->rundir.lock_fd, &k->signal_fd,     &k->signal_wr,	  &k->ready_fd,	      &k->notify_fd,
		&k->pidfd,	    &k->logger_fd,     &k->record_fd,	  &k->result_fd,      &k->capture_fd[0],
		&k->capture_fd[1],  &k->capture_fd[2], &k->traced_fd,
	};

	int parked[WANTED];

	for (unsigned i = 0; i < WANTED; i++) {
		parked[i] = *wanted[i] < 0 ? -1 : fcntl(*wanted[i], F_DUPFD_CLOEXEC, PARKED);
		if (*wanted[i] >= 0 && parked[i] < 0)
			return -errno;
	}
	close_range(SANDBOX_KEEPER_NOTE, PARKED - 1, 0);
	for (unsigned i = 0; i < WANTED; i++)
		if (parked[i] >= 0)
			*wanted[i] = dup3(parked[i], SANDBOX_KEEPER_NOTE + (int)i, O_CLOEXEC);
	return close_range(SANDBOX_KEEPER_NOTE + WANTED, ~0u, 0) < 0 ? -errno : 0;
}

/* Puts `fd` where the filter expects it. */
static int put_at(int fd, int place)
{
	int rc = fd < 0 || dup3(fd, place, O_CLOEXEC) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return rc;
}

/* A detached mount of the directory of all machines: it is nowhere, and nothing is above it. Takes CAP_SYS_ADMIN. */
static int leave_host_root(struct keeper *k)
{
	int base = (int)syscall(SYS_open_tree, k->rundir.base_fd, "", AT_EMPTY_PATH | 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC);
	int dir = base < 0 ? -1 : openat(base, k->rundir.name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int rc = dir < 0 ? -errno : 0;

	if (!rc)
		rc = fchdir(dir) < 0 || chroot(".") < 0 ? -errno : 0;
	if (rc) {
		close(dir);
		close(base);
		return rc;
	}
	rc = put_at(dir, k->rundir.dir_fd);
	return put_at(base, k->rundir.base_fd) < 0 ? -errno : rc;
}

static int only_remove(const struct keeper *k)
{
	const struct sandbox_place places[] = {
		{ k->rundir.dir_fd, LANDLOCK_ACCESS_FS_REMOVE_FILE },
		{ k->rundir.base_fd, LANDLOCK_ACCESS_FS_REMOVE_DIR },
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return sandbox_landlock(places, sizeof(places) / sizeof(places[0]), true);
}

static void tell_missing(struct keeper *k, int landlock_error)
{
	struct keeper_note note = { .kind = NOTE_MISSING };

	snprintf(note.text, sizeof(note.text), "the keeper's fence around its directory (Landlock: %s)",
		 strerror(-landlock_error));
	note_send(k->note_fd, &note, -1);
}

int keeper_fence(struct keeper *k)
{
	int root, landlock;

	if (k->config.sandbox == SANDBOX_OFF)
		return 0;
	root = leave_host_root(k);
	landlock = only_remove(k);
	if (root && landlock)
		tell_missing(k, landlock);
	return sandbox_enter_setup(SANDBOX_KEEPER, k->config.sandbox, NULL);
}
