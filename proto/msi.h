/* SPDX-License-Identifier: MIT */
/*
 * irqd -> vCPU process: messages to local APICs, routes of IOAPIC pins, and the 8259's output word. The page is written
 * by irqd only; how far it has been read stands in REQ of irqd's channel (msi_head), which the vCPU process writes.
 * irqd never waits: a message that finds no room stays in its model.
 */
#ifndef BULKHEAD_PROTO_MSI_H
#define BULKHEAD_PROTO_MSI_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "irq.h"
#include "ring.h"

enum { MSI_SLOTS = 64 };

/* Writer: irqd. Reader: vcpu. Published by the page's tail. */
struct msi_slot {
	uint32_t seq;	 /* index of this slot */
	uint8_t type;	 /* IRQ_MSG_MSI, IRQ_MSG_ROUTE */
	uint8_t pin;	 /* IOAPIC pin */
	uint8_t masked;	 /* IRQ_MSG_ROUTE */
	uint8_t reserved;
	uint64_t addr;
	uint32_t data;
	uint32_t reserved2;
	uint64_t reserved3;
};
_Static_assert(sizeof(struct msi_slot) == 32 && offsetof(struct msi_slot, addr) == 8, "MSI slot");
_Static_assert(offsetof(struct msi_slot, data) == 16, "MSI slot");

struct msi_page {
	_Atomic uint32_t tail; /* messages published, free-running */
	uint32_t pad0[15];
	_Atomic uint64_t pic_out; /* seq << 32 | vector << 8 | intr: one word, so never torn */
	uint64_t pad1[7];
	struct msi_slot slots[MSI_SLOTS];
};
_Static_assert(offsetof(struct msi_page, pic_out) == 64 && offsetof(struct msi_page, slots) == 128, "MSI");
_Static_assert(sizeof(struct msi_page) == 2176, "MSI");

/* irqd's side. */
struct msi_producer {
	struct msi_page *page;
	const struct ring_req *req; /* of irqd's own channel */
	int doorbell_fd;	    /* to the vCPU process's helper thread */
	uint32_t tail;
	uint64_t pic_out;
	bool dirty; /* something was published since the last msi_notify() */
};

/* Goes on where the page says (a new page: 0). The first msi_notify() rings in any case: a predecessor may have died between
 * what it published and its bell, and an interrupt would wait for the next one. */
void msi_producer_init(struct msi_producer *p, struct msi_page *page, const struct ring_req *req, int doorbell_fd);
/* 0; -EAGAIN: no room (or the reader's head is nonsense, which harms only its own guest): keep it and come back. */
int msi_push(struct msi_producer *p, const struct irq_message *message);
/* Is there room for one more? */
bool msi_has_room(const struct msi_producer *p);
void msi_set_pic(struct msi_producer *p, struct pic_output out);
/* Rings the helper's doorbell if something was published and it sleeps. Never blocks. */
void msi_notify(struct msi_producer *p);

/* The vCPU process's side: one thread (the helper) pops; any thread may read pic_out. */
struct msi_consumer {
	const struct msi_page *page;
	struct ring_req *req;
	uint32_t head;
	_Atomic uint64_t rejected; /* messages that failed validation */
};

/*
 * Attaches at req->msi_head (a new vCPU process after a reboot goes on there). After the IO_RESET of irqd has been
 * answered, msi_discard() drops what was published for the machine before the reset.
 */
void msi_consumer_init(struct msi_consumer *c, const struct msi_page *page, struct ring_req *req);
void msi_discard(struct msi_consumer *c);

/*
 * 0        *message is a private copy that passed msi_check()
 * -EAGAIN  nothing there
 * -EBADMSG a message was taken but is not one that a machine could send: dropped, counted; go on
 * -EPROTO  irqd broke the protocol (index jump)
 */
int msi_pop(struct msi_consumer *c, struct irq_message *message);
struct pic_output msi_get_pic(const struct msi_page *page);

/* Before and after the helper sleeps on its doorbell; msi_sleep() returns false if there is something to pop, or the
 * 8259's output differs from `seen`. */
bool msi_sleep(struct msi_consumer *c, struct pic_output seen);
void msi_awake(struct msi_consumer *c);

/* 0 or -EINVAL. Accepted: an address in the local APIC range with delivery mode fixed or lowest priority and a vector >= 16,
 * or NMI (SDM vol. 3, "Message Signalled Interrupts"); ExtINT has its own path (pic_out). A masked route is always fine. */
int msi_check(const struct irq_message *message);

/* What the page is while irqd is away: for the state of a machine (msi_image.c). */
struct msi_image {
	uint32_t tail;
	uint32_t reserved; /* 0 */
	uint64_t pic_out;
	struct msi_slot slots[MSI_SLOTS]; /* those from the reader's msi_head to tail count; the others are zeroes */
};
_Static_assert(sizeof(struct msi_image) == 2064, "MSI image");

/* `head`: what the reader has taken. -EPROTO: tail and head contradict each other. */
int msi_save(const struct msi_page *page, uint32_t head, struct msi_image *out);
/* Into a new page. -EINVAL: no page can be like that. */
int msi_restore(struct msi_page *page, uint32_t head, const struct msi_image *in);

#endif
