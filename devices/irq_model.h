/* SPDX-License-Identifier: MIT */
/* State of the irq model; the functions are in model.h. */
#ifndef BULKHEAD_DEVICES_IRQ_MODEL_H
#define BULKHEAD_DEVICES_IRQ_MODEL_H

#include "devices/chips/ioapic.h"
#include "devices/chips/pic.h"
#include "devices/model.h"

enum { IRQ_HISTORY = 8 };

/* An output of the 8259 that the CPU may have acknowledged while it was being replaced by the next one. */
struct irq_offer {
	uint32_t seq;
	struct pic_choice choice;
	uint8_t vector;
	uint8_t open; /* not acknowledged yet, 0 or 1 */
};

struct irq_state {
	struct pic_pair pic;
	struct ioapic ioapic;
	uint32_t words[MODEL_LINES];
	uint32_t seq;
	uint8_t vector;
	uint8_t intr;			      /* 0 or 1 */
	struct irq_offer offers[IRQ_HISTORY]; /* by seq modulo IRQ_HISTORY */
};

#endif
