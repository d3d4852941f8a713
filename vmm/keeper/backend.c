/* SPDX-License-Identifier: MIT */
/* --disk: what is behind virtio devices is opened and locked here, and served by their back-ends: keeper.h. */
#include "keeper.h"

#include "../common/exit_codes.h"

#include "../../proto/disk.h"

#include <string.h>

static int open_backend(struct keeper *k, unsigned n)
{
	struct launch *l = &k->launch;
	static struct disk_spec specs[VIRTIO_DEVICES]; /* the supervisor goes on reading it */
	char error[DISK_ERROR_MAX];
	const char *why;
	int rc = disk_parse(k->config.backends.of[n].text, &specs[n], &why);

	if (rc)
		return keeper_fail(k, EXIT_USAGE, "--disk %.150s: %s", k->config.backends.of[n].text, why);
	rc = disk_open(&specs[n], error);
	if (rc < 0)
		return keeper_fail(k, EXIT_USAGE, "--disk %s", error);
	l->backend_fd[n] = rc;
	l->disk[n].read_only = specs[n].read_only;
	l->disk[n].serial = specs[n].serial;
	return 0;
}

int keeper_open_backends(struct keeper *k)
{
	int rc = 0;

	for (unsigned n = 0; n < k->config.backends.count && !rc; n++)
		rc = open_backend(k, n);
	return rc;
}
