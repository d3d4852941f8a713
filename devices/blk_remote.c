/* SPDX-License-Identifier: MIT */
/* A disk whose image another program has: see blk_remote.h. */
#include "devices/blk_remote.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/offer.h"
#include "devices/vhost_queue.h"
#include "proto/log.h"

enum { STATUS_NOT_WRITTEN = 0xff };

struct header {
	uint32_t type, reserved;
	uint64_t sector;
};

/* ---- the connection ---- */

static void ask(struct blk_remote *r)
{
	const struct disk_ask m = { .number = r->number + 1 };

	if (r->asked)
		return;
	r->asked = send(r->exporter_fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(m);
	r->number += r->asked;
}

static bool is_linked(const struct blk_remote *r)
{
	return r->fds[DISK_FD_LINK] >= 0;
}

static void hang_up(struct blk_remote *r)
{
	if (is_linked(r)) {
		event_del(&r->on_link);
		event_del(&r->on_call);
	}
	offer_close(r->fds);
	if (r->memory)
		munmap(r->memory, DISK_OFFER_BYTES);
	r->memory = NULL;
	r->moving = 0;
	r->flushing = false;
}

/* What it had to do is asked for again, of the next one. */
static void lose(struct blk_remote *r, const char *why)
{
	log_info("the program that serves the image is gone: %s", why);
	hang_up(r);
	r->losses++;
	ask(r);
}

/* It has nothing to say to us. */
static void on_link(evutil_socket_t fd, short what, void *arg)
{
	uint8_t byte;
	ssize_t n = read(fd, &byte, 1);

	(void)what;
	if (n < 0 && errno == EAGAIN)
		return;
	lose(arg, n > 0 ? "it says what nobody has asked for" : "it hung up");
}

/* ---- its queue ---- */

static uint16_t *word(const struct blk_remote *r, uint32_t at)
{
	return (uint16_t *)(void *)(r->memory + at);
}

static void put_desc(struct blk_remote *r, unsigned n, uint32_t at, uint32_t len, unsigned flags)
{
	const struct virtq_desc d = { DISK_OFFER_BASE + at, len, (uint16_t)flags, (uint16_t)(n + 1) };

	memcpy(r->memory + DISK_OFFER_DESC + n * sizeof(d), &d, sizeof(d));
}

/* One request, in descriptors from 0 on: whatever the program has made of them, they are written anew each time. */
static void tell(struct blk_remote *r, uint32_t type, uint64_t sector, uint32_t bytes)
{
	const struct header h = { .type = type, .sector = sector };
	static const uint64_t one = 1;
	unsigned n = 0;

	memcpy(r->memory + DISK_OFFER_HEADER, &h, sizeof(h));
	r->memory[DISK_OFFER_STATUS] = STATUS_NOT_WRITTEN;
	put_desc(r, n++, DISK_OFFER_HEADER, sizeof(h), VIRTQ_DESC_NEXT);
	if (bytes)
		put_desc(r, n++, DISK_OFFER_DATA, bytes, VIRTQ_DESC_NEXT | (type == BLK_IN ? VIRTQ_DESC_WRITE : 0));
	put_desc(r, n, DISK_OFFER_STATUS, 1, VIRTQ_DESC_WRITE);
	*word(r, DISK_OFFER_AVAIL + 4 + 2 * (r->told % DISK_OFFER_QUEUE)) = 0;
	__atomic_store_n(word(r, DISK_OFFER_AVAIL + 2), ++r->told, __ATOMIC_RELEASE);
	if (write(r->fds[DISK_FD_KICK], &one, sizeof(one)) < 0)
		return; /* it is being kicked */
}

/* ---- requests ---- */

/* Between the job's pieces, from `done` on, and the shared memory. */
static void copy(struct blk_remote *r, bool to_guest)
{
	uint64_t skip = r->done;
	uint32_t at = 0;

	for (unsigned i = 0; i < r->job.count && at < r->moving; i++) {
		const struct virtq_piece *p = &r->job.pieces[i];
		uint32_t n = skip < p->len ? p->len - (uint32_t)skip : 0;

		n = n < r->moving - at ? n : r->moving - at;
		if (n && to_guest)
			memcpy(p->at + skip, r->memory + DISK_OFFER_DATA + at, n);
		else if (n)
			memcpy(r->memory + DISK_OFFER_DATA + at, p->at + skip, n);
		at += n;
		skip = skip < p->len ? 0 : skip - p->len;
	}
}

static void finish(struct blk_remote *r, int status)
{
	struct vhost_queue *q = r->queue;
	int64_t written = blk_finish(&r->back->memory, &r->job, status);

	r->queue = NULL;
	virtq_push(&q->ring, &r->chain, (uint32_t)written);
	vhost_queue_call(q);
}

static void move_data(struct blk_remote *r)
{
	uint64_t left = r->job.bytes - r->done;

	r->moving = left < DISK_OFFER_DATA_BYTES ? (uint32_t)left : DISK_OFFER_DATA_BYTES;
	if (r->job.type == BLK_OUT)
		copy(r, false);
	tell(r, r->job.type, r->job.sector + r->done / BLK_SECTOR, r->moving);
}

static void move_segment(struct blk_remote *r)
{
	const struct blk_segment *s = &r->job.segments[r->segment];
	bool discard = r->job.type == BLK_DISCARD;
	uint32_t most = discard ? r->offer.discard_sectors : r->offer.zeroes_sectors;
	struct blk_segment part = { s->sector + r->done, s->sectors - (uint32_t)r->done, r->offer.may_unmap ? s->flags : 0 };

	if (most && part.sectors > most)
		part.sectors = most;
	r->moving = part.sectors;
	memcpy(r->memory + DISK_OFFER_DATA, &part, sizeof(part));
	tell(r, r->job.type, 0, sizeof(part));
}

/* What is written through is on the disk before it is answered (5.2.6.2); a program without FLUSH does so by itself. */
static void flush(struct blk_remote *r)
{
	if (!(r->offer.features & BLK_F_FLUSH)) {
		finish(r, BLK_OK);
		return;
	}
	r->flushing = true;
	r->moving = 1;
	tell(r, BLK_FLUSH, 0, 0);
}

static bool is_data(const struct blk_remote *r)
{
	return r->job.type == BLK_IN || r->job.type == BLK_OUT;
}

static bool is_moved(const struct blk_remote *r)
{
	return is_data(r) ? r->done == r->job.bytes : r->job.type == BLK_FLUSH || r->segment == r->job.segment_count;
}

/* The next piece of the request, or its end. */
static void go_on(struct blk_remote *r)
{
	bool through = r->job.type == BLK_FLUSH || r->job.through;

	if (!is_linked(r))
		ask(r);
	else if (!is_moved(r) && is_data(r))
		move_data(r);
	else if (!is_moved(r))
		move_segment(r);
	else if (through && !r->flushing)
		flush(r);
	else
		finish(r, BLK_OK);
}

/* A segment of nothing is done. */
static int begin(struct blk_remote *r)
{
	int status = blk_begin(r->disk, &r->job);

	r->done = r->segment = r->moving = 0;
	r->flushing = false;
	while (r->segment < r->job.segment_count && !r->job.segments[r->segment].sectors)
		r->segment++;
	return status;
}

int blk_remote_kicked(struct blk_remote *r, struct vhost_queue *q)
{
	for (unsigned n = 0; n < VHOST_BATCH && !r->queue; n++) {
		int rc = virtq_pop(&q->ring, &r->chain), status;

		if (rc == -EAGAIN)
			return !virtq_sleep(&q->ring);
		if (rc || blk_parse(&r->chain, &r->job))
			return -EPROTO;
		status = begin(r);
		r->queue = q;
		if (!status && blk_needs_image(&r->job))
			go_on(r);
		else
			finish(r, status);
	}
	return !r->queue; /* one that waits for another is looked at when that is done */
}

/* What it wrote for this queue's guest may still come to the image, but to nobody's memory; it is over before what is asked next. */
void blk_remote_halted(struct blk_remote *r, struct vhost_queue *q)
{
	if (r->queue != q)
		return;
	r->queue = NULL;
	if (r->moving)
		hang_up(r);
}

/* ---- its answers ---- */

static void take_progress(struct blk_remote *r)
{
	uint32_t moved = r->moving;

	if (r->job.type == BLK_IN)
		copy(r, true);
	r->moving = 0;
	if (r->flushing)
		return;
	r->done += moved;
	while (!is_data(r) && r->segment < r->job.segment_count && r->done >= r->job.segments[r->segment].sectors) {
		r->segment++;
		r->done = 0;
	}
}

static const char *name_of(const struct blk_remote *r)
{
	if (r->flushing)
		return "flush";
	return r->job.type == BLK_IN	    ? "read"
	       : r->job.type == BLK_OUT	    ? "write"
	       : r->job.type == BLK_DISCARD ? "discard"
					    : "write zeroes";
}

static void wake_others(struct blk_remote *r)
{
	for (unsigned n = 0; n < VHOST_QUEUES; n++)
		vhost_queue_wake(&r->back->queues[n]);
	if (r->back->device->served)
		r->back->device->served(r->back->device->ctx);
}

static void take_status(struct blk_remote *r, uint8_t status)
{
	if (!status)
		take_progress(r);
	else
		r->moving = 0;
	if (!status)
		go_on(r);
	else if (status == BLK_UNSUPP && r->job.type == BLK_DISCARD)
		finish(r, BLK_OK); /* a wish */
	else
		finish(r, blk_fail(r->disk, name_of(r), EIO));
	if (!r->queue)
		wake_others(r);
}

/* What it wrote is read once. */
static void on_call(evutil_socket_t fd, short what, void *arg)
{
	struct blk_remote *r = arg;
	uint64_t calls;
	uint16_t used;
	uint8_t status;

	(void)what;
	if (read(fd, &calls, sizeof(calls)) < 0 || !r->moving)
		return;
	used = __atomic_load_n(word(r, DISK_OFFER_USED + 2), __ATOMIC_ACQUIRE);
	if ((uint16_t)(used + 1) == r->told)
		return; /* not done yet */
	status = __atomic_load_n(&r->memory[DISK_OFFER_STATUS], __ATOMIC_RELAXED);
	if (used != r->told || status > BLK_UNSUPP)
		lose(r, "it answers what makes no sense");
	else
		take_status(r, status);
}

static int link_up(struct blk_remote *r)
{
	void *p = mmap(NULL, DISK_OFFER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->fds[DISK_FD_MEMORY], 0);

	if (p == MAP_FAILED)
		return -errno;
	r->memory = p;
	r->told = 0;
	if (event_assign(&r->on_link, r->back->base, r->fds[DISK_FD_LINK], EV_READ | EV_PERSIST, on_link, r) < 0 ||
	    event_assign(&r->on_call, r->back->base, r->fds[DISK_FD_CALL], EV_READ | EV_PERSIST, on_call, r) < 0)
		return -EIO;
	event_add(&r->on_link, NULL);
	event_add(&r->on_call, NULL);
	return 0;
}

static void take_offer(struct blk_remote *r, const struct disk_offer *offer, int fds[DISK_FDS])
{
	hang_up(r);
	r->offer = *offer;
	offer_move(r->fds, fds);
	if (link_up(r))
		hang_up(r);
	if (r->queue)
		go_on(r);
	if (!r->queue)
		wake_others(r);
}

static void on_offer(evutil_socket_t fd, short what, void *arg)
{
	struct blk_remote *r = arg;
	struct disk_offer offer;
	int fds[DISK_FDS];
	ssize_t n = offer_receive(fd, &offer, sizeof(offer), fds);

	(void)what;
	if (n == 0)
		event_del(&r->on_offer); /* the machine is ending */
	if (n == sizeof(offer) && r->asked && offer.number == r->number) {
		r->asked = false;
		if (!offer.error && fds[0] >= 0)
			take_offer(r, &offer, fds);
		else if (r->queue)
			ask(r);
	}
	offer_close(fds);
}

int blk_remote_init(struct blk_remote *r, struct blk *disk, struct vhost_back *back, int exporter_fd)
{
	memset(r, 0, sizeof(*r));
	r->disk = disk;
	r->back = back;
	r->exporter_fd = exporter_fd;
	for (unsigned i = 0; i < DISK_FDS; i++)
		r->fds[i] = -1;
	if (event_assign(&r->on_offer, back->base, exporter_fd, EV_READ | EV_PERSIST, on_offer, r) < 0 ||
	    event_add(&r->on_offer, NULL) < 0)
		return -EIO;
	return 0;
}
