/* SPDX-License-Identifier: MIT */
/* Requests that are under way at the same time: see blk_pool.h. */
#include "devices/blk_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/vhost_queue.h"
#include "proto/clock.h"

_Static_assert(BLK_TASKS <= 256, "a task's number is a byte");

/* ---- the threads ---- */

/* -EINTR is no end. */
static bool read_byte(int fd, uint8_t *byte)
{
	ssize_t n;

	do
		n = read(fd, byte, 1);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

static bool write_byte(int fd, uint8_t byte)
{
	ssize_t n;

	do
		n = write(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

/* Each byte is read by one of them: who sleeps in the pipe, and who does not, is the kernel's business. The first one back says
 * that the thread has begun. */
static void *work(void *arg)
{
	struct blk_pool *p = arg;
	uint8_t n = 0;

	while (write_byte(p->done[1], n) && read_byte(p->todo[0], &n))
		blk_work(p->disk->fd, &p->tasks[n].job);
	return NULL;
}

/* The filter of the run phase is for all of them, and has none of the calls with which a thread begins: they have begun before. */
static int start_threads(struct blk_pool *p)
{
	pthread_attr_t attr;
	pthread_t thread;
	uint8_t byte;
	int err = pthread_attr_init(&attr);

	if (err)
		return -err;
	err = pthread_attr_setstacksize(&attr, BLK_STACK);
	if (!err)
		err = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (unsigned i = 0; i < BLK_THREADS && !err; i++)
		err = pthread_create(&thread, &attr, work, p);
	for (unsigned i = 0; i < BLK_THREADS && !err; i++)
		err = read_byte(p->done[0], &byte) ? 0 : EIO;
	pthread_attr_destroy(&attr);
	return -err;
}

/* ---- tasks ---- */

static struct blk_task *free_task(struct blk_pool *p)
{
	for (unsigned n = 0; n < BLK_TASKS; n++)
		if (!p->tasks[n].queue)
			return &p->tasks[n];
	return NULL;
}

static void enqueue(struct blk_pool *p, struct blk_task *t, struct vhost_queue *q)
{
	struct blk_task **last = &p->last[q->index];

	t->queue = q;
	t->next = NULL;
	*(*last ? &(*last)->next : &p->first[q->index]) = t;
	*last = t;
}

static void drop(struct blk_pool *p, struct blk_task **at)
{
	struct blk_task *t = *at, *last;
	const unsigned queue = t->queue->index;

	*at = t->next;
	t->queue = NULL;
	for (last = p->first[queue]; last && last->next; last = last->next)
		;
	p->last[queue] = last;
}

/* One that may be told now, at or behind `*at`; NULL: there is none. */
static struct blk_task **next_over(const struct vhost_queue *q, struct blk_task **at)
{
	while (*at && !(*at)->over && q->ring.inflight)
		at = &(*at)->next;
	return *at && (*at)->over ? at : NULL;
}

/* Tells the guest of those that are over. A queue that its driver has broken is not touched. */
static void publish(struct blk_pool *p, struct vhost_queue *q)
{
	struct blk_task **at = &p->first[q->index];
	bool any = false;

	while ((at = next_over(q, at))) {
		const struct blk_task *t = *at;

		if (!q->ring.broken) {
			virtq_fill(&q->ring, t->chain.head, (uint32_t)blk_finish(&p->back->memory, &t->job, t->status));
			any = true;
		}
		drop(p, at);
	}
	if (!any)
		return;
	virtq_publish(&q->ring);
	vhost_queue_call(q);
}

/* Does it here if nobody has to wait for that; else a thread does. */
static void begin(struct blk_pool *p, struct blk_task *t)
{
	const uint8_t n = (uint8_t)(t - p->tasks);

	t->since_ns = clock_ns();
	t->status = blk_begin(p->disk, &t->job);
	t->over = t->status || !blk_needs_image(&t->job) || blk_work_at_once(p->disk->fd, &t->job);
	if (!t->over && !write_byte(p->todo[1], n)) {
		t->status = blk_fail(p->disk, "hand-over to a thread", errno);
		t->over = true;
	}
}

int blk_pool_kicked(struct blk_pool *p, struct vhost_queue *q)
{
	for (unsigned n = 0; n < VHOST_BATCH; n++) {
		struct blk_task *t = free_task(p);
		int rc;

		if (!t)
			return 0; /* it is looked at when one is over */
		rc = virtq_pop(&q->ring, &t->chain);
		if (rc == -EAGAIN)
			return !virtq_sleep(&q->ring);
		if (rc || blk_parse(&t->chain, &t->job))
			return -EPROTO;
		enqueue(p, t, q);
		begin(p, t);
		publish(p, q);
	}
	return 1;
}

static void take_done(struct blk_pool *p)
{
	uint8_t numbers[BLK_TASKS];
	ssize_t got = read(p->done[0], numbers, sizeof(numbers));

	for (ssize_t i = 0; i < got; i++) {
		struct blk_task *t = &p->tasks[numbers[i]];

		t->status = blk_end(p->disk, &t->job);
		t->over = true;
	}
}

/* `wake`: there was no task left, or others than the loop have made some free. */
static void publish_all(struct blk_pool *p, bool wake)
{
	for (unsigned n = 0; n < VHOST_QUEUES; n++) {
		publish(p, &p->back->queues[n]);
		if (wake)
			vhost_queue_wake(&p->back->queues[n]);
	}
	if (p->back->device->served)
		p->back->device->served(p->back->device->ctx);
}

static void on_done(evutil_socket_t fd, short what, void *arg)
{
	struct blk_pool *p = arg;
	const bool was_full = !free_task(p);

	(void)fd;
	(void)what;
	take_done(p);
	publish_all(p, was_full);
}

/*
 * A thread that is in the middle of a request has the guest's memory before it. What is over by then the guest is told of: its driver
 * may take the rest back. The loop may have seen before that something is done, which is read here: it looks again.
 */
void blk_pool_halted(struct blk_pool *p, struct vhost_queue *q)
{
	if (!p->first[q->index])
		return;
	for (publish(p, q); p->first[q->index]; publish(p, q))
		take_done(p);
	event_del(&p->on_done);
	event_add(&p->on_done, NULL);
	publish_all(p, true);
}

uint64_t blk_pool_waits_ns(const struct blk_pool *p)
{
	uint64_t oldest = UINT64_MAX, now;

	for (unsigned n = 0; n < BLK_TASKS; n++)
		if (p->tasks[n].queue && p->tasks[n].since_ns < oldest)
			oldest = p->tasks[n].since_ns;
	now = clock_ns();
	return oldest < now ? now - oldest : 0;
}

int blk_pool_init(struct blk_pool *p, struct blk *disk, struct vhost_back *back)
{
	*p = (struct blk_pool){ .disk = disk, .back = back };
	p->tasks = mmap(NULL, BLK_TASKS * sizeof(p->tasks[0]), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->tasks == MAP_FAILED)
		return -ENOMEM;
	if (pipe2(p->todo, O_CLOEXEC) < 0 || pipe2(p->done, O_CLOEXEC) < 0)
		return -errno;
	if (event_assign(&p->on_done, back->base, p->done[0], EV_READ | EV_PERSIST, on_done, p) < 0 ||
	    event_add(&p->on_done, NULL) < 0)
		return -EIO;
	return start_threads(p);
}
