/* SPDX-License-Identifier: MIT */
/* A virtio entropy device: see rng.h. */
#include "devices/rng.h"

#include <errno.h>
#include <unistd.h>

static void nothing_accepted(void *ctx, uint64_t features)
{
	(void)ctx;
	(void)features;
}

static void no_config(void *ctx, uint8_t *out)
{
	(void)ctx;
	(void)out;
}

int64_t rng_fill(struct rng *r, const struct virtq_memory *memory, struct virtq_chain *chain)
{
	int64_t done = 0;

	if (chain->readable || !chain->writable)
		return -EPROTO;
	for (unsigned i = 0; i < chain->writable && done < RNG_AT_ONCE; i++) {
		const struct virtq_piece *p = &chain->pieces[i];
		uint32_t want = p->len < RNG_AT_ONCE - done ? p->len : (uint32_t)(RNG_AT_ONCE - done);
		ssize_t n = read(r->fd, p->at, want);

		if (n <= 0)
			break;
		memory->written(memory->ctx, p->addr, (uint64_t)n);
		done += n;
		if ((uint32_t)n < want)
			break;
	}
	return done;
}

static int64_t serve(void *ctx, struct vhost_queue *q, struct virtq_chain *chain)
{
	return rng_fill(ctx, &q->back->memory, chain);
}

void rng_init(struct rng *r, int fd, void (*served)(void *ctx), void (*lost)(void *ctx, const char *why))
{
	*r = (struct rng){ .fd = fd };
	r->device = (struct vhost_device){
		.queues = 1,
		.get_config = no_config,
		.accepted = nothing_accepted,
		.serve = serve,
		.served = served,
		.lost = lost,
		.ctx = r,
	};
}
