/* SPDX-License-Identifier: MIT */
/* console --send, --expect and --log. */
#include "vmm/cli/console_log.h"
#include "vmm/cli/script.h"
#include "vmm/common/serial.h"
#include "vmm/common/step.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct script s;
static struct step_list steps;
static const char *text;
static size_t len;

static void step(bool expects, const char *what)
{
	steps.of[steps.count++] = (struct cli_step){ .expects = expects, .text = what, .len = strlen(what) };
}

static void hear(const char *what)
{
	script_hear(&s, what, strlen(what));
}

static void begin(uint64_t history)
{
	script_begin(&s, &steps, history, 100);
}

Test(script, in_order)
{
	step(true, "login: $");
	step(false, "root\n");
	step(true, "^# $");
	begin(0);
	cr_assert_eq(script_next(&s, 0, &text, &len), SCRIPT_WAITS);
	hear("Debian\r\nlogin: ");
	cr_assert_eq(script_next(&s, 50, &text, &len), SCRIPT_SENDS);
	cr_assert_str_eq(text, "root\n");
	cr_assert_eq(script_next(&s, 50, &text, &len), SCRIPT_WAITS);
	hear("root\r\n# ");
	cr_assert_eq(script_next(&s, 60, &text, &len), SCRIPT_DONE);
}

Test(script, each_expression_has_its_time)
{
	step(true, "a");
	step(true, "b");
	begin(0);
	cr_assert_eq(script_next(&s, 10, &text, &len), SCRIPT_WAITS);
	cr_assert_eq(s.deadline_ns, 110);
	cr_assert_eq(script_next(&s, 109, &text, &len), SCRIPT_WAITS);
	hear("a");
	cr_assert_eq(script_next(&s, 109, &text, &len), SCRIPT_WAITS);
	cr_assert_eq(script_next(&s, 209, &text, &len), SCRIPT_LATE);
	cr_assert_eq(s.at, 1);
}

/* What was found is not found again, and what came before a text was sent is no answer to it. */
Test(script, what_counts)
{
	step(true, "x");
	step(true, "x");
	step(false, "y");
	step(true, "z");
	begin(0);
	hear("xx z");
	cr_assert_eq(script_next(&s, 0, &text, &len), SCRIPT_SENDS);
	cr_assert_eq(script_next(&s, 0, &text, &len), SCRIPT_WAITS);
	hear("z");
	cr_assert_eq(script_next(&s, 0, &text, &len), SCRIPT_DONE);
}

Test(script, history)
{
	step(true, "old");
	step(false, "y");
	step(true, "old");
	begin(6);
	hear("old");
	cr_assert_eq(script_next(&s, 0, &text, &len), SCRIPT_SENDS);
	cr_assert_eq(script_next(&s, 0, &text, &len), SCRIPT_WAITS);
	hear("oldnew");
	cr_assert_eq(script_next(&s, 0, &text, &len), SCRIPT_WAITS);
	hear("old");
	cr_assert_eq(script_next(&s, 0, &text, &len), SCRIPT_DONE);
}

/* Colours and titles do not come between letters, wherever the pieces end. */
Test(script, text_only)
{
	step(true, "^one two$");
	begin(0);
	hear("\033]0;title\007on\033[3");
	hear("1me\033[0m tw\033");
	hear("[Ko\r");
	hear("\nx");
	cr_assert_eq(script_next(&s, 0, &text, &len), SCRIPT_DONE);
}

Test(script, bounded)
{
	static char much[SCRIPT_WINDOW * 3];

	step(true, "end");
	begin(0);
	memset(much, 'a', sizeof(much));
	script_hear(&s, much, sizeof(much));
	hear("end");
	cr_assert_leq(s.len, SCRIPT_WINDOW);
	cr_assert_eq(script_next(&s, 0, &text, &len), SCRIPT_DONE);
}

static char dir[] = "/tmp/console-log-XXXXXX", path[64];
static struct console_log the_log;

static const char *contents(const char *suffix)
{
	static char all[256];
	char name[96];
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	fd = open(name, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, all, sizeof(all) - 1);
	close(fd);
	all[n < 0 ? 0 : n] = 0;
	return n < 0 ? NULL : all;
}

static void make_dir(void)
{
	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
}

static void put(const char *what)
{
	cr_assert_eq(console_log_write(&the_log, what, strlen(what)), 0);
}

/* No byte is lost between two files, and the oldest goes. */
Test(console_log, changes_files, .init = make_dir)
{
	cr_assert_eq(console_log_open(&the_log, path, 10, 2), 0);
	put("0123456789");
	cr_expect_null(contents(".1"), "only when more comes");
	put("abc");
	put("defghijklmnopqrstuvwxyz");
	cr_expect_str_eq(contents(""), "uvwxyz");
	cr_expect_str_eq(contents(".1"), "klmnopqrst");
	cr_expect_str_eq(contents(".2"), "abcdefghij");
	cr_expect_null(contents(".3"));
}

Test(console_log, goes_on, .init = make_dir)
{
	cr_assert_eq(console_log_open(&the_log, path, 10, 1), 0);
	put("01234567");
	close(the_log.fd);
	cr_assert_eq(console_log_open(&the_log, path, 10, 1), 0);
	put("89ab");
	cr_expect_str_eq(contents(""), "ab");
	cr_expect_str_eq(contents(".1"), "0123456789");
}

Test(console_log, none_older, .init = make_dir)
{
	cr_assert_eq(console_log_open(&the_log, path, 4, 0), 0);
	put("0123456");
	cr_expect_str_eq(contents(""), "456");
	cr_expect_null(contents(".1"));
	cr_assert_lt(console_log_open(&the_log, "/nowhere/log", 4, 0), 0);
	cr_assert_eq(console_log_open(&the_log, "/dev/full", 4, 1), 0);
	cr_assert_lt(console_log_write(&the_log, "x", 1), 0);
}

/* ---- their values ---------------------------------------------------------------------------------------------- */

Test(step, escapes)
{
	static const struct {
		const char *text;
		int len;
		const char *bytes;
	} rows[] = {
		{ "ls\\n", 3, "ls\n" }, { "\\x03", 1, "\003" }, { "\\e[A\\r", 4, "\033[A\r" },
		{ "a\\0b", 3, "a\0b" }, { "\\\\n", 2, "\\n" },	{ "\\", -1, NULL },
		{ "\\q", -1, NULL },	{ "\\x1", -1, NULL },	{ "\\x-1", -1, NULL },
		{ "\\xzz", -1, NULL },	{ "", 0, "" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char copy[32];

		strcpy(copy, rows[i].text);
		cr_expect_eq(step_unescape(copy), rows[i].len, "%s", rows[i].text);
		cr_expect(rows[i].len < 0 || !memcmp(copy, rows[i].bytes, (size_t)rows[i].len), "%s", rows[i].text);
	}
}

static int set(const char *option, const char *value, char error[VALUE_ERROR_MAX])
{
	static struct cli_args args;
	int rc = value_set(&args, option_find(COMMAND_CONSOLE, option, strlen(option)), value, error);

	steps = args.steps;
	return rc;
}

Test(step, expressions)
{
	char error[VALUE_ERROR_MAX];

	cr_assert_eq(set("expect", "a\\nb\\\\n\\.", error), 0);
	cr_expect_str_eq(steps.of[0].text, "a\nb\\\\n\\.");
	cr_assert_neq(set("expect", "(", error), 0);
	cr_expect(strstr(error, "--expect (: "), "%s", error);
	cr_assert_neq(set("send", "\\y", error), 0);
	cr_expect(strstr(error, "--send \\y: a backslash"), "%s", error);
}

Test(serial, what_is_taken)
{
	static const struct {
		const char *text;
		enum serial_kind kind;
		unsigned port;
		const char *path;
	} good[] = {
		{ "1:pty", SERIAL_PTY, 0, NULL },
		{ "2:file=/a,server", SERIAL_TO_FILE, 1, "/a,server" },
		{ "3:socket=/a b,server", SERIAL_SOCKET, 2, "/a b" },
		{ "4:tcp=127.0.0.1:99,server", SERIAL_TCP, 3, NULL },
		{ "4:tcp=localhost:65535,server", SERIAL_TCP, 3, NULL },
		{ "2:none", SERIAL_NOTHING, 1, NULL },
	};
	struct serial_spec spec;

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const char *why = serial_parse(good[i].text, &spec);

		cr_assert_null(why, "%s: %s", good[i].text, why);
		cr_expect_eq(spec.kind, good[i].kind, "%s", good[i].text);
		cr_expect_eq(spec.port, good[i].port, "%s", good[i].text);
		if (good[i].path)
			cr_expect(spec.path_len == strlen(good[i].path) && !strncmp(spec.path, good[i].path, spec.path_len), "%s",
				  good[i].text);
	}
}

Test(serial, what_is_refused)
{
	static const char *const bad[] = { "",
					   "pty",
					   "0:pty",
					   "5:pty",
					   "1:",
					   "1:ptyx",
					   "1:file=",
					   "1:socket=/a",
					   "1:socket=,server",
					   "1:tcp=127.0.0.1:99",
					   "1:tcp=0.0.0.0:99,server",
					   "1:tcp=192.168.1.1:99,server",
					   "1:tcp=127.0.0.1:0,server",
					   "1:tcp=127.0.0.1:65536,server",
					   "1:tcp=127.0.0.1:9x,server",
					   "1:tcp=99,server",
					   "1:tcp=:99,server" };
	struct serial_spec spec;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_not_null(serial_parse(bad[i], &spec), "%s", bad[i]);
}
