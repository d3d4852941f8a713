/* SPDX-License-Identifier: MIT */
/* Messages of irqd, for local APICs and the 8259's output: out of its ring, into the engine. */
#include "vcpu.h"

#include "proto/log.h"
#include "proto/probe.h"

#include <errno.h>

static void take_message(struct vcpu_process *p, const struct irq_message *msg)
{
	struct engine *e = p->engine;

	if (msg->type == IRQ_MSG_MSI) {
		/* The emulator counts when they come. */
		if (e->ops == &engine_kvm) {
			counter_add(&p->bus.counters->thread[COUNTERS_HELPER].vector[msg->data & 0xff], 1);
			vcpu_trace_vector(&p->bus.trace, p->vcpus, msg->data & 0xff, TRACE_POSTED, (uint16_t)p->bus.irqd->role);
		}
		PROBE2(message, msg->addr, msg->data);
		e->ops->signal_msi(e, msg->addr, msg->data);
	} else {
		p->bus.pin_routes[msg->pin] = *msg;
		e->ops->set_route(e, msg->pin, msg->addr, msg->data, msg->masked);
	}
}

/*
 * Bounded: the ring holds MSI_SLOTS, and a fresh doorbell comes for more. If irqd broke the ring, reading goes on at its
 * end: the next incarnation may be sane.
 */
bool interrupts_take(struct vcpu_process *p)
{
	struct engine *e = p->engine;
	struct irq_message msg;
	struct pic_output out;
	int err = 0;

	for (unsigned n = 0; n < 4 * MSI_SLOTS && err != -EAGAIN && err != -EPROTO; n++) {
		err = msi_pop(&p->msi, &msg);
		if (!err)
			take_message(p, &msg);
	}
	if (err == -EPROTO) {
		log_warning("irqd broke the ring of interrupt messages: what was in it is lost");
		msi_discard(&p->msi);
	}
	out = msi_get_pic(p->bus.msi);
	if (out.seq != p->seen.seq || out.intr != p->seen.intr) {
		p->seen = out;
		e->ops->extint_changed(e);
	}
	return err != -EPROTO;
}
