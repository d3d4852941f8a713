/* SPDX-License-Identifier: MIT */
/*
 * A frame after the other, each with its number in its first pixel and a square that moves; prints each event that comes. The key q
 * ends it with 7, r starts it again.
 */
#include "frame.h"

enum { SIDE = 32, KEY_Q = 16, KEY_R = 19 };

static void fill_square(uint32_t x, uint32_t y, uint32_t colour)
{
	for (uint32_t row = y; row < y + SIDE; row++)
		for (uint32_t column = x; column < x + SIDE; column++)
			pixels()[row * LAYOUT_FRAME_WIDTH + column] = colour;
}

static void want(const char *what, int holds)
{
	if (holds)
		return;
	print("not so: ");
	print(what);
	print("\n");
	leave(1);
}

/* Out of the interface: the numbers follow each other, time does not go back, the reserved word is 0. */
static void check_mailbox(uint64_t number)
{
	static uint64_t time_ns;

	want("frame", mailbox()->frame == number);
	want("time", mailbox()->time_ns >= time_ns);
	want("count", mailbox()->count <= MAILBOX_EVENTS && mailbox()->reserved == 0);
	time_ns = mailbox()->time_ns;
}

static void take_event(volatile const struct screen_event *e)
{
	print("event ");
	print_number(e->type, 10);
	print(" ");
	print_number(e->code, 10);
	print(" ");
	print_number(e->value, 10);
	print("\n");
	if (e->type == SCREEN_EV_KEY && e->code == KEY_Q && !e->value)
		leave(7);
	if (e->type == SCREEN_EV_KEY && e->code == KEY_R && !e->value)
		out8(LAYOUT_RESET_PORT, LAYOUT_RESET_VALUE);
}

_Noreturn void kernel(void);
_Noreturn void kernel(void)
{
	want("an empty framebuffer", pixels()[0] == 0 && pixels()[LAYOUT_FRAME_WIDTH * LAYOUT_FRAME_HEIGHT - 1] == 0);
	want("an empty mailbox", mailbox()->frame == 0 && mailbox()->count == 0);
	print("ready\n");
	for (uint64_t number = 1;; number++) {
		uint32_t x = (uint32_t)(number * 4 % (LAYOUT_FRAME_WIDTH - SIDE));

		pixels()[0] = (uint32_t)number;
		fill_square(x, 224, 0xff8000);
		show_frame();
		check_mailbox(number);
		for (uint32_t i = 0; i < mailbox()->count; i++)
			take_event(&mailbox()->events[i]);
		fill_square(x, 224, 0x000020);
	}
}

__asm__(".section .start, \"ax\"\n"
	".globl _start\n"
	"_start: jmp kernel\n"
	".text\n");
