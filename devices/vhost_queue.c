/* SPDX-License-Identifier: MIT */
/* A queue of a vhost-user back-end: see vhost_queue.h. */
#include "devices/vhost_queue.h"

#include <errno.h>
#include <unistd.h>

#include "devices/vhost_inflight.h"
#include "devices/vhost_memory.h"

void vhost_queue_init(struct vhost_queue *q, struct vhost_back *back, unsigned index)
{
	*q = (struct vhost_queue){ .back = back, .index = index, .kick_fd = -1, .call_fd = -1, .err_fd = -1 };
}

static void signal_end(int fd)
{
	static const uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return; /* full: whoever reads it will look anyway */
}

/* The driver has done what no driver does: nobody touches its memory until it resets the device. */
void vhost_queue_break(struct vhost_queue *q)
{
	q->back->broken++;
	q->ring.broken = true;
	signal_end(q->err_fd);
}

bool vhost_queue_runs(const struct vhost_queue *q)
{
	return q->started && !q->ring.broken;
}

void vhost_queue_wake(struct vhost_queue *q)
{
	if (vhost_queue_runs(q))
		event_active(&q->kick, EV_TIMEOUT, 0);
}

void vhost_queue_call(struct vhost_queue *q)
{
	if (virtq_wants_call(&q->ring))
		signal_end(q->call_fd);
}

/* One after the other, each told to the guest before the next is begun. 0: none is left; -EPROTO; 1: there are more. */
static int serve_batch(struct vhost_queue *q)
{
	static struct virtq_chain chain;
	const struct vhost_device *d = q->back->device;
	int rc = 0;

	for (unsigned n = 0; n < VHOST_BATCH; n++) {
		int64_t written;

		rc = virtq_pop(&q->ring, &chain);
		if (rc)
			break;
		written = d->serve(d->ctx, q, &chain);
		if (written < 0)
			return -EPROTO;
		virtq_push(&q->ring, &chain, (uint32_t)written);
		vhost_queue_call(q);
	}
	if (rc == -EPROTO)
		return rc;
	return !rc || !virtq_sleep(&q->ring);
}

/* More than a batch goes on after others have been looked at. */
static void serve(struct vhost_queue *q)
{
	const struct vhost_device *d = q->back->device;
	int rc;

	if (!vhost_queue_runs(q))
		return;
	rc = d->kicked ? d->kicked(d->ctx, q) : serve_batch(q);
	if (rc < 0)
		vhost_queue_break(q);
	else if (rc)
		event_active(&q->kick, EV_TIMEOUT, 0);
	if (d->served)
		d->served(d->ctx);
}

/* An eventfd, or a pipe with eight bytes for each kick. */
static void on_kick(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_queue *q = arg;
	uint8_t buf[512];

	if (what & EV_READ && read(fd, buf, sizeof(buf)) == 0)
		event_del(&q->kick); /* nobody can kick any more */
	serve(q);
}

static bool is_complete(const struct vhost_queue *q)
{
	return q->size && q->has_addr && q->kick_fd >= 0 && (q->enabled || !(q->back->features & VU_F_PROTOCOL_FEATURES));
}

static int start_ring(struct vhost_queue *q)
{
	struct vhost_back *b = q->back;

	q->ring.event_idx = b->features & VU_F_EVENT_IDX;
	q->ring.indirect = b->features & VU_F_INDIRECT;
	q->ring.inflight = vhost_inflight_of(b, q->index, q->size);
	return virtq_start(&q->ring, &b->memory, q->size, vhost_guest_address(b, q->desc), vhost_guest_address(b, q->avail),
			   vhost_guest_address(b, q->used));
}

/* Whoever served it before may have died between a used buffer and its call, or a kick and its buffer. */
void vhost_queue_start(struct vhost_queue *q)
{
	if (q->started || !is_complete(q) ||
	    event_assign(&q->kick, q->back->base, q->kick_fd, EV_READ | EV_PERSIST, on_kick, q) < 0)
		return;
	event_add(&q->kick, NULL);
	q->started = true;
	if (start_ring(q)) {
		vhost_queue_break(q);
		return;
	}
	signal_end(q->call_fd);
	event_active(&q->kick, EV_TIMEOUT, 0);
}

void vhost_queue_stop(struct vhost_queue *q)
{
	const struct vhost_device *d = q->back->device;

	if (q->started)
		event_del(&q->kick);
	q->started = false;
	if (d->halted)
		d->halted(d->ctx, q);
}

static void replace(int *at, int fd)
{
	if (*at >= 0)
		close(*at);
	*at = fd;
}

void vhost_queue_close(struct vhost_queue *q)
{
	replace(&q->kick_fd, -1);
	replace(&q->call_fd, -1);
	replace(&q->err_fd, -1);
}

int vhost_queue_set_kick(struct vhost_queue *q, int fd)
{
	vhost_queue_stop(q);
	replace(&q->kick_fd, fd);
	vhost_queue_start(q);
	return 0;
}

/* What was used before it came, nobody was called for. */
void vhost_queue_set_call(struct vhost_queue *q, int fd)
{
	replace(&q->call_fd, fd);
	if (q->started)
		signal_end(fd);
}

void vhost_queue_set_err(struct vhost_queue *q, int fd)
{
	replace(&q->err_fd, fd);
}
