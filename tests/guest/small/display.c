/* SPDX-License-Identifier: MIT */
/* The cursor's place as a program without a display finds it: CRT controller, registers 0Eh and 0Fh. */
#include "guest.h"

enum { CRTC = 0x3d4 };

static uint16_t cursor(void)
{
	uint16_t at;

	outb(CRTC, 0x0e);
	at = (uint16_t)(inb(CRTC + 1) << 8);
	outb(CRTC, 0x0f);
	return at | inb(CRTC + 1);
}

void guest_main(void)
{
	print("cursor at ");
	print_hex(cursor());
	outw(CRTC, 0x070e); /* a word to both ports: index, then data */
	outb(CRTC, 0x0f);
	outb(CRTC + 1, 0xcf);
	print(", then ");
	print_hex(cursor());
	print("\n");
	finish(0);
}
