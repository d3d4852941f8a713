/* SPDX-License-Identifier: MIT */
/* The irq daemon's model: one set of interrupt lines into an 8259 pair and an IOAPIC, messages and an INTR
 * word out. */
#include <errno.h>
#include <string.h>

#include "devices/irq_model.h"
#include "proto/kind.h"
#include "proto/layout.h"

enum { EXTINT_PIN = 0 }; /* the 8259's INTR (MP specification, 3.6.2.2, virtual wire through the IOAPIC) */

enum irq_range { IRQD_RANGES(RANGE_ID) RANGES };
static const struct model_range ranges[RANGES] = { IRQD_RANGES(RANGE_ROW) };

/*
 * Publishes the 8259's output. A new seq whenever INTR or the vector changes, and after every acknowledge
 * (`acked`): with automatic EOI and a level that stays, the next request looks exactly like the last one, and
 * the CPU must see that it is another.
 */
static void publish(struct irq_state *s, bool acked)
{
	const struct pic_choice choice = pic_choose(&s->pic);
	const uint8_t vector = pic_vector(&s->pic, choice);
	const bool intr = choice.ir[0] >= 0;

	if (intr == s->intr && vector == s->vector && !acked)
		return;
	s->seq++;
	s->vector = vector;
	s->intr = intr;
	s->offers[s->seq % IRQ_HISTORY] = (struct irq_offer){
		.seq = s->seq,
		.choice = choice,
		.vector = vector,
		.open = intr,
	};
	ioapic_set_pin(&s->ioapic, EXTINT_PIN, intr, intr && acked);
}

/* The state must have been zeroed before the first reset ever. */
static void irq_reset(void *state, const struct model_config *config, uint64_t now_ns)
{
	struct irq_state *s = state;
	const uint32_t seq = s->seq;

	(void)now_ns;
	memset(s, 0, sizeof(*s));
	s->seq = seq; /* goes on: an acknowledge from before the reset must not fit an output after it */
	pic_reset(&s->pic);
	if (config->pci) /* what firmware does for interrupts that PCI devices share */
		pic_elcr_write(&s->pic, 1, 3u << (LAYOUT_PCI_LINE - 8));
	ioapic_reset(&s->ioapic);
	publish(s, true);
}

/* Ports of one byte each. */
static uint8_t read_port(struct irq_state *s, enum irq_range range, uint32_t offset)
{
	if (offset >= ranges[range].len)
		return 0xff;
	if (range == RANGE_ELCR)
		return pic_elcr_read(&s->pic, offset);
	return pic_read(&s->pic, range - RANGE_MASTER, offset);
}

/*
 * The 8259 remembers one edge of a line. When a daemon was away, several may have come since anybody looked, and a guest
 * that counts ticks would be late for ever. Those of the timers' lines are presented one after the other, each when the
 * one before it is acknowledged, as if the timer had been waited for. One that was pending already when nobody looked any
 * more takes none of the others in; nor does one of those that are being presented take in one that comes just then. But of
 * the latter only as many are owed as were missed, else a guest that is too slow for its ticks would do nothing else from
 * then on. What is masked is not owed: a PC would have merged it.
 */
#define TICKING (1u << LAYOUT_PIT_IRQ | 1u << LAYOUT_RTC_IRQ)

static const struct pic *chip_of(const struct irq_state *s, unsigned line)
{
	return &s->pic.chip[line >> 3];
}

static uint32_t add_owed(uint32_t owed, uint32_t more)
{
	return more < IRQ_OWED_MAX - owed ? owed + more : IRQ_OWED_MAX;
}

/* `away`: nobody has looked for a while. */
static void owe(struct irq_state *s, unsigned line, uint32_t rises, bool away)
{
	const uint8_t bit = (uint8_t)(1u << (line & 7));
	const bool latched = chip_of(s, line)->irr & bit;
	struct irq_debt *d = &s->debts[line];
	uint32_t owed = rises - 1;

	if (!rises || !(TICKING >> line & 1) || (chip_of(s, line)->elcr | chip_of(s, line)->imr) & bit)
		return;
	away = away || rises > 1;
	if (latched && (away || (d->catching_up && d->grace)))
		owed++;
	if (!owed)
		return;
	d->owed = add_owed(d->owed, owed);
	d->grace = away ? add_owed(d->grace, owed) : d->grace - 1;
	d->catching_up = 1;
}

/* The line's request has been acknowledged. */
static void pay(struct irq_state *s, int ir, unsigned chip)
{
	const unsigned line = (unsigned)ir + 8 * chip;
	struct irq_debt *d = &s->debts[line];

	if (ir < 0)
		return;
	if (!d->owed) {
		*d = (struct irq_debt){ 0 };
		return;
	}
	d->owed--;
	pic_set_line(&s->pic, line, s->words[line] & LINE_LEVEL, true);
}

static void forget_owed(struct irq_state *s, unsigned chip)
{
	memset(&s->debts[8 * chip], 0, 8 * sizeof(s->debts[0]));
}

/* ICW1 forgets requests that had been offered: an acknowledge of one of them is spurious from here on. */
static void forget_offers(struct irq_state *s)
{
	for (unsigned i = 0; i < IRQ_HISTORY; i++)
		s->offers[i].open = 0;
}

static void write_port(struct irq_state *s, enum irq_range range, uint32_t offset, uint8_t value)
{
	if (offset >= ranges[range].len)
		return;
	if (range == RANGE_ELCR) {
		pic_elcr_write(&s->pic, offset, value);
		return;
	}
	pic_write(&s->pic, range - RANGE_MASTER, offset, value);
	if (offset == 0 && (value & 0x10)) {
		forget_offers(s);
		forget_owed(s, range - RANGE_MASTER);
	}
}

/* The IOAPIC has 32-bit registers at 16-byte distance; a narrower read gets the low bytes, what is wider or
 * between is not decoded. */
static uint64_t read_ioapic(const struct irq_state *s, uint32_t offset, unsigned size)
{
	const uint32_t value = ioapic_read(&s->ioapic, offset);

	if (size >= 8)
		return value | 0xffffffff00000000ull;
	return size >= 4 ? value : value & ((1u << 8 * size) - 1);
}

static uint64_t irq_read(void *state, unsigned range, uint32_t offset, unsigned size, uint64_t now_ns)
{
	struct irq_state *s = state;
	uint64_t value = 0;

	(void)now_ns;
	if (range >= RANGES)
		return UINT64_MAX;
	if (range == RANGE_IOAPIC)
		return read_ioapic(s, offset, size);
	for (unsigned i = 0; i < size && i < 8; i++)
		value |= (uint64_t)read_port(s, range, offset + i) << 8 * i;
	publish(s, false); /* a poll read acknowledges */
	return value;
}

static void irq_write(void *state, unsigned range, uint32_t offset, uint64_t data, unsigned size, uint64_t now_ns)
{
	struct irq_state *s = state;

	(void)now_ns;
	if (range >= RANGES)
		return;
	if (range == RANGE_IOAPIC) {
		ioapic_write(&s->ioapic, offset, size >= 4 ? (uint32_t)data : (uint32_t)data & ((1u << 8 * size) - 1));
		return;
	}
	for (unsigned i = 0; i < size && i < 8; i++)
		write_port(s, range, offset + i, (uint8_t)(data >> 8 * i));
	publish(s, false);
}

static uint64_t irq_advance(void *state, uint64_t now_ns)
{
	(void)state;
	(void)now_ns;
	return UINT64_MAX;
}

static void irq_get_lines(const void *state, uint32_t words[MODEL_LINES])
{
	(void)state;
	(void)words;
}

static unsigned irq_get_shadow(const void *state, struct shadow_value out[MODEL_MAX_SHADOW])
{
	const struct irq_state *s = state;

	for (unsigned chip = 0; chip < 2; chip++) {
		out[chip] = (struct shadow_value){
			.valid = pic_imr_is_shadowable(&s->pic.chip[chip]),
			.value = s->pic.chip[chip].imr,
		};
	}
	return 2;
}

static const char *check_offers(const struct irq_state *s)
{
	for (unsigned i = 0; i < IRQ_HISTORY; i++) {
		const struct irq_offer *o = &s->offers[i];

		if (o->open > 1 || o->choice.ir[0] < -1 || o->choice.ir[0] > 7 || o->choice.ir[1] < -1 || o->choice.ir[1] > 7)
			return "offers";
		if (o->open && (o->seq % IRQ_HISTORY != i || s->seq - o->seq >= IRQ_HISTORY))
			return "offers";
	}
	return NULL;
}

/* Only changes of a word reach the chips, so a pin that disagrees with its word would stay wrong. */
static const char *check_wires(const struct irq_state *s)
{
	const struct pic_choice choice = pic_choose(&s->pic);

	if (s->intr != (choice.ir[0] >= 0))
		return "intr";
	if (s->vector != pic_vector(&s->pic, choice))
		return "vector";
	if ((s->ioapic.level >> EXTINT_PIN & 1) != s->intr)
		return "ioapic.level";
	for (unsigned line = 0; line < MODEL_LINES; line++) {
		const uint32_t level = s->words[line] & LINE_LEVEL;
		const unsigned pin = line == LAYOUT_PIT_IRQ ? LAYOUT_PIT_PIN : line;

		if (line == LAYOUT_PIT_PIN)
			continue;
		if ((s->ioapic.level >> pin & 1) != level)
			return "ioapic.level";
		if (line < 16 && (s->pic.chip[line >> 3].level >> (line & 7) & 1u) != level)
			return "pic.level";
	}
	return NULL;
}

static const char *check_debts(const struct irq_state *s)
{
	for (unsigned line = 0; line < 16; line++) {
		const struct irq_debt *d = &s->debts[line];

		if (d->owed > IRQ_OWED_MAX || d->grace > IRQ_OWED_MAX || d->catching_up > 1)
			return "debts";
	}
	return NULL;
}

static int irq_validate(const void *state, const char **field)
{
	const struct irq_state *s = state;
	const char *bad = pic_check(&s->pic);

	if (!bad)
		bad = ioapic_check(&s->ioapic);
	if (!bad)
		bad = check_offers(s);
	if (!bad)
		bad = check_wires(s);
	if (!bad)
		bad = check_debts(s);
	*field = bad;
	return bad ? -EINVAL : 0;
}

/* 31 bits wide. A device that was reset by itself counts from 0 again: if its line is high now, it has risen since. */
static uint32_t count_rises(uint32_t old, uint32_t word)
{
	const uint32_t rises = (word - (old & ~LINE_LEVEL)) >> 1;

	return rises <= 1u << 30 ? rises : word & LINE_LEVEL;
}

/* ISA interrupts 0..15 reach both controllers. ISA 0 is on pin 2; pin 0 and the 8259's IR2 belong to the
 * 8259s. */
static void set_lines(struct irq_state *s, const uint32_t words[MODEL_LINES], bool away)
{
	for (unsigned line = 0; line < MODEL_LINES; line++) {
		const uint32_t old = s->words[line], word = words[line];
		const uint32_t rises = count_rises(old, word);

		if (word == old)
			continue;
		s->words[line] = word;
		if (line == LAYOUT_PIT_PIN)
			continue; /* there is no ISA line 2 */
		if (line < 16)
			owe(s, line, rises, away);
		pic_set_line(&s->pic, line, word & LINE_LEVEL, rises > 0);
		ioapic_set_pin(&s->ioapic, line == LAYOUT_PIT_IRQ ? LAYOUT_PIT_PIN : line, word & LINE_LEVEL, rises);
	}
	publish(s, false);
}

void irq_model_set_lines(void *state, const uint32_t words[MODEL_LINES])
{
	set_lines(state, words, false);
}

void irq_model_look_again(void *state, const uint32_t words[MODEL_LINES])
{
	set_lines(state, words, true);
}

bool irq_model_take_message(void *state, struct irq_message *out)
{
	struct irq_state *s = state;
	struct ioapic_message m;
	const bool route = ioapic_take_route(&s->ioapic, &m);

	if (!route && !ioapic_take_interrupt(&s->ioapic, &m))
		return false;
	*out = (struct irq_message){
		.type = route ? IRQ_MSG_ROUTE : IRQ_MSG_MSI,
		.pin = m.pin,
		.masked = m.masked,
		.addr = m.addr,
		.data = m.data,
	};
	return true;
}

struct pic_output irq_model_pic_output(const void *state)
{
	const struct irq_state *s = state;

	return (struct pic_output){ .seq = s->seq, .vector = s->vector, .intr = s->intr };
}

/*
 * The CPU has jumped to the vector of output `seq` already; the message says so afterwards. In between the
 * output may have been replaced: a more urgent request came, or the line fell. The acknowledge then counts as
 * if it had come first, which on the wire it might have: the in-service bit is set for the vector that the
 * guest is handling, and its EOI finds it. Only a seq that was never offered, was acknowledged before, or is
 * from before an ICW1 or long ago is spurious: IR7, no in-service bit.
 */
uint8_t irq_model_intack(void *state, uint32_t seq)
{
	struct irq_state *s = state;
	const struct irq_offer offer = s->offers[seq % IRQ_HISTORY];
	const struct pic_choice none = { { -1, -1 } };

	if (!offer.open || offer.seq != seq)
		return pic_vector(&s->pic, none);
	for (unsigned i = 0; i < IRQ_HISTORY; i++) {
		if ((int32_t)(s->offers[i].seq - seq) <= 0)
			s->offers[i].open = 0; /* the CPU looks at outputs in order */
	}
	pic_ack(&s->pic, offer.choice);
	for (unsigned chip = 0; chip < 2; chip++)
		pay(s, offer.choice.ir[chip], chip);
	publish(s, seq == s->seq);
	return offer.vector;
}

void irq_model_eoi(void *state, uint8_t vector)
{
	struct irq_state *s = state;

	ioapic_eoi(&s->ioapic, vector);
}

const struct device_model irq_model = {
	.name = "irq",
	.version = 3,
	.state_size = sizeof(struct irq_state),
	.ranges = ranges,
	.range_count = RANGES,
	.lines = IRQD_LINES,
	.reset = irq_reset,
	.read = irq_read,
	.write = irq_write,
	.advance = irq_advance,
	.get_lines = irq_get_lines,
	.get_shadow = irq_get_shadow,
	.validate = irq_validate,
};
