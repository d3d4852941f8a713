/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-blkd: the back-end of a virtio disk. It has the image, the guest's memory, and a connection to its front-end, and
 * nothing to keep: what was asked of it is in the queues, and whoever takes over does again what they do not say is done
 * (blk_pool.h).
 */
#include <errno.h>
#include <sys/resource.h>

#include "daemons.h"
#include "devices/backend.h"
#include "devices/blk_disk.h"

enum { FD_IMAGE, OWN_FDS };

static struct blk_disk disk;

/* An image never gets longer, whoever has taken this process over: it fills up nobody's disk. */
static int keep_size(const struct blk *b)
{
	const rlim_t bytes = b->sectors * BLK_SECTOR;
	struct rlimit now;

	if (getrlimit(RLIMIT_FSIZE, &now) < 0)
		return -errno;
	if (now.rlim_max <= bytes)
		return 0;
	return setrlimit(RLIMIT_FSIZE, &(struct rlimit){ bytes, bytes }) < 0 ? -errno : 0;
}

/* What the program that has the image has said of it when the machine was started. */
static int start_remote(const Bulkhead__Disk *m, struct vhost_back *back, int exporter_fd)
{
	const struct blk is = {
		.sectors = m->sectors,
		.read_only = m->has_read_only && m->read_only,
		.lacks = (BLK_F_DISCARD | BLK_F_WRITE_ZEROES) & ~m->features,
	};

	return blk_disk_init_remote(&disk, exporter_fd, back, &is, m->serial, backend_served, backend_lost);
}

static int start(struct runtime *rt, const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds)
{
	const Bulkhead__Disk *m = setup->disk;
	struct vhost_back *back;
	int err;

	if (nfds != OWN_FDS || !m)
		return -EINVAL;
	back = backend_init(rt, &disk.device);
	if (m->has_remote && m->remote)
		err = start_remote(m, back, fds[FD_IMAGE]);
	else
		err = blk_disk_init(&disk, fds[FD_IMAGE], m->has_read_only && m->read_only, m->serial, backend_served,
				    backend_lost);
	fds[FD_IMAGE] = -1;
	if (!err && disk.blk.fd >= 0)
		err = keep_size(&disk.blk);
	if (!err && disk.blk.fd >= 0)
		err = blk_disk_start(&disk, back);
	return err;
}

static uint64_t settle(struct runtime *rt, uint64_t now_ns)
{
	blk_disk_tell_errors(&disk);
	return backend_settle(rt, now_ns);
}

static void stats(struct runtime *rt, Bulkhead__Stats *s)
{
	(void)rt;
	s->has_disk_reads = s->has_disk_writes = s->has_disk_errors = true;
	s->disk_reads = disk.blk.reads;
	s->disk_writes = disk.blk.writes;
	s->disk_errors = disk.blk.errors;
	s->has_disk_waits_ns = disk.blk.fd >= 0;
	s->disk_waits_ns = disk.blk.fd >= 0 ? blk_pool_waits_ns(&disk.pool) : 0;
}

const struct daemon_shell blkd_shell = {
	.kind = KIND_BLKD,
	.model = &backend_model,
	.shell_version = BLKD_SHELL_VERSION,
	.start = start,
	.reset = backend_reset,
	.settle = settle,
	.link = backend_link,
	.alone = blk_alone,
	.stats = stats,
};
