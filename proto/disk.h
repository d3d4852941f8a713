/* SPDX-License-Identifier: MIT */
/* --disk FILE[,ro][,serial=TEXT]: an image, or a block device, that a machine or a daemon by itself serves as a disk. */
#ifndef BULKHEAD_PROTO_DISK_H
#define BULKHEAD_PROTO_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DISK_SECTOR = 512, DISK_SERIAL_MAX = 20, DISK_ERROR_MAX = 320 };

struct disk_spec {
	char path[4096];
	bool read_only;
	char serial[DISK_SERIAL_MAX + 1]; /* empty: none */
};

/* 0, or -EINVAL with what is wrong: "the name of the file is missing". A comma in the name is written twice. */
int disk_parse(const char *text, struct disk_spec *out, const char **why);
/*
 * Opens and locks it: of several who would write, or write and read, the first one has it until the last copy of its
 * descriptor is closed. Returns the descriptor, or -errno with a sentence that names file and next step.
 */
int disk_open(const struct disk_spec *spec, char error[DISK_ERROR_MAX]);
/* Its size in sectors; 0: it cannot be told. */
uint64_t disk_sectors(int fd);

#endif
