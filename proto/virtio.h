/* SPDX-License-Identifier: MIT */
/*
 * What a virtio front-end shares with the vcpu process beside its ring: the VECTORS page, and a pipe for each queue and each
 * vector.
 *
 * Kicks: the vcpu process writes 8 bytes when the guest notifies a queue; the back-end reads them. Calls: the back-end writes 8
 * bytes when it has used buffers; the vcpu process reads them while VECTORS says that the vector is on, and the front-end does
 * otherwise. Pipes, and not eventfds: each end is a description of its own, so that a peer can neither fill what the vcpu
 * process writes to and take away its O_NONBLOCK, nor empty what it is about to read.
 */
#ifndef BULKHEAD_PROTO_VIRTIO_H
#define BULKHEAD_PROTO_VIRTIO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VIRTIO_DEVICES = 6, VIRTIO_QUEUES = 4, VIRTIO_VECTORS = VIRTIO_QUEUES + 1, VIRTIO_SIGNAL_BYTES = 8 };

/* Where in BAR 0 the guest notifies queue n: so far behind the base, and 4 bytes for each. The vcpu process takes these writes. */
enum { VIRTIO_NOTIFY = 0x3000, VIRTIO_NOTIFY_STEP = 4 };
/* The capability in configuration space through which a guest reaches BAR 0 without its address (virtio 1.2, 4.1.4.9). */
enum { VIRTIO_WINDOW = 0x90 };

/* Writer: front-end. Reader: vcpu. `seq` is odd while the fields change. */
struct virtio_vector {
	_Atomic uint32_t seq;
	_Atomic uint32_t on; /* MSI-X is enabled, and this entry not masked */
	_Atomic uint64_t addr;
	_Atomic uint32_t data;
	uint32_t reserved[3];
};
struct virtio_vectors {
	struct virtio_vector of[VIRTIO_VECTORS];
};
_Static_assert(sizeof(struct virtio_vector) == 32 && offsetof(struct virtio_vector, addr) == 8, "VECTORS");
_Static_assert(offsetof(struct virtio_vector, data) == 16, "VECTORS");

struct virtio_message {
	bool on;
	uint64_t addr;
	uint32_t data;
};

void virtio_vector_publish(struct virtio_vector *v, const struct virtio_message *m);
/* 0; -EAGAIN: it is being changed, or its writer died over it: its next incarnation publishes it again. */
int virtio_vector_read(const struct virtio_vector *v, struct virtio_message *out);

#endif
