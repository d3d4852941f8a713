/* SPDX-License-Identifier: MIT */
/*
 * The state in which vCPU 0 starts, for each kind of entry, with the descriptor and page tables that it needs
 * in guest memory. On top of cpu_reset(): what firmware would have changed.
 */
#include "loader.h"

#include "../proto/layout.h"

#include <string.h>

/* Selectors: what Linux calls __BOOT_CS and __BOOT_DS (boot protocol, "64-bit boot protocol"), and a TSS. */
enum {
	SEL_CODE = 0x10,
	SEL_DATA = 0x18,
	SEL_TSS = 0x20,
	SEL_MULTIBOOT_CODE = 0x08,
	SEL_MULTIBOOT_DATA = 0x10,
	GDT_BYTES = 0x30,
	TSS_OFFSET = 0x80,
	TSS_LIMIT = 0x67
};

enum {
	ATTR_CODE = SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_CODE | SEG_ATTR_RW | SEG_ATTR_ACCESSED | SEG_ATTR_G,
	ATTR_CODE32 = ATTR_CODE | SEG_ATTR_DB,
	ATTR_CODE64 = ATTR_CODE | SEG_ATTR_L,
	ATTR_DATA = SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_RW | SEG_ATTR_ACCESSED | SEG_ATTR_G | SEG_ATTR_DB,
	ATTR_TSS_BUSY = SEG_ATTR_P | 0xb,
	ATTR_LDT = SEG_ATTR_P | 2,
};

enum { MTRR_DEF_ENABLED_WB = 1 << 11 | 6 };
enum { PTE_PRESENT_RW = 3, PTE_LARGE = 1 << 7 };

/*
 * Caches on, memory write-back: reset leaves both off (SDM vol. 3, 9.1 and 12.11.5), firmware turns them on,
 * and Linux gives up on PAT when it finds the MTRRs disabled.
 */
static void start_from_reset(struct cpu *c)
{
	cpu_reset(c);
	c->rflags = RFLAGS_FIXED;
	c->cr0 = CR0_ET | CR0_NE;
	c->msr.mtrr_def_type = MTRR_DEF_ENABLED_WB;
	c->gpr[RDX] = 0; /* reset leaves the processor's signature there */
	c->activity = CPU_RUNNING;
}

/* A descriptor in memory from a loaded segment (SDM vol. 3, 3.4.5). */
static uint64_t descriptor(uint32_t base, uint32_t limit, uint32_t attr)
{
	uint32_t raw = attr & SEG_ATTR_G ? limit >> 12 : limit;

	return (raw & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(attr & 0xf0ff) << 40 |
	       (uint64_t)(raw >> 16 & 0xf) << 48 | (uint64_t)(base >> 24) << 56;
}

static void set_segment(struct segment *s, uint16_t selector, uint64_t base, uint32_t limit, uint32_t attr)
{
	*s = (struct segment){ .base = base, .limit = limit, .attr = attr, .selector = selector };
}

/* Flat segments, a busy TSS (VMX wants one; nothing else uses it) and the GDT that says so. */
static int load_descriptors(struct loader *l, uint32_t at, uint32_t code_attr, uint16_t code, uint16_t data_selector)
{
	static const enum seg_index data[] = { SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS };
	const uint32_t tss = at + TSS_OFFSET;
	struct cpu *c = &l->rs->cpu;
	uint8_t gdt[GDT_BYTES] = { 0 };

	boot_set64(gdt + code, descriptor(0, UINT32_MAX, code_attr));
	boot_set64(gdt + data_selector, descriptor(0, UINT32_MAX, ATTR_DATA));
	boot_set64(gdt + SEL_TSS, descriptor(tss, TSS_LIMIT, ATTR_TSS_BUSY)); /* upper half: zero */
	set_segment(&c->seg[SEG_CS], code, 0, UINT32_MAX, code_attr);
	for (unsigned i = 0; i < sizeof(data) / sizeof(data[0]); i++)
		set_segment(&c->seg[data[i]], data_selector, 0, UINT32_MAX, ATTR_DATA);
	set_segment(&c->tr, SEL_TSS, tss, TSS_LIMIT, ATTR_TSS_BUSY);
	set_segment(&c->ldtr, 0, 0, 0, SEG_ATTR_UNUSABLE);
	c->gdtr = (struct dtable){ at, GDT_BYTES - 1 };
	c->idtr = (struct dtable){ 0, 0 }; /* interrupts are off; an exception this early ends in a triple fault */
	return boot_put(l, at, gdt, sizeof(gdt));
}

/* All segments 0 but the stack's: CS:IP 0000:0000. The rest as after reset (SDM vol. 3, table 9-1). */
int boot_enter_real(struct loader *l, uint16_t ss, uint16_t sp)
{
	struct cpu *c = &l->rs->cpu;

	start_from_reset(c);
	for (unsigned i = 0; i < SEG_COUNT; i++) {
		uint32_t code = i == SEG_CS ? SEG_ATTR_CODE : 0;

		set_segment(&c->seg[i], 0, 0, 0xffff, SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_RW | SEG_ATTR_ACCESSED | code);
	}
	set_segment(&c->tr, 0, 0, 0xffff, ATTR_TSS_BUSY);
	set_segment(&c->ldtr, 0, 0, 0xffff, ATTR_LDT);
	c->gdtr = c->idtr = (struct dtable){ 0, 0xffff };
	c->seg[SEG_SS].selector = ss;
	c->seg[SEG_SS].base = (uint64_t)ss << 4;
	c->gpr[RSP] = sp;
	c->rip = 0;
	return 0;
}

void boot_enter_reset(struct loader *l)
{
	struct cpu *c = &l->rs->cpu;

	cpu_reset(c);
	c->activity = CPU_RUNNING;
}

static int enter_prot32(struct loader *l, uint32_t eip, uint16_t code, uint16_t data)
{
	struct cpu *c = &l->rs->cpu;

	start_from_reset(c);
	c->cr0 |= CR0_PE;
	c->gpr[RSP] = BOOT_SCRATCH; /* undefined by PVH and by Multiboot; harmless this way */
	c->rip = eip;
	return load_descriptors(l, BOOT_TABLES, ATTR_CODE32, code, data);
}

int boot_enter_prot32(struct loader *l, uint32_t eip)
{
	return enter_prot32(l, eip, SEL_CODE, SEL_DATA);
}

/* The specification leaves the selectors open; kernels that return by IRET to the CS they were entered with do not. */
int boot_enter_multiboot(struct loader *l, uint32_t eip)
{
	return enter_prot32(l, eip, SEL_MULTIBOOT_CODE, SEL_MULTIBOOT_DATA);
}

/* Identity map in 2 MiB pages (every processor has those). PML4, PDPT and page directories lie behind each other. */
static int put_page_tables(struct loader *l, uint64_t pml4, uint64_t gib)
{
	const uint64_t pdpt = pml4 + BOOT_PAGE, pd = pdpt + BOOT_PAGE;
	uint64_t table[512] = { pdpt | PTE_PRESENT_RW };
	int err = boot_put(l, pml4, table, sizeof(table));

	if (err != 0)
		return err;
	table[0] = 0;
	for (uint64_t i = 0; i < gib; i++)
		table[i] = (pd + i * BOOT_PAGE) | PTE_PRESENT_RW;
	err = boot_put(l, pdpt, table, sizeof(table));
	for (uint64_t i = 0; i < gib && err == 0; i++) {
		for (uint64_t j = 0; j < 512; j++)
			table[j] = i << 30 | j << 21 | PTE_LARGE | PTE_PRESENT_RW;
		err = boot_put(l, pd + i * BOOT_PAGE, table, sizeof(table));
	}
	return err;
}

_Static_assert((int)BOOT_PDPT == BOOT_PML4 + BOOT_PAGE && (int)BOOT_PD == BOOT_PDPT + BOOT_PAGE, "put_page_tables()");

static void enter_long(struct cpu *c, uint64_t rip, uint64_t pml4, uint64_t stack)
{
	start_from_reset(c);
	c->cr0 |= CR0_PE | CR0_PG;
	c->cr3 = pml4;
	c->cr4 = CR4_PAE;
	c->msr.efer = EFER_LME | EFER_LMA;
	c->gpr[RSP] = stack;
	c->rip = rip;
}

/* 4 GiB are mapped, or more if the caller wants the high RAM too. */
int boot_enter_long64(struct loader *l, uint64_t rip, uint64_t mapped_bytes)
{
	const uint64_t gib = (mapped_bytes + (1ull << 30) - 1) >> 30;
	int err = put_page_tables(l, BOOT_PML4, gib < 4 ? 4 : gib > BOOT_PD_MAX ? BOOT_PD_MAX : gib);

	if (err != 0)
		return err;
	enter_long(&l->rs->cpu, rip, BOOT_PML4, BOOT_SCRATCH);
	return load_descriptors(l, BOOT_TABLES, ATTR_CODE64, SEL_CODE, SEL_DATA);
}

/* The stack is as it is at a function's first instruction: a return address of 0 has been pushed (System V ABI, 3.2.2). */
int boot_enter_frame(struct loader *l, uint64_t rip)
{
	struct cpu *c = &l->rs->cpu;
	int err = put_page_tables(l, LAYOUT_FRAME_TABLES, LAYOUT_FRAME_MAPPED >> 30);

	if (err != 0)
		return err;
	enter_long(c, rip, LAYOUT_FRAME_TABLES, LAYOUT_FRAME_STACK - 8);
	c->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
	return load_descriptors(l, LAYOUT_FRAME_TABLES_END - BOOT_PAGE, ATTR_CODE64, SEL_CODE, SEL_DATA);
}
