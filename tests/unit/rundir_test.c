/* SPDX-License-Identifier: MIT */
/* Runtime directories (vmm/common/rundir.h): who starts, who asks and who sweeps, at the same time. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/common/rundir.h"

enum { STARTS = 800, HELPERS = 4 };

static char base[64];

static void make_base(void)
{
	snprintf(base, sizeof(base), "/tmp/bh-rundir-XXXXXX");
	cr_assert(mkdtemp(base));
}

/* Whatever a failed test has left. */
static void remove_base(void)
{
	rundir_each(base, NULL, NULL);
	rmdir(base);
}

TestSuite(rundir, .init = make_base, .fini = remove_base);

static bool is_there(const struct rundir *r, const char *name)
{
	struct stat st;

	return fstatat(r->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool touch(const struct rundir *r, const char *name)
{
	int fd = openat(r->dir_fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void count(void *ctx, const char *name, const char *path)
{
	(void)path;
	cr_assert_str_eq(name, "vm");
	++*(unsigned *)ctx;
}

static unsigned living(void)
{
	unsigned n = 0;

	rundir_each(base, count, &n);
	return n;
}

Test(rundir, life)
{
	struct rundir r, other;

	cr_assert_eq(rundir_create(&r, base, "vm"), 0);
	cr_expect(rundir_is_alive(r.path));
	cr_expect_eq(living(), 1);
	cr_expect_eq(rundir_create(&other, base, "vm"), -EEXIST, "a name is one machine's");
	rundir_remove(&r);
	cr_expect_not(rundir_is_alive(r.path));
	cr_expect_eq(living(), 0);
	cr_expect_eq(rmdir(base), 0, "nothing is left");
	cr_assert_eq(mkdir(base, 0700), 0);
}

/* A machine that was killed: its lock is free, its files are there. */
static void leave_dead(const char *name)
{
	struct rundir r;

	cr_assert_eq(rundir_create(&r, base, name), 0);
	cr_assert(touch(&r, "control.sock") && touch(&r, "log"));
	close(r.lock_fd);
	close(r.dir_fd);
	close(r.base_fd);
}

Test(rundir, dead_machines)
{
	struct rundir r;

	leave_dead("vm");
	cr_assert_eq(rundir_create(&r, base, "vm"), 0, "a dead machine's name is free");
	cr_expect_not(is_there(&r, "log"));
	rundir_remove(&r);
	leave_dead("vm");
	cr_expect_eq(living(), 0);
	cr_expect_eq(rmdir(base), 0, "who lists, sweeps");
	cr_assert_eq(mkdir(base, 0700), 0);
}

/* systemd.exec(5), RuntimeDirectory=: it is there before whoever is to use it; many are started at once. */
Test(rundir, just_made)
{
	struct rundir r;
	char path[RUNDIR_PATH_MAX];

	cr_assert_eq(rundir_create(&r, base, "other"), 0);
	rundir_remove(&r);
	snprintf(path, sizeof(path), "%s/fresh", base);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_expect_eq(living(), 0);
	cr_expect_eq(rmdir(path), 0, "it is still there");
}

/* What asks, asks by sharing the lock: that is not a machine. */
Test(rundir, askers_are_not_machines)
{
	struct rundir r;
	char path[RUNDIR_PATH_MAX], lock[RUNDIR_PATH_MAX + 8];
	int fd;

	leave_dead("vm");
	cr_assert_eq(rundir_path(base, "vm", path), 0);
	snprintf(lock, sizeof(lock), "%s/lock", path);
	fd = open(lock, O_RDONLY | O_CLOEXEC);
	cr_assert_eq(flock(fd, LOCK_SH | LOCK_NB), 0);
	cr_expect_not(rundir_is_alive(path), "two may ask");
	cr_expect_eq(rundir_create(&r, base, "vm"), -EBUSY, "somebody asks for ever: bounded, and not called a machine");
	close(fd);
	cr_expect_eq(rundir_create(&r, base, "vm"), 0);
	rundir_remove(&r);
}

/* ---- races ----------------------------------------------------------------------------------------------------- */

static void name_of(char name[16], unsigned n)
{
	snprintf(name, 16, "vm%u", n % 8); /* few enough that askers meet them */
}

/* In a process of its own, until it is killed: `bulkhead list`, `bulkhead status`. */
static pid_t start_helper(unsigned number)
{
	char name[16], path[RUNDIR_PATH_MAX];
	pid_t pid = fork();

	if (pid)
		return pid;
	for (unsigned n = 0;; n++) {
		name_of(name, n);
		rundir_path(base, name, path);
		if (number % 2)
			rundir_each(base, NULL, NULL);
		else
			rundir_is_alive(path);
	}
}

/* NULL, or what went wrong with a machine that was alone in using its name. */
static const char *live_once(unsigned n)
{
	struct rundir r;
	char name[16];
	bool kept;
	int rc;

	name_of(name, n);
	rc = rundir_create(&r, base, name);
	if (rc)
		return rc == -EEXIST ? "its name was said to be in use" : strerror(-rc);
	kept = touch(&r, "control.sock") && rundir_is_alive(r.path) && is_there(&r, "control.sock") && is_there(&r, "lock");
	if (n % 3) {
		rundir_remove(&r);
	} else { /* it is killed, and its directory stays */
		close(r.lock_fd);
		close(r.dir_fd);
		close(r.base_fd);
	}
	return kept ? NULL : "it was swept while it lived";
}

Test(rundir, starts_beside_sweepers)
{
	pid_t helpers[HELPERS];
	unsigned failures = 0;
	const char *last = "";

	for (unsigned i = 0; i < HELPERS; i++)
		helpers[i] = start_helper(i);
	for (unsigned n = 0; n < STARTS; n++) {
		const char *why = live_once(n);

		failures += why != NULL;
		last = why ? why : last;
	}
	for (unsigned i = 0; i < HELPERS; i++) {
		kill(helpers[i], SIGKILL);
		waitpid(helpers[i], NULL, 0);
	}
	cr_assert_eq(failures, 0, "%u of %d starts: %s", failures, STARTS, last);
}
