/* SPDX-License-Identifier: MIT */
/* Whether what was printed has arrived. */
#ifndef BULKHEAD_VMM_OUTPUT_H
#define BULKHEAD_VMM_OUTPUT_H

#include <jansson.h>

/* Prints it, harmless for terminals, and takes it. EXIT_OK, or EXIT_FAILED: it is no JSON. */
int output_json(json_t *j);

/* The last thing that a command does: `code`, or EXIT_OUTPUT if that was 0 and standard output has not taken everything. */
int output_end(int code);

#endif
