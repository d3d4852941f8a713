/* SPDX-License-Identifier: MIT */
/* The back-end's side of vhost-user: the connection, messages and memory. vhost_queue.c has the queues. */
#include "devices/vhost_back.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/vhost_inflight.h"
#include "devices/vhost_memory.h"
#include "devices/vhost_queue.h"

#define RING_FEATURES (VU_F_INDIRECT | VU_F_EVENT_IDX | VU_F_PROTOCOL_FEATURES | VU_F_VERSION_1)
#define PROTOCOL_FEATURES (VU_PROTOCOL_MQ | VU_PROTOCOL_CONFIG | VU_PROTOCOL_REPLY_ACK)

/* ---- messages ---- */

static int set_memory(struct vhost_back *b)
{
	int err;

	for (unsigned n = 0; n < VHOST_QUEUES; n++)
		vhost_queue_stop(&b->queues[n]);
	err = b->fixed_memory ? -EPROTO : vhost_take_memory(b);
	for (unsigned n = 0; n < VHOST_QUEUES && !err; n++)
		vhost_queue_start(&b->queues[n]);
	return err;
}

/* The reply in b->in, as bytes. */
static size_t put_reply(struct vhost_back *b, uint32_t size, uint8_t frame[VU_FRAME_MAX])
{
	struct vu_message *m = &b->in;

	m->header.flags = VU_VERSION | VU_REPLY;
	m->header.size = size;
	memcpy(frame, &m->header, sizeof(m->header));
	memcpy(frame + sizeof(m->header), m->body.bytes, size);
	return sizeof(m->header) + size;
}

static int reply(struct vhost_back *b, uint32_t size)
{
	uint8_t frame[VU_FRAME_MAX];
	const size_t bytes = put_reply(b, size, frame);

	return send(b->fd, frame, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)bytes ? 1 : -ECONNRESET;
}

static int reply_with(struct vhost_back *b, uint32_t size, int fd)
{
	uint8_t frame[VU_FRAME_MAX];
	struct iovec iov = { frame, put_reply(b, size, frame) };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control) };

	*CMSG_FIRSTHDR(&m) = (struct cmsghdr){ CMSG_LEN(sizeof(fd)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(fd));
	return sendmsg(b->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)iov.iov_len ? 1 : -ECONNRESET;
}

static int reply_word(struct vhost_back *b, uint64_t word)
{
	b->in.body.word = word;
	return reply(b, sizeof(word));
}

static int take_fd(struct vhost_back *b)
{
	int fd = b->fd_count ? b->fds[0] : -1;

	if (b->fd_count)
		b->fds[0] = -1;
	return fd;
}

static struct vhost_queue *queue_of(struct vhost_back *b, uint64_t index)
{
	return index < b->device->queues && index < VHOST_QUEUES ? &b->queues[index] : NULL;
}

static int get_config(struct vhost_back *b)
{
	struct vu_config *c = &b->in.body.config;
	uint8_t all[VU_CONFIG_MAX] = { 0 };

	if (b->in.header.size < VU_CONFIG_HEADER || c->size > VU_CONFIG_MAX || c->offset > VU_CONFIG_MAX - c->size ||
	    b->in.header.size != VU_CONFIG_HEADER + c->size)
		return -EPROTO;
	b->device->get_config(b->device->ctx, all);
	memcpy(c->region, all + c->offset, c->size);
	return reply(b, VU_CONFIG_HEADER + c->size);
}

static int set_features(struct vhost_back *b)
{
	if (b->in.body.word & ~(b->device->features | RING_FEATURES))
		return -EPROTO;
	b->features = b->in.body.word;
	b->device->accepted(b->device->ctx, b->features);
	return 0;
}

/* Without protocol features a queue is enabled from the start. */
static int set_end(struct vhost_back *b)
{
	uint64_t word = b->in.body.word;
	struct vhost_queue *q = queue_of(b, word & VU_VRING_INDEX);
	bool has = !(word & VU_VRING_NO_FD);

	if (!q || has != (b->fd_count == 1))
		return -EPROTO;
	if (b->in.header.request == VU_SET_VRING_CALL)
		vhost_queue_set_call(q, take_fd(b));
	else if (b->in.header.request == VU_SET_VRING_ERR)
		vhost_queue_set_err(q, take_fd(b));
	else if (!has)
		return -EPROTO; /* a back-end that polls */
	else
		return vhost_queue_set_kick(q, take_fd(b));
	return 0;
}

/* Both change what the queues know of their past. The specification has 20 bytes, QEMU sends a struct, which is padded, and wants it back. */
static int inflight_message(struct vhost_back *b)
{
	const uint32_t bytes = b->in.header.size;
	int rc;

	if (bytes != sizeof(b->in.body.inflight) && bytes != VU_INFLIGHT_PADDED)
		return -EPROTO;
	for (unsigned n = 0; n < VHOST_QUEUES; n++)
		vhost_queue_stop(&b->queues[n]);
	if (b->in.header.request == VU_SET_INFLIGHT_FD)
		rc = b->fd_count == 1 ? vhost_inflight_take(b, b->fds[0]) : -EPROTO;
	else
		rc = vhost_inflight_offer(b);
	if (rc == 1)
		return reply_with(b, bytes, b->inflight.spare_fd);
	for (unsigned n = 0; n < VHOST_QUEUES && !rc; n++)
		vhost_queue_start(&b->queues[n]);
	return rc;
}

static int set_addresses(struct vhost_back *b)
{
	const struct vu_vring_addr *a = &b->in.body.addr;
	struct vhost_queue *q = queue_of(b, a->index);

	if (!q)
		return -EPROTO;
	vhost_queue_stop(q);
	q->desc = a->desc;
	q->avail = a->avail;
	q->used = a->used;
	q->has_addr = true;
	vhost_queue_start(q);
	return 0;
}

static int queue_message(struct vhost_back *b)
{
	const struct vu_vring_state s = b->in.body.state;
	struct vhost_queue *q = queue_of(b, s.index);

	if (!q)
		return -EPROTO;
	switch (b->in.header.request) {
	case VU_SET_VRING_NUM:
		if (s.num > VIRTQ_SIZE_MAX || q->started)
			return -EPROTO;
		q->size = (uint16_t)s.num;
		return 0;
	case VU_SET_VRING_BASE:
		return 0; /* the used ring says where to go on (virtq_start()) */
	case VU_GET_VRING_BASE:
		vhost_queue_stop(q);
		vhost_queue_close(q);
		b->in.body.state.num = q->ring.last_avail;
		return reply(b, sizeof(s));
	default:
		q->enabled = s.num != 0;
		if (q->enabled)
			vhost_queue_start(q);
		else
			vhost_queue_stop(q);
		return 0;
	}
}

/* Payload bytes; those of variable size check themselves. */
static const struct {
	uint8_t request;
	int16_t bytes; /* -1: any */
	int (*handle)(struct vhost_back *b);
} rows[] = {
	{ VU_SET_FEATURES, 8, set_features },	 { VU_SET_MEM_TABLE, -1, set_memory },
	{ VU_SET_VRING_NUM, 8, queue_message },	 { VU_SET_VRING_BASE, 8, queue_message },
	{ VU_GET_VRING_BASE, 8, queue_message }, { VU_SET_VRING_ENABLE, 8, queue_message },
	{ VU_SET_VRING_ADDR, 40, set_addresses }, { VU_SET_VRING_KICK, 8, set_end },
	{ VU_SET_VRING_CALL, 8, set_end },	 { VU_SET_VRING_ERR, 8, set_end },
	{ VU_GET_CONFIG, -1, get_config },	 { VU_GET_INFLIGHT_FD, -1, inflight_message },
	{ VU_SET_INFLIGHT_FD, -1, inflight_message },
};

static uint64_t protocol_features(const struct vhost_back *b)
{
	return PROTOCOL_FEATURES | (b->device->reorders ? VU_PROTOCOL_INFLIGHT : 0);
}

static int handle(struct vhost_back *b)
{
	switch (b->in.header.request) {
	case VU_GET_FEATURES:
		return reply_word(b, b->device->features | RING_FEATURES);
	case VU_GET_PROTOCOL_FEATURES:
		return reply_word(b, protocol_features(b));
	case VU_GET_QUEUE_NUM:
		return reply_word(b, b->device->queues);
	case VU_SET_PROTOCOL_FEATURES:
		b->protocol = b->in.body.word & protocol_features(b);
		return 0;
	case VU_SET_OWNER:
	case VU_RESET_OWNER:
	case VU_SET_CONFIG: /* nothing of it can be written */
		return 0;
	default:
		break;
	}
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].request == b->in.header.request)
			return rows[i].bytes < 0 || b->in.header.size == (uint32_t)rows[i].bytes ? rows[i].handle(b) : -EPROTO;
	return -EPROTO;
}

static void close_fds(struct vhost_back *b)
{
	for (unsigned i = 0; i < b->fd_count; i++)
		if (b->fds[i] >= 0)
			close(b->fds[i]);
	b->fd_count = 0;
}

/* One message, whole. */
static int take_message(struct vhost_back *b)
{
	bool wants_reply = b->in.header.flags & VU_NEED_REPLY && b->protocol & VU_PROTOCOL_REPLY_ACK;
	int rc = handle(b);

	b->got = 0;
	close_fds(b);
	if (rc == 0 && wants_reply)
		rc = reply_word(b, 0);
	return rc < 0 ? rc : 0;
}

static void take_fds(struct vhost_back *b, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; i < n && c->cmsg_type == SCM_RIGHTS; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (b->fd_count < VU_REGIONS)
				b->fds[b->fd_count++] = fd;
			else
				close(fd);
		}
	}
}

static int read_some(struct vhost_back *b, size_t want)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(VU_REGIONS * sizeof(int))];
	} control;
	struct iovec iov = { vu_at(&b->in, b->got), want - b->got };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(b->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (n <= 0)
		return -ECONNRESET;
	take_fds(b, &m);
	b->got += (size_t)n;
	return 0;
}

static int read_message(struct vhost_back *b)
{
	const size_t header = sizeof(b->in.header);
	int err = 0;

	if (b->got < header)
		err = read_some(b, header);
	if (err || b->got < header)
		return err;
	if (b->in.header.size > sizeof(b->in.body) || (b->in.header.flags & VU_VERSION_MASK) != VU_VERSION)
		return -EPROTO;
	if (b->got < header + b->in.header.size)
		err = read_some(b, header + b->in.header.size);
	if (err || b->got < header + b->in.header.size)
		return err;
	return take_message(b);
}

static void on_message(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_back *b = arg;
	int err = read_message(b);

	(void)fd;
	(void)what;
	if (!err || err == -EAGAIN)
		return;
	vhost_back_detach(b);
	if (b->device->lost)
		b->device->lost(b->device->ctx, err == -ECONNRESET ? "the front-end hung up" : "the front-end speaks nonsense");
}

/* ---- the connection ---- */

void vhost_back_init(struct vhost_back *b, const struct vhost_device *device, struct event_base *base,
		     const struct virtq_memory *memory)
{
	memset(b, 0, sizeof(*b));
	b->device = device;
	b->base = base;
	b->fixed_memory = memory != NULL;
	b->memory = memory ? *memory : vhost_memory(b);
	b->fd = b->inflight.spare_fd = -1;
	for (unsigned n = 0; n < VHOST_QUEUES; n++)
		vhost_queue_init(&b->queues[n], b, n);
}

int vhost_back_attach(struct vhost_back *b, int fd)
{
	vhost_back_detach(b);
	b->fd = fd;
	if (event_assign(&b->on_message, b->base, fd, EV_READ | EV_PERSIST, on_message, b) < 0 ||
	    event_add(&b->on_message, NULL) < 0)
		return -EIO;
	return 0;
}

void vhost_back_detach(struct vhost_back *b)
{
	for (unsigned n = 0; n < VHOST_QUEUES; n++) {
		vhost_queue_stop(&b->queues[n]);
		vhost_queue_close(&b->queues[n]);
		vhost_queue_init(&b->queues[n], b, n);
	}
	vhost_forget_memory(b);
	vhost_inflight_forget(b);
	close_fds(b);
	b->got = 0;
	b->features = b->protocol = 0;
	if (b->fd < 0)
		return;
	event_del(&b->on_message);
	close(b->fd);
	b->fd = -1;
}
