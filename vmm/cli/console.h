/* SPDX-License-Identifier: MIT */
/* The console client: the user's terminal (or standard input and output) on a machine's console socket. */
#ifndef BULKHEAD_VMM_CONSOLE_H
#define BULKHEAD_VMM_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

struct console_log;
struct step_list;

enum console_end {
	CONSOLE_CLOSED,	  /* the machine closed it: it ended */
	CONSOLE_DETACHED, /* the user left */
	CONSOLE_SIGNAL,	  /* a signal asks us to end; see console_signal() */
	CONSOLE_STOP,	  /* the user asks to stop the machine */
	CONSOLE_OUTPUT,	  /* standard output is gone */
	CONSOLE_INPUT,	  /* standard input has ended, and so has what came of it */
	CONSOLE_DONE,	  /* all steps are done */
	CONSOLE_LATE,	  /* a step has not come: console_step() */
};

struct console_options {
	int escape;	/* control character, or -1 */
	bool stoppable; /* it belongs to a foreground run, where the escape key also offers to stop the machine */
	bool watches;	/* nothing is typed but what is for us */
	bool execs;	/* the machine runs --exec's command: see below */
	bool resizes;	/* the guest's shell is told the terminal's size at once */
	bool ends_with_input;
	uint64_t history; /* so many bytes come first that were printed before: questions to a terminal are left out of them */
	struct console_log *log; /* NULL: none */
	const struct step_list *steps; /* instead of what standard input says; NULL: none */
	uint32_t patience_ms; /* with each step that waits */
};

/*
 * Moves bytes until something ends it. Can be called again for the same socket, with the same options. Where standard output is
 * a terminal, it is left whole (screen.h).
 *
 * `execs`: what was typed is kept until the command has begun, the end of standard input becomes Ctrl-D, and where standard output
 * is no terminal, only what the command prints goes there. console_exec_failed(): the console has ended and no command has
 * begun; then what was printed instead is told on standard error.
 */
enum console_end console_run(int sock, const struct console_options *options);
void console_exec_failed(void);

/* Leaves the terminal without the guest's modes: what console_run() does itself, unless it ends by CONSOLE_STOP or CONSOLE_SIGNAL, after
 * which it may go on. */
void console_make_whole(void);
/* The step that has not come in time. */
const char *console_step(void);

/* What to tell a user who sees nothing: said once, if the machine has printed nothing after some seconds of console_run(). The
 * text is kept by reference; NULL: nothing. */
void console_hint(const char *text);

/*
 * After CONSOLE_CLOSED of a plain connection: it may have ended because the console's daemon died between taking it off the listener
 * and putting it where it outlives a daemon. Nothing has come through it then, and what was typed has reached nobody. So
 * if nothing has: another connection, on which console_run() sends what was typed once more; if that was
 * more than 4 KiB, it says that some may be lost. -1: something has come, or nobody listens any more. `dir` as
 * client_console() takes it.
 */
int console_reconnect(int sock, const char *dir);

/* Why standard output is gone, after CONSOLE_OUTPUT: an errno. */
int console_output_error(void);

/* The escape key as text: "Ctrl-]". */
const char *console_escape_name(int escape);

/* Signals that end a client (SIGTERM, SIGINT, SIGHUP) are noted from here on. */
void console_catch_signals(void);
/* The last one that came, 0 if none; forgets it. */
int console_signal(void);
/* Readable while there is one; -1 if signals are not caught. */
int console_signal_fd(void);

#endif
