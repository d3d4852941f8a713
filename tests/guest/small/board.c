/* SPDX-License-Identifier: MIT */
/*
 * The doors of the board: 'r' on COM1 resets through the FADT's reset register, 'p' and the power button (SCI, PM1
 * status) turn the machine off through PM1a_CNT. What an operating system's ACPI driver does, without one.
 */
#include "guest.h"

#define PM1_PWRBTN (1u << 8)
#define PM1_SCI_EN (1u << 0)
#define PM1_SLP_EN (1u << 13)

static volatile bool off, reset;

static void on_serial(void)
{
	while (inb(LAYOUT_COM1 + 5) & 1) {
		uint8_t c = inb(LAYOUT_COM1);

		off = off || c == 'p';
		reset = reset || c == 'r';
	}
	pic_eoi(4);
}

static void on_sci(void)
{
	if (inw(LAYOUT_PM1_EVT) & PM1_PWRBTN) {
		outw(LAYOUT_PM1_EVT, PM1_PWRBTN);
		print("power button\n");
		off = true;
	}
	pic_eoi(LAYOUT_SCI_IRQ);
}

void guest_main(void)
{
	set_handler(0x24, on_serial);
	set_handler(0x20 + LAYOUT_SCI_IRQ, on_sci);
	outb(0x4d1, 1 << (LAYOUT_SCI_IRQ - 8)); /* ELCR: the SCI is level-triggered */
	pic_init(1 << 4 | 1 << LAYOUT_SCI_IRQ);
	outw(LAYOUT_PM1_CNT, PM1_SCI_EN);
	outw(LAYOUT_PM1_EVT + 2, PM1_PWRBTN);
	outb(LAYOUT_COM1 + 4, 0x0b);
	outb(LAYOUT_COM1 + 2, 0x07);
	outb(LAYOUT_COM1 + 1, 0x01);
	print("board ready\n");
	while (!off && !reset)
		wait_for_interrupt();
	if (reset)
		outb(LAYOUT_RESET_PORT, LAYOUT_RESET_VALUE);
	else
		outw(LAYOUT_PM1_CNT, PM1_SCI_EN | LAYOUT_SLP_TYP_S5 << 10 | PM1_SLP_EN);
	for (;;)
		__asm__ volatile("hlt");
}
