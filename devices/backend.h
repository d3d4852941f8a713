/* SPDX-License-Identifier: MIT */
/* What virtio back-ends have in common as daemons of a machine: the connection to their front-end, and progress. */
#ifndef BULKHEAD_DEVICES_BACKEND_H
#define BULKHEAD_DEVICES_BACKEND_H

#include "devices/runtime.h"
#include "devices/vhost_back.h"

struct backend {
	struct runtime *rt;
	struct vhost_back back;
	uint64_t broken; /* queues, of which the log has heard */
};

/* With the guest's memory, which the runtime has. One for a process. */
void backend_init(struct backend *b, struct runtime *rt, const struct vhost_device *device);
/* For a shell's link(): a connection, or -1. 0 or -errno. */
int backend_link(struct backend *b, int fd);
/* For its reset(): the machine starts again, or has begun: its memory is another's. */
void backend_reset(struct backend *b);
/* For its settle(): says in the log what a driver has done. Returns UINT64_MAX. */
uint64_t backend_settle(struct backend *b);

/* For the device's `served`: progress is what is committed; a daemon that dies without any is started again ever more slowly. */
void backend_served(void *ctx);
/* For its `lost`. */
void backend_lost(void *ctx, const char *why);

#endif
