/* SPDX-License-Identifier: MIT */
/*
 * For a debugger (tests/e2e/gdb.py): calls that count, a variable that changes at known places, a vector register with a
 * known value, and an end that is reached only if the debugger says so by `leave`.
 */
#include "guest.h"

enum { ROUNDS = 5, EXIT_CODE = 7 };

volatile uint64_t counter;
volatile uint64_t leave;
volatile uint8_t area[64];

__attribute__((noinline)) uint64_t add(uint64_t a, uint64_t b)
{
	__asm__ volatile("" ::: "memory");
	return a + b;
}

__attribute__((noinline)) void round_begins(uint64_t n)
{
	area[n] = (uint8_t)(0xa0 + n);
	__asm__ volatile("" ::: "memory");
}

void guest_main(void)
{
	for (uint64_t n = 1; n <= ROUNDS; n++) {
		round_begins(n);
		counter = add(counter, n);
	}
	while (!leave)
		__asm__ volatile("pause");
	finish(EXIT_CODE);
}
