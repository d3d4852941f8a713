/* SPDX-License-Identifier: MIT */
/*
 * Interrupts between processors, all kinds (SDM vol. 3, 10.6), as register page and as x2APIC; INIT and SIPI again and again; HLT and
 * what wakes it; the time-stamp counters.
 */
#include "smp.h"

enum { FIXED = 0x40, OTHER = 0x41, LOW = 0x90, STOP = 0x42, WAKE = 0x43, ROUNDS = 20, PINGS = 100 };

static volatile uint32_t fixed[SMP_MAX], other[SMP_MAX], low[SMP_MAX], nmis[SMP_MAX], wakes[SMP_MAX], begun[SMP_MAX];
static volatile uint32_t ready, order[SMP_MAX], done[SMP_MAX];
static volatile uint64_t last_tsc, warps;
static volatile uint32_t tsc_lock;

enum order { REST, SLEEP, TO_X2APIC, COMPARE_TSC, SET_TPR, CLEAR_TPR, SPIN };

static void on_fixed(void)
{
	add32(&fixed[this_cpu()], 1);
	lapic_write(0xb0, 0);
}

static void on_other(void)
{
	add32(&other[this_cpu()], 1);
	lapic_write(0xb0, 0);
}

static void on_low(void)
{
	add32(&low[this_cpu()], 1);
	lapic_write(0xb0, 0);
}

static void on_nmi(void)
{
	add32(&nmis[this_cpu()], 1);
}

static void on_wake(void)
{
	add32(&wakes[this_cpu()], 1);
	lapic_write(0xb0, 0);
}

/* As kernels do it: each reads its counter and compares it with the latest that anybody has read. */
static void compare_tsc(void)
{
	for (unsigned n = 0; n < 2000; n++) {
		uint64_t now;

		while (__atomic_exchange_n(&tsc_lock, 1, __ATOMIC_ACQUIRE))
			relax();
		now = tsc();
		if (now < last_tsc)
			warps++;
		last_tsc = now;
		__atomic_store_n(&tsc_lock, 0, __ATOMIC_RELEASE);
	}
}

static void obey(unsigned cpu, enum order what)
{
	switch (what) {
	case TO_X2APIC:
		wrmsr(0x1b, rdmsr(0x1b) | 1 << 10);
		lapic_write(0xf0, 0x1ff);
		break;
	case COMPARE_TSC:
		compare_tsc();
		break;
	case SET_TPR:
		lapic_write(0x80, 0xa0);
		break;
	case CLEAR_TPR:
		lapic_write(0x80, 0);
		break;
	default:
		break;
	}
	store32(&done[cpu], what);
}

static void work(unsigned cpu)
{
	add32(&begun[cpu], 1);
	add32(&ready, 1);
	for (;;) {
		__asm__ volatile("sti" ::: "memory");
		while (load32(&order[cpu]) == load32(&done[cpu]))
			relax();
		if (load32(&order[cpu]) == SLEEP) {
			const uint32_t before = load32(&wakes[cpu]);

			__asm__ volatile("cli" ::: "memory");
			store32(&done[cpu], SLEEP);
			while (load32(&wakes[cpu]) == before)
				wait_for_interrupt();
			store32(&order[cpu], REST);
		}
		obey(cpu, (enum order)load32(&order[cpu]));
	}
}

static void command(unsigned cpu, enum order what)
{
	store32(&done[cpu], REST);
	store32(&order[cpu], what);
	spin_until(&done[cpu], what);
	store32(&order[cpu], REST);
	spin_until(&done[cpu], REST);
}

static void command_all(enum order what)
{
	for (unsigned n = 1; n < cpu_count; n++)
		command(n, what);
}

/* What each of a set of counters has come to, within the time that a machine may take. */
static void expect(const volatile uint32_t *counts, const uint32_t *wanted, const char *what)
{
	const uint64_t end = tsc() + 30000000000ull;

	__asm__ volatile("sti" ::: "memory");
	for (unsigned n = 0; n < cpu_count; n++) {
		while (load32(&counts[n]) < wanted[n] && tsc() < end)
			relax();
		if (load32(&counts[n]) != wanted[n]) {
			print("CPU ");
			print_dec(n);
			print(" has ");
			print_dec(load32(&counts[n]));
			print(" of ");
			print_dec(wanted[n]);
			print("\n");
		}
		check(load32(&counts[n]) == wanted[n], what);
	}
	__asm__ volatile("cli" ::: "memory");
}

static uint32_t wanted_fixed[SMP_MAX], wanted_other[SMP_MAX], wanted_nmis[SMP_MAX];

/* Each vector is acknowledged before it is sent again: two of a kind would become one. */
static void send_each(void)
{
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned n = 0; n < cpu_count; n++) {
			icr_write(apic_id_of[n], ICR_ASSERT | FIXED);
			wanted_fixed[n]++;
			expect(fixed, wanted_fixed, "a fixed interrupt reaches its processor, and no other");
		}
}

static void send_shorthands(void)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		icr_write(0, ICR_ASSERT | ICR_ALL | FIXED);
		for (unsigned n = 0; n < cpu_count; n++)
			wanted_fixed[n]++;
		expect(fixed, wanted_fixed, "all including self");
		icr_write(0, ICR_ASSERT | ICR_OTHERS | FIXED);
		for (unsigned n = 1; n < cpu_count; n++)
			wanted_fixed[n]++;
		expect(fixed, wanted_fixed, "all but self");
		icr_write(0, ICR_ASSERT | ICR_SELF | OTHER);
		wanted_other[0]++;
		expect(other, wanted_other, "self");
		icr_write(in_x2apic_mode() ? 0xffffffff : 0xff, ICR_ASSERT | FIXED);
		for (unsigned n = 0; n < cpu_count; n++)
			wanted_fixed[n]++;
		expect(fixed, wanted_fixed, "the broadcast destination");
	}
}

static void send_nmis(void)
{
	for (unsigned n = 1; n < cpu_count; n++) {
		icr_write(apic_id_of[n], ICR_ASSERT | ICR_NMI);
		wanted_nmis[n]++;
		expect(nmis, wanted_nmis, "an NMI");
	}
}

/* Logical ids are programmed (10.6.2.2) by an interrupt's handler would do; here each CPU has its own in flat or cluster form. */
static volatile uint32_t ldr_of[SMP_MAX], dfr;

static void on_stop(void)
{
	lapic_write(0xe0, load32(&dfr));
	lapic_write(0xd0, load32(&ldr_of[this_cpu()]) << 24);
	add32(&wakes[this_cpu()], 1);
	lapic_write(0xb0, 0);
}

static void program_logical(uint32_t model)
{
	uint32_t before[SMP_MAX];

	for (unsigned n = 0; n < cpu_count; n++)
		before[n] = load32(&wakes[n]) + 1;
	store32(&dfr, model);
	icr_write(0, ICR_ASSERT | ICR_ALL | STOP);
	expect(wakes, before, "logical ids are programmed");
}

/* A destination for a set of processors, bit n for CPU n. */
static void send_logical(uint32_t destination, uint32_t set)
{
	icr_write(destination, ICR_ASSERT | ICR_LOGICAL | FIXED);
	for (unsigned n = 0; n < cpu_count; n++)
		wanted_fixed[n] += set >> n & 1;
	expect(fixed, wanted_fixed, "a logical destination");
}

static void logical_flat(void)
{
	for (unsigned n = 0; n < cpu_count; n++)
		store32(&ldr_of[n], n < 8 ? 1u << n : 0);
	program_logical(0xffffffff);
	for (uint32_t set = 1; set < 1u << (cpu_count < 8 ? cpu_count : 8); set = set < 16 ? set + 1 : set << 1)
		send_logical(set, set);
	print("logical, flat\n");
}

/* Four in a cluster; Fh is all clusters, which KVM's local APIC does not know. */
static void logical_cluster(void)
{
	uint32_t third = 0;

	for (unsigned n = 0; n < cpu_count; n++) {
		store32(&ldr_of[n], (n / 4) << 4 | 1u << n % 4);
		third |= n % 4 == 1 && n < 32 ? 1u << n : 0;
	}
	program_logical(0x0fffffff);
	send_logical(0x03, cpu_count > 1 ? 3 : 1);
	if (cpu_count <= 32 && is_emulated())
		send_logical(0xf2, third);
	if (cpu_count > 4 && cpu_count <= 32)
		send_logical(0x11, 1u << 4);
	print("logical, clusters\n");
}

static uint32_t all_low(void)
{
	uint32_t got = 0;

	for (unsigned n = 0; n < cpu_count; n++)
		got += load32(&low[n]);
	return got;
}

/* 10.6.2.4: the one with the lowest priority, and only one. KVM takes them in turn, whatever their priority; so the first processor's
 * is one that lets it in, and a machine that goes from engine to engine meanwhile is asked by the round. */
static void lowest_priority(void)
{
	bool wrong = false;

	for (unsigned n = 2; n < cpu_count; n++)
		command(n, SET_TPR);
	lapic_write(0x80, LOW - 0x10);
	__asm__ volatile("sti" ::: "memory");
	for (uint32_t round = 0; round < ROUNDS; round++) {
		const bool by_priority = is_emulated() && cpu_count > 1;
		const uint32_t first = load32(&low[0]);

		icr_write(cpu_count > 1 ? 3 : 1, ICR_ASSERT | ICR_LOGICAL | ICR_LOWEST | LOW);
		while (all_low() != round + 1)
			relax();
		wrong |= by_priority && is_emulated() && load32(&low[0]) != first;
	}
	__asm__ volatile("cli" ::: "memory");
	lapic_write(0x80, 0);
	command_all(CLEAR_TPR);
	check(all_low() == ROUNDS, "one processor gets it");
	check(!wrong, "the one with the lowest priority");
	print("lowest priority\n");
}

/* It sleeps with interrupts on; what arrives between its last look and its HLT has to wake it. */
static void wake_sleepers(void)
{
	for (unsigned n = 1; n < cpu_count; n++)
		for (unsigned ping = 0; ping < PINGS; ping++) {
			const uint32_t before = load32(&wakes[n]);

			store32(&done[n], REST);
			store32(&order[n], SLEEP);
			spin_until(&done[n], SLEEP);
			icr_write(apic_id_of[n], ICR_ASSERT | WAKE);
			spin_until(&wakes[n], before + 1);
			spin_until(&order[n], REST);
			spin_until(&done[n], REST);
		}
	print("HLT\n");
}

static void restart_others(void)
{
	for (unsigned round = 0; round < 5; round++)
		for (unsigned n = 1; n < cpu_count; n++) {
			const uint32_t before = load32(&begun[n]);

			smp_restart(n);
			spin_until(&begun[n], before + 1);
		}
	print("INIT and SIPI\n");
}

static void counters(void)
{
	const uint64_t before = tsc();

	for (unsigned n = 1; n < cpu_count; n++)
		store32(&order[n], COMPARE_TSC);
	compare_tsc();
	for (unsigned n = 1; n < cpu_count; n++) {
		spin_until(&done[n], COMPARE_TSC);
		store32(&order[n], REST);
		spin_until(&done[n], REST);
	}
	check(warps == 0, "counters are in step");
	if (!is_emulated()) { /* a software KVM lets RDTSC read the host's counter */
		print("counters\n");
		return;
	}
	/* SDM vol. 3, 17.17.3: what is written to the counter moves IA32_TSC_ADJUST, and the other way round, here alone. */
	wrmsr(0x3b, rdmsr(0x3b) + (1ull << 40));
	check(tsc() - before >= 1ull << 40, "IA32_TSC_ADJUST moves the counter");
	wrmsr(0x3b, rdmsr(0x3b) - (1ull << 40));
	check(tsc() - before < 1ull << 40, "and back");
	print("counters\n");
}

static void all_kinds(void)
{
	send_each();
	send_shorthands();
	send_nmis();
	print("fixed, shorthands, NMI\n");
}

void guest_main(void)
{
	pic_init(0);
	set_handler(2, on_nmi);
	set_handler(FIXED, on_fixed);
	set_handler(OTHER, on_other);
	set_handler(LOW, on_low);
	set_handler(STOP, on_stop);
	set_handler(WAKE, on_wake);
	check(smp_start(work), "all processors begin");
	print_dec(cpu_count);
	print(" processors\n");
	spin_until(&ready, cpu_count - 1);
	all_kinds();
	logical_flat();
	logical_cluster();
	store32(&ldr_of[0], 1);
	logical_flat();
	lowest_priority();
	wake_sleepers();
	restart_others();
	counters();
	for (unsigned n = 1; n < cpu_count; n++)
		command(n, TO_X2APIC);
	obey(0, TO_X2APIC);
	store32(&done[0], REST);
	print("x2APIC: ");
	all_kinds();
	print("x2APIC: ");
	wake_sleepers();
	print("x2APIC: ");
	restart_others();
	finish(0);
}
