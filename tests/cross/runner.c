/* SPDX-License-Identifier: MIT */
/* Runs the tests of a program that was built against criterion/criterion.h of this directory, each in a child. */
#include "criterion/criterion.h"

#include <stdarg.h>
#include <sys/wait.h>

enum { PASSED = 0, FAILED = 1, SKIPPED = 77 };

extern const struct cross_test *const __start_cross_tests[], *const __stop_cross_tests[];

static bool failed; /* in the child */

void cross_failed(bool fatal, const char *file, int line, const char *condition, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s:%d: %s: ", file, line, condition);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	failed = true;
	if (fatal)
		exit(FAILED);
}

_Noreturn void cross_skip(const char *format, ...)
{
	va_list args;

	printf("SKIP: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	_exit(SKIPPED);
}

static struct cross_options suite_options(const char *suite)
{
	for (const struct cross_test *const *t = __start_cross_tests; t < __stop_cross_tests; t++)
		if (!(*t)->name && strcmp((*t)->suite, suite) == 0)
			return (*t)->options;
	return (struct cross_options){ 0 };
}

static _Noreturn void child(const struct cross_test *t)
{
	const struct cross_options suite = suite_options(t->suite);

	if (suite.init)
		suite.init();
	if (t->options.init)
		t->options.init();
	t->run();
	if (t->options.fini)
		t->options.fini();
	if (suite.fini)
		suite.fini();
	exit(failed ? FAILED : PASSED);
}

/* PASSED, FAILED or SKIPPED. */
static int run(const struct cross_test *t)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		child(t);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return FAILED;
	if (WIFSIGNALED(status))
		printf("%s::%s: signal %d\n", t->suite, t->name, WTERMSIG(status));
	return WIFEXITED(status) && (WEXITSTATUS(status) == PASSED || WEXITSTATUS(status) == SKIPPED) ? WEXITSTATUS(status)
												      : FAILED;
}

int main(void)
{
	unsigned passed = 0, skipped = 0, bad = 0;

	for (const struct cross_test *const *t = __start_cross_tests; t < __stop_cross_tests; t++) {
		const int result = (*t)->name ? run(*t) : -1;

		passed += result == PASSED;
		skipped += result == SKIPPED;
		bad += result == FAILED;
		if (result == FAILED)
			printf("[FAIL] %s::%s\n", (*t)->suite, (*t)->name);
	}
	printf("%u passed, %u failed, %u skipped\n", passed, bad, skipped);
	if (bad)
		return FAILED;
	return passed ? PASSED : SKIPPED;
}
