/* SPDX-License-Identifier: MIT */
/* The journal's native protocol (systemd, "Native Journal Protocol"): lines with fields that can be asked for. */
#ifndef BULKHEAD_VMM_JOURNALD_H
#define BULKHEAD_VMM_JOURNALD_H

#include <stddef.h>

enum { JOURNALD_FIELDS_MAX = 256 }; /* what an entry has beside its message, at most */

/* A datagram socket to the journal if standard error leads there (systemd.exec(5), $JOURNAL_STREAM); -1: it does not. */
int journald_open(void);

/*
 * A line that somebody said, as an entry: its length. `out` has room for JOURNALD_FIELDS_MAX more than `len`. Its fields are
 * MESSAGE without the line feed, PRIORITY, which a "<3>" in front of the line says, SYSLOG_IDENTIFIER, VM, and DEVICE if the line
 * is about a device: the process's name.
 */
size_t journald_entry(char *out, const char *vm, const char *text, size_t len);

#endif
