/* SPDX-License-Identifier: MIT */
/*
 * Keeps going whatever its devices do: computes, and in between touches every device, believing nothing it reads. Ends
 * with code 42 through platformd's exit port after having said so on the serial line; if the machine goes on, it says so
 * again and again.
 */
#include "guest.h"

enum { WORDS = 4096, ROUNDS_MIN = 3, TSC_MIN = 1500000000 };

static uint64_t memory[WORDS];
static volatile uint64_t nmis;

static void on_nmi(void)
{
	nmis++;
}

static uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

/* Without a look at LSR: a console that lies about it must not stop us. */
static void say(const char *s)
{
	for (; *s; s++)
		outb(LAYOUT_COM1, (uint8_t)*s);
}

static uint64_t compute(uint64_t seed)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < WORDS; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		memory[i] = seed;
	}
	for (unsigned i = 0; i < WORDS; i++)
		sum ^= memory[i] * (i | 1);
	return sum;
}

static void touch_devices(unsigned round)
{
	outb(0x70, 0);
	inb(0x71);
	outb(0x43, 0);
	inb(0x40);
	inl(LAYOUT_PM_TIMER);
	mmio_read(LAYOUT_HPET_BASE + 0xf0);
	inb(LAYOUT_COM1 + 5);
	outb(LAYOUT_COM1 + 7, (uint8_t)round);
	inb(LAYOUT_COM1 + 7);
	inb(0x64);
	outb(LAYOUT_DEBUG_PORT, '.');
	mmio_write(LAYOUT_IOAPIC_BASE, 1);
	mmio_read(LAYOUT_IOAPIC_BASE + 0x10);
	inb(0x21);
}

void guest_main(void)
{
	uint64_t start = rdtsc(), expected = compute(1);

	set_handler(2, on_nmi);
	say("steady begins\n");
	for (unsigned round = 0; round < ROUNDS_MIN || rdtsc() - start < TSC_MIN; round++) {
		touch_devices(round);
		if (compute(1) != expected) {
			say("FAILED: memory or arithmetic\n");
			outb(LAYOUT_EXIT_PLAIN_PORT, 1);
		}
	}
	for (;;) {
		say("steady done\n");
		outb(LAYOUT_EXIT_PLAIN_PORT, 42);
		for (uint64_t t = rdtsc(); rdtsc() - t < TSC_MIN / 4;)
			compute(2);
	}
}
