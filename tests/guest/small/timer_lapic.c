/* SPDX-License-Identifier: MIT */
/* Timer interrupts from the local APIC: periodic, then one-shot, then TSC deadline if CPUID offers it. */
#include "guest.h"

static volatile unsigned periodic_ticks, ticks;

/* Vectors of their own: a periodic tick that came while the guest printed may be delivered when it waits for the next
 * kind, and must not be taken for it. */
enum { PERIODIC = 0x50, ONE_SHOT, DEADLINE };

static void on_periodic(void)
{
	periodic_ticks++;
	lapic_eoi();
}

static void on_tick(void)
{
	ticks++;
	lapic_eoi();
}

static uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static bool has_tsc_deadline(void)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c & (1u << 24);
}

/* A software KVM lets RDTSC read the host's counter while it counts deadlines by another: only our own engine promises
 * that the two agree. */
void guest_main(void)
{
	set_handler(PERIODIC, on_periodic);
	set_handler(ONE_SHOT, on_tick);
	set_handler(DEADLINE, on_tick);
	pic_init(0);
	lapic_init();
	mmio_write(LAYOUT_LAPIC_BASE + 0x3e0, 0xb); /* divide by 1 */
	mmio_write(LAYOUT_LAPIC_BASE + 0x320, PERIODIC | 1u << 17);
	mmio_write(LAYOUT_LAPIC_BASE + 0x380, 1000000);
	while (periodic_ticks < 10)
		wait_for_interrupt();
	print("10 periodic ticks of the local APIC\n");

	mmio_write(LAYOUT_LAPIC_BASE + 0x380, 0);
	mmio_write(LAYOUT_LAPIC_BASE + 0x320, ONE_SHOT);
	ticks = 0;
	mmio_write(LAYOUT_LAPIC_BASE + 0x380, 100000);
	while (ticks < 1)
		wait_for_interrupt();
	check(mmio_read(LAYOUT_LAPIC_BASE + 0x390) == 0, "a one-shot timer stays at zero");
	print("one-shot\n");

	if (!has_tsc_deadline()) {
		print("no TSC deadline\n");
		finish(0);
	}
	mmio_write(LAYOUT_LAPIC_BASE + 0x320, DEADLINE | 2u << 17);
	__asm__ volatile("mfence" ::: "memory");
	for (unsigned i = 0; i < 5; i++) {
		uint64_t deadline = rdtsc() + 1000000;

		ticks = 0;
		wrmsr(0x6e0, deadline);
		while (ticks < 1)
			wait_for_interrupt();
		check(rdtsc() >= deadline || !is_emulated(), "not before its deadline");
		check(rdmsr(0x6e0) == 0 || !is_emulated(), "disarmed after it fired");
	}
	ticks = 0;
	wrmsr(0x6e0, 1); /* in the past: fires at once */
	while (ticks < 1)
		wait_for_interrupt();
	print("TSC deadlines\n");
	finish(0);
}
