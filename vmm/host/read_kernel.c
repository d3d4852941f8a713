/* SPDX-License-Identifier: MIT */
/* Asking the kernel for fences, memory and groups: host.h. */
#include "read.h"

#include <errno.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child tries; its exit code is the errno. Mounting is what distributions forbid in namespaces of ordinary users. */
static int try_namespaces(void)
{
	const pid_t child = fork();
	int status = 0;

	if (child < 0)
		return errno;
	if (!child) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
			_exit(errno);
		_exit(0);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

void host_read_fence(struct host_facts *f)
{
	uint32_t action = SECCOMP_RET_TRAP;
	long abi;

	f->user_ns.err = try_namespaces();
	f->user_ns.max = host_read_number("/proc/sys/user/max_user_namespaces", UINT64_MAX);
	f->user_ns.is_off_by_sysctl = host_read_number("/proc/sys/kernel/unprivileged_userns_clone", 1) == 0;
	f->user_ns.is_restricted_by_apparmor = host_read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) != 0;
	f->seccomp_err = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) ? errno : 0;
	abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	f->landlock_err = abi < 0 ? errno : 0;
	f->landlock_abi = abi < 0 ? 0 : (int)abi;
}

/* Of "always [madvise] never": madvise. */
static void read_choice(const char *path, char *out, size_t size)
{
	char line[128], *start, *end;

	host_read_line(path, line, sizeof(line));
	start = strchr(line, '[');
	end = start ? strchr(start, ']') : NULL;
	if (end)
		*end = 0;
	snprintf(out, size, "%s", end ? start + 1 : "");
}

static void read_memory(struct host_facts *f)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "MemTotal:", 9))
			f->memory_kib = strtoull(line + 9, NULL, 10);
		if (!strncmp(line, "MemAvailable:", 13))
			f->available_kib = strtoull(line + 13, NULL, 10);
	}
	if (file)
		fclose(file);
}

/* cgroups(7): under version 2 alone /proc/self/cgroup has one line, 0::PATH. Delegated are a group's directory, its cgroup.procs and
 * cgroup.subtree_control. */
static void read_groups(struct host_facts *f)
{
	char line[512], path[600];

	host_read_line("/proc/self/cgroup", line, sizeof(line));
	f->cgroup.is_unified = !strncmp(line, "0::", 3) && !access("/sys/fs/cgroup/cgroup.controllers", F_OK);
	if (!f->cgroup.is_unified)
		return;
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cgroup.controllers", line + 3);
	host_read_line(path, f->cgroup.controllers, sizeof(f->cgroup.controllers));
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s", line + 3);
	f->cgroup.is_writable = !access(path, W_OK);
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cgroup.subtree_control", line + 3);
	f->cgroup.is_writable = f->cgroup.is_writable && !access(path, W_OK);
}

void host_read_resources(struct host_facts *f)
{
	read_memory(f);
	read_choice("/sys/kernel/mm/transparent_hugepage/enabled", f->pages.transparent, sizeof(f->pages.transparent));
	read_choice("/sys/kernel/mm/transparent_hugepage/shmem_enabled", f->pages.shmem, sizeof(f->pages.shmem));
	read_groups(f);
}
