/* SPDX-License-Identifier: MIT */
/* Stretches for another engine: what they run, before what they end, and what they leave alone then. */
#include "emu/core/cpu.h"
#include "emu/run/stretch.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { RAM = 64 << 10, CODE = 0x1000, APIC_AT = 0x8000 };

static uint8_t *ram;
static struct engine *engine;
static struct cpu cpu;

/* Flat 32-bit code at CODE, ring 0, no paging. */
static void start(const void *code, size_t size)
{
	static const struct engine_bus bus;
	struct engine_config c = { .bus = &bus, .ram_count = 1, .vcpus = 1, .kvm_fd = -1 };

	ram = aligned_alloc(4096, RAM);
	memset(ram, 0, RAM);
	memcpy(ram + CODE, code, size);
	c.ram[0] = (struct engine_ram){ 0, RAM, ram };
	c.lent = c.single_step = c.no_translator = true;
	cr_assert_eq(engine_emu.create(&c, &engine), 0);
	cpu_reset(&cpu);
	cpu.cr0 |= CR0_PE;
	for (unsigned n = 0; n < SEG_COUNT; n++)
		cpu.seg[n] = (struct segment){ .limit = ~0u, .attr = n == SEG_CS ? 0xc09b : 0xc093, .selector = 8 };
	cpu.rip = CODE;
	cpu.gpr[RSP] = 0x4000;
}

static unsigned stretch(unsigned limit)
{
	struct stretch s = { .cpu = &cpu, .limit = limit };

	emu_stretch(engine, 0, &s);
	return s.done;
}

Test(stretch, so_many_instructions)
{
	start("\x40\x40\x40\x40", 4); /* inc eax */
	cr_expect_eq(stretch(3), 3);
	cr_expect_eq(cpu.gpr[RAX], 3);
	cr_expect_eq(cpu.rip, CODE + 3);
	cr_expect_eq(stretch(1), 1);
	cr_expect_eq(cpu.gpr[RAX], 4);
}

/* CPUID, RDTSC, RDTSCP, RDPMC, RDMSR, WRMSR, HLT, MOV to CR3, MOV from CR0, INVLPG, PAUSE. */
Test(stretch, not_for_us)
{
	static const struct {
		const char *code;
		size_t size;
	} rows[] = { { "\x40\x0f\xa2", 3 },	{ "\x40\x0f\x31", 3 },	   { "\x40\x0f\x01\xf9", 4 }, { "\x40\x0f\x33", 3 },
		     { "\x40\x0f\x32", 3 },	{ "\x40\x0f\x30", 3 },	   { "\x40\xf4", 2 },	      { "\x40\x0f\x22\xd8", 4 },
		     { "\x40\x0f\x20\xc0", 4 }, { "\x40\x0f\x01\x38", 4 }, { "\x40\xf3\x90", 3 } };

	for (unsigned n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
		struct cpu before;

		start(rows[n].code, rows[n].size);
		cr_expect_eq(stretch(10), 1, "row %u", n);
		cr_expect_eq(cpu.rip, CODE + 1);
		before = cpu;
		cr_expect_eq(stretch(10), 0, "row %u", n);
		cr_expect_eq(memcmp(&before, &cpu, sizeof(cpu)), 0, "row %u: nothing has happened", n);
	}
}

/* The local APIC's page, wherever it lies, over RAM, too (SDM vol. 3, 10.4.5). */
Test(stretch, local_apic)
{
	start("\xa1\x20\x80\x00\x00", 5); /* mov eax, [8020h] */
	cpu.msr.apic_base = APIC_AT | APIC_BASE_ENABLED;
	cr_expect_eq(stretch(10), 0);
	cr_expect_eq(cpu.rip, CODE);
	cpu.msr.apic_base = 0xfee00000 | APIC_BASE_ENABLED;
	cr_expect_eq(stretch(1), 1);
}

/* An instruction that shields its successor is behind us, and the shield is kept (SDM vol. 3, 6.8.3). */
Test(stretch, shadow)
{
	start("\xfb\x0f\xa2", 3); /* sti; cpuid */
	cr_expect_eq(stretch(10), 1, "ends where interrupts can come");
	cr_expect_eq(cpu.shadow, SHADOW_STI);
	cr_expect_eq(stretch(10), 0);
	cr_expect_eq(cpu.shadow, SHADOW_STI, "CPUID has not run");
}

/* Exceptions are the guest's: no table, so this shuts down. */
Test(stretch, shutdown)
{
	start("\x0f\x0b", 2); /* ud2 */
	cpu.idtr.limit = 0;
	stretch(10);
	cr_expect_eq(cpu.activity, CPU_SHUTDOWN);
}

/* What the other engine was about to deliver comes first: #UD by an interrupt gate to 2000h. */
Test(stretch, event)
{
	struct stretch s = { .cpu = &cpu, .limit = 1, .event = STRETCH_EXCEPTION, .vector = 6 };
	static const uint8_t gate[] = { 0x00, 0x20, 0x08, 0x00, 0x00, 0x8e, 0x00, 0x00 };
	static const uint8_t descriptor[] = { 0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0 };

	start("\x90", 1);
	memcpy(ram + 0x100 + 6 * 8, gate, 8);
	memcpy(ram + 0x200 + 8, descriptor, 8);
	ram[0x2000] = 0x40;
	cpu.idtr = (struct dtable){ 0x100, 0xff };
	cpu.gdtr = (struct dtable){ 0x200, 0xf };
	s.limit = 2;
	emu_stretch(engine, 0, &s);
	cr_expect_eq(s.done, 2, "the event and one instruction");
	cr_expect_eq(cpu.rip, 0x2001);
	cr_expect_eq(*(uint32_t *)(void *)(ram + cpu.gpr[RSP]), CODE, "it pushed where it came from");
}
