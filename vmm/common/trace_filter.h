/* SPDX-License-Identifier: MIT */
/* Values of --trace-range, --trace-privilege, --trace-start, --trace-stop. */
#ifndef BULKHEAD_VMM_TRACE_FILTER_H
#define BULKHEAD_VMM_TRACE_FILTER_H

#include "value.h"

#include <stdint.h>

enum { TRACE_RANGES_MAX = 16 };

/* 0; -ENOENT: `text` is NULL; -EINVAL: it is no number. */
int trace_parse_address(const char *text, uint64_t *out);
/* "FROM-TO,FROM-TO", both ends included; NULL: none. 0, or -EINVAL with what is wrong. */
int trace_parse_ranges(const char *text, uint64_t from[TRACE_RANGES_MAX], uint64_t to[TRACE_RANGES_MAX], unsigned *count,
		       char error[VALUE_ERROR_MAX]);
/* A bit for each privilege level: "all" (or NULL), "kernel" (0 to 2), "user" (3). */
uint32_t trace_privileges(const char *word);

#endif
