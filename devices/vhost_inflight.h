/* SPDX-License-Identifier: MIT */
/* A front-end's record of what is under way, as a vhost-user back-end gets it: see vhost_back.h, whose part this is. */
#ifndef BULKHEAD_DEVICES_VHOST_INFLIGHT_H
#define BULKHEAD_DEVICES_VHOST_INFLIGHT_H

#include "devices/vhost_back.h"

/* GET_INFLIGHT_FD, in b->in: an empty record for the front-end to keep. 1: the answer is there, and inflight.spare_fd goes with it; 0: there
 * is none to be had; -EPROTO. */
int vhost_inflight_offer(struct vhost_back *b);
/* SET_INFLIGHT_FD: the record that it has kept. `fd` stays the caller's. 0, -EPROTO or -errno. */
int vhost_inflight_take(struct vhost_back *b, int fd);
/* Unmaps it. */
void vhost_inflight_forget(struct vhost_back *b);
/* The part of one queue; NULL: there is none. */
struct inflight_region *vhost_inflight_of(const struct vhost_back *b, unsigned index, uint16_t size);

#endif
