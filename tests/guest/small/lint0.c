/* SPDX-License-Identifier: MIT */
/*
 * The 8259 is wired to LINT0 of every local APIC; whose entry is unmasked and says ExtINT takes its interrupts (SDM vol. 3, 10.5.1).
 * The clock's go to the first processor, then to the second, which is in HLT, and back.
 */
#include "smp.h"

enum { TICK = 0x20, TURN = 0x40, SVR = 0xf0, EOI = 0xb0, LVT_LINT0 = 0x350, MASKED = 1 << 16, EXTINT = 7 << 8, TICKS = 20 };

static volatile uint32_t ticks[SMP_MAX], taker, turned;

static void on_tick(void)
{
	add32(&ticks[this_cpu()], 1);
	pic_eoi(0);
}

static void turn(void)
{
	lapic_write(LVT_LINT0, load32(&taker) == this_cpu() ? EXTINT : MASKED);
	add32(&turned, 1);
}

static void on_turn(void)
{
	turn();
	lapic_write(EOI, 0);
}

static void work(unsigned cpu)
{
	(void)cpu;
	lapic_write(SVR, 0x1ff);
	turn();
	for (;;)
		wait_for_interrupt();
}

static void wait_for_ticks(unsigned cpu, uint32_t count)
{
	const uint32_t until = load32(&ticks[cpu]) + count;

	while (load32(&ticks[cpu]) < until)
		__asm__ volatile("sti; pause; cli" ::: "memory");
}

/* What was on its way to the other one before may arrive there first. */
static void let(unsigned cpu, const char *name)
{
	const unsigned other = 1 - cpu;
	uint32_t before;

	store32(&turned, 0);
	store32(&taker, cpu);
	turn();
	icr_write(apic_id_of[1], ICR_ASSERT | TURN);
	spin_until(&turned, 2);
	wait_for_ticks(cpu, 2);
	before = load32(&ticks[other]);
	wait_for_ticks(cpu, TICKS);
	check(load32(&ticks[other]) == before, "only one processor takes them");
	print(name);
}

void guest_main(void)
{
	set_handler(TICK, on_tick);
	set_handler(TURN, on_turn);
	pic_init(1 << 0);
	lapic_init();
	turn();
	check(smp_start(work), "the second processor starts");
	spin_until(&turned, 2);
	pit_start(100);
	let(0, "the first takes the 8259's\n");
	let(1, "the second takes the 8259's\n");
	let(0, "the first again\n");
	finish(0);
}
