/* SPDX-License-Identifier: MIT */
/*
 * Local APICs of three processors: registers by both doors, messages, time, acknowledges. A vector that may be delivered
 * is above the priority of the processor; deadlines lie ahead; a mode that the SDM forbids is never entered.
 */
#include "emu/apic/lapic.h"
#include "emu/model/features.h"
#include "emu/core/tsc.h"
#include "fuzz.h"

enum { CPUS = 3, OPS_MAX = 200 };

static struct machine machine;
static struct emu cpus[CPUS];
static uint64_t now_ns;

void emu_wake(struct emu *e)
{
}

uint64_t emu_tsc(const struct emu *e)
{
	return now_ns * 2;
}

static uint64_t fuzz_clock(const struct emu *e)
{
	return now_ns;
}

static void set_up(void)
{
	memset(&machine, 0, sizeof(machine));
	memset(cpus, 0, sizeof(cpus));
	machine.vcpus = CPUS;
	cpu_add(&machine.features, CPUF_TSC_DEADLINE);
	now_ns = 1000000;
	for (unsigned n = 0; n < CPUS; n++) {
		cpus[n].cpu.vcpu = (uint8_t)n;
		cpus[n].cpu.msr.apic_base = 0xfee00000 | APIC_BASE_ENABLED | (n == 0 ? APIC_BASE_BSP : 0);
		machine.emu[n] = &cpus[n];
		cpus[n].lapic = lapic_create(&machine, &cpus[n], n);
		cpus[n].lapic->now_ns = fuzz_clock;
	}
}

static void check(struct lapic *a)
{
	uint64_t next = lapic_advance(a, now_ns), base = a->emu->cpu.msr.apic_base;
	int vector = lapic_pending(a);

	CHECK(next > now_ns);
	CHECK(vector < 256 && (vector < 16 || ((uint32_t)vector & 0xf0) > (lapic_ppr(a) & 0xf0)));
	CHECK(vector < 0 || vector >= 16);
	CHECK((base & APIC_BASE_ENABLED) || !(base & APIC_BASE_X2), "10.12.1: x2APIC without global enable");
}

static void message(struct input *in)
{
	uint64_t addr = 0xfee00000 | take(in, 3);

	lapic_deliver_msi(&machine, addr, (uint32_t)take(in, 4));
}

static void msr(struct lapic *a, struct input *in)
{
	uint32_t number = 0x800 + (uint32_t)take(in, 1) % 0x40;
	uint64_t value;

	if (take(in, 1) & 1)
		lapic_msr_read(a, number, &value);
	else
		lapic_msr_write(a, number, take(in, 8));
}

/* What the run loop does with an APIC. */
static void serve(struct lapic *a)
{
	int vector = lapic_pending(a);

	if (vector >= 0)
		lapic_ack(a, (uint8_t)vector);
	lapic_take_nmi(a);
	if (lapic_take_init(a))
		lapic_init_signal(a);
	CHECK(lapic_take_sipi(a) < 256);
	lapic_accepts_extint(a);
}

static void operation(struct input *in)
{
	unsigned op = (unsigned)take(in, 1);
	struct lapic *a = cpus[(op >> 4) % CPUS].lapic;

	switch (op & 15) {
	case 0 ... 3:
		lapic_mmio_write(a, (uint32_t)take(in, 1) << 4, (uint32_t)take(in, 4));
		break;
	case 4:
		lapic_mmio_read(a, (uint32_t)take(in, 2));
		break;
	case 5:
		lapic_mmio_write(a, (uint32_t)take(in, 2), (uint32_t)take(in, 4));
		break;
	case 6 ... 7:
		message(in);
		break;
	case 8:
		msr(a, in);
		break;
	case 9:
		lapic_msr_write(a, 0x1b, 0xfee00000 | take(in, 2));
		break;
	case 10:
		lapic_msr_write(a, 0x6e0, take(in, 8));
		break;
	case 11:
		lapic_cr8_write(a, (uint8_t)take(in, 1) & 15);
		CHECK(lapic_cr8_read(a) <= 15);
		break;
	case 12 ... 13:
		serve(a);
		break;
	default:
		now_ns += take(in, 2) << (op >> 4);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	set_up();
	for (unsigned i = 0; i < OPS_MAX && in.left > 0; i++) {
		operation(&in);
		for (unsigned n = 0; n < CPUS; n++)
			check(cpus[n].lapic);
	}
	for (unsigned n = 0; n < CPUS; n++)
		lapic_destroy(cpus[n].lapic);
	return 0;
}
