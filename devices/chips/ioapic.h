/* SPDX-License-Identifier: MIT */
/* Intel 82093AA I/O APIC, with the EOI register of version 20h. */
#ifndef BULKHEAD_DEVICES_CHIPS_IOAPIC_H
#define BULKHEAD_DEVICES_CHIPS_IOAPIC_H

#include "proto/reg.h"

enum {
	IOAPIC_PINS = 24,
	IOAPIC_REG_COUNT = 3,
	IOAPIC_INDIRECT_COUNT = 5,

	IOAPIC_REGSEL = 0x00,
	IOAPIC_WIN = 0x10,
	IOAPIC_EOI = 0x40,

	IOAPIC_IDX_ID = 0,
	IOAPIC_IDX_VERSION = 1,
	IOAPIC_IDX_ARBITRATION = 2,
	IOAPIC_IDX_TABLE = 0x10, /* two words per pin */
};

/* Redirection entry, low word (82093AA, 3.2.4). */
enum {
	RTE_VECTOR = 0xff,
	RTE_DELIVERY_SHIFT = 8,
	RTE_LOGICAL = 1 << 11,
	RTE_PENDING = 1 << 12, /* delivery status, read-only */
	RTE_ACTIVE_LOW = 1 << 13,
	RTE_REMOTE_IRR = 1 << 14, /* read-only */
	RTE_LEVEL = 1 << 15,
	RTE_MASKED = 1 << 16,
};

struct ioapic {
	uint32_t low[IOAPIC_PINS]; /* writable bits only; the read-only ones follow from the masks below */
	uint8_t dest[IOAPIC_PINS]; /* bits 63..56 of the entry */
	uint8_t sent[IOAPIC_PINS]; /* vector of the level interrupt in service, while remote_irr */
	uint32_t level;		   /* the pins, one bit each, electrical level */
	uint32_t edge;		   /* edges accepted and not sent yet */
	uint32_t remote_irr;
	uint32_t route; /* entries that changed since they were last told to the vcpu process */
	uint8_t index;	/* IOREGSEL */
	uint8_t id, arbitration;
};

struct ioapic_message {
	uint8_t pin;
	bool masked;
	uint64_t addr;
	uint32_t data;
};

extern const struct reg_desc ioapic_regs[IOAPIC_REG_COUNT];
/* Behind IOREGSEL: `offset` is the index; the last two rows are the two words of each entry. */
extern const struct reg_desc ioapic_indirect[IOAPIC_INDIRECT_COUNT];

void ioapic_reset(struct ioapic *a);
uint32_t ioapic_read(const struct ioapic *a, uint32_t offset);
void ioapic_write(struct ioapic *a, uint32_t offset, uint32_t value);
/* `rises` is the number of rising edges since the last call, those included that fell again. */
void ioapic_set_pin(struct ioapic *a, unsigned pin, bool level, uint32_t rises);
void ioapic_eoi(struct ioapic *a, uint8_t vector);

/* Takes the next entry that changed, or the next interrupt that must be sent. Per-pin bits are the queue: it
 * cannot overflow, and what nobody takes stays pending. */
bool ioapic_take_route(struct ioapic *a, struct ioapic_message *out);
bool ioapic_take_interrupt(struct ioapic *a, struct ioapic_message *out);

const char *ioapic_check(const struct ioapic *a);

#endif
