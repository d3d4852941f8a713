/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-blkd: the back-end of a virtio disk. It has the image, the guest's memory, and a connection to its front-end, and
 * nothing to keep: what was asked of it is in the queues, and each request is told to be done before the next one is begun, so
 * that whoever takes over repeats the one that it died over.
 */
#include <errno.h>
#include <sys/resource.h>

#include "daemons.h"
#include "devices/blk_disk.h"
#include "devices/blk_model.h"
#include "proto/log.h"

enum { FD_IMAGE, OWN_FDS };

static struct blk_disk disk;
static struct vhost_back back;
static struct runtime *runtime;
static uint64_t broken;

static void *memory_at(void *ctx, uint64_t addr, uint64_t len)
{
	return runtime_memory(ctx, addr, len);
}

static void memory_written(void *ctx, uint64_t addr, uint64_t len)
{
	runtime_memory_written(ctx, addr, len);
}

/* Progress is what is committed; a daemon that dies without any is started again ever more slowly. */
static void served(void *ctx)
{
	struct blk_state *s = runtime->state;

	(void)ctx;
	s->batches++;
	runtime_touch(runtime);
}

static void lost(void *ctx, const char *why)
{
	(void)ctx;
	log_info("%s", why);
}

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
static int start_remote(const Bulkhead__Disk *m, int exporter_fd)
{
	const struct blk is = {
		.sectors = m->sectors,
		.read_only = m->has_read_only && m->read_only,
		.lacks = (BLK_F_DISCARD | BLK_F_WRITE_ZEROES) & ~m->features,
	};

	return blk_disk_init_remote(&disk, exporter_fd, &back, &is, m->serial, served, lost);
}

static int start(struct runtime *rt, const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds)
{
	const struct virtq_memory memory = { memory_at, memory_written, rt };
	const Bulkhead__Disk *m = setup->disk;
	int err;

	if (nfds != OWN_FDS || !m)
		return -EINVAL;
	runtime = rt;
	vhost_back_init(&back, &disk.device, rt->base, &memory);
	if (m->has_remote && m->remote)
		err = start_remote(m, fds[FD_IMAGE]);
	else
		err = blk_disk_init(&disk, fds[FD_IMAGE], m->has_read_only && m->read_only, m->serial, served, lost);
	fds[FD_IMAGE] = -1;
	if (!err && disk.blk.fd >= 0)
		err = keep_size(&disk.blk);
	return err;
}

static int link_to(struct runtime *rt, int fd)
{
	(void)rt;
	if (fd >= 0)
		return vhost_back_attach(&back, fd);
	vhost_back_detach(&back);
	return 0;
}

/* The machine starts again, or has begun: its memory is another's. */
static void reset(struct runtime *rt, uint64_t now_ns)
{
	(void)rt;
	(void)now_ns;
	if (back.base)
		vhost_back_detach(&back);
}

static uint64_t settle(struct runtime *rt, uint64_t now_ns)
{
	(void)rt;
	(void)now_ns;
	blk_disk_tell_errors(&disk);
	if (back.broken != broken)
		log_warning("the guest's driver has broken a queue: the device needs a reset");
	broken = back.broken;
	return UINT64_MAX;
}

static void stats(struct runtime *rt, Bulkhead__Stats *s)
{
	(void)rt;
	s->has_disk_reads = s->has_disk_writes = s->has_disk_errors = true;
	s->disk_reads = disk.blk.reads;
	s->disk_writes = disk.blk.writes;
	s->disk_errors = disk.blk.errors;
}

const struct daemon_shell blkd_shell = {
	.kind = KIND_BLKD,
	.model = &blk_model,
	.shell_version = BLKD_SHELL_VERSION,
	.start = start,
	.reset = reset,
	.settle = settle,
	.link = link_to,
	.alone = blk_alone,
	.stats = stats,
};
