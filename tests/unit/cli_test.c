/* SPDX-License-Identifier: MIT */
/* Runtime directories: who owns a name, and what is left of the dead. */
#include "vmm/common/rundir.h"

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

static char base[64];

static void setup(void)
{
	snprintf(base, sizeof(base), "/tmp/rundir_test_XXXXXX");
	cr_assert_not_null(mkdtemp(base));
	unsetenv("RUNTIME_DIRECTORY");
}

static void teardown(void)
{
	rundir_each(base, NULL, NULL);
	rmdir(base);
}

static const char *in_base(const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/%s", base, name);
	return path;
}

TestSuite(rundir, .init = setup, .fini = teardown);

Test(rundir, a_name_belongs_to_one_machine)
{
	struct rundir a, b;

	cr_assert_eq(rundir_create(&a, base, "vm1"), 0);
	cr_expect(rundir_is_alive(in_base("vm1")));
	cr_expect_eq(rundir_create(&b, base, "vm1"), -EEXIST);
	cr_expect_eq(rundir_create(&b, base, "vm2"), 0);
	rundir_remove(&b);
	rundir_remove(&a);
	cr_expect_lt(access(in_base("vm1"), F_OK), 0, "nothing is left behind");
	cr_expect_eq(rundir_create(&a, base, "vm1"), 0, "the name is free again");
	rundir_remove(&a);
}

Test(rundir, directory_is_closed_to_others)
{
	struct rundir a;
	struct stat st;

	cr_assert_eq(rundir_create(&a, base, "vm1"), 0);
	cr_assert_eq(stat(in_base("vm1"), &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0700u);
	rundir_remove(&a);
}

/* /tmp is everybody's: someone may have put a directory or a link there first. */
Test(rundir, foreign_directories_are_not_used)
{
	struct rundir a;

	cr_assert_eq(mkdir(in_base("open"), 0777), 0);
	cr_assert_eq(chmod(in_base("open"), 0777), 0);
	cr_expect_eq(rundir_create(&a, base, "open"), -EPERM);
	rmdir(in_base("open"));
	cr_assert_eq(symlink("/tmp", in_base("link")), 0);
	cr_expect_lt(rundir_create(&a, base, "link"), 0);
	unlink(in_base("link"));
}

static void touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	cr_assert_geq(fd, 0);
	close(fd);
}

/* SIGKILL of keeper and supervisor: files stay, the lock is free. */
static void leave_a_corpse(void)
{
	struct rundir a;
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (rundir_create(&a, base, "dead"))
			_exit(1);
		touch(in_base("dead/control.sock"));
		raise(SIGKILL);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status));
	cr_assert_eq(access(in_base("dead/control.sock"), F_OK), 0);
}

static void count_names(void *ctx, const char *name, const char *path)
{
	(*(int *)ctx)++;
}

Test(rundir, the_next_command_sweeps_what_a_dead_machine_left)
{
	int count = 0;

	leave_a_corpse();
	cr_expect(!rundir_is_alive(in_base("dead")));
	rundir_each(base, count_names, &count);
	cr_expect_eq(count, 0);
	cr_expect_lt(access(in_base("dead"), F_OK), 0);
}

Test(rundir, the_next_machine_of_that_name_takes_over)
{
	struct rundir a;

	leave_a_corpse();
	cr_expect_eq(rundir_create(&a, base, "dead"), 0);
	cr_expect_lt(access(in_base("dead/control.sock"), F_OK), 0, "stale sockets are gone");
	rundir_remove(&a);
}

Test(rundir, living_machines_are_listed_and_left_alone)
{
	struct rundir a, b;
	int count = 0;

	cr_assert_eq(rundir_create(&a, base, "vm1"), 0);
	cr_assert_eq(rundir_create(&b, base, "vm2"), 0);
	touch(in_base("vm1/control.sock"));
	rundir_each(base, count_names, &count);
	cr_expect_eq(count, 2);
	cr_expect_eq(access(in_base("vm1/control.sock"), F_OK), 0);
	rundir_remove(&a);
	rundir_remove(&b);
}

Test(rundir, paths)
{
	char path[RUNDIR_PATH_MAX], long_base[200];

	cr_expect_eq(rundir_path("/x", "vm1", path), 0);
	cr_expect_str_eq(path, "/x/vm1");
	setenv("RUNTIME_DIRECTORY", "/run/bulkhead/vm1", 1);
	cr_expect_eq(rundir_path(NULL, "vm1", path), 0);
	cr_expect_str_eq(path, "/run/bulkhead/vm1", "systemd's directory is the machine's own");
	setenv("BULKHEAD_RUNTIME_DIR", "/y", 1);
	cr_expect_eq(rundir_path(NULL, "vm2", path), 0);
	cr_expect_str_eq(path, "/y/vm2", "a directory of another service is not");
	memset(long_base, 'x', sizeof(long_base) - 1);
	long_base[0] = '/';
	long_base[sizeof(long_base) - 1] = 0;
	cr_expect_eq(rundir_path(long_base, "vm1", path), -ENAMETOOLONG, "a socket's address holds 107 characters");
}
