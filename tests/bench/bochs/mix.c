/* SPDX-License-Identifier: MIT */
/* The integer mix of guest-bench (integer.c) on bare metal, for Bochs: marks on port E9h, timed by who reads them. */
#include "../guest/mix.h"

enum { DEBUG_PORT = 0xe9, BOCHS_SHUTDOWN_PORT = 0x8900, ROUNDS = 2000 };

static void out(uint16_t port, char v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static void print(uint16_t port, const char *s)
{
	while (*s)
		out(port, *s++);
}

__attribute__((section(".start"))) void bench_main(void)
{
	volatile uint64_t sink;

	print(DEBUG_PORT, "mix begins\n");
	sink = integer_mix(ROUNDS);
	print(DEBUG_PORT, "mix ends\n");
	(void)sink;
	print(BOCHS_SHUTDOWN_PORT, "Shutdown");
	for (;;)
		__asm__ volatile("hlt");
}
