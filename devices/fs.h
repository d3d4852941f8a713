/* SPDX-License-Identifier: MIT */
/*
 * A virtio file system device (virtio 1.2, 5.11) as a vhost-user back-end whose files another program has (proto/share_offer.h).
 * A request is copied into memory that the two share, and its answer back; one is under way at a time, and nobody waits for it.
 *
 * When this process dies, the next one finds in that memory what was under way, and does not ask for it again: making a file twice
 * is an error the second time. When the program dies, what the guest has open is gone with it: each request is answered with EIO until the
 * guest mounts the folder again, which another program then serves.
 */
#ifndef BULKHEAD_DEVICES_FS_H
#define BULKHEAD_DEVICES_FS_H

#include <linux/fuse.h>

#include "devices/vhost_back.h"
#include "proto/disk_offer.h"
#include "proto/share_offer.h"

enum { FS_QUEUES = 2, FS_CONFIG_BYTES = 40 };

struct fs;

/* What the connection (fs_link.c) tells those who use it. */
struct fs_above {
	int (*up)(struct fs *f);       /* the memory is there: 0, or -EPROTO if what is in there cannot be */
	int (*called)(struct fs *f);   /* 0, or -EPROTO: the program answers what makes no sense */
	void (*lost)(struct fs *f);    /* the program is gone */
	void (*refused)(struct fs *f); /* there is none to be had */
	void (*wake)(struct fs *f);    /* queues can go on */
};

struct fs {
	const struct fs_above *above;
	struct vhost_device device;
	struct vhost_back *back;
	const char *tag;
	int fds[DISK_FDS]; /* enum disk_offer_fd; -1: there is no connection */
	int exporter_fd;
	uint8_t *memory;
	struct event on_offer, on_link, on_call;
	uint32_t number; /* of what was asked last */
	bool asked;	 /* and not answered */
	bool fresh;	 /* what the exporter has is of no use */
	bool resumes;	 /* what lies in the memory may be what a queue begins with */
	bool busy;	 /* told, and not answered */
	bool refuses[VHOST_QUEUES]; /* by queue, all that a connection may name: there is no program: what has come is answered with EIO */
	uint16_t told;	 /* requests so far: the index of the program's queue */
	/* Whose request it is; NULL: nobody's any more. */
	struct vhost_queue *queue;
	struct virtq_chain chain;
	struct fuse_in_header header;
	uint32_t readable, writable; /* bytes of the chain */
	uint64_t requests, errors;   /* errors: those that had no program */
};

/* `exporter_fd` is then the folder's; `served` and `lost` as in struct vhost_device. 0 or -EIO. */
int fs_init(struct fs *f, int exporter_fd, const char *tag, void (*served)(void *ctx), void (*lost)(void *ctx, const char *why));
/* The back-end that it is the device of, as soon as there is one. 0 or -EIO. */
int fs_attach(struct fs *f, struct vhost_back *back);

#endif
