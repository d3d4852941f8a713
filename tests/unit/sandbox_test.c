/* SPDX-License-Identifier: MIT */
/*
 * The fence, tried from inside: for each role every system call number is made in a child behind its filters, with
 * arguments that can do no harm (all bits set), and must be stopped exactly if proto/sandbox_table.c does not list it;
 * then each row with a condition on an argument with a value that meets it, and with one that just does not.
 */
#include "proto/sandbox.h"
#include "proto/sandbox_table.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLS = 335, RETURNED = 77, ARGS = 6 };

static const enum sandbox_role roles[] = {
	SANDBOX_BOOT, SANDBOX_VCPU_EMU, SANDBOX_VCPU_KVM, SANDBOX_GDBD, SANDBOX_VNC,
#define DEVICE(NAME, ...) SANDBOX_##NAME,
#include "proto/devices.def"
};
enum { ROLES = sizeof(roles) / sizeof(roles[0]) };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NEEDS_FILTERS() cr_skip("sanitizers make system calls of their own")
#else
#define NEEDS_FILTERS() ((void)0)
#endif

static long number_of(const char *name)
{
	for (long i = 0; i < CALLS + 200; i++)
		if (sandbox_call_name(i) && !strcmp(sandbox_call_name(i), name))
			return i;
	return -1;
}

static bool meets(const struct sandbox_rule *rule, const uint64_t args[ARGS])
{
	for (unsigned i = 0; i < SANDBOX_MAX_CONDS && rule->conds[i].mask; i++)
		if ((args[rule->conds[i].arg] & rule->conds[i].mask) != rule->conds[i].value)
			return false;
	return true;
}

/* What the table says of that call; refusals by errno do not end a process either. */
static bool is_listed(enum sandbox_role role, long call, const uint64_t args[ARGS])
{
	for (unsigned i = 0; i < sandbox_rule_count; i++)
		if (sandbox_rule_applies(&sandbox_rules[i], role, SANDBOX_PHASE_RUN) &&
		    number_of(sandbox_rules[i].call) == call && meets(&sandbox_rules[i], args))
			return true;
	return false;
}

/* These do not return to their caller. */
static bool is_final(long call)
{
	return call == SYS_exit || call == SYS_exit_group || call == SYS_rt_sigreturn;
}

static void silence(void)
{
	int null = open("/dev/null", O_WRONLY);

	dup2(null, 2);
	close(null);
}

static void try_it(enum sandbox_role role, long call, const uint64_t a[ARGS])
{
	silence();
	setenv(SANDBOX_SUPERVISED, "1", 1); /* namespaces are not what is tested here */
	if (sandbox_enter_setup(role, SANDBOX_ON, NULL) || sandbox_enter_run(role, SANDBOX_ON))
		_exit(3);
	syscall(call, a[0], a[1], a[2], a[3], a[4], a[5]);
	_exit(RETURNED);
}

static int outcome(enum sandbox_role role, long call, const uint64_t args[ARGS])
{
	pid_t pid = fork();
	int status;

	if (!pid)
		try_it(role, call, args);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void check_call(enum sandbox_role role, long call, const uint64_t args[ARGS])
{
	int want = is_listed(role, call, args) ? RETURNED : SANDBOX_EXIT_CODE, got;

	if (is_final(call) && want == RETURNED)
		return;
	got = outcome(role, call, args);
	cr_expect(got == want, "%s: %s (%ld), argument 1 %llx: exit code %d, expected %d", sandbox_role_name(role),
		  sandbox_call_name(call) ? sandbox_call_name(call) : "?", call, (unsigned long long)args[1], got, want);
}

Test(sandbox, every_call_of_every_role, .timeout = 300)
{
	const uint64_t harmless[ARGS] = { ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull };

	NEEDS_FILTERS();
	for (unsigned r = 0; r < ROLES; r++)
		for (long call = 0; call < CALLS; call++)
			check_call(roles[r], call, harmless);
}

Test(sandbox, conditions_hold_and_neighbours_do_not, .timeout = 120)
{
	NEEDS_FILTERS();
	for (unsigned i = 0; i < sandbox_rule_count; i++) {
		const struct sandbox_rule *rule = &sandbox_rules[i];
		const struct sandbox_cond *c = &rule->conds[0];
		uint64_t args[ARGS] = { ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull };

		for (unsigned r = 0; r < ROLES && c->mask; r++) {
			if (!sandbox_rule_applies(rule, roles[r], SANDBOX_PHASE_RUN))
				continue;
			args[c->arg] = c->value | ~c->mask;
			check_call(roles[r], number_of(rule->call), args);
			args[c->arg] ^= c->mask & -c->mask;
			check_call(roles[r], number_of(rule->call), args);
		}
	}
}

Test(sandbox, promised_number_of_calls)
{
	NEEDS_FILTERS();
	for (unsigned r = 0; r < SANDBOX_ROLES; r++) {
		unsigned limit = sandbox_run_limit((enum sandbox_role)r), count = 0;
		bool seen[CALLS + 200] = { false };

		for (unsigned i = 0; i < sandbox_rule_count; i++) {
			long call = number_of(sandbox_rules[i].call);

			if (sandbox_rules[i].deny_errno || call < 0 || seen[call] ||
			    !sandbox_rule_applies(&sandbox_rules[i], (enum sandbox_role)r, SANDBOX_PHASE_RUN))
				continue;
			seen[call] = true;
			count++;
		}
		cr_expect(!limit || count <= limit, "%s may make %u calls, promised are %u",
			  sandbox_role_name((enum sandbox_role)r), count, limit);
	}
}

/* What a taken-over daemon would want most. */
Test(sandbox, nothing_dangerous_is_listed)
{
	static const char *const never[] = {
		"execve",
		"execveat",
		"fork",
		"vfork",
		"clone",
		"open",
		"openat",
		"openat2",
		"socket",
		"connect",
		"bind",
		"ptrace",
		"process_vm_writev",
		"mprotect",
		"pkey_mprotect",
		"memfd_create",
		"setuid",
		"setresuid",
		"unshare",
		"setns",
		"mount",
		"pivot_root",
		"bpf",
		"io_uring_setup",
		"userfaultfd",
		"keyctl",
		"kill",
		"prctl",
		"seccomp",
		"fcntl",
	};
	const uint64_t zero[ARGS] = { 0 };

	for (unsigned r = 0; r < ROLES; r++)
		for (unsigned i = 0; i < sizeof(never) / sizeof(never[0]); i++)
			cr_expect(!is_listed(roles[r], number_of(never[i]), zero), "%s may call %s", sandbox_role_name(roles[r]),
				  never[i]);
}

Test(sandbox, executable_memory_and_blocking_pipes_are_out_of_reach)
{
	const uint64_t exec_map[ARGS] = { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ~0ull, 0 };
	const uint64_t set_flags[ARGS] = { 0, F_SETFL, 0 };

	NEEDS_FILTERS();
	for (unsigned r = 0; r < ROLES; r++) {
		cr_expect_eq(outcome(roles[r], SYS_mmap, exec_map), SANDBOX_EXIT_CODE);
		cr_expect_eq(outcome(roles[r], SYS_fcntl, set_flags), SANDBOX_EXIT_CODE);
	}
}

/* Says that it is behind its fence, and leaves when the other end is closed. */
static void stand_alone(int ready, int end)
{
	char c;

	unsetenv(SANDBOX_SUPERVISED);
	if (sandbox_enter_setup(SANDBOX_SERIALD, SANDBOX_ON, NULL) || write(ready, "x", 1) != 1)
		_exit(3);
	_exit(read(end, &c, 1) ? 4 : 0);
}

static bool says(pid_t pid, const char *line)
{
	char path[64], text[4096] = "";
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = open(path, O_RDONLY);
	while (fd >= 0 && n < (ssize_t)sizeof(text) - 1) {
		ssize_t got = read(fd, text + n, sizeof(text) - 1 - (size_t)n);

		if (got <= 0)
			break;
		n += got;
	}
	close(fd);
	return strstr(text, line) != NULL;
}

/* Started by itself (not by a supervisor) a daemon arranges its own namespaces. */
Test(sandbox, stand_alone_process_is_fenced_too)
{
	int ready[2], end[2], status;
	pid_t pid;
	char c;

	NEEDS_FILTERS();
	cr_assert(!pipe(ready) && !pipe(end));
	pid = fork();
	if (!pid) {
		close(end[1]);
		stand_alone(ready[1], end[0]);
	}
	close(ready[1]);
	cr_expect_eq(read(ready[0], &c, 1), 1);
	cr_expect(says(pid, "NoNewPrivs:\t1\n"));
	cr_expect(says(pid, "Seccomp:\t2\n"));
	cr_expect(says(pid, "CapPrm:\t0000000000000000\n"));
	close(end[1]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
}

/* The last line on stderr names call and role: people act on it. */
Test(sandbox, violation_is_named)
{
	char line[200] = "";
	int pipe_fds[2], status;
	pid_t pid;

	NEEDS_FILTERS();
	cr_assert_eq(pipe(pipe_fds), 0);
	pid = fork();
	if (!pid) {
		dup2(pipe_fds[1], 2);
		setenv(SANDBOX_SUPERVISED, "1", 1);
		if (sandbox_enter_setup(SANDBOX_TIMERD, SANDBOX_ON, NULL) || sandbox_enter_run(SANDBOX_TIMERD, SANDBOX_ON))
			_exit(3);
		syscall(SYS_socket, 1, 1, 0);
		_exit(RETURNED);
	}
	close(pipe_fds[1]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(WEXITSTATUS(status), SANDBOX_EXIT_CODE);
	cr_expect_gt(read(pipe_fds[0], line, sizeof(line) - 1), 0);
	cr_expect_not_null(strstr(line, "timerd"));
	cr_expect_not_null(strstr(line, "socket (41)"));
}

Test(sandbox, modes)
{
	enum sandbox_mode mode = SANDBOX_OFF;

	cr_expect_eq(sandbox_mode_parse("on", &mode), 0);
	cr_expect_eq(mode, SANDBOX_ON);
	cr_expect_eq(sandbox_mode_parse("log", &mode), 0);
	cr_expect_eq(mode, SANDBOX_LOG);
	cr_expect_eq(sandbox_mode_parse("none", &mode), -EINVAL);
	cr_expect_eq(SANDBOX_ON, 0, "a message without the field must mean the strictest mode");
}
