/* SPDX-License-Identifier: MIT */
/*
 * What the small long-mode guests share: ports, a serial printer, an interrupt table, and an exit. They are flat
 * images entered at 0x1000 in long mode with memory identity-mapped (boot.h, BOOT_FLAT64).
 */
#ifndef BULKHEAD_TESTS_GUEST_H
#define BULKHEAD_TESTS_GUEST_H

#include "proto/layout.h"

#include <stdbool.h>
#include <stdint.h>

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void mmio_write(uint64_t addr, uint32_t v)
{
	*(volatile uint32_t *)addr = v;
}

static inline uint32_t mmio_read(uint64_t addr)
{
	return *(volatile uint32_t *)addr;
}

static inline uint64_t rdmsr(uint32_t n)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(n));
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t n, uint64_t v)
{
	__asm__ volatile("wrmsr" ::"c"(n), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

/* Sleeps until an interrupt; the shadow of STI makes the pair safe against one that comes in between. */
static inline void wait_for_interrupt(void)
{
	__asm__ volatile("sti; hlt; cli" ::: "memory");
}

void print(const char *s);
void print_hex(uint64_t v);
void print_dec(uint64_t v);

/* Ends the machine with this exit code. */
_Noreturn void finish(uint8_t code);
/* Prints what failed and ends with code 1, unless `ok`. */
void check(bool ok, const char *what);

/* A handler runs with interrupts off, on the interrupted stack. */
typedef void irq_handler(void);
void set_handler(uint8_t vector, irq_handler *handler);

/* Is this the emulator? What KVM does by interpreting, it does slowly. */
bool is_emulated(void);

/* For a processor that does not come from _start. */
void load_idt(void);

/* 8259 pair: vectors 20h..2fh, everything masked but the lines in `enabled` (bit per IRQ). */
void pic_init(uint16_t enabled);
void pic_eoi(unsigned irq);
/* IOAPIC pin -> vector on this processor. */
void ioapic_route(unsigned pin, uint8_t vector, bool level, bool masked);
/* Local APIC: software-enabled, spurious vector ffh. */
void lapic_init(void);
void lapic_eoi(void);
/* PIT channel 0, mode 2, at about `hz`. */
void pit_start(unsigned hz);

void guest_main(void);

#endif
