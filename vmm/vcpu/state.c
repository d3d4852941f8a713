/* SPDX-License-Identifier: MIT */
/*
 * The state of this process between two instructions, out and in: each processor (emu/core/state.h), and what stands between
 * them and the devices. It is asked for while no vCPU runs and irqd is away, so nothing is on its way when it is made: what
 * irqd had published is in the local APICs by then.
 */
#include "vcpu.h"

#include "emu/core/state.h"

#include <errno.h>
#include <string.h>

enum { BUS_STATE_VERSION = 1 };

struct bus_route {
	uint64_t addr;
	uint32_t data;
	uint8_t known, masked; /* 0 or 1 */
	uint16_t reserved;     /* 0 */
};

struct bus_state {
	uint32_t version, bytes;
	uint32_t acked_seq, reserved;
	struct bus_route routes[MODEL_LINES]; /* of the IOAPIC's pins */
};
_Static_assert(sizeof(struct bus_state) == 16 + 16 * MODEL_LINES, "what the vcpu process has beside its processors");

static void refuse(struct vcpu_process *p, const struct frame *f, int err, const char *field, const char *why)
{
	frame_reply_error(p->child.control_fd, f->header.id, -err, field, "%s", why);
}

/* ---- out ------------------------------------------------------------------------------------------------------- */

/* NULL, or why there is no state to be had. */
static const char *obstacle(struct vcpu_process *p)
{
	const char *why = atomic_load(&p->begun) ? NULL : "the guest has not begun";

	if (p->debug.armed)
		why = "a debugger has set breakpoints";

	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < p->vcpus; i++) {
		if (p->state[i] == RUN_RUNNING)
			why = "a processor runs";
		if (p->state[i] == RUN_ENDED)
			why = "a processor has stopped for good";
	}
	pthread_mutex_unlock(&p->lock);
	return why;
}

static void save_bus(const struct bus *b, struct bus_state *out)
{
	*out = (struct bus_state){ .version = BUS_STATE_VERSION, .bytes = sizeof(*out), .acked_seq = atomic_load(&b->acked_seq) };
	for (unsigned pin = 0; pin < MODEL_LINES; pin++) {
		const struct irq_message *m = &b->pin_routes[pin];

		out->routes[pin] = (struct bus_route){
			.addr = m->addr, .data = m->data, .masked = m->masked, .known = m->type == IRQ_MSG_ROUTE
		};
	}
}

static void answer(struct vcpu_process *p, const struct frame *f, void *state, size_t bytes)
{
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;

	ok.has_state = true;
	ok.state = (ProtobufCBinaryData){ .len = bytes, .data = state };
	frame_send(p->child.control_fd, BULKHEAD__MESSAGE_TYPE__MSG_OK, f->header.id, &ok.base, NULL, 0);
}

void state_save(struct vcpu_process *p, struct frame *f)
{
	const Bulkhead__StatePart *m = (const Bulkhead__StatePart *)f->msg;
	static struct engine_state processor;
	static struct bus_state bus;
	const char *why = obstacle(p);
	int err;

	if (why) {
		refuse(p, f, -EBUSY, "state", why);
		return;
	}
	interrupts_take(p);
	if (!m->has_vcpu) {
		save_bus(&p->bus, &bus);
		answer(p, f, &bus, sizeof(bus));
		return;
	}
	err = m->vcpu < p->vcpus ? p->engine->ops->save(p->engine, m->vcpu, &processor) : -EINVAL;
	if (err)
		refuse(p, f, err, "processor", strerror(-err));
	else
		answer(p, f, &processor, sizeof(processor));
}

/* ---- in -------------------------------------------------------------------------------------------------------- */

static bool is_route_possible(const struct bus_route *r, unsigned pin)
{
	struct irq_message m = {
		.type = IRQ_MSG_ROUTE, .pin = (uint8_t)pin, .masked = r->masked, .addr = r->addr, .data = r->data
	};

	return r->known <= 1 && r->masked <= 1 && !r->reserved && (!r->known || !msi_check(&m));
}

static int check_bus(const struct bus_state *s, const char **field)
{
	*field = "bus: version";
	if (s->version != BUS_STATE_VERSION || s->bytes != sizeof(*s) || s->reserved)
		return -EINVAL;
	*field = "bus: routes";
	for (unsigned pin = 0; pin < MODEL_LINES; pin++)
		if (!is_route_possible(&s->routes[pin], pin))
			return -EINVAL;
	return 0;
}

static int restore_bus(struct vcpu_process *p, const ProtobufCBinaryData *state, const char **field)
{
	struct engine *e = p->engine;
	struct bus_state s;
	int err;

	*field = "bus: size";
	if (state->len != sizeof(s))
		return -EINVAL;
	memcpy(&s, state->data, sizeof(s));
	err = check_bus(&s, field);
	for (unsigned pin = 0; !err && pin < MODEL_LINES; pin++) {
		const struct bus_route *r = &s.routes[pin];

		if (!r->known)
			continue;
		p->bus.pin_routes[pin] = (struct irq_message){
			.type = IRQ_MSG_ROUTE, .pin = (uint8_t)pin, .masked = r->masked, .addr = r->addr, .data = r->data
		};
		*field = "bus: routes";
		err = e->ops->set_route(e, pin, r->addr, r->data, r->masked);
	}
	atomic_store(&p->bus.acked_seq, s.acked_seq);
	return err;
}

static int restore_processor(struct vcpu_process *p, unsigned vcpu, const ProtobufCBinaryData *state, const char **field)
{
	static struct engine_state s;

	*field = "processor: size, or number";
	if (vcpu >= p->vcpus || state->len != sizeof(s))
		return -EINVAL;
	memcpy(&s, state->data, sizeof(s));
	return p->engine->ops->restore(p->engine, vcpu, &s, field);
}

bool state_is_incomplete(const struct vcpu_process *p)
{
	return p->restored && p->restored_parts != (2ull << p->vcpus) - 1;
}

void state_restore(struct vcpu_process *p, struct frame *f)
{
	const Bulkhead__StatePart *m = (const Bulkhead__StatePart *)f->msg;
	const char *field = "state: missing";
	int err = -EINVAL;

	if (!p->restored || p->want_run) {
		refuse(p, f, -EPROTO, "state", "it is not the time to restore anything");
		return;
	}
	if (m->has_state && m->has_vcpu)
		err = restore_processor(p, m->vcpu, &m->state, &field);
	else if (m->has_state)
		err = restore_bus(p, &m->state, &field);
	if (err) {
		refuse(p, f, err, field, field ? field : strerror(-err));
		return;
	}
	p->restored_parts |= 1ull << (m->has_vcpu ? m->vcpu : p->vcpus);
	frame_reply_ok(p->child.control_fd, f->header.id);
}
