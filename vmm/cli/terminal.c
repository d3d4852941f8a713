/* SPDX-License-Identifier: MIT */
/* Raw mode and its undoing: terminal.h. */
#include "terminal.h"

#include "../../proto/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <termios.h>
#include <unistd.h>

enum { SAY_MAX = 1024, SAY_MS = 1000, TICK_MS = 50 };

static struct termios saved;
static volatile sig_atomic_t raw;

/* ---- words to the user ----------------------------------------------------------------------------------------- */

static void on_tick(int sig)
{
}

/* A write that waits is woken by the next tick, wherever it stood when the last one came. */
static void start_ticks(struct sigaction *before)
{
	const struct itimerval ticks = { { 0, TICK_MS * 1000 }, { 0, TICK_MS * 1000 } };
	const struct sigaction sa = { .sa_handler = on_tick };

	sigaction(SIGALRM, &sa, before);
	setitimer(ITIMER_REAL, &ticks, NULL);
}

static void stop_ticks(const struct sigaction *before)
{
	const struct itimerval off = { { 0, 0 }, { 0, 0 } };

	setitimer(ITIMER_REAL, &off, NULL);
	sigaction(SIGALRM, before, NULL);
}

void terminal_put(int fd, const char *text, size_t len)
{
	uint64_t end = clock_ns() + SAY_MS * CLOCK_NS_PER_MS;
	struct sigaction before;

	start_ticks(&before);
	while (len && clock_ns() < end) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EAGAIN)
			poll(NULL, 0, TICK_MS);
		else if (n < 0 && errno != EINTR)
			break;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	stop_ticks(&before);
}

void terminal_say(const char *fmt, ...)
{
	char text[SAY_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	terminal_put(STDERR_FILENO, text, strlen(text));
}

/* ---- raw mode -------------------------------------------------------------------------------------------------- */

bool terminal_is_ours(void)
{
	return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

int terminal_size(unsigned *rows, unsigned *columns)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
		return -errno;
	*rows = size.ws_row;
	*columns = size.ws_col;
	return *rows && *columns ? 0 : -ENODATA;
}

void terminal_restore(void)
{
	int kept = errno;

	if (raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	raw = 0;
	errno = kept;
}

/*
 * Output processing stays on: lines that other processes of ours print then still start at the left margin. So nothing
 * that was printed before depends on the mode, and there is no need to wait until it is out, which may be never.
 */
static int make_raw(void)
{
	struct termios t = saved;

	t.c_iflag &= (tcflag_t) ~(BRKINT | ICRNL | IGNBRK | IGNCR | INLCR | INPCK | ISTRIP | IXON | PARMRK);
	t.c_lflag &= (tcflag_t) ~(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
	t.c_cflag = (t.c_cflag & (tcflag_t) ~(CSIZE | PARENB)) | CS8;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &t) < 0)
		return -errno;
	raw = 1;
	return 0;
}

/* Ctrl-Z goes to the guest; a stop comes from kill(1). The shell gets its terminal back, and we take it on return. */
static void on_stop(int sig)
{
	int kept = errno;

	terminal_restore();
	raise(SIGSTOP);
	if (terminal_is_ours())
		make_raw();
	errno = kept;
}

static void on_fatal(int sig)
{
	terminal_restore();
	signal(sig, SIG_DFL);
	raise(sig);
}

int terminal_raw(void)
{
	static const int fatal[] = { SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	static bool registered;
	struct sigaction sa = { .sa_handler = on_fatal };

	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return -errno;
	if (!registered) {
		atexit(terminal_restore);
		for (unsigned i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
			sigaction(fatal[i], &sa, NULL);
		sa.sa_handler = on_stop;
		sa.sa_flags = SA_RESTART;
		sigaction(SIGTSTP, &sa, NULL);
		registered = true;
	}
	return make_raw();
}
