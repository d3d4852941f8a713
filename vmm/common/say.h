/* SPDX-License-Identifier: MIT */
/*
 * Lines for people, from the keeper and the supervisor. Whoever reads them (a terminal, a pipe, a disk) may stop at any
 * time, for ever; no machine waits for that. Standard error of both processes is a socket to the logger
 * (keeper/logger.c), the only one that may wait. What finds no room in it is counted, and the count takes the place of
 * the lines when there is room again.
 */
#ifndef BULKHEAD_VMM_SAY_H
#define BULKHEAD_VMM_SAY_H

#include <stdbool.h>

struct log_tail;

enum { SAY_MAX = 4096 }; /* bytes of a message, which may have several lines */

/* Adds the line feed. Never waits; before there is a logger, as long as standard error does. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same with a level as in proto/log.h, which the logger writes beside the time where its output is a log. */
void say_at(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
enum { SAY_INFO = 2 };

/* The logger goes on in that file, which stays the caller's. 0 or -errno. */
int say_elsewhere(int fd);

/*
 * Time and level of a line of a log, and a blank: "2026-11-30T15:40:01.123Z warning ".
 * `*text` may begin with a level as systemd has them ("<4>"), which is what the logger is told, and is left behind it.
 */
enum { SAY_STAMP = 96 };
void say_stamp(char out[SAY_STAMP], const char **text);

/* From here on this process's lines are kept in there, too (report.h), whether somebody reads them or not. */
void say_keep(struct log_tail *tail);

/* Have lines been lost of which somebody could be told? Then say_catch_up(), when standard error can be written to. */
bool say_is_behind(void);
void say_catch_up(void);

#endif
