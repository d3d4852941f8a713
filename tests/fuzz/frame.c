/* SPDX-License-Identifier: MIT */
/*
 * Packets on a control socket, with and without descriptors, through frame_recv() and the check of their message. No
 * descriptor stays open; what was understood can be sent and understood again.
 *
 * Input: flags and number of descriptors, then the packet. Flag 80h: a correct header is put before it, of the type in
 * the next byte, so that the input is the body alone.
 */
#include "fuzz.h"
#include "proto/control_check.h"
#include "proto/kind.h"
#include "proto/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static const uint8_t types[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 20, 21, 22, 23, 24 };

static int socks[2];
static struct frame *frame, *again;

static void set_up(void)
{
	if (frame)
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, socks) < 0)
		exit(1);
	frame = fuzz_alloc(sizeof(*frame));
	again = fuzz_alloc(sizeof(*again));
}

static int lowest_free_fd(void)
{
	int fd = fcntl(socks[0], F_DUPFD_CLOEXEC, 0);

	close(fd);
	return fd;
}

static void send_packet(const uint8_t *data, size_t size, unsigned nfds)
{
	char control[CMSG_SPACE(64 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)data, size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = (struct cmsghdr *)control;

	if (nfds) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		for (unsigned i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &socks[0], sizeof(int));
	}
	if (sendmsg(socks[0], &m, MSG_NOSIGNAL) < 0)
		CHECK(errno == EMSGSIZE || errno == ENOBUFS, "%s", strerror(errno));
}

static void check_message(const struct frame *f)
{
	struct control_complaint c = { 0 };
	const void *m = f->msg;
	int err = 0;

	switch (f->header.type) {
	case BULKHEAD__MESSAGE_TYPE__MSG_OK:
		err = control_check_entry(((const Bulkhead__Ok *)m)->entry, &c);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_HELLO:
		err = control_check_hello(m, BULKHEAD__ROLE__ROLE_SERIALD, &c);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_SETUP_DEVICE:
		for (unsigned kind = 0; kind < KIND_COUNT && err == 0; kind++)
			err = control_check_setup_device(m, (Bulkhead__Role)kind_rows[kind].role, f->fd_count, &c);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_SETUP_VCPU:
		err = control_check_setup_vcpu(m, f->fd_count, &c);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_SETUP_BOOT:
		err = control_check_setup_boot(m, f->fd_count, &c);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_EVENT:
		err = control_check_event(m, &c);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_SET_LOG:
		err = control_check_set_log(m, &c);
		break;
	default:
		break;
	}
	CHECK(err == 0 || (err == -EINVAL && c.field && c.why));
}

/* Unknown fields travel on as they came, even where protobuf-c reads them only once (field number 0): -EBADMSG is fine. */
static void check_round_trip(const struct frame *f)
{
	int err = frame_send(socks[0], f->header.type, f->header.id, f->msg, NULL, 0);

	if (err == -EMSGSIZE)
		return;
	CHECK(err == 0, "%s", strerror(-err));
	err = frame_recv(socks[1], again);
	CHECK(err == 0 || err == -EBADMSG, "%s", strerror(-err));
	CHECK(err != 0 || (again->header.type == f->header.type && again->header.id == f->header.id));
	frame_close_fds(again);
}

static void receive(void)
{
	int err = frame_recv(socks[1], frame);

	switch (-err) {
	case 0:
		CHECK(frame->msg && frame->fd_count == frame->header.nfds && frame->fd_count <= FRAME_FDS_MAX);
		CHECK(frame->msg->descriptor == frame_type_descriptor(frame->header.type));
		CHECK(frame_type_name(frame->header.type) != NULL && frame->arena_used <= FRAME_ARENA);
		check_message(frame);
		check_round_trip(frame);
		break;
	case EAGAIN:
	case ECONNRESET:
	case EMSGSIZE:
	case EPROTO:
	case EBADMSG:
		CHECK(frame->fd_count == 0, "frame.h: all descriptors of the packet have been closed");
		break;
	default:
		CHECK(false, "%s", strerror(-err));
	}
	frame_close_fds(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned flags = (unsigned)take(&in, 1), nfds = flags & 0x3f;
	struct frame_header h = { .magic = FRAME_MAGIC, .nfds = (uint16_t)nfds, .id = 7 };
	int before;
	uint8_t *packet;

	set_up();
	before = lowest_free_fd();
	packet = fuzz_alloc(sizeof(h) + size);
	if (flags & 0x80) {
		h.type = types[take_below(&in, sizeof(types))];
		h.len = (uint32_t)in.left;
		memcpy(packet, &h, sizeof(h));
	}
	size = flags & 0x80 ? sizeof(h) + in.left : in.left;
	memcpy(packet + size - in.left, in.data, in.left);
	send_packet(packet, size, nfds);
	receive();
	free(packet);
	CHECK(lowest_free_fd() == before, "a descriptor has leaked");
	return 0;
}
