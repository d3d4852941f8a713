/* SPDX-License-Identifier: MIT */
/* The library of the small long-mode guests (guest.h). */
#include "guest.h"

struct gate {
	uint16_t offset_0;
	uint16_t selector;
	uint8_t ist;
	uint8_t type;
	uint16_t offset_16;
	uint32_t offset_32;
	uint32_t reserved;
};

extern uint8_t stubs[256][16];
void build_idt(void);
void dispatch(uint64_t vector, uint64_t error, uint64_t rip);

static struct gate idt[256] __attribute__((aligned(16)));
static irq_handler *handlers[256];

void print(const char *s)
{
	for (; *s; s++) {
		while (!(inb(LAYOUT_COM1 + 5) & 0x20))
			;
		outb(LAYOUT_COM1, (uint8_t)*s);
	}
}

void print_hex(uint64_t v)
{
	char buf[17];
	int i = 16;

	buf[i] = 0;
	do {
		buf[--i] = "0123456789abcdef"[v & 15];
		v >>= 4;
	} while (v);
	print(buf + i);
}

void print_dec(uint64_t v)
{
	char buf[21];
	int i = 20;

	buf[i] = 0;
	do {
		buf[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	print(buf + i);
}

_Noreturn void finish(uint8_t code)
{
	outb(LAYOUT_EXIT_PLAIN_PORT, code);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void check(bool ok, const char *what)
{
	if (ok)
		return;
	print("FAILED: ");
	print(what);
	print("\n");
	finish(1);
}

bool is_emulated(void)
{
	uint32_t a = 0x40000000, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return b == 0x6b6c7542; /* "Bulk" */
}

void load_idt(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} idtr = { sizeof(idt) - 1, (uintptr_t)idt };

	__asm__ volatile("lidt %0" ::"m"(idtr));
}

void build_idt(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uintptr_t stub = (uintptr_t)stubs[i];

		idt[i] = (struct gate){
			.offset_0 = (uint16_t)stub,
			.selector = 8,
			.type = 0x8e,
			.offset_16 = (uint16_t)(stub >> 16),
			.offset_32 = (uint32_t)(stub >> 32),
		};
	}
	load_idt();
}

void dispatch(uint64_t vector, uint64_t error, uint64_t rip)
{
	if (handlers[vector & 0xff]) {
		handlers[vector & 0xff]();
		return;
	}
	print("unexpected vector ");
	print_dec(vector);
	print(" error ");
	print_hex(error);
	print(" at ");
	print_hex(rip);
	print("\n");
	finish(2);
}

void set_handler(uint8_t vector, irq_handler *handler)
{
	handlers[vector] = handler;
}

/* 8259A: ICW1 (edge, cascade, ICW4), ICW2 (vector base), ICW3 (slave on IR2), ICW4 (8086 mode); then OCW1. */
void pic_init(uint16_t enabled)
{
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, 0x20);
	outb(0xa1, 0x28);
	outb(0x21, 0x04);
	outb(0xa1, 0x02);
	outb(0x21, 0x01);
	outb(0xa1, 0x01);
	if (enabled & 0xff00)
		enabled |= 1 << 2;
	outb(0x21, (uint8_t)~enabled);
	outb(0xa1, (uint8_t)(~enabled >> 8));
}

void pic_eoi(unsigned irq)
{
	if (irq >= 8)
		outb(0xa0, 0x20);
	outb(0x20, 0x20);
}

void ioapic_route(unsigned pin, uint8_t vector, bool level, bool masked)
{
	mmio_write(LAYOUT_IOAPIC_BASE, 0x11 + 2 * pin);
	mmio_write(LAYOUT_IOAPIC_BASE + 0x10, 0);
	mmio_write(LAYOUT_IOAPIC_BASE, 0x10 + 2 * pin);
	mmio_write(LAYOUT_IOAPIC_BASE + 0x10, vector | (level ? 1u << 15 : 0) | (masked ? 1u << 16 : 0));
}

void lapic_init(void)
{
	mmio_write(LAYOUT_LAPIC_BASE + 0xf0, 0x1ff);
}

void lapic_eoi(void)
{
	mmio_write(LAYOUT_LAPIC_BASE + 0xb0, 0);
}

void pit_start(unsigned hz)
{
	uint32_t count = 1193182 / hz;

	outb(0x43, 0x34);
	outb(0x40, (uint8_t)count);
	outb(0x40, (uint8_t)(count >> 8));
}
