/* SPDX-License-Identifier: MIT */
/*
 * Shared memory objects: memfds that are sealed against shrinking and growing, written by one process and read by
 * others through a read-only re-open. A process that is handed one checks its size and seals before it maps it, so that
 * no peer can make it fault (SIGBUS) by truncation.
 */
#ifndef BULKHEAD_PROTO_SHM_H
#define BULKHEAD_PROTO_SHM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Creates a zeroed object of `size` bytes (rounded up to pages), sealed, close-on-exec, read-write: the supervisor's
 * own handle, which it hands to the one writer. 0 or -errno.
 */
int shm_create(const char *name, size_t size, int *out_fd);

/* A read-only re-open of `fd` (needs /proc): a peer that gets it cannot map it writable. 0 or -errno. */
int shm_reopen_readonly(int fd, int *out_fd);

/*
 * Maps an object that a peer handed over. The fd stays the caller's.
 *
 * -EINVAL  not a memfd of exactly this size (rounded up to pages)
 * -EPERM   not sealed against shrink and grow
 * -EACCES  read-write asked, but it is a read-only handle
 */
int shm_map_rw(int fd, size_t size, void **out);
int shm_map_ro(int fd, size_t size, const void **out);
/* Over what is mapped at `base` already, page-aligned, and as long. */
int shm_map_rw_at(int fd, size_t size, void *base);
void shm_unmap(const void *base, size_t size);

/* Size in bytes of an object, after the same checks of its seals; or -errno. */
int64_t shm_size(int fd);

size_t shm_round(size_t size);

#endif
