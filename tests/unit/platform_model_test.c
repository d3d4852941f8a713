/* SPDX-License-Identifier: MIT */
/* The platform model: routing of ports, events, lines, shadow registers, journal checks. */
#include <criterion/criterion.h>
#include <errno.h>

#include "devices/platform_model.h"
#include "model_at.h"
#include "proto/layout.h"

static struct platform_state s;
static const struct model_config config = {.vcpus = 1};

static void init(void)
{
	memset(&s, 0xa5, sizeof(s));
	platform_model.reset(&s, &config, 0);
}

static void out(uint64_t port, uint64_t value, unsigned size)
{
	model_write_at(&platform_model, &s, MODEL_PORT, port, value, size, 0);
}

static uint64_t in(uint64_t port, unsigned size)
{
	return model_read_at(&platform_model, &s, MODEL_PORT, port, size, 0);
}

static void expect(enum platform_event_type type, unsigned code)
{
	const struct platform_event e = platform_model_take_event(&s);

	cr_assert_eq(e.type, type, "event %d instead of %d", e.type, type);
	cr_assert_eq(e.code, code);
}

static uint32_t line(unsigned n)
{
	uint32_t words[MODEL_LINES] = { 0 };

	platform_model.get_lines(&s, words);
	return words[n];
}

TestSuite(platform_model, .init = init);

/* Registers read what their table says, and write_mask is what a write changes. */
Test(platform_model, read_back)
{
	for (unsigned r = 0; r < platform_model.range_count; r++) {
		const struct model_range *range = &platform_model.ranges[r];

		for (unsigned i = 0; i < range->reg_count; i++) {
			const struct reg_desc *reg = &range->regs[i];
			const uint64_t addr = range->base + reg->offset, ones = UINT64_MAX >> (64 - 8 * reg->size);

			init();
			cr_assert_eq(in(addr, reg->size), reg->readable ? reg->reset : ones, "%s", reg->name);
			if (!reg->readable || !reg->writable || !reg->write_mask)
				continue;
			out(addr, ones, reg->size);
			cr_assert_eq(in(addr, reg->size), reg->write_mask | (reg->reset & ~reg->write_mask), "%s", reg->name);
			out(addr, 0, reg->size);
			cr_assert_eq(in(addr, reg->size), reg->reset & ~reg->write_mask, "%s", reg->name);
		}
	}
}

/* The shadow page and the round trip must never differ, in any state. */
static void compare_shadow(void)
{
	struct shadow_value v[MODEL_MAX_SHADOW];
	const unsigned count = platform_model.get_shadow(&s, v);
	unsigned n = 0;

	for (unsigned r = 0; r < platform_model.range_count; r++) {
		const struct model_range *range = &platform_model.ranges[r];

		for (unsigned i = 0; i < range->reg_count; i++) {
			if (range->regs[i].shadow == REG_ROUND_TRIP)
				continue;
			cr_assert_lt(n, count);
			cr_assert(v[n].valid);
			cr_assert_eq(v[n].value, in(range->base + range->regs[i].offset, range->regs[i].size), "%s",
				     range->regs[i].name);
			n++;
		}
	}
	cr_assert_eq(n, count);
}

Test(platform_model, power)
{
	out(LAYOUT_PM1_CNT, 5 << 10, 2);
	expect(PLATFORM_NONE, 0);
	out(LAYOUT_PM1_CNT, 5 << 10 | 1 << 13, 2);
	expect(PLATFORM_POWEROFF, 0);
	out(LAYOUT_PM1_CNT, 1 << 10 | 1 << 13, 2);
	expect(PLATFORM_SLEEP, 1);
	cr_assert_eq(in(LAYOUT_PM1_EVT, 2), 1 << 15, "WAK_STS: the guest that waits for it goes on");
	cr_assert_eq(in(LAYOUT_PM1_EVT, 4), 1 << 15, "a doubleword covers PM1_EN");
}

Test(platform_model, power_button)
{
	platform_model_power_button(&s);
	cr_assert_eq(line(LAYOUT_SCI_IRQ), 0);
	out(LAYOUT_PM1_EVT + 2, 0x100, 2);
	cr_assert_eq(line(LAYOUT_SCI_IRQ), LINE_LEVEL | LINE_EDGE);
	out(LAYOUT_PM1_EVT, 0x100, 2);
	cr_assert_eq(line(LAYOUT_SCI_IRQ), LINE_EDGE);
}

Test(platform_model, resets)
{
	out(LAYOUT_RESET_PORT, LAYOUT_RESET_VALUE, 1);
	expect(PLATFORM_RESET, 0);
	out(0x64, 0xfe, 1);
	expect(PLATFORM_RESET, 0);
	out(0x92, 1, 1);
	out(0x64, 0xfe, 1);
	expect(PLATFORM_RESET, 0);
	expect(PLATFORM_NONE, 0);
}

/* PCI 3.0: only doublewords reach CONFIG_ADDRESS; CF9h is another chip's. */
Test(platform_model, config_ports)
{
	out(0xcf8, 0x80000600, 4);
	expect(PLATFORM_NONE, 0);
	cr_assert_eq(in(0xcf8, 4), 0x80000600);
	out(0xcfb, 0x01, 1);
	cr_assert_eq(in(0xcf8, 4), 0x80000600, "what Linux writes while it probes");
	cr_assert_eq(in(0xcf8, 1), 0xff);
	out(0xcf8, 0x0600, 2);
	expect(PLATFORM_RESET, 0);
	out(0xcfc, 0, 4);
	for (unsigned size = 1; size <= 4; size *= 2)
		cr_assert_eq(in(0xcfc, size), UINT64_MAX >> (64 - 8 * size));
}

Test(platform_model, exits)
{
	out(LAYOUT_EXIT_PORT, 0x10, 1);
	expect(PLATFORM_EXIT, 33);
	out(LAYOUT_EXIT_PORT_ALT, 0x7, 4);
	expect(PLATFORM_EXIT, 15);
	expect(PLATFORM_NONE, 0);
	out(LAYOUT_EXIT_PORT_ALT + 1, 0x7, 1);
	expect(PLATFORM_NONE, 0);
	out(LAYOUT_EXIT_PLAIN_PORT, 7, 1);
	expect(PLATFORM_EXIT, 7);
}

/* docs/guests.md, "The frame machine": the byte is the code itself, at that port alone. */
Test(platform_model, exits_of_a_frame_machine)
{
	const struct model_config frame = { .vcpus = 1, .frame = true };

	platform_model.reset(&s, &frame, 0);
	out(LAYOUT_EXIT_PORT_ALT, 42, 1);
	expect(PLATFORM_EXIT, 42);
	out(LAYOUT_EXIT_PORT, 0x10, 1);
	expect(PLATFORM_EXIT, 33);
}

/* QEMU, docs/specs/pvpanic.rst: reads tell which events are known, bit 0 of a write is the panic. */
Test(platform_model, panic)
{
	cr_assert_eq(in(LAYOUT_PVPANIC_PORT, 1), 1);
	out(LAYOUT_PVPANIC_PORT, 0xfe, 1);
	expect(PLATFORM_NONE, 0);
	out(LAYOUT_PVPANIC_PORT, 1, 1);
	out(LAYOUT_PVPANIC_PORT, 1, 1);
	out(LAYOUT_RESET_PORT, LAYOUT_RESET_VALUE, 1);
	expect(PLATFORM_PANIC, 0);
	expect(PLATFORM_RESET, 0);
	expect(PLATFORM_NONE, 0);
}

/* docs/guests.md, "Ports for tiny guests": whatever is written, once until somebody has heard it; there is nothing to read. */
Test(platform_model, ready)
{
	cr_assert_eq(in(LAYOUT_READY_PORT, 1), 0xff);
	out(LAYOUT_READY_PORT, 0, 1);
	out(LAYOUT_READY_PORT, 1, 1);
	expect(PLATFORM_READY, 0);
	expect(PLATFORM_NONE, 0);
}

/* There is room for four of five. */
Test(platform_model, all_events_at_once)
{
	out(LAYOUT_PM1_CNT, 1 << 10 | 1 << 13, 2);
	out(LAYOUT_RESET_PORT, LAYOUT_RESET_VALUE, 1);
	out(LAYOUT_EXIT_PLAIN_PORT, 7, 1);
	out(LAYOUT_PM1_CNT, 5 << 10 | 1 << 13, 2);
	out(LAYOUT_PVPANIC_PORT, 1, 1);
	expect(PLATFORM_SLEEP, 1);
	expect(PLATFORM_RESET, 0);
	expect(PLATFORM_EXIT, 7);
	expect(PLATFORM_POWEROFF, 0);
	expect(PLATFORM_NONE, 0);
}

Test(platform_model, debug_ports)
{
	uint8_t buf[8];

	out(LAYOUT_DEBUG_PORT, 'a', 1);
	out(LAYOUT_DEBUG_PORT_ALT, 'b', 1);
	out(LAYOUT_DEBUG_PORT_TINY, 'c', 1);
	out(LAYOUT_DEBUG_PORT, 0x6564, 2);
	cr_assert_eq(platform_model_take_debug(&s, buf, sizeof(buf)), 4);
	cr_assert_arr_eq(buf, "abcd", 4);
	cr_assert_eq(in(LAYOUT_DEBUG_PORT, 1), 0xe9);
	cr_assert_eq(in(LAYOUT_DEBUG_PORT, 2), 0xffe9);
}

/* Two bytes in the output buffer are two edges on IRQ1, even for an irqd that looks only afterwards. */
Test(platform_model, keyboard_line)
{
	out(0x64, 0x60, 1);
	out(0x60, 0x01, 1);
	for (unsigned i = 0; i < 2; i++) {
		out(0x64, 0xd2, 1);
		out(0x60, i, 1);
	}
	cr_assert_eq(line(LAYOUT_KBD_IRQ), LINE_LEVEL | LINE_EDGE);
	in(0x64, 1);
	cr_assert_eq(line(LAYOUT_KBD_IRQ), LINE_LEVEL | LINE_EDGE);
	in(0x60, 1);
	cr_assert_eq(line(LAYOUT_KBD_IRQ), LINE_LEVEL | 2 * LINE_EDGE);
	in(0x60, 1);
	cr_assert_eq(line(LAYOUT_KBD_IRQ), 2 * LINE_EDGE);
}

Test(platform_model, post_code_port_has_no_effect)
{
	const struct platform_state before = s;

	out(0x80, 0x55, 1);
	cr_assert_arr_eq((const char *)&s, (const char *)&before, sizeof(s));
	cr_assert_eq(in(0x80, 1), 0xff);
}

Test(platform_model, random_operations)
{
	const char *field = NULL;
	uint32_t r = 11;
	uint8_t buf[64];

	for (unsigned i = 0; i < 200000; i++) {
		const struct model_range *range;
		uint64_t port;

		r = r * 1664525 + 1013904223;
		range = &platform_model.ranges[(r >> 8 & 0xff) % platform_model.range_count];
		port = range->base + (r >> 16 & 7) % range->len;
		switch (r >> 29) {
		case 0 ... 3:
			out(port, (uint64_t)r * r, 1u << (r >> 20 & 3));
			break;
		case 4:
			platform_model_take_event(&s);
			platform_model_take_debug(&s, buf, r >> 20 & 63);
			break;
		case 5:
			platform_model_power_button(&s);
			break;
		default:
			in(port, 1u << (r >> 20 & 3));
			break;
		}
		cr_assert_eq(platform_model.validate(&s, &field), 0, "%s after %u operations", field, i);
		if (i % 16 == 0)
			compare_shadow();
	}
}

Test(platform_model, validate_rejects)
{
	const struct platform_state good = s;
	const char *field = NULL;

#define REJECTS(change)                                                                    \
	do {                                                                               \
		s = good;                                                                  \
		change;                                                                    \
		cr_assert_eq(platform_model.validate(&s, &field), -EINVAL, "%s", #change); \
		cr_assert_not_null(field);                                                 \
	} while (0)
	cr_assert_eq(platform_model.validate(&s, &field), 0);
	REJECTS(s.event_count = PLATFORM_EVENTS + 1);
	REJECTS(s.event_count = 1);
	REJECTS(s.event_count = 2; s.events[0].type = s.events[1].type = PLATFORM_EXIT);
	REJECTS(s.event_count = 1; s.events[0].type = PLATFORM_EVENT_TYPES);
	REJECTS(s.sci_line = LINE_LEVEL);
	REJECTS(s.kbd_line = LINE_LEVEL);
	REJECTS(s.aux_line = LINE_LEVEL);
	REJECTS(s.debug.head = 0xffff);
	REJECTS(s.pci.address = 2);
	REJECTS(s.port92.value = 0x80);
	REJECTS(s.pm1.status = 2);
	REJECTS(s.kbc.count = 255);
}
