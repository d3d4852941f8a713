/* SPDX-License-Identifier: MIT */
/*
 * Connections that outlive the process that serves them. Descriptors are kept in the queue of a socket pair whose ends
 * the supervisor holds: it passes nothing on and understands nothing of it, but while it lives the kernel keeps what is
 * in flight. The next incarnation takes them out again.
 */
#ifndef BULKHEAD_DEVICES_STASH_H
#define BULKHEAD_DEVICES_STASH_H

#include <stdint.h>

struct stash {
	int wr, rd;
};

/* Keeps a duplicate of `fd` under `id` (not 0). 0 or -errno. */
int stash_put(const struct stash *s, uint32_t id, int fd);

enum stash_verdict {
	STASH_DROP, /* forget it */
	STASH_KEEP,
	STASH_TAKE, /* keep it, and `fd` is the caller's now */
};

/*
 * Shows every entry to `judge` once. A process that dies within may leave one entry twice. What is in there was put by a process
 * that crashed: ids may be anything, descriptors may be of any kind. 0 or -errno.
 */
int stash_sweep(const struct stash *s, enum stash_verdict (*judge)(void *ctx, uint32_t id, int fd), void *ctx);

#endif
