/* SPDX-License-Identifier: MIT */
/*
 * A machine in the text format of Prometheus (version 0.0.4), as the answer to one HTTP request on the socket of --metrics,
 * whatever it asks for.
 */
#ifndef BULKHEAD_VMM_METRICS_H
#define BULKHEAD_VMM_METRICS_H

#include <stddef.h>

struct vm;

/* Head and body, `*len` bytes, valid until the next call. */
const char *metrics_answer(const struct vm *vm, size_t *len);

#endif
