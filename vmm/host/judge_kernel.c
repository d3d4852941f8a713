/* SPDX-License-Identifier: MIT */
/* What the kernel offers for fences, and what there is of memory and groups: host.h. */
#include "judge.h"

#include <errno.h>
#include <string.h>

#define FENCE "fence"
#define RESOURCES "resources"

static void judge_user_namespaces(const struct host_facts *f, struct host_report *r)
{
	if (!f->user_ns.err) {
		host_find(r, FENCE, "user namespaces", HOST_OK, "each process of a machine gets its own");
		return;
	}
	host_find(r, FENCE, "user namespaces", HOST_WORSE, "cannot be had: %s; filters and limits stay",
		  strerror(f->user_ns.err));
	if (f->user_ns.max == 0)
		host_advise(r, "sysctl user.max_user_namespaces=15000, as root");
	else if (f->user_ns.is_off_by_sysctl)
		host_advise(r, "sysctl kernel.unprivileged_userns_clone=1, as root");
	else if (f->user_ns.is_restricted_by_apparmor)
		host_advise(r,
			    "sysctl kernel.apparmor_restrict_unprivileged_userns=0, as root, or an AppArmor profile that allows "
			    "userns to bulkhead-supervisor");
	else if (f->user_ns.max == UINT64_MAX)
		host_advise(r, "a kernel with CONFIG_USER_NS");
	else
		host_advise(r, "in a container: let its own seccomp profile allow clone and unshare with CLONE_NEWUSER");
}

static void judge_seccomp(const struct host_facts *f, struct host_report *r)
{
	if (!f->seccomp_err) {
		host_find(r, FENCE, "seccomp", HOST_OK, "filters of system calls");
		return;
	}
	host_find(r, FENCE, "seccomp", HOST_MISSING, "no filters: %s", strerror(f->seccomp_err));
	host_advise(r, "a kernel with CONFIG_SECCOMP_FILTER; without it only --sandbox off runs");
}

/* The kernel's Documentation/userspace-api/landlock.rst: 4 has TCP, 6 abstract sockets and signals. */
static void judge_landlock(const struct host_facts *f, struct host_report *r)
{
	if (f->landlock_err) {
		host_find(r, FENCE, "Landlock", HOST_WORSE, "not there: %s", strerror(f->landlock_err));
		host_advise(r, f->landlock_err == EOPNOTSUPP
				       ? "it is built in and switched off: add landlock to lsm= on the host kernel's command line"
				       : "a kernel from 5.13 on with CONFIG_SECURITY_LANDLOCK; the other fences stay");
		return;
	}
	host_find(r, FENCE, "Landlock", HOST_OK, "ABI %d: files%s%s", f->landlock_abi, f->landlock_abi >= 4 ? ", TCP" : "",
		  f->landlock_abi >= 6 ? ", abstract sockets, signals" : "");
	if (f->landlock_abi < 6)
		host_advise(r, "Linux 6.12 has more of it (ABI 6)");
}

void host_judge_fence(const struct host_facts *f, struct host_report *r)
{
	judge_user_namespaces(f, r);
	judge_seccomp(f, r);
	judge_landlock(f, r);
}

/* Guest memory is a shared object: shmem_enabled decides for it, transparent_hugepage/enabled for private memory only. */
static void judge_pages(const struct host_facts *f, struct host_report *r)
{
	const char *shmem = f->pages.shmem;
	const bool is_used = !strcmp(shmem, "always") || !strcmp(shmem, "within_size") || !strcmp(shmem, "force");

	if (!shmem[0]) {
		host_find(r, RESOURCES, "huge pages", HOST_SAY, "this kernel has no transparent ones");
		return;
	}
	host_find(r, RESOURCES, "huge pages", is_used ? HOST_OK : HOST_SAY,
		  "for shared memory, as guest memory is: %s; for private memory: %s", shmem,
		  f->pages.transparent[0] ? f->pages.transparent : "none");
	if (!is_used)
		host_advise(r, "echo within_size >/sys/kernel/mm/transparent_hugepage/shmem_enabled, as root, makes large guests "
			       "somewhat faster");
}

static void judge_groups(const struct host_facts *f, struct host_report *r)
{
	if (!f->cgroup.is_unified) {
		host_find(r, RESOURCES, "control groups", HOST_SAY, "not version 2 alone");
		host_advise(
			r, "limits of systemd units (memory, processors) want it: systemd.unified_cgroup_hierarchy=1 on the host "
			   "kernel's command line");
		return;
	}
	host_find(r, RESOURCES, "control groups", f->cgroup.is_writable ? HOST_OK : HOST_SAY, "version 2, with %s; %s",
		  f->cgroup.controllers[0] ? f->cgroup.controllers : "no controllers",
		  f->cgroup.is_writable ? "you may make groups here" : "you may make none here");
	if (!f->cgroup.is_writable)
		host_advise(r, "for limits of your own: systemd-run --user --scope -p Delegate=yes bulkhead run ...");
}

void host_judge_resources(const struct host_facts *f, struct host_report *r)
{
	host_find(r, RESOURCES, "memory", HOST_SAY, "%llu MiB, of which %llu MiB could be used now",
		  (unsigned long long)f->memory_kib / 1024, (unsigned long long)f->available_kib / 1024);
	judge_pages(f, r);
	judge_groups(f, r);
}
