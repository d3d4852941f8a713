/* SPDX-License-Identifier: MIT */
/* Timer interrupts through the IOAPIC: the PIT on pin 2, edge-triggered, 8259 masked. */
#include "guest.h"

static volatile unsigned ticks;

static void on_tick(void)
{
	ticks++;
	lapic_eoi();
}

void guest_main(void)
{
	set_handler(0x40, on_tick);
	pic_init(0);
	lapic_init();
	ioapic_route(LAYOUT_PIT_PIN, 0x40, false, false);
	pit_start(100);
	while (ticks < 20)
		wait_for_interrupt();
	print("20 ticks through the IOAPIC\n");
	finish(0);
}
