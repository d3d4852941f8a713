/* SPDX-License-Identifier: MIT */
/* --help of each command and of all, from the table of options. */
#ifndef BULKHEAD_VMM_HELP_H
#define BULKHEAD_VMM_HELP_H

#include "../common/options.h"

#include <stdio.h>

enum { HELP_WIDTH_MIN = 40, HELP_WIDTH = 80, HELP_WIDTH_MAX = 120 };

/* The terminal's at standard output, or $COLUMNS, or HELP_WIDTH; between the two others. */
unsigned help_width(void);
/* Text in lines of at most `width` columns; all but the first, on which `at` columns are used, begin with `indent` spaces. */
void help_wrap(FILE *out, const char *text, unsigned at, unsigned indent, unsigned width);

void help_commands(void);
void help_command(enum command command);
/* "Usage: bulkhead stop NAME [--timeout TIME] [--force]" */
void help_usage(FILE *out, enum command command);

#endif
