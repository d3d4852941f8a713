/* SPDX-License-Identifier: MIT */
/* Values of console --send and --expect. */
#ifndef BULKHEAD_VMM_STEP_H
#define BULKHEAD_VMM_STEP_H

#include "value.h"

/* One more step, a copy. 0, or -EINVAL with what is wrong. */
int step_add(struct step_list *list, const struct option_row *row, const char *value, char error[VALUE_ERROR_MAX]);

/* C's escapes (\n \r \t \a \b \e \\ \xHH \0) into bytes, in place. Returns how many there are, or -1: that is none. */
int step_unescape(char *text);

#endif
