/* SPDX-License-Identifier: MIT */
/*
 * Where our programs are: in $BULKHEAD_LIBEXEC if that is set, else beside the running program, else in the libexec
 * directory that was configured at build time.
 */
#ifndef BULKHEAD_VMM_PROGRAMS_H
#define BULKHEAD_VMM_PROGRAMS_H

#include <stddef.h>

/* An O_PATH descriptor of an executable file, and its path for messages; -errno: `path` names where it was expected. */
int program_open(const char *name, char *path, size_t len);

#endif
