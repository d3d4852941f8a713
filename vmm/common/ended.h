/* SPDX-License-Identifier: MIT */
/*
 * Records of machines that have ended: BASE/ended/NAME.json (docs/records.md), one for each name, kept until the name is used
 * again. Of more than ENDED_MAX the oldest are removed.
 */
#ifndef BULKHEAD_VMM_ENDED_H
#define BULKHEAD_VMM_ENDED_H

#include "rundir.h"

#include "report.h"

#include <stdint.h>

/* Captures of devices that died lie beside it: NAME.1.bhd, NAME.2.bhd, NAME.3.bhd, which are nobody's but the owner's. */
#define ENDED_CAPTURE ".bhd"

enum { ENDED_MAX = 64, ENDED_BYTES_MAX = 1 << 20 };

/*
 * For a machine that holds its name's lock: removes the record of whoever had the name before, and makes an empty one. It is
 * the caller's, to write; members of `group` may read it (-1: nobody else may). Or -errno, as rundir_create().
 */
int ended_create(const struct rundir *r, int64_t group);
/* And its files for captures, empty until there is one; those that were left empty are removed sooner or later. */
void ended_create_captures(const struct rundir *r, int fds[REPORT_CAPTURES]);
/* It came to nothing: there is no record. */
void ended_remove(const struct rundir *r);

/* To read: the machine's own path is `path`. -ENOENT: there is none; -EPERM: it is somebody's who is not to be believed. */
int ended_open(const char *path);

/* Calls `visit` with the name and the path that the machine had, for each record. */
void ended_each(const char *base, void (*visit)(void *ctx, const char *name, const char *path), void *ctx);

#endif
