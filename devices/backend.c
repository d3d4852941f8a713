/* SPDX-License-Identifier: MIT */
/* What virtio back-ends have in common: see backend.h. */
#include "devices/backend.h"

#include "devices/backend_model.h"
#include "proto/log.h"

static struct {
	struct runtime *rt;
	struct vhost_back back;
	uint64_t broken; /* queues, of which the log has heard */
} backend;

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
	struct backend_state *s = backend.rt->state;

	(void)ctx;
	s->batches++;
	runtime_touch(backend.rt);
}

void backend_lost(void *ctx, const char *why)
{
	(void)ctx;
	log_info("%s", why);
}

struct vhost_back *backend_init(struct runtime *rt, const struct vhost_device *device)
{
	const struct virtq_memory memory = { memory_at, memory_written, rt };

	backend.rt = rt;
	vhost_back_init(&backend.back, device, rt->base, &memory);
	return &backend.back;
}

int backend_link(struct runtime *rt, int fd)
{
	(void)rt;
	if (fd >= 0)
		return vhost_back_attach(&backend.back, fd);
	vhost_back_detach(&backend.back);
	return 0;
}

void backend_reset(struct runtime *rt, uint64_t now_ns)
{
	(void)rt;
	(void)now_ns;
	if (backend.back.base)
		vhost_back_detach(&backend.back);
}

uint64_t backend_settle(struct runtime *rt, uint64_t now_ns)
{
	(void)rt;
	(void)now_ns;
	if (backend.back.broken != backend.broken)
		log_warning("the guest's driver has broken a queue: the device needs a reset");
	backend.broken = backend.back.broken;
	return UINT64_MAX;
}
