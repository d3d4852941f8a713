/* SPDX-License-Identifier: MIT */
/* Segment loads, far transfers, gates, tasks: sections are those of the SDM, volume 3, unless noted. */
#include "sys_guest.h"

TestSuite(sys_segment, .init = g_create, .fini = g_destroy);

static int load(unsigned seg, unsigned selector)
{
	g.e->fault.pending = false;
	return sys_load_segment(g.e, seg, (uint16_t)selector);
}

static void set_data(unsigned selector, unsigned access)
{
	g_set_desc(selector, g_desc(0, 0xfffff, access, 0xc));
}

/* Vol. 2, MOV: which types and privileges a data segment register accepts. */
Test(sys_segment, data_type_and_privilege)
{
	static const struct {
		uint8_t access, cpl, rpl, good;
	} cases[] = {
		{ 0x93, 0, 0, 1 }, { 0x93, 3, 3, 0 }, { 0x93, 0, 3, 0 }, { 0xf3, 3, 3, 1 },
		{ 0xf3, 0, 0, 1 }, { 0xf3, 0, 3, 1 }, { 0xd3, 3, 2, 0 }, { 0xf1, 3, 3, 1 }, /* read-only data */
		{ 0x99, 0, 0, 0 },							    /* execute-only code */
		{ 0x9b, 0, 0, 1 },							    /* readable code */
		{ 0x9b, 3, 3, 0 }, { 0x9f, 3, 3, 1 },					    /* conforming: no privilege check */
		{ 0x89, 0, 0, 0 },							    /* system */
	};

	for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		g_protected_mode(cases[n].cpl);
		set_data(0x80, cases[n].access);
		cr_expect_eq(load(SEG_DS, 0x80 | cases[n].rpl) == 0, cases[n].good, "case %u", n);
		if (!cases[n].good)
			EXPECT_FAULT(VEC_GP, 0x80);
	}
}

/* A segment that is not present: #NP for data, #SS for the stack. */
Test(sys_segment, not_present)
{
	g_protected_mode(0);
	set_data(0x80, 0x13);
	cr_expect(load(SEG_ES, 0x80));
	EXPECT_FAULT(VEC_NP, 0x80);
	cr_expect(load(SEG_SS, 0x80));
	EXPECT_FAULT(VEC_SS, 0x80);
}

/* SS: RPL and DPL must equal CPL, writable; null only in 64-bit mode below CPL 3 with RPL = CPL. */
Test(sys_segment, stack_segment)
{
	g_protected_mode(0);
	cr_expect(load(SEG_SS, 0));
	EXPECT_FAULT(VEC_GP, 0);
	cr_expect(load(SEG_SS, USER_DATA));
	EXPECT_FAULT(VEC_GP, USER_DATA);
	cr_expect(load(SEG_SS, DATA0 | 3));
	EXPECT_FAULT(VEC_GP, DATA0);
	cr_expect(load(SEG_SS, CODE32));
	EXPECT_FAULT(VEC_GP, CODE32);
	cr_expect_eq(load(SEG_SS, DATA0), 0);
	g_long_mode(0);
	cr_expect_eq(load(SEG_SS, 0), 0);
	cr_expect(load(SEG_SS, 1));
	g_long_mode(3);
	cr_expect(load(SEG_SS, 3));
	EXPECT_FAULT(VEC_GP, 0);
}

/* Table limits: #GP with the selector; a null LDT has no descriptors. */
Test(sys_segment, table_limit)
{
	g_protected_mode(0);
	cr_expect(load(SEG_DS, G_GDT_BYTES));
	EXPECT_FAULT(VEC_GP, G_GDT_BYTES);
	cr_expect(load(SEG_DS, 0x0c));
	EXPECT_FAULT(VEC_GP, 0x0c);
}

/* 3.4.5.1: the accessed bit is set in memory. */
Test(sys_segment, accessed_bit)
{
	g_protected_mode(0);
	set_data(0x80, 0x92);
	cr_expect_eq(load(SEG_DS, 0x80), 0);
	cr_expect_eq(g_peek(G_GDT + 0x85, 1), 0x93);
	cr_expect_eq(g.e->cpu.seg[SEG_DS].attr & 0xff, 0x93);
}

/* In 64-bit mode a null selector clears the base of FS and GS (Intel). */
Test(sys_segment, null_clears_base)
{
	g_long_mode(0);
	g.e->cpu.msr.kernel_gs_base = 0xffff888000000000;
	CODE(0x0f, 0x01, 0xf8, 0x31, 0xc0, 0x8e, 0xe8); /* swapgs; xor eax,eax; mov gs,eax */
	g_step();
	cr_expect_eq(g.e->seg_base[SEG_GS], 0xffff888000000000);
	g_step();
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.seg[SEG_GS].base, 0);
	cr_expect_eq(g.e->seg_base[SEG_GS], 0);
}

/* Vol. 2, WRFSBASE: #UD without CR4.FSGSBASE, #GP for a non-canonical value; 32-bit forms zero-extend. */
Test(sys_segment, fsgsbase)
{
	g_long_mode(3);
	CODE(0xf3, 0x48, 0x0f, 0xae, 0xd0, 0xf3, 0x0f, 0xae, 0xc1); /* wrfsbase rax; rdfsbase ecx */
	g.e->cpu.gpr[RAX] = 0x0100000000000000;
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
	g.e->cpu.gpr[RAX] = 0x00007fff12345678;
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->seg_base[SEG_FS], 0x00007fff12345678);
	g_step();
	cr_expect_eq(g.e->cpu.gpr[RCX], 0x12345678);
	g.e->cpu.cr4 &= ~CR4_FSGSBASE;
	g.e->cpu.rip = G_CODE;
	g_try();
	EXPECT_FAULT(VEC_UD, 0);
}

/* Vol. 2, LAR and LSL: what is invalid clears ZF and changes nothing. */
Test(sys_segment, lar_lsl_verr)
{
	g_protected_mode(3);
	g.e->cpu.gpr[RCX] = USER_DATA | 3;
	g.e->cpu.gpr[RDX] = 0x55;
	CODE(0x0f, 0x02, 0xc1, 0x0f, 0x03, 0xc1, 0x0f, 0x00, 0xe1, 0x0f, 0x00, 0xe9, 0x0f, 0x00,
	     0xe2); /* lar, lsl, verr, verw cx; verr dx */
	g_step();
	cr_expect(emu_flags_get(g.e) & RFLAGS_ZF);
	cr_expect_eq(g.e->cpu.gpr[RAX] & 0xf0ff00, 0xc0f300);
	g_step();
	cr_expect_eq(g.e->cpu.gpr[RAX], 0xffffffff);
	g_step();
	cr_expect(emu_flags_get(g.e) & RFLAGS_ZF);
	g_step();
	cr_expect(emu_flags_get(g.e) & RFLAGS_ZF);
	g_step();
	cr_expect_not(emu_flags_get(g.e) & RFLAGS_ZF);
	EXPECT_NO_FAULT();
	g.e->cpu.gpr[RCX] = DATA0;
	g.e->cpu.gpr[RAX] = 0x1234;
	g.e->cpu.rip = G_CODE;
	g_step();
	cr_expect_not(emu_flags_get(g.e) & RFLAGS_ZF, "DPL 0 is not visible at CPL 3");
	cr_expect_eq(g.e->cpu.gpr[RAX], 0x1234);
}

/* 2.5, UMIP; SGDT in 64-bit mode stores ten bytes. */
Test(sys_segment, descriptor_tables)
{
	g_long_mode(0);
	g.e->cpu.gpr[RBX] = G_DATA;
	CODE(0x0f, 0x01, 0x03, 0x0f, 0x01, 0x13); /* sgdt [rbx]; lgdt [rbx] */
	g_step();
	cr_expect_eq(g_peek(G_DATA, 2), G_GDT_BYTES - 1);
	cr_expect_eq(g_peek(G_DATA + 2, 8), G_GDT);
	g_poke(G_DATA + 2, 0x0100000000000000, 8); /* 57 bits: by the processor, not by CR4.LA57 */
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
	g_long_mode(3);
	g.e->cpu.gpr[RBX] = G_DATA;
	g.e->cpu.cr4 |= CR4_UMIP;
	g.e->cpu.rip = G_CODE;
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
	g.e->cpu.rip = G_CODE + 3;
	g_try();
	EXPECT_FAULT(VEC_GP, 0); /* LGDT is privileged anyway */
}

/* Vol. 2, LTR: marks the descriptor busy; a busy one is refused. */
Test(sys_segment, ltr_busy)
{
	g_long_mode(0);
	g.e->cpu.gpr[RAX] = TSS2_SEL;
	g_poke(G_GDT + TSS2_SEL + 8, 0xffff8880, 8);
	CODE(0x0f, 0x00, 0xd8, 0x0f, 0x00, 0xd8);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.tr.base, 0xffff888000003800);
	cr_expect_eq(g_peek(G_GDT + TSS2_SEL + 5, 1), 0x8b);
	g_try();
	EXPECT_FAULT(VEC_GP, TSS2_SEL);
}

/* ---- far transfers: 5.8 ---- */

Test(sys_segment, far_jump_and_return)
{
	g_long_mode(0);
	g.e->cpu.gpr[RBX] = G_DATA;
	g_poke(G_DATA, G_HANDLERS, 4);
	g_poke(G_DATA + 4, CODE32, 2);
	CODE(0xff, 0x1b); /* call far [rbx] */
	g_poke(G_HANDLERS, 0xcb, 1);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->code_size, 4, "compatibility mode");
	cr_expect_eq(g.e->cpu.rip, G_HANDLERS);
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK0 - 8, "two pushes of four bytes");
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->code_size, 8);
	cr_expect_eq(g.e->cpu.rip, G_CODE + 2);
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK0);
}

static uint64_t call_gate(unsigned selector, uint32_t offset, unsigned access, unsigned parameters)
{
	return (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)parameters << 32 | (uint64_t)access << 40 |
	       (uint64_t)(offset >> 16) << 48;
}

/* 5.8.5: an inner call switches stacks and copies the parameters; RETF n releases them on both. */
Test(sys_segment, call_gate_with_parameters)
{
	g_protected_mode(3);
	g_set_desc(GATE_SEL, call_gate(CODE32, G_HANDLERS, 0xec, 2));
	g_poke(G_STACK3 - 8, 0x1111, 4);
	g_poke(G_STACK3 - 4, 0x2222, 4);
	g.e->cpu.gpr[RSP] = G_STACK3 - 8;
	CODE(0x9a, 0, 0, 0, 0, GATE_SEL | 3, 0);
	g_poke(G_HANDLERS, 0x0008ca, 3);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpl, 0);
	cr_expect_eq(g.e->cpu.rip, G_HANDLERS);
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK0 - 24);
	cr_expect_eq(g_peek(G_STACK0 - 4, 4), USER_DATA | 3);
	cr_expect_eq(g_peek(G_STACK0 - 8, 4), G_STACK3 - 8);
	cr_expect_eq(g_peek(G_STACK0 - 12, 4), 0x2222);
	cr_expect_eq(g_peek(G_STACK0 - 16, 4), 0x1111);
	cr_expect_eq(g_peek(G_STACK0 - 20, 4), USER_CODE32 | 3);
	cr_expect_eq(g_peek(G_STACK0 - 24, 4), G_CODE + 7);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpl, 3);
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK3);
	cr_expect_eq(g.e->cpu.rip, G_CODE + 7);
}

/* 5.8.3.1: a 64-bit call gate pushes SS:RSP and CS:RIP of eight bytes on the RSP of the TSS. */
Test(sys_segment, call_gate_64)
{
	g_long_mode(3);
	g_set_desc(GATE_SEL, call_gate(CODE64, G_HANDLERS, 0xec, 0));
	g_poke(G_GDT + GATE_SEL + 8, 0, 8);
	g.e->cpu.gpr[RBX] = G_DATA;
	g_poke(G_DATA + 4, GATE_SEL | 3, 2);
	CODE(0xff, 0x1b);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpl, 0);
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK0 - 32);
	cr_expect_eq(g.e->cpu.seg[SEG_SS].selector, 0);
	cr_expect_eq(g_peek(G_STACK0 - 8, 8), USER_DATA | 3);
	cr_expect_eq(g_peek(G_STACK0 - 16, 8), G_STACK3);
	cr_expect_eq(g_peek(G_STACK0 - 32, 8), G_CODE + 2);
	g_set_desc(GATE_SEL, call_gate(CODE32, G_HANDLERS, 0xec, 0));
	g_long_mode(3);
	g_set_desc(GATE_SEL, call_gate(CODE32, G_HANDLERS, 0xec, 0));
	g_try();
	EXPECT_FAULT(VEC_GP, CODE32);
}

/* 5.8.1: conforming code runs at the caller's privilege; nonconforming needs DPL = CPL. */
Test(sys_segment, conforming)
{
	g_protected_mode(3);
	CODE(0xea, 0, 0, 2, 0, CONFORMING, 0);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpl, 3);
	cr_expect_eq(g.e->cpu.seg[SEG_CS].selector, CONFORMING | 3);
	CODE(0xea, 0, 0, 2, 0, CODE32, 0);
	g_try();
	EXPECT_FAULT(VEC_GP, CODE32);
}

/* Real mode to protected mode and back: limits and attributes stay when only the selector is loaded (9.9). */
Test(sys_segment, big_real_mode)
{
	struct cpu *c = &g.e->cpu;

	g_fill_gdt();
	c->gdtr = (struct dtable){ .base = G_GDT, .limit = G_GDT_BYTES - 1 };
	c->seg[SEG_CS] = (struct segment){ .base = 0x10000, .selector = 0x1000, .limit = 0xffff, .attr = 0x9b };
	c->gpr[RBX] = DATA0;
	mmu_mode_changed(g.e);
	/* mov eax,cr0; or al,1; mov cr0,eax; mov ds,bx; and al,fe; mov cr0,eax; xor bx,bx; mov ds,bx */
	CODE(0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0, 0x8e, 0xdb, 0x24, 0xfe, 0x0f, 0x22, 0xc0, 0x31, 0xdb, 0x8e, 0xdb);
	c->rip = 0;
	for (unsigned n = 0; n < 8; n++)
		g_step();
	EXPECT_NO_FAULT();
	cr_expect_not(c->cr0 & CR0_PE);
	cr_expect_eq(c->seg[SEG_DS].limit, UINT32_MAX);
	cr_expect_eq(c->seg[SEG_DS].base, 0);
	cr_expect_eq(c->seg[SEG_DS].selector, 0);
}

/* ---- tasks: 7.3 ---- */

static void fill_tss2(void)
{
	g_poke(G_TSS2 + 32, G_DATA, 4);
	g_poke(G_TSS2 + 36, 0x202, 4);
	g_poke(G_TSS2 + 40, 0xaaaa, 4);
	g_poke(G_TSS2 + 56, G_STACK3, 4);
	for (unsigned n = 0; n < 6; n++)
		g_poke(G_TSS2 + 72 + n * 4, n == SEG_CS ? CODE32 : DATA0, 4);
}

/* CALL to a TSS: back link, NT, both busy, CR0.TS; IRET returns and frees it. */
Test(sys_segment, task_call_and_return)
{
	g_protected_mode(0);
	fill_tss2();
	g.e->cpu.gpr[RCX] = 0x77;
	CODE(0x9a, 0, 0, 0, 0, TSS2_SEL, 0);
	g_poke(G_DATA, 0xcf, 1);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.tr.selector, TSS2_SEL);
	cr_expect_eq(g.e->cpu.rip, G_DATA);
	cr_expect_eq(g.e->cpu.gpr[RAX], 0xaaaa);
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK3);
	cr_expect(g.e->cpu.rflags & RFLAGS_NT);
	cr_expect(g.e->cpu.cr0 & CR0_TS);
	cr_expect_eq(g_peek(G_TSS2, 2), TSS_SEL);
	cr_expect_eq(g_peek(G_GDT + TSS2_SEL + 5, 1), 0x8b);
	cr_expect_eq(g_peek(G_GDT + TSS_SEL + 5, 1), 0x8b, "the caller stays busy");
	cr_expect_eq(g_peek(G_TSS + 32, 4), G_CODE + 7);
	cr_expect_eq(g_peek(G_TSS + 44, 4), 0x77);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.tr.selector, TSS_SEL);
	cr_expect_eq(g.e->cpu.rip, G_CODE + 7);
	cr_expect_eq(g.e->cpu.gpr[RCX], 0x77);
	cr_expect_eq(g_peek(G_GDT + TSS2_SEL + 5, 1), 0x89);
	cr_expect_not(g.e->cpu.rflags & RFLAGS_NT);
}

/* JMP: no link, no NT, the old task is no longer busy; a busy target is #GP. */
Test(sys_segment, task_jump)
{
	g_protected_mode(0);
	fill_tss2();
	g_poke(G_TSS2 + 100, 1, 2); /* T: #DB with DR6.BT before the first instruction */
	CODE(0xea, 0, 0, 0, 0, TSS2_SEL, 0);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_not(g.e->cpu.rflags & RFLAGS_NT);
	cr_expect_eq(g_peek(G_GDT + TSS_SEL + 5, 1), 0x89);
	g_step();
	cr_expect(g_at_handler(VEC_DB));
	cr_expect(g.e->cpu.dr[6] & 1u << 15);
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 4), G_DATA);
	CODE(0xea, 0, 0, 0, 0, TSS2_SEL, 0);
	g_try();
	EXPECT_FAULT(VEC_GP, TSS2_SEL);
}

/* 7.3, table 7-1: a bad segment of the new task raises #TS there. */
Test(sys_segment, task_bad_segment)
{
	g_protected_mode(0);
	fill_tss2();
	g_poke(G_TSS2 + 84, NOT_PRESENT + 0x100, 4); /* DS outside the GDT */
	CODE(0xea, 0, 0, 0, 0, TSS2_SEL, 0);
	g_step();
	cr_expect(g_at_handler(VEC_TS));
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 4), NOT_PRESENT + 0x100);
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP] + 4, 4), G_DATA, "in the context of the new task");
}

/* A task gate in the IDT; the error code goes to the new task's stack. */
Test(sys_segment, task_gate_interrupt)
{
	g_protected_mode(0);
	fill_tss2();
	g_poke(G_IDT + VEC_GP * 8, (uint64_t)TSS2_SEL << 16 | 0x85ull << 40, 8);
	CODE(0x0f, 0x32); /* rdmsr of an unknown one */
	g.e->cpu.gpr[RCX] = 0x12345;
	g_step();
	cr_expect_eq(g.e->cpu.tr.selector, TSS2_SEL);
	cr_expect_eq(g.e->cpu.rip, G_DATA);
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK3 - 4);
	cr_expect_eq(g_peek(G_STACK3 - 4, 4), 0);
	cr_expect_eq(g_peek(G_TSS + 32, 4), G_CODE);
}

/* 7.6: a 16-bit TSS. */
Test(sys_segment, task_16bit)
{
	g_protected_mode(0);
	g_set_desc(TSS2_SEL, g_desc(G_TSS2, 0x2b, 0x81, 0));
	g_poke(G_TSS2 + 14, 0x4321, 2);
	g_poke(G_TSS2 + 16, 0x2, 2);
	g_poke(G_TSS2 + 18, 0xbeef, 2);
	for (unsigned n = 0; n < 4; n++)
		g_poke(G_TSS2 + 34 + n * 2, n == SEG_CS ? CODE16 : DATA0, 2);
	CODE(0xea, 0, 0, 0, 0, TSS2_SEL, 0);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.rip, 0x4321);
	cr_expect_eq(g.e->cpu.gpr[RAX] & 0xffff, 0xbeef);
	cr_expect_eq(g.e->code_size, 2);
	cr_expect_eq(g.e->cpu.seg[SEG_FS].selector, 0);
}

/* ---- I/O permission: vol. 1, 19.5.2 ---- */

Test(sys_segment, io_bitmap)
{
	g_protected_mode(3);
	g_poke(G_TSS + 102, 0x68, 2);
	g.e->fault.pending = false;
	g_poke(G_TSS + 0x68, 0xffffffffffffffff, 8);
	g_poke(G_TSS + 0x68 + 2, 0xf0, 1); /* ports 10h..13h */
	cr_expect_eq(sys_check_port(g.e, 0x10, 4), 0);
	cr_expect(sys_check_port(g.e, 0x12, 4), "one byte of four is denied");
	EXPECT_FAULT(VEC_GP, 0);
	cr_expect(sys_check_port(g.e, 0x3f8, 1), "beyond the limit");
	emu_flags_set(g.e, RFLAGS_IOPL, RFLAGS_IOPL);
	cr_expect_eq(sys_check_port(g.e, 0x3f8, 1), 0);
}
