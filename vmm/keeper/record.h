/* SPDX-License-Identifier: MIT */
/*
 * The record of a machine's end (docs/records.md). It is there from the start, and says "running", so that one which still
 * says so of a machine that is dead tells of a keeper that was killed. Its file, and that of --result, are opened while the
 * keeper may open files; what is written in the end is longer, and so replaces it without any call but write().
 */
#ifndef BULKHEAD_VMM_RECORD_H
#define BULKHEAD_VMM_RECORD_H

struct keeper;

/* Of a device that has died: that one of the report is written to its file. */
void record_capture(const struct keeper *k, unsigned number);
/* Behind claiming the name. 0, or an exit code; what went wrong has been said. */
int record_open(struct keeper *k);
/* The machine never came to be: whoever started it has been told. */
void record_drop(struct keeper *k);
/* The supervisor is gone. Returns the exit code: `code`, or EXIT_OUTPUT if that was 0 and the result could not be written. */
int record_finish(struct keeper *k, int code);

/* "poweroff, after 1.2 s": the last line of `bulkhead run`. */
void record_last_line(const struct keeper *k, int code, char *out, unsigned long size);

#endif
