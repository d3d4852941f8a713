/* SPDX-License-Identifier: MIT */
/*
 * Virtio devices in the vcpu process: a guest's notification goes straight to the back-end, and the back-end's calls straight to
 * a local APIC (proto/virtio.h). Their front-end says where, in its VECTORS page, and is not asked.
 */
#include "vcpu.h"

#include "proto/control_check.h"
#include "proto/shm.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { FD_VECTORS, FD_KICKS, FD_CALLS = FD_KICKS + VIRTIO_QUEUES, FDS = FD_CALLS + VIRTIO_VECTORS };
enum { BAR_RANGE = 1 }; /* behind the one of configuration space: pci.h */

static int take(struct virtio_ends *e, struct frame *f)
{
	const void *page;
	int err = f->fd_count == FDS ? shm_map_ro(f->fds[FD_VECTORS], sizeof(*e->vectors), &page) : -EINVAL;

	if (err)
		return err;
	e->vectors = page;
	for (unsigned n = 0; n < VIRTIO_QUEUES; n++)
		e->kick_fd[n] = f->fds[FD_KICKS + n];
	for (unsigned n = 0; n < VIRTIO_VECTORS; n++)
		e->call_fd[n] = f->fds[FD_CALLS + n];
	for (unsigned n = FD_KICKS; n < FDS; n++)
		f->fds[n] = -1;
	return 0;
}

void virtio_setup(struct vcpu_process *p, struct frame *f)
{
	const Bulkhead__SetupVirtio *m = (const Bulkhead__SetupVirtio *)f->msg;
	const struct kind_row *kind = m->has_device ? kind_of_role(m->device) : NULL;
	struct bus *b = &p->bus;
	struct virtio_ends *e = &b->virtio[b->virtio_count];
	bool fits = kind && kind->virtio == KIND_VIRTIO_FRONT && b->virtio_count < VIRTIO_DEVICES && !p->engine;
	int err = fits ? take(e, f) : -EINVAL;

	if (err) {
		frame_reply_error(p->child.control_fd, f->header.id, -err, "device", "SETUP_VIRTIO: %s", strerror(-err));
		return;
	}
	e->role = m->device;
	e->instance = m->instance;
	b->virtio_count++;
	frame_reply_ok(p->child.control_fd, f->header.id);
}

const struct virtio_ends *virtio_ends_of(const struct bus *b, Bulkhead__Role role, unsigned instance)
{
	for (unsigned i = 0; i < b->virtio_count; i++)
		if (b->virtio[i].role == role && b->virtio[i].instance == instance)
			return &b->virtio[i];
	return NULL;
}

/* A full pipe has kicks in it already. The ends of it are descriptions of their own: its reader cannot make us wait. */
void virtio_kick(const struct channel *c, unsigned queue)
{
	static const uint64_t one = 1;

	if (write(c->virtio->kick_fd[queue], &one, sizeof(one)) < 0)
		return;
}

bool virtio_notify(struct channel *c, const struct route_range *r, uint64_t addr, unsigned size)
{
	uint64_t offset = addr - r->base - VIRTIO_NOTIFY;

	if (r->range != BAR_RANGE || offset >= VIRTIO_QUEUES * VIRTIO_NOTIFY_STEP || size > VIRTIO_NOTIFY_STEP)
		return false;
	virtio_kick(c, (unsigned)(offset / VIRTIO_NOTIFY_STEP));
	return true;
}

/* While a vector is off, its calls are the front-end's. */
unsigned virtio_watch(struct vcpu_process *p, struct pollfd fds[VIRTIO_CALLS])
{
	unsigned count = 0;

	for (unsigned i = 0; i < p->bus.virtio_count; i++) {
		const struct virtio_ends *e = &p->bus.virtio[i];

		for (unsigned n = 0; n < VIRTIO_VECTORS && count < VIRTIO_CALLS; n++) {
			struct virtio_message m;
			bool on = !virtio_vector_read(&e->vectors->of[n], &m) && m.on;

			fds[count++] = (struct pollfd){ .fd = on ? e->call_fd[n] : -1, .events = POLLIN };
		}
	}
	return count;
}

/* The message is read before the pipe: one that is masked meanwhile is delivered late, and none is lost. */
static void take_call(struct vcpu_process *p, const struct virtio_vector *v, int fd, Bulkhead__Role role)
{
	struct irq_message msg = { .type = IRQ_MSG_MSI };
	struct virtio_message m;
	uint8_t buf[4096];

	if (virtio_vector_read(v, &m) || !m.on || read(fd, buf, sizeof(buf)) <= 0)
		return;
	msg.addr = m.addr;
	msg.data = m.data;
	if (msi_check(&msg))
		return; /* nothing that a local APIC would take */
	if (p->engine->ops == &engine_kvm) {
		counter_add(&p->bus.counters->thread[COUNTERS_HELPER].vector[m.data & 0xff], 1);
		vcpu_trace_vector(&p->bus.trace, p->vcpus, m.data & 0xff, TRACE_POSTED, (uint16_t)role);
	}
	p->engine->ops->signal_msi(p->engine, m.addr, m.data);
}

void virtio_take_calls(struct vcpu_process *p, const struct pollfd fds[VIRTIO_CALLS], unsigned count)
{
	unsigned at = 0;

	for (unsigned i = 0; i < p->bus.virtio_count; i++) {
		const struct virtio_ends *e = &p->bus.virtio[i];

		for (unsigned n = 0; n < VIRTIO_VECTORS && at < count; n++, at++)
			if (fds[at].revents)
				take_call(p, &e->vectors->of[n], e->call_fd[n], e->role);
	}
}
