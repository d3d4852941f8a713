/* SPDX-License-Identifier: MIT */
/* Memory that a front-end hands over to a vhost-user back-end: see vhost_back.h, whose part this is. */
#ifndef BULKHEAD_DEVICES_VHOST_MEMORY_H
#define BULKHEAD_DEVICES_VHOST_MEMORY_H

#include "devices/vhost_back.h"

/* SET_MEM_TABLE, in b->in and b->fds: maps it instead of what there was. 0 or -errno. */
int vhost_take_memory(struct vhost_back *b);
void vhost_forget_memory(struct vhost_back *b);
/* What the queues see of it. */
/* Has the file that byte? A mapping that is longer is a trap (SIGBUS). */
bool vhost_has_byte(int fd, uint64_t at);
struct virtq_memory vhost_memory(struct vhost_back *b);
/* Of an address of the front-end's. UINT64_MAX: it is nowhere. */
uint64_t vhost_guest_address(const struct vhost_back *b, uint64_t user);

#endif
