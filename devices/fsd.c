/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-fsd: the back-end of a shared folder. It has the guest's memory, and a connection to a program that has the files and no
 * guest memory; it has no file itself, and nothing to keep: what is under way lies in memory that the exporter keeps.
 */
#include <errno.h>
#include <stdio.h>

#include "daemons.h"
#include "devices/backend.h"
#include "devices/fs.h"
#include "proto/share.h"

enum { FD_EXPORTER, OWN_FDS };

static struct fs fs;
static char tag[SHARE_TAG_MAX + 1];

static int start(struct runtime *rt, const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds)
{
	int err;

	if (nfds != OWN_FDS || !setup->share)
		return -EINVAL;
	snprintf(tag, sizeof(tag), "%s", setup->share->tag);
	err = fs_init(&fs, fds[FD_EXPORTER], tag, backend_served, backend_lost);
	fds[FD_EXPORTER] = -1;
	return err ? err : fs_attach(&fs, backend_init(rt, &fs.device));
}

const struct daemon_shell fsd_shell = {
	.kind = KIND_FSD,
	.model = &backend_model,
	.shell_version = FSD_SHELL_VERSION,
	.start = start,
	.reset = backend_reset,
	.settle = backend_settle,
	.link = backend_link,
};
