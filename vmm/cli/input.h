/* SPDX-License-Identifier: MIT */
/*
 * What is typed and moved, in words: into events of Linux's evdev. Pure.
 *
 *   key a | key shift+a       down and up again; several keys go down in order, and up in the opposite one
 *   press a | release a       one of the two; also left, middle and right of the mouse
 *   text "Hello"              as on a keyboard with the US layout
 *   mouse X Y                 to this pixel
 *   move DX DY                so far to the right and down
 *   click [left|middle|right|side|extra]
 *   wheel N                   notches, away from the user if N > 0
 *   wait TIME | frames N      of scripts: so long, or until N more frames were shown
 */
#ifndef BULKHEAD_VMM_INPUT_H
#define BULKHEAD_VMM_INPUT_H

#include "../../proto/screen.h"

enum { INPUT_WORDS = 3, INPUT_ERROR_MAX = 160, INPUT_LINE_MAX = 1024 };

/* Who gets it. Each returns 0, or what input_words() is to return. */
struct input_sink {
	void *ctx;
	int (*event)(void *ctx, struct screen_event event);
	int (*wait)(void *ctx, uint32_t ms);
	int (*frames)(void *ctx, uint32_t count);
};

/* 0; -EINVAL: `error` says what is wrong with which word, and no event of it has been given to the sink; or what the sink returned. */
int input_words(char *const *words, unsigned count, const struct input_sink *sink, char error[INPUT_ERROR_MAX]);
/* A line of a script, which it takes to pieces: words, of which one may stand in double quotes, and # before a remark. As above. */
int input_line(char *line, const struct input_sink *sink, char error[INPUT_ERROR_MAX]);

#endif
