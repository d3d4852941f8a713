/* SPDX-License-Identifier: MIT */
/* A queue of a vhost-user back-end: see vhost_back.h, whose part this is. */
#ifndef BULKHEAD_DEVICES_VHOST_QUEUE_H
#define BULKHEAD_DEVICES_VHOST_QUEUE_H

#include "devices/vhost_back.h"

void vhost_queue_init(struct vhost_queue *q, struct vhost_back *back, unsigned index);
/* Serves it as soon as all is there: size, addresses, kick, and that it is enabled. */
void vhost_queue_start(struct vhost_queue *q);
/* Nothing is under way afterwards: chains are served one after the other. */
void vhost_queue_stop(struct vhost_queue *q);
/* Closes its descriptors. */
void vhost_queue_close(struct vhost_queue *q);
/* For devices that have `kicked`: does it run; the driver is called, if it wants that; the driver has broken it. */
bool vhost_queue_runs(const struct vhost_queue *q);
void vhost_queue_call(struct vhost_queue *q);
void vhost_queue_break(struct vhost_queue *q);
/* It is looked at soon, if it runs. */
void vhost_queue_wake(struct vhost_queue *q);
/* They take the descriptor, or -1. */
int vhost_queue_set_kick(struct vhost_queue *q, int fd);
void vhost_queue_set_call(struct vhost_queue *q, int fd);
void vhost_queue_set_err(struct vhost_queue *q, int fd);

#endif
