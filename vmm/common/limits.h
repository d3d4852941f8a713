/* SPDX-License-Identifier: MIT */
/*
 * What the limits of the caller (setrlimit(2)) leave of what a machine needs. One that is too low would else show as a
 * refused call somewhere in the middle, in a process that cannot know why.
 */
#ifndef BULKHEAD_VMM_LIMITS_H
#define BULKHEAD_VMM_LIMITS_H

#include <stddef.h>
#include <stdint.h>

enum { LIMITS_WHY_MAX = 200 };

/*
 * Raises the limit of open files as far as that is permitted, and remembers the limits for limits_hint(), also for
 * processes that are forked from here. 0, or -EMFILE, -ENOMEM, -EFBIG: a machine with that memory cannot be started, and
 * `why` says which limit has to be what.
 */
int limits_check(uint64_t ram_bytes, char why[LIMITS_WHY_MAX]);

/* What may be behind an error (positive or negative errno): " (RLIMIT_AS is 64 MiB)", or "". Needs no system call. */
const char *limits_hint(int error);

#endif
