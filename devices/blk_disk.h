/* SPDX-License-Identifier: MIT */
/* A block device as a vhost-user back-end: what blkd is in a machine (blkd.c), and by itself (blk_alone.c). */
#ifndef BULKHEAD_DEVICES_BLK_DISK_H
#define BULKHEAD_DEVICES_BLK_DISK_H

#include "devices/blk.h"
#include "devices/blk_pool.h"
#include "devices/blk_remote.h"
#include "devices/vhost_back.h"

struct blk_disk {
	struct blk blk;
	struct vhost_device device;
	struct blk_pool pool;	  /* if the image is ours */
	struct blk_remote remote; /* if another program has it */
};

/* `fd`: the image, which is then the disk's. `served` and `lost` as in struct vhost_device; may be NULL. 0 or -EINVAL. */
int blk_disk_init(struct blk_disk *d, int fd, bool read_only, const char *serial, void (*served)(void *ctx),
		  void (*lost)(void *ctx, const char *why));
/* Several requests at a time from here on: without it, one after the other. `back` as below. 0 or -errno. */
int blk_disk_start(struct blk_disk *d, struct vhost_back *back);
/* The same as blk_disk_init() for an image that another program has (blk_remote.h). `is`: its sectors, read_only and lacks; the rest of it is ours.
 * `back` is initialised, and may be so with this disk's device. */
int blk_disk_init_remote(struct blk_disk *d, int exporter_fd, struct vhost_back *back, const struct blk *is, const char *serial,
			 void (*served)(void *ctx), void (*lost)(void *ctx, const char *why));
/* Says in the log what has failed since it was last called. */
void blk_disk_tell_errors(struct blk_disk *d);

/* blkd by itself: "--vhost-user SOCKET --disk FILE". Its exit code; -1: the arguments ask for something else. */
int blk_alone(int argc, char **argv);

#endif
