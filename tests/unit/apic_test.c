/* SPDX-License-Identifier: MIT */
/* Local APIC: priorities, end of interrupt, timer, messages, modes. Sections are those of the SDM, volume 3. */
#include "emu/apic/lapic.h"
#include "emu/model/features.h"
#include "emu/core/tsc.h"

#include <criterion/criterion.h>
#include <errno.h>

/* ---- the little of an emulator that an APIC needs ---- */

enum { CPUS = 20 };

static struct machine machine;
static struct emu cpus[CPUS];
static uint64_t test_ns, clock_tsc;
static unsigned wakes[CPUS], eois, last_eoi;

void emu_wake(struct emu *e)
{
	wakes[e - cpus]++;
}

uint64_t emu_tsc(const struct emu *e)
{
	return clock_tsc;
}

static uint64_t test_clock(const struct emu *e)
{
	return test_ns;
}

static void record_eoi(void *ctx, unsigned vcpu, uint8_t vector)
{
	eois++;
	last_eoi = vector;
}

static void set_up(void)
{
	machine.vcpus = CPUS;
	cpu_add(&machine.features, CPUF_TSC_DEADLINE);
	machine.bus.eoi = record_eoi;
	for (unsigned n = 0; n < CPUS; n++) {
		cpus[n].cpu.vcpu = (uint8_t)n;
		cpus[n].cpu.msr.apic_base = 0xfee00000 | APIC_BASE_ENABLED | (n == 0 ? APIC_BASE_BSP : 0);
		machine.emu[n] = &cpus[n];
		cpus[n].lapic = lapic_create(&machine, &cpus[n], n);
		cpus[n].lapic->now_ns = test_clock;
	}
	test_ns = 1000000;
	clock_tsc = 5000000;
}

static void tear_down(void)
{
	for (unsigned n = 0; n < CPUS; n++)
		lapic_destroy(cpus[n].lapic);
}

TestSuite(apic, .init = set_up, .fini = tear_down);

static void enable(unsigned n)
{
	lapic_mmio_write(cpus[n].lapic, APIC_SVR, 0x1ff);
}

static void enable_x2(unsigned n)
{
	cr_assert_eq(lapic_msr_write(cpus[n].lapic, 0x1b, cpus[n].cpu.msr.apic_base | APIC_BASE_X2), 0);
	enable(n);
	cr_assert_eq(lapic_msr_write(cpus[n].lapic, 0x80f, 0x1ff), 0);
}

static int msi(unsigned destination, unsigned vector, unsigned flags)
{
	return lapic_deliver_msi(&machine, 0xfee00000ull | destination << 12 | (flags & 0xc), (flags & ~0xcu) | vector);
}

/* ---- state after reset ---- */

/* 10.4.7.1: "all LVT entries masked, spurious vector FFh with the APIC disabled, DFR all ones, everything else zero" */
Test(apic, reset_state)
{
	struct lapic *a = cpus[3].lapic;

	cr_expect_eq(lapic_mmio_read(a, APIC_ID), 3u << 24);
	cr_expect_eq(lapic_mmio_read(a, APIC_SVR), 0xff);
	cr_expect_eq(lapic_mmio_read(a, APIC_DFR), 0xffffffff);
	cr_expect_eq(lapic_mmio_read(a, APIC_LDR), 0);
	cr_expect_eq(lapic_mmio_read(a, APIC_TPR), 0);
	for (uint32_t lvt = APIC_LVT_TIMER; lvt <= APIC_LVT_ERROR; lvt += 16)
		cr_expect_eq(lapic_mmio_read(a, lvt), 0x10000);
	/* 10.4.8: version 1xh is an integrated APIC, bits 16..23 the number of LVT entries minus one. */
	cr_expect_eq(lapic_mmio_read(a, APIC_VERSION), 0x00050014);
	/* 10.4.3: before software enables it, external interrupts reach the bootstrap processor. */
	cr_expect(lapic_accepts_extint(cpus[0].lapic));
}

/* 10.4.7.2: disabled by software, LVT mask bits are set and attempts to clear them are ignored. */
Test(apic, software_disable_masks_lvt)
{
	struct lapic *a = cpus[0].lapic;

	lapic_mmio_write(a, APIC_LVT_LINT0, 0x700);
	cr_expect_eq(lapic_mmio_read(a, APIC_LVT_LINT0), 0x10700);
	enable(0);
	lapic_mmio_write(a, APIC_LVT_LINT0, 0x700);
	cr_expect_eq(lapic_mmio_read(a, APIC_LVT_LINT0), 0x700);
	cr_expect(lapic_accepts_extint(a));
	lapic_mmio_write(a, APIC_LVT_LINT0, 0x10700);
	cr_expect_not(lapic_accepts_extint(a));
	lapic_mmio_write(a, APIC_SVR, 0xff);
	cr_expect_eq(lapic_mmio_read(a, APIC_LVT_TIMER) & 0x10000, 0x10000);
}

/* ---- priorities ---- */

/* 10.8.3.1: PPR[7:4] is the maximum of TPR[7:4] and ISRV[7:4]; PPR[3:0] is TPR's only if TPR's class is not lower. */
Test(apic, processor_priority)
{
	struct lapic *a = cpus[0].lapic;

	enable(0);
	lapic_mmio_write(a, APIC_TPR, 0x35);
	cr_expect_eq(lapic_mmio_read(a, APIC_PPR), 0x35);
	cr_assert_eq(msi(0, 0x3f, 0), 0);
	cr_expect_eq(lapic_pending(a), -1, "class 3 is not above a TPR of class 3");
	cr_assert_eq(msi(0, 0x41, 0), 0);
	cr_expect_eq(lapic_pending(a), 0x41);
	lapic_ack(a, 0x41);
	cr_expect_eq(lapic_mmio_read(a, APIC_PPR), 0x40);
	cr_assert_eq(msi(0, 0x4f, 0), 0);
	cr_expect_eq(lapic_pending(a), -1, "the same class does not interrupt");
	cr_assert_eq(msi(0, 0x50, 0), 0);
	cr_expect_eq(lapic_pending(a), 0x50, "a higher class nests");
	lapic_ack(a, 0x50);
	lapic_mmio_write(a, APIC_EOI, 0);
	cr_expect_eq(lapic_mmio_read(a, APIC_ISR + 0x20), 1u << 1, "EOI ends the highest in service, vector 50h");
	lapic_mmio_write(a, APIC_EOI, 0);
	cr_expect_eq(lapic_pending(a), 0x4f);
	lapic_mmio_write(a, APIC_TPR, 0);
	lapic_ack(a, 0x4f);
	lapic_mmio_write(a, APIC_EOI, 0);
	cr_expect_eq(lapic_pending(a), 0x3f);
}

/* 10.8.6.1: CR8 is bits 7:4 of the TPR. */
Test(apic, cr8_is_task_priority)
{
	struct lapic *a = cpus[0].lapic;

	lapic_cr8_write(a, 0xa);
	cr_expect_eq(lapic_mmio_read(a, APIC_TPR), 0xa0);
	lapic_mmio_write(a, APIC_TPR, 0x5f);
	cr_expect_eq(lapic_cr8_read(a), 5);
}

/* 10.8.5: EOI of a level-triggered interrupt is broadcast, of an edge-triggered one is not. */
Test(apic, eoi_broadcast)
{
	struct lapic *a = cpus[0].lapic;

	enable(0);
	cr_assert_eq(msi(0, 0x61, 1u << 15 | 1u << 14), 0);
	cr_expect_eq(lapic_pending(a), 0x61);
	cr_expect_eq(lapic_mmio_read(a, APIC_TMR + 0x30), 1u << 1);
	lapic_ack(a, 0x61);
	lapic_mmio_write(a, APIC_EOI, 0);
	cr_expect_eq(eois, 1);
	cr_expect_eq(last_eoi, 0x61);
	cr_assert_eq(msi(0, 0x61, 0), 0);
	cr_expect_eq(lapic_pending(a), 0x61);
	lapic_ack(a, 0x61);
	lapic_mmio_write(a, APIC_EOI, 0);
	cr_expect_eq(eois, 1);
	lapic_mmio_write(a, APIC_EOI, 0);
	cr_expect_eq(eois, 1, "nothing in service");
}

/* 10.8.4: two edges of one vector before acceptance are one interrupt; one more while in service is kept in IRR. */
Test(apic, one_in_service_one_requested)
{
	struct lapic *a = cpus[0].lapic;

	enable(0);
	msi(0, 0x80, 0);
	msi(0, 0x80, 0);
	lapic_ack(a, (uint8_t)lapic_pending(a));
	cr_expect_eq(lapic_pending(a), -1);
	msi(0, 0x80, 0);
	cr_expect_eq(lapic_pending(a), -1);
	lapic_mmio_write(a, APIC_EOI, 0);
	cr_expect_eq(lapic_pending(a), 0x80);
}

/* ---- timer ---- */

/* 10.5.4, figure 10-10: 0000 divides by 2 ... 1010 by 128, 1011 by 1. The count runs at the crystal of CPUID 15h. */
Test(apic, timer_divide)
{
	static const struct {
		uint32_t value, by;
	} divides[] = { { 0, 2 }, { 1, 4 }, { 2, 8 }, { 3, 16 }, { 8, 32 }, { 9, 64 }, { 10, 128 }, { 11, 1 } };
	struct lapic *a = cpus[0].lapic;

	enable(0);
	lapic_mmio_write(a, APIC_LVT_TIMER, 0x40);
	for (unsigned n = 0; n < 8; n++) {
		lapic_mmio_write(a, APIC_TIMER_DIVIDE, divides[n].value);
		lapic_mmio_write(a, APIC_TIMER_INITIAL, 1000);
		cr_expect_eq(lapic_advance(a, test_ns), test_ns + 1000ull * divides[n].by);
	}
}

Test(apic, timer_one_shot)
{
	struct lapic *a = cpus[0].lapic;

	enable(0);
	lapic_mmio_write(a, APIC_LVT_TIMER, 0x40);
	lapic_mmio_write(a, APIC_TIMER_DIVIDE, 0xb);
	lapic_mmio_write(a, APIC_TIMER_INITIAL, 5000);
	test_ns += 1500;
	cr_expect_eq(lapic_mmio_read(a, APIC_TIMER_CURRENT), 3500);
	cr_expect_eq(lapic_advance(a, test_ns), test_ns + 3500);
	cr_expect_eq(lapic_pending(a), -1);
	test_ns += 3500;
	cr_expect_eq(lapic_advance(a, test_ns), UINT64_MAX);
	cr_expect_eq(lapic_pending(a), 0x40);
	cr_expect_eq(lapic_mmio_read(a, APIC_TIMER_CURRENT), 0);
	lapic_ack(a, 0x40);
	lapic_mmio_write(a, APIC_EOI, 0);
	test_ns += 100000;
	cr_expect_eq(lapic_advance(a, test_ns), UINT64_MAX);
	cr_expect_eq(lapic_pending(a), -1);
}

/* "Writing a 0 to the initial-count register stops the timer" (10.5.4). */
Test(apic, timer_stop)
{
	struct lapic *a = cpus[0].lapic;

	enable(0);
	lapic_mmio_write(a, APIC_LVT_TIMER, 0x20040);
	lapic_mmio_write(a, APIC_TIMER_INITIAL, 5000);
	lapic_mmio_write(a, APIC_TIMER_INITIAL, 0);
	cr_expect_eq(lapic_advance(a, test_ns + 1000000), UINT64_MAX);
	cr_expect_eq(lapic_pending(a), -1);
}

/* The period is kept from deadline to deadline however late each is noticed. */
Test(apic, timer_periodic_does_not_drift)
{
	struct lapic *a = cpus[0].lapic;
	uint64_t start = test_ns, next;

	enable(0);
	lapic_mmio_write(a, APIC_LVT_TIMER, 0x20040);
	lapic_mmio_write(a, APIC_TIMER_DIVIDE, 0xb);
	lapic_mmio_write(a, APIC_TIMER_INITIAL, 1000000);
	for (unsigned n = 1; n <= 100; n++) {
		test_ns = start + n * 1000000ull + 300 * n;
		next = lapic_advance(a, test_ns);
		cr_assert_eq(next, start + (n + 1) * 1000000ull);
		cr_assert_eq(lapic_pending(a), 0x40);
		lapic_ack(a, 0x40);
		lapic_mmio_write(a, APIC_EOI, 0);
	}
	/* Five periods late: one interrupt, and back on the grid. */
	test_ns = start + 105 * 1000000ull + 7;
	cr_expect_eq(lapic_advance(a, test_ns), start + 106 * 1000000ull);
	cr_expect_eq(lapic_mmio_read(a, APIC_TIMER_CURRENT), 1000000 - 7);
}

/* A masked timer counts but does not interrupt (10.5.1). */
Test(apic, timer_masked)
{
	struct lapic *a = cpus[0].lapic;

	enable(0);
	lapic_mmio_write(a, APIC_LVT_TIMER, 0x30040);
	lapic_mmio_write(a, APIC_TIMER_INITIAL, 1000);
	test_ns += 1000000;
	lapic_advance(a, test_ns);
	cr_expect_eq(lapic_pending(a), -1);
}

/* 10.5.4.1 */
Test(apic, tsc_deadline)
{
	struct lapic *a = cpus[0].lapic;
	uint64_t value;

	enable(0);
	cr_assert_eq(lapic_msr_write(a, 0x6e0, clock_tsc + 100), 0);
	cr_assert_eq(lapic_msr_read(a, 0x6e0, &value), 0);
	cr_expect_eq(value, 0, "not in deadline mode: writes are ignored, reads are zero");
	lapic_mmio_write(a, APIC_LVT_TIMER, 0x40040);
	cr_assert_eq(lapic_msr_write(a, 0x6e0, clock_tsc + 100), 0);
	lapic_msr_read(a, 0x6e0, &value);
	cr_expect_eq(value, clock_tsc + 100);
	cr_expect_eq(lapic_advance(a, test_ns), test_ns + 100);
	clock_tsc += 99;
	test_ns += 500; /* the wall clock may run ahead of the counter: never early */
	cr_expect_eq(lapic_advance(a, test_ns), test_ns + 1);
	cr_expect_eq(lapic_pending(a), -1);
	clock_tsc += 1;
	cr_expect_eq(lapic_advance(a, test_ns), UINT64_MAX);
	cr_expect_eq(lapic_pending(a), 0x40);
	lapic_msr_read(a, 0x6e0, &value);
	cr_expect_eq(value, 0, "the timer disarms itself when it expires");
	lapic_ack(a, 0x40);
	lapic_mmio_write(a, APIC_EOI, 0);
	lapic_msr_write(a, 0x6e0, 1);
	lapic_advance(a, test_ns);
	cr_expect_eq(lapic_pending(a), 0x40, "a deadline in the past expires at once");
	lapic_msr_write(a, 0x6e0, clock_tsc + 1000);
	lapic_msr_write(a, 0x6e0, 0);
	clock_tsc += 2000;
	lapic_ack(a, 0x40);
	lapic_advance(a, test_ns);
	lapic_mmio_write(a, APIC_EOI, 0);
	cr_expect_eq(lapic_pending(a), -1, "zero disarms");
	lapic_mmio_write(a, APIC_TIMER_INITIAL, 1000);
	cr_expect_eq(lapic_mmio_read(a, APIC_TIMER_CURRENT), 0, "initial count is ignored in deadline mode");
}

/* ---- deadlines, over the whole range ---- */

static uint64_t random_state = 88172645463325252ull;

static uint64_t random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Of any magnitude, and the edges of the range. */
static uint64_t any64(void)
{
	static const uint64_t edges[] = { 0, 1, 2, UINT64_MAX, UINT64_MAX - 1, 1ull << 63, (1ull << 63) - 1, UINT32_MAX };
	uint64_t r = random64();

	return r % 4 ? random64() >> (r >> 8) % 64 : edges[(r >> 8) % 8];
}

/* A host clock: nanoseconds since it was started, at most 292 years. */
static uint64_t any_time(void)
{
	return any64() >> 1;
}

static bool take_interrupt(struct lapic *a)
{
	if (lapic_pending(a) != 0x40)
		return false;
	lapic_ack(a, 0x40);
	lapic_mmio_write(a, APIC_EOI, 0);
	return true;
}

/* 10.5.4.1: an interrupt when the counter is equal to or greater than the value; 0 disarms. */
Test(apic, tsc_deadline_anywhere)
{
	struct lapic *a = cpus[0].lapic;

	enable(0);
	lapic_mmio_write(a, APIC_LVT_TIMER, 0x40040);
	for (unsigned n = 0; n < 100000; n++) {
		uint64_t deadline = any64(), next;
		unsigned __int128 exact;

		test_ns = any_time();
		clock_tsc = any64();
		exact = (unsigned __int128)test_ns + (deadline - clock_tsc);
		lapic_msr_write(a, 0x6e0, deadline);
		next = lapic_advance(a, test_ns);
		cr_assert_eq(take_interrupt(a), deadline != 0 && clock_tsc >= deadline);
		if (deadline == 0 || clock_tsc >= deadline)
			cr_assert_eq(next, UINT64_MAX);
		else
			cr_assert_eq(next, exact < UINT64_MAX ? (uint64_t)exact : UINT64_MAX, "%lu at %lu, %lu", deadline,
				     clock_tsc, test_ns);
	}
}

/* 10.5.4: counts down from the initial count, one for each `by` ns; periodic, it starts again each time. */
struct count_down {
	uint64_t start, period, next; /* next: when it is due, as lapic_advance() said */
	bool periodic;
};

static struct count_down start_count(struct lapic *a)
{
	static const uint8_t divides[] = { 0, 1, 2, 3, 8, 9, 10, 11 };
	uint32_t initial = (uint32_t)any64() | 1;
	uint64_t r = random64(), period;
	unsigned shift = r % 8 == 7 ? 0 : (unsigned)r % 8 + 1;
	bool periodic = r >> 3 & 1;

	lapic_mmio_write(a, APIC_TIMER_INITIAL, 0);
	test_ns = any_time();
	lapic_mmio_write(a, APIC_LVT_TIMER, periodic ? 0x20040 : 0x40);
	lapic_mmio_write(a, APIC_TIMER_DIVIDE, divides[r % 8]);
	lapic_mmio_write(a, APIC_TIMER_INITIAL, initial);
	period = (uint64_t)initial << shift;
	return (struct count_down){ test_ns, period, test_ns + period, periodic };
}

/* Never early, never lost, on the grid of its periods; periods below 20 us come together, that much late at most. */
static void check_step(struct lapic *a, struct count_down *c)
{
	uint64_t next = lapic_advance(a, test_ns);
	unsigned __int128 due =
		(unsigned __int128)c->start + ((test_ns - c->start) / c->period + 1) * (unsigned __int128)c->period;

	cr_assert_eq(take_interrupt(a), test_ns >= c->next, "%lu: %lu, period %lu", test_ns, c->next, c->period);
	if (test_ns < c->next) {
		cr_assert_eq(next, c->next);
	} else if (c->periodic) {
		cr_assert(next > test_ns && next >= due && (next - c->start) % c->period == 0);
		cr_assert(next == due || next - test_ns < 20000 + c->period);
	} else {
		cr_assert_eq(next, UINT64_MAX);
	}
	c->next = next;
	cr_assert_leq(lapic_mmio_read(a, APIC_TIMER_CURRENT), lapic_mmio_read(a, APIC_TIMER_INITIAL));
}

Test(apic, count_anywhere)
{
	struct lapic *a = cpus[0].lapic;

	enable(0);
	for (unsigned n = 0; n < 20000; n++) {
		struct count_down c = start_count(a);

		for (unsigned step = 0; step < 4 && c.next >> 63 == 0; step++) {
			uint64_t later = test_ns + (random64() >> (2 + random64() % 60));

			test_ns = random64() % 2 ? later : c.next - (random64() & 1);
			check_step(a, &c);
		}
	}
}

/* 10.5.1: a masked timer does not interrupt, and expires all the same: unmasked later, it is silent. */
Test(apic, masked_wakes_nobody)
{
	struct lapic *a = cpus[0].lapic;

	enable(0);
	for (unsigned n = 0; n < 2; n++) {
		uint32_t mode = n ? 0x40040 : 0x40;

		lapic_mmio_write(a, APIC_LVT_TIMER, mode | 0x10000);
		lapic_mmio_write(a, APIC_TIMER_INITIAL, 1000);
		lapic_msr_write(a, 0x6e0, clock_tsc + 1000);
		cr_expect_eq(lapic_advance(a, test_ns), UINT64_MAX);
		test_ns += 5000;
		clock_tsc += 5000;
		lapic_mmio_write(a, APIC_LVT_TIMER, mode);
		cr_expect_eq(lapic_advance(a, test_ns), UINT64_MAX);
		cr_expect_eq(lapic_pending(a), -1);
	}
}

/* ---- messages ---- */

Test(apic, msi_validity)
{
	enable(0);
	cr_expect_eq(lapic_deliver_msi(&machine, 0xfed00000, 0x40), -EINVAL);
	cr_expect_eq(lapic_deliver_msi(&machine, 0x1fee00000, 0x40), -EINVAL);
	cr_expect_eq(msi(0, 0x0f, 0), -EINVAL, "vectors 0..15 are illegal (10.5.2)");
	cr_expect_eq(msi(0, 0x40, 3u << 8), -EINVAL, "reserved delivery mode");
	cr_expect_eq(msi(0, 0x40, 0), 0);
	cr_expect_eq(wakes[0], 1);
	cr_expect_eq(wakes[1], 0);
}

/* 10.6.2.2: flat model, one bit each. Logical destination in an MSI is address bit 2 (10.11.1). */
Test(apic, logical_flat)
{
	for (unsigned n = 0; n < 4; n++) {
		enable(n);
		lapic_mmio_write(cpus[n].lapic, APIC_LDR, 1u << (24 + n));
	}
	cr_assert_eq(msi(0x6, 0x70, 4), 0);
	cr_expect_eq(lapic_pending(cpus[0].lapic), -1);
	cr_expect_eq(lapic_pending(cpus[1].lapic), 0x70);
	cr_expect_eq(lapic_pending(cpus[2].lapic), 0x70);
	cr_expect_eq(lapic_pending(cpus[3].lapic), -1);
}

/* 10.6.2.2: cluster model, MDA[7:4] the cluster, MDA[3:0] its members. */
Test(apic, logical_cluster)
{
	for (unsigned n = 0; n < 8; n++) {
		enable(n);
		lapic_mmio_write(cpus[n].lapic, APIC_DFR, 0);
		lapic_mmio_write(cpus[n].lapic, APIC_LDR, (n / 4) << 28 | 1u << (24 + n % 4));
	}
	cr_assert_eq(msi(0x15, 0x70, 4), 0);
	for (unsigned n = 0; n < 8; n++)
		cr_expect_eq(lapic_pending(cpus[n].lapic), n == 4 || n == 6 ? 0x70 : -1);
}

/* 10.6.2.4: lowest priority goes to exactly one, the one with the lowest task priority. */
Test(apic, lowest_priority)
{
	unsigned got = 0;

	for (unsigned n = 0; n < 4; n++) {
		enable(n);
		lapic_mmio_write(cpus[n].lapic, APIC_LDR, 1u << (24 + n));
		lapic_mmio_write(cpus[n].lapic, APIC_TPR, n == 2 ? 0x10 : 0x20);
	}
	cr_assert_eq(msi(0xf, 0x70, 4 | 1u << 8), 0);
	for (unsigned n = 0; n < 4; n++)
		got += lapic_pending(cpus[n].lapic) == 0x70;
	cr_expect_eq(got, 1);
	cr_expect_eq(lapic_pending(cpus[2].lapic), 0x70);
}

/* ---- IPIs ---- */

static void icr(unsigned from, unsigned destination, uint32_t low)
{
	lapic_mmio_write(cpus[from].lapic, APIC_ICR_HIGH, destination << 24);
	lapic_mmio_write(cpus[from].lapic, APIC_ICR, low);
}

/* 10.6.1 */
Test(apic, shorthands)
{
	for (unsigned n = 0; n < CPUS; n++)
		enable(n);
	icr(1, 0, 0x40000 | 0x41);
	cr_expect_eq(lapic_pending(cpus[1].lapic), 0x41);
	cr_expect_eq(lapic_pending(cpus[0].lapic), -1);
	icr(1, 0, 0xc0000 | 0x52);
	for (unsigned n = 0; n < CPUS; n++)
		cr_expect_eq(lapic_pending(cpus[n].lapic), n == 1 ? 0x41 : 0x52);
	icr(1, 0, 0x80000 | 0x63);
	for (unsigned n = 0; n < CPUS; n++)
		cr_expect_eq(lapic_pending(cpus[n].lapic), 0x63);
	icr(2, 0xff, 0x74);
	for (unsigned n = 0; n < CPUS; n++)
		cr_expect_eq(lapic_pending(cpus[n].lapic), 0x74, "physical FFh is broadcast");
}

/* 8.4.4.1: INIT, then SIPI; a SIPI to a processor that does not wait for it is discarded. */
Test(apic, init_sipi)
{
	struct lapic *a = cpus[1].lapic;

	cpus[1].cpu.activity = CPU_RUNNING;
	icr(0, 1, 0x4600 | 0x12);
	cr_expect_eq(lapic_take_sipi(a), -1);
	icr(0, 1, 0x4500);
	icr(0, 1, 0x4600 | 0x9a);
	cr_expect_eq(lapic_take_sipi(a), -1, "INIT comes first");
	cr_expect(lapic_take_init(a));
	cr_expect_not(lapic_take_init(a));
	cpus[1].cpu.activity = CPU_WAIT_SIPI;
	cr_expect_eq(lapic_take_sipi(a), 0x9a);
	cr_expect_eq(lapic_take_sipi(a), -1);
	icr(0, 1, 0x4600 | 0x34);
	icr(0, 1, 0x4500);
	cr_expect(lapic_take_init(a));
	cr_expect_eq(lapic_take_sipi(a), -1, "sent before INIT, to a processor that did not wait");
	icr(0, 1, 0x8500);
	cr_expect_not(lapic_take_init(a), "INIT level de-assert is ignored");
}

Test(apic, nmi_is_not_masked_by_software_disable)
{
	icr(0, 1, 0x4400);
	cr_expect(lapic_take_nmi(cpus[1].lapic));
	cr_expect_not(lapic_take_nmi(cpus[1].lapic));
	msi(1, 0x70, 0);
	cr_expect_eq(lapic_pending(cpus[1].lapic), -1, "10.4.7.2: a disabled APIC ignores fixed interrupts");
}

/* 10.5.3: errors gather until ESR is written; reading returns what the last write latched. */
Test(apic, error_status)
{
	struct lapic *a = cpus[0].lapic;

	enable(0);
	lapic_mmio_write(a, APIC_LVT_ERROR, 0x33);
	icr(0, 1, 0x05);
	cr_expect_eq(lapic_mmio_read(a, APIC_ESR), 0);
	cr_expect_eq(lapic_pending(a), 0x33);
	lapic_mmio_write(a, APIC_ESR, 0);
	cr_expect_eq(lapic_mmio_read(a, APIC_ESR), 0x20, "send illegal vector");
	lapic_mmio_write(a, APIC_ESR, 0);
	cr_expect_eq(lapic_mmio_read(a, APIC_ESR), 0);
}

/* ---- x2APIC ---- */

/* 10.12.5, figure 10-27: the transitions that raise #GP. */
Test(apic, mode_transitions)
{
	struct lapic *a = cpus[0].lapic;
	uint64_t base = 0xfee00000 | APIC_BASE_BSP, on = APIC_BASE_ENABLED, x2 = APIC_BASE_X2;

	cr_expect_eq(lapic_msr_write(a, 0x1b, base | x2), -EINVAL, "EXTD without EN is invalid");
	cr_expect_eq(lapic_msr_write(a, 0x1b, base | on | 1u << 9), -EINVAL, "reserved bit");
	cr_expect_eq(lapic_msr_write(a, 0x1b, base | on | x2), 0);
	cr_expect_eq(lapic_msr_write(a, 0x1b, base | on), -EINVAL, "x2APIC to xAPIC");
	cr_expect_eq(lapic_msr_write(a, 0x1b, base), 0, "x2APIC to disabled");
	cr_expect_eq(lapic_msr_write(a, 0x1b, base | on | x2), -EINVAL, "disabled to x2APIC");
	cr_expect_eq(lapic_msr_write(a, 0x1b, base | on), 0);
}

/* 10.12.10.2: logical x2APIC id is cluster (id >> 4) in the upper half, one bit of sixteen in the lower. */
Test(apic, x2apic_registers)
{
	struct lapic *a = cpus[18].lapic;
	uint64_t v;

	cr_expect_eq(lapic_msr_read(a, 0x802, &v), -EINVAL, "not in x2APIC mode");
	enable_x2(18);
	cr_expect_eq(lapic_msr_read(a, 0x802, &v), 0);
	cr_expect_eq(v, 18);
	cr_expect_eq(lapic_msr_read(a, 0x80d, &v), 0);
	cr_expect_eq(v, 1u << 16 | 1u << 2);
	cr_expect_eq(lapic_msr_write(a, 0x80d, 1), -EINVAL, "LDR is read-only");
	cr_expect_eq(lapic_msr_read(a, 0x80e, &v), -EINVAL, "no DFR");
	cr_expect_eq(lapic_msr_read(a, 0x831, &v), -EINVAL, "no upper half of the ICR");
	cr_expect_eq(lapic_msr_write(a, 0x80b, 1), -EINVAL, "EOI accepts only zero");
	cr_expect_eq(lapic_msr_write(a, 0x808, 0x100), -EINVAL, "reserved bits of the TPR");
	cr_expect_eq(lapic_msr_write(a, 0x83f, 0x77), 0);
	cr_expect_eq(lapic_pending(a), 0x77, "self-IPI");
	cr_expect_eq(lapic_msr_write(a, 0x830, 18ull << 32 | 0x88), 0);
	cr_expect_eq(lapic_pending(a), 0x88);
	cr_expect_eq(lapic_msr_write(a, 0x830, 0x00010004ull << 32 | 0x800 | 0x99), 0);
	cr_expect_eq(lapic_pending(a), 0x99, "logical: cluster 1, bit 2");
	cr_expect_eq(lapic_msr_read(a, 0x830, &v), 0);
	cr_expect_eq(v, 0x0001000400000899ull);
}

/* Hardware-disabled: no interrupts, external ones pass (10.4.3). */
Test(apic, hardware_disabled)
{
	struct lapic *a = cpus[0].lapic;

	enable(0);
	cr_assert_eq(lapic_msr_write(a, 0x1b, 0xfee00000 | APIC_BASE_BSP), 0);
	msi(0, 0x44, 0);
	cr_expect_eq(lapic_pending(a), -1);
	cr_expect(lapic_accepts_extint(a));
}
