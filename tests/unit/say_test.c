/* SPDX-License-Identifier: MIT */
/* Messages for people that nobody reads (vmm/common/say.h). */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/common/say.h"

static int reader;

/* Standard error as the logger makes it, but with little room, and blocking: nobody may rely on its flags. */
static void connect_stderr(void)
{
	int pair[2], size = 1;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	dup2(pair[0], STDERR_FILENO);
	close(pair[0]);
	reader = pair[1];
}

TestSuite(say, .init = connect_stderr);

static const char *next(void)
{
	static char text[SAY_MAX + 1];
	ssize_t n = recv(reader, text, SAY_MAX, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = 0;
	return n > 0 ? text : NULL;
}

Test(say, one_message_one_packet)
{
	say("%s %d", "lines", 1);
	cr_expect_str_eq(next(), "lines 1\n");
	say("one\ntwo");
	cr_expect_str_eq(next(), "one\ntwo\n");
	cr_expect_not(say_is_behind());
}

/* As many as there is room for arrive; the others are counted, not a single one twice. */
Test(say, what_is_lost_is_counted)
{
	enum { SAID = 1000 };
	unsigned arrived = 0, lost = 0;
	const char *text;

	for (unsigned i = 0; i < SAID; i++)
		say("message %u", i);
	cr_assert(say_is_behind());
	say_catch_up();
	cr_expect(say_is_behind(), "there is no room for the count either");
	for (; (text = next()); arrived++)
		cr_assert_eq(strncmp(text, "message ", 8), 0, "%s", text);
	say_catch_up();
	cr_expect_not(say_is_behind());
	text = next();
	cr_assert(text && sscanf(strrchr(text, ':'), ": %u", &lost) == 1);
	cr_expect(arrived && arrived + lost == SAID, "%u arrived, %u lost", arrived, lost);
	say("again");
	cr_expect_str_eq(next(), "again\n");
	cr_expect_null(next());
}

/* The count takes the place of what is missing: before the next message, also when nobody asked for it. */
Test(say, the_count_comes_first)
{
	for (unsigned i = 0; i < 1000; i++)
		say("message %u", i);
	while (next())
		;
	say("later");
	cr_expect(strstr(next(), "missing here"));
	cr_expect_str_eq(next(), "later\n");
}

Test(say, long_messages_are_cut)
{
	char text[2 * SAY_MAX];
	const char *cut;

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	say("%s", text);
	cut = next();
	cr_assert(cut && strlen(cut) == SAY_MAX - 1 && cut[SAY_MAX - 2] == '\n');
}

/* It is gone: nobody waits for room that will never be. */
Test(say, without_a_logger)
{
	close(reader);
	say("nobody is there");
	cr_expect_not(say_is_behind());
	say_catch_up();
	say("still nobody");
	cr_expect_not(say_is_behind());
}

/* Before there is one. */
Test(say, to_a_pipe)
{
	int pipe_fds[2];
	char text[16] = "";

	cr_assert_eq(pipe(pipe_fds), 0);
	dup2(pipe_fds[1], STDERR_FILENO);
	say("as it is");
	cr_assert_eq(read(pipe_fds[0], text, sizeof(text)), 9);
	cr_expect_str_eq(text, "as it is\n");
}
