/* SPDX-License-Identifier: MIT */
/*
 * Storms: every port with every size, memory-mapped windows at every alignment, holes, the edge of RAM, and string
 * instructions with large counts in both directions; then one that does not end, until the machine is ended.
 */
#include "hostile.h"

enum { LARGE = 1 << 20 };

static bool ends_machine(uint32_t port, unsigned size)
{
	static const uint16_t doors[] = { 0x01, 0x64, 0x92, 0xf4, 0x501, LAYOUT_PVPANIC_PORT, 0x604, 0x605, 0xcf9 };

	for (unsigned i = 0; i < sizeof(doors) / sizeof(doors[0]); i++)
		if (port <= doors[i] && doors[i] < port + size)
			return true;
	return false;
}

/* Garbage there would drown the transcript. */
static bool is_console(uint32_t port, unsigned size)
{
	static const uint16_t text[] = { LAYOUT_COM1, LAYOUT_DEBUG_PORT, LAYOUT_DEBUG_PORT_ALT, LAYOUT_DEBUG_PORT_TINY };

	for (unsigned i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		if (port <= text[i] && text[i] < port + size)
			return true;
	return false;
}

static void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}

static void ports(void)
{
	for (uint32_t port = 0; port < 0x10000; port++) {
		inb((uint16_t)port);
		inw((uint16_t)port);
		inl((uint16_t)port);
		if (!ends_machine(port, 1) && !is_console(port, 1))
			outb((uint16_t)port, (uint8_t)(port * 37));
		if (!ends_machine(port, 2) && !is_console(port, 2))
			outw((uint16_t)port, (uint16_t)(port * 40503));
		if (!ends_machine(port, 4) && !is_console(port, 4))
			outl((uint16_t)port, port * 2654435761u);
	}
}

static void touch(uint64_t addr)
{
	volatile uint8_t *p = (volatile uint8_t *)addr;
	uint64_t v = hostile_random();

	(void)*p;
	(void)*(volatile uint16_t *)p;
	(void)*(volatile uint32_t *)p;
	(void)*(volatile uint64_t *)p;
	*p = (uint8_t)v;
	*(volatile uint16_t *)p = (uint16_t)v;
	*(volatile uint32_t *)p = (uint32_t)v;
	*(volatile uint64_t *)p = v;
}

/* Vectors that machines do not have would be sent by such an IOAPIC: the processor takes none here, interrupts are off. */
static void windows(void)
{
	static const uint64_t base[] = {
		LAYOUT_IOAPIC_BASE, LAYOUT_HPET_BASE, 0xa0000, 0xfec80000, 0xd0000000, 0xfffffff0 - 256
	};

	for (unsigned w = 0; w < sizeof(base) / sizeof(base[0]); w++)
		for (uint64_t off = 0; off < 0x100; off++)
			touch(base[w] + off);
	for (uint64_t off = 0; off < 32; off++) {
		touch(LAYOUT_HPET_BASE + 0x3f0 + off);
		touch(LAYOUT_IOAPIC_BASE + 0xff0 + off);
	}
}

static void ins(uint16_t port, uint64_t to, uint64_t count)
{
	__asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}

static void outs(uint16_t port, uint64_t from, uint64_t count)
{
	__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(port) : "memory");
}

static void outs4(uint16_t port, uint64_t from, uint64_t count)
{
	__asm__ volatile("rep outsl" : "+S"(from), "+c"(count) : "d"(port) : "memory");
}

static void ins4(uint16_t port, uint64_t to, uint64_t count)
{
	__asm__ volatile("rep insl" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}

static void strings(void)
{
	static const uint16_t port[] = { 0x80, 0x71, 0x40, 0x3ff, 0x60, 0xcfc, 0x2f8, 0x61, 0x21 };

	for (unsigned i = 0; i < sizeof(port) / sizeof(port[0]); i++) {
		ins(port[i], 0x400000, LARGE / 16);
		outs(port[i], 0x400000, LARGE / 16);
		ins4(port[i], 0x400001, LARGE / 64);
		outs4(port[i], 0x400003, LARGE / 64);
		__asm__ volatile("std");
		ins(port[i], 0x500000, 4096);
		outs(port[i], 0x500000, 4096);
		__asm__ volatile("cld");
	}
	outs(0x80, 0x400000, LARGE);
	ins(0x80, 0x400000, LARGE);
	/* Over the end of RAM (16 MiB), and from a port into a device's window. */
	ins(0x80, 0xfff000, 0x2000);
	outs(0x80, 0xfff000, 0x2000);
	ins(0x71, LAYOUT_HPET_BASE, 0x400);
	outs(0x2f8, LAYOUT_HPET_BASE, 0x400);
}

static void make_printable(void)
{
	outb(LAYOUT_COM1 + 3, 0x03);
	outb(LAYOUT_COM1 + 4, 0x03);
	outb(LAYOUT_COM1 + 1, 0x00);
}

void guest_main(void)
{
	hostile_random_state = 88172645463325252ull;
	print("storm begins\n");
	ports();
	windows();
	strings();
	make_printable();
	print("storm over\n");
	ins(0x71, 0xd0000000, 1ull << 27);
	ins4(0x3fd, 0xc0000001, 1ull << 27);
	finish(0);
}
