/* SPDX-License-Identifier: MIT */
/* What irqd tells the vcpu process: see msi.h. */
#ifndef BULKHEAD_PROTO_IRQ_H
#define BULKHEAD_PROTO_IRQ_H

#include <stdbool.h>
#include <stdint.h>

struct irq_message {
	enum { IRQ_MSG_MSI, IRQ_MSG_ROUTE } type;
	uint8_t pin;
	bool masked;	 /* IRQ_MSG_ROUTE */
	uint64_t addr;
	uint32_t data;
};

/* The 8259's INT output and the vector an acknowledge would get now; `seq` changes whenever either changes. */
struct pic_output {
	uint32_t seq;
	uint8_t vector;
	bool intr;
};

#endif
