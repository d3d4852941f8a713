/* SPDX-License-Identifier: MIT */
/* Lines for people: say.h. */
#include "say.h"

#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned lost;
static struct log_tail *kept;
static bool is_alone; /* the logger is gone: there will be no room any more */

static bool put(const char *text)
{
	size_t len = strlen(text);
	ssize_t n = send(STDERR_FILENO, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno == ENOTSOCK)
		n = write(STDERR_FILENO, text, len);
	else if (n < 0 && errno != EAGAIN)
		is_alone = true;
	return n >= 0;
}

void say_keep(struct log_tail *tail)
{
	kept = tail;
}

bool say_is_behind(void)
{
	return lost && !is_alone;
}

void say_catch_up(void)
{
	char text[80];

	snprintf(text, sizeof(text), "bulkhead: messages are missing here, as nobody read them: %u\n", lost);
	if (lost && put(text))
		lost = 0;
}

void say(const char *fmt, ...)
{
	char text[SAY_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	strcat(text, "\n");
	if (kept)
		log_tail_add(kept, text, strlen(text));
	say_catch_up();
	if (lost || !put(text))
		lost++;
}
