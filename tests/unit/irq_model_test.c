/* SPDX-License-Identifier: MIT */
/* The irq model: wiring of the lines, the 8259's published output and its acknowledge, EOI, messages, journal
 * checks. */
#include <criterion/criterion.h>
#include <errno.h>

#include "devices/irq_model.h"
#include "model_at.h"
#include "proto/layout.h"

static struct irq_state s;
static uint32_t words[MODEL_LINES];
static const struct model_config config = {.vcpus = 1};

static void out(uint64_t port, uint64_t value)
{
	model_write_at(&irq_model, &s, MODEL_PORT, port, value, 1, 0);
}

static uint64_t in(uint64_t port, unsigned size)
{
	return model_read_at(&irq_model, &s, MODEL_PORT, port, size, 0);
}

static void rte(unsigned pin, uint32_t low)
{
	model_write_at(&irq_model, &s, MODEL_MMIO, LAYOUT_IOAPIC_BASE, 0x10 + 2 * pin, 4, 0);
	model_write_at(&irq_model, &s, MODEL_MMIO, LAYOUT_IOAPIC_BASE + 0x10, low, 4, 0);
}

static void line(unsigned n, bool level)
{
	words[n] = line_set(words[n], level);
	irq_model_set_lines(&s, words);
}

static uint8_t isr(unsigned chip)
{
	out(chip ? 0xa0 : 0x20, 0x0b);
	return (uint8_t)in(chip ? 0xa0 : 0x20, 1);
}

/* The pin and data of the next MSI; ROUTE messages are skipped. */
static bool next_msi(struct irq_message *m)
{
	while (irq_model_take_message(&s, m)) {
		if (m->type == IRQ_MSG_MSI)
			return true;
	}
	return false;
}

static void init(void)
{
	const uint8_t icws[2][4] = { { 0x11, 0x30, 0x04, 0x01 }, { 0x11, 0x38, 0x02, 0x01 } };

	memset(&s, 0, sizeof(s));
	memset(words, 0, sizeof(words));
	irq_model.reset(&s, &config, 0);
	for (unsigned chip = 0; chip < 2; chip++) {
		for (unsigned i = 0; i < 4; i++)
			out((chip ? 0xa0u : 0x20u) + !!i, icws[chip][i]);
	}
}

TestSuite(irq_model, .init = init);

/* `n` edges that came while nobody looked. */
static void edges(unsigned n, uint32_t count)
{
	words[n] += count * LINE_EDGE;
	irq_model_set_lines(&s, words);
}

/* Acknowledges what the 8259 offers, ends it, and says which vectors came. */
static unsigned take_all(uint8_t vector, unsigned most)
{
	unsigned n = 0;

	while (n < most && irq_model_pic_output(&s).intr) {
		cr_assert_eq(irq_model_intack(&s, irq_model_pic_output(&s).seq), vector);
		if (vector >= 0x38)
			out(0xa0, 0x20);
		out(0x20, 0x20);
		n++;
	}
	return n;
}

/* "HPET/PIT/RTC ticks": a timer's ticks of the time when irqd was away are presented one by one. */
Test(irq_model, ticks_that_nobody_saw_come_late)
{
	edges(LAYOUT_PIT_IRQ, 7);
	cr_assert_eq(take_all(0x30, 100), 7);
	edges(LAYOUT_RTC_IRQ, 3);
	cr_assert_eq(take_all(0x38, 100), 3);
	edges(LAYOUT_PIT_IRQ, 1);
	edges(LAYOUT_PIT_IRQ, 1);
	cr_assert_eq(take_all(0x30, 100), 1, "seen one by one, they merge as on the 8259: one edge is latched");
}

/* A tick that comes while missed ones are presented is not taken for the one that is latched just then. */
Test(irq_model, ticks_that_come_while_others_are_late)
{
	edges(LAYOUT_PIT_IRQ, 7);
	cr_assert_eq(take_all(0x30, 3), 3);
	edges(LAYOUT_PIT_IRQ, 1);
	cr_assert_eq(take_all(0x30, 4), 4);
	edges(LAYOUT_PIT_IRQ, 1); /* the last one of them is latched */
	cr_assert_eq(take_all(0x30, 100), 2);
	edges(LAYOUT_PIT_IRQ, 1);
	edges(LAYOUT_PIT_IRQ, 1);
	cr_assert_eq(take_all(0x30, 100), 1, "that is over");
}

/* A guest that takes one tick for two that come: it is not behind for ever. */
Test(irq_model, slow_guest_catches_up)
{
	unsigned taken = 0;

	edges(LAYOUT_PIT_IRQ, 11);
	for (unsigned i = 0; i < 100; i++) {
		edges(LAYOUT_PIT_IRQ, 1);
		edges(LAYOUT_PIT_IRQ, 1);
		taken += take_all(0x30, 1);
	}
	cr_assert_eq(taken, 100);
	cr_assert_eq(take_all(0x30, 100), 0);
}

/* One was pending when irqd left, and more came before it looked again: it takes none of them in. */
Test(irq_model, a_tick_that_waits_does_not_merge_with_those_of_an_absence)
{
	edges(LAYOUT_PIT_IRQ, 1);
	words[LAYOUT_PIT_IRQ] += LINE_EDGE;
	irq_model_look_again(&s, words);
	cr_assert_eq(take_all(0x30, 100), 2);
	edges(LAYOUT_PIT_IRQ, 1);
	edges(LAYOUT_PIT_IRQ, 4);
	cr_assert_eq(take_all(0x30, 100), 5);
	edges(LAYOUT_PIT_IRQ, 4);
	edges(LAYOUT_PIT_IRQ, 1);
	cr_assert_eq(take_all(0x30, 100), 5, "nor does one that is presented late take in the one that is due now");
}

/* What a PC would have merged whatever happens: other lines, masked ones; and ICW1 forgets requests. */
Test(irq_model, what_is_not_owed)
{
	edges(LAYOUT_COM1_IRQ, 5);
	cr_assert_eq(take_all(0x34, 100), 1);
	out(0x21, 1 << LAYOUT_PIT_IRQ);
	edges(LAYOUT_PIT_IRQ, 5);
	out(0x21, 0);
	cr_assert_eq(take_all(0x30, 100), 1);
	edges(LAYOUT_PIT_IRQ, 5);
	cr_assert_eq(irq_model_intack(&s, irq_model_pic_output(&s).seq), 0x30);
	out(0x20, 0x11);
	out(0x21, 0x30);
	out(0x21, 0x04);
	out(0x21, 0x01);
	cr_assert_eq(take_all(0x30, 100), 0);
	edges(LAYOUT_PIT_IRQ, 1u << 30);
	cr_assert_eq(take_all(0x30, 2 * IRQ_OWED_MAX), IRQ_OWED_MAX + 1);
}

/* A device that was given up and is reset by itself: its counts begin anew, which is no interrupt. */
Test(irq_model, counts_that_begin_anew)
{
	edges(LAYOUT_PIT_IRQ, 5);
	take_all(0x30, 100);
	line(LAYOUT_COM1_IRQ, true);
	take_all(0x34, 100);
	words[LAYOUT_PIT_IRQ] = words[LAYOUT_COM1_IRQ] = 0;
	irq_model_set_lines(&s, words);
	cr_assert_eq(take_all(0x30, 100), 0);
	line(LAYOUT_COM1_IRQ, true);
	cr_assert_eq(take_all(0x34, 100), 1);
	line(LAYOUT_COM1_IRQ, false);
	line(LAYOUT_COM1_IRQ, true);
	take_all(0x34, 100);
	words[LAYOUT_COM1_IRQ] = LINE_EDGE | LINE_LEVEL; /* reset, and high again: nobody saw it low */
	irq_model_set_lines(&s, words);
	cr_assert_eq(take_all(0x34, 100), 1);
}

/* Registers read what their table says, and write_mask is what a write changes. */
Test(irq_model, read_back)
{
	irq_model.reset(&s, &config, 0);
	for (unsigned r = 0; r < irq_model.range_count; r++) {
		const struct model_range *range = &irq_model.ranges[r];

		for (unsigned i = 0; i < range->reg_count; i++) {
			const struct reg_desc *reg = &range->regs[i];
			const uint64_t addr = range->base + reg->offset;

			if (!reg->readable)
				continue;
			cr_assert_eq(model_read_at(&irq_model, &s, range->space, addr, reg->size, 0), reg->reset, "%s",
				     reg->name);
			if (!reg->writable || !reg->write_mask)
				continue;
			model_write_at(&irq_model, &s, range->space, addr, UINT64_MAX, reg->size, 0);
			cr_assert_eq(model_read_at(&irq_model, &s, range->space, addr, reg->size, 0),
				     reg->write_mask | (reg->reset & ~reg->write_mask), "%s", reg->name);
			model_write_at(&irq_model, &s, range->space, addr, 0, reg->size, 0);
			cr_assert_eq(model_read_at(&irq_model, &s, range->space, addr, reg->size, 0),
				     reg->reset & ~reg->write_mask, "%s", reg->name);
			irq_model.reset(&s, &config, 0);
		}
	}
}

/* Only OCW2 may be posted at the 8259's first port: ICW1 has D4 set, OCW3 D3 (8259A, figures 7 and 8). */
Test(irq_model, posting)
{
	for (unsigned v = 0; v < 256; v++) {
		const bool posted = pic_regs[0].post == REG_POSTED && (v & pic_regs[0].post_mask) == pic_regs[0].post_match;

		cr_assert_eq(posted, (v & 0x18) == 0);
	}
	cr_assert_eq(pic_regs[1].post, REG_SYNC);
}

/* A word access to port 20h is two byte cycles; an unclaimed byte floats. */
Test(irq_model, wide_access)
{
	model_write_at(&irq_model, &s, MODEL_PORT, 0x20, 0x5a0b, 2, 0);
	cr_assert_eq(in(0x20, 4), 0xffff5a00);
	cr_assert_eq(model_read_at(&irq_model, &s, MODEL_MMIO, LAYOUT_IOAPIC_BASE, 8, 0) >> 32, 0xffffffff);
	model_write_at(&irq_model, &s, MODEL_MMIO, LAYOUT_IOAPIC_BASE, 1, 1, 0);
	cr_assert_eq(model_read_at(&irq_model, &s, MODEL_MMIO, LAYOUT_IOAPIC_BASE + 0x10, 1, 0), 0x20);
}

Test(irq_model, wiring)
{
	struct irq_message m;

	for (unsigned pin = 0; pin < 24; pin++)
		rte(pin, 0x40 + pin);
	for (unsigned n = 0; n < 24; n++) {
		if (n == 2)
			continue;
		line(n, true);
		while (next_msi(&m) && m.pin == 0)
			; /* the 8259's INTR */
		cr_assert_eq(m.pin, n ? n : 2, "ISA interrupt %u", n);
		line(n, false);
	}
	line(2, true);
	cr_assert_not(next_msi(&m), "there is no line 2");
}

/* MP specification 3.6.2.2: the 8259's INTR as ExtINT through pin 0. */
Test(irq_model, virtual_wire)
{
	struct irq_message m;

	rte(0, 0x700);
	line(4, true);
	cr_assert(next_msi(&m));
	cr_assert_eq(m.pin, 0);
	cr_assert_eq(m.data, 0x700);
	line(1, true);
	cr_assert_not(next_msi(&m), "INTR has not moved");
	irq_model_intack(&s, irq_model_pic_output(&s).seq);
	cr_assert_not(next_msi(&m), "IR4 is inhibited by IR1 in service");
	out(0x20, 0x20);
	cr_assert(next_msi(&m));
}

Test(irq_model, acknowledge)
{
	struct pic_output o = irq_model_pic_output(&s), o2;

	cr_assert_not(o.intr);
	line(4, true);
	o2 = irq_model_pic_output(&s);
	cr_assert(o2.intr);
	cr_assert_eq(o2.vector, 0x34);
	cr_assert_neq(o2.seq, o.seq);
	cr_assert_eq(irq_model_intack(&s, o2.seq), 0x34);
	cr_assert_eq(isr(0), 0x10);
	cr_assert_not(irq_model_pic_output(&s).intr);
	cr_assert_eq(irq_model_intack(&s, o2.seq), 0x37, "the same acknowledge again is spurious");
	cr_assert_eq(irq_model_intack(&s, 12345), 0x37);
	cr_assert_eq(isr(0), 0x10, "spurious: no in-service bit");
}

/* A more urgent request between the CPU's look and the message: both are served, neither twice. */
Test(irq_model, acknowledge_overtaken)
{
	struct pic_output first, second;

	line(8, true);
	first = irq_model_pic_output(&s);
	line(0, true);
	second = irq_model_pic_output(&s);
	cr_assert_eq(second.vector, 0x30);
	cr_assert_eq(irq_model_intack(&s, first.seq), 0x38);
	cr_assert_eq(isr(1), 0x01);
	cr_assert_eq(isr(0), 0x04);
	cr_assert_eq(irq_model_pic_output(&s).seq, second.seq);
	cr_assert_eq(irq_model_intack(&s, second.seq), 0x30);
	out(0x20, 0x20);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	cr_assert_eq(isr(0) | isr(1), 0);
	cr_assert_not(irq_model_pic_output(&s).intr);
}

/* The level falls in between: the handler that runs finds its in-service bit, its EOI ends it. */
Test(irq_model, acknowledge_of_a_level_that_fell)
{
	uint32_t seq;

	out(0x4d1, 0x02);
	line(9, true);
	seq = irq_model_pic_output(&s).seq;
	line(9, false);
	cr_assert_not(irq_model_pic_output(&s).intr);
	cr_assert_eq(irq_model_intack(&s, seq), 0x39);
	cr_assert_eq(isr(1), 0x02);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	cr_assert_eq(isr(0) | isr(1), 0);
}

Test(irq_model, icw1_makes_offers_stale)
{
	uint32_t seq;

	line(4, true);
	seq = irq_model_pic_output(&s).seq;
	out(0x20, 0x13);
	out(0x21, 0x50);
	out(0x21, 0x01);
	cr_assert_eq(irq_model_intack(&s, seq), 0x57);
	cr_assert_eq(isr(0), 0);
}

/* With automatic EOI and a level that stays, each request is a new output: else the CPU would take it for the
 * old one. */
Test(irq_model, seq_changes_after_each_acknowledge)
{
	uint32_t seq;

	out(0x4d0, 0x20);
	out(0x20, 0x11);
	out(0x21, 0x30);
	out(0x21, 0x04);
	out(0x21, 0x03);
	line(5, true);
	seq = irq_model_pic_output(&s).seq;
	cr_assert_eq(irq_model_intack(&s, seq), 0x35);
	cr_assert(irq_model_pic_output(&s).intr);
	cr_assert_neq(irq_model_pic_output(&s).seq, seq);
}

/* The words are absolute: publishing them again changes nothing; a pulse between two samples is not lost. */
Test(irq_model, pulses)
{
	struct pic_output o;

	line(0, true);
	line(0, false);
	o = irq_model_pic_output(&s);
	cr_assert(o.intr);
	irq_model_intack(&s, o.seq);
	out(0x20, 0x20);
	irq_model_set_lines(&s, words);
	cr_assert_not(irq_model_pic_output(&s).intr);
	words[0] += LINE_EDGE;
	irq_model_set_lines(&s, words);
	cr_assert(irq_model_pic_output(&s).intr);
}

Test(irq_model, eoi)
{
	struct irq_message m;

	rte(9, 0x49 | RTE_LEVEL);
	line(9, true);
	cr_assert(next_msi(&m));
	cr_assert_not(next_msi(&m));
	irq_model_eoi(&s, 0x49);
	cr_assert(next_msi(&m), "still asserted");
	line(9, false);
	irq_model_eoi(&s, 0x49);
	cr_assert_not(next_msi(&m));
}

Test(irq_model, shadow)
{
	struct shadow_value v[MODEL_MAX_SHADOW];

	out(0x21, 0x12);
	out(0xa1, 0x34);
	cr_assert_eq(irq_model.get_shadow(&s, v), 2);
	cr_assert(v[0].valid && v[0].value == 0x12);
	cr_assert(v[1].valid && v[1].value == 0x34);
	out(0x20, 0x0c);
	irq_model.get_shadow(&s, v);
	cr_assert_not(v[0].valid, "the next read is a poll");
}

static void random_operation(uint32_t r)
{
	static const uint16_t ports[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1 };
	struct irq_message m;

	switch (r >> 28) {
	case 0 ... 2:
		model_write_at(&irq_model, &s, MODEL_PORT, ports[(r >> 24) % 6], r >> 4, 1u << (r >> 20 & 3), 0);
		break;
	case 3:
		model_read_at(&irq_model, &s, MODEL_PORT, ports[(r >> 24) % 6], 1u << (r >> 20 & 3), 0);
		break;
	case 4:
		out(r & 0x100 ? 0x20 : 0xa0, 0x20);
		break;
	case 5:
		rte((r >> 10) % 24, r >> 3);
		break;
	case 6:
		irq_model_eoi(&s, (uint8_t)(r >> 9));
		break;
	case 7 ... 10:
		line((r >> 10) % MODEL_LINES, r >> 20 & 1);
		break;
	case 11:
		words[(r >> 10) % MODEL_LINES] += r >> 12; /* a device gone mad */
		irq_model_set_lines(&s, words);
		break;
	case 12:
		while (irq_model_take_message(&s, &m))
			;
		break;
	case 13:
		irq_model_intack(&s, irq_model_pic_output(&s).seq - (r >> 20 & 7));
		break;
	case 14:
		init();
		break;
	default:
		irq_model_intack(&s, irq_model_pic_output(&s).seq);
		break;
	}
}

/* Every reachable state is one that validate() accepts; the output is a function of the state and its seq of
 * the output. */
Test(irq_model, random_operations)
{
	uint32_t r = 3;
	const char *field = NULL;
	struct pic_output before, after;

	for (unsigned i = 0; i < 200000; i++) {
		before = irq_model_pic_output(&s);
		r = r * 1664525 + 1013904223;
		random_operation(r);
		after = irq_model_pic_output(&s);
		cr_assert_eq(irq_model.validate(&s, &field), 0, "%s after %u operations", field, i);
		if (before.seq == after.seq)
			cr_assert(before.intr == after.intr && before.vector == after.vector);
	}
}

Test(irq_model, validate_rejects)
{
	struct irq_state good;
	const char *field = NULL;

	line(4, true);
	good = s;
#define REJECTS(change)                                                               \
	do {                                                                          \
		s = good;                                                             \
		change;                                                               \
		cr_assert_eq(irq_model.validate(&s, &field), -EINVAL, "%s", #change); \
		cr_assert_not_null(field);                                            \
	} while (0)
	cr_assert_eq(irq_model.validate(&s, &field), 0);
	REJECTS(s.intr = 0);
	REJECTS(s.vector ^= 1);
	REJECTS(s.words[5] = LINE_LEVEL);
	REJECTS(s.ioapic.level = 0);
	REJECTS(s.pic.chip[0].level = 0);
	REJECTS(s.pic.chip[1].lowest = 9);
	REJECTS(s.offers[0].open = 2);
	REJECTS(s.offers[1].choice.ir[0] = 8);
	REJECTS(s.offers[1].choice.ir[1] = -2);
	REJECTS(s.offers[s.seq % IRQ_HISTORY].seq += IRQ_HISTORY);
}
