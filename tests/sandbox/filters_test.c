/* SPDX-License-Identifier: MIT */
/*
 * Asks the kernel about every filter: each role and phase, each system call number, and for each
 * row with conditions the same call with every bit of its arguments changed. What must happen is
 * read from sandbox_table.c by an evaluator of our own, so a row that the filter compiler
 * mistranslates shows up.
 *
 * One child per filter. It loads the filter and then makes the calls with arguments that the kernel
 * itself rejects (all bits set). A call that the filter stops raises SIGSYS; the handler notes it
 * and returns, so that one process can try them all. Calls after which there is nothing to note
 * (exit, exit_group, a foreign ABI) get a child of their own.
 */
#include "never.h"

#include "proto/sandbox_filters.h"
#include "proto/sandbox_table.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LAST_NUMBER = 1023, ARGS = 6, FAILURES_SHOWN = 12, X32_BIT = 0x40000000 };

enum verdict { ALLOWED, REFUSED, STOPPED };
static const char *const verdict_names[] = { "allowed", "refused with an errno", "stopped by SIGSYS" };

struct expectation {
	enum verdict verdict;
	int deny_errno;
};

/* In memory shared with the children. */
struct tally {
	unsigned long tried[3]; /* by verdict */
	unsigned long rows;	/* of the table that were run with matching arguments */
	unsigned long failures;
	bool complete;
};
static struct tally *tally;

/* ---- what the table says --------------------------------------------------------------------- */

static long number_of(const char *call)
{
	for (long nr = 0; nr < sandbox_call_count; nr++)
		if (sandbox_call_names[nr] && !strcmp(sandbox_call_names[nr], call))
			return nr;
	return -1;
}

/* number_of() of each row: looked up once. */
static long row_numbers[512];

static bool matches(const struct sandbox_rule *rule, const uint64_t *args)
{
	for (unsigned i = 0; i < SANDBOX_MAX_CONDS && rule->conds[i].mask; i++)
		if ((args[rule->conds[i].arg] & rule->conds[i].mask) != rule->conds[i].value)
			return false;
	return true;
}

/* Allowed rows win over refusals. A refusal without conditions does not count where the same call
 * has allowed rows. */
static struct expectation expect(enum sandbox_role role, enum sandbox_phase phase, long nr, const uint64_t *args)
{
	struct expectation e = { STOPPED, 0 };
	bool has_allowed_rows = false;

	for (unsigned i = 0; i < sandbox_rule_count; i++) {
		const struct sandbox_rule *rule = &sandbox_rules[i];

		if (row_numbers[i] != nr || !sandbox_rule_applies(rule, role, phase))
			continue;
		has_allowed_rows |= !rule->deny_errno;
		if (!matches(rule, args))
			continue;
		if (!rule->deny_errno)
			return (struct expectation){ ALLOWED, 0 };
		if (e.verdict == STOPPED)
			e = (struct expectation){ REFUSED, rule->deny_errno };
	}
	if (e.verdict == REFUSED && has_allowed_rows)
		for (unsigned i = 0; i < sandbox_rule_count; i++)
			if (row_numbers[i] == nr && sandbox_rules[i].deny_errno && sandbox_rules[i].conds[0].mask &&
			    sandbox_rule_applies(&sandbox_rules[i], role, phase) && matches(&sandbox_rules[i], args))
				return e;
	return e.verdict == REFUSED && has_allowed_rows ? (struct expectation){ STOPPED, 0 } : e;
}

/* ---- what the kernel does -------------------------------------------------------------------- */

static volatile sig_atomic_t stopped_call = -1, stopped_badly;

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	stopped_call = info->si_syscall;
	stopped_badly = info->si_code != 1 /* SYS_SECCOMP */ || info->si_arch != AUDIT_ARCH_X86_64;
}

static struct expectation observe(long nr, const uint64_t *args, int *err)
{
	long rc;

	stopped_call = -1;
	rc = syscall(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
	*err = rc == -1 ? errno : 0;
	if (stopped_call == nr && !stopped_badly)
		return (struct expectation){ STOPPED, 0 };
	return (struct expectation){ ALLOWED, 0 };
}

static void failed(enum sandbox_role role, enum sandbox_phase phase, long nr, const uint64_t *args, enum verdict want, int err)
{
	const char *name = sandbox_call_name(nr);
	static unsigned shown;
	char line[300];
	int len;

	tally->failures++;
	if (shown++ == FAILURES_SHOWN)
		return;
	len = snprintf(line, sizeof(line),
		       "FAILED %s, phase %d: %s (%ld) with %#lx %#lx %#lx %#lx %#lx: should be %s; errno %d\n",
		       sandbox_role_name(role), phase, name ? name : "?", nr, args[0], args[1], args[2], args[3], args[4],
		       verdict_names[want], err);
	if (write(2, line, (size_t)len) < 0)
		return;
}

/* Never returns; or never returns to us. Tried in children of their own. */
static bool is_final(long nr)
{
	return nr == SYS_exit || nr == SYS_exit_group || nr == SYS_rt_sigreturn;
}

/*
 * The kernel's own return paths of probes pass every filter (Linux 6.14, "seccomp: passthrough
 * uretprobe systemcall without filtering"). Called from anywhere but a page that only the kernel
 * writes, they end in SIGILL or ENXIO.
 */
enum { CALL_URETPROBE = 335, CALL_UPROBE = 336 };
static bool is_passed_by_kernel(long nr)
{
	return nr == CALL_URETPROBE || nr == CALL_UPROBE;
}

static void try(enum sandbox_role role, enum sandbox_phase phase, long nr, const uint64_t *args)
{
	struct expectation want = expect(role, phase, nr, args), got;
	bool right;
	int err;

	if ((want.verdict != STOPPED && is_final(nr)) || is_passed_by_kernel(nr))
		return;
	got = observe(nr, args, &err);
	right = (got.verdict == STOPPED) == (want.verdict == STOPPED) && (want.verdict != REFUSED || err == want.deny_errno);
	tally->tried[want.verdict]++;
	if (!right)
		failed(role, phase, nr, args, want.verdict, err);
}

/* ---- which calls to make --------------------------------------------------------------------- */

static void all_ones(uint64_t *args)
{
	memset(args, 0xff, ARGS * sizeof(*args));
}

/* Every bit of the arguments that the row looks at; of the others one, which must not matter. */
static void try_row(enum sandbox_role role, enum sandbox_phase phase, const struct sandbox_rule *rule, long nr)
{
	uint64_t args[ARGS], seen[ARGS] = { 0 };

	all_ones(args);
	for (unsigned i = 0; i < SANDBOX_MAX_CONDS && rule->conds[i].mask; i++) {
		const struct sandbox_cond *c = &rule->conds[i];

		args[c->arg] = (args[c->arg] & ~c->mask) | c->value;
		seen[c->arg] |= c->mask;
	}
	try(role, phase, nr, args);
	tally->rows++;
	for (unsigned a = 0; a < ARGS; a++) {
		for (unsigned bit = 0; seen[a] && bit < 64; bit++) {
			args[a] ^= 1ull << bit;
			try(role, phase, nr, args);
			args[a] ^= 1ull << bit;
		}
		if (!seen[a]) {
			args[a] ^= 1ull << 62;
			try(role, phase, nr, args);
			args[a] ^= 1ull << 62;
		}
	}
}

/* What is promised does not depend on the table. */
static void try_never(enum sandbox_role role, enum sandbox_phase phase, const struct never *n)
{
	int err;

	if (!(n->roles >> role & 1))
		return;
	tally->tried[STOPPED]++;
	if (observe(n->number, n->args, &err).verdict == STOPPED)
		return;
	/* Libraries ask for files, and are told that there are none. */
	if (n->number == SYS_openat && err == ENOENT)
		return;
	failed(role, phase, n->number, n->args, STOPPED, err);
}

static void try_everything(enum sandbox_role role, enum sandbox_phase phase)
{
	uint64_t args[ARGS];

	all_ones(args);
	for (long nr = 0; nr <= LAST_NUMBER; nr++)
		try(role, phase, nr, args);
	for (unsigned i = 0; i < sandbox_rule_count; i++)
		if (row_numbers[i] >= 0 && sandbox_rule_applies(&sandbox_rules[i], role, phase))
			try_row(role, phase, &sandbox_rules[i], row_numbers[i]);
	for (unsigned i = 0; i < never_count; i++)
		try_never(role, phase, &nevers[i]);
	tally->complete = true;
}

/* ---- behind the filter ----------------------------------------------------------------------- */

/* Without privileges first, so that a filter that lets too much through does no harm. */
static void enter(enum sandbox_role role, enum sandbox_phase phase)
{
	const struct sandbox_filter *f = &sandbox_filters[role][phase];
	struct sock_fprog prog = { .len = f->len, .filter = (struct sock_filter *)f->insn };
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

	alarm(60);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
	sigaction(SIGSYS, &sa, NULL);
	sandbox_drop_caps(0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		_exit(99);
}

static int run_child(enum sandbox_role role, enum sandbox_phase phase, void (*body)(enum sandbox_role, enum sandbox_phase))
{
	int status = -1;
	pid_t pid = fork();

	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (!pid) {
		enter(role, phase);
		body(role, phase);
		syscall(SYS_exit_group, 0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void leave_with_exit(enum sandbox_role role, enum sandbox_phase phase)
{
	syscall(SYS_exit, 7);
}

static void leave_with_exit_group(enum sandbox_role role, enum sandbox_phase phase)
{
	syscall(SYS_exit_group, 7);
}

/* int 0x80: the same numbers mean other calls there. 20 is getpid. */
static void call_i386(enum sandbox_role role, enum sandbox_phase phase)
{
	long rc;

	__asm__ volatile("int $0x80" : "=a"(rc) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
}

/* read() of the x32 ABI. */
static void call_x32(enum sandbox_role role, enum sandbox_phase phase)
{
	syscall(X32_BIT | SYS_read, -1, NULL, 0);
}

static void call_uretprobe(enum sandbox_role role, enum sandbox_phase phase)
{
	syscall(CALL_URETPROBE);
	_exit(stopped_call == CALL_URETPROBE ? 7 : 0);
}

static void call_uprobe(enum sandbox_role role, enum sandbox_phase phase)
{
	syscall(CALL_UPROBE);
	_exit(stopped_call == CALL_UPROBE || errno == ENXIO ? 7 : 0);
}

static void check_status(enum sandbox_role role, enum sandbox_phase phase, const char *what, int status, bool right)
{
	if (right)
		return;
	tally->failures++;
	fprintf(stderr, "FAILED %s, phase %d: %s: wait status %#x\n", sandbox_role_name(role), phase, what, status);
}

static bool is_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

/* Stopped by our filter, or by the kernel. */
static bool is_stopped(int status)
{
	return (WIFEXITED(status) && WEXITSTATUS(status) == 7) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGILL);
}

static void check_final_calls(enum sandbox_role role, enum sandbox_phase phase)
{
	static const uint64_t none[ARGS];
	int status;

	if (expect(role, phase, SYS_exit, none).verdict == ALLOWED) {
		status = run_child(role, phase, leave_with_exit);
		check_status(role, phase, "exit", status, WIFEXITED(status) && WEXITSTATUS(status) == 7);
		tally->tried[ALLOWED]++;
	}
	status = run_child(role, phase, leave_with_exit_group);
	check_status(role, phase, "exit_group", status, WIFEXITED(status) && WEXITSTATUS(status) == 7);
	tally->tried[ALLOWED]++;
	/* A kernel without the ABI raises SIGSEGV or SIGSYS: nothing was called either way. */
	status = run_child(role, phase, call_i386);
	check_status(role, phase, "a call of the i386 ABI", status, WIFSIGNALED(status));
	status = run_child(role, phase, call_x32);
	check_status(role, phase, "a call of the x32 ABI", status, is_killed(status));
	status = run_child(role, phase, call_uretprobe);
	check_status(role, phase, "uretprobe", status, is_stopped(status));
	status = run_child(role, phase, call_uprobe);
	check_status(role, phase, "uprobe", status, is_stopped(status));
	tally->tried[STOPPED] += 4;
}

static void check_filter(enum sandbox_role role, enum sandbox_phase phase)
{
	int status;

	memset(tally, 0, sizeof(*tally));
	status = run_child(role, phase, try_everything);
	if (!tally->complete || !WIFEXITED(status) || WEXITSTATUS(status)) {
		tally->failures++;
		fprintf(stderr, "FAILED %s, phase %d: the child did not finish, wait status %#x\n", sandbox_role_name(role),
			phase, status);
	}
	check_final_calls(role, phase);
}

/* ---- the promised limits --------------------------------------------------------------------- */

static unsigned distinct_calls(enum sandbox_role role, enum sandbox_phase phase)
{
	bool seen[LAST_NUMBER + 1] = { false };
	unsigned n = 0;

	for (unsigned i = 0; i < sandbox_rule_count; i++) {
		long nr = row_numbers[i];

		if (nr < 0 || seen[nr] || sandbox_rules[i].deny_errno || !sandbox_rule_applies(&sandbox_rules[i], role, phase))
			continue;
		seen[nr] = true;
		n++;
	}
	return n;
}

/* docs/specification.md, "Isolation": at most 16 system calls at run time, 20 for KVM's vcpu process and for virtio
 * back-ends that other VMMs can use, 24 for the supervisor and for a server of VNC; uplinkd, which is outside of the machine, 32. */
static unsigned promised(enum sandbox_role role)
{
	if (role == SANDBOX_SPAWNER) /* what children may do until they are behind their own */
		return 0;
	if (role == SANDBOX_UPLINKD)
		return 32;
	if (role == SANDBOX_FSD) /* it serves no other VMM */
		return 16;
	if (role >= SANDBOX_DEVICE && kind_rows[role - SANDBOX_DEVICE].virtio == KIND_VIRTIO_BACK && role != SANDBOX_GPUD)
		return 20;
	return role == SANDBOX_SUPERVISOR || role == SANDBOX_VNC ? 24 : role == SANDBOX_VCPU_KVM ? 20 : 16;
}

static bool is_within_limit(enum sandbox_role role)
{
	unsigned n = distinct_calls(role, SANDBOX_PHASE_RUN);

	if (sandbox_run_limit(role) != promised(role)) {
		fprintf(stderr, "FAILED %s: the table promises %u calls, the design %u\n", sandbox_role_name(role),
			sandbox_run_limit(role), promised(role));
		return false;
	}
	if (!promised(role) || n <= promised(role))
		return true;
	fprintf(stderr, "FAILED %s: %u system calls at run time, at most %u are promised\n", sandbox_role_name(role), n,
		promised(role));
	return false;
}

/* ---- main ------------------------------------------------------------------------------------ */

static const char *const phase_names[SANDBOX_PHASES] = { "exec", "setup", "run" };

static void report(enum sandbox_role role, enum sandbox_phase phase)
{
	char limit[16] = "";

	if (phase == SANDBOX_PHASE_RUN && promised(role))
		snprintf(limit, sizeof(limit), "(limit %u)", promised(role));
	printf("%-10s %-5s %2u calls %-10s %4lu rows ran; tries: %5lu allowed, %4lu refused, %5lu stopped%s\n",
	       sandbox_role_name(role), phase_names[phase], distinct_calls(role, phase), limit, tally->rows,
	       tally->tried[ALLOWED], tally->tried[REFUSED], tally->tried[STOPPED], tally->failures ? "  FAILED" : "");
	fflush(stdout);
}

static void resolve_rows(void)
{
	for (unsigned i = 0; i < sandbox_rule_count; i++) {
		row_numbers[i] = number_of(sandbox_rules[i].call);
		if (row_numbers[i] < 0)
			printf("note: no number known for %s: no filter holds it\n", sandbox_rules[i].call);
	}
}

int main(void)
{
	unsigned long failures = 0;

	if (sandbox_rule_count > sizeof(row_numbers) / sizeof(row_numbers[0]))
		return 1;
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED)
		return 1;
	resolve_rows();
	for (int r = 0; r < SANDBOX_ROLES; r++) {
		for (int phase = SANDBOX_PHASE_EXEC; phase < SANDBOX_PHASES; phase++) {
			check_filter((enum sandbox_role)r, (enum sandbox_phase)phase);
			report((enum sandbox_role)r, (enum sandbox_phase)phase);
			failures += tally->failures;
		}
		failures += !is_within_limit((enum sandbox_role)r);
	}
	printf("%lu failures\n", failures);
	return failures ? 1 : 0;
}
