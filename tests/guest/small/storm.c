/* SPDX-License-Identifier: MIT */
/*
 * A hostile guest in small: every port with every size, read and written (but for those that end the machine), MMIO
 * windows of the devices at odd addresses and sizes, REP INS/OUTS; then it must still be able to print and leave.
 */
#include "guest.h"

static uint8_t buffer[4096];

static bool ends_machine(uint32_t port, unsigned size)
{
	static const uint16_t doors[] = { 0x01, 0x64, 0x92, 0xf4, 0x501, LAYOUT_PVPANIC_PORT, 0x604, 0x605, 0xcf9 };

	for (unsigned i = 0; i < sizeof(doors) / sizeof(doors[0]); i++)
		if (port <= doors[i] && doors[i] < port + size)
			return true;
	return false;
}

static void ports(void)
{
	for (uint32_t port = 0; port < 0x1000; port++) {
		/* COM1 and the debug ports would print garbage into the transcript that the test compares. */
		if (port == LAYOUT_COM1 || port == LAYOUT_DEBUG_PORT || port == LAYOUT_DEBUG_PORT_ALT ||
		    port == LAYOUT_DEBUG_PORT_TINY)
			continue;
		inb((uint16_t)port);
		if (!ends_machine(port, 1))
			outb((uint16_t)port, (uint8_t)(port * 37));
	}
}

static void windows(void)
{
	static const uint64_t base[] = { LAYOUT_IOAPIC_BASE, LAYOUT_HPET_BASE };

	for (unsigned w = 0; w < 2; w++)
		for (uint64_t off = 0; off < 0x400; off++) {
			volatile uint8_t *p = (volatile uint8_t *)(base[w] + off);

			(void)*p;
			(void)*(volatile uint16_t *)p;
			(void)*(volatile uint32_t *)p;
			(void)*(volatile uint64_t *)p;
			*(volatile uint64_t *)p = off * 0x0101010101010101;
		}
}

static void strings(void)
{
	void *at = buffer;
	uint64_t count = sizeof(buffer);

	__asm__ volatile("cld; rep insb" : "+D"(at), "+c"(count) : "d"(0x3fd) : "memory");
	at = buffer;
	count = sizeof(buffer) / 4;
	__asm__ volatile("rep insl" : "+D"(at), "+c"(count) : "d"(0x40) : "memory");
	at = buffer;
	count = sizeof(buffer);
	__asm__ volatile("rep outsb" : "+S"(at), "+c"(count) : "d"(0x80) : "memory");
}

void guest_main(void)
{
	ports();
	windows();
	strings();
	/* COM1 back to a state in which it prints: no loop-back, no divisor latch. */
	outb(LAYOUT_COM1 + 3, 0x03);
	outb(LAYOUT_COM1 + 4, 0x03);
	outb(LAYOUT_COM1 + 1, 0x00);
	print("still here\n");
	finish(0);
}
