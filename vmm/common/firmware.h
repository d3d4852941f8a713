/* SPDX-License-Identifier: MIT */
/* Which file --firmware means, and which of them a disk wants. */
#ifndef BULKHEAD_VMM_FIRMWARE_H
#define BULKHEAD_VMM_FIRMWARE_H

#include <stddef.h>
#include <stdint.h>

enum { FIRMWARE_ERROR_MAX = 256 };

/* The file that "seabios" or "ovmf" is on this host, or else `name` itself. */
const char *firmware_path(const char *name);
/* Opens it. Returns the descriptor, and its size in *bytes; or -errno, with a sentence that names option, file and next step. */
int firmware_open(const char *name, uint64_t *bytes, char error[FIRMWARE_ERROR_MAX]);
/* The file that a machine's variables begin as with this firmware; NULL: it keeps none, or nobody knows. */
const char *firmware_variables(const char *name);
/* Which of the two known ones starts the disk in that image, "seabios" or "ovmf", and why: a sentence for users. */
const char *firmware_for_disk(const char *path, const char **why);
/* "0,2" as numbers of disks, of which there are `disks`. How many; -EINVAL: not numbers, twice the same, or no such disk. */
int firmware_order(const char *text, unsigned disks, uint8_t *out, size_t most);

#endif
