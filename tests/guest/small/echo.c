/* SPDX-License-Identifier: MIT */
/* Echoes serial input by interrupt (COM1, IRQ 4, through the 8259) until 'q'; letters come back in upper case. */
#include "guest.h"

static volatile bool done;

static void on_serial(void)
{
	while (inb(LAYOUT_COM1 + 5) & 1) {
		uint8_t c = inb(LAYOUT_COM1);
		char out[2] = { (char)(c >= 'a' && c <= 'z' ? c - 32 : c), 0 };

		if (c == 'q')
			done = true;
		print(out);
	}
	pic_eoi(4);
}

void guest_main(void)
{
	set_handler(0x24, on_serial);
	pic_init(1 << 4);
	outb(LAYOUT_COM1 + 4, 0x0b); /* DTR, RTS, OUT2: the interrupt gate of a PC */
	outb(LAYOUT_COM1 + 2, 0x07); /* FIFOs on and empty */
	outb(LAYOUT_COM1 + 1, 0x01); /* received data */
	print("ready\n");
	while (!done)
		wait_for_interrupt();
	print("\nbye\n");
	finish(0);
}
