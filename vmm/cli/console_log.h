/* SPDX-License-Identifier: MIT */
/* console --log: what a console prints, kept in a file and, when that has become large, in older ones beside it. */
#ifndef BULKHEAD_VMM_CONSOLE_LOG_H
#define BULKHEAD_VMM_CONSOLE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct console_log {
	const char *path; /* kept */
	int fd;		  /* -1: none */
	bool may_rotate;  /* it is a regular file */
	uint64_t bytes, limit; /* in the file; 0: no limit */
	unsigned older;	  /* files PATH.1, the latest, to PATH.N that are kept; 0: what is full is emptied */
};

/* Goes on behind what is in it. 0 or -errno. */
int console_log_open(struct console_log *log, const char *path, uint64_t limit, unsigned older);
/* All of it, or -errno. A file is changed before it would become larger than the limit. */
int console_log_write(struct console_log *log, const char *bytes, size_t len);

#endif
