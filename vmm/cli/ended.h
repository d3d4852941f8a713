/* SPDX-License-Identifier: MIT */
/* Machines that have ended, by the records that they left (docs/records.md). */
#ifndef BULKHEAD_VMM_ENDED_RECORDS_H
#define BULKHEAD_VMM_ENDED_RECORDS_H

#include "client.h"

#include <jansson.h>
#include <stdbool.h>

/*
 * The record of a machine that does not live, or NULL. It is the caller's. Its text may be of a machine of another user and
 * holds what guests print: it goes to terminals by ended_text(), or as JSON in ASCII.
 */
json_t *ended_load(const struct machine_ref *ref);

/* A text of it, without control characters; "" if there is none. Valid until the next call but three. */
const char *ended_text(const json_t *record, const char *key);

/* The exit code that stands for its end; EXIT_VMM if its keeper was killed before it could say. */
int ended_code(const json_t *record);

/* "vm1: exit: the guest exited with code 7": to standard error. */
void ended_tell(const json_t *record);

/* As `bulkhead status` shows it. */
void ended_print(const json_t *record);

/* Without what may be long: for `list --all --json`. */
json_t *ended_summary(const json_t *record);

/* Calls `visit` for each machine that has a record and does not live. */
void ended_records(void (*visit)(void *ctx, const json_t *record), void *ctx);

#endif
