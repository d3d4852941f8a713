/* SPDX-License-Identifier: MIT */
/*
 * What a virtio GPU keeps (virtio 1.2, 5.7): resources, their pixels, where the guest has theirs, what is shown. An object of a
 * machine's, so that it outlives the process that serves the device. Writer: whoever makes it (magic, version and size), then gpud, who
 * alone reads it; what it finds there was written by a process that crashed.
 */
#ifndef BULKHEAD_PROTO_GPU_H
#define BULKHEAD_PROTO_GPU_H

#include <stdint.h>

enum {
	GPU_MAGIC = 0x53555047, /* "GPUS" */
	GPU_VERSION = 1,
	GPU_RESOURCES = 64,
	GPU_ENTRIES = 4096,	 /* pieces of guest memory behind one resource: the largest there is, page by page */
	GPU_SIDE_MAX = 4096,
	GPU_RESOURCE_BYTES = 16 << 20,
	GPU_PAGE = 4096,
	GPU_PAGES = 16384,	 /* of pixels of all resources: 64 MiB */
	GPU_REQUEST = 64,	 /* bytes of a request, without what follows them */
};

struct gpu_entry {
	uint64_t addr;
	uint32_t len, reserved;
};

struct gpu_resource {
	uint32_t id; /* 0: there is none; stored last */
	uint32_t format, width, height;
	uint32_t page, pages; /* where its pixels are */
	uint32_t entries, reserved;
};

struct gpu_rect {
	uint32_t x, y, width, height;
};

struct gpu_store {
	uint32_t magic, version;
	uint32_t width, height; /* of the screen that the guest is told of */
	/* The request that was decided on last. One who dies over it is succeeded by one who does the same again. */
	struct {
		uint32_t is_noted; /* stored last */
		uint16_t next;	   /* the queue's used index behind it */
		uint16_t reserved;
		uint32_t answer, pad;
		uint8_t request[GPU_REQUEST];
	} last;
	struct {
		uint32_t resource, reserved; /* 0: nothing is shown */
		struct gpu_rect rect;	     /* of the resource */
	} scanout;
	struct {
		uint32_t resource, x, y, hot_x, hot_y, reserved;
	} cursor;
	struct gpu_resource resources[GPU_RESOURCES];
	struct gpu_entry entries[GPU_RESOURCES][GPU_ENTRIES];
	uint8_t pixels[GPU_PAGES][GPU_PAGE];
};
_Static_assert(sizeof(struct gpu_entry) == 16, "as in a request");

#endif
