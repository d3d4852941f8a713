/* SPDX-License-Identifier: MIT */
/* bulkhead-blkd by itself: a disk for any VMM that is a vhost-user front-end. */
#include "devices/blk_disk.h"

#include <stdio.h>
#include <string.h>

#include "devices/alone.h"
#include "proto/disk.h"
#include "proto/log.h"

static struct alone self = { .kind = KIND_BLKD, .usage = "--disk FILE[,ro][,serial=TEXT]" };
static struct blk_disk disk;

static void served(void *ctx)
{
	blk_disk_tell_errors(ctx);
}

static void lost(void *ctx, const char *why)
{
	(void)ctx;
	log_info("%s", why);
}

static int start(struct vhost_back *back)
{
	return blk_disk_start(&disk, back);
}

static int run(const char *path, const struct disk_spec *spec)
{
	char error[DISK_ERROR_MAX];
	int fd = disk_open(spec, error), code;

	if (fd < 0) {
		fprintf(stderr, "bulkhead-blkd: --disk %s\n", error);
		return ALONE_USAGE_WRONG;
	}
	code = alone_open(&self, path);
	if (code)
		return code;
	if (blk_disk_init(&disk, fd, spec->read_only, spec->serial, served, lost))
		return ALONE_FAILED;
	self.device = &disk.device;
	self.start = start;
	self.keeps_record = true;
	return alone_serve(&self);
}

int blk_alone(int argc, char **argv)
{
	const char *path, *text = NULL, *why;
	static struct disk_spec spec;
	int code;

	if (!alone_is_wanted(argc, argv))
		return -1;
	code = alone_parse(&self, argc, argv, "--disk", &path, &text);
	if (code)
		return code;
	if (disk_parse(text, &spec, &why))
		return alone_usage(&self, why);
	if (spec.way != DISK_RAW)
		return alone_usage(&self, "by itself it serves raw images and block devices");
	return run(path, &spec);
}
