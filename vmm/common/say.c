/* SPDX-License-Identifier: MIT */
/* Lines for people: say.h. */
#include "say.h"

#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static unsigned lost;
static struct log_tail *kept;
static bool is_alone; /* the logger is gone: there will be no room any more */

/* Levels of proto/log.h as systemd numbers them. */
static const char priorities[] = "34677";
static const char *const level_names[] = { ['3' - '0'] = "error", ['4' - '0'] = "warning", ['6' - '0'] = "info", ['7' - '0'] = "debug" };

static char level_of(const char **text)
{
	char c = '6';

	if ((*text)[0] == '<' && (*text)[1] && strchr(priorities, (*text)[1]) && (*text)[2] == '>') {
		c = (*text)[1];
		*text += 3;
	}
	return c;
}

/* Before there is a logger nobody else would take the level off. */
static bool put(const char *text)
{
	ssize_t n = send(STDERR_FILENO, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno == ENOTSOCK) {
		level_of(&text);
		n = write(STDERR_FILENO, text, strlen(text));
	}
	if (n < 0 && errno != EAGAIN)
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

enum { DAY_S = 86400, DAYS_4Y = 1461, DAYS_400Y = 146097 };

/*
 * UTC, in the Gregorian calendar, of the nth day after 1970-01-01. Not gmtime(3): the first call of that looks for the
 * host's time zone in a file. Years begin in March, so that a leap day is the last one of its year.
 */
static const char *date_of(uint64_t n, char out[16])
{
	uint64_t day = n + 719468, century, year, month; /* days since 0000-03-01 */
	uint64_t era = day / DAYS_400Y;

	day %= DAYS_400Y;
	century = day < DAYS_400Y - 1 ? day / 36524 : 3;
	day -= century * 36524;
	year = day / DAYS_4Y * 4;
	day %= DAYS_4Y;
	year += day < DAYS_4Y - 1 ? day / 365 : 3;
	day -= day < DAYS_4Y - 1 ? day / 365 * 365 : 3 * 365;
	month = (5 * day + 2) / 153;
	day -= (153 * month + 2) / 5;
	year += 400 * era + 100 * century + (month >= 10);
	snprintf(out, 16, "%04u-%02u-%02u", (unsigned)(year % 10000), (unsigned)(month < 10 ? month + 3 : month - 9) % 13,
		 (unsigned)(day + 1) % 32);
	return out;
}

void say_stamp(char out[SAY_STAMP], const char **text)
{
	struct timespec now;
	unsigned second;

	clock_gettime(CLOCK_REALTIME, &now);
	second = (unsigned)(now.tv_sec % DAY_S);
	snprintf(out, SAY_STAMP, "%sT%02u:%02u:%02u.%03ldZ %s ", date_of((uint64_t)now.tv_sec / DAY_S, (char[16]){ 0 }),
		 second / 3600 % 24, second / 60 % 60, second % 60, now.tv_nsec / 1000000, level_names[level_of(text) - '0']);
}

static void keep(const char *text)
{
	char stamp[SAY_STAMP];

	say_stamp(stamp, &text);
	log_tail_add(kept, stamp, strlen(stamp));
	log_tail_add(kept, text, strlen(text));
}

static void say_line(int level, const char *fmt, va_list ap)
{
	char text[SAY_MAX];
	int n, at = level == SAY_INFO ? 0 : snprintf(text, sizeof(text), "<%c>", priorities[level]);

	n = vsnprintf(text + at, sizeof(text) - 1 - (size_t)at, fmt, ap);
	if (n < 0)
		return;
	strcat(text, "\n");
	if (kept)
		keep(text);
	say_catch_up();
	if (lost || !put(text))
		lost++;
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_line(SAY_INFO, fmt, ap);
	va_end(ap);
}

void say_at(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_line(level < 0 || level > 4 ? 4 : level, fmt, ap);
	va_end(ap);
}

int say_elsewhere(int fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { { 0 } };
	struct iovec io = { "\n", 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };

	control.head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	return sendmsg(STDERR_FILENO, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}
