/* SPDX-License-Identifier: MIT */
/* Interrupt messages: MSI from devices, IPIs from the ICR, destinations, and the mailbox (SDM vol. 3, 10.6, 10.11). */
#include "lapic.h"

#include <errno.h>

struct message {
	uint32_t destination;
	uint32_t broadcast; /* the physical destination that means everybody: ffh, or ffffffffh from an x2APIC */
	bool logical, level;
	enum delivery mode;
	uint8_t vector;
};

/* ---- destinations ---------------------------------------------------------------------------------------------- */

/* SDM vol. 3, 10.6.2.2 and 10.12.10.2. */
static bool matches_logical(const struct lapic *a, uint32_t destination)
{
	uint32_t ldr = atomic_load_explicit(&a->ldr, memory_order_relaxed);
	uint32_t dfr = atomic_load_explicit(&a->dfr, memory_order_relaxed);
	uint32_t bits;

	if (lapic_is_x2(a))
		return destination >> 16 == ldr >> 16 && (destination & ldr & 0xffff);
	bits = ldr >> 24;
	if (dfr >> 28 == 0xf)
		return destination & bits & 0xff;
	return ((destination >> 4 & 0xf) == 0xf || (destination >> 4 & 0xf) == bits >> 4) && (destination & bits & 0xf);
}

static bool matches(const struct lapic *a, const struct message *m)
{
	if (m->destination == m->broadcast)
		return true;
	if (m->logical)
		return matches_logical(a, m->destination);
	return atomic_load_explicit(&a->id, memory_order_relaxed) == m->destination;
}

static struct lapic *lapic_of(struct machine *m, unsigned n)
{
	return m->emu[n] ? m->emu[n]->lapic : NULL;
}

/* ---- the mailbox -------------------------------------------------------------------------------------------------- */

static void post_flag(struct lapic *a, unsigned flag)
{
	atomic_fetch_or(&a->box.flags, flag);
}

/* What was sent before it finds a processor that does not wait for it: SIPI is lost. */
static void post_init(struct lapic *a)
{
	unsigned flags = atomic_load(&a->box.flags);

	while (!atomic_compare_exchange_weak(&a->box.flags, &flags, (flags & ~(unsigned)MAIL_SIPI) | MAIL_INIT))
		;
}

static void post_vector(struct lapic *a, uint8_t vector, bool level)
{
	atomic_fetch_or(level ? &a->box.level[vector / 32] : &a->box.edge[vector / 32], 1u << (vector % 32));
}

/* Any thread. First the contents, then the flag, then the wake-up: the owner takes the flag down before it empties
 * the box, so nothing that is put in later can stay unnoticed. */
static void post(struct lapic *a, const struct message *m)
{
	switch (m->mode) {
	case DELIVER_FIXED:
	case DELIVER_LOWEST:
		if (m->vector >= 16)
			post_vector(a, m->vector, m->level);
		else
			post_flag(a, MAIL_ILLEGAL);
		break;
	case DELIVER_NMI:
		post_flag(a, MAIL_NMI);
		break;
	case DELIVER_INIT:
		post_init(a);
		break;
	case DELIVER_SIPI:
		atomic_store(&a->box.sipi_vector, m->vector);
		post_flag(a, MAIL_SIPI);
		break;
	case DELIVER_EXTINT:
		post_flag(a, MAIL_EXTINT);
		break;
	case DELIVER_SMI: /* there is no SMM */
	case DELIVER_RESERVED:
		return;
	}
	atomic_store(&a->box.mail, 1);
	emu_wake(a->emu);
}

static void accept_words(struct lapic *a, unsigned n)
{
	uint32_t edge = atomic_exchange(&a->box.edge[n], 0), level = atomic_exchange(&a->box.level[n], 0);

	/* Switched off by software, an APIC takes only NMI, INIT, SIPI (SDM vol. 3, 10.4.7.2). */
	if (!lapic_takes_vectors(a))
		return;
	a->irr[n] |= edge | level;
	a->tmr[n] = (a->tmr[n] & ~edge) | level;
}

void lapic_drain(struct lapic *a)
{
	if (!atomic_load_explicit(&a->box.mail, memory_order_relaxed) || !atomic_exchange(&a->box.mail, 0))
		return;
	for (unsigned n = 0; n < 8; n++)
		accept_words(a, n);
	if (atomic_fetch_and(&a->box.flags, ~(unsigned)MAIL_ILLEGAL) & MAIL_ILLEGAL)
		lapic_error(a, ESR_RECEIVE_ILLEGAL);
}

/* ---- messages ------------------------------------------------------------------------------------------------------ */

/* One of those addressed: lowest task priority, and among equals the next in turn. */
static void post_lowest(struct machine *m, const struct message *msg)
{
	static atomic_uint turn;
	unsigned first = atomic_fetch_add(&turn, 1) % m->vcpus;
	struct lapic *best = NULL;

	for (unsigned n = 0; n < m->vcpus; n++) {
		struct lapic *a = lapic_of(m, (first + n) % m->vcpus);

		if (a && lapic_takes_vectors(a) && matches(a, msg) &&
		    (!best || atomic_load(&a->tpr) >> 4 < atomic_load(&best->tpr) >> 4))
			best = a;
	}
	if (best)
		post(best, msg);
}

static void post_all(struct machine *m, const struct message *msg, const struct lapic *except)
{
	if (msg->mode == DELIVER_LOWEST) {
		post_lowest(m, msg);
		return;
	}
	for (unsigned n = 0; n < m->vcpus; n++) {
		struct lapic *a = lapic_of(m, n);

		if (a && a != except && matches(a, msg))
			post(a, msg);
	}
}

int lapic_deliver_msi(struct machine *m, uint64_t addr, uint32_t data)
{
	struct message msg = {
		.destination = addr >> 12 & 0xff,
		.broadcast = 0xff,
		.logical = addr & 4,
		.level = data & 1u << 15,
		.mode = data >> 8 & 7,
		.vector = (uint8_t)data,
	};

	if (addr >> 20 != 0xfee || msg.mode == DELIVER_RESERVED || msg.mode == DELIVER_SIPI)
		return -EINVAL;
	if (msg.mode <= DELIVER_LOWEST && msg.vector < 16)
		return -EINVAL;
	post_all(m, &msg, NULL);
	return 0;
}

enum shorthand { SHORT_NONE, SHORT_SELF, SHORT_ALL, SHORT_OTHERS };

void lapic_send_icr(struct lapic *a)
{
	bool x2 = lapic_is_x2(a);
	enum shorthand shorthand = a->icr >> 18 & 3;
	struct message msg = {
		.destination = x2 ? (uint32_t)(a->icr >> 32) : (uint32_t)(a->icr >> 56),
		.broadcast = x2 ? UINT32_MAX : 0xff,
		.logical = a->icr & 1u << 11,
		.mode = a->icr >> 8 & 7,
		.vector = (uint8_t)a->icr,
	};

	/* INIT level de-assert only set arbitration ids on the Pentium (SDM vol. 3, 10.6.1). */
	if (msg.mode == DELIVER_INIT && (a->icr & 1u << 15) && !(a->icr & 1u << 14))
		return;
	if (msg.mode <= DELIVER_LOWEST && msg.vector < 16) {
		lapic_error(a, ESR_SEND_ILLEGAL);
		return;
	}
	switch (shorthand) {
	case SHORT_NONE:
		post_all(a->machine, &msg, NULL);
		break;
	case SHORT_SELF:
		/* On the own thread there is nobody to wake. */
		if (msg.mode <= DELIVER_LOWEST)
			lapic_raise(a, msg.vector, false);
		else
			post(a, &msg);
		break;
	case SHORT_ALL:
	case SHORT_OTHERS:
		msg.destination = msg.broadcast;
		post_all(a->machine, &msg, shorthand == SHORT_OTHERS ? a : NULL);
		break;
	}
	emu_attention(a->emu); /* it may be among those addressed */
}
