/* SPDX-License-Identifier: MIT */
/* Raw mode and its undoing: terminal.h. */
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static volatile sig_atomic_t raw;

bool terminal_is_ours(void)
{
	return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

void terminal_restore(void)
{
	int kept = errno;

	if (raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	raw = 0;
	errno = kept;
}

/* Output processing stays on: lines that other processes of ours print then still start at the left margin. */
static int make_raw(void)
{
	struct termios t = saved;

	t.c_iflag &= (tcflag_t) ~(BRKINT | ICRNL | IGNBRK | IGNCR | INLCR | INPCK | ISTRIP | IXON | PARMRK);
	t.c_lflag &= (tcflag_t) ~(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
	t.c_cflag = (t.c_cflag & (tcflag_t) ~(CSIZE | PARENB)) | CS8;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &t) < 0)
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
