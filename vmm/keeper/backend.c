/* SPDX-License-Identifier: MIT */
/* --disk: what is behind virtio devices is opened and locked here, and served by their back-ends: keeper.h. */
#include "keeper.h"

#include "../common/exit_codes.h"

#include "../../proto/disk.h"

#include <string.h>

/* Disks that another program serves, which begins when the machine has a directory. */
static const struct disk_spec *exported[VIRTIO_DEVICES];

static int open_backend(struct keeper *k, unsigned n)
{
	struct launch *l = &k->launch;
	static struct disk_spec specs[VIRTIO_DEVICES]; /* the supervisor goes on reading it */
	char error[DISK_ERROR_MAX];
	const char *why;
	int rc = disk_parse(k->config.backends.of[n].text, &specs[n], &why);

	if (rc)
		return keeper_fail(k, EXIT_USAGE, "--disk %.150s: %s", k->config.backends.of[n].text, why);
	l->disk[n].serial = specs[n].serial;
	if (specs[n].way != DISK_RAW) {
		exported[n] = &specs[n];
		return 0;
	}
	rc = disk_open(&specs[n], error);
	if (rc < 0)
		return keeper_fail(k, EXIT_USAGE, "--disk %s", error);
	l->backend_fd[n] = rc;
	l->disk[n].read_only = specs[n].read_only;
	return 0;
}

int keeper_open_backends(struct keeper *k)
{
	int rc = 0;

	for (unsigned n = 0; n < k->config.backends.count && !rc; n++)
		rc = open_backend(k, n);
	return rc;
}

int exporters_start(struct keeper *k)
{
	int rc = 0;

	for (unsigned n = 0; n < VIRTIO_DEVICES && !rc; n++)
		if (exported[n])
			rc = exporter_start(k, n, exported[n]);
	return rc;
}
