/* SPDX-License-Identifier: MIT */
/* bulkhead-rngd: the back-end of a virtio entropy device. It has the host's random bytes, the guest's memory, and no state. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "daemons.h"
#include "devices/alone.h"
#include "devices/backend.h"
#include "devices/rng.h"

enum { FD_SOURCE, OWN_FDS };

static struct rng rng;
static struct alone self = { .kind = KIND_RNGD, .usage = "--rng" };

static int start(struct runtime *rt, const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds)
{
	(void)setup;
	if (nfds != OWN_FDS)
		return -EINVAL;
	rng_init(&rng, fds[FD_SOURCE], backend_served, backend_lost);
	fds[FD_SOURCE] = -1;
	backend_init(rt, &rng.device);
	return 0;
}

static int rng_alone(int argc, char **argv)
{
	const char *path;
	int code;

	if (!alone_is_wanted(argc, argv))
		return -1;
	code = alone_parse(&self, argc, argv, "--rng", &path, NULL);
	if (!code)
		code = alone_open(&self, path);
	if (code)
		return code;
	rng_init(&rng, open("/dev/urandom", O_RDONLY | O_CLOEXEC), NULL, backend_lost);
	if (rng.fd < 0) {
		fprintf(stderr, "bulkhead-rngd: /dev/urandom: %s\n", strerror(errno));
		return ALONE_FAILED;
	}
	self.device = &rng.device;
	return alone_serve(&self);
}

const struct daemon_shell rngd_shell = {
	.kind = KIND_RNGD,
	.model = &backend_model,
	.shell_version = RNGD_SHELL_VERSION,
	.start = start,
	.reset = backend_reset,
	.settle = backend_settle,
	.link = backend_link,
	.alone = rng_alone,
};
