/* SPDX-License-Identifier: MIT */
/* Intel 82093AA I/O APIC. Section numbers are those of its data sheet (order number 290566). */
#include "ioapic.h"

enum {
	PIN_MASK = (1 << IOAPIC_PINS) - 1,
	/*
	 * Version 20h, as every chip set since the ICH: it has the EOI register, by which a guest can end an
	 * interrupt whose broadcast got lost. With 11h Linux would flip the entry to edge and back for that.
	 */
	VERSION = (IOAPIC_PINS - 1) << 16 | 0x20,
	ID_SHIFT = 24,
	FIRST_VECTOR = 0x10, /* lower ones are illegal in an APIC message */
};

enum delivery {
	DELIVERY_FIXED = 0,
	DELIVERY_LOWEST = 1,
	DELIVERY_SMI = 2,
	DELIVERY_NMI = 4,
	DELIVERY_INIT = 5,
	DELIVERY_EXTINT = 7,
};

const struct reg_desc ioapic_regs[IOAPIC_REG_COUNT] = {
	{.name = "IOREGSEL",
	 .offset = IOAPIC_REGSEL,
	 .size = 4,
	 .readable = true,
	 .writable = true,
	 .reset = 0,
	 .write_mask = 0xff,
	 .post = REG_POSTED,
	 .class = CLASS_INDEX},
	{.name = "IOWIN",
	 .offset = IOAPIC_WIN,
	 .size = 4,
	 .readable = true,
	 .writable = true,
	 .reset = 0,
	 .write_mask = 0x0f000000,
	 .post = REG_SYNC}, /* as the ID register, which IOREGSEL selects at reset */
	{.name = "IOAPICEOI", .offset = IOAPIC_EOI, .size = 4, .writable = true, .post = REG_SYNC},
};

const struct reg_desc ioapic_indirect[IOAPIC_INDIRECT_COUNT] = {
	{.name = "IOAPICID",
	 .offset = IOAPIC_IDX_ID,
	 .size = 4,
	 .readable = true,
	 .writable = true,
	 .write_mask = 0x0f000000},
	{.name = "IOAPICVER", .offset = IOAPIC_IDX_VERSION, .size = 4, .readable = true, .reset = VERSION},
	{.name = "IOAPICARB", .offset = IOAPIC_IDX_ARBITRATION, .size = 4, .readable = true},
	{.name = "IOREDTBL low",
	 .offset = IOAPIC_IDX_TABLE,
	 .size = 4,
	 .readable = true,
	 .writable = true,
	 .reset = RTE_MASKED,
	 .write_mask = 0x1ffff & ~(RTE_PENDING | RTE_REMOTE_IRR)},
	{.name = "IOREDTBL high",
	 .offset = IOAPIC_IDX_TABLE + 1,
	 .size = 4,
	 .readable = true,
	 .writable = true,
	 .write_mask = 0xff000000},
};
static const struct reg_desc *const rte_low = &ioapic_indirect[3];

static enum delivery delivery_mode(uint32_t low)
{
	return (enum delivery)(low >> RTE_DELIVERY_SHIFT & 7);
}

/* NMI and ExtINT are edge-sensed whatever the trigger bit says (3.2.4, "Delivery Mode"). */
static bool is_level(const struct ioapic *a, unsigned pin)
{
	const enum delivery mode = delivery_mode(a->low[pin]);

	return (a->low[pin] & RTE_LEVEL) && (mode == DELIVERY_FIXED || mode == DELIVERY_LOWEST);
}

static bool is_asserted(const struct ioapic *a, unsigned pin)
{
	return (bool)(a->level >> pin & 1) != (bool)(a->low[pin] & RTE_ACTIVE_LOW);
}

/*
 * Is there something that a local APIC would take? Vectors below 10h it would refuse; SMI and INIT from a pin
 * belong to boards that this is not; 3 and 6 are reserved.
 */
static bool is_deliverable(uint32_t low)
{
	switch (delivery_mode(low)) {
	case DELIVERY_FIXED:
	case DELIVERY_LOWEST:
		return (low & RTE_VECTOR) >= FIRST_VECTOR;
	case DELIVERY_NMI:
	case DELIVERY_EXTINT:
		return true;
	case DELIVERY_SMI:
	case DELIVERY_INIT:
		break;
	}
	return false;
}

/* Waiting to be sent: what bit 12, "Delivery Status", shows. */
static bool is_pending(const struct ioapic *a, unsigned pin)
{
	const uint32_t bit = 1u << pin;

	if (!is_level(a, pin))
		return a->edge & bit;
	return is_asserted(a, pin) && !(a->remote_irr & bit) && !(a->low[pin] & RTE_MASKED) && is_deliverable(a->low[pin]);
}

static uint32_t read_low(const struct ioapic *a, unsigned pin)
{
	return a->low[pin] | (is_pending(a, pin) ? RTE_PENDING : 0) | (a->remote_irr & (1u << pin) ? RTE_REMOTE_IRR : 0);
}

/*
 * A pin that turns edge-triggered drops its remote IRR: guests use that to recover a pin whose EOI got lost.
 * An edge that was latched under the old trigger mode does not survive the change.
 */
static void write_low(struct ioapic *a, unsigned pin, uint32_t value)
{
	const uint32_t bit = 1u << pin;
	const bool was_level = is_level(a, pin);

	value &= (uint32_t)rte_low->write_mask;
	if (value == a->low[pin])
		return;
	a->low[pin] = value;
	a->route |= bit;
	if (is_level(a, pin) != was_level)
		a->edge &= ~bit;
	if (!is_level(a, pin))
		a->remote_irr &= ~bit;
}

static void write_high(struct ioapic *a, unsigned pin, uint32_t value)
{
	if (a->dest[pin] == value >> 24)
		return;
	a->dest[pin] = (uint8_t)(value >> 24);
	a->route |= 1u << pin;
}

static uint32_t read_window(const struct ioapic *a)
{
	const unsigned word = a->index - IOAPIC_IDX_TABLE;

	switch (a->index) {
	case IOAPIC_IDX_ID:
		return (uint32_t)a->id << ID_SHIFT;
	case IOAPIC_IDX_VERSION:
		return VERSION;
	case IOAPIC_IDX_ARBITRATION:
		return (uint32_t)a->arbitration << ID_SHIFT;
	}
	if (a->index < IOAPIC_IDX_TABLE || word >= 2 * IOAPIC_PINS)
		return UINT32_MAX;
	return word & 1 ? (uint32_t)a->dest[word / 2] << 24 : read_low(a, word / 2);
}

static void write_window(struct ioapic *a, uint32_t value)
{
	const unsigned word = a->index - IOAPIC_IDX_TABLE;

	if (a->index == IOAPIC_IDX_ID)
		a->id = a->arbitration = value >> ID_SHIFT & 0xf; /* 3.2.3: loaded when the ID is written */
	if (a->index < IOAPIC_IDX_TABLE || word >= 2 * IOAPIC_PINS)
		return;
	if (word & 1)
		write_high(a, word / 2, value);
	else
		write_low(a, word / 2, value);
}

uint32_t ioapic_read(const struct ioapic *a, uint32_t offset)
{
	switch (offset) {
	case IOAPIC_REGSEL:
		return a->index;
	case IOAPIC_WIN:
		return read_window(a);
	}
	return UINT32_MAX;
}

void ioapic_write(struct ioapic *a, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case IOAPIC_REGSEL:
		a->index = (uint8_t)value;
		break;
	case IOAPIC_WIN:
		write_window(a, value);
		break;
	case IOAPIC_EOI:
		ioapic_eoi(a, (uint8_t)value);
		break;
	}
}

/*
 * 3.2.4, "Interrupt Mask": edges on a masked pin are ignored, neither delivered nor held pending. Guests know
 * (Linux asks the 8259 whether it saw one). A level needs no memory: unmasking looks at the pin again.
 */
void ioapic_set_pin(struct ioapic *a, unsigned pin, bool level, uint32_t rises)
{
	const uint32_t bit = 1u << pin;
	const bool was = a->level & bit;
	bool edge;

	if (a->low[pin] & RTE_ACTIVE_LOW)
		edge = was ? rises > 0 || !level : rises > (level ? 1u : 0u); /* it fell at least once */
	else
		edge = rises > 0 || (level && !was);
	a->level = (a->level & ~bit) | (level ? bit : 0);
	if (edge && !is_level(a, pin) && !(a->low[pin] & RTE_MASKED) && is_deliverable(a->low[pin]))
		a->edge |= bit;
}

/*
 * An EOI names a vector, not a pin. If the guest changed the entry while its interrupt was in service, the
 * EOI that comes is for the vector that was sent; the chip would compare with the new one and wait for ever.
 * Both are accepted.
 */
void ioapic_eoi(struct ioapic *a, uint8_t vector)
{
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		if (a->sent[pin] == vector || (a->low[pin] & RTE_VECTOR) == vector)
			a->remote_irr &= ~(1u << pin);
	}
}

/* An entry in the form of a message signalled interrupt (SDM vol. 3, 11.11). */
static struct ioapic_message encode(const struct ioapic *a, unsigned pin)
{
	const uint32_t low = a->low[pin];
	struct ioapic_message m = {
		.pin = (uint8_t)pin,
		.masked = low & RTE_MASKED || !is_deliverable(low),
		.addr = 0xfee00000u | (uint32_t)a->dest[pin] << 12 | (low & RTE_LOGICAL ? 1u << 2 : 0),
		.data = (low & RTE_VECTOR) | (uint32_t)delivery_mode(low) << 8,
	};

	if (is_level(a, pin))
		m.data |= 1u << 15 | 1u << 14; /* level, assert */
	return m;
}

bool ioapic_take_route(struct ioapic *a, struct ioapic_message *out)
{
	unsigned pin;

	if (!a->route)
		return false;
	pin = (unsigned)__builtin_ctz(a->route);
	a->route &= ~(1u << pin);
	*out = encode(a, pin);
	return true;
}

/* Sending is acceptance: a level interrupt sets remote IRR here and stays quiet until its EOI. */
bool ioapic_take_interrupt(struct ioapic *a, struct ioapic_message *out)
{
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		const uint32_t bit = 1u << pin;

		if (!is_pending(a, pin) || (a->low[pin] & RTE_MASKED))
			continue;
		a->edge &= ~bit;
		if (!is_deliverable(a->low[pin]))
			continue; /* the entry changed after the edge came */
		if (is_level(a, pin)) {
			a->remote_irr |= bit;
			a->sent[pin] = a->low[pin] & RTE_VECTOR;
		}
		*out = encode(a, pin);
		return true;
	}
	return false;
}

/* All routes are announced after a reset, so that the vcpu process forgets those of the machine's former
 * life. */
void ioapic_reset(struct ioapic *a)
{
	*a = (struct ioapic){ .route = PIN_MASK };
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
		a->low[pin] = (uint32_t)rte_low->reset;
}

const char *ioapic_check(const struct ioapic *a)
{
	if ((a->level | a->edge | a->remote_irr | a->route) & ~(uint32_t)PIN_MASK)
		return "ioapic.pins";
	if (a->id > 0xf)
		return "ioapic.id";
	if (a->arbitration > 0xf)
		return "ioapic.arbitration";
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		if (a->low[pin] & ~rte_low->write_mask)
			return "ioapic.low";
		if ((a->remote_irr & (1u << pin)) && !is_level(a, pin))
			return "ioapic.remote_irr";
		if ((a->edge & (1u << pin)) && is_level(a, pin))
			return "ioapic.edge";
	}
	return NULL;
}
