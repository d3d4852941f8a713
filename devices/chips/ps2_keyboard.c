/* SPDX-License-Identifier: MIT */
/* A keyboard: ps2_keyboard.h. */
#include "ps2_keyboard.h"

#include <stddef.h>

#include "ps2_codes.h"

enum { ACK = 0xfa, RESEND = 0xfe, ECHO = 0xee, TEST_PASSED = 0xaa, RELEASE = 0xf0, EXTENDED = 0xe0, PAUSE = 0xe1 };
enum { SET_LEDS = 0xed, SELECT_SET = 0xf0, SET_TYPEMATIC = 0xf3 }; /* commands of two bytes */
enum { FIRST_COMMAND = 0xed, TYPEMATIC_DEFAULT = 0x2b };	   /* 10.9 characters a second after 500 ms */
enum { HELD_SHIFT = 3, HELD_CTRL = 12, HELD_ALT = 48, HELD_ALL = 63 };
#define NS_PER_S 1000000000ull

/* ---- commands -------------------------------------------------------------------------------------------------- */

static void answer(struct ps2_keyboard *k, uint8_t byte)
{
	ps2_queue_put(&k->answers, byte);
}

static void forget_typed(struct ps2_keyboard *k)
{
	ps2_queue_clear(&k->typed);
	k->repeats = 0;
	k->repeat_ns = 0;
}

static void set_defaults(struct ps2_keyboard *k)
{
	forget_typed(k);
	k->set = 2;
	k->typematic = TYPEMATIC_DEFAULT;
}

void ps2_keyboard_reset(struct ps2_keyboard *k)
{
	*k = (struct ps2_keyboard){ .scanning = 1 };
	set_defaults(k);
}

/* FFh: what is held down stays so. */
static void command_reset(struct ps2_keyboard *k)
{
	const uint8_t held = k->held;

	ps2_keyboard_reset(k);
	k->held = held;
	answer(k, ACK);
	answer(k, TEST_PASSED);
}

static void simple_command(struct ps2_keyboard *k, uint8_t byte)
{
	switch (byte) {
	case 0xee: /* echo: it alone is not acknowledged */
		answer(k, ECHO);
		return;
	case 0xf2: /* read id */
		answer(k, ACK);
		answer(k, 0xab);
		answer(k, 0x83);
		return;
	case 0xf4: /* enable */
		forget_typed(k);
		k->scanning = 1;
		break;
	case 0xf5: /* default, disable */
		set_defaults(k);
		k->scanning = 0;
		break;
	case 0xf6: /* default */
		set_defaults(k);
		break;
	case 0xf7: /* these four change keys of scan code set 3 only */
	case 0xf8:
	case 0xf9:
	case 0xfa:
		break;
	case 0xfe: /* resend */
		answer(k, k->last);
		return;
	case 0xff:
		command_reset(k);
		return;
	default:
		answer(k, RESEND);
		return;
	}
	answer(k, ACK);
}

/* False: no such argument. */
static bool take_argument(struct ps2_keyboard *k, uint8_t command, uint8_t byte)
{
	if (command == SET_LEDS) {
		k->leds = byte & 7;
		return byte <= 7;
	}
	if (command == SET_TYPEMATIC) {
		k->typematic = byte & 0x7f;
		return byte <= 0x7f;
	}
	if (byte > 2)
		return false;
	forget_typed(k);
	k->set = byte ? byte : k->set;
	return true;
}

void ps2_keyboard_command(struct ps2_keyboard *k, uint8_t byte)
{
	const uint8_t command = k->command;
	bool asks_set = command == SELECT_SET && byte == 0;

	k->command = 0;
	if (command && byte < FIRST_COMMAND) {
		answer(k, take_argument(k, command, byte) ? ACK : RESEND);
		if (asks_set)
			answer(k, k->set);
	} else if (byte == SET_LEDS || byte == SELECT_SET || byte == SET_TYPEMATIC) {
		k->command = byte;
		answer(k, ACK);
	} else {
		simple_command(k, byte);
	}
}

/* ---- what it sends --------------------------------------------------------------------------------------------- */

bool ps2_keyboard_has_byte(const struct ps2_keyboard *k)
{
	return k->answers.count || k->typed.count;
}

int ps2_keyboard_take(struct ps2_keyboard *k)
{
	if (!ps2_keyboard_has_byte(k))
		return -1;
	k->last = ps2_queue_take(k->answers.count ? &k->answers : &k->typed);
	return k->last;
}

bool ps2_keyboard_has_room(const struct ps2_keyboard *k)
{
	return ps2_queue_room(&k->typed) >= PS2_KEY_BYTES + 1;
}

/* ---- keys ------------------------------------------------------------------------------------------------------ */

struct codes {
	uint8_t bytes[PS2_KEY_BYTES];
	unsigned count;
};

static void add(struct codes *c, uint8_t byte)
{
	c->bytes[c->count++] = byte;
}

/* `code` is that of set 1; 100h stands for the prefix. */
static void add_code(const struct ps2_keyboard *k, struct codes *c, unsigned code, bool down)
{
	if (code & 0x100)
		add(c, EXTENDED);
	if (k->set == 1) {
		add(c, (uint8_t)((code & 0x7f) | (down ? 0 : 0x80)));
		return;
	}
	if (!down)
		add(c, RELEASE);
	add(c, ps2_set2_of_set1((uint8_t)(code & 0x7f)));
}

/* Print Screen is a shifted key of the keypad; with Alt it is the System Request key of old. */
static void add_print_screen(const struct ps2_keyboard *k, struct codes *c, bool down)
{
	const bool bare = !(k->held & (HELD_SHIFT | HELD_CTRL));

	if (k->held & HELD_ALT) {
		add_code(k, c, 0x54, down);
		return;
	}
	if (bare && down)
		add_code(k, c, 0x12a, true);
	add_code(k, c, 0x137, down);
	if (bare && !down)
		add_code(k, c, 0x12a, false);
}

/* Pause says all when it goes down, and nothing when it goes up; with Ctrl it is Break. */
static void add_pause(const struct ps2_keyboard *k, struct codes *c, bool down)
{
	if (!down)
		return;
	if (k->held & HELD_CTRL) {
		add_code(k, c, 0x146, true);
		add_code(k, c, 0x146, false);
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		add(c, PAUSE);
		add_code(k, c, 0x1d, i == 0);
		add_code(k, c, 0x45, i == 0);
	}
}

static struct codes codes_of(const struct ps2_keyboard *k, unsigned key, bool down)
{
	struct codes c = { .count = 0 };
	const unsigned code = ps2_set1_code(key);

	if (key == PS2_KEY_SYSRQ)
		add_print_screen(k, &c, down);
	else if (key == PS2_KEY_PAUSE)
		add_pause(k, &c, down);
	else if (code)
		add_code(k, &c, code, down);
	return c;
}

static bool ends_with(const struct ps2_queue *q, uint8_t byte)
{
	return q->count && q->bytes[(q->head + q->count - 1u) % PS2_QUEUE] == byte;
}

/* All of a key or nothing of it: half a sequence would be another key. A place is kept for the code that says that keys were lost. */
static void type(struct ps2_keyboard *k, const struct codes *c)
{
	const uint8_t overrun = k->set == 1 ? 0xff : 0x00;

	if (c->count + 1 > ps2_queue_room(&k->typed)) {
		if (!ends_with(&k->typed, overrun))
			ps2_queue_put(&k->typed, overrun);
		return;
	}
	for (unsigned i = 0; i < c->count; i++)
		ps2_queue_put(&k->typed, c->bytes[i]);
}

static uint8_t held_bit(unsigned key)
{
	static const uint8_t modifiers[] = { PS2_KEY_LEFTSHIFT, PS2_KEY_RIGHTSHIFT, PS2_KEY_LEFTCTRL,
					     PS2_KEY_RIGHTCTRL, PS2_KEY_LEFTALT,    PS2_KEY_RIGHTALT };

	for (unsigned i = 0; i < sizeof(modifiers); i++)
		if (modifiers[i] == key)
			return (uint8_t)(1u << i);
	return 0;
}

static bool is_key(unsigned key)
{
	return ps2_set1_code(key) || key == PS2_KEY_SYSRQ || key == PS2_KEY_PAUSE;
}

void ps2_keyboard_key(struct ps2_keyboard *k, unsigned key, bool down)
{
	const struct codes c = codes_of(k, key, down);
	const uint8_t bit = held_bit(key);

	if (!is_key(key))
		return;
	k->held = down ? k->held | bit : k->held & (uint8_t)~bit;
	if (!k->scanning)
		return;
	type(k, &c);
	k->repeat_ns = 0;
	if (down)
		k->repeats = key == PS2_KEY_PAUSE ? 0 : (uint8_t)key;
	else if (key == k->repeats)
		k->repeats = 0;
}

/* ---- typematic repeat ------------------------------------------------------------------------------------------ */

/* "Set Typematic Rate/Delay": bits 5 and 6: 250 ms each, and one more; bits 0 to 4: (8 + A) * 2^B / 240 s. */
static uint64_t delay_ns(const struct ps2_keyboard *k)
{
	return ((k->typematic >> 5 & 3) + 1u) * (NS_PER_S / 4);
}

static uint64_t period_ns(const struct ps2_keyboard *k)
{
	return ((8 + (k->typematic & 7u)) << (k->typematic >> 3 & 3)) * NS_PER_S / 240;
}

uint64_t ps2_keyboard_advance(struct ps2_keyboard *k, uint64_t now_ns, bool idle)
{
	struct codes c;

	if (!k->repeats)
		return UINT64_MAX;
	if (!k->repeat_ns)
		k->repeat_ns = now_ns + delay_ns(k);
	if (now_ns < k->repeat_ns)
		return k->repeat_ns;
	k->repeat_ns += ((now_ns - k->repeat_ns) / period_ns(k) + 1) * period_ns(k);
	if (!idle)
		return k->repeat_ns;
	c = codes_of(k, k->repeats, true);
	type(k, &c);
	return k->repeat_ns;
}

const char *ps2_keyboard_check(const struct ps2_keyboard *k)
{
	if (!ps2_queue_is_valid(&k->answers) || !ps2_queue_is_valid(&k->typed))
		return "keyboard.queue";
	if (k->command && k->command != SET_LEDS && k->command != SELECT_SET && k->command != SET_TYPEMATIC)
		return "keyboard.command";
	if (k->set < 1 || k->set > 2)
		return "keyboard.set";
	if (k->leds > 7 || k->typematic > 0x7f || k->scanning > 1 || k->held > HELD_ALL)
		return "keyboard.mode";
	return k->repeats && !is_key(k->repeats) ? "keyboard.repeats" : NULL;
}
