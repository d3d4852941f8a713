/* SPDX-License-Identifier: MIT */
/* Entering the fence; sandbox.h says what it promises. */
#include "sandbox.h"
#include "sandbox_filters.h"
#include "sandbox_table.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#else
#define HAS_ASAN 0
#endif

/* Processes started by root without a supervisor take a user id of their own from here, by their pid. */
#define UID_BASE 0x62680000u

void sandbox_report_add(struct sandbox_report *report, const char *fmt, ...)
{
	va_list ap;

	if (!report || report->count == SANDBOX_MISSING_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(report->missing[report->count++], SANDBOX_MISSING_LEN, fmt, ap);
	va_end(ap);
}

const char *sandbox_call_name(long number)
{
	return number >= 0 && number < sandbox_call_count ? sandbox_call_names[number] : NULL;
}

/* ---- SIGSYS: name the call, then end -------------------------------------------------------------------------- */

static const char *handler_role = "?";

/* Only async-signal-safe calls from here on, and only ones that every list allows. */
static char *put_text(char *p, const char *end, const char *text)
{
	while (*text && p < end)
		*p++ = *text++;
	return p;
}

static char *put_number(char *p, const char *end, unsigned long v)
{
	char digits[24];
	unsigned n = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while (v /= 10);
	while (n && p < end)
		*p++ = digits[--n];
	return p;
}

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	const char *name = sandbox_call_name(info->si_syscall);
	char line[160], *p = line, *end = line + sizeof(line) - 1;

	p = put_text(p, end, "sandbox: ");
	p = put_text(p, end, handler_role);
	p = put_text(p, end, ": system call ");
	p = put_text(p, end, name ? name : "unknown");
	p = put_text(p, end, " (");
	p = put_number(p, end, (unsigned long)info->si_syscall);
	p = put_text(p, end, ") is not on its list\n");
	if (write(2, line, (size_t)(p - line)) < 0)
		_exit(SANDBOX_EXIT_CODE);
	_exit(SANDBOX_EXIT_CODE);
}

static int handle_sigsys(enum sandbox_role role)
{
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

	handler_role = sandbox_role_name(role);
	return sigaction(SIGSYS, &sa, NULL) < 0 ? -errno : 0;
}

/* ---- filters --------------------------------------------------------------------------------------------------- */

static int load_filter(enum sandbox_role role, enum sandbox_phase phase, enum sandbox_mode mode)
{
	const struct sandbox_filter *f = &sandbox_filters[role][phase];
	struct sock_filter *copy = malloc(f->len * sizeof(*copy));
	struct sock_fprog prog = { .len = f->len, .filter = copy };
	long rc;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, f->insn, f->len * sizeof(*copy));
	for (unsigned i = 0; mode == SANDBOX_LOG && i < f->len; i++)
		if (copy[i].code == (BPF_RET | BPF_K) && copy[i].k == SECCOMP_RET_TRAP)
			copy[i].k = SECCOMP_RET_LOG;
	rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog);
	if (rc < 0)
		rc = -errno;
	else if (rc > 0)
		rc = -EBUSY; /* the id of a thread that has a filter of its own */
	free(copy);
	return (int)rc;
}

/* ---- capabilities ---------------------------------------------------------------------------------------------- */

int sandbox_drop_caps(uint64_t keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* Without CAP_SETPCAP this fails, and does not matter: no_new_privs keeps an exec from gaining any. */
	for (unsigned cap = 0; cap < 64; cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			break;
	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	for (unsigned i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(keep >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* ---- namespaces and root --------------------------------------------------------------------------------------- */

int sandbox_empty_root(void)
{
	/* Any directory will do as a mount point: it is gone with the old root a moment later. */
	static const char *const places[] = { "/tmp", "/run", "/proc", "/usr" };
	int rc = -ENOENT;

	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	for (unsigned i = 0; rc && i < sizeof(places) / sizeof(places[0]); i++) {
		rc = mount("bulkhead", places[i], "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
			   "size=4k,nr_inodes=2,mode=555") < 0
			     ? -errno
			     : 0;
		if (!rc && chdir(places[i]) < 0)
			rc = -errno;
	}
	if (rc)
		return rc;
	/* The old root lands on top of the new one and is unmounted at once: no directory for it is needed. */
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

/* The supervisor has done what could be done, and has said what could not. */
static bool is_supervised(void)
{
	return getenv(SANDBOX_SUPERVISED) != NULL;
}

int sandbox_take_id(uint32_t id)
{
	if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, id, id, id) < 0 ||
	    syscall(SYS_setresuid, id, id, id) < 0)
		return -errno;
	return 0;
}

/* For a process that no supervisor started, or whose supervisor could not. A pid namespace would need a fork. */
static int isolate(struct sandbox_report *report)
{
	const int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
	bool root = geteuid() == 0;
	int rc = 0;

	if (root && (unshare(flags) < 0 || sandbox_empty_root() < 0))
		sandbox_report_add(report, "own namespaces with an empty root (%s)", strerror(errno));
	/* A user id that nobody else has. Must come before the user namespace, which maps nobody. */
	if (root)
		rc = sandbox_take_id(UID_BASE + 16 * (uint32_t)getpid());
	if (rc)
		return rc;
	if (unshare(CLONE_NEWUSER | (root ? 0 : flags)) < 0) {
		sandbox_report_add(report, "user namespaces (%s)", strerror(errno));
		if (!root)
			sandbox_report_add(report, "empty root, own mount, ipc, uts and net namespaces");
		return 0;
	}
	if (!root && sandbox_empty_root() < 0)
		sandbox_report_add(report, "empty root (%s)", strerror(errno));
	return 0;
}

/* ---- limits ---------------------------------------------------------------------------------------------------- */

static bool is_device(enum sandbox_role role)
{
	return role >= SANDBOX_DEVICE;
}

/* The guest's. */
static bool holds_memory(enum sandbox_role role)
{
	return is_device(role) && kind_holds_ram(kind_rows[role - SANDBOX_DEVICE].memory);
}

static bool is_child(enum sandbox_role role)
{
	return role >= SANDBOX_BOOT;
}

static void limit(int what, rlim_t value)
{
	struct rlimit now, want = { value, value };

	if (getrlimit((__rlimit_resource_t)what, &now) < 0)
		return;
	if (want.rlim_max > now.rlim_max)
		want.rlim_cur = want.rlim_max = now.rlim_max;
	setrlimit((__rlimit_resource_t)what, &want);
}

/*
 * Memory objects count as files, and all but the emulator's code are sealed against growth. What seriald may have besides is a file
 * that the user wants a port's output in.
 */
static rlim_t largest_file(enum sandbox_role role)
{
	if (role == SANDBOX_VCPU_EMU)
		return 64 << 20;
	if (is_device(role) && kind_rows[role - SANDBOX_DEVICE].virtio == KIND_VIRTIO_BACK)
		return RLIM_INFINITY; /* an image; who opens it knows how long it is (devices/blkd.c) */
	return role == SANDBOX_SERIALD ? (rlim_t)1 << 40 : 1 << 20;
}

static void set_limits(enum sandbox_role role)
{
	limit(RLIMIT_CORE, 0);
	if (!is_child(role))
		return;
	limit(RLIMIT_NOFILE, 160);
	limit(RLIMIT_FSIZE, largest_file(role));
	limit(RLIMIT_MEMLOCK, 0);
	limit(RLIMIT_MSGQUEUE, 0);
	if (role == SANDBOX_VNC && !HAS_ASAN)
		limit(RLIMIT_AS, 512u << 20);
	if (is_device(role) && !HAS_ASAN)
		limit(RLIMIT_AS, (256u << 20) + (holds_memory(role) ? LAYOUT_RAM_MAX : 0));
}

/* ---- heap ------------------------------------------------------------------------------------------------------ */

enum { HEAP_RESERVE = 64 * 1024 };

/*
 * Every thread allocates from one arena: a second one would ask /sys for the number of processors. A daemon's heap is
 * neither trimmed nor bypassed for large blocks, so that what it allocates and frees needs no system call.
 */
static void settle_heap(enum sandbox_role role)
{
	mallopt(M_ARENA_MAX, 1);
	if (!is_device(role))
		return;
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, -1);
}

/* The last call before a daemon's heap can no longer grow. What libevent still wants (an array per doubling of the
 * descriptors, a few hundred bytes for a console client) comes out of this. */
static void reserve_heap(void)
{
	void *volatile p = malloc(HEAP_RESERVE);

	free(p);
}

/* ---- the two steps --------------------------------------------------------------------------------------------- */

static int drop_privileges(enum sandbox_role role)
{
	int rc = 0;

	/* These two have dropped what they do not need, and need the rest. */
	if (role != SANDBOX_SUPERVISOR && role != SANDBOX_SPAWNER)
		rc = sandbox_drop_caps(0);
	if (!rc && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		rc = -errno;
	if (!rc && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		rc = -errno;
	return rc;
}

static int fence(enum sandbox_role role, struct sandbox_report *report)
{
	int rc = 0;

	settle_heap(role);
	if (is_child(role) && !is_supervised())
		rc = isolate(report);
	if (!rc)
		rc = drop_privileges(role);
	/* A second lock on the same door, where the kernel has it. */
	if (!rc && (is_child(role) || role == SANDBOX_LOGGER || role == SANDBOX_DIALLER || role == SANDBOX_TRACED))
		sandbox_landlock(NULL, 0, false);
	set_limits(role);
	return rc;
}

/* Of all files one, to be executed. */
static void only_program(void)
{
	const struct sandbox_place program = { SANDBOX_PROGRAM, LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE };

	sandbox_landlock(&program, 1, false);
}

int sandbox_enter_exec(enum sandbox_role role, enum sandbox_mode mode, bool isolated)
{
	int rc = 0;

	if (mode == SANDBOX_OFF)
		return sandbox_drop_caps(0);
	if (!is_child(role) || (unsigned)role >= SANDBOX_ROLES)
		return -EINVAL;
	if (!isolated)
		rc = isolate(NULL);
	if (!rc)
		rc = drop_privileges(role);
	if (rc)
		return rc;
	only_program();
	set_limits(role);
	return load_filter(role, SANDBOX_PHASE_EXEC, mode);
}

int sandbox_enter_setup(enum sandbox_role role, enum sandbox_mode mode, struct sandbox_report *report)
{
	int rc;

	if (report)
		report->count = 0;
	if (mode == SANDBOX_OFF)
		return 0;
	if ((unsigned)role >= SANDBOX_ROLES)
		return -EINVAL;
	rc = handle_sigsys(role);
	if (!rc)
		rc = fence(role, report);
	if (!rc)
		rc = load_filter(role, SANDBOX_PHASE_SETUP, mode);
	return rc;
}

int sandbox_enter_run(enum sandbox_role role, enum sandbox_mode mode)
{
	if (mode == SANDBOX_OFF)
		return 0;
	if ((unsigned)role >= SANDBOX_ROLES)
		return -EINVAL;
	/* The first KVM_RUN makes the kernel start a worker thread of this process's user (the large-page recovery of
	 * Linux 6.14): with a limit of 0 it fails with EAGAIN for ever. There the filter alone forbids new processes. */
	handler_role = sandbox_role_name(role);
	if (is_child(role) && role != SANDBOX_VCPU_KVM)
		limit(RLIMIT_NPROC, 0);
	if (is_device(role))
		reserve_heap();
	return load_filter(role, SANDBOX_PHASE_RUN, mode);
}
