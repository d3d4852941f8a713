/* SPDX-License-Identifier: MIT */
/* 82093AA I/O APIC against its data sheet (Intel 290566). */
#include <criterion/criterion.h>

#include "devices/chips/ioapic.h"

static struct ioapic a;

static void init(void)
{
	struct ioapic_message m;

	ioapic_reset(&a);
	while (ioapic_take_route(&a, &m))
		;
}

static uint32_t get(unsigned index)
{
	ioapic_write(&a, IOAPIC_REGSEL, index);
	return ioapic_read(&a, IOAPIC_WIN);
}

static void set(unsigned index, uint32_t value)
{
	ioapic_write(&a, IOAPIC_REGSEL, index);
	ioapic_write(&a, IOAPIC_WIN, value);
}

static void rte(unsigned pin, uint32_t low)
{
	set(IOAPIC_IDX_TABLE + 2 * pin, low);
}

static uint32_t rte_get(unsigned pin)
{
	return get(IOAPIC_IDX_TABLE + 2 * pin);
}

/* The data of the one message that must be there, or 0 if there is none. */
static uint32_t sent(void)
{
	struct ioapic_message m, more;

	if (!ioapic_take_interrupt(&a, &m))
		return 0;
	cr_assert_not(ioapic_take_interrupt(&a, &more));
	return m.data;
}

TestSuite(ioapic, .init = init);

/* 3.1 and 3.2: reset values and write masks, from the descriptor table; bits 12 and 14 are read-only. */
Test(ioapic, read_back)
{
	cr_assert_eq(get(IOAPIC_IDX_VERSION), 0x00170020, "24 entries, version 20h");
	for (unsigned i = 0; i < IOAPIC_INDIRECT_COUNT; i++) {
		const struct reg_desc *reg = &ioapic_indirect[i];

		cr_assert_eq(get(reg->offset), reg->reset, "%s", reg->name);
		if (!reg->writable)
			continue;
		set(reg->offset, 0xffffffff);
		cr_assert_eq(get(reg->offset), reg->write_mask, "%s", reg->name);
		set(reg->offset, 0);
		cr_assert_eq(get(reg->offset), 0, "%s", reg->name);
	}
	set(IOAPIC_IDX_VERSION, 0);
	cr_assert_eq(get(IOAPIC_IDX_VERSION), 0x00170020);
	rte(3, 0x5000 | RTE_MASKED);
	cr_assert_eq(rte_get(3), RTE_MASKED);
	cr_assert_eq(get(0x3f), 0, "the last word of the table");
	cr_assert_eq(get(0x40), 0xffffffff, "behind the table");
	cr_assert_eq(ioapic_read(&a, 0x20), 0xffffffff);
	ioapic_write(&a, IOAPIC_REGSEL, 0x112);
	cr_assert_eq(ioapic_read(&a, IOAPIC_REGSEL), 0x12, "3.1.1: bits 31..8 are reserved");
}

/* 3.2.3: "The IOAPICARB register is loaded whenever the IOAPICID register is written." */
Test(ioapic, arbitration_id)
{
	set(IOAPIC_IDX_ID, 0x05000000);
	cr_assert_eq(get(IOAPIC_IDX_ARBITRATION), 0x05000000);
}

/* 3.2.4, "Interrupt Mask": edges signalled on a masked pin are ignored, not held pending. */
Test(ioapic, edge)
{
	rte(4, 0x34 | RTE_MASKED);
	ioapic_set_pin(&a, 4, true, 1);
	rte(4, 0x34);
	cr_assert_eq(sent(), 0);
	ioapic_set_pin(&a, 4, false, 0);
	ioapic_set_pin(&a, 4, true, 1);
	cr_assert_eq(rte_get(4), 0x34 | RTE_PENDING);
	cr_assert_eq(sent(), 0x34);
	cr_assert_eq(sent(), 0, "once");
	cr_assert_eq(rte_get(4), 0x34, "edge interrupts have no remote IRR");
	ioapic_set_pin(&a, 4, true, 2);
	cr_assert_eq(sent(), 0x34, "pulses between two samples");
	ioapic_set_pin(&a, 4, false, 1);
	cr_assert_eq(sent(), 0x34, "a pulse that is over");
}

/* Accepted while unmasked, masked before it could be sent: waits. */
Test(ioapic, edge_then_mask)
{
	rte(4, 0x34);
	ioapic_set_pin(&a, 4, true, 1);
	rte(4, 0x34 | RTE_MASKED);
	cr_assert_eq(sent(), 0);
	rte(4, 0x34);
	cr_assert_eq(sent(), 0x34);
}

/* 3.2.4, "Remote IRR": set when the local APIC accepts a level interrupt, reset by the EOI message. */
Test(ioapic, level)
{
	rte(9, 0x39 | RTE_LEVEL | RTE_MASKED);
	ioapic_set_pin(&a, 9, true, 1);
	cr_assert_eq(sent(), 0);
	rte(9, 0x39 | RTE_LEVEL);
	cr_assert_eq(sent(), 0xc039, "level, assert, vector");
	cr_assert_eq(rte_get(9), 0x39 | RTE_LEVEL | RTE_REMOTE_IRR);
	ioapic_set_pin(&a, 9, true, 1);
	cr_assert_eq(sent(), 0, "in service");
	ioapic_eoi(&a, 0x38);
	cr_assert_eq(sent(), 0, "another vector");
	ioapic_eoi(&a, 0x39);
	cr_assert_eq(sent(), 0xc039, "still asserted");
	ioapic_set_pin(&a, 9, false, 0);
	ioapic_write(&a, IOAPIC_EOI, 0x39);
	cr_assert_eq(rte_get(9), 0x39 | RTE_LEVEL);
	cr_assert_eq(sent(), 0);
}

/* An entry that changes while in service: the EOI for the vector that was sent still counts. */
Test(ioapic, entry_changes_in_service)
{
	rte(9, 0x39 | RTE_LEVEL);
	ioapic_set_pin(&a, 9, true, 1);
	cr_assert_eq(sent(), 0xc039);
	rte(9, 0x59 | RTE_LEVEL);
	cr_assert(rte_get(9) & RTE_REMOTE_IRR);
	ioapic_eoi(&a, 0x39);
	cr_assert_eq(sent(), 0xc059);
	rte(9, 0x59);
	cr_assert_eq(rte_get(9), 0x59, "edge clears remote IRR");
	rte(9, 0x59 | RTE_LEVEL);
	cr_assert_eq(sent(), 0xc059);
}

/* 3.2.4, "Interrupt Input Pin Polarity": 1 is low active. */
Test(ioapic, polarity)
{
	rte(5, 0x35 | RTE_ACTIVE_LOW | RTE_LEVEL);
	cr_assert_eq(sent(), 0xc035);
	ioapic_set_pin(&a, 5, true, 1);
	ioapic_eoi(&a, 0x35);
	cr_assert_eq(sent(), 0);
	rte(6, 0x36 | RTE_ACTIVE_LOW);
	ioapic_set_pin(&a, 6, true, 1);
	cr_assert_eq(sent(), 0, "low to high is not its edge");
	ioapic_set_pin(&a, 6, false, 0);
	cr_assert_eq(sent(), 0x36);
	ioapic_set_pin(&a, 6, false, 1);
	cr_assert_eq(sent(), 0x36, "up and down between two samples");
}

/* 3.2.4, "Delivery Mode", "Destination Mode", "Destination Field", as MSI address and data (SDM vol.
 * 3, 11.11). */
Test(ioapic, messages)
{
	struct ioapic_message m;

	set(IOAPIC_IDX_TABLE + 2 * 7 + 1, 0xa5000000);
	rte(7, 0x47 | 1 << 8 | RTE_LOGICAL);
	ioapic_set_pin(&a, 7, true, 1);
	cr_assert(ioapic_take_interrupt(&a, &m));
	cr_assert_eq(m.addr, 0xfeea5004, "destination in bits 19..12, logical in bit 2");
	cr_assert_eq(m.data, 0x147, "lowest priority");
	rte(8, 0x400 | RTE_LEVEL);
	ioapic_set_pin(&a, 8, true, 1);
	cr_assert_eq(sent(), 0x400, "NMI is edge-sensed whatever the trigger bit says");
	rte(0, 0x700);
	ioapic_set_pin(&a, 0, true, 1);
	cr_assert_eq(sent(), 0x700, "ExtINT");
	for (unsigned mode = 0; mode < 8; mode++) {
		const bool legal = mode != 2 && mode != 3 && mode != 5 && mode != 6;

		rte(10, 0x40 | mode << 8);
		ioapic_set_pin(&a, 10, false, 0);
		ioapic_set_pin(&a, 10, true, 1);
		cr_assert_eq(sent() != 0, legal, "delivery mode %u", mode);
	}
	rte(11, 0x0f | RTE_LEVEL);
	ioapic_set_pin(&a, 11, true, 1);
	cr_assert_eq(sent(), 0, "vectors below 10h are illegal");
}

/* The mirror of the entries: one message per changed entry, none for a write that changes nothing. */
Test(ioapic, routes)
{
	struct ioapic_message m;

	rte(9, 0x39 | RTE_LEVEL);
	cr_assert(ioapic_take_route(&a, &m));
	cr_assert_eq(m.pin, 9);
	cr_assert_eq(m.data, 0xc039);
	cr_assert_not(m.masked);
	rte(9, 0x39 | RTE_LEVEL);
	cr_assert_not(ioapic_take_route(&a, &m));
	rte(9, 0x39 | RTE_LEVEL | RTE_MASKED);
	set(IOAPIC_IDX_TABLE + 19, 0x01000000);
	cr_assert(ioapic_take_route(&a, &m));
	cr_assert(m.masked);
	cr_assert_eq(m.addr, 0xfee01000);
	cr_assert_not(ioapic_take_route(&a, &m));
	ioapic_reset(&a);
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
		cr_assert(ioapic_take_route(&a, &m) && m.pin == pin && m.masked, "reset announces all");
}

/* Random operations: no state that check() refuses; a quiet level pin is never asserted, unmasked and idle.
 */
Test(ioapic, random_operations)
{
	uint32_t r = 7;
	struct ioapic_message m;

	for (unsigned i = 0; i < 300000; i++) {
		const unsigned pin = (r >> 8) % IOAPIC_PINS;

		r = r * 1664525 + 1013904223;
		switch (r >> 29) {
		case 0 ... 2:
			ioapic_set_pin(&a, pin, r >> 20 & 1, r >> 21 & 3);
			break;
		case 3:
			rte(pin, r >> 3);
			break;
		case 4:
			rte(pin, (r >> 3 & 0xa000) | (0x20 + pin));
			break;
		case 5:
			ioapic_write(&a, r >> 18 & 0x70, r >> 4);
			break;
		case 6:
			ioapic_eoi(&a, (uint8_t)(0x20 + pin));
			break;
		default:
			for (unsigned n = 0; ioapic_take_interrupt(&a, &m); n++)
				cr_assert_lt(n, IOAPIC_PINS, "bounded");
			for (unsigned p = 0; p < IOAPIC_PINS; p++)
				cr_assert(!(rte_get(p) & RTE_PENDING) || (rte_get(p) & RTE_MASKED));
			break;
		}
		cr_assert_null(ioapic_check(&a), "%s after %u operations", ioapic_check(&a), i);
	}
}

Test(ioapic, check_rejects)
{
	const struct ioapic good = a;

#define REJECTS(change)                                              \
	do {                                                         \
		a = good;                                            \
		change;                                              \
		cr_assert_not_null(ioapic_check(&a), "%s", #change); \
	} while (0)
	cr_assert_null(ioapic_check(&a));
	REJECTS(a.low[23] |= RTE_REMOTE_IRR);
	REJECTS(a.low[0] |= 1 << 17);
	REJECTS(a.edge = 1 << 24);
	REJECTS(a.remote_irr = 1);
	REJECTS(a.low[1] = RTE_LEVEL; a.edge = 2);
	REJECTS(a.id = 16);
	REJECTS(a.arbitration = 16);
	REJECTS(a.route = 1u << 31);
}
