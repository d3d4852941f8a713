/* SPDX-License-Identifier: MIT */
/* design.md, section 3; SDM vol. 3, "Message Signalled Interrupts" (address FEEx_xxxxh, vectors 16..254). */
#include <errno.h>
#include <stdlib.h>

#include "proto/msi.h"
#include "proto_harness.h"

struct pair {
	struct test_object page, req;
	int bell[2];
	struct msi_producer p;
	struct msi_consumer c;
};

static void make(struct pair *x)
{
	test_object_make(&x->page, "msi", sizeof(struct msi_page));
	test_object_make(&x->req, "req", sizeof(struct ring_req));
	cr_assert_eq(pipe2(x->bell, O_NONBLOCK), 0);
	msi_producer_init(&x->p, x->page.rw, x->req.ro, x->bell[1]);
	msi_consumer_init(&x->c, x->page.ro, x->req.rw);
}

static void unmake(struct pair *x)
{
	test_object_free(&x->page);
	test_object_free(&x->req);
	close(x->bell[0]);
	close(x->bell[1]);
}

static const struct irq_message timer = { .type = IRQ_MSG_MSI, .pin = 2, .addr = 0xfee00000, .data = 0x30 };

Test(msi, order_room_and_wrap)
{
	struct pair x;
	struct irq_message m = timer, got;

	make(&x);
	for (uint32_t round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < MSI_SLOTS; i++) {
			m.data = 0x30 + i;
			cr_assert_eq(msi_push(&x.p, &m), 0);
		}
		cr_assert_not(msi_has_room(&x.p));
		cr_assert_eq(msi_push(&x.p, &m), -EAGAIN, "never overwritten");
		for (uint32_t i = 0; i < MSI_SLOTS; i++) {
			cr_assert_eq(msi_pop(&x.c, &got), 0);
			cr_assert_eq(got.data, 0x30 + i);
			cr_assert_eq(got.addr, 0xfee00000);
		}
		cr_assert_eq(msi_pop(&x.c, &got), -EAGAIN);
	}
	unmake(&x);
}

Test(msi, what_a_machine_could_send)
{
	struct irq_message m = timer;

	cr_assert_eq(msi_check(&m), 0);
	m.data = 0x400; /* NMI: the vector does not count */
	cr_assert_eq(msi_check(&m), 0);
	m.data = 0x1fe; /* lowest priority */
	cr_assert_eq(msi_check(&m), 0);
	m.data = 0x0f; /* vectors 0..15 are illegal */
	cr_assert_eq(msi_check(&m), -EINVAL);
	for (unsigned delivery = 2; delivery < 8; delivery++) {
		m.data = delivery << 8 | 0x30;
		cr_assert_eq(msi_check(&m), delivery == 4 ? 0 : -EINVAL, "delivery mode %u", delivery);
	}
	m = timer;
	m.addr = 0xfed00000;
	cr_assert_eq(msi_check(&m), -EINVAL);
	m.addr = 0x1fee00000;
	cr_assert_eq(msi_check(&m), -EINVAL);
	m = timer;
	m.type = 7;
	cr_assert_eq(msi_check(&m), -EINVAL);
	m = (struct irq_message){ .type = IRQ_MSG_ROUTE, .pin = 23, .masked = true };
	cr_assert_eq(msi_check(&m), 0, "a masked entry may hold anything");
	m.pin = 24;
	cr_assert_eq(msi_check(&m), -EINVAL);
}

Test(msi, bad_messages_are_skipped_bad_indices_end_it)
{
	struct pair x;
	struct irq_message m = timer, got;

	make(&x);
	m.addr = 0;
	msi_push(&x.p, &m);
	msi_push(&x.p, &timer);
	cr_assert_eq(msi_pop(&x.c, &got), -EBADMSG);
	cr_assert_eq(atomic_load(&x.c.rejected), 1);
	cr_assert_eq(msi_pop(&x.c, &got), 0);
	msi_push(&x.p, &timer);
	((struct msi_page *)x.page.rw)->slots[2].seq = 5;
	cr_assert_eq(msi_pop(&x.c, &got), -EPROTO);
	atomic_store(&((struct msi_page *)x.page.rw)->tail, 1000);
	cr_assert_eq(msi_pop(&x.c, &got), -EPROTO);
	msi_discard(&x.c);
	cr_assert_eq(msi_pop(&x.c, &got), -EAGAIN);
	unmake(&x);
}

Test(msi, new_reader_goes_on_and_may_discard)
{
	struct pair x;
	struct msi_consumer next;
	struct irq_message got;

	make(&x);
	for (int i = 0; i < 3; i++)
		msi_push(&x.p, &timer);
	cr_assert_eq(msi_pop(&x.c, &got), 0);
	msi_consumer_init(&next, x.page.ro, x.req.rw);
	cr_assert_eq(msi_pop(&next, &got), 0, "second message");
	msi_discard(&next);
	cr_assert_eq(msi_pop(&next, &got), -EAGAIN);
	unmake(&x);
}

/* The doorbell rings only for a sleeper, and a sleeper who has something to do does not fall asleep. */
Test(msi, doorbell_and_sleep)
{
	struct pair x;
	struct pic_output seen = { 0 };
	char byte;

	make(&x);
	msi_push(&x.p, &timer);
	msi_notify(&x.p);
	cr_assert_eq(read(x.bell[0], &byte, 1), -1);
	cr_assert_not(msi_sleep(&x.c, seen));
	msi_discard(&x.c);
	cr_assert(msi_sleep(&x.c, seen));
	msi_notify(&x.p);
	cr_assert_eq(read(x.bell[0], &byte, 1), -1, "nothing new");
	msi_set_pic(&x.p, (struct pic_output){ .seq = 9, .vector = 0x28, .intr = true });
	msi_notify(&x.p);
	cr_assert_eq(read(x.bell[0], &byte, 1), 1);
	msi_awake(&x.c);
	cr_assert_not(msi_sleep(&x.c, seen), "the 8259 has changed");
	seen = msi_get_pic(x.page.ro);
	cr_assert_eq(seen.seq, 9);
	cr_assert_eq(seen.vector, 0x28);
	cr_assert(seen.intr);
	unmake(&x);
}
