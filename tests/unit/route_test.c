/* SPDX-License-Identifier: MIT */
/* proto/route.h on the real models' tables; the classes are those of design.md, "Posting rule" and "Shadow registers". */
#include <errno.h>

#include <criterion/criterion.h>

#include "devices/model.h"
#include "proto/layout.h"
#include "proto/route.h"

static struct route_table t;

enum { SERIAL, TIMER, IRQ, PLATFORM };

static int add(const struct device_model *m, uint8_t channel)
{
	return route_add(&t, m->ranges, m->range_count, 0, channel);
}

static void setup(void)
{
	route_init(&t);
	t.has_pci = true;
	cr_assert_eq(add(&serial_model, SERIAL), 0);
	cr_assert_eq(add(&timer_model, TIMER), 0);
	cr_assert_eq(add(&irq_model, IRQ), 0);
	cr_assert_eq(add(&platform_model, PLATFORM), 0);
}

TestSuite(route, .init = setup);

static const struct route_range *port(uint16_t p)
{
	return route_find(&t, MODEL_PORT, p);
}

Test(route, who_answers)
{
	static const struct {
		uint16_t port;
		uint8_t channel;
	} want[] = {
		{ 0x3f8, SERIAL },  { 0x3ff, SERIAL },	{ 0x2f8, SERIAL },   { 0x40, TIMER },	  { 0x43, TIMER },
		{ 0x61, TIMER },    { 0x70, TIMER },	{ 0x71, TIMER },     { 0x608, TIMER },	  { 0x20, IRQ },
		{ 0xa1, IRQ },	    { 0x4d0, IRQ },	{ 0x600, PLATFORM }, { 0x604, PLATFORM }, { 0x64, PLATFORM },
		{ 0x92, PLATFORM }, { 0xe9, PLATFORM }, { 0x501, PLATFORM }, { 0xf4, PLATFORM },  { 0xcf9, PLATFORM },
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		cr_assert_not_null(port(want[i].port), "port %x", want[i].port);
		cr_assert_eq(port(want[i].port)->channel, want[i].channel, "port %x", want[i].port);
	}
	cr_assert_null(port(0x400));
	cr_assert_null(port(0xffff));
	cr_assert_null(route_find(&t, MODEL_PORT, 0x10000));
	cr_assert_eq(route_find(&t, MODEL_MMIO, LAYOUT_IOAPIC_BASE + 0x10)->channel, IRQ);
	cr_assert_eq(route_find(&t, MODEL_MMIO, LAYOUT_HPET_BASE)->channel, TIMER);
	cr_assert_null(route_find(&t, MODEL_MMIO, LAYOUT_LAPIC_BASE), "part of the CPU");
	cr_assert_null(route_find(&t, MODEL_MMIO, 0));
	cr_assert_eq(add(&serial_model, 5), -EEXIST);
}

/* A console byte: one posted store and no round trip. */
Test(route, console_byte)
{
	struct route_access a = route_write(port(0x3f8), 0x3f8, 1, 'x');

	cr_assert_eq(a.way, ROUTE_POST);
	cr_assert_eq(a.classes, CLASS_TXDATA);
	a = route_read(port(0x3fd), 0x3fd, 1);
	cr_assert_eq(a.way, ROUTE_SHADOWED);
	cr_assert_eq(a.classes & CLASS_TXDATA, 0, "posted characters do not hide LSR");
	cr_assert_neq(route_read(port(0x3fd), 0x3fd, 1).shadow, route_read(port(0x2fd), 0x2fd, 1).shadow);
	cr_assert_eq(route_read(port(0x3f8), 0x3f8, 1).way, ROUTE_SYNC, "RBR pops");
	cr_assert_eq(route_read(port(0x3fa), 0x3fa, 1).way, ROUTE_SYNC, "IIR clears");
	cr_assert_eq(route_read(port(0x3fc), 0x3fc, 2).way, ROUTE_SYNC, "wider than the register");
}

/* Synchronous: all that can mask or drop an interrupt. */
Test(route, what_masks_is_synchronous)
{
	cr_assert_eq(route_write(port(0x3f9), 0x3f9, 1, 0).way, ROUTE_SYNC, "IER");
	cr_assert_eq(route_write(port(0x3fc), 0x3fc, 1, 0).way, ROUTE_SYNC, "MCR");
	cr_assert_eq(route_write(port(0x3fa), 0x3fa, 1, 0).way, ROUTE_SYNC, "FCR");
	cr_assert_eq(route_write(port(0x43), 0x43, 1, 0x34).way, ROUTE_SYNC, "PIT control");
	cr_assert_eq(route_write(port(0x21), 0x21, 1, 0xff).way, ROUTE_SYNC, "OCW1");
	cr_assert_eq(route_write(port(0x20), 0x20, 1, 0x11).way, ROUTE_SYNC, "ICW1");
	cr_assert_eq(route_write(port(0x4d0), 0x4d0, 1, 0).way, ROUTE_SYNC, "ELCR");
	cr_assert_eq(route_write(route_find(&t, MODEL_MMIO, LAYOUT_IOAPIC_BASE + 0x10), LAYOUT_IOAPIC_BASE + 0x10, 4, 0).way,
		     ROUTE_SYNC, "IOAPIC entries");
}

Test(route, what_is_posted)
{
	cr_assert_eq(route_write(port(0x20), 0x20, 1, 0x20).way, ROUTE_POST, "non-specific EOI, 8259A OCW2");
	cr_assert_eq(route_write(port(0xa0), 0xa0, 1, 0x62).way, ROUTE_POST, "specific EOI");
	cr_assert_eq(route_write(port(0x70), 0x70, 1, 0x0f).way, ROUTE_POST, "CMOS index");
	cr_assert_eq(route_write(port(0x40), 0x40, 1, 0x0f).way, ROUTE_POST, "PIT data");
}

Test(route, time_functions_are_shadowed)
{
	cr_assert_eq(route_read(port(LAYOUT_PM_TIMER), LAYOUT_PM_TIMER, 4).way, ROUTE_SHADOWED);
	cr_assert_eq(route_read(port(LAYOUT_PM_TIMER), LAYOUT_PM_TIMER, 1).way, ROUTE_SYNC);
}

Test(route, accesses_across_the_end)
{
	cr_assert(route_fits(port(0x3ff), 0x3ff, 1));
	cr_assert_not(route_fits(port(0x3ff), 0x3ff, 2));
	cr_assert_not(route_fits(port(0x3f8), UINT64_MAX, 4));
}

/* Every range of every model can be found again, and no shadow index is beyond the page. */
Test(route, all_ranges)
{
	static const struct device_model *const models[] = { &serial_model, &timer_model, &irq_model, &platform_model };

	for (unsigned m = 0; m < 4; m++) {
		for (unsigned i = 0; i < models[m]->range_count; i++) {
			const struct model_range *want = &models[m]->ranges[i];
			const struct route_range *r = route_find(&t, want->space, want->base + want->len - 1);

			cr_assert_not_null(r);
			cr_assert_eq(r->channel, m);
			cr_assert_eq(r->base, want->base);
			cr_assert_eq(r->range, i, "the model is called with it");
			for (unsigned k = 0; k < r->reg_count; k++)
				cr_assert_lt(r->first_shadow + (r->regs[k].shadow != REG_ROUND_TRIP), MODEL_MAX_SHADOW + 1);
		}
	}
}

/* Two of a kind: the second one's ranges lie a step higher, and are the same ranges to its model. */
Test(route, instances)
{
	static const struct model_range disk[] = {
		{ .name = "PORTS", .space = MODEL_PORT, .base = 0x5000, .len = 16, .step = 0x100 },
		{ .name = "WINDOW", .space = MODEL_MMIO, .base = 0xf0000000, .len = 0x1000, .step = 0x1000 },
	};

	for (uint8_t n = 0; n < 2; n++)
		cr_assert_eq(route_add(&t, disk, 2, n, (uint8_t)(4 + n)), 0);
	cr_assert_eq(port(0x500f)->channel, 4);
	cr_assert_eq(port(0x5100)->channel, 5);
	cr_assert_eq(port(0x5100)->range, 0);
	cr_assert_null(port(0x5010));
	cr_assert_eq(route_find(&t, MODEL_MMIO, 0xf0001fff)->channel, 5);
	cr_assert_eq(route_find(&t, MODEL_MMIO, 0xf0001fff)->range, 1);
	cr_assert_null(route_find(&t, MODEL_MMIO, 0xf0002000));
}

/* A further place of a range, as for a device that is plugged in. Its registers are posted and shadowed as at the first. */
Test(route, placed_later)
{
	const struct model_range *ranges = serial_model.ranges;

	cr_assert_eq(route_place(&t, ranges, 1, 0x5ff8, SERIAL), 0);
	cr_assert_eq(port(0x5ff8)->channel, SERIAL);
	cr_assert_eq(port(0x5fff)->range, 1);
	cr_assert_eq(route_write(port(0x5ff8), 0x5ff8, 1, 'x').way, ROUTE_POST);
	cr_assert_eq(route_read(port(0x5ffd), 0x5ffd, 1).shadow, route_read(port(0x2fd), 0x2fd, 1).shadow);
	cr_assert_eq(port(0x2f8)->range, 1, "where it was before, it stays");
}

Test(route, places_that_cannot_be)
{
	static const struct model_range window = { .space = MODEL_MMIO, .len = 0x1000 };
	const struct model_range *ranges = serial_model.ranges;
	unsigned n = 0;
	int err;

	cr_assert_eq(route_place(&t, ranges, 1, 0x3f1, SERIAL), -EEXIST, "its last port is COM1's");
	cr_assert_null(port(0x3f1), "nothing has changed");
	cr_assert_eq(route_place(&t, ranges, 1, 0xfff9, SERIAL), -EINVAL);
	cr_assert_eq(route_place(&t, ranges, 1, UINT64_MAX, SERIAL), -EINVAL);
	cr_assert_eq(route_place(&t, &window, 0, LAYOUT_HPET_BASE - 1, SERIAL), -EEXIST);
	cr_assert_eq(route_place(&t, &window, 0, UINT64_MAX - 1, SERIAL), -EINVAL);
	while (!(err = route_place(&t, &window, 0, 0xf0000000 + 0x1000ull * n, SERIAL)))
		n++;
	cr_assert_eq(err, -ENOSPC);
	cr_assert_eq(t.mmio_count, ROUTE_MMIO);
}

/* A machine without PCI does not answer in its windows, whoever could. */
Test(route, pci_only_where_it_is)
{
	cr_assert_eq(route_find(&t, MODEL_MMIO, LAYOUT_ECAM_BASE)->channel, PLATFORM);
	cr_assert_null(route_find(&t, MODEL_MMIO, LAYOUT_ECAM_BASE + LAYOUT_ECAM_FUNCTION), "no other function");
	route_init(&t);
	cr_assert_eq(add(&platform_model, PLATFORM), 0);
	cr_assert_null(route_find(&t, MODEL_MMIO, LAYOUT_ECAM_BASE));
}
