/* SPDX-License-Identifier: MIT */
/* The front-end's side of a vhost-user connection: see vhost_front.h. */
#include "devices/vhost_front.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What we can do with; of these MQ brings the number of queues. */
#define PROTOCOL_WANTED (VU_PROTOCOL_MQ | VU_PROTOCOL_CONFIG)

void vhost_front_init(struct vhost_front *f)
{
	memset(f, 0, sizeof(*f));
	f->fd = -1;
}

void vhost_front_detach(struct vhost_front *f)
{
	if (f->fd >= 0)
		close(f->fd);
	vhost_front_init(f);
}

/* A back-end that does not read has a full socket buffer, and that is its end: a few hundred bytes are under way at most. */
static int send_frame(struct vhost_front *f, enum vu_request request, const void *body, uint32_t size, int fd)
{
	struct vu_header header = { .request = request, .flags = VU_VERSION, .size = size };
	struct iovec iov[2] = { { &header, sizeof(header) }, { (void *)(uintptr_t)body, size } };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = size ? 2 : 1 };

	if (fd >= 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = sizeof(control.bytes);
		CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(int));
	}
	return sendmsg(f->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)(sizeof(header) + size) ? 0 : -ECONNRESET;
}

static int send_word(struct vhost_front *f, enum vu_request request, uint64_t word, int fd)
{
	return send_frame(f, request, &word, sizeof(word), fd);
}

static int send_state(struct vhost_front *f, enum vu_request request, uint32_t index, uint32_t num)
{
	const struct vu_vring_state state = { index, num };

	return send_frame(f, request, &state, sizeof(state), -1);
}

static int ask(struct vhost_front *f, enum vu_request request)
{
	f->awaited = request;
	return send_frame(f, request, NULL, 0, -1);
}

int vhost_front_attach(struct vhost_front *f, int fd, unsigned config_bytes)
{
	vhost_front_detach(f);
	f->fd = fd;
	f->step = VHOST_ASKING;
	f->config_bytes = config_bytes;
	return ask(f, VU_GET_FEATURES);
}

static int ask_config(struct vhost_front *f)
{
	struct vu_config c = { .size = f->config_bytes };

	f->awaited = VU_GET_CONFIG;
	return send_frame(f, VU_GET_CONFIG, &c, VU_CONFIG_HEADER + f->config_bytes, -1);
}

/* A device without a configuration is described by its features. */
static int finish_description(struct vhost_front *f)
{
	if (f->config_bytes)
		return ask_config(f);
	f->description.features = f->features;
	f->step = VHOST_READY;
	return 1;
}

static int on_features(struct vhost_front *f, uint64_t features, const char **why)
{
	f->features = features;
	*why = "it speaks vhost-user without protocol features: it is too old";
	if (!(features & VU_F_PROTOCOL_FEATURES))
		return -EPROTO;
	*why = "it has no device of virtio 1.0 or later";
	if (!(features & VU_F_VERSION_1))
		return -EPROTO;
	return ask(f, VU_GET_PROTOCOL_FEATURES);
}

static int on_protocol(struct vhost_front *f, uint64_t features, const char **why)
{
	int err;

	f->protocol = features & PROTOCOL_WANTED;
	*why = "it does not tell the device's configuration (protocol feature CONFIG)";
	if (f->config_bytes && !(features & VU_PROTOCOL_CONFIG))
		return -EPROTO;
	err = send_word(f, VU_SET_PROTOCOL_FEATURES, f->protocol, -1);
	if (!err)
		err = send_frame(f, VU_SET_OWNER, NULL, 0, -1);
	f->description.queues = 1;
	if (!err && f->protocol & VU_PROTOCOL_MQ)
		return ask(f, VU_GET_QUEUE_NUM);
	return err ? err : finish_description(f);
}

static int on_queues(struct vhost_front *f, uint64_t queues, const char **why)
{
	*why = "it has no queue";
	if (!queues)
		return -EPROTO;
	f->description.queues = queues < VIRTIO_QUEUES ? (unsigned)queues : VIRTIO_QUEUES;
	return finish_description(f);
}

static int on_config(struct vhost_front *f, const struct vu_config *c, const char **why)
{
	*why = "it answers with another configuration than it was asked for";
	if (f->in.header.size != VU_CONFIG_HEADER + f->config_bytes || c->size != f->config_bytes || c->offset)
		return -EPROTO;
	memcpy(f->description.config, c->region, f->config_bytes);
	f->description.features = f->features;
	f->step = VHOST_READY;
	return 1;
}

static int on_base(struct vhost_front *f)
{
	if (--f->stopping) {
		f->awaited = VU_GET_VRING_BASE;
		return 0;
	}
	f->step = VHOST_READY;
	return 2;
}

static uint32_t reply_bytes(const struct vhost_front *f)
{
	return f->awaited == VU_GET_CONFIG ? VU_CONFIG_HEADER + f->config_bytes : sizeof(uint64_t);
}

/* The one reply that is awaited, whole. */
static int take_reply(struct vhost_front *f, const char **why)
{
	uint32_t request = f->awaited;

	f->awaited = 0;
	f->got = 0;
	switch (request) {
	case VU_GET_FEATURES:
		return on_features(f, f->in.body.word, why);
	case VU_GET_PROTOCOL_FEATURES:
		return on_protocol(f, f->in.body.word, why);
	case VU_GET_QUEUE_NUM:
		return on_queues(f, f->in.body.word, why);
	case VU_GET_CONFIG:
		return on_config(f, &f->in.body.config, why);
	default:
		return on_base(f);
	}
}

static int check_header(const struct vhost_front *f, const char **why)
{
	const struct vu_header *h = &f->in.header;

	*why = "it says what nobody has asked for";
	if (!f->awaited || h->request != f->awaited || !(h->flags & VU_REPLY) || (h->flags & VU_VERSION_MASK) != VU_VERSION)
		return -EPROTO;
	*why = "it refuses to tell the device's configuration";
	return h->size == reply_bytes(f) ? 0 : -EPROTO;
}

int vhost_front_read(struct vhost_front *f, const char **why)
{
	size_t want = f->got < sizeof(f->in.header) ? sizeof(f->in.header) : sizeof(f->in.header) + reply_bytes(f);
	struct iovec iov = { vu_at(&f->in, f->got), want - f->got };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n = recvmsg(f->fd, &m, MSG_DONTWAIT);
	int err;

	*why = "it hung up";
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return -ECONNRESET;
	f->got += (size_t)n;
	if (f->got < want)
		return 0;
	if (f->got > sizeof(f->in.header))
		return take_reply(f, why);
	err = check_header(f, why);
	return err ? err : vhost_front_read(f, why);
}

static int call_of(const struct virtio_queue *q, const struct vhost_ends *ends, bool msix)
{
	if (!msix)
		return ends->call[0];
	return q->vector < VIRTIO_VECTORS ? ends->call[q->vector] : -1;
}

static int start_queue(struct vhost_front *f, uint32_t n, const struct virtio_queue *q, const struct vhost_ends *ends,
		       int call)
{
	const struct vu_vring_addr addr = { .index = n, .desc = q->desc, .avail = q->driver, .used = q->device };
	int err = send_state(f, VU_SET_VRING_NUM, n, q->size);

	if (!err)
		err = send_state(f, VU_SET_VRING_BASE, n, 0);
	if (!err)
		err = send_frame(f, VU_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	if (!err)
		err = send_word(f, VU_SET_VRING_CALL, n | (call < 0 ? VU_VRING_NO_FD : 0), call);
	if (!err)
		err = send_word(f, VU_SET_VRING_ERR, n, ends->error);
	if (!err)
		err = send_word(f, VU_SET_VRING_KICK, n, ends->kick[n]);
	return err ? err : send_state(f, VU_SET_VRING_ENABLE, n, 1);
}

int vhost_front_start(struct vhost_front *f, const struct virtio_pci *v, const struct vhost_ends *ends, bool msix)
{
	int err = send_word(f, VU_SET_FEATURES, v->accepted | (f->features & VU_F_PROTOCOL_FEATURES), -1);

	for (uint32_t n = 0; n < v->queue_count && !err; n++)
		if (v->queues[n].enabled)
			err = start_queue(f, n, &v->queues[n], ends, call_of(&v->queues[n], ends, msix));
	f->step = VHOST_RUNS;
	return err;
}

int vhost_front_stop(struct vhost_front *f, const struct virtio_pci *v)
{
	int err = 0;

	f->step = VHOST_STOPPING;
	f->stopping = 0;
	for (uint32_t n = 0; n < v->queue_count && !err; n++) {
		if (!v->queues[n].enabled)
			continue;
		f->stopping++;
		f->awaited = VU_GET_VRING_BASE;
		err = send_state(f, VU_GET_VRING_BASE, n, 0);
	}
	if (!f->stopping)
		f->step = VHOST_READY;
	return err;
}
