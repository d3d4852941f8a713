/* SPDX-License-Identifier: MIT */
/*
 * For a debugger, with several processors (tests/e2e/gdb.py): each has a GS base of its own, takes its turns when `go` is set,
 * and then looks at its GS base again and again until `leave`.
 */
#include "smp.h"

enum { TURNS = 5, EXIT_CODE = 7, GS_BASE = 0xc0000101 };

volatile uint32_t turns[SMP_MAX], looks[SMP_MAX], here, go, done, leave;
volatile uint64_t seen[SMP_MAX];

__attribute__((noinline)) void turn(unsigned id)
{
	add32(&turns[id], 1);
}

__attribute__((noinline)) void all_here(void)
{
	__asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) void all_done(void)
{
	__asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) void look(unsigned id)
{
	seen[id] = rdmsr(GS_BASE);
	add32(&looks[id], 1);
	relax();
}

/* Debuggers count as local APICs do, and not in the order in which they came up. */
static void work(unsigned cpu)
{
	const unsigned id = apic_id_of[cpu];

	wrmsr(GS_BASE, 0x1000 * (id + 1));
	add32(&here, 1);
	spin_until(&go, 1);
	for (unsigned n = 0; n < TURNS; n++)
		turn(id);
	add32(&done, 1);
	while (!load32(&leave))
		look(id);
}

void guest_main(void)
{
	check(smp_start(work), "all processors have come up");
	wrmsr(GS_BASE, 0x1000);
	spin_until(&here, cpu_count - 1);
	all_here();
	store32(&go, 1);
	for (unsigned n = 0; n < TURNS; n++)
		turn(0);
	spin_until(&done, cpu_count - 1);
	all_done();
	spin_until(&leave, 1);
	finish(EXIT_CODE);
}
