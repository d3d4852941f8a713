/* SPDX-License-Identifier: MIT */
/* A virtio entropy device (virtio 1.2, 5.4) as a vhost-user back-end: fills buffers with what it reads from a descriptor. */
#ifndef BULKHEAD_DEVICES_RNG_H
#define BULKHEAD_DEVICES_RNG_H

#include "devices/vhost_back.h"

enum { RNG_AT_ONCE = 4096 }; /* of a buffer: a driver that wants more asks again */

struct rng {
	int fd; /* /dev/urandom */
	struct vhost_device device;
};

/* `served` and `lost` as in struct vhost_device; may be NULL. */
void rng_init(struct rng *r, int fd, void (*served)(void *ctx), void (*lost)(void *ctx, const char *why));
/* One chain: bytes written into it; -EPROTO: it has no room for any, or the device is to read it (5.4.6.1). */
int64_t rng_fill(struct rng *r, const struct virtq_memory *memory, struct virtq_chain *chain);

#endif
