/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-firmwared: fw_cfg, the chipset and the flash, for a PC's firmware. All it does is in the model, but for the flash's content:
 * that lies in a file, is read once, and each change is in the file before anybody sees the answer. So who dies loses nothing;
 * what was written and not committed is written again, which changes nothing more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemons.h"
#include "firmware_model.h"
#include "proto/log.h"

static int variables_fd = -1;

/* A file that is shorter than when the machine was started reads as erased. */
static int read_content(uint64_t bytes)
{
	uint64_t have = 0;
	ssize_t n = 1;

	firmware_flash = malloc(bytes);
	if (!firmware_flash)
		return -ENOMEM;
	memset(firmware_flash, 0xff, bytes);
	while (have < bytes && n > 0) {
		n = pread(variables_fd, firmware_flash + have, bytes - have, (off_t)have);
		have += n > 0 ? (uint64_t)n : 0;
	}
	if (have < bytes)
		log_error("what firmware keeps: only %llu of %llu bytes can be read", (unsigned long long)have,
			  (unsigned long long)bytes);
	return 0;
}

static int start(struct runtime *rt, const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds)
{
	(void)setup;
	if (nfds != 1)
		return -EINVAL;
	variables_fd = fds[0];
	fds[0] = -1;
	if (((const struct firmware_state *)rt->state)->flash_bytes != rt->config.flash)
		return -EINVAL; /* a journal of another machine's */
	return rt->config.flash ? read_content(rt->config.flash) : 0;
}

static void applied(struct runtime *rt, uint64_t now_ns)
{
	struct firmware_state *s = rt->state;
	const struct pflash_change c = s->changed;

	(void)now_ns;
	if (!c.bytes)
		return;
	s->changed = (struct pflash_change){ 0, 0 };
	if (!firmware_flash || pwrite(variables_fd, firmware_flash + c.at, c.bytes, c.at) == (ssize_t)c.bytes)
		return;
	log_error("what firmware keeps cannot be written: %s", strerror(errno));
	pflash_failed(&s->flash);
}

const struct daemon_shell firmwared_shell = {
	.shell_version = FIRMWARED_SHELL_VERSION,
	.kind = KIND_FIRMWARED,
	.model = &firmware_model,
	.start = start,
	.applied = applied,
};
