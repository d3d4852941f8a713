/* SPDX-License-Identifier: MIT */
/*
 * What of a console is the output of --exec's command: everything behind GUEST_NOTE_BEGIN (guest_note.h), which its first
 * process prints when the command begins. What comes before is the firmware's and the kernel's: where standard output is
 * no terminal it is kept back, and told only if the command never began.
 */
#ifndef BULKHEAD_VMM_EXEC_FILTER_H
#define BULKHEAD_VMM_EXEC_FILTER_H

#include <stdbool.h>
#include <stddef.h>

enum { EXEC_FILTER_KEPT = 16384 };

struct exec_filter {
	bool begun;
	unsigned matched; /* bytes of the mark that the last bytes are */
	size_t kept_len;  /* so many were kept back in all; the last EXEC_FILTER_KEPT are in `kept` */
	char kept[EXEC_FILTER_KEPT];
};

/* What of these bytes stands behind the mark: returns where that begins, `len` if nothing does. The mark may come in pieces. */
size_t exec_filter_take(struct exec_filter *f, const char *bytes, size_t len);
/* The last of what was kept back, into `out`. Returns its length. */
size_t exec_filter_kept(const struct exec_filter *f, char out[EXEC_FILTER_KEPT]);

#endif
