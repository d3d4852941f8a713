/* SPDX-License-Identifier: MIT */
/* A block device as a vhost-user back-end: see blk_disk.h. */
#include "devices/blk_disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/disk.h"
#include "proto/log.h"

static void get_config(void *ctx, uint8_t *out)
{
	const struct blk_disk *d = ctx;

	blk_config(&d->blk, d->device.queues, out);
}

static void accepted(void *ctx, uint64_t features)
{
	struct blk_disk *d = ctx;

	d->blk.write_through = !(features & BLK_F_FLUSH);
}

static int64_t serve(void *ctx, struct vhost_queue *q, struct virtq_chain *chain)
{
	struct blk_disk *d = ctx;

	return blk_request(&d->blk, &q->back->memory, chain);
}

static void describe(struct blk_disk *d, const char *serial, void (*served)(void *ctx), void (*lost)(void *ctx, const char *why))
{
	snprintf(d->blk.id, sizeof(d->blk.id), "%s", serial ? serial : "");
	d->device = (struct vhost_device){
		.features = blk_features(&d->blk),
		.queues = VHOST_QUEUES,
		.config_bytes = BLK_CONFIG_BYTES,
		.get_config = get_config,
		.accepted = accepted,
		.serve = serve,
		.served = served,
		.lost = lost,
		.ctx = d,
	};
}

int blk_disk_init(struct blk_disk *d, int fd, bool read_only, const char *serial, void (*served)(void *ctx),
		  void (*lost)(void *ctx, const char *why))
{
	*d = (struct blk_disk){ .blk = { .fd = fd, .read_only = read_only, .sectors = disk_sectors(fd) } };
	describe(d, serial, served, lost);
	return d->blk.sectors ? 0 : -EINVAL;
}

static int pool_kicked(void *ctx, struct vhost_queue *q)
{
	return blk_pool_kicked(&((struct blk_disk *)ctx)->pool, q);
}

static void pool_halted(void *ctx, struct vhost_queue *q)
{
	blk_pool_halted(&((struct blk_disk *)ctx)->pool, q);
}

int blk_disk_start(struct blk_disk *d, struct vhost_back *back)
{
	int err = blk_pool_init(&d->pool, &d->blk, back);

	if (err)
		return err;
	d->device.kicked = pool_kicked;
	d->device.halted = pool_halted;
	d->device.reorders = true;
	return 0;
}

static int kicked(void *ctx, struct vhost_queue *q)
{
	return blk_remote_kicked(&((struct blk_disk *)ctx)->remote, q);
}

static void halted(void *ctx, struct vhost_queue *q)
{
	blk_remote_halted(&((struct blk_disk *)ctx)->remote, q);
}

int blk_disk_init_remote(struct blk_disk *d, int exporter_fd, struct vhost_back *back, const struct blk *is, const char *serial,
			 void (*served)(void *ctx), void (*lost)(void *ctx, const char *why))
{
	int err;

	*d = (struct blk_disk){ .blk = *is };
	d->blk.fd = -1;
	describe(d, serial, served, lost);
	err = blk_remote_init(&d->remote, &d->blk, back, exporter_fd);
	d->device.kicked = kicked;
	d->device.halted = halted;
	return d->blk.sectors ? err : -EINVAL;
}

void blk_disk_tell_errors(struct blk_disk *d)
{
	if (!d->blk.failed)
		return;
	log_warning("the disk's %s failed, and the guest was told so: %s (%llu errors so far)", d->blk.failed,
		    d->blk.failed_errno == ENODATA ? "the image is shorter than it was" : strerror(d->blk.failed_errno),
		    (unsigned long long)d->blk.errors);
	d->blk.failed = NULL;
}
