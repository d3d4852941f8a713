/* SPDX-License-Identifier: MIT */
/* What virtio back-ends have in common: see backend.h. */
#include "devices/backend.h"

#include "devices/backend_model.h"
#include "proto/log.h"

static struct backend *the_one; /* of this process */

static void *memory_at(void *ctx, uint64_t addr, uint64_t len)
{
	return runtime_memory(ctx, addr, len);
}

static void memory_written(void *ctx, uint64_t addr, uint64_t len)
{
	runtime_memory_written(ctx, addr, len);
}

void backend_served(void *ctx)
{
	struct backend_state *s = the_one->rt->state;

	(void)ctx;
	s->batches++;
	runtime_touch(the_one->rt);
}

void backend_lost(void *ctx, const char *why)
{
	(void)ctx;
	log_info("%s", why);
}

void backend_init(struct backend *b, struct runtime *rt, const struct vhost_device *device)
{
	const struct virtq_memory memory = { memory_at, memory_written, rt };

	*b = (struct backend){ .rt = rt };
	the_one = b;
	vhost_back_init(&b->back, device, rt->base, &memory);
}

int backend_link(struct backend *b, int fd)
{
	if (fd >= 0)
		return vhost_back_attach(&b->back, fd);
	vhost_back_detach(&b->back);
	return 0;
}

void backend_reset(struct backend *b)
{
	if (b->back.base)
		vhost_back_detach(&b->back);
}

uint64_t backend_settle(struct backend *b)
{
	if (b->back.broken != b->broken)
		log_warning("the guest's driver has broken a queue: the device needs a reset");
	b->broken = b->back.broken;
	return UINT64_MAX;
}
