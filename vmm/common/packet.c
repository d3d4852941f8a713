/* SPDX-License-Identifier: MIT */
/* Packets with descriptors: packet.h. */
#include "packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union fd_control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int) * PACKET_FDS)];
};

int packet_send(int sock, const void *data, size_t len, const int *fds, unsigned nfds)
{
	struct iovec iov = { (void *)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union fd_control control = { 0 };

	if (nfds > PACKET_FDS)
		return -EINVAL;
	if (nfds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int) * nfds),
						   .cmsg_level = SOL_SOCKET,
						   .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * nfds);
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static void take_fds(struct msghdr *msg, int fds[PACKET_FDS])
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	size_t bytes = c ? c->cmsg_len - CMSG_LEN(0) : 0;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && bytes <= sizeof(int) * PACKET_FDS)
		memcpy(fds, CMSG_DATA(c), bytes);
}

int packet_recv(int sock, void *data, size_t len, int fds[PACKET_FDS], bool wait)
{
	struct iovec iov = { data, len };
	union fd_control control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n;

	for (unsigned i = 0; i < PACKET_FDS; i++)
		fds[i] = -1;
	do
		n = recvmsg(sock, &msg, (wait ? 0 : MSG_DONTWAIT) | MSG_CMSG_CLOEXEC);
	while (wait && n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -ECONNRESET;
	take_fds(&msg, fds);
	if (n == (ssize_t)len)
		return 0;
	for (unsigned i = 0; i < PACKET_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return -ECONNRESET;
}
