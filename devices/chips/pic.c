/* SPDX-License-Identifier: MIT */
/*
 * Intel 8259A pair. Section names are those of the data sheet (order number 231468).
 *
 * One deviation: the data sheet wants an IR input to stay high until the first INTA pulse, else the request
 * is lost and IR7 is given. Here an edge once seen stays latched. The device's line and the acknowledge reach
 * us through two different queues, so the width of a pulse says nothing about what the CPU saw; a lost timer
 * tick would. The cascade input is inside this file, has no such gap, and follows the slave's INT as on the
 * wire.
 */
#include "pic.h"

enum {
	ICW1_SELECT = 0x10,
	ICW1_IC4 = 0x01,
	ICW1_SNGL = 0x02,
	ICW1_ADI = 0x04,
	ICW4_UPM = 0x01,
	ICW4_AEOI = 0x02,
	ICW4_SFNM = 0x10,
	OCW3_SELECT = 0x08,
	OCW3_RIS = 0x01,
	OCW3_RR = 0x02,
	OCW3_POLL = 0x04,
	OCW3_SMM = 0x20,
	OCW3_ESMM = 0x40,
	POLL_REQUEST = 0x80,
	SPURIOUS_IR = 7,
};

/*
 * EOI and priority commands may be posted: they can only let interrupts through, never hold one back. ICW1
 * and OCW3 stand at the same address and must not (OCW3's special mask mode masks; ICW1 drops everything).
 */
const struct reg_desc pic_regs[PIC_REG_COUNT] = {
	{.name = "ICW1/OCW2/OCW3",
	 .offset = 0,
	 .size = 1,
	 .readable = true,
	 .writable = true,
	 .reset = 0,
	 .write_mask = 0,
	 .post = REG_POSTED,
	 .class = CLASS_CONFIG,
	 .post_mask = ICW1_SELECT | OCW3_SELECT},
	{.name = "IMR",
	 .offset = 1,
	 .size = 1,
	 .readable = true,
	 .writable = true,
	 .reset = 0xff,
	 .write_mask = 0xff,
	 .post = REG_SYNC,
	 .shadow = REG_SHADOW_VALUE},
};

/* 82371AB, "ELCR1, ELCR2": IRQ 0, 1, 2, 8 and 13 cannot be made level-sensed; their bits read 0. */
const struct reg_desc pic_elcr_regs[PIC_ELCR_REG_COUNT] = {
	{.name = "ELCR1", .offset = 0, .size = 1, .readable = true, .writable = true, .write_mask = 0xf8},
	{.name = "ELCR2", .offset = 1, .size = 1, .readable = true, .writable = true, .write_mask = 0xde},
};

static bool is_single(const struct pic *c)
{
	return c->icw1 & ICW1_SNGL;
}

/* IRs of the master that a slave hangs on; none for a slave or in single mode. */
static uint8_t cascade_mask(const struct pic *c)
{
	return c->slave || is_single(c) ? 0 : c->icw3;
}

/*
 * The IR that the priority resolver puts forward, or -1.
 *
 * "Fully Nested Mode": while an IS bit is set, its level and all lower ones are inhibited. "Special Fully
 * Nested Mode": a slave's own level is not locked out by itself. "Special Mask Mode": a level that is masked
 * by OCW1 no longer inhibits others.
 */
static int resolve(const struct pic *c)
{
	const uint8_t request = c->irr & (uint8_t)~c->imr;
	const uint8_t service = c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr;
	const uint8_t reentrant = c->icw4 & ICW4_SFNM ? cascade_mask(c) : 0;

	if (c->step != PIC_READY)
		return -1;
	for (unsigned i = 1; i <= 8; i++) {
		const unsigned ir = (c->lowest + i) & 7;
		const uint8_t bit = (uint8_t)(1u << ir);

		if ((request & bit) && (!(service & bit) || (reentrant & bit)))
			return (int)ir;
		if (service & bit)
			return -1;
	}
	return -1;
}

/* A pin changes: latch an edge, or follow the level. */
static void set_pin(struct pic *c, unsigned ir, bool level, bool edge)
{
	const uint8_t bit = (uint8_t)(1u << ir);

	edge = edge || (level && !(c->level & bit));
	c->level = (uint8_t)((c->level & ~bit) | (level ? bit : 0));
	if (c->elcr & bit)
		c->irr = (uint8_t)((c->irr & ~bit) | (level ? bit : 0));
	else if (edge)
		c->irr |= bit;
}

/* The slave's INT pin drives IR2. `pulse`: an acknowledge took the pin low for a moment. */
static void cascade(struct pic_pair *p, bool pulse)
{
	const bool intr = resolve(&p->chip[1]) >= 0;
	const uint8_t bit = 1u << PIC_CASCADE_IR;

	if (!intr)
		p->chip[0].irr &= (uint8_t)~bit;
	set_pin(&p->chip[0], PIC_CASCADE_IR, intr, intr && pulse);
}

/* "INTERRUPT SEQUENCE": the highest request moves from IRR to ISR; a level-sensed IRR bit goes on following
 * its pin. "Automatic End of Interrupt": the IS bit is reset again by the trailing edge of the last INTA. */
static void acknowledge(struct pic *c, unsigned ir)
{
	const uint8_t bit = (uint8_t)(1u << ir);

	if (!(c->elcr & bit))
		c->irr &= (uint8_t)~bit;
	if (!(c->icw4 & ICW4_AEOI))
		c->isr |= bit;
	else if (c->rotate_aeoi)
		c->lowest = (uint8_t)ir;
}

/* "Initialization Command Words 1 and 2", a to f: edge sense reset, IMR cleared, IR7 lowest, slave address 7,
 * special mask off, status read IRR, and without IC4 all of ICW4 zero. LTIM has no function beside an ELCR
 * (82371AB, ICW1). */
static void write_icw1(struct pic *c, uint8_t value)
{
	c->icw1 = value;
	c->irr = c->level & c->elcr;
	c->isr = 0;
	c->imr = 0;
	c->icw3 = c->slave ? 7 : 0;
	c->lowest = 7;
	c->special_mask = c->rotate_aeoi = c->read_isr = c->poll = 0;
	if (!(value & ICW1_IC4))
		c->icw4 = 0;
	c->step = PIC_WANT_ICW2;
}

/* Next word of the sequence: ICW3 only with slaves, ICW4 only if ICW1 announced it. */
static void write_icw(struct pic *c, uint8_t value)
{
	const uint8_t after = c->icw1 & ICW1_IC4 ? PIC_WANT_ICW4 : PIC_READY;

	switch ((enum pic_step)c->step) {
	case PIC_WANT_ICW2:
		c->base = value;
		c->step = is_single(c) ? after : PIC_WANT_ICW3;
		break;
	case PIC_WANT_ICW3:
		c->icw3 = c->slave ? value & 7 : value;
		c->step = after;
		break;
	case PIC_WANT_ICW4:
		c->icw4 = value & 0x1f;
		c->step = PIC_READY;
		break;
	case PIC_READY:
	case PIC_STEPS:
		break;
	}
}

/* The IS bit of highest priority; -1 if none. In special mask mode a masked one is not touched by a
 * non-specific EOI
 * ("End of Interrupt"). */
static int highest_in_service(const struct pic *c)
{
	const uint8_t service = c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr;

	for (unsigned i = 1; i <= 8; i++) {
		if (service & (1u << ((c->lowest + i) & 7)))
			return (int)((c->lowest + i) & 7);
	}
	return -1;
}

static void end_of_interrupt(struct pic *c, int ir, bool rotate)
{
	if (ir < 0)
		return;
	c->isr &= (uint8_t) ~(1u << ir);
	if (rotate)
		c->lowest = (uint8_t)ir;
}

/* "Operation Control Word 2": R, SL, EOI in bits 7 to 5, a level in bits 2 to 0. */
static void write_ocw2(struct pic *c, uint8_t value)
{
	const int ir = value & 7;

	switch (value >> 5) {
	case 0: /* clear rotate in automatic EOI mode */
	case 4: /* set it */
		c->rotate_aeoi = value >> 7;
		break;
	case 1: /* non-specific EOI */
	case 5: /* and rotate */
		end_of_interrupt(c, highest_in_service(c), value >> 7);
		break;
	case 3: /* specific EOI */
	case 7: /* and rotate */
		end_of_interrupt(c, ir, value >> 7);
		break;
	case 6: /* set priority */
		c->lowest = (uint8_t)ir;
		break;
	case 2: /* no operation */
		break;
	}
}

static void write_ocw3(struct pic *c, uint8_t value)
{
	if (value & OCW3_ESMM)
		c->special_mask = !!(value & OCW3_SMM);
	c->poll = !!(value & OCW3_POLL);
	if (value & OCW3_RR)
		c->read_isr = value & OCW3_RIS;
}

void pic_write(struct pic_pair *p, unsigned chip, unsigned a0, uint8_t value)
{
	struct pic *c = &p->chip[chip];

	if (a0) {
		if (c->step == PIC_READY)
			c->imr = value; /* OCW1 */
		else
			write_icw(c, value);
	} else if (value & ICW1_SELECT) {
		write_icw1(c, value);
	} else if (value & OCW3_SELECT) {
		write_ocw3(c, value);
	} else {
		write_ocw2(c, value);
	}
	cascade(p, false);
}

/* "Poll Command": the next read is an acknowledge; it gives the level in bits 2 to 0 and bit 7 if there was
 * one. */
static uint8_t poll_read(struct pic_pair *p, struct pic *c)
{
	const int ir = resolve(c);

	c->poll = 0;
	if (ir < 0)
		return SPURIOUS_IR;
	acknowledge(c, (unsigned)ir);
	cascade(p, c->slave);
	return (uint8_t)(POLL_REQUEST | ir);
}

uint8_t pic_read(struct pic_pair *p, unsigned chip, unsigned a0)
{
	struct pic *c = &p->chip[chip];

	if (c->poll)
		return poll_read(p, c);
	if (a0)
		return c->imr;
	return c->read_isr ? c->isr : c->irr;
}

uint8_t pic_elcr_read(const struct pic_pair *p, unsigned chip)
{
	return p->chip[chip].elcr;
}

/* A pin that becomes edge-sensed forgets its level; one that becomes level-sensed shows it at once. */
void pic_elcr_write(struct pic_pair *p, unsigned chip, uint8_t value)
{
	struct pic *c = &p->chip[chip];
	const uint8_t elcr = value & (uint8_t)pic_elcr_regs[chip].write_mask;
	const uint8_t changed = elcr ^ c->elcr;

	c->elcr = elcr;
	c->irr = (uint8_t)((c->irr & ~changed) | (c->level & changed & elcr));
	cascade(p, false);
}

void pic_set_line(struct pic_pair *p, unsigned irq, bool level, bool edge)
{
	if (irq > 15 || irq == PIC_CASCADE_IR)
		return;
	set_pin(&p->chip[irq >> 3], irq & 7, level, edge);
	cascade(p, false);
}

bool pic_intr(const struct pic_pair *p)
{
	return resolve(&p->chip[0]) >= 0;
}

struct pic_choice pic_choose(const struct pic_pair *p)
{
	struct pic_choice choice = { { (int8_t)resolve(&p->chip[0]), -1 } };

	if (choice.ir[0] >= 0 && (cascade_mask(&p->chip[0]) & (1u << choice.ir[0])))
		choice.ir[1] = (int8_t)resolve(&p->chip[1]);
	return choice;
}

/* In MCS-80 mode INTA puts out the address of a CALL (interval 4 or 8); an x86 takes the byte of the second
 * pulse, its low half, for the vector. */
static uint8_t chip_vector(const struct pic *c, unsigned ir)
{
	if (c->icw4 & ICW4_UPM)
		return (uint8_t)((c->base & 0xf8) | ir);
	if (c->icw1 & ICW1_ADI)
		return (uint8_t)((c->icw1 & 0xe0) | ir << 2);
	return (uint8_t)((c->icw1 & 0xc0) | ir << 3);
}

/* Does a chip answer to the master's CAS lines? Only the slave on IR2 is wired, and it compares its ICW3
 * number. */
static bool slave_answers(const struct pic_pair *p, int ir)
{
	return ir == PIC_CASCADE_IR && p->chip[1].icw3 == ir && p->chip[1].step == PIC_READY;
}

uint8_t pic_vector(const struct pic_pair *p, struct pic_choice choice)
{
	const struct pic *m = &p->chip[0], *s = &p->chip[1];

	if (choice.ir[0] < 0)
		return chip_vector(m, SPURIOUS_IR);
	if (!(cascade_mask(m) & (1u << choice.ir[0])))
		return chip_vector(m, (unsigned)choice.ir[0]);
	if (!slave_answers(p, choice.ir[0]))
		return 0xff; /* nobody drives the bus */
	return chip_vector(s, choice.ir[1] < 0 ? SPURIOUS_IR : (unsigned)choice.ir[1]);
}

/*
 * "Edge and Level Triggered Modes": if the request is gone, IR7 is given and no IS bit is set. If it was the
 * slave's that went, the master has set its own IS bit for the cascade already: the guest must send the
 * master an EOI.
 */
void pic_ack(struct pic_pair *p, struct pic_choice choice)
{
	struct pic *m = &p->chip[0];

	if (choice.ir[0] < 0)
		return;
	acknowledge(m, (unsigned)choice.ir[0]);
	if (!(cascade_mask(m) & (1u << choice.ir[0])) || !slave_answers(p, choice.ir[0]))
		return;
	if (choice.ir[1] >= 0)
		acknowledge(&p->chip[1], (unsigned)choice.ir[1]);
	cascade(p, true);
}

bool pic_imr_is_shadowable(const struct pic *c)
{
	return !c->poll; /* the read after a poll command is an acknowledge, whichever address it uses */
}

/*
 * The data sheet leaves the state before ICW1 open. No firmware runs in this machine, so it is the one that
 * firmware leaves: vectors 08h and 70h, 8086 mode, all masked.
 */
void pic_reset(struct pic_pair *p)
{
	for (unsigned chip = 0; chip < 2; chip++) {
		p->chip[chip] = (struct pic){
			.imr = (uint8_t)pic_regs[1].reset,
			.icw1 = ICW1_SELECT | ICW1_IC4,
			.base = chip ? 0x70 : 0x08,
			.icw3 = chip ? PIC_CASCADE_IR : 1u << PIC_CASCADE_IR,
			.icw4 = ICW4_UPM,
			.lowest = 7,
			.slave = (uint8_t)chip,
		};
	}
}

static const char *check_chip(const struct pic *c, unsigned chip)
{
	if (c->slave != chip)
		return "pic.slave";
	if (c->elcr & ~pic_elcr_regs[chip].write_mask)
		return "pic.elcr";
	if ((c->irr ^ c->level) & c->elcr)
		return "pic.irr";
	if (!(c->icw1 & ICW1_SELECT))
		return "pic.icw1";
	if (chip && c->icw3 > 7)
		return "pic.icw3";
	if (c->icw4 > 0x1f)
		return "pic.icw4";
	if (c->lowest > 7)
		return "pic.lowest";
	if (c->step >= PIC_STEPS)
		return "pic.step";
	if ((c->special_mask | c->rotate_aeoi | c->read_isr | c->poll) > 1)
		return "pic.mode";
	return NULL;
}

const char *pic_check(const struct pic_pair *p)
{
	const bool cascade_level = p->chip[0].level >> PIC_CASCADE_IR & 1;

	for (unsigned chip = 0; chip < 2; chip++) {
		const char *bad = check_chip(&p->chip[chip], chip);

		if (bad)
			return bad;
	}
	if (cascade_level != (resolve(&p->chip[1]) >= 0))
		return "pic.cascade";
	if (!cascade_level && (p->chip[0].irr & (1u << PIC_CASCADE_IR)))
		return "pic.irr";
	return NULL;
}
