/* SPDX-License-Identifier: MIT */
/* Timer interrupts through the 8259: PIT at 100 Hz on IRQ 0, twenty ticks; then the RTC's periodic interrupt. */
#include "guest.h"

static volatile unsigned ticks, rtc;

static void on_tick(void)
{
	ticks++;
	pic_eoi(0);
}

static uint8_t cmos(uint8_t reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static void on_rtc(void)
{
	if (cmos(0x0c) & 0x40)
		rtc++;
	pic_eoi(8);
}

void guest_main(void)
{
	set_handler(0x20, on_tick);
	set_handler(0x28, on_rtc);
	pic_init(1 << 0);
	pit_start(100);
	while (ticks < 20)
		wait_for_interrupt();
	print("20 ticks through the 8259\n");

	pic_init(1 << 8);
	outb(0x70, 0x0a);
	outb(0x71, 0x26); /* 1024 Hz */
	outb(0x70, 0x0b);
	outb(0x71, 0x42); /* periodic interrupt, 24 hours, BCD */
	cmos(0x0c);
	while (rtc < 20)
		wait_for_interrupt();
	print("20 periodic RTC interrupts through the slave 8259\n");
	finish(0);
}
