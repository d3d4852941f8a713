/* SPDX-License-Identifier: MIT */
/* Intel 8259A interrupt controllers, master and slave, as a PC wires them, with the ELCR of EISA and ISA
 * bridges. */
#ifndef BULKHEAD_DEVICES_CHIPS_PIC_H
#define BULKHEAD_DEVICES_CHIPS_PIC_H

#include "proto/reg.h"

enum {
	PIC_MASTER_BASE = 0x20,
	PIC_SLAVE_BASE = 0xa0,
	PIC_ELCR_BASE = 0x4d0,
	PIC_CASCADE_IR = 2,
	PIC_REG_COUNT = 2,
	PIC_ELCR_REG_COUNT = 2,
};

/* Which initialization command word the chip waits for (8259A, figure 6, "Initialization Sequence"). */
enum pic_step { PIC_READY, PIC_WANT_ICW2, PIC_WANT_ICW3, PIC_WANT_ICW4, PIC_STEPS };

struct pic {
	uint8_t irr; /* edge-sensed IRs: latched; level-sensed: follows `level` */
	uint8_t isr;
	uint8_t imr;
	uint8_t level; /* the input pins */
	uint8_t elcr;  /* 1: level-sensed */
	uint8_t icw1;
	uint8_t base; /* ICW2 */
	uint8_t icw3; /* master: which IRs have a slave; slave: its number */
	uint8_t icw4;
	uint8_t lowest;					   /* the IR of lowest priority, 7 after ICW1 */
	uint8_t step;					   /* enum pic_step */
	uint8_t slave;					   /* pin SP/EN: 1 for the slave */
	uint8_t special_mask, rotate_aeoi, read_isr, poll; /* 0 or 1 */
};

struct pic_pair {
	struct pic chip[2]; /* master, slave */
};

/* What an acknowledge cycle would find; ir[1] is -1 if the slave takes no part. ir[0] is -1: nothing pending.
 */
struct pic_choice {
	int8_t ir[2];
};

extern const struct reg_desc pic_regs[PIC_REG_COUNT]; /* of one chip */
extern const struct reg_desc pic_elcr_regs[PIC_ELCR_REG_COUNT];

void pic_reset(struct pic_pair *p);

/* `chip` is 0 or 1, `a0` the address line. */
uint8_t pic_read(struct pic_pair *p, unsigned chip, unsigned a0);
void pic_write(struct pic_pair *p, unsigned chip, unsigned a0, uint8_t value);
uint8_t pic_elcr_read(const struct pic_pair *p, unsigned chip);
void pic_elcr_write(struct pic_pair *p, unsigned chip, uint8_t value);

/* ISA interrupt 0..15 (2 is the cascade and ignored). `edge`: the line rose since the last call, even if it
 * has fallen again. */
void pic_set_line(struct pic_pair *p, unsigned irq, bool level, bool edge);

/* INT output of the master and what an acknowledge would choose. */
bool pic_intr(const struct pic_pair *p);
struct pic_choice pic_choose(const struct pic_pair *p);
/* The vector that `choice` gives; IR7 where there is none. */
uint8_t pic_vector(const struct pic_pair *p, struct pic_choice choice);
/* Acknowledge cycle for a choice; sets in-service bits and clears edge latches. */
void pic_ack(struct pic_pair *p, struct pic_choice choice);

bool pic_imr_is_shadowable(const struct pic *c);

/* NULL, or the name of the first field that no operation could have produced. */
const char *pic_check(const struct pic_pair *p);

#endif
