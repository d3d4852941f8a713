/* SPDX-License-Identifier: MIT */
/* The console client: the user's terminal (or standard input and output) on a machine's console socket. */
#ifndef BULKHEAD_VMM_CONSOLE_H
#define BULKHEAD_VMM_CONSOLE_H

enum console_end {
	CONSOLE_CLOSED,	  /* the machine closed it: it ended */
	CONSOLE_DETACHED, /* the user left */
	CONSOLE_SIGNAL,	  /* a signal asks us to end; see console_signal() */
	CONSOLE_STOP,	  /* the user asks to stop the machine */
	CONSOLE_OUTPUT,	  /* standard output is gone */
};

/*
 * Moves bytes until something ends it. `escape`: control character, or -1. `stoppable`: the console belongs to a
 * foreground run, where the escape key also offers to stop the machine. Can be called again for the same socket.
 */
enum console_end console_run(int sock, int escape, int stoppable);

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
