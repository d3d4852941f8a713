/* SPDX-License-Identifier: MIT */
/* Guest memory that comes from another machine instead of from a kernel's image. */
#ifndef BULKHEAD_BOOT_MEMORY_H
#define BULKHEAD_BOOT_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/*
 * Copies `bytes` bytes of the file into `ram`, which is zeroed: pages of zeroes stay what they are, and cost nothing.
 * `progress` is called now and then. 0, -ENODATA if the file is shorter, or the errno of pread().
 */
int memory_copy(int fd, uint8_t *ram, uint64_t bytes, void (*progress)(void));

#endif
