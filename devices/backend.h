/* SPDX-License-Identifier: MIT */
/* What virtio back-ends have in common as daemons of a machine: the connection to their front-end, and progress. */
#ifndef BULKHEAD_DEVICES_BACKEND_H
#define BULKHEAD_DEVICES_BACKEND_H

#include "devices/runtime.h"
#include "devices/vhost_back.h"

/* With the guest's memory, which the runtime has. One for a process. */
struct vhost_back *backend_init(struct runtime *rt, const struct vhost_device *device);

/* A shell's link(): a connection, or -1. 0 or -errno. */
int backend_link(struct runtime *rt, int fd);
/* Its reset(): the machine starts again, or has begun: its memory is another's. */
void backend_reset(struct runtime *rt, uint64_t now_ns);
/* Its settle(): says in the log what a driver has done. Returns UINT64_MAX. */
uint64_t backend_settle(struct runtime *rt, uint64_t now_ns);

/* For the device's `served`: progress is what is committed; a daemon that dies without any is started again ever more slowly. */
void backend_served(void *ctx);
/* For its `lost`. */
void backend_lost(void *ctx, const char *why);

#endif
