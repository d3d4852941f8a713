/* SPDX-License-Identifier: MIT */
/* A virtio network card: see net.h. */
#include "devices/net.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "devices/vhost_queue.h"
#include "proto/log.h"

enum { WAIT_MS = 200 };
enum { NUM_BUFFERS = 10 }; /* in the header */

/* ---- one frame ---- */

static uint64_t length(const struct virtq_chain *c, unsigned from, unsigned count)
{
	uint64_t bytes = 0;

	for (unsigned i = from; i < from + count; i++)
		bytes += c->pieces[i].len;
	return bytes;
}

/* 5.1.6.2.1: the whole frame, the header in front of it. What is no frame at all is dropped, as a wire would. */
int net_send(struct net *n, const struct virtq_chain *chain)
{
	static struct iovec iov[VIRTQ_SIZE_MAX];
	uint64_t bytes = length(chain, 0, chain->readable);

	if (chain->writable)
		return -EPROTO;
	if (bytes < NET_FRAME_MIN || bytes > NET_FRAME_MAX || n->fd < 0) {
		n->dropped++;
		return 0;
	}
	for (unsigned i = 0; i < chain->readable; i++)
		iov[i] = (struct iovec){ chain->pieces[i].at, chain->pieces[i].len };
	if (writev(n->fd, iov, (int)chain->readable) >= 0) {
		n->sent++;
		n->jammed = false;
		return 0;
	}
	if (errno == EAGAIN && !n->jammed)
		return -EAGAIN;
	n->dropped++;
	return 0;
}

/* Bytes of the message from `at` on, into a chain. The two bytes that say how many chains there are, are told when that is known. */
static uint32_t fill(struct net *n, size_t at, const struct virtq_memory *m, const struct virtq_chain *c, uint8_t *num_buffers[2])
{
	uint32_t done = 0;

	for (unsigned i = 0; i < c->writable && at + done < n->pending; i++) {
		const struct virtq_piece *p = &c->pieces[i];
		size_t left = n->pending - at - done;
		uint32_t bytes = p->len < left ? p->len : (uint32_t)left;

		memcpy(p->at, n->message + at + done, bytes);
		for (unsigned k = 0; k < 2; k++)
			if (NUM_BUFFERS + k - (at + done) < bytes)
				num_buffers[k] = p->at + (NUM_BUFFERS + k - (at + done));
		m->written(m->ctx, p->addr, bytes);
		done += bytes;
	}
	return done;
}

/* 5.1.6.4: into as many buffers as it takes, all of which the driver sees at once. One that no queue of this size holds is dropped. */
int net_deliver(struct net *n, struct virtq *q)
{
	static struct virtq_chain chain;
	static uint8_t nowhere;
	uint8_t *num_buffers[2] = { &nowhere, &nowhere };
	uint16_t count = 0;

	for (size_t at = 0; at < n->pending; count++) {
		uint32_t bytes;
		int rc = count == q->size ? -EMSGSIZE : virtq_pop(q, &chain);

		if (!rc && (chain.readable || !chain.writable))
			rc = -EPROTO;
		if (rc) {
			virtq_put_back(q, count);
			n->chains = count;
			n->dropped += rc == -EMSGSIZE;
			return rc == -EMSGSIZE ? 0 : rc;
		}
		bytes = fill(n, at, q->memory, &chain, num_buffers);
		virtq_fill(q, chain.head, bytes);
		at += bytes;
		if (at < n->pending && !(n->features & NET_F_MRG_RXBUF)) {
			virtq_put_back(q, (uint16_t)(count + 1));
			n->dropped++;
			return 0;
		}
	}
	*num_buffers[0] = (uint8_t)count;
	*num_buffers[1] = (uint8_t)(count >> 8);
	virtq_publish(q);
	n->received++;
	return 0;
}

/* ---- the receive queue ---- */

static void listen_to(struct net *n, bool on)
{
	if (n->listens == on || n->fd < 0)
		return;
	n->listens = on;
	if (on)
		event_add(&n->readable, NULL);
	else
		event_del(&n->readable);
}

/* Reads the next message, if none is pending. False: there is none. */
static bool fetch(struct net *n)
{
	while (!n->pending) {
		ssize_t got = n->fd < 0 ? 0 : read(n->fd, n->message, sizeof(n->message));

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return false;
		if (got <= 0) {
			listen_to(n, false);
			if (n->fd >= 0)
				log_warning("what the network card was connected to is gone: nothing comes any more");
			n->fd = -1;
			return false;
		}
		if (net_frame_admit(n->message, (size_t)got, n->features))
			n->pending = (size_t)got;
		else
			n->dropped++;
	}
	return true;
}

/* As much as there is, a batch at most; nothing is read that the guest has no room for. As kicked(). */
static int receive(struct net *n, struct vhost_queue *q)
{
	int rc = 0;

	for (unsigned i = 0; i < VHOST_BATCH && !rc && fetch(n); i++) {
		rc = net_deliver(n, &q->ring);
		if (!rc)
			n->pending = 0;
		else if (rc == -EAGAIN && !virtq_sleep_beyond(&q->ring, n->chains))
			rc = 0; /* more buffers have come just now */
	}
	vhost_queue_call(q);
	listen_to(n, !rc);
	if (rc == -EPROTO)
		return rc;
	return !rc && n->pending;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct net *n = arg;
	struct vhost_queue *q = n->queues[NET_RECEIVE];
	int rc;

	(void)fd;
	(void)what;
	if (!q || !vhost_queue_runs(q)) {
		listen_to(n, false);
		return;
	}
	rc = receive(n, q);
	if (rc < 0)
		vhost_queue_break(q);
	else if (rc)
		event_active(&q->kick, EV_TIMEOUT, 0);
	if (n->device.served)
		n->device.served(n);
}

/* ---- the transmit queue ---- */

static void wait_for_room(struct net *n)
{
	static const struct timeval patience = { 0, WAIT_MS * 1000 };

	n->waits = true;
	event_add(&n->writable, &patience);
}

static int transmit(struct net *n, struct vhost_queue *q)
{
	static struct virtq_chain chain;
	int rc = 0;

	for (unsigned i = 0; i < VHOST_BATCH && !n->waits; i++) {
		rc = virtq_pop(&q->ring, &chain);
		if (!rc)
			rc = net_send(n, &chain);
		if (rc)
			break;
		virtq_push(&q->ring, &chain, 0);
	}
	vhost_queue_call(q);
	if (rc == -EPROTO)
		return rc;
	if (n->waits)
		return 0;
	if (rc == -EAGAIN && q->ring.last_avail != q->ring.used_idx) {
		virtq_put_back(&q->ring, 1);
		wait_for_room(n);
		return 0;
	}
	return !rc || !virtq_sleep(&q->ring);
}

static int kicked(void *ctx, struct vhost_queue *q)
{
	struct net *n = ctx;

	n->queues[q->index] = q;
	return q->index == NET_RECEIVE ? receive(n, q) : transmit(n, q);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct net *n = arg;
	struct vhost_queue *q = n->queues[NET_TRANSMIT];

	(void)fd;
	n->waits = false;
	n->jammed = what & EV_TIMEOUT;
	if (q && vhost_queue_runs(q))
		event_active(&q->kick, EV_TIMEOUT, 0);
}

/* ---- what it is ---- */

/* The kernel cuts, or checks, what the driver does not. */
static void accepted(void *ctx, uint64_t features)
{
	struct net *n = ctx;
	unsigned offloads = 0;

	n->features = features;
	n->pending = 0; /* it was made for another driver */
	if (!n->is_tap || n->fd < 0)
		return;
	if (features & NET_F_GUEST_CSUM)
		offloads = TUN_F_CSUM | (features & NET_F_GUEST_TSO4 ? TUN_F_TSO4 : 0) |
			   (features & NET_F_GUEST_TSO6 ? TUN_F_TSO6 : 0);
	if (ioctl(n->fd, TUNSETOFFLOAD, offloads) < 0)
		log_warning("the interface takes no offloads: %s", strerror(errno));
}

/* 5.1.4: the address, what is not offered, the largest packet. */
static void get_config(void *ctx, uint8_t *out)
{
	const struct net *n = ctx;

	memset(out, 0, NET_CONFIG_BYTES);
	memcpy(out, n->mac, NET_MAC);
	out[8] = 1;
	out[10] = (uint8_t)n->mtu;
	out[11] = (uint8_t)(n->mtu >> 8);
}

static uint64_t features_of(const struct net *n)
{
	uint64_t common = NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_MAC | NET_F_MRG_RXBUF;

	if (n->is_tap)
		return common | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_HOST_TSO4 | NET_F_HOST_TSO6;
	return common | NET_F_MTU;
}

void net_init(struct net *n, int fd, bool is_tap, const uint8_t mac[NET_MAC], uint16_t mtu, void (*served)(void *ctx),
	      void (*lost)(void *ctx, const char *why))
{
	memset(n, 0, sizeof(*n));
	n->fd = fd;
	n->is_tap = is_tap;
	n->mtu = mtu;
	memcpy(n->mac, mac, NET_MAC);
	n->device = (struct vhost_device){
		.features = features_of(n),
		.queues = NET_QUEUES,
		.config_bytes = NET_CONFIG_BYTES,
		.get_config = get_config,
		.accepted = accepted,
		.kicked = kicked,
		.served = served,
		.lost = lost,
		.ctx = n,
	};
}

int net_watch(struct net *n, struct event_base *base)
{
	n->base = base;
	if (event_assign(&n->readable, base, n->fd, EV_READ | EV_PERSIST, on_readable, n) < 0 ||
	    event_assign(&n->writable, base, n->fd, EV_WRITE, on_writable, n) < 0)
		return -EIO;
	return 0;
}
