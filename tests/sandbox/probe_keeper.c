/* SPDX-License-Identifier: MIT */
/*
 * What a keeper that was taken over would try: linked into an otherwise unchanged one (-Wl,--wrap=keeper_fence), so it
 * runs behind the fence that the keeper has really built. $PROBE_FILE and $PROBE_DIR are a file and an empty directory of
 * the host that its user could remove, $PROBE_OTHER is the name of another machine. Results as in probe.c:
 *
 *   probe keeper NAME=RESULT ...
 */
#include "vmm/keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int __real_keeper_fence(struct keeper *k);
int __wrap_keeper_fence(struct keeper *k);
int __real_sigaction(int sig, const struct sigaction *action, struct sigaction *before);
int __wrap_sigaction(int sig, const struct sigaction *action, struct sigaction *before);

static volatile sig_atomic_t stopped;
static char file[256], dir[256], other[256], line[512];

static void on_sigsys(int sig)
{
	stopped = 1;
}

static void report(const char *name, long rc)
{
	size_t len = strlen(line);

	snprintf(line + len, sizeof(line) - len, " %s=%s", name, stopped ? "stopped" : rc < 0 ? strerrorname_np(errno) : "done");
	stopped = 0;
}

static long open_file(int at, const char *path, uint64_t flags)
{
	struct open_how how = { .flags = flags, .mode = flags & O_CREAT ? 0600 : 0 };

	return syscall(SYS_openat2, at, path, &how, sizeof(how));
}

/* The filter lets these two calls pass, with whatever path. */
static void remove_things(const struct keeper *k)
{
	char up[300];

	report("file", unlinkat(k->rundir.dir_fd, file, 0));
	snprintf(up, sizeof(up), "../../%s", strrchr(file, '/') + 1);
	report("file-up", unlinkat(k->rundir.dir_fd, up, 0));
	report("dir", unlinkat(k->rundir.base_fd, dir, AT_REMOVEDIR));
	snprintf(up, sizeof(up), "../%s", strrchr(dir, '/') + 1);
	report("dir-up", unlinkat(k->rundir.base_fd, up, AT_REMOVEDIR));
	snprintf(up, sizeof(up), "../%s/control.sock", other);
	report("other-up", unlinkat(k->rundir.dir_fd, up, 0));
	snprintf(up, sizeof(up), "/%s/control.sock", other);
	report("other-root", unlinkat(k->rundir.dir_fd, up, 0));
	report("other-dir", unlinkat(k->rundir.base_fd, other, AT_REMOVEDIR));
	report("own", unlinkat(k->rundir.dir_fd, "log", 0));
}

static void try_others(const struct keeper *k)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/control.sock", other);
	report("other-socket", syscall(SYS_unlinkat, k->rundir.base_fd, path, 0));
	report("unlink", syscall(SYS_unlink, file));
	report("rmdir", syscall(SYS_rmdir, dir));
	report("rename", syscall(SYS_rename, file, "/tmp/bulkhead-renamed"));
	report("read", open_file(AT_FDCWD, "/etc/passwd", O_RDONLY));
	report("proc", open_file(AT_FDCWD, "/proc/self/status", O_RDONLY));
	report("create", open_file(k->rundir.dir_fd, "new", O_WRONLY | O_CREAT));
	report("own-read", open_file(k->rundir.dir_fd, "lock", O_RDONLY));
	report("exec", syscall(SYS_execve, "/bin/sh", NULL, NULL));
	report("chroot", syscall(SYS_chroot, "/"));
	report("setuid", syscall(SYS_setresuid, 1, 1, 1));
}

/* The keeper's own handler would end it at the first try. */
int __wrap_sigaction(int sig, const struct sigaction *action, struct sigaction *before)
{
	const struct sigaction ours = { .sa_handler = on_sigsys };

	return __real_sigaction(sig, sig == SIGSYS ? &ours : action, before);
}

int __wrap_keeper_fence(struct keeper *k)
{
	int rc;

	snprintf(file, sizeof(file), "%s", getenv("PROBE_FILE"));
	snprintf(dir, sizeof(dir), "%s", getenv("PROBE_DIR"));
	snprintf(other, sizeof(other), "%s", getenv("PROBE_OTHER"));
	rc = __real_keeper_fence(k);
	remove_things(k);
	dprintf(2, "probe keeper%s\n", line);
	line[0] = 0;
	try_others(k);
	dprintf(2, "probe keeper%s\n", line);
	return rc;
}
