/* SPDX-License-Identifier: MIT */
/* What an exporter hands over: see offer.h. */
#include "devices/offer.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void take_fds(struct msghdr *m, int fds[DISK_FDS])
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(DISK_FDS * sizeof(int)))
		memcpy(fds, CMSG_DATA(c), DISK_FDS * sizeof(int));
}

ssize_t offer_receive(int exporter_fd, void *offer, size_t size, int fds[DISK_FDS])
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(DISK_FDS * sizeof(int))];
	} control;
	struct iovec iov = { offer, size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(exporter_fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	for (unsigned i = 0; i < DISK_FDS; i++)
		fds[i] = -1;
	if (n > 0)
		take_fds(&m, fds);
	return n;
}

void offer_close(int fds[DISK_FDS])
{
	for (unsigned i = 0; i < DISK_FDS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

void offer_move(int to[DISK_FDS], int from[DISK_FDS])
{
	for (unsigned i = 0; i < DISK_FDS; i++) {
		to[i] = from[i];
		from[i] = -1;
	}
}
