/* SPDX-License-Identifier: MIT */
/*
 * A virtio network card (virtio 1.2, 5.1) as a vhost-user back-end: carries frames between two queues and a descriptor, one in a
 * message, each with virtio's header before it (proto/net_frame.h). What is behind the descriptor is nobody's business here: an
 * interface of the host's, or a process (vmm/uplink).
 */
#ifndef BULKHEAD_DEVICES_NET_H
#define BULKHEAD_DEVICES_NET_H

#include <event2/event_struct.h>

#include "devices/vhost_back.h"
#include "proto/net.h"
#include "proto/net_frame.h"

enum { NET_RECEIVE = 0, NET_TRANSMIT = 1, NET_QUEUES = 2, NET_CONFIG_BYTES = 12 };

struct net {
	int fd;		/* -1: there is nothing behind it any more */
	bool is_tap;
	uint64_t features; /* that the driver has accepted */
	uint8_t mac[NET_MAC];
	uint16_t mtu;
	struct event_base *base;
	struct event readable, writable;
	bool listens; /* to `readable` */
	bool waits;   /* the far side is full: the transmit queue stands still until it is not, or for WAIT_MS */
	bool jammed;  /* it has been full for so long: what does not fit is dropped, until something does */
	struct vhost_queue *queues[NET_QUEUES]; /* that have been seen to run */
	struct vhost_device device;
	uint64_t sent, received, dropped;
	uint16_t chains; /* that were there for the pending message, and were too few */
	size_t pending; /* bytes of `message`, which came and has not gone into the guest yet */
	uint8_t message[NET_FRAME_MAX];
};

/* `fd` is the card's, and does not block. `served` and `lost` as in struct vhost_device; may be NULL. */
void net_init(struct net *n, int fd, bool is_tap, const uint8_t mac[NET_MAC], uint16_t mtu, void (*served)(void *ctx),
	      void (*lost)(void *ctx, const char *why));
/* Where it waits; before the first front-end comes. 0 or -EIO. */
int net_watch(struct net *n, struct event_base *base);
/*
 * The parts. One chain of the transmit queue, to the far side: 0; -EAGAIN: that is full; -EPROTO: it is no frame. And the pending
 * message, into the receive queue: 0; -EAGAIN: it needs more buffers; -EPROTO.
 */
int net_send(struct net *n, const struct virtq_chain *chain);
int net_deliver(struct net *n, struct virtq *q);

#endif
