/* SPDX-License-Identifier: MIT */
/* Keyboard and mouse behind their controller (PS/2 Hardware Interface Technical Reference), with events of Linux's evdev from outside. */
#include "model_at.h"
#include "model_fuzz.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdio.h>

#include "devices/input_model.h"
#include "proto/layout.h"

enum { DATA = 0x60, COMMAND = 0x64, FULL = 1, FROM_MOUSE = 0x20 };

static struct input_state s;
static const struct model_config config = { .ram_low = 64 << 20, .vcpus = 1 };
static uint64_t now = 1000000;

static uint8_t in(uint64_t port)
{
	uint8_t value = (uint8_t)model_read_at(&input_model, &s, MODEL_PORT, port, 1, now);

	input_model.advance(&s, now);
	return value;
}

static void out(uint64_t port, uint8_t value)
{
	model_write_at(&input_model, &s, MODEL_PORT, port, value, 1, now);
	input_model.advance(&s, now);
}

/* As drivers do: both interfaces and their interrupts on, translation as PCs have it, the mouse reports. */
static void listen(uint8_t command_byte)
{
	out(COMMAND, 0x60);
	out(DATA, command_byte);
	out(COMMAND, 0xd4);
	out(DATA, 0xf4);
	cr_assert_eq(in(COMMAND) & (FULL | FROM_MOUSE), FULL | FROM_MOUSE);
	cr_assert_eq(in(DATA), 0xfa);
}

static void init(void)
{
	memset(&s, 0xff, sizeof(s));
	input_model.reset(&s, &config, 0);
}

TestSuite(input_model, .init = init);

static void offer(unsigned type, unsigned code, int value)
{
	const struct screen_event e = { (uint16_t)type, (uint16_t)code, (uint32_t)value };

	cr_assert_eq(input_model_offer(&s, &e, 1), 0);
}

/* All that the guest can read, in hexadecimal, the mouse's in brackets. */
static const char *read_all(void)
{
	static char text[400];
	size_t len = 0;

	input_model.advance(&s, now);
	text[0] = 0;
	while (in(COMMAND)&FULL && len + 8 < sizeof(text)) {
		const bool mouse = in(COMMAND)&FROM_MOUSE;

		len += (size_t)snprintf(text + len, sizeof(text) - len, mouse ? "[%02x]" : "%02x ", in(DATA));
	}
	return text;
}

static uint32_t line(unsigned irq)
{
	uint32_t words[MODEL_LINES] = { 0 };

	input_model.get_lines(&s, words);
	return words[irq];
}

/* Each byte is an edge of its own, on the line of its device. */
Test(input_model, keys_are_bytes_and_edges)
{
	listen(0x43);
	offer(EV_KEY, KEY_A, 1);
	offer(EV_KEY, KEY_A, 0);
	input_model.advance(&s, now);
	cr_assert_eq(line(LAYOUT_KBD_IRQ) & LINE_LEVEL, 1);
	cr_assert_eq(line(LAYOUT_AUX_IRQ) & LINE_LEVEL, 0);
	const uint32_t before = line(LAYOUT_KBD_IRQ);
	cr_assert_eq(in(DATA), 0x1e);
	cr_assert_eq(line(LAYOUT_KBD_IRQ), before + LINE_EDGE, "high again, by another edge");
	cr_assert_eq(in(DATA), 0x9e, "the prefix F0h is no byte of its own when it is translated");
	cr_assert_eq(line(LAYOUT_KBD_IRQ) & LINE_LEVEL, 0);
	out(COMMAND, 0x60), out(DATA, 0x03);
	offer(EV_KEY, KEY_A, 1);
	offer(EV_KEY, KEY_A, 0);
	cr_assert_str_eq(read_all(), "1c f0 1c ");
}

/* Linux counts downwards, a mouse up; what belongs together is one report, and what is longer than a report is several. */
Test(input_model, ways_are_reports)
{
	listen(0x47);
	offer(EV_REL, REL_X, 3);
	offer(EV_REL, REL_Y, 4);
	offer(EV_REL, REL_X, -1);
	cr_assert_str_eq(read_all(), "[28][03][fc][18][ff][00]");
	offer(EV_REL, REL_X, 600);
	cr_assert_str_eq(read_all(), "[08][ff][00][08][ff][00][08][5a][00]");
	offer(EV_KEY, BTN_LEFT, 1);
	offer(EV_KEY, BTN_LEFT, 0);
	offer(EV_SYN, 0, 0);
	cr_assert_str_eq(read_all(), "[09][00][00][08][00][00]");
}

/* From one position to the next; the first way is from the upper left corner. */
Test(input_model, positions_are_ways)
{
	listen(0x47);
	offer(EV_ABS, ABS_X, 10);
	offer(EV_ABS, ABS_Y, 20);
	offer(EV_ABS, ABS_X, 7);
	offer(EV_ABS, ABS_Y, 22);
	cr_assert_str_eq(read_all(), "[28][0a][ec][38][fd][fe]");
	cr_assert(s.x == 7 && s.y == 22);
}

/* More than the devices' buffers hold: the events wait for the guest, and none is lost or out of order. */
Test(input_model, a_guest_that_listens_loses_nothing)
{
	unsigned typed = 0, moved = 0, seen = 0;
	int x = 0;

	listen(0x47);
	for (unsigned i = 0; i < 1000; i++) {
		while (input_model_room(&s) >= 3) {
			offer(EV_KEY, KEY_A, 1);
			offer(EV_KEY, KEY_A, 0);
			offer(EV_REL, REL_X, 1);
			typed++, moved++;
		}
		cr_assert_eq(input_model_offer(&s, (struct screen_event[3]){ 0 }, 3), -ENOSPC);
		for (unsigned n = 0; n < 7 && in(COMMAND)&FULL; n++) {
			const bool mouse = in(COMMAND)&FROM_MOUSE;
			const uint8_t byte = in(DATA);

			seen += !mouse && byte == 0x9e;
			x += mouse && byte == 0x01;
		}
	}
	for (const char *rest = read_all(); *rest; rest = read_all()) {
		for (const char *at = rest; (at = strstr(at, "9e ")); at++)
			seen++;
		for (const char *at = rest; (at = strstr(at, "[01]")); at++)
			x++;
	}
	cr_assert_eq(seen, typed);
	cr_assert_eq((unsigned)x, moved);
	cr_assert_gt(typed, 500);
}

/* Both interfaces are off at first: nobody listens, and nobody is waited for. */
Test(input_model, a_guest_that_does_not)
{
	for (unsigned i = 0; i < 200; i++) {
		offer(EV_KEY, KEY_A, 1);
		offer(EV_REL, REL_X, 1);
		input_model.advance(&s, now);
	}
	cr_assert_eq(input_model_room(&s), INPUT_QUEUE);
	out(COMMAND, 0xae);
	cr_assert_str_eq(read_all(), "1c 1c 1c 1c 1c 1c 1c 1c 1c 1c 1c 1c 1c 1c 1c 00 ",
			 "16 bytes, the last says that keys were lost");
}

/* A key that is held down repeats; that of one who types on does not. */
Test(input_model, repeats)
{
	uint64_t due;

	listen(0x43);
	offer(EV_KEY, KEY_A, 1);
	offer(EV_KEY, KEY_A, 2); /* a viewer's own repetition */
	due = input_model.advance(&s, now);
	cr_assert_str_eq(read_all(), "1e ");
	due = input_model.advance(&s, now);
	cr_assert_eq(due, now + 500000000);
	now = due;
	input_model.advance(&s, now);
	cr_assert_str_eq(read_all(), "1e ");
	offer(EV_KEY, KEY_A, 0);
	cr_assert_str_eq(read_all(), "9e ");
	cr_assert_eq(input_model.advance(&s, now + 1), UINT64_MAX);
}

Test(input_model, commands_reach_their_device)
{
	out(DATA, 0xff);
	cr_assert_str_eq(read_all(), "fa aa ");
	out(COMMAND, 0xd4), out(DATA, 0xff);
	cr_assert_str_eq(read_all(), "[fa][aa][00]");
	out(COMMAND, 0x60), out(DATA, 0x43);
	out(DATA, 0xf2);
	cr_assert_str_eq(read_all(), "fa ab 41 ", "an id is translated as everything else");
	cr_assert_not(input_model_take_reset(&s));
	out(COMMAND, 0xfe);
	cr_assert(input_model_take_reset(&s));
	cr_assert_not(input_model_take_reset(&s), "once");
}

Test(input_model, what_is_no_event)
{
	static const struct screen_event bad[] = {
		{ EV_KEY, KEY_A, 3 },
		{ EV_KEY, 0x300, 1 },
		{ EV_REL, REL_X, 40000 },
		{ EV_REL, REL_X, (uint32_t)-40000 },
		{ EV_ABS, ABS_X, (uint32_t)-1 },
		{ EV_ABS, ABS_X, 40000 },
		{ EV_MSC, 4, 4 },
		{ 77, 0, 0 },
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct screen_event pair[] = { { EV_KEY, KEY_A, 1 }, bad[i] };

		cr_assert_eq(input_model_offer(&s, pair, 2), -EINVAL, "%u", i);
	}
	cr_assert_eq(input_model_room(&s), INPUT_QUEUE, "and half of it is not taken");
}

Test(input_model, states_that_cannot_be)
{
	const struct input_state good = s;
	const char *field = NULL;

#define REJECTS(change)                                                                 \
	do {                                                                            \
		s = good;                                                               \
		change;                                                                 \
		cr_assert_eq(input_model.validate(&s, &field), -EINVAL, "%s", #change); \
		cr_assert_not_null(field);                                              \
	} while (0)
	cr_assert_eq(input_model.validate(&s, &field), 0);
	REJECTS(s.head = INPUT_QUEUE);
	REJECTS(s.count = INPUT_QUEUE + 1);
	REJECTS(s.count = 1; s.queue[0].type = 77);
	REJECTS(s.release = 1);
	REJECTS(s.reset_due = 2);
	REJECTS(s.x = -1);
	REJECTS(s.y = SCREEN_WAY_MAX + 1);
	REJECTS(s.keyboard_line = LINE_LEVEL);
	REJECTS(s.mouse_line = LINE_LEVEL);
	REJECTS(s.controller.count = 200);
	REJECTS(s.keyboard.set = 9);
	REJECTS(s.mouse.id = 9);
}

Test(input_model, any_access)
{
	cr_assert_eq(model_read_at(&input_model, &s, MODEL_PORT, COMMAND, 4, 0) >> 8, 0xffffff, "nobody behind it");
	fuzz_seed = 12;
	fuzz_run(&input_model, &config, 4000, 0);
	fuzz_corrupt(&input_model, &config, 300, 1);
}
