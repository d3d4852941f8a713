/* SPDX-License-Identifier: MIT */
/* The integer mix of guest-bench (integer.c) on bare metal, for Bochs: marks on port E9h, timed by who reads them. */
#include <stdint.h>

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

static uint32_t table[256];

/* The same steps as integer_mix(). */
static uint64_t mix(uint64_t n)
{
	uint64_t x = 88172645463325252u, sum = 0;

	for (uint64_t k = 0; k < n * 1000; k++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		table[x & 255] += (uint32_t)(x >> 32);
		sum += table[(x >> 8) & 255] * (x & 0xffff);
		if (x & 0x10000)
			sum ^= sum >> 3;
		else
			sum -= x;
	}
	return sum;
}

__attribute__((section(".start"))) void bench_main(void)
{
	volatile uint64_t sink;

	print(DEBUG_PORT, "mix begins\n");
	sink = mix(ROUNDS);
	print(DEBUG_PORT, "mix ends\n");
	(void)sink;
	print(BOCHS_SHUTDOWN_PORT, "Shutdown");
	for (;;)
		__asm__ volatile("hlt");
}
