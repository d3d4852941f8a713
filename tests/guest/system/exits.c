/* SPDX-License-Identifier: MIT */
/*
 * What an access to a port costs, in ticks of the time-stamp counter (make bench): one that nobody answers, one of a register that
 * can be read in place, one that a device has to answer. Each line: a name, how many, ticks; of many times the shortest, as others
 * want the host's processor, too.
 */
#include "system.h"

enum { COUNT = 100, TIMES = 200, POST = 0x80, COM1_LSR = 0x3fd, COM1_SCR = 0x3ff };

static inline uint64_t ticks(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static inline void write_port(uint16_t port)
{
	__asm__ volatile("outb %%al, %0" ::"d"(port), "a"(0));
}

static inline void read_port(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port));
}

static void measure(const char *what, uint16_t port, void (*access)(uint16_t))
{
	uint64_t least = UINT64_MAX;

	for (unsigned t = 0; t < TIMES; t++) {
		const uint64_t from = ticks();
		uint64_t took;

		for (unsigned n = 0; n < COUNT; n++)
			access(port);
		took = ticks() - from;
		least = took < least ? took : least;
	}
	print(name(what, (unsigned long)COUNT, " exits, ticks ", (unsigned long)least, (const char *)0));
	print("\n");
}

void guest_main(void)
{
	measure("write nobody ", POST, write_port);
	measure("read in place ", COM1_LSR, read_port);
	measure("read by device ", COM1_SCR, read_port);
}
