/* SPDX-License-Identifier: MIT */
/*
 * The end of a machine with several processors: HLT with interrupts off on all of them. One that is sent an NMI meanwhile goes
 * on, and halts for good later.
 */
#include "smp.h"

static volatile uint32_t awake;

static void on_nmi(void)
{
	add32(&awake, 1);
}

static void work(unsigned cpu)
{
	while (cpu == 1 && !load32(&awake))
		__asm__ volatile("cli; hlt" ::: "memory");
	for (;;)
		__asm__ volatile("cli; hlt");
}

void guest_main(void)
{
	const uint64_t start = tsc();

	pic_init(0);
	set_handler(2, on_nmi);
	check(smp_start(work), "all processors begin");
	while (tsc() - start < 5000000) /* all others are in HLT by now, most likely */
		relax();
	if (cpu_count > 1)
		icr_write(apic_id_of[1], ICR_ASSERT | ICR_NMI);
	print("to the end\n");
	for (;;)
		__asm__ volatile("cli; hlt");
}
