/* SPDX-License-Identifier: MIT */
/*
 * The user's terminal: raw while a console is attached, and back to what it was on every way out. Only the command line
 * client touches it; no process of a machine ever holds it.
 */
#ifndef BULKHEAD_VMM_TERMINAL_H
#define BULKHEAD_VMM_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Is standard input a terminal that we may change (we are in its foreground)? */
bool terminal_is_ours(void);
/* Of the one that standard output is, or input. 0 or -errno: neither is, or it does not know. */
int terminal_size(unsigned *rows, unsigned *columns);
/* 0 or -errno. Restoring is arranged for normal exits, SIGTERM, SIGHUP, SIGINT, SIGQUIT, and stops (SIGTSTP). */
int terminal_raw(void);
/*
 * Words to the user, with their line feeds, on standard error. Whoever does not take them within a second (a terminal that
 * was stopped, a pipe that nobody empties) misses them: a signal that is to be passed on, or a console, cannot wait.
 */
void terminal_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same for bytes, on a descriptor. */
void terminal_put(int fd, const char *text, size_t len);
/* Async-signal-safe; does nothing if the terminal is not raw. */
void terminal_restore(void);

#endif
