/* SPDX-License-Identifier: MIT */
/* --disk FILE[,ro][,serial=TEXT][,format=raw|qcow2], --disk unix:SOCKET: an image, or a block device, that a machine or a daemon by itself serves as a disk. */
#ifndef BULKHEAD_PROTO_DISK_H
#define BULKHEAD_PROTO_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DISK_SECTOR = 512, DISK_SERIAL_MAX = 20, DISK_ERROR_MAX = 320 };

enum disk_way {
	DISK_RAW,
	DISK_QCOW2,  /* qemu-storage-daemon serves it */
	DISK_SOCKET, /* somebody else's vhost-user back-end does, who listens at `path` */
};

struct disk_spec {
	char path[4096];
	enum disk_way way;
	bool has_format; /* it was said which */
	bool read_only;
	char serial[DISK_SERIAL_MAX + 1]; /* empty: none */
};

/* 0, or -EINVAL with what is wrong: "the name of the file is missing". A comma in the name is written twice. A name that ends in
 * .qcow2 is of that format, unless another is named; what is in the file counts for nothing: the guest writes that. */
int disk_parse(const char *text, struct disk_spec *out, const char **why);
/* One field of such a text, up to the next single comma. Returns what follows, NULL: it was the last. */
const char *disk_take_field(const char *text, char *out, size_t size, bool *fits);
/* Where in such a text the name of the file begins, or that of the socket. */
const char *disk_name_of(const char *text);
/*
 * Opens and locks it: of several who would write, or write and read, the first one has it until the last copy of its
 * descriptor is closed. Returns the descriptor, or -errno with a sentence that names file and next step. DISK_RAW only.
 */
int disk_open(const struct disk_spec *spec, char error[DISK_ERROR_MAX]);
/* Its size in sectors; 0: it cannot be told. */
uint64_t disk_sectors(int fd);

#endif
