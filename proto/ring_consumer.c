/* SPDX-License-Identifier: MIT */
/* The daemon's side of a request ring: see ring.h. Nothing in REQ is believed before a private copy was checked. */
#include <errno.h>
#include <string.h>

#include "ring.h"

enum { SPACES = 2 }; /* enum model_space */

void ring_consumer_init(struct ring_consumer *r, const struct ring_req *req, struct ring_rsp *rsp, uint32_t head,
			unsigned vcpus)
{
	*r = (struct ring_consumer){ .req = req, .rsp = rsp, .head = head, .vcpus = vcpus };
	atomic_store_explicit(&rsp->protocol_errors, 0, memory_order_relaxed);
	atomic_store_explicit(&rsp->sleeping, 0, memory_order_relaxed);
	atomic_store_explicit(&rsp->first_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&rsp->holding, 0, memory_order_relaxed);
	atomic_store_explicit(&rsp->head, head, memory_order_release);
}

/* A plain copy may be elided by the compiler and fields read again after their check; atomic loads may not. */
static void copy_slot(struct io_slot *out, const struct io_slot *shared)
{
	const uint64_t *from = (const uint64_t *)shared;
	uint64_t words[sizeof(*out) / 8];

	for (size_t i = 0; i < sizeof(*out) / 8; i++)
		words[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	memcpy(out, words, sizeof(*out));
}

static bool is_access_valid(const struct io_slot *s)
{
	uint32_t most = s->op == IO_READ ? RING_REPLY_DATA : RING_PAYLOAD;

	if (s->size != 1 && s->size != 2 && s->size != 4 && s->size != 8)
		return false;
	if (s->space >= SPACES || s->addr > UINT64_MAX - s->size || s->count > most / s->size)
		return false;
	return s->op == IO_WRITE || (s->flags & IO_SYNC);
}

bool ring_slot_is_valid(const struct io_slot *s, uint32_t seq, unsigned vcpus)
{
	if (s->seq != seq || s->vcpu >= vcpus || (s->flags & ~IO_FLAGS))
		return false;
	switch (s->op) {
	case IO_READ:
	case IO_WRITE:
		return is_access_valid(s);
	case IO_EOI:
	case IO_INTA:
	case IO_FENCE:
	case IO_RESET:
		return s->size == 0 && s->count == 0;
	default:
		return false;
	}
}

int ring_peek(struct ring_consumer *r, struct io_slot *slot)
{
	uint32_t queued;

	if (r->broken)
		return -EPROTO;
	queued = atomic_load_explicit(&r->req->tail, memory_order_acquire) - r->head;
	if (queued == 0)
		return -EAGAIN;
	if (queued <= RING_SLOTS) {
		copy_slot(slot, &r->req->slots[r->head % RING_SLOTS]);
		if (ring_slot_is_valid(slot, r->head, r->vcpus))
			return 0;
	}
	ring_quarantine(r);
	return -EPROTO;
}

bool ring_holds(const struct ring_consumer *r, enum io_op op)
{
	uint32_t queued = atomic_load_explicit(&r->req->tail, memory_order_acquire) - r->head;

	if (r->broken || queued > RING_SLOTS)
		return false;
	for (uint32_t i = 0; i < queued; i++) {
		if (__atomic_load_n(&r->req->slots[(r->head + i) % RING_SLOTS].op, __ATOMIC_RELAXED) == op)
			return true;
	}
	return false;
}

bool ring_is_last(const struct ring_consumer *r, const struct io_slot *slot)
{
	return atomic_load_explicit(&r->req->tail, memory_order_acquire) == slot->seq + 1;
}

static void fill_cell(struct ring_cell *cell, const struct io_slot *slot, const struct ring_reply *reply)
{
	cell->data = reply->data;
	if (slot->op == IO_READ && slot->count)
		memcpy(cell->bytes, reply->bytes, (size_t)slot->count * slot->size);
}

/* Producers that wait for room keep tail where it is, so the half is always passed; 0 is for those that came late. */
static void wake_for_room(struct ring_consumer *r)
{
	uint32_t left;

	if (!atomic_load_explicit(&r->req->space_waiting, memory_order_relaxed))
		return;
	left = atomic_load_explicit(&r->req->tail, memory_order_relaxed) - r->head;
	if (left != RING_SLOTS / 2 && left != 0)
		return;
	atomic_fetch_add_explicit(&r->rsp->room, 1, memory_order_release);
	futex_wake(&r->rsp->room, 1);
}

void ring_complete(struct ring_consumer *r, const struct io_slot *slot, const struct ring_reply *reply)
{
	struct ring_cell *cell = &r->rsp->cells[slot->vcpu];
	bool sync = (slot->flags & IO_SYNC) && reply;

	if (sync)
		fill_cell(cell, slot, reply);
	atomic_store_explicit(&r->rsp->head, ++r->head, memory_order_release);
	if (sync)
		atomic_store_explicit(&cell->seq, slot->seq + 1, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	if (sync && atomic_load_explicit(&r->req->waiting[slot->vcpu], memory_order_relaxed))
		futex_wake(&cell->seq, 1);
	wake_for_room(r);
}

void ring_hold(struct ring_consumer *r, bool hold)
{
	if (hold == r->holding)
		return;
	r->holding = hold;
	atomic_store_explicit(&r->rsp->holding, hold, memory_order_relaxed);
}

bool ring_sleep(struct ring_consumer *r, enum ring_sleep how)
{
	atomic_store(&r->rsp->sleeping, how);
	atomic_thread_fence(memory_order_seq_cst);
	if (r->broken || r->holding || atomic_load_explicit(&r->req->tail, memory_order_acquire) == r->head)
		return true;
	ring_awake(r);
	return false;
}

void ring_awake(struct ring_consumer *r)
{
	atomic_store_explicit(&r->rsp->sleeping, 0, memory_order_relaxed);
}

void ring_quarantine(struct ring_consumer *r)
{
	r->broken = true;
	atomic_fetch_add_explicit(&r->rsp->protocol_errors, 1, memory_order_relaxed);
}

int ring_backlog(const struct ring_req *req, const struct ring_rsp *rsp)
{
	uint32_t head = atomic_load_explicit(&rsp->head, memory_order_acquire);
	uint32_t tail = atomic_load_explicit(&req->tail, memory_order_acquire);

	return tail - head > RING_SLOTS ? -EPROTO : (int)(tail - head);
}
