/* SPDX-License-Identifier: MIT */
/*
 * What a process that was taken over would try. Linked into otherwise unchanged daemons
 * (-Wl,--wrap=sandbox_enter_setup and so on), so it runs behind the fence that the spawner and the
 * daemon have really built: as the first that the program does, behind the filter that was there
 * before it; then behind its setup filter, and behind its run filter. The results go to stderr,
 * which is the supervisor's log:
 *
 *   probe PHASE NAME=RESULT ...	RESULT: stopped (by SIGSYS), the name of an errno, or a number
 *
 * Under --sandbox=log the filters stop nothing: then namespaces, ids, capabilities and limits have
 * to say no alone.
 */
#include "proto/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

int __real_sandbox_enter_setup(enum sandbox_role role, enum sandbox_mode mode, struct sandbox_report *report);
int __wrap_sandbox_enter_setup(enum sandbox_role role, enum sandbox_mode mode, struct sandbox_report *report);
int __real_sandbox_enter_run(enum sandbox_role role, enum sandbox_mode mode);
int __wrap_sandbox_enter_run(enum sandbox_role role, enum sandbox_mode mode);
int __real_sigaction(int sig, const struct sigaction *action, struct sigaction *before);
int __wrap_sigaction(int sig, const struct sigaction *action, struct sigaction *before);

enum { STOPPED = -10000, LAST_FD = 200 };

static volatile sig_atomic_t stopped;

static void on_sigsys(int sig)
{
	stopped = 1;
}

static long outcome(long rc)
{
	return stopped ? STOPPED : rc == -1 ? -errno : rc;
}

/* Result, -errno, or STOPPED. */
#define CALL(...) (stopped = 0, outcome(syscall(__VA_ARGS__)))

/* ---- files ----------------------------------------------------------------------------------- */

static long open_old(void)
{
	return CALL(SYS_open, "/etc/passwd", O_RDONLY);
}

static long open_at(void)
{
	return CALL(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

/* The lists refuse open and openat with ENOENT, in every mode; openat2 is what shows the file
 * system itself. */
static long open_file(int dir, const char *path, uint64_t flags)
{
	struct open_how how = { .flags = flags, .mode = flags & O_CREAT ? 0600 : 0 };

	return CALL(SYS_openat2, dir, path, &how, sizeof(how));
}

static long open_passwd(void)
{
	return open_file(AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static long open_proc(void)
{
	return open_file(AT_FDCWD, "/proc/self/status", O_RDONLY);
}

static long open_kvm(void)
{
	return open_file(AT_FDCWD, "/dev/kvm", O_RDWR);
}

static long create_file(void)
{
	return open_file(AT_FDCWD, "/x", O_CREAT | O_WRONLY);
}

static long make_directory(void)
{
	return CALL(SYS_mkdir, "/x", 0700);
}

/* How many names the root directory holds. */
static long list_root(void)
{
	long fd = open_file(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY), n, names = 0;
	char buf[4096];

	if (fd < 0)
		return fd;
	n = CALL(SYS_getdents64, fd, buf, sizeof(buf));
	for (long at = 0; at < n; names++) {
		unsigned short len;

		memcpy(&len, buf + at + 16, sizeof(len));
		at += len;
	}
	close((int)fd);
	return n < 0 ? n : names - 2; /* . and .. */
}

/* How many inherited descriptors lead to a directory, or out of one. */
static long leave_by_fd(void)
{
	long ways = 0;

	for (int fd = 0; fd < LAST_FD; fd++) {
		long up = open_file(fd, "..", O_PATH | O_DIRECTORY);

		if (up == STOPPED)
			return up;
		ways += up >= 0;
	}
	return ways;
}

static long execute(void)
{
	return CALL(SYS_execve, "/bin/sh", NULL, NULL);
}

static long mount_something(void)
{
	return CALL(SYS_mount, "none", "/", "tmpfs", 0, NULL);
}

/* ---- network --------------------------------------------------------------------------------- */

static long connect_inet(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(1), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	long fd = CALL(SYS_socket, AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? fd : CALL(SYS_connect, fd, &a, sizeof(a));
}

/* The test listens on this name in the host's network namespace. */
static long connect_abstract(void)
{
	static const char name[] = "bulkhead-fence-test";
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	long fd = CALL(SYS_socket, AF_UNIX, SOCK_STREAM, 0);

	memcpy(a.sun_path + 1, name, sizeof(name) - 1);
	return fd < 0 ? fd : CALL(SYS_connect, fd, &a, offsetof(struct sockaddr_un, sun_path) + sizeof(name));
}

/* Another machine's console, where a machine of root has it. */
static long connect_path(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/run/bulkhead/vm1/console.sock" };
	long fd = CALL(SYS_socket, AF_UNIX, SOCK_STREAM, 0);

	return fd < 0 ? fd : CALL(SYS_connect, fd, &a, sizeof(a));
}

static long raw_socket(void)
{
	return CALL(SYS_socket, AF_PACKET, SOCK_RAW, 0);
}

/* ---- other processes, other users, the kernel ------------------------------------------------ */

static long signal_all(void)
{
	return CALL(SYS_kill, -1, 0);
}

static long signal_second(void)
{
	return CALL(SYS_kill, 2, SIGKILL);
}

static long trace_process(void)
{
	return CALL(SYS_ptrace, PTRACE_ATTACH, 2, NULL, NULL);
}

static long open_process(void)
{
	return CALL(SYS_pidfd_open, 2, 0);
}

static long read_process(void)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { (void *)0x1000, 1 };

	return CALL(SYS_process_vm_readv, 2, &here, 1, &there, 1, 0);
}

static long fork_process(void)
{
	long pid = CALL(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	if (!pid)
		_exit(0);
	if (pid > 0)
		waitpid((pid_t)pid, NULL, 0);
	return pid;
}

static long become_root(void)
{
	return CALL(SYS_setresuid, 0, 0, 0);
}

static long set_host_name(void)
{
	return CALL(SYS_sethostname, "x", 1);
}

static long io_ports(void)
{
	return CALL(SYS_iopl, 3);
}

static long restart_host(void)
{
	return CALL(SYS_reboot, 0, 0, 0, NULL);
}

static long load_module(void)
{
	return CALL(SYS_init_module, NULL, 0, "");
}

static long executable_memory(void)
{
	return CALL(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long more_files(void)
{
	return CALL(SYS_prlimit64, 0, 7 /* RLIMIT_NOFILE */, (uint64_t[]){ 100000, 100000 }, NULL);
}

static const struct {
	const char *name;
	long (*run)(void);
} probes[] = {
	{ "open", open_old },	       { "openat", open_at },		   { "passwd", open_passwd },
	{ "proc", open_proc },
	{ "kvm", open_kvm },	       { "create", create_file },	   { "mkdir", make_directory },
	{ "root-names", list_root },   { "ways-out", leave_by_fd },	   { "exec", execute },
	{ "mount", mount_something },  { "inet", connect_inet },	   { "abstract", connect_abstract },
	{ "other-vm", connect_path },  { "packet", raw_socket },	   { "kill-all", signal_all },
	{ "kill", signal_second },     { "ptrace", trace_process },	   { "pidfd", open_process },
	{ "vm-read", read_process },   { "fork", fork_process },	   { "setuid", become_root },
	{ "hostname", set_host_name }, { "iopl", io_ports },		   { "reboot", restart_host },
	{ "module", load_module },     { "wx-memory", executable_memory }, { "nofile", more_files },
};
enum { PROBES = sizeof(probes) / sizeof(probes[0]), PER_LINE = 6 };

static int describe(char *out, size_t len, const char *name, long rc)
{
	if (rc == STOPPED)
		return snprintf(out, len, " %s=stopped", name);
	if (rc < 0)
		return snprintf(out, len, " %s=%s", name, strerrorname_np((int)-rc));
	return snprintf(out, len, " %s=%ld", name, rc);
}

static void run_probes(const char *phase)
{
	char line[190];
	size_t len = 0;

	for (unsigned i = 0; i < PROBES; i++) {
		if (!len)
			len = (size_t)snprintf(line, sizeof(line), "probe %s", phase);
		len += (size_t)describe(line + len, sizeof(line) - len, probes[i].name, probes[i].run());
		if ((i + 1) % PER_LINE && i + 1 < PROBES)
			continue;
		line[len++] = '\n';
		if (write(2, line, len) < 0)
			return;
		len = 0;
	}
}

#if defined(PROBE_STRANGER)
/* A program that is none of ours, knows of no fence, and tries all of it before anything else. */
int main(void)
{
	struct sigaction sa = { .sa_handler = on_sigsys };

	sigaction(SIGSYS, &sa, NULL);
	run_probes("exec");
	return 0;
}
#else
/* The daemon's own handler would end us at the first try. */
int __wrap_sigaction(int sig, const struct sigaction *action, struct sigaction *before)
{
	const struct sigaction ours = { .sa_handler = on_sigsys };

	return __real_sigaction(sig, sig == SIGSYS ? &ours : action, before);
}

int __wrap_sandbox_enter_setup(enum sandbox_role role, enum sandbox_mode mode, struct sandbox_report *report)
{
	__wrap_sigaction(SIGSYS, NULL, NULL);
	run_probes("exec");
	return __real_sandbox_enter_setup(role, mode, report);
}

int __wrap_sandbox_enter_run(enum sandbox_role role, enum sandbox_mode mode)
{
	int rc;

	run_probes("setup");
	rc = __real_sandbox_enter_run(role, mode);
	if (!rc)
		run_probes("run");
	return rc;
}
#endif
