/* SPDX-License-Identifier: MIT */
/* The VECTORS page: see virtio.h. */
#include "virtio.h"

#include <errno.h>

enum { TRIES = 100 };

/* A predecessor may have left it odd. */
void virtio_vector_publish(struct virtio_vector *v, const struct virtio_message *m)
{
	uint32_t seq = atomic_load_explicit(&v->seq, memory_order_relaxed) | 1;

	atomic_store_explicit(&v->seq, seq, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&v->on, m->on, memory_order_relaxed);
	atomic_store_explicit(&v->addr, m->addr, memory_order_relaxed);
	atomic_store_explicit(&v->data, m->data, memory_order_relaxed);
	atomic_store_explicit(&v->seq, seq + 1, memory_order_release);
}

int virtio_vector_read(const struct virtio_vector *v, struct virtio_message *out)
{
	for (unsigned i = 0; i < TRIES; i++) {
		uint32_t seq = atomic_load_explicit(&v->seq, memory_order_acquire);

		out->on = atomic_load_explicit(&v->on, memory_order_relaxed) == 1;
		out->addr = atomic_load_explicit(&v->addr, memory_order_relaxed);
		out->data = atomic_load_explicit(&v->data, memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (!(seq & 1) && atomic_load_explicit(&v->seq, memory_order_relaxed) == seq)
			return 0;
	}
	return -EAGAIN;
}
