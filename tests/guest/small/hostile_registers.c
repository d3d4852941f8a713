/* SPDX-License-Identifier: MIT */
/*
 * Every register of every device with every value, while interrupts fire: the timer of the local APIC all the time, and
 * whatever the devices raise when they are programmed so. The guest defends itself as a kernel would: when interrupts
 * come too thick, it masks them all.
 */
#include "hostile.h"

enum { FLOOD = 2000, TICK_VECTOR = 0x40 };

static volatile unsigned interrupts;
static volatile uint64_t total;

static void mask_all(void)
{
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	for (unsigned pin = 0; pin < LAYOUT_IOAPIC_PINS; pin++)
		ioapic_route(pin, 0x50, false, true);
}

static void on_interrupt(void)
{
	total++;
	if (++interrupts == FLOOD)
		mask_all();
	outb(0xa0, 0x20);
	outb(0x20, 0x20);
	lapic_eoi();
}

static void on_nmi(void)
{
	total++;
}

/* Interrupts as a kernel has them, every pin and every line open. */
static void open_all(void)
{
	interrupts = 0;
	pic_init(0xffff);
	for (unsigned pin = 0; pin < LAYOUT_IOAPIC_PINS; pin++)
		ioapic_route(pin, (uint8_t)(0x50 + pin), pin == 9, false);
	lapic_init();
	mmio_write(LAYOUT_LAPIC_BASE + 0x3e0, 0xb);
	mmio_write(LAYOUT_LAPIC_BASE + 0x320, 1u << 17 | TICK_VECTOR);
	mmio_write(LAYOUT_LAPIC_BASE + 0x380, 1000000);
	mmio_write(LAYOUT_LAPIC_BASE + 0x80, 0);
}

static void open_window(void)
{
	__asm__ volatile("sti; nop; nop; pause; cli" ::: "memory");
}

static bool ends_machine(uint16_t port, uint8_t v)
{
	if (port == 0x64)
		return v >= 0xf0 || v == 0xd1;
	if (port == 0x60)
		return true; /* may be data of D1h */
	return port == 0x92 && (v & 1);
}

static void byte_ports(uint16_t first, uint16_t last)
{
	for (uint32_t port = first; port <= last; port++)
		for (unsigned v = 0; v < 256; v++) {
			if (port == LAYOUT_COM1 || ends_machine((uint16_t)port, (uint8_t)v))
				continue;
			outb((uint16_t)port, (uint8_t)v);
			inb((uint16_t)port);
			open_window();
		}
}

/* Interrupts stay closed until the pair is whole again: it might send vectors that are those of exceptions. */
static void pics(void)
{
	static const uint16_t port[] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1 };

	for (unsigned i = 0; i < sizeof(port) / sizeof(port[0]); i++)
		for (unsigned v = 0; v < 256; v++) {
			outb(port[i], (uint8_t)v);
			for (unsigned k = 0; k < sizeof(port) / sizeof(port[0]); k++)
				inb(port[k]);
			if (v % 32 == 31) {
				pic_init(0xffff);
				open_window();
			}
		}
	outb(0x4d0, 0);
	outb(0x4d1, 0);
}

static void cmos(void)
{
	for (unsigned index = 0; index < 128; index++)
		for (unsigned v = 0; v < 256; v += index < 16 ? 1 : 51) {
			outb(0x70, (uint8_t)index);
			outb(0x71, (uint8_t)v);
			inb(0x71);
			outb(0x70, 0x0c);
			inb(0x71);
			open_window();
		}
}

static void serial(uint16_t base)
{
	for (unsigned v = 0; v < 256; v++) {
		outb((uint16_t)(base + 3), (uint8_t)v);
		for (uint16_t reg = base == LAYOUT_COM1 ? 1 : 0; reg < 8; reg++) {
			outb((uint16_t)(base + reg), (uint8_t)(v * 5 + reg));
			inb((uint16_t)(base + reg));
			open_window();
		}
	}
	outb((uint16_t)(base + 3), 3);
	outb((uint16_t)(base + 4), 3);
	outb((uint16_t)(base + 1), 0);
}

/* Vectors of at least 20h; not INIT, which would end this guest as it would any. */
static uint32_t bearable(uint32_t v)
{
	if ((v >> 8 & 7) == 5)
		v ^= 0x100;
	return v | ((v & 0xff) < 0x20 ? 0x40 : 0);
}

static void ioapic(void)
{
	for (unsigned reg = 0; reg < 256; reg++)
		for (unsigned n = 0; n < 32; n++) {
			mmio_write(LAYOUT_IOAPIC_BASE, reg);
			mmio_write(LAYOUT_IOAPIC_BASE + 0x10, bearable((uint32_t)hostile_random() >> (n & 8)));
			mmio_read(LAYOUT_IOAPIC_BASE + 0x10);
			mmio_write(LAYOUT_IOAPIC_BASE + 0x40, (uint32_t)hostile_random());
			open_window();
			if (interrupts > FLOOD)
				open_all();
		}
}

static void hpet(void)
{
	for (unsigned reg = 0; reg < 0x400; reg += 4)
		for (unsigned n = 0; n < 16; n++) {
			uint32_t v = n < 2 ? 0u - n : (uint32_t)hostile_random() >> (n * 2);

			mmio_write(LAYOUT_HPET_BASE + reg, v);
			mmio_read(LAYOUT_HPET_BASE + reg);
			open_window();
		}
	mmio_write(LAYOUT_HPET_BASE + 0x10, 0);
	for (unsigned n = 0; n < 32; n++)
		mmio_write(LAYOUT_HPET_BASE + 0x100 + 0x20 * n, 0);
}

/* The interrupt command register (300h) has INIT among its values, the spurious vector (0f0h) closes everything. */
static void local_apic(void)
{
	for (unsigned reg = 0; reg < 0x400; reg += 0x10)
		for (unsigned n = 0; n < 32; n++) {
			uint32_t v = bearable((uint32_t)hostile_random() >> (n & 16));

			if (reg == 0x300)
				v = (v & 0xff) | 1u << 18;
			if (reg == 0x380)
				v |= 0x10000;
			mmio_write(LAYOUT_LAPIC_BASE + reg, v);
			mmio_read(LAYOUT_LAPIC_BASE + reg);
			open_window();
		}
	open_all();
}

static void pm(void)
{
	for (unsigned v = 0; v < 0x10000; v += 17) {
		outw(LAYOUT_PM1_EVT, (uint16_t)v);
		outw(LAYOUT_PM1_EVT + 2, (uint16_t)v);
		outw(LAYOUT_PM1_CNT, (uint16_t)(v & ~(1u << 13)));
		inl(LAYOUT_PM_TIMER);
		open_window();
	}
	outw(LAYOUT_PM1_EVT + 2, 0);
}

void guest_main(void)
{
	static const uint16_t com[] = { LAYOUT_COM1, LAYOUT_COM2, LAYOUT_COM3, LAYOUT_COM4 };

	hostile_random_state = rdtsc() | 1;
	for (unsigned v = 32; v < 256; v++)
		set_handler((uint8_t)v, on_interrupt);
	set_handler(2, on_nmi);
	print("registers begin\n");
	open_all();
	byte_ports(0x40, 0x43);
	byte_ports(0x60, 0x64);
	byte_ports(0x92, 0x92);
	open_all();
	cmos();
	for (unsigned i = 0; i < 4; i++)
		serial(com[i]);
	open_all();
	pm();
	hpet();
	open_all();
	ioapic();
	open_all();
	local_apic();
	pics();
	byte_ports(0xcf8, 0xcf8);
	byte_ports(0xcfc, 0xcff);
	mask_all();
	serial(LAYOUT_COM1);
	print("registers over, interrupts: ");
	print(total > 100 ? "many\n" : "few\n");
	finish(0);
}
