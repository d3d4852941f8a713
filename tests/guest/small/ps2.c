/* SPDX-License-Identifier: MIT */
/*
 * A keyboard and a mouse with a wheel behind the 8042, by interrupts 1 and 12: prints each key and each report. q ends it with code 7,
 * r resets the machine through the controller, and w works for two seconds without reading anything.
 */
#include "guest.h"

enum { DATA = 0x60, COMMAND = 0x64, FULL = 1, TO_MOUSE = 0xd4, ACK = 0xfa, KEYS = 256, REPORT = 4 };

static volatile uint8_t keys[KEYS], moves[KEYS];
static volatile uint32_t typed, moved;

static void on_key(void)
{
	keys[typed++ % KEYS] = inb(DATA);
	pic_eoi(1);
}

static void on_mouse(void)
{
	moves[moved++ % KEYS] = inb(DATA);
	pic_eoi(12);
}

static uint8_t answer(void)
{
	while (!(inb(COMMAND) & FULL))
		;
	return inb(DATA);
}

static void tell_mouse(uint8_t byte)
{
	outb(COMMAND, TO_MOUSE);
	outb(DATA, byte);
	check(answer() == ACK, "the mouse acknowledges");
}

static void set_rate(uint8_t rate)
{
	tell_mouse(0xf3);
	tell_mouse(rate);
}

static void begin(void)
{
	outb(COMMAND, 0xaa);
	check(answer() == 0x55, "the controller's self-test");
	outb(DATA, 0xff);
	check(answer() == ACK && answer() == 0xaa, "the keyboard's reset");
	tell_mouse(0xff);
	check(answer() == 0xaa && answer() == 0, "the mouse's reset");
	set_rate(200), set_rate(200), set_rate(80);
	tell_mouse(0xf2);
	check(answer() == 4, "a wheel and five buttons");
	tell_mouse(0xf4);
	outb(COMMAND, 0x60);
	outb(DATA, 0x47); /* translate; both interrupts */
}

static void work(void)
{
	outb(0x70, 0);
	for (unsigned seconds = 0, was = inb(0x71); seconds < 2;) {
		outb(0x70, 0);
		const unsigned is = inb(0x71);

		seconds += is != was;
		was = is;
	}
}

static void show_key(uint8_t code)
{
	print("key ");
	print_hex(code);
	print("\n");
	if (code == 0x90)
		finish(7);
	if (code == 0x93)
		outb(COMMAND, 0xfe);
	if (code == 0x91)
		work();
}

static void print_signed(int v)
{
	print(v < 0 ? " -" : " ");
	print_dec((uint64_t)(v < 0 ? -v : v));
}

static void show_report(const uint8_t *r)
{
	print("mouse");
	print_signed((int)r[1] - (r[0] & 0x10 ? 256 : 0));
	print_signed((int)r[2] - (r[0] & 0x20 ? 256 : 0));
	print_signed((int8_t)(uint8_t)(r[3] << 4) >> 4);
	print_signed((r[0] & 7) | (r[3] & 0x30) >> 1);
	print("\n");
}

void guest_main(void)
{
	uint32_t keys_seen = 0, moves_seen = 0;

	set_handler(0x21, on_key);
	set_handler(0x2c, on_mouse);
	begin();
	pic_init(1 << 1 | 1 << 12);
	print("ready\n");
	for (;;) {
		while (typed == keys_seen && moved - moves_seen < REPORT)
			wait_for_interrupt();
		while (keys_seen != typed)
			show_key(keys[keys_seen++ % KEYS]);
		while (moved - moves_seen >= REPORT) {
			uint8_t r[REPORT];

			for (unsigned i = 0; i < REPORT; i++)
				r[i] = moves[(moves_seen + i) % KEYS];
			moves_seen += REPORT;
			show_report(r);
		}
	}
}
