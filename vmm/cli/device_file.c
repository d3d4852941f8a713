/* SPDX-License-Identifier: MIT */
/* A device to standard output: device_file.h. */
#include "device_file.h"

#include "../common/exit_codes.h"

#include "../../proto/shm.h"
#include "../../proto/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MS = 15000, TRIES = 5 };

static struct frame frame;

static int write_all(const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A private copy that is whole: somebody else may have another device captured at the same moment. -EAGAIN then. */
static int copy(int fd, uint8_t **out, size_t *len)
{
	const void *shared;
	struct state_header h;
	const char *why;
	int rc = shm_map_ro(fd, STATE_MAX, &shared);

	if (rc)
		return rc;
	memcpy(&h, shared, sizeof(h));
	*len = h.bytes <= STATE_MAX && h.bytes >= sizeof(h) ? (size_t)h.bytes : sizeof(h);
	*out = malloc(*len);
	if (*out)
		memcpy(*out, shared, *len);
	shm_unmap(shared, STATE_MAX);
	if (!*out)
		return -ENOMEM;
	if (!state_check(*out, *len, &why))
		return 0;
	free(*out);
	return -EAGAIN;
}

static int ask(const struct machine_ref *ref, const char *device)
{
	Bulkhead__DeviceName m = BULKHEAD__DEVICE_NAME__INIT;
	int rc;

	m.device = (char *)device;
	rc = client_call(ref->path, BULKHEAD__MESSAGE_TYPE__MSG_DEVICE_CAPTURE, &m.base, -1, ANSWER_MS, &frame);
	return rc || frame.fd_count == 1 ? rc : -EPROTO;
}

int device_capture(const struct machine_ref *ref, const char *device)
{
	uint8_t *bytes = NULL;
	size_t len = 0;
	int rc = -EAGAIN;

	if (isatty(STDOUT_FILENO)) {
		fprintf(stderr,
			"bulkhead: device capture writes a file to standard output: bulkhead device capture %s %s >%s.bhd\n",
			ref->name, device, device);
		return EXIT_USAGE;
	}
	for (unsigned i = 0; rc == -EAGAIN && i < TRIES; i++) {
		rc = ask(ref, device);
		if (!rc)
			rc = copy(frame.fds[0], &bytes, &len);
		frame_close_fds(&frame);
	}
	if (rc)
		return client_complain(ref->name, &frame, rc);
	rc = write_all(bytes, len);
	free(bytes);
	if (rc)
		fprintf(stderr, "bulkhead: standard output: %s\n", strerror(-rc));
	return rc ? EXIT_FAILED : EXIT_OK;
}
