/* SPDX-License-Identifier: MIT */
/* A ring that stands still, out and in: see ring.h. */
#include "ring.h"

#include <errno.h>
#include <string.h>

int ring_save(const struct ring_req *req, const struct ring_rsp *rsp, struct ring_image *out)
{
	memset(out, 0, sizeof(*out));
	out->head = atomic_load_explicit(&rsp->head, memory_order_acquire);
	out->tail = atomic_load_explicit(&req->tail, memory_order_acquire);
	out->msi_head = atomic_load_explicit(&req->msi_head, memory_order_acquire);
	if (out->tail - out->head > RING_SLOTS)
		return -EPROTO;
	for (uint32_t seq = out->head; seq != out->tail; seq++)
		out->slots[seq % RING_SLOTS] = req->slots[seq % RING_SLOTS];
	return 0;
}

int ring_restore(struct ring_req *req, struct ring_rsp *rsp, const struct ring_image *in, unsigned vcpus)
{
	if (in->reserved || in->tail - in->head > RING_SLOTS)
		return -EINVAL;
	for (uint32_t seq = in->head; seq != in->tail; seq++)
		if (!ring_slot_is_valid(&in->slots[seq % RING_SLOTS], seq, vcpus))
			return -EINVAL;
	memcpy(req->slots, in->slots, sizeof(req->slots));
	atomic_store(&req->msi_head, in->msi_head);
	atomic_store(&rsp->head, in->head);
	atomic_store(&req->tail, in->tail);
	return 0;
}
