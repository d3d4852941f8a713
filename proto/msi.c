/* SPDX-License-Identifier: MIT */
/* Interrupt messages from irqd to the vCPU process: see msi.h. */
#include "msi.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "line.h"

#define MSI_ADDR_MASK 0xfff00000ull
#define MSI_ADDR_BASE 0xfee00000ull
enum { DELIVERY_FIXED, DELIVERY_LOWEST, DELIVERY_NMI = 4, VECTOR_MIN = 16 };

void msi_producer_init(struct msi_producer *p, struct msi_page *page, const struct ring_req *req, int doorbell_fd)
{
	*p = (struct msi_producer){ .page = page, .req = req, .doorbell_fd = doorbell_fd };
	p->tail = atomic_load_explicit(&page->tail, memory_order_relaxed);
	p->pic_out = atomic_load_explicit(&page->pic_out, memory_order_relaxed);
	p->dirty = true;
}

bool msi_has_room(const struct msi_producer *p)
{
	return p->tail - atomic_load_explicit(&p->req->msi_head, memory_order_acquire) < MSI_SLOTS;
}

int msi_push(struct msi_producer *p, const struct irq_message *m)
{
	struct msi_slot *slot = &p->page->slots[p->tail % MSI_SLOTS];

	if (!msi_has_room(p))
		return -EAGAIN;
	*slot = (struct msi_slot){
		.seq = p->tail,
		.type = (uint8_t)m->type,
		.pin = m->pin,
		.masked = m->masked,
		.addr = m->addr,
		.data = m->data,
	};
	atomic_store_explicit(&p->page->tail, ++p->tail, memory_order_release);
	p->dirty = true;
	return 0;
}

void msi_set_pic(struct msi_producer *p, struct pic_output out)
{
	uint64_t word = (uint64_t)out.seq << 32 | (uint64_t)out.vector << 8 | (out.intr ? 1u : 0u);

	if (word == p->pic_out)
		return;
	p->pic_out = word;
	atomic_store_explicit(&p->page->pic_out, word, memory_order_release);
	p->dirty = true;
}

/* The same two-fence pattern as for requests: see ring.c. */
void msi_notify(struct msi_producer *p)
{
	ssize_t n;

	if (!p->dirty)
		return;
	p->dirty = false;
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&p->req->msi_sleeping, memory_order_relaxed))
		return;
	n = write(p->doorbell_fd, "", 1);
	(void)n; /* a full pipe is a rung bell */
}

void msi_consumer_init(struct msi_consumer *c, const struct msi_page *page, struct ring_req *req)
{
	c->page = page;
	c->req = req;
	c->head = atomic_load_explicit(&req->msi_head, memory_order_relaxed);
	atomic_store(&c->rejected, 0);
}

static void take_to(struct msi_consumer *c, uint32_t head)
{
	c->head = head;
	atomic_store_explicit(&c->req->msi_head, head, memory_order_release);
}

void msi_discard(struct msi_consumer *c)
{
	take_to(c, atomic_load_explicit(&c->page->tail, memory_order_acquire));
}

static void copy_slot(struct msi_slot *out, const struct msi_slot *shared)
{
	const uint64_t *from = (const uint64_t *)shared;
	uint64_t words[sizeof(*out) / 8];

	for (size_t i = 0; i < sizeof(*out) / 8; i++)
		words[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	memcpy(out, words, sizeof(*out));
}

int msi_check(const struct irq_message *m)
{
	unsigned delivery = (m->data >> 8) & 7;

	if (m->type == IRQ_MSG_ROUTE) {
		if (m->pin >= MODEL_LINES)
			return -EINVAL;
		if (m->masked)
			return 0;
	} else if (m->type != IRQ_MSG_MSI) {
		return -EINVAL;
	}
	if ((m->addr & ~0xffffffffull) || (m->addr & MSI_ADDR_MASK) != MSI_ADDR_BASE)
		return -EINVAL;
	if (delivery == DELIVERY_NMI)
		return 0;
	if (delivery != DELIVERY_FIXED && delivery != DELIVERY_LOWEST)
		return -EINVAL;
	return (m->data & 0xff) >= VECTOR_MIN ? 0 : -EINVAL;
}

int msi_pop(struct msi_consumer *c, struct irq_message *message)
{
	uint32_t queued = atomic_load_explicit(&c->page->tail, memory_order_acquire) - c->head;
	struct msi_slot slot;

	if (queued == 0)
		return -EAGAIN;
	if (queued > MSI_SLOTS)
		return -EPROTO;
	copy_slot(&slot, &c->page->slots[c->head % MSI_SLOTS]);
	if (slot.seq != c->head)
		return -EPROTO;
	take_to(c, c->head + 1);
	*message = (struct irq_message){
		.type = slot.type,
		.pin = slot.pin,
		.masked = slot.masked != 0,
		.addr = slot.addr,
		.data = slot.data,
	};
	if (!msi_check(message))
		return 0;
	atomic_fetch_add_explicit(&c->rejected, 1, memory_order_relaxed);
	return -EBADMSG;
}

struct pic_output msi_get_pic(const struct msi_page *page)
{
	uint64_t word = atomic_load_explicit(&page->pic_out, memory_order_acquire);

	return (struct pic_output){ .seq = (uint32_t)(word >> 32), .vector = (uint8_t)(word >> 8), .intr = word & 1 };
}

bool msi_sleep(struct msi_consumer *c, struct pic_output seen)
{
	struct pic_output now;

	atomic_store(&c->req->msi_sleeping, 1);
	atomic_thread_fence(memory_order_seq_cst);
	now = msi_get_pic(c->page);
	if (atomic_load_explicit(&c->page->tail, memory_order_acquire) == c->head && now.seq == seen.seq &&
	    now.intr == seen.intr && now.vector == seen.vector)
		return true;
	msi_awake(c);
	return false;
}

void msi_awake(struct msi_consumer *c)
{
	atomic_store_explicit(&c->req->msi_sleeping, 0, memory_order_relaxed);
}
