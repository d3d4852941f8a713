/* SPDX-License-Identifier: MIT */
/*
 * Keeps something in a device, for tests that reset the machine under it. Commands come through COM1: s sets the speaker's
 * bit of port 61h, g tells that bit and its gate's, @ resets the machine, q leaves with code 0.
 */
#include "guest.h"

static char next_command(void)
{
	while (!(inb(LAYOUT_COM1 + 5) & 1))
		;
	return (char)inb(LAYOUT_COM1);
}

void guest_main(void)
{
	print("ready\n");
	for (;;) {
		switch (next_command()) {
		case 's':
			outb(0x61, 2);
			print("set\n");
			break;
		case 'g':
			print("it is ");
			print_hex(inb(0x61) & 3);
			print("\n");
			break;
		case '@':
			outb(LAYOUT_RESET_PORT, LAYOUT_RESET_VALUE);
			break;
		case 'q':
			finish(0);
		}
	}
}
