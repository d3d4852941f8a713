/* SPDX-License-Identifier: MIT */
/*
 * An archive for a Linux initramfs: cpio's "new ASCII" format, as the kernel's buffer-format.rst has it. Linux takes
 * several behind each other, compressed or not; of files of the same name the last one stays.
 */
#ifndef BULKHEAD_VMM_CPIO_H
#define BULKHEAD_VMM_CPIO_H

#include <stddef.h>
#include <stdint.h>

/* Where it goes; `put` returns 0 or -errno. */
struct cpio {
	int (*put)(void *ctx, const void *data, size_t len);
	void *ctx;
	uint64_t written;
	uint32_t inode;
};

/* A regular file of root's; `name` without a slash in front, `mode` its permissions. 0, -EFBIG (4 GiB and more), or put()'s. */
int cpio_file(struct cpio *c, const char *name, unsigned mode, const void *data, size_t len);
/* The entry that ends an archive. */
int cpio_end(struct cpio *c);

#endif
