/* SPDX-License-Identifier: MIT */
/* State of the irq model, and what its shell asks of it; the rest is in model.h. */
#ifndef BULKHEAD_DEVICES_IRQ_MODEL_H
#define BULKHEAD_DEVICES_IRQ_MODEL_H

#include "devices/chips/ioapic.h"
#include "devices/chips/pic.h"
#include "devices/model.h"

enum { IRQ_HISTORY = 8, IRQ_OWED_MAX = 20000 };

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
	/* Ticks of a timer line that came while nobody looked. */
	struct irq_debt {
		uint32_t owed;	/* still to be presented */
		uint32_t grace; /* of those that come meanwhile, so many more are owed */
		uint8_t catching_up; /* 0 or 1: what is latched now is one of them */
		uint8_t reserved[3];
	} debts[16];
};

/* Wires in, messages out. */
/* New words for all lines (as the devices' LINE pages show them, already filtered by owner). */
void irq_model_set_lines(void *state, const uint32_t words[MODEL_LINES]);
/* The same, when nobody has looked for a while. */
void irq_model_look_again(void *state, const uint32_t words[MODEL_LINES]);
/* Takes the oldest message to the vcpu process; false when there is none. Bounded queue: level state is never lost,
 * because a pin that could not send stays pending. */
bool irq_model_take_message(void *state, struct irq_message *out);
struct pic_output irq_model_pic_output(const void *state);
/* Interrupt acknowledge cycle of the output with that seq; a stale seq is the hardware's spurious case. Returns the
 * vector that the CPU gets (always one: IR7 of the master if spurious). */
uint8_t irq_model_intack(void *state, uint32_t seq);
/* EOI broadcast from a local APIC. */
void irq_model_eoi(void *state, uint8_t vector);

#endif
