/* SPDX-License-Identifier: MIT */
/* The vCPU process's side of a request ring: see ring.h. */
#include "ring.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "spin.h"
#include "proto/reg.h"

enum { SPIN_CHECK = 16 };
#define SLICE_MIN_NS CLOCK_NS_PER_MS
#define SLICE_MAX_NS (8 * CLOCK_NS_PER_MS)

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Slots that the daemon has not applied, from the point of view of `tail`; -EPROTO if its head is nonsense. */
static int in_flight(const struct ring_rsp *rsp, uint32_t tail)
{
	uint32_t n = tail - atomic_load_explicit(&rsp->head, memory_order_acquire);

	return n > RING_SLOTS ? -EPROTO : (int)n;
}

int ring_attach(struct ring_producer *p, struct ring_req *req, const struct ring_rsp *rsp, int doorbell_fd,
		uint32_t spin_ns)
{
	uint32_t tail = atomic_load_explicit(&req->tail, memory_order_acquire);
	int err;

	memset(p, 0, sizeof(*p));
	p->req = req;
	p->rsp = rsp;
	p->doorbell_fd = doorbell_fd;
	p->spin_ns = spin_ns;
	p->slice_ns = SLICE_MIN_NS;
	atomic_store(&p->tail, tail);
	atomic_store(&p->touched_sync, tail);
	for (unsigned i = 0; i < RING_VCPUS; i++)
		atomic_store_explicit(&req->waiting[i], 0, memory_order_relaxed);
	atomic_store_explicit(&req->space_waiting, 0, memory_order_relaxed);
	err = -pthread_mutex_init(&p->lock, NULL);
	return !err && in_flight(rsp, tail) < 0 ? -EPROTO : err;
}

void ring_detach(struct ring_producer *p)
{
	pthread_mutex_destroy(&p->lock);
}

void ring_give_up(struct ring_producer *p, bool given_up)
{
	atomic_store(&p->given_up, given_up);
}

void ring_doorbell(struct ring_producer *p)
{
	ssize_t n = write(p->doorbell_fd, "", 1);

	(void)n; /* EAGAIN: enough rings are in the pipe already; EPIPE: nobody is there: the next incarnation looks by itself */
	count(&p->stats.doorbells);
}

/* Polls until `word` reads `wanted`, at most spin_ns. */
static bool spin_for(const _Atomic uint32_t *word, uint32_t wanted, uint32_t spin_ns)
{
	uint64_t end;

	if (atomic_load_explicit(word, memory_order_acquire) == wanted)
		return true;
	if (spin_ns == 0)
		return false;
	end = clock_ns() + spin_ns;
	do {
		for (int i = 0; i < SPIN_CHECK; i++) {
			if (atomic_load_explicit(word, memory_order_acquire) == wanted)
				return true;
			spin_pause();
		}
	} while (clock_ns() < end);
	return false;
}

/*
 * A wait that sleeps in slices: the peer may be hostile and never wake us, or be replaced by an incarnation that does not
 * know that we sleep, so no sleep is long.
 */
struct wait {
	struct ring_producer *ring;
	uint64_t begun_ns, slice_ns;
};

static struct wait wait_begin(struct ring_producer *p)
{
	count(&p->stats.sleeps);
	return (struct wait){ p, clock_ns(), p->slice_ns };
}

static void wait_end(const struct wait *w)
{
	atomic_fetch_add_explicit(&w->ring->stats.waited_ns, clock_ns() - w->begun_ns, memory_order_relaxed);
}

/* False: the wait is over. */
static bool wait_sleep(struct wait *w, const _Atomic uint32_t *word, uint32_t seen, int odd)
{
	struct ring_producer *p = w->ring;

	if (atomic_load_explicit(&p->given_up, memory_order_relaxed))
		return false;
	if (p->patience && !p->patience(p->patience_ctx, clock_ns() - w->begun_ns, odd))
		return false;
	futex_wait(word, seen, w->slice_ns);
	if (w->slice_ns < SLICE_MAX_NS)
		w->slice_ns *= 2;
	return true;
}

static bool is_half_empty(int in_flight)
{
	return in_flight >= 0 && in_flight <= RING_SLOTS / 2;
}

/* Polls until the ring is half empty, at most spin_ns. */
static int spin_for_room(struct ring_producer *p, uint32_t tail)
{
	uint64_t end = clock_ns() + p->spin_ns;
	int n;

	do {
		for (int i = 0; i < SPIN_CHECK; i++) {
			n = in_flight(p->rsp, tail);
			if (is_half_empty(n))
				return n;
			spin_pause();
		}
	} while (clock_ns() < end);
	return n;
}

/*
 * A ring that is full stays so until it is half empty, else producer and daemon would hand over single slots. The daemon
 * moves `room` when it gets there and finds space_waiting set; the two-fence pattern again.
 */
static bool sleep_for_room(struct ring_producer *p, uint32_t tail)
{
	struct wait w = wait_begin(p);
	int n;

	atomic_store(&p->req->space_waiting, 1);
	for (;;) {
		uint32_t seen = atomic_load_explicit(&p->rsp->room, memory_order_acquire);

		atomic_thread_fence(memory_order_seq_cst);
		n = in_flight(p->rsp, tail);
		if (is_half_empty(n) || !wait_sleep(&w, &p->rsp->room, seen, n < 0 ? n : 0))
			break;
	}
	atomic_store_explicit(&p->req->space_waiting, 0, memory_order_relaxed);
	wait_end(&w);
	return n >= 0 && n < RING_SLOTS;
}

/* With the lock held: until the ring has room for one more. 0 or -ENXIO. */
static int wait_for_room(struct ring_producer *p, uint32_t tail)
{
	int n = in_flight(p->rsp, tail);

	if (n >= 0 && n < RING_SLOTS)
		return 0;
	count(n < 0 ? &p->stats.protocol_errors : &p->stats.full);
	if (p->spin_ns)
		n = spin_for_room(p, tail);
	return is_half_empty(n) || sleep_for_room(p, tail) ? 0 : -ENXIO;
}

/* Lower classes' counts must be visible before the slot is: whoever sees its effect must see that it was posted. */
static void note_classes(struct ring_producer *p, uint8_t flags, uint8_t classes, uint64_t tail)
{
	if (flags & IO_SYNC)
		atomic_store_explicit(&p->touched_sync, tail, memory_order_release);
	for (unsigned i = 0; i < RING_CLASSES; i++) {
		if (classes & (1u << i))
			atomic_store_explicit(&p->touched[i], tail, memory_order_release);
	}
}

/* 0 and the slot's seq, or -ENXIO. */
static int push_locked(struct ring_producer *p, const struct io_slot *request, uint8_t flags, uint8_t classes,
		       uint32_t *seq)
{
	uint64_t tail = atomic_load_explicit(&p->tail, memory_order_relaxed);
	struct io_slot slot = *request;
	int err = wait_for_room(p, (uint32_t)tail);

	if (err)
		return err;
	slot.seq = (uint32_t)tail;
	slot.flags = flags;
	if (slot.when == 0)
		slot.when = machine_ns(&p->clock);
	p->req->slots[slot.seq % RING_SLOTS] = slot;
	note_classes(p, flags, classes, tail + 1);
	atomic_store_explicit(&p->tail, tail + 1, memory_order_release);
	atomic_store_explicit(&p->req->tail, slot.seq + 1, memory_order_release);
	*seq = slot.seq;
	return 0;
}

/*
 * Waking a process on another core costs more than a guest needs for a character. A daemon that has just printed some
 * only naps, and looks by itself within a millisecond: characters need not ring, except the one that makes the ring half
 * full. Everything else rings, and so does a character when the daemon sleeps properly.
 */
static bool needs_doorbell(const struct ring_producer *p, bool lazy, uint32_t seq)
{
	uint32_t sleeping = atomic_load_explicit(&p->rsp->sleeping, memory_order_relaxed);

	if (sleeping != RING_NAPPING || !lazy)
		return sleeping != RING_AWAKE;
	return in_flight(p->rsp, seq + 1) == RING_SLOTS / 2;
}

static int push(struct ring_producer *p, const struct io_slot *request, uint8_t flags, uint8_t classes, uint32_t *seq)
{
	int err;

	if (atomic_load_explicit(&p->given_up, memory_order_relaxed))
		return -ENXIO;
	pthread_mutex_lock(&p->lock);
	err = push_locked(p, request, flags, classes, seq);
	pthread_mutex_unlock(&p->lock);
	if (err)
		return err;
	/* The daemon sets `sleeping` and then looks at tail once more, we do it the other way round: with a full fence on
	 * both sides at least one of us sees the other. */
	atomic_thread_fence(memory_order_seq_cst);
	if (needs_doorbell(p, !(flags & IO_SYNC) && classes == CLASS_TXDATA, *seq))
		ring_doorbell(p);
	return 0;
}

int ring_post(struct ring_producer *p, const struct io_slot *request, uint8_t classes)
{
	uint32_t seq;

	count(&p->stats.posted);
	return push(p, request, 0, classes, &seq);
}

/* What is odd about a daemon that has not answered the request before `wanted`: see ring.h, patience. */
static int oddity(const struct ring_producer *p, uint32_t wanted)
{
	int n = in_flight(p->rsp, (uint32_t)atomic_load(&p->tail));
	uint32_t head = atomic_load_explicit(&p->rsp->head, memory_order_relaxed);

	if (n < 0)
		return n;
	return (int32_t)(head - wanted) >= 0 ? -ENOMSG : 0;
}

/* Sleeps on the reply cell; the same two-fence pattern with `waiting`. */
static int wait_for_reply(struct ring_producer *p, const struct ring_cell *cell, unsigned vcpu, uint32_t wanted)
{
	struct wait w;
	uint32_t seen;

	if (spin_for(&cell->seq, wanted, p->spin_ns))
		return 0;
	w = wait_begin(p);
	atomic_store(&p->req->waiting[vcpu], 1);
	for (;;) {
		atomic_thread_fence(memory_order_seq_cst);
		seen = atomic_load_explicit(&cell->seq, memory_order_acquire);
		if (seen == wanted || !wait_sleep(&w, &cell->seq, seen, oddity(p, wanted)))
			break;
	}
	atomic_store_explicit(&p->req->waiting[vcpu], 0, memory_order_relaxed);
	wait_end(&w);
	return seen == wanted ? 0 : -ENXIO;
}

int ring_call(struct ring_producer *p, const struct io_slot *request, struct ring_reply *reply)
{
	const struct ring_cell *cell;
	uint32_t seq;
	int err;

	if (request->vcpu >= RING_VCPUS)
		return -EINVAL;
	count(&p->stats.synchronous);
	err = push(p, request, IO_SYNC, 0, &seq);
	if (err)
		return err;
	cell = &p->rsp->cells[request->vcpu];
	err = wait_for_reply(p, cell, request->vcpu, seq + 1);
	if (err || !reply)
		return err;
	reply->data = cell->data;
	if (request->count)
		memcpy(reply->bytes, cell->bytes, sizeof(reply->bytes));
	return 0;
}

int ring_read_string(struct ring_producer *p, const struct io_slot *request, void *buf, uint32_t items, unsigned size)
{
	struct io_slot slot = *request;
	struct ring_reply reply;
	uint8_t *out = buf;
	int err = 0;

	slot.op = IO_READ;
	slot.size = (uint8_t)size;
	while (items > 0) {
		uint32_t n = RING_REPLY_DATA / size;

		n = items < n ? items : n;
		slot.count = (uint16_t)n;
		slot.when = 0;
		if (!err)
			err = ring_call(p, &slot, &reply);
		if (err)
			memset(reply.bytes, 0xff, sizeof(reply.bytes));
		memcpy(out, reply.bytes, (size_t)n * size);
		out += (size_t)n * size;
		items -= n;
	}
	return err;
}

/* The last slot is synchronous, so the whole string has been applied when the instruction ends. */
int ring_write_string(struct ring_producer *p, const struct io_slot *request, const void *buf, uint32_t items,
		      unsigned size)
{
	struct io_slot slot = *request;
	const uint8_t *in = buf;
	int err = 0;

	slot.op = IO_WRITE;
	slot.size = (uint8_t)size;
	while (items > 0 && !err) {
		uint32_t n = RING_PAYLOAD / size;

		n = items < n ? items : n;
		slot.count = (uint16_t)n;
		slot.when = 0;
		memcpy(slot.payload, in, (size_t)n * size);
		in += (size_t)n * size;
		items -= n;
		err = items ? ring_post(p, &slot, 0xff) : ring_call(p, &slot, NULL);
	}
	return err;
}

/*
 * head first, then our own counts: an operation that was posted before this call is in `touched` whatever the order; and
 * tail must not be older than head, or head would seem to be ahead of it.
 */
bool ring_is_applied(const struct ring_producer *p, uint8_t classes)
{
	uint32_t head = atomic_load_explicit(&p->rsp->head, memory_order_acquire);
	uint64_t tail = atomic_load_explicit(&p->tail, memory_order_acquire);
	uint32_t left = (uint32_t)tail - head;
	uint64_t applied = tail - left;

	if (left > RING_SLOTS)
		return false;
	if (atomic_load_explicit(&p->touched_sync, memory_order_acquire) > applied)
		return false;
	for (unsigned i = 0; classes >> i; i++) {
		if ((classes & (1u << i)) && atomic_load_explicit(&p->touched[i], memory_order_acquire) > applied)
			return false;
	}
	return true;
}
