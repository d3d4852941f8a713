/* SPDX-License-Identifier: MIT */
/*
 * What our tests use of Criterion's interface, for cross builds: Criterion starts each test in a way that emulators of
 * user programs (qemu-user) cannot do. Here a test is a forked child; runner.c has main().
 */
#ifndef BULKHEAD_TESTS_CROSS_CRITERION_H
#define BULKHEAD_TESTS_CROSS_CRITERION_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cross_options {
	void (*init)(void);
	void (*fini)(void);
	double timeout; /* s; not looked at: an emulated processor is slow, and meson has a limit */
};

struct cross_test {
	const char *suite, *name; /* no name: the options of a suite */
	void (*run)(void);
	struct cross_options options;
};

/* Registers pointers in a section of their own, which the linker gives bounds. */
#define CROSS_REGISTER(entry)                                                                                     \
	static const struct cross_test *const entry##_pointer __attribute__((used, section("cross_tests"))) = &entry

#define Test(suite_, name_, ...)                                                                                  \
	static void test_##suite_##_##name_(void);                                                                \
	static const struct cross_test entry_##suite_##_##name_ = { #suite_, #name_, test_##suite_##_##name_,     \
								    { __VA_ARGS__ } };                            \
	CROSS_REGISTER(entry_##suite_##_##name_);                                                                 \
	static void test_##suite_##_##name_(void)

#define TestSuite(suite_, ...)                                                                                    \
	static const struct cross_test entry_##suite_ = { #suite_, NULL, NULL, { __VA_ARGS__ } };                 \
	CROSS_REGISTER(entry_##suite_)

/* Reports a failed check; ends the test if it is an assertion. */
void cross_failed(bool fatal, const char *file, int line, const char *condition, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
_Noreturn void cross_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define CROSS_CHECK(fatal, condition, text, ...)                                                                  \
	do {                                                                                                      \
		if (!(condition))                                                                                 \
			cross_failed(fatal, __FILE__, __LINE__, text, " " __VA_ARGS__);                            \
	} while (0)
#define CROSS_COMPARE(fatal, a, op, b, ...) CROSS_CHECK(fatal, (a)op(b), #a " " #op " " #b, __VA_ARGS__)
#define CROSS_STRINGS(fatal, a, b, ...) CROSS_CHECK(fatal, strcmp(a, b) == 0, #a " equals " #b, __VA_ARGS__)
#define CROSS_ARRAYS(fatal, a, b, n, ...) CROSS_CHECK(fatal, memcmp(a, b, n) == 0, #a " equals " #b, __VA_ARGS__)

#define cr_assert(x, ...) CROSS_CHECK(true, x, #x, __VA_ARGS__)
#define cr_expect(x, ...) CROSS_CHECK(false, x, #x, __VA_ARGS__)
#define cr_assert_not(x, ...) CROSS_CHECK(true, !(x), "not " #x, __VA_ARGS__)
#define cr_expect_not(x, ...) CROSS_CHECK(false, !(x), "not " #x, __VA_ARGS__)
#define cr_assert_null(x, ...) CROSS_CHECK(true, (x) == NULL, #x " is null", __VA_ARGS__)
#define cr_expect_null(x, ...) CROSS_CHECK(false, (x) == NULL, #x " is null", __VA_ARGS__)
#define cr_assert_not_null(x, ...) CROSS_CHECK(true, (x) != NULL, #x " is not null", __VA_ARGS__)
#define cr_expect_not_null(x, ...) CROSS_CHECK(false, (x) != NULL, #x " is not null", __VA_ARGS__)
#define cr_assert_eq(a, b, ...) CROSS_COMPARE(true, a, ==, b, __VA_ARGS__)
#define cr_expect_eq(a, b, ...) CROSS_COMPARE(false, a, ==, b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) CROSS_COMPARE(true, a, !=, b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) CROSS_COMPARE(false, a, !=, b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) CROSS_COMPARE(true, a, <, b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...) CROSS_COMPARE(false, a, <, b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) CROSS_COMPARE(true, a, <=, b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...) CROSS_COMPARE(false, a, <=, b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) CROSS_COMPARE(true, a, >, b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...) CROSS_COMPARE(false, a, >, b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) CROSS_COMPARE(true, a, >=, b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...) CROSS_COMPARE(false, a, >=, b, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) CROSS_STRINGS(true, a, b, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) CROSS_STRINGS(false, a, b, __VA_ARGS__)
#define cr_assert_str_not_empty(a, ...) CROSS_CHECK(true, (a)[0] != 0, #a " is not empty", __VA_ARGS__)
#define cr_expect_str_not_empty(a, ...) CROSS_CHECK(false, (a)[0] != 0, #a " is not empty", __VA_ARGS__)
#define cr_expect_str_empty(a, ...) CROSS_CHECK(false, (a)[0] == 0, #a " is empty", __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...) CROSS_ARRAYS(true, a, b, n, __VA_ARGS__)
#define cr_expect_arr_eq(a, b, n, ...) CROSS_ARRAYS(false, a, b, n, __VA_ARGS__)
#define cr_assert_fail(...) CROSS_CHECK(true, false, "not reached", __VA_ARGS__)
#define cr_expect_fail(...) CROSS_CHECK(false, false, "not reached", __VA_ARGS__)
#define cr_skip_test(...) cross_skip(" " __VA_ARGS__)
#define cr_skip(...) cross_skip(" " __VA_ARGS__)
#define cr_log_info(...) printf(__VA_ARGS__)

#endif
