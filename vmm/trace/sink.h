/* SPDX-License-Identifier: MIT */
/* Where text goes: a descriptor, packed on the way if the file is called so. */
#ifndef BULKHEAD_VMM_TRACE_SINK_H
#define BULKHEAD_VMM_TRACE_SINK_H

#include <stdbool.h>
#include <stddef.h>

struct sink {
	int fd;	   /* -1: nobody wants it */
	int error; /* errno of the first write that failed; from then on nothing is written */
	size_t used;
	char text[64 * 1024];
	void *zstd; /* NULL: as it is */
};

/* 0 or -ENOMEM. */
int sink_open(struct sink *s, int fd, bool zstd);
void sink_put(struct sink *s, const char *text, size_t len);
void __attribute__((format(printf, 2, 3))) sink_print(struct sink *s, const char *fmt, ...);
/* What is held back goes out, as a block that can be unpacked. */
void sink_flush(struct sink *s);
/* The end. */
void sink_close(struct sink *s);

#endif
