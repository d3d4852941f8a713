/* SPDX-License-Identifier: MIT */
/* Finer points of events, debugging, tasks and paging: each test quotes the section that decides. */
#include "sys_guest.h"

TestSuite(sys_exact, .init = g_create, .fini = g_destroy);

static void steps(unsigned n)
{
	while (n-- > 0)
		g_step();
}

/* ---- RF (SDM vol. 3, 17.3.1.1) ---- */

/* "Software-generated interrupts: RF is pushed as 0, since it was cleared at the start of the software interrupt." */
Test(sys_exact, int_pushes_rf_clear)
{
	g_long_mode(0);
	CODE(0xcd, 0x80);
	g.e->cpu.rflags |= RFLAGS_RF;
	g_step();
	cr_expect(g_at_handler(0x80));
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP] + 16, 8) & RFLAGS_RF, 0);
}

/* "For any fault-class exception ... the value pushed for RF is 1." */
Test(sys_exact, fault_pushes_rf_set)
{
	g_long_mode(0);
	CODE(0x0f, 0x0b);
	g_step();
	cr_expect(g_at_handler(VEC_UD));
	cr_expect(g_peek(g.e->cpu.gpr[RSP] + 16, 8) & RFLAGS_RF);
	cr_expect_eq(g.e->cpu.rflags & RFLAGS_RF, 0);
}

/* IRET loads RF, and the instruction it returns to passes its breakpoint once. */
Test(sys_exact, iret_loads_rf)
{
	g_long_mode(0);
	CODE(0x48, 0xcf, 0x90, 0xeb, 0xfd); /* iretq; nop; jmp nop */
	g.e->cpu.dr[0] = G_CODE + 2;
	g.e->cpu.dr[7] = 0x402;
	mmu_mode_changed(g.e);
	g.e->cpu.gpr[RSP] -= 40;
	g_poke(g.e->cpu.gpr[RSP], G_CODE + 2, 8);
	g_poke(g.e->cpu.gpr[RSP] + 8, CODE64, 8);
	g_poke(g.e->cpu.gpr[RSP] + 16, RFLAGS_RF | 2, 8);
	g_poke(g.e->cpu.gpr[RSP] + 24, G_STACK0, 8);
	g_poke(g.e->cpu.gpr[RSP] + 32, DATA0, 8);
	steps(3);
	cr_expect_eq(g.e->cpu.rip, G_CODE + 2);
	g_step();
	cr_expect(g_at_handler(VEC_DB), "without RF it is met");
}

/* ---- breakpoints ---- */

/* 17.2.4: a repeated instruction meets its own instruction breakpoint once, not before each iteration. */
Test(sys_exact, breakpoint_on_repeated_instruction)
{
	g_long_mode(0);
	CODE(0xf3, 0xaa); /* rep stosb */
	g.e->cpu.gpr[RDI] = G_DATA;
	g.e->cpu.gpr[RCX] = 100;
	g.e->cpu.dr[0] = G_CODE;
	g.e->cpu.dr[7] = 0x402;
	g.e->cpu.rflags |= RFLAGS_RF;
	mmu_mode_changed(g.e);
	for (unsigned n = 0; n < 100 && g.e->cpu.rip == G_CODE; n++)
		g_step();
	cr_expect_eq(g.e->cpu.rip, G_CODE + 2);
	cr_expect_eq(g.e->cpu.gpr[RCX], 0);
}

/* 17.2.4: data breakpoints of a repeated instruction trap after the iteration that met them; what is pushed has RF. */
Test(sys_exact, data_breakpoint_in_repeated_instruction)
{
	g_long_mode(0);
	CODE(0xf3, 0xaa);
	g.e->cpu.gpr[RDI] = G_DATA;
	g.e->cpu.gpr[RCX] = 16;
	g.e->cpu.dr[1] = G_DATA + 5;
	g.e->cpu.dr[7] = 0x400 | 2 << 2 | 1u << 20; /* one byte, writes */
	mmu_mode_changed(g.e);
	for (unsigned n = 0; n < 16 && !g.e->fault.pending; n++)
		emu_advance(g.e, true);
	cr_assert(g.e->fault.pending);
	cr_expect_eq(g.e->fault.vector, VEC_DB);
	cr_expect_eq(g.e->fault.dr6, 2);
	cr_expect_eq(g.e->cpu.gpr[RCX], 10);
	cr_expect_eq(g.e->cpu.rip, G_CODE);
}

/* 17.2.4: an instruction that faults reports no data breakpoint that it met before. */
Test(sys_exact, faulting_instruction_drops_its_breakpoints)
{
	g_long_mode(0);
	CODE(0xff, 0x33); /* push qword [rbx]: the read meets the breakpoint, the push faults */
	g.e->cpu.gpr[RBX] = G_DATA;
	g.e->cpu.gpr[RSP] = 0x40000000;
	g.e->cpu.dr[0] = G_DATA;
	g.e->cpu.dr[7] = 0x402 | 3u << 16;
	mmu_mode_changed(g.e);
	g_poke(G_IDT + VEC_PF * 16 + 4, 1, 1); /* IST1 */
	g_poke(G_HANDLERS + VEC_PF * 16, 0x90, 1);
	g_step();
	cr_expect(g_at_handler(VEC_PF));
	g_step();
	cr_expect_eq(g.e->cpu.rip, G_HANDLERS + VEC_PF * 16 + 1, "no #DB in the handler");
}

/* 17.4.3: with BTF, TF traps after taken branches only; the trap clears BTF. */
Test(sys_exact, single_step_on_branches)
{
	g_long_mode(0);
	CODE(0x90, 0x31, 0xc0, 0x75, 0x00, 0x74, 0x00, 0x90); /* nop; xor; jnz (not taken); jz (taken) */
	g.e->cpu.rflags |= RFLAGS_TF;
	g.e->cpu.msr.debugctl = 2;
	for (unsigned n = 0; n < 3; n++) {
		g_try();
		EXPECT_NO_FAULT();
	}
	g_step();
	cr_expect(g_at_handler(VEC_DB));
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), G_CODE + 7);
	cr_expect(g.e->cpu.dr[6] & 1u << 14);
	cr_expect_eq(g.e->cpu.msr.debugctl, 0);
}

/* 17.2.4: an I/O breakpoint traps after the instruction; only with CR4.DE. */
Test(sys_exact, io_breakpoint)
{
	g_long_mode(0);
	CODE(0xe6, 0x80, 0x90); /* out 0x80, al */
	g.e->cpu.dr[2] = 0x80;
	g.e->cpu.dr[7] = 0x400 | 2 << 4 | 2u << 24;
	g.e->cpu.cr4 |= CR4_DE;
	mmu_mode_changed(g.e);
	g_step();
	cr_expect(g_at_handler(VEC_DB));
	cr_expect_eq(g.e->cpu.dr[6] & 0xf, 4);
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), G_CODE + 2);
}

/* 6.8.3 and CVE-2018-8897: a data breakpoint met by MOV SS is delivered after the next instruction, here in the handler
 * of an INT n and at its first instruction. */
Test(sys_exact, mov_ss_breakpoint_then_int)
{
	g_long_mode(0);
	CODE(0x8e, 0x13, 0xcd, 0x80); /* mov ss, [rbx]; int 80h */
	g.e->cpu.gpr[RBX] = G_DATA;
	g_poke(G_DATA, DATA0, 2);
	g.e->cpu.dr[0] = G_DATA;
	g.e->cpu.dr[7] = 0x402 | 3u << 16 | 1u << 18;
	mmu_mode_changed(g.e);
	g_step();
	cr_expect_eq(g.e->cpu.rip, G_CODE + 2);
	g_step();
	cr_expect(g_at_handler(VEC_DB));
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), G_HANDLERS + 0x80 * 16);
	cr_expect_eq(g.e->cpu.dr[6] & 0xf, 1);
}

/* ---- exceptions ---- */

/* Table 6-5: #PF while delivering #PF is #DF with error code 0; CR2 is that of the second one. */
Test(sys_exact, cr2_of_the_second_page_fault)
{
	g_long_mode(0);
	CODE(0x8b, 0x03);
	g.e->cpu.gpr[RBX] = 0x50000000;
	g.e->cpu.gpr[RSP] = 0x60000000;
	g_poke(G_IDT + VEC_DF * 16 + 4, 1, 1); /* IST1 */
	g_step();
	cr_expect(g_at_handler(VEC_DF));
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), 0);
	cr_expect_eq(g.e->cpu.cr2, 0x60000000 - 48);
}

/* 6.7.1: IRET ends NMI blocking even if it faults. */
Test(sys_exact, faulting_iret_unblocks_nmi)
{
	g_long_mode(0);
	CODE(0x48, 0xcf);
	g.e->cpu.nmi_blocked = true;
	g.e->cpu.rflags |= RFLAGS_NT;
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
	cr_expect_not(g.e->cpu.nmi_blocked);
}

/* Vol. 2, SYSRET, "Operation": EFER.SCE is looked at before CPL. */
Test(sys_exact, sysret_undefined_before_privilege)
{
	g_long_mode(3);
	CODE(0x48, 0x0f, 0x07);
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
	g.e->cpu.msr.efer &= ~EFER_SCE;
	g_try();
	EXPECT_FAULT(VEC_UD, 0);
}

/* 9.8.5.1: a 16-bit TSS in TR keeps IA-32e mode off. */
Test(sys_exact, long_mode_refuses_16bit_tss)
{
	struct cpu *c = &g.e->cpu;

	g_fill_pages();
	g_protected_mode(0);
	c->cr3 = G_PML4;
	c->cr4 |= CR4_PAE;
	c->msr.efer |= EFER_LME;
	c->tr.attr = SEG_ATTR_P | DESC_TSS16_BUSY;
	cr_expect_eq(cr0_write(g.e, c->cr0 | CR0_PG), EMU_STOP);
	g.e->fault.pending = false;
	c->tr.attr = SEG_ATTR_P | DESC_TSS32_BUSY;
	cr_expect_eq(cr0_write(g.e, c->cr0 | CR0_PG), 0);
}

/* ---- MONITOR, MWAIT (vol. 2): not offered, so #UD by decoding; the semantics are asked directly ---- */

Test(sys_exact, monitor_mwait)
{
	struct insn i = { .id = ISA_MONITOR, .len = 3, .seg = SEG_DS, .asize = 8 };

	g_long_mode(0);
	CODE(0x0f, 0x01, 0xc8);
	g_try();
	EXPECT_FAULT(VEC_UD, 0);
	g.e->fault.pending = false;
	g.e->cpu.gpr[RAX] = G_DATA;
	g.e->pc = G_CODE;
	cr_expect_eq(sem_monitor(g.e, &i), 0);
	g.e->cpu.gpr[RCX] = 1;
	cr_expect_eq(sem_monitor(g.e, &i), EMU_STOP);
	EXPECT_FAULT(VEC_GP, 0);
	g.e->cpu.gpr[RCX] = 2;
	cr_expect_eq(sem_mwait(g.e, &i), EMU_STOP);
	EXPECT_FAULT(VEC_GP, 0);
	g.e->fault.pending = false;
	g.e->cpu.gpr[RCX] = 0;
	g.e->cpu.gpr[RAX] = 0x50000000;
	cr_expect_eq(sem_monitor(g.e, &i), EMU_STOP);
	EXPECT_FAULT(VEC_PF, 0);
	g.e->fault.pending = false;
	cr_expect_eq(sem_mwait(g.e, &i), EMU_STOP, "ends the block");
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.rip, G_CODE + 3);
}

/* ---- protection keys (SDM vol. 3, 4.6.2 and 4.7) ---- */

static void key_page(uint64_t rights, unsigned key)
{
	g_poke(G_PD + 8, 1ull << 21 | 0x80 | rights | (uint64_t)key << 59, 8);
	mmu_flush_all(g.e);
}

Test(sys_exact, protection_keys)
{
	static const struct {
		unsigned cpl, key;
		uint32_t pkru;
		bool wp, write;
		uint64_t rights;
		bool fault;
		uint32_t error;
	} cases[] = {
		{ 3, 1, 0, true, true, 7, false, 0 },
		{ 3, 1, 4, true, false, 7, true, 0x25 }, /* AD */
		{ 3, 1, 8, true, false, 7, false, 0 },	 /* WD */
		{ 3, 1, 8, true, true, 7, true, 0x27 },
		{ 3, 1, 8, true, true, 5, true, 0x27 }, /* W clear as well: PK is reported all the same */
		{ 3, 1, 0, true, true, 5, true, 0x07 },
		{ 0, 1, 4, true, false, 7, true, 0x21 }, /* supervisor accesses to user pages */
		{ 0, 1, 8, true, true, 7, true, 0x23 },
		{ 0, 1, 8, false, true, 7, false, 0 },	 /* WD needs CR0.WP there */
		{ 0, 1, 0xc, true, false, 3, false, 0 }, /* supervisor pages have no keys */
		{ 3, 0, 1, true, false, 7, true, 0x25 },
	};

	for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		uint8_t byte = 0;
		int r;

		g_long_mode(cases[n].cpl);
		g.e->cpu.cr4 |= CR4_PKE;
		if (!cases[n].wp)
			g.e->cpu.cr0 &= ~CR0_WP;
		g.e->cpu.pkru = cases[n].pkru;
		mmu_mode_changed(g.e);
		key_page(cases[n].rights, cases[n].key);
		g.e->fault.pending = false;
		r = cases[n].write ? emu_write(g.e, SEG_DS, 0x200000, &byte, 1) : emu_read(g.e, SEG_DS, 0x200000, &byte, 1);
		cr_expect_eq(r != 0, cases[n].fault, "case %u", n);
		if (r)
			cr_expect_eq(g.e->fault.error, cases[n].error, "case %u: %#x", n, g.e->fault.error);
	}
}

/* A cached translation does not outlive a WRPKRU that forbids it. */
Test(sys_exact, wrpkru_takes_effect)
{
	g_long_mode(0);
	CODE(0x8b, 0x03, 0x0f, 0x01, 0xef, 0x8b, 0x03); /* mov eax, [rbx]; wrpkru; mov eax, [rbx] */
	g.e->cpu.cr4 |= CR4_PKE;
	g.e->cpu.gpr[RBX] = 0x200000;
	mmu_mode_changed(g.e);
	g_step();
	EXPECT_NO_FAULT();
	g.e->cpu.gpr[RAX] = 1;
	g.e->cpu.gpr[RDX] = 0;
	g_step();
	EXPECT_NO_FAULT();
	g_try();
	EXPECT_FAULT(VEC_PF, 0x21);
}

/* ---- tasks ---- */

/* 7.3 and 17.3.1.1: a fault through a task gate saves EFLAGS with RF set in the old task's TSS. */
Test(sys_exact, task_gate_saves_rf)
{
	g_protected_mode(0);
	g_poke(G_TSS2 + 32, G_CODE + 0x100, 4);
	g_poke(G_TSS2 + 36, 2, 4);
	g_poke(G_TSS2 + 56, G_STACK0, 4);
	for (unsigned n = 0; n < 6; n++)
		g_poke(G_TSS2 + 72 + n * 4, n == SEG_CS ? CODE32 : DATA0, 4);
	g_gate32(VEC_UD, TSS2_SEL, 0, 0x85);
	CODE(0x0f, 0x0b);
	g_step();
	cr_expect_eq(g.e->cpu.rip, G_CODE + 0x100);
	cr_expect(g_peek(G_TSS + 36, 4) & RFLAGS_RF);
	cr_expect_eq(g_peek(G_TSS + 32, 4), G_CODE);
}

/* ---- waking up (SDM vol. 2, HLT; vol. 3, 6.7.1) ---- */

/* An NMI ends HLT with interrupts disabled; the handler's own HLT then finds nothing to wait for. */
Test(sys_exact, nmi_wakes_hlt)
{
	g_long_mode(0);
	CODE(0xf4, 0x90);
	g.e->cpu.rip = G_CODE + 1;
	g.e->cpu.activity = CPU_HALTED;
	g.e->cpu.nmi_pending = true;
	g_poke(G_HANDLERS + VEC_NMI * 16, 0xf4, 1);
	cr_expect_eq(emu_run(g.e), ENGINE_HALTED);
	cr_expect_eq(g.e->cpu.rip, G_HANDLERS + VEC_NMI * 16 + 1);
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), G_CODE + 1);
	cr_expect(g.e->cpu.nmi_blocked);
}

/* One NMI is latched while another is served, however many arrive; IRET lets it in. */
Test(sys_exact, nmi_latch_is_one_deep)
{
	g_long_mode(0);
	CODE(0xf4);
	g.e->cpu.nmi_blocked = true; /* a handler is running */
	g.e->cpu.nmi_pending = true;
	g.e->cpu.gpr[RSP] -= 40;
	g_poke(g.e->cpu.gpr[RSP], G_CODE, 8);
	g_poke(g.e->cpu.gpr[RSP] + 8, CODE64, 8);
	g_poke(g.e->cpu.gpr[RSP] + 16, 2, 8);
	g_poke(g.e->cpu.gpr[RSP] + 24, G_STACK0, 8);
	g_poke(g.e->cpu.gpr[RSP] + 32, DATA0, 8);
	g_poke(G_CODE + 0x100, 0xcf48, 2);	      /* iretq */
	g_poke(G_HANDLERS + VEC_NMI * 16, 0xc3ff, 2); /* inc ebx */
	g_poke(G_HANDLERS + VEC_NMI * 16 + 2, 0xcf48, 2);
	g.e->cpu.rip = G_CODE + 0x100;
	g.e->cpu.gpr[RBX] = 0;
	cr_expect_eq(emu_run(g.e), ENGINE_HALTED);
	cr_expect_eq(g.e->cpu.gpr[RBX], 1);
	cr_expect_not(g.e->cpu.nmi_pending);
}

/* ---- memory (vol. 2: CMPXCHG, CLFLUSH, PREFETCHh) ---- */

/* "The destination operand is written back if the comparison fails": write permission is needed, the dirty bit is set. */
Test(sys_exact, cmpxchg_always_writes)
{
	g_long_mode(0);
	CODE(0xf0, 0x0f, 0xb1, 0x0b); /* lock cmpxchg [rbx], ecx */
	g.e->cpu.gpr[RBX] = 0x200000;
	g.e->cpu.gpr[RAX] = 1; /* differs from the zero in memory */
	key_page(5, 0);
	g_try();
	EXPECT_FAULT(VEC_PF, 3);
	key_page(7, 0);
	g.e->fault.pending = false;
	g.e->cpu.rip = G_CODE;
	g_try();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.gpr[RAX], 0);
	cr_expect(g_peek(G_PD + 8, 8) & 0x40);
}

Test(sys_exact, prefetch_never_faults_and_clflush_does)
{
	g_long_mode(0);
	CODE(0x0f, 0x18, 0x0b, 0x0f, 0x0d, 0x0b, 0x0f, 0xae, 0x3b); /* prefetcht0, prefetchw, clflush [rbx] */
	g.e->cpu.gpr[RBX] = 0x50000000;
	g_try();
	EXPECT_NO_FAULT();
	g_try();
	EXPECT_NO_FAULT();
	g_try();
	EXPECT_FAULT(VEC_PF, 0);
	g.e->fault.pending = false;
	g.e->cpu.gpr[RBX] = 0x0000800000000000;
	g.e->cpu.rip = G_CODE;
	g_try();
	EXPECT_NO_FAULT();
	g.e->cpu.rip = G_CODE + 6;
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
}

/* Vol. 1, 3.3.7.1: fetching goes on into what is not canonical: #GP, with RIP there. */
Test(sys_exact, fetch_at_the_canonical_boundary)
{
	g_long_mode(0);
	/* The last page of the lower half: a NOP in its last byte. */
	g_poke(G_PML4 + 255 * 8, (G_DATA + 0x1000) | 7, 8);
	g_poke(G_DATA + 0x1000 + 511 * 8, (G_DATA + 0x2000) | 7, 8);
	g_poke(G_DATA + 0x2000 + 511 * 8, (G_DATA + 0x3000) | 7, 8);
	g_poke(G_DATA + 0x3000 + 511 * 8, (G_DATA + 0x4000) | 7, 8);
	g_poke(G_DATA + 0x4fff, 0x90, 1);
	mmu_flush_all(g.e);
	g.e->cpu.rip = 0x00007fffffffffff;
	g_try();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.rip, 0x0000800000000000);
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
	cr_expect_eq(g.e->cpu.rip, 0x0000800000000000);
}

/* Several pushes of one instruction over a page's edge: all or nothing, and the stack pointer stays. */
Test(sys_exact, multiple_pushes_are_all_or_nothing)
{
	static const struct {
		uint8_t bytes[7];
		unsigned size;
	} cases[] = {
		{ { 0x60 }, 32 },			/* pusha */
		{ { 0x9a, 0, 0, 0, 0, CODE32, 0 }, 8 }, /* call far */
	};

	for (unsigned n = 0; n < 2; n++) {
		g_protected_mode(0);
		memset(g.ram + 0x80000, 0, 0x2000);
		/* 4 KiB pages: 80000h is absent, 81000h is there. */
		for (unsigned p = 0; p < 1024; p++)
			g_poke(0x90000 + p * 4, p == 0x80 ? 0 : p << 12 | 3, 4);
		g_poke(0x91000, 0x90003, 4);
		g.e->cpu.cr3 = 0x91000;
		g.e->cpu.cr0 |= CR0_PG;
		mmu_mode_changed(g.e);
		mmu_flush_all(g.e);
		g_code(cases[n].bytes, 7);
		g.e->cpu.gpr[RSP] = 0x81004;
		g_try();
		EXPECT_FAULT(VEC_PF, 2);
		cr_expect_eq(g.e->cpu.gpr[RSP], 0x81004);
		cr_expect_eq(g_peek(0x81000, 4), 0, "case %u", n);
		cr_expect_eq(g.e->fault.cr2, 0x81004 - cases[n].size, "%llx", (unsigned long long)g.e->fault.cr2);
	}
}

/* 6.15, table 6-7: the alignment that a type wants: 8 for 80-bit reals, 4 for far pointers of 48 bits, 2 for those of 32. */
Test(sys_exact, alignment_of_odd_sizes)
{
	static const struct {
		unsigned size, offset;
		bool fault;
	} cases[] = { { 10, 4, true }, { 10, 8, false }, { 6, 2, true },  { 6, 4, false },  { 4, 2, true },  { 2, 1, true },
		      { 1, 1, false }, { 16, 1, false }, { 28, 2, true }, { 28, 4, false }, { 14, 1, true }, { 14, 2, false } };
	uint8_t buffer[32];

	for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		g_long_mode(3);
		g.e->cpu.cr0 |= CR0_AM;
		g.e->cpu.rflags |= RFLAGS_AC;
		mmu_mode_changed(g.e);
		g.e->fault.pending = false;
		cr_expect_eq(emu_read(g.e, SEG_DS, G_DATA + cases[n].offset, buffer, cases[n].size) != 0, cases[n].fault,
			     "case %u", n);
		if (cases[n].fault)
			EXPECT_FAULT(VEC_AC, 0);
	}
}

/* ---- control registers (vol. 2, MOV CR) ---- */

Test(sys_exact, cr3_and_cr4_reserved_bits)
{
	uint64_t cr4;

	g_long_mode(0);
	cr4 = g.e->cpu.cr4;
	cr_expect_eq(cr3_write(g.e, G_PML4 | 1ull << EMU_MAXPHYADDR), EMU_STOP);
	cr_expect_eq(cr3_write(g.e, G_PML4 | 1ull << 63), EMU_STOP, "bit 63 needs CR4.PCIDE");
	cr_expect_eq(cr3_write(g.e, G_PML4 | 0x18), 0, "PWT and PCD");
	for (unsigned bit = 0; bit < 64; bit++) {
		bool known = cr4_supported(g.e) >> bit & 1;

		if (!known)
			cr_expect_eq(cr4_write(g.e, cr4 | 1ull << bit), EMU_STOP, "bit %u", bit);
	}
	cr_expect_eq(cr4_write(g.e, cr4 & ~CR4_PAE), EMU_STOP);
	cr_expect_eq(cr4_write(g.e, cr4 ^ CR4_LA57), EMU_STOP);
	cr_expect_eq(g.e->cpu.cr4, cr4);
}
