/* SPDX-License-Identifier: MIT */
/*
 * The back-end's side of vhost-user (QEMU, docs/interop/vhost-user.rst), for a device whose queues are served in order: takes a
 * front-end's messages, keeps its queues, waits for kicks, calls. The front-end may be anybody's. What it says wrong ends the
 * connection; what the guest's driver does wrong breaks the queue.
 *
 * Memory is what the front-end hands over (SET_MEM_TABLE), or what the owner has already, and then no message changes it.
 */
#ifndef BULKHEAD_DEVICES_VHOST_BACK_H
#define BULKHEAD_DEVICES_VHOST_BACK_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "devices/virtq.h"
#include "proto/vhost_user.h"

enum { VHOST_QUEUES = 4, VHOST_BATCH = 64 };

struct vhost_back;
struct vhost_queue;

struct vhost_device {
	uint64_t features; /* of the device itself; those of the rings are added */
	unsigned queues, config_bytes;
	void (*get_config)(void *ctx, uint8_t *out);
	/* SET_FEATURES came. */
	void (*accepted)(void *ctx, uint64_t features);
	/* One chain of this queue: bytes written into it, or -EPROTO: it makes no sense. */
	int64_t (*serve)(void *ctx, struct vhost_queue *q, struct virtq_chain *chain);
	/*
	 * Instead of `serve`, for a device that takes chains when it has something for them, too: there may be some in this queue.
	 * 0: it has asked to be told of the next one (virtq_sleep()), or needs none now; 1: it wants to go on soon; -EPROTO.
	 */
	int (*kicked)(void *ctx, struct vhost_queue *q);
	/* This queue is served no longer: what is under way of it is nobody's. May be NULL. */
	void (*halted)(void *ctx, struct vhost_queue *q);
	bool reorders; /* it uses chains in another order than they come in, where the front-end keeps a record of that */
	/* After a batch; may be NULL. */
	void (*served)(void *ctx);
	/* The connection is over; may be NULL. */
	void (*lost)(void *ctx, const char *why);
	void *ctx;
};

struct vhost_queue {
	struct vhost_back *back;
	unsigned index;
	struct virtq ring;
	uint64_t desc, avail, used; /* as the front-end says them */
	uint16_t size;
	int kick_fd, call_fd, err_fd; /* -1: none */
	bool enabled, has_addr, started, watched;
	struct event kick;
};

struct vhost_region {
	uint64_t guest, user, size;
	uint8_t *at;
	void *mapped;
	size_t mapped_bytes;
};

/* The front-end's record of what is under way (virtq_inflight.h). */
struct vhost_inflight {
	int spare_fd; /* of SPARE_BYTES, for front-ends that have none yet; -1: they are given none */
	uint8_t *at;  /* NULL: there is no record */
	void *mapped;
	size_t mapped_bytes, stride;
	uint16_t queues, queue_size;
};

struct vhost_back {
	const struct vhost_device *device;
	struct event_base *base;
	struct virtq_memory memory;
	bool fixed_memory;
	int fd; /* of the connection; -1 */
	struct event on_message;
	uint64_t features, protocol;
	struct vhost_queue queues[VHOST_QUEUES];
	struct vhost_region regions[VU_REGIONS];
	unsigned region_count;
	struct vhost_inflight inflight;
	size_t got;
	struct vu_message in;
	int fds[VU_REGIONS];
	unsigned fd_count;
	uint64_t broken; /* queues that a driver has broken so far */
};

/* `memory`: the guest's, which is there already; NULL: the front-end will hand it over. */
void vhost_back_init(struct vhost_back *b, const struct vhost_device *device, struct event_base *base,
		     const struct virtq_memory *memory);
/* Makes room for a record of what is under way, which it hands to front-ends that ask for one. 0 or -errno. */
int vhost_back_make_inflight(struct vhost_back *b);
/* Takes a connection. 0 or -EIO. */
int vhost_back_attach(struct vhost_back *b, int fd);
/* Hangs up. Afterwards nothing of the guest's memory is touched. */
void vhost_back_detach(struct vhost_back *b);

#endif
