/* SPDX-License-Identifier: MIT */
/* emu_harness with a GDT, an IDT and a TSS for the tests of the system half; instructions run one by one. */
#ifndef BULKHEAD_TESTS_SYS_GUEST_H
#define BULKHEAD_TESTS_SYS_GUEST_H

#include "emu_harness.h"
#include "emu/run/engine_emu.h"
#include "emu/block/block.h"
#include "emu/run/run.h"
#include "emu/sem/sys/internal.h"

#include <criterion/criterion.h>
#include <string.h>

enum {
	G_RAM = 4 << 20,
	G_GDT = 0x1000, G_IDT = 0x2000, G_TSS = 0x3000, G_TSS2 = 0x3800, G_PML4 = 0x4000, G_PDPT = 0x5000, G_PD = 0x6000,
	G_CODE = 0x10000, G_HANDLERS = 0x20000, G_STACK0 = 0x30000, G_STACK3 = 0x38000, G_IST1 = 0x3c000, G_DATA = 0x40000,
	/* selectors */
	CODE64 = 0x08, DATA0 = 0x10, CODE32 = 0x18, USER_CODE32 = 0x20, USER_DATA = 0x28, USER_CODE64 = 0x30, TSS_SEL = 0x38,
	CONFORMING = 0x48, NOT_PRESENT = 0x50, TSS2_SEL = 0x58, GATE_SEL = 0x60, DATA16 = 0x70, CODE16 = 0x78,
	G_GDT_BYTES = 0x100,
};

struct guest {
	struct harness h;
	struct emu *e;
	uint8_t *ram;
};

static struct guest g;
/* Which processor g_create() makes; NULL: all that is offered. */
static const struct cpu_model *g_model;
/* Which tier runs it, by harness_run(); g_try() always takes a single step. */
static enum harness_tier g_tier = HARNESS_STEP;

static void g_poke(uint64_t at, uint64_t value, unsigned size)
{
	memcpy(g.ram + at, &value, size);
}

static uint64_t g_peek(uint64_t at, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, g.ram + at, size);
	return v;
}

static uint64_t g_desc(uint32_t base, uint32_t limit20, unsigned access, unsigned flags)
{
	return (limit20 & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
	       (uint64_t)(limit20 >> 16 & 0xf) << 48 | (uint64_t)flags << 52 | (uint64_t)(base >> 24) << 56;
}

static void g_set_desc(unsigned selector, uint64_t raw)
{
	g_poke(G_GDT + (selector & ~7u), raw, 8);
}

static struct segment g_segment(unsigned selector)
{
	struct desc d = { .raw = g_peek(G_GDT + (selector & ~7u), 8) };

	return desc_segment(&d, (uint16_t)selector);
}

static void g_code(const void *bytes, size_t size)
{
	memcpy(g.ram + G_CODE, bytes, size);
	g.e->cpu.rip = G_CODE;
}

#define CODE(...)                                                                 \
	do {                                                                      \
		static const uint8_t code_[] = { __VA_ARGS__ };                   \
		g_code(code_, sizeof(code_));                                     \
	} while (0)

static void g_gate32(unsigned vector, unsigned selector, uint32_t offset, unsigned access)
{
	g_poke(G_IDT + vector * 8,
	       (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)access << 40 | (uint64_t)(offset >> 16) << 48, 8);
}

static void g_gate64(unsigned vector, unsigned selector, uint64_t offset, unsigned access, unsigned ist)
{
	g_poke(G_IDT + vector * 16,
	       (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)ist << 32 | (uint64_t)access << 40 |
		       (offset >> 16 & 0xffff) << 48,
	       8);
	g_poke(G_IDT + vector * 16 + 8, offset >> 32, 8);
}

static void g_create(void)
{
	harness_create(&g.h, G_RAM, g_tier, g_model);
	g.h.bus.read_value = UINT64_MAX;
	g.e = g.h.emu;
	g.ram = g.h.ram;
}

static void g_destroy(void)
{
	harness_fini(&g.h);
}

static void g_fill_gdt(void)
{
	g_set_desc(CODE64, g_desc(0, 0xfffff, 0x9b, 0xa));
	g_set_desc(DATA0, g_desc(0, 0xfffff, 0x93, 0xc));
	g_set_desc(CODE32, g_desc(0, 0xfffff, 0x9b, 0xc));
	g_set_desc(USER_CODE32, g_desc(0, 0xfffff, 0xfb, 0xc));
	g_set_desc(USER_DATA, g_desc(0, 0xfffff, 0xf3, 0xc));
	g_set_desc(USER_CODE64, g_desc(0, 0xfffff, 0xfb, 0xa));
	g_set_desc(TSS_SEL, g_desc(G_TSS, 0x67 + 0x40, 0x8b, 0));
	g_set_desc(CONFORMING, g_desc(0, 0xfffff, 0x9f, 0xc));
	g_set_desc(NOT_PRESENT, g_desc(0, 0xfffff, 0x73, 0xc));
	g_set_desc(TSS2_SEL, g_desc(G_TSS2, 0x67, 0x89, 0));
	g_set_desc(DATA16, g_desc(0, 0xffff, 0xf3, 0));
	g_set_desc(CODE16, g_desc(0, 0xffff, 0x9b, 0));
}

/* Identity map of the first GiB in 2 MiB user pages. */
static void g_fill_pages(void)
{
	g_poke(G_PML4, G_PDPT | 7, 8);
	g_poke(G_PDPT, G_PD | 7, 8);
	for (unsigned n = 0; n < 2; n++)
		g_poke(G_PD + n * 8, (uint64_t)n << 21 | 0x87, 8);
}

static void g_common(unsigned cpl)
{
	struct cpu *c = &g.e->cpu;

	g_fill_gdt();
	c->gdtr = (struct dtable){ .base = G_GDT, .limit = G_GDT_BYTES - 1 };
	c->idtr = (struct dtable){ .base = G_IDT, .limit = 0xfff };
	c->tr = g_segment(TSS_SEL);
	c->ldtr = segment_null(0, 0);
	for (unsigned n = 0; n < SEG_COUNT; n++)
		c->seg[n] = g_segment(cpl ? USER_DATA | 3 : DATA0);
	c->gpr[RSP] = cpl ? G_STACK3 : G_STACK0;
	c->rip = G_CODE;
}

/* 64-bit mode at the given privilege, handlers of all vectors at G_HANDLERS + 16 * vector, RSP0 in the TSS. */
static void g_long_mode(unsigned cpl)
{
	struct cpu *c = &g.e->cpu;

	g_fill_pages();
	g_common(cpl);
	g_poke(G_TSS + 4, G_STACK0, 8);
	g_poke(G_TSS + 0x24, G_IST1, 8);
	for (unsigned v = 0; v < 256; v++)
		g_gate64(v, CODE64, G_HANDLERS + v * 16, v == 3 || v == 0x80 ? 0xee : 0x8e, 0);
	c->seg[SEG_CS] = g_segment(cpl ? USER_CODE64 | 3 : CODE64);
	c->cr3 = G_PML4;
	c->cr4 = CR4_PAE | CR4_FSGSBASE;
	c->msr.efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
	c->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP;
	mmu_mode_changed(g.e);
	mmu_flush_all(g.e);
}

/* 32-bit protected mode without paging. */
static void g_protected_mode(unsigned cpl)
{
	struct cpu *c = &g.e->cpu;

	g_common(cpl);
	g_poke(G_TSS + 4, G_STACK0, 4);
	g_poke(G_TSS + 8, DATA0, 4);
	g_poke(G_TSS + 102, 0x88, 2); /* behind a redirection map at 0x68 */
	for (unsigned v = 0; v < 256; v++)
		g_gate32(v, CODE32, G_HANDLERS + v * 16, v == 3 || v == 0x80 ? 0xee : 0x8e);
	c->seg[SEG_CS] = g_segment(cpl ? USER_CODE32 | 3 : CODE32);
	c->cr0 = CR0_PE | CR0_ET | CR0_NE;
	mmu_mode_changed(g.e);
}

/* One instruction, without delivering what it raises. */
static void g_try(void)
{
	g.e->fault.pending = false;
	step_one(g.e);
}

/* One instruction, and the delivery of its fault. */
static inline void g_step(void)
{
	g_try();
	if (g.e->fault.pending)
		exc_deliver_fault(g.e);
}

static inline bool g_at_handler(unsigned vector)
{
	return g.e->cpu.rip == G_HANDLERS + vector * 16u;
}

#define EXPECT_FAULT(v, code)                                                                     \
	do {                                                                                      \
		cr_expect(g.e->fault.pending, "no fault");                                        \
		cr_expect_eq(g.e->fault.vector, v, "vector %u, expected %u", g.e->fault.vector, v); \
		cr_expect_eq(g.e->fault.error, (uint32_t)(code), "error %#x", g.e->fault.error);  \
	} while (0)
#define EXPECT_NO_FAULT() cr_expect_not(g.e->fault.pending, "vector %u error %#x", g.e->fault.vector, g.e->fault.error)

#endif
