/* SPDX-License-Identifier: MIT */
/* Control requests of the command line: client.h. */
#include "client.h"

#include "../common/config.h"
#include "../common/exit_codes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

int client_find(const char *name, struct machine_ref *ref)
{
	if (!config_is_name(name)) {
		fprintf(stderr, "bulkhead: %.60s is not a name of a machine; see bulkhead list\n", name);
		return EXIT_USAGE;
	}
	ref->name = name;
	if (rundir_path(NULL, name, ref->path) || !rundir_is_alive(ref->path)) {
		fprintf(stderr, "bulkhead: no machine named %s is running; see bulkhead list\n", name);
		return EXIT_USAGE;
	}
	return 0;
}

static int dial(const char *dir)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	/* A keeper that is stopped accepts nobody; connect() waits for room in its queue under the send time-out. */
	const struct timeval limit = { .tv_sec = 2 };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/control.sock", dir);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

int client_call(const char *dir, uint16_t type, const ProtobufCMessage *msg, int fd, int timeout_ms, struct frame *frame)
{
	static const Bulkhead__Empty empty = BULKHEAD__EMPTY__INIT;
	int sock = dial(dir), rc;

	if (sock < 0)
		return sock;
	rc = frame_call(sock, frame, type, 1, msg ? msg : &empty.base, &fd, fd >= 0, timeout_ms);
	if (!rc && frame->header.type == BULKHEAD__MESSAGE_TYPE__MSG_ERROR)
		rc = -EREMOTEIO;
	close(sock);
	return rc;
}

int client_keeper_pid(const char *dir)
{
	char path[RUNDIR_PATH_MAX + 8], text[24];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/lock", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return atoi(text);
}

int client_complain(const char *name, const struct frame *frame, int rc)
{
	if (rc == -EREMOTEIO)
		fprintf(stderr, "bulkhead: %s: %s\n", name, ((const Bulkhead__Error *)frame->msg)->text);
	else if (rc == -EACCES)
		fprintf(stderr, "bulkhead: %s belongs to another user\n", name);
	else if (rc == -ENOENT)
		fprintf(stderr, "bulkhead: %s has just ended\n", name);
	else
		fprintf(stderr, "bulkhead: %s does not answer: %s; bulkhead kill %s ends it\n", name, strerror(-rc), name);
	return EXIT_INTERNAL;
}
