/* SPDX-License-Identifier: MIT */
/* Reads the real-time clock and watches one second go by; prints the date for the test to compare. */
#include "guest.h"

static uint8_t cmos(uint8_t reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static unsigned bcd(uint8_t v)
{
	return (v >> 4) * 10u + (v & 15u);
}

static void two(unsigned v)
{
	print_dec(v / 10);
	print_dec(v % 10);
}

void guest_main(void)
{
	uint8_t second, b = cmos(0x0b);

	check(!(b & 0x04), "register B starts in BCD");
	check(b & 0x02, "register B starts in 24-hour mode");
	check(cmos(0x0d) & 0x80, "valid RAM and time");
	while (cmos(0x0a) & 0x80)
		;
	second = cmos(0);
	while (cmos(0) == second || (cmos(0x0a) & 0x80))
		;
	check(bcd(cmos(0)) == (bcd(second) + 1) % 60, "seconds count up");
	two(bcd(cmos(0x32)));
	two(bcd(cmos(9)));
	print("-");
	two(bcd(cmos(8)));
	print("-");
	two(bcd(cmos(7)));
	print(" ");
	two(bcd(cmos(4)));
	print(":");
	two(bcd(cmos(2)));
	print("\n");
	finish(0);
}
