/* SPDX-License-Identifier: MIT */
/* A machine's numbers as text for people: lines of at most 80 columns, unless names are long. */
#ifndef BULKHEAD_VMM_PICTURE_H
#define BULKHEAD_VMM_PICTURE_H

#include "sample.h"

#include <stdio.h>

/* By the second: what lies between two samples. */
void picture_machine(FILE *out, const struct sample *difference, bool color);
/* One line, under picture_head(). */
void picture_head(FILE *out);
void picture_line(FILE *out, const struct sample *difference, bool color);
/* All that was counted. */
void picture_counts(FILE *out, const struct sample *s, bool color);

/* May words be red? On a terminal, unless NO_COLOR is set (no-color.org) or it is a dumb one. */
bool picture_has_color(FILE *out);
/* The state of the sandbox: red unless it is on. */
void picture_sandbox(FILE *out, const char *sandbox, bool color);

#endif
