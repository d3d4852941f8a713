/* SPDX-License-Identifier: MIT */
/*
 * Keyboard and mouse against the PS/2 Hardware Interface Technical Reference ("Keyboard", "Mouse"), and against what Microsoft's
 * "Keyboard Scan Code Specification" and IntelliMouse have beside.
 */
#include <criterion/criterion.h>
#include <linux/input-event-codes.h>
#include <stdio.h>
#include <string.h>

#include "devices/chips/ps2_codes.h"
#include "devices/chips/ps2_keyboard.h"
#include "devices/chips/ps2_mouse.h"

static struct ps2_keyboard k;
static struct ps2_mouse m;

static void init(void)
{
	ps2_keyboard_reset(&k);
	ps2_mouse_reset(&m);
}

TestSuite(ps2, .init = init);

/* All that the keyboard or the mouse has to send, in hexadecimal. */
static const char *sent(int (*take)(void))
{
	static char text[200];
	size_t len = 0;

	text[0] = 0;
	for (int byte = take(); byte >= 0 && len + 4 < sizeof(text); byte = take())
		len += (size_t)snprintf(text + len, sizeof(text) - len, len ? " %02x" : "%02x", (unsigned)byte);
	return text;
}

static int take_keyboard(void)
{
	return ps2_keyboard_take(&k);
}

static int take_mouse(void)
{
	return ps2_mouse_take(&m);
}

static const char *tap(unsigned key)
{
	ps2_keyboard_key(&k, key, true);
	ps2_keyboard_key(&k, key, false);
	return sent(take_keyboard);
}

static const char *tell(uint8_t byte)
{
	ps2_keyboard_command(&k, byte);
	return sent(take_keyboard);
}

static const char *tell_mouse(uint8_t byte)
{
	ps2_mouse_command(&m, byte);
	return sent(take_mouse);
}

static const char *move(int dx, int dy, int dz, uint8_t buttons)
{
	ps2_mouse_move(&m, dx, dy, dz, buttons);
	return sent(take_mouse);
}

/* ---- scan codes ------------------------------------------------------------------------------------------------ */

/* "Scan Code Tables": key, set 1 make and break, set 2 make and break. */
static const struct {
	unsigned key;
	const char *set1, *set2;
} codes[] = {
	{ KEY_ESC, "01 81", "76 f0 76" },
	{ KEY_1, "02 82", "16 f0 16" },
	{ KEY_A, "1e 9e", "1c f0 1c" },
	{ KEY_Z, "2c ac", "1a f0 1a" },
	{ KEY_ENTER, "1c 9c", "5a f0 5a" },
	{ KEY_SPACE, "39 b9", "29 f0 29" },
	{ KEY_GRAVE, "29 a9", "0e f0 0e" },
	{ KEY_CAPSLOCK, "3a ba", "58 f0 58" },
	{ KEY_LEFTSHIFT, "2a aa", "12 f0 12" },
	{ KEY_RIGHTSHIFT, "36 b6", "59 f0 59" },
	{ KEY_LEFTCTRL, "1d 9d", "14 f0 14" },
	{ KEY_RIGHTCTRL, "e0 1d e0 9d", "e0 14 e0 f0 14" },
	{ KEY_LEFTALT, "38 b8", "11 f0 11" },
	{ KEY_RIGHTALT, "e0 38 e0 b8", "e0 11 e0 f0 11" },
	{ KEY_F1, "3b bb", "05 f0 05" },
	{ KEY_F7, "41 c1", "83 f0 83" },
	{ KEY_F12, "58 d8", "07 f0 07" },
	{ KEY_KP7, "47 c7", "6c f0 6c" },
	{ KEY_KPENTER, "e0 1c e0 9c", "e0 5a e0 f0 5a" },
	{ KEY_KPSLASH, "e0 35 e0 b5", "e0 4a e0 f0 4a" },
	{ KEY_UP, "e0 48 e0 c8", "e0 75 e0 f0 75" },
	{ KEY_LEFT, "e0 4b e0 cb", "e0 6b e0 f0 6b" },
	{ KEY_DELETE, "e0 53 e0 d3", "e0 71 e0 f0 71" },
	{ KEY_LEFTMETA, "e0 5b e0 db", "e0 1f e0 f0 1f" },
	{ KEY_102ND, "56 d6", "61 f0 61" },
	{ KEY_SYSRQ, "e0 2a e0 37 e0 b7 e0 aa", "e0 12 e0 7c e0 f0 7c e0 f0 12" },
	{ KEY_PAUSE, "e1 1d 45 e1 9d c5", "e1 14 77 e1 f0 14 f0 77" },
};

Test(ps2, scan_codes)
{
	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		init();
		cr_expect_str_eq(tap(codes[i].key), codes[i].set2, "key %u", codes[i].key);
		tell(0xf0), tell(1);
		cr_expect_str_eq(tap(codes[i].key), codes[i].set1, "key %u", codes[i].key);
	}
	cr_expect_str_eq(tap(0xf0), "", "no such key");
	cr_expect_str_eq(tap(BTN_LEFT), "", "nor is a button one");
}

/* With Alt, Print Screen is System Request; with Ctrl, Pause is Break; with Shift or Ctrl, Print Screen is not shifted again. */
Test(ps2, keys_that_change)
{
	ps2_keyboard_key(&k, KEY_LEFTALT, true);
	cr_expect_str_eq(tap(KEY_SYSRQ), "11 84 f0 84");
	ps2_keyboard_key(&k, KEY_LEFTALT, false);
	ps2_keyboard_key(&k, KEY_RIGHTCTRL, true);
	cr_expect_str_eq(tap(KEY_PAUSE), "f0 11 e0 14 e0 7e e0 f0 7e");
	cr_expect_str_eq(tap(KEY_SYSRQ), "e0 7c e0 f0 7c");
}

/* What the controller makes of set 2 is what the keyboard sends in set 1. */
Test(ps2, translation)
{
	for (unsigned key = 1; key < 256; key++) {
		char plain[64];
		int byte;

		init();
		tell(0xf0), tell(1);
		snprintf(plain, sizeof(plain), "%s", tap(key));
		tell(0xf0), tell(2);
		ps2_keyboard_key(&k, key, true);
		ps2_keyboard_key(&k, key, false);
		for (uint8_t release = 0, at = 0; (byte = take_keyboard()) >= 0;) {
			char text[12];

			byte = ps2_translate(&release, (uint8_t)byte);
			if (byte < 0)
				continue;
			snprintf(text, sizeof(text), "%02x", (unsigned)byte);
			cr_assert_eq(strncmp(plain + at, text, 2), 0, "key %u: %s", key, plain);
			at += 3;
		}
	}
	for (uint8_t release = 0, i = 0; i < 3; i++)
		cr_assert_eq(ps2_translate(&release, (uint8_t[]){ 0xfa, 0xaa, 0xee }[i]), ((int[]){ 0xfa, 0xaa, 0xee }[i]),
			     "answers pass");
}

/* ---- the keyboard's commands ----------------------------------------------------------------------------------- */

Test(ps2, keyboard_commands)
{
	cr_expect_str_eq(tell(0xee), "ee", "echo is not acknowledged");
	cr_expect_str_eq(tell(0xf2), "fa ab 83", "read id");
	cr_expect_str_eq(tell(0xff), "fa aa", "reset: basic assurance test passed");
	cr_expect_str_eq(tell(0xfe), "aa", "resend: the last byte");
	cr_expect_str_eq(tell(0xed), "fa");
	cr_expect_str_eq(tell(0x05), "fa");
	cr_expect_eq(k.leds, 5);
	cr_expect_str_eq(tell(0xed), "fa");
	cr_expect_str_eq(tell(0xf4), "fa", "a command in an argument's place");
	cr_expect_str_eq(tell(0x07), "fe", "is a command, and this is none");
	cr_expect_eq(k.leds, 5);
	cr_expect_str_eq(tell(0xf0), "fa");
	cr_expect_str_eq(tell(0x00), "fa 02", "which set?");
	cr_expect_str_eq(tell(0xf0), "fa");
	cr_expect_str_eq(tell(0x03), "fe", "no set 3");
	cr_expect_str_eq(tell(0xf0), "fa");
	cr_expect_str_eq(tell(0x01), "fa");
	cr_expect_str_eq(tell(0xf6), "fa", "default");
	cr_expect_eq(k.set, 2);
	cr_expect_str_eq(tell(0x80), "fe", "no such command");
}

Test(ps2, keyboard_off_and_on)
{
	cr_expect_str_eq(tell(0xf5), "fa");
	cr_expect_str_eq(tap(KEY_A), "", "default disable: scanning stops");
	cr_expect_str_eq(tell(0xf6), "fa", "default goes on with scanning only if it was on");
	cr_expect_str_eq(tap(KEY_A), "");
	cr_expect_str_eq(tell(0xf4), "fa");
	cr_expect_str_eq(tap(KEY_A), "1c f0 1c");
	ps2_keyboard_key(&k, KEY_B, true);
	cr_expect_str_eq(tell(0xf4), "fa", "enable clears the buffer");
	ps2_keyboard_key(&k, KEY_C, true);
	cr_expect_str_eq(tell(0xed), "fa 21", "an answer comes before what was typed");
}

/* "Keyboard Buffer": 16 bytes; "an overrun code replaces" what does not fit: 00h in set 2, FFh in set 1. A key is there whole or not at all. */
Test(ps2, keyboard_overrun)
{
	for (unsigned i = 0; i < 20; i++)
		ps2_keyboard_key(&k, KEY_A, true);
	cr_expect_str_eq(sent(take_keyboard), "1c 1c 1c 1c 1c 1c 1c 1c 1c 1c 1c 1c 1c 1c 1c 00");
	for (unsigned i = 0; i < 9; i++)
		ps2_keyboard_key(&k, KEY_UP, true);
	cr_expect_str_eq(sent(take_keyboard), "e0 75 e0 75 e0 75 e0 75 e0 75 e0 75 e0 75 00");
	tell(0xf0), tell(1);
	for (unsigned i = 0; i < 20; i++)
		ps2_keyboard_key(&k, KEY_A, true);
	cr_expect_str_eq(sent(take_keyboard), "1e 1e 1e 1e 1e 1e 1e 1e 1e 1e 1e 1e 1e 1e 1e ff");
}

/* "Set Typematic Rate/Delay": default 500 ms, then 10.9 a second; the last key that is down repeats. */
Test(ps2, typematic)
{
	const uint64_t ms = 1000000, t = 1000 * ms;

	cr_assert_eq(ps2_keyboard_advance(&k, t, true), UINT64_MAX, "nothing is down");
	ps2_keyboard_key(&k, KEY_A, true);
	cr_assert_str_eq(sent(take_keyboard), "1c");
	cr_assert_eq(ps2_keyboard_advance(&k, t, true), t + 500 * ms);
	ps2_keyboard_advance(&k, t + 499 * ms, true);
	cr_assert_str_eq(sent(take_keyboard), "");
	cr_assert_eq((ps2_keyboard_advance(&k, t + 500 * ms, true) - t) / ms, 591, "1/10.9 s");
	cr_assert_str_eq(sent(take_keyboard), "1c");
	ps2_keyboard_advance(&k, t + 5000 * ms, true);
	cr_assert_str_eq(sent(take_keyboard), "1c", "not all at once that nobody was there for");
	ps2_keyboard_advance(&k, t + 6000 * ms, false);
	cr_assert_str_eq(sent(take_keyboard), "", "the last one was not read");
	ps2_keyboard_key(&k, KEY_B, true);
	ps2_keyboard_key(&k, KEY_A, false);
	cr_assert_str_eq(sent(take_keyboard), "32 f0 1c");
	cr_assert_lt(ps2_keyboard_advance(&k, t + 7000 * ms, true), UINT64_MAX, "B is still down");
	ps2_keyboard_key(&k, KEY_B, false);
	cr_assert_eq(ps2_keyboard_advance(&k, t + 9000 * ms, true), UINT64_MAX);
	sent(take_keyboard);
	tell(0xf3), tell(0x00);
	ps2_keyboard_key(&k, KEY_A, true);
	cr_assert_eq(ps2_keyboard_advance(&k, t, true), t + 250 * ms);
	cr_assert_eq((ps2_keyboard_advance(&k, t + 250 * ms, true) - t) / ms, 283, "30 a second");
	tell(0xf3), tell(0x7f);
	ps2_keyboard_key(&k, KEY_A, true);
	cr_assert_eq(ps2_keyboard_advance(&k, t, true), t + 1000 * ms);
	cr_assert_eq((ps2_keyboard_advance(&k, t + 1000 * ms, true) - t) / ms, 1500, "2 a second");
	sent(take_keyboard);
	ps2_keyboard_key(&k, KEY_PAUSE, true);
	cr_assert_eq(ps2_keyboard_advance(&k, t, true), UINT64_MAX, "Pause does not repeat");
}

/* ---- the mouse ------------------------------------------------------------------------------------------------- */

Test(ps2, mouse_commands)
{
	cr_expect_str_eq(tell_mouse(0xff), "fa aa 00", "reset: passed, and its id");
	cr_expect_str_eq(tell_mouse(0xf2), "fa 00");
	cr_expect_str_eq(tell_mouse(0xe9), "fa 00 02 64", "status: disabled, 4 counts/mm, 100 a second");
	cr_expect_str_eq(tell_mouse(0xe8), "fa");
	cr_expect_str_eq(tell_mouse(0x03), "fa");
	cr_expect_str_eq(tell_mouse(0xf3), "fa");
	cr_expect_str_eq(tell_mouse(0xc8), "fa");
	cr_expect_str_eq(tell_mouse(0xf3), "fa");
	cr_expect_str_eq(tell_mouse(0x21), "fe", "no such rate");
	cr_expect_str_eq(tell_mouse(0xe7), "fa");
	cr_expect_str_eq(tell_mouse(0xf4), "fa");
	move(0, 0, 0, PS2_MOUSE_LEFT | PS2_MOUSE_RIGHT);
	cr_expect_str_eq(tell_mouse(0xe9), "fa 35 03 c8", "enabled, 2:1, left and right are down");
	cr_expect_str_eq(tell_mouse(0xf6), "fa");
	cr_expect_str_eq(tell_mouse(0xe9), "fa 05 02 64", "defaults");
	cr_expect_str_eq(tell_mouse(0x12), "fe", "no such command");
	cr_expect_str_eq(tell_mouse(0xfe), "fe", "resend: the last byte");
}

/* "Data packet format": overflow, signs, buttons; X to the right, Y up. */
Test(ps2, mouse_reports)
{
	cr_expect_str_eq(move(5, 5, 0, 0), "", "it does not report before it is told to");
	tell_mouse(0xf4);
	cr_expect_str_eq(move(5, 7, 0, 0), "08 05 07", "what was moved before that does not count");
	cr_expect_str_eq(move(-1, -255, 0, 0), "38 ff 01");
	cr_expect_str_eq(move(0, 0, 0, PS2_MOUSE_MIDDLE), "0c 00 00");
	cr_expect_str_eq(move(0, 0, 0, PS2_MOUSE_MIDDLE), "", "nothing has changed");
	cr_expect_str_eq(move(0, 0, 0, PS2_MOUSE_LEFT), "09 00 00");
	cr_expect_str_eq(move(0, 0, 3, PS2_MOUSE_LEFT | PS2_MOUSE_FOURTH), "", "three buttons and no wheel");
	for (unsigned i = 0; i < 20; i++)
		ps2_mouse_move(&m, 100, -100, 0, PS2_MOUSE_LEFT);
	cr_expect_str_eq(sent(take_mouse), "29 64 9c 29 64 9c 29 64 9c 29 64 9c 29 64 9c e9 ff 01",
			 "then counters add up, and overflow");
	cr_expect_str_eq(tell_mouse(0xf5), "fa");
	cr_expect_str_eq(move(5, 5, 0, 0), "");
}

/* "Set Scaling 2:1": 0 1 2 3 4 5 become 0 1 1 3 6 9, and N 2N. */
Test(ps2, mouse_scaling)
{
	tell_mouse(0xf4), tell_mouse(0xe7);
	cr_expect_str_eq(move(2, 3, 0, 0), "08 01 03");
	cr_expect_str_eq(move(4, 5, 0, 0), "08 06 09");
	cr_expect_str_eq(move(-6, -1, 0, 0), "38 f4 ff");
	tell_mouse(0xe6);
	cr_expect_str_eq(move(6, 1, 0, 0), "08 06 01");
}

Test(ps2, mouse_modes)
{
	tell_mouse(0xf4);
	cr_expect_str_eq(tell_mouse(0xf0), "fa", "remote mode");
	cr_expect_str_eq(move(1, 2, 0, 0), "");
	cr_expect_str_eq(move(3, 4, 0, PS2_MOUSE_RIGHT), "");
	cr_expect_str_eq(tell_mouse(0xeb), "fa 0a 04 06", "read data");
	cr_expect_str_eq(tell_mouse(0xeb), "fa 0a 00 00", "counters are clear then");
	cr_expect_str_eq(tell_mouse(0xe9), "fa 61 02 64");
	cr_expect_str_eq(tell_mouse(0xee), "fa", "wrap mode");
	cr_expect_str_eq(tell_mouse(0xf4), "f4", "echoes all");
	cr_expect_str_eq(tell_mouse(0x55), "55");
	cr_expect_str_eq(tell_mouse(0xec), "fa", "but its end");
	cr_expect_str_eq(tell_mouse(0xea), "fa", "stream mode");
	cr_expect_str_eq(move(1, 1, 0, 0), "08 01 01");
	tell_mouse(0xee);
	cr_expect_str_eq(tell_mouse(0xff), "fa aa 00", "and reset");
}

static void knock(uint8_t a, uint8_t b, uint8_t c)
{
	for (unsigned i = 0; i < 3; i++) {
		cr_expect_str_eq(tell_mouse(0xf3), "fa");
		cr_expect_str_eq(tell_mouse((uint8_t[]){ a, b, c }[i]), "fa");
	}
}

/* IntelliMouse: sample rates 200, 100, 80; Explorer: 200, 200, 80. A fourth byte; Z is positive towards the user. */
Test(ps2, mouse_with_a_wheel)
{
	knock(200, 100, 80);
	cr_expect_str_eq(tell_mouse(0xf2), "fa 03");
	tell_mouse(0xf4);
	cr_expect_str_eq(move(1, 0, -1, 0), "08 01 00 ff");
	cr_expect_str_eq(move(0, 0, 20, 0), "08 00 00 07");
	knock(200, 200, 80);
	cr_expect_str_eq(tell_mouse(0xf2), "fa 04");
	cr_expect_str_eq(move(0, 0, -1, PS2_MOUSE_FOURTH), "08 00 00 1f");
	cr_expect_str_eq(move(0, 0, 0, PS2_MOUSE_FIFTH), "08 00 00 20");
	cr_expect_str_eq(tell_mouse(0xff), "fa aa 00", "a mouse of three buttons again");
	knock(100, 200, 80);
	cr_expect_str_eq(tell_mouse(0xf2), "fa 00", "no knock");
}

/* An answer is not part of a report. */
Test(ps2, mouse_command_in_a_report)
{
	tell_mouse(0xf4);
	ps2_mouse_move(&m, 1, 1, 0, 0);
	ps2_mouse_move(&m, 2, 2, 0, 0);
	cr_expect_eq(ps2_mouse_take(&m), 0x08);
	cr_expect_str_eq(tell_mouse(0xf2), "fa 00");
	cr_expect_str_eq(move(3, 0, 0, 0), "08 03 00");
}

/* ---- states ---------------------------------------------------------------------------------------------------- */

Test(ps2, states_that_cannot_be)
{
	const struct ps2_keyboard good = k;
	const struct ps2_mouse fine = m;

	cr_assert_null(ps2_keyboard_check(&k));
	cr_assert_null(ps2_mouse_check(&m));
#define REJECTS(change)                                                                  \
	do {                                                                             \
		k = good;                                                                \
		m = fine;                                                                \
		change;                                                                  \
		cr_assert(ps2_keyboard_check(&k) || ps2_mouse_check(&m), "%s", #change); \
	} while (0)
	REJECTS(k.typed.head = PS2_QUEUE);
	REJECTS(k.answers.count = PS2_QUEUE + 1);
	REJECTS(k.command = 1);
	REJECTS(k.set = 0);
	REJECTS(k.set = 3);
	REJECTS(k.leds = 8);
	REJECTS(k.typematic = 0x80);
	REJECTS(k.scanning = 2);
	REJECTS(k.held = 64);
	REJECTS(k.repeats = 240);
	REJECTS(m.reports.head = PS2_QUEUE);
	REJECTS(m.dx = 256);
	REJECTS(m.dz = -8);
	REJECTS(m.command = 0xe7);
	REJECTS(m.id = 1);
	REJECTS(m.rate = 30);
	REJECTS(m.resolution = 4);
	REJECTS(m.wrap = 2);
	REJECTS(m.overflow = 4);
	REJECTS(m.buttons = 32);
}
