/* SPDX-License-Identifier: MIT */
/* Control and debug registers, single-step, EFER: sections are those of the SDM, volume 3, unless noted. */
#include "sys_guest.h"

TestSuite(sys_control, .init = g_create, .fini = g_destroy);

/* mov crN, rax: 0f 22 /n */
static void mov_cr(unsigned n, uint64_t value)
{
	uint8_t code[4] = { 0x0f, 0x22, (uint8_t)(0xc0 | (n & 7) << 3), 0 };
	uint8_t code8[4] = { 0x44, 0x0f, 0x22, 0xc0 };

	if (n < 8)
		g_code(code, 3);
	else
		g_code(code8, 4);
	g.e->cpu.gpr[RAX] = value;
	g_try();
}

#define EXPECT_GP(n, value)                 \
	do {                                \
		mov_cr(n, value);           \
		EXPECT_FAULT(VEC_GP, 0);    \
	} while (0)

/* Vol. 2, MOV CR: the combinations that raise #GP(0). */
Test(sys_control, cr0_combinations)
{
	uint64_t cr0;

	g_long_mode(0);
	cr0 = g.e->cpu.cr0;
	EXPECT_GP(0, cr0 | 1ull << 32);
	EXPECT_GP(0, cr0 | CR0_NW);
	EXPECT_GP(0, cr0 & ~CR0_PE);
	EXPECT_GP(0, cr0 & ~CR0_PG); /* in 64-bit mode */
	mov_cr(0, cr0 | CR0_CD | CR0_NW);
	EXPECT_NO_FAULT();
	mov_cr(0, cr0 & ~CR0_ET);
	EXPECT_NO_FAULT();
	cr_expect(g.e->cpu.cr0 & CR0_ET, "ET is hardwired");
	mov_cr(1, 0);
	EXPECT_FAULT(VEC_UD, 0);
	mov_cr(5, 0);
	EXPECT_FAULT(VEC_UD, 0);
}

/* 9.8.5: into long mode: PAE, CR3, EFER.LME, then PG sets LMA; without PAE #GP. */
Test(sys_control, enter_and_leave_long_mode)
{
	struct cpu *c = &g.e->cpu;

	g_protected_mode(0);
	g_fill_pages();
	c->cr3 = G_PML4;
	cr_assert_eq(msr_write(g.e, 0xc0000080, EFER_LME), 0);
	EXPECT_GP(0, c->cr0 | CR0_PG);
	c->cr4 |= CR4_PAE;
	mov_cr(0, c->cr0 | CR0_PG);
	EXPECT_NO_FAULT();
	cr_expect_eq(c->msr.efer, EFER_LME | EFER_LMA);
	cr_expect(g.e->long_mode);
	cr_expect_eq(g.e->code_size, 4, "compatibility mode until a far jump");
	EXPECT_GP(4, c->cr4 & ~CR4_PAE);
	cr_expect_eq(msr_write(g.e, 0xc0000080, 0), -22, "LME cannot change under paging");
	cr_expect_eq(msr_write(g.e, 0xc0000080, EFER_LME | EFER_SCE), 0);
	cr_expect_eq(c->msr.efer & EFER_LMA, EFER_LMA, "LMA is read-only");
	cr_expect_eq(msr_write(g.e, 0xc0000080, EFER_LME | 2), -22, "reserved bit");
	mov_cr(0, c->cr0 & ~CR0_PG);
	EXPECT_NO_FAULT();
	cr_expect_not(c->msr.efer & EFER_LMA);
	cr_expect_not(g.e->long_mode);
}

/* 4.10.1: CR4.PCIDE needs long mode and CR3[11:0] = 0; paging cannot end while it is set. */
Test(sys_control, pcide)
{
	struct cpu *c = &g.e->cpu;

	g_long_mode(0);
	c->cr3 = G_PML4 | 0x18;
	EXPECT_GP(4, c->cr4 | CR4_PCIDE);
	c->cr3 = G_PML4;
	mov_cr(4, c->cr4 | CR4_PCIDE);
	EXPECT_NO_FAULT();
	mov_cr(3, G_PML4 | 5 | 1ull << 63);
	EXPECT_NO_FAULT();
	cr_expect_eq(c->cr3, G_PML4 | 5, "bit 63 is not stored");
	EXPECT_GP(3, G_PML4 | 1ull << EMU_MAXPHYADDR);
	c->cr4 &= ~CR4_PCIDE;
	EXPECT_GP(3, G_PML4 | 1ull << 63);
	g_protected_mode(0);
	c->cr4 = CR4_PAE;
	EXPECT_GP(4, CR4_PAE | CR4_PCIDE);
}

/* 2.5: reserved bits of CR4; CR8 is four bits. */
Test(sys_control, reserved_bits)
{
	g_long_mode(0);
	EXPECT_GP(4, g.e->cpu.cr4 | 1u << 15);
	EXPECT_GP(4, g.e->cpu.cr4 | 1ull << 40);
	EXPECT_GP(8, 16);
	mov_cr(8, 9);
	EXPECT_NO_FAULT();
	cr_expect_eq(lapic_cr8_read(g.e->lapic), 9);
}

/* Vol. 2, LMSW: sets PE, cannot clear it. */
Test(sys_control, lmsw)
{
	g_protected_mode(0);
	g.e->cpu.gpr[RAX] = 0xe;
	CODE(0x0f, 0x01, 0xf0);
	g_try();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.cr0 & 0xf, 0xf);
}

/* Vol. 2, XSETBV and XGETBV. */
Test(sys_control, xcr0)
{
	struct cpu *c = &g.e->cpu;

	g_long_mode(0);
	CODE(0x0f, 0x01, 0xd1, 0x0f, 0x01, 0xd0);
	g_try();
	EXPECT_FAULT(VEC_UD, 0); /* CR4.OSXSAVE clear */
	c->cr4 |= CR4_OSXSAVE;
	c->rip = G_CODE;
	c->gpr[RDX] = 0;
	c->gpr[RAX] = 2;
	g_try();
	EXPECT_FAULT(VEC_GP, 0); /* x87 cannot be off */
	c->rip = G_CODE;
	c->gpr[RAX] = 3;
	g_step();
	EXPECT_NO_FAULT();
	c->gpr[RAX] = c->gpr[RDX] = ~0ull;
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(c->gpr[RAX], 3);
	cr_expect_eq(c->gpr[RDX], 0);
	c->rip = G_CODE;
	c->gpr[RAX] = 1u << 20 | 1;
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
}

/* Vol. 2, INVPCID: types, reserved descriptor bits, privilege; the address by the width of the processor, 57 bits. */
Test(sys_control, invpcid)
{
	static const struct {
		uint64_t type, pcid, address;
		bool pcide, good;
	} cases[] = {
		{ 0, 0, 0x1000, false, true },	{ 0, 0, 1ull << 47, false, true }, { 0, 0, 1ull << 56, false, false },
		{ 0, 1, 0x1000, false, false }, { 0, 1, 0x1000, true, true },	   { 1, 0xfff, 0, true, true },
		{ 1, 0x1000, 0, true, false },	{ 2, 0, 0, false, true },	   { 3, 0, 0, false, true },
		{ 4, 0, 0, true, false },
	};

	for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		g_long_mode(0);
		g.e->cpu.cr4 |= cases[n].pcide ? CR4_PCIDE : 0;
		mmu_mode_changed(g.e);
		g_poke(G_DATA, cases[n].pcid, 8);
		g_poke(G_DATA + 8, cases[n].address, 8);
		g.e->cpu.gpr[RAX] = cases[n].type;
		g.e->cpu.gpr[RBX] = G_DATA;
		CODE(0x66, 0x0f, 0x38, 0x82, 0x03);
		g_try();
		cr_expect_eq(!g.e->fault.pending, cases[n].good, "case %u", n);
	}
}

/* Vol. 2, RDTSC with CR4.TSD; RDTSCP and RDPID read IA32_TSC_AUX; RDPMC has no counters. */
Test(sys_control, time)
{
	uint64_t first;

	g_long_mode(3);
	g.e->cpu.msr.tsc_aux = 0x1007;
	CODE(0x0f, 0x31, 0x0f, 0x01, 0xf9, 0xf3, 0x0f, 0xc7, 0xfb, 0x0f, 0x33);
	g_step();
	first = g.e->cpu.gpr[RAX] | g.e->cpu.gpr[RDX] << 32;
	g_step();
	cr_expect_geq(g.e->cpu.gpr[RAX] | g.e->cpu.gpr[RDX] << 32, first);
	cr_expect_eq(g.e->cpu.gpr[RCX], 0x1007);
	g_step();
	cr_expect_eq(g.e->cpu.gpr[RBX], 0x1007);
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
	g.e->cpu.cr4 |= CR4_TSD;
	g.e->cpu.rip = G_CODE;
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
}

/* Vol. 2, RDRAND: CF set, the other flags clear. */
Test(sys_control, rdrand)
{
	g_long_mode(3);
	emu_flags_set(g.e, RFLAGS_ARITH, RFLAGS_ARITH);
	CODE(0x48, 0x0f, 0xc7, 0xf0, 0x66, 0x0f, 0xc7, 0xf9);
	g_step();
	cr_expect_eq(emu_flags_get(g.e) & RFLAGS_ARITH, RFLAGS_CF);
	g.e->cpu.gpr[RCX] = 0x1122334455667788;
	g_step();
	cr_expect_eq(g.e->cpu.gpr[RCX] >> 16, 0x112233445566, "16 bits");
}

/* SMAP: STAC and CLAC are #UD above CPL 0 (vol. 2). */
Test(sys_control, stac_clac)
{
	g_long_mode(0);
	CODE(0x0f, 0x01, 0xcb, 0x0f, 0x01, 0xca);
	g_step();
	cr_expect(g.e->cpu.rflags & RFLAGS_AC);
	g_step();
	cr_expect_not(g.e->cpu.rflags & RFLAGS_AC);
	g_long_mode(3);
	g.e->cpu.rip = G_CODE;
	g_try();
	EXPECT_FAULT(VEC_UD, 0);
}

Test(sys_control, hlt)
{
	g_long_mode(0);
	CODE(0xf4);
	g_step();
	cr_expect_eq(g.e->cpu.activity, CPU_HALTED);
	cr_expect_eq(g.e->cpu.rip, G_CODE + 1);
	exc_deliver_interrupt(g.e, 0x40);
	cr_expect_eq(g.e->cpu.activity, CPU_RUNNING);
	cr_expect(g_at_handler(0x40));
	g_long_mode(3);
	CODE(0xf4);
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
}

/* ---- debugging: 17.2, 17.3 ---- */

/* 17.3.1.4: the trap comes after the instruction; the instruction that sets TF is not trapped itself. */
Test(sys_control, single_step)
{
	g_long_mode(0);
	g.e->cpu.gpr[RSP] = G_STACK0 - 8;
	g_poke(G_STACK0 - 8, RFLAGS_TF | 2, 8);
	CODE(0x9d, 0x90, 0x90); /* popf; nop; nop */
	g_step();
	cr_expect_eq(g.e->cpu.rip, G_CODE + 1);
	g_step();
	cr_expect(g_at_handler(VEC_DB));
	cr_expect_eq(g.e->cpu.dr[6], 0xffff4ff0);
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), G_CODE + 2);
	cr_expect(g_peek(g.e->cpu.gpr[RSP] + 16, 8) & RFLAGS_TF);
	cr_expect_not(g.e->cpu.rflags & RFLAGS_TF);
}

/* INT n clears TF before the handler: no trap for it. */
Test(sys_control, single_step_int)
{
	g_long_mode(0);
	emu_flags_set(g.e, RFLAGS_TF, RFLAGS_TF);
	CODE(0xcd, 0x80);
	g_step();
	cr_expect(g_at_handler(0x80));
	g_poke(G_HANDLERS + 0x800, 0x90, 1);
	g_step();
	cr_expect_eq(g.e->cpu.rip, G_HANDLERS + 0x801);
}

/* 17.3.1.1: an instruction breakpoint is a fault before the instruction; RF lets it pass once. */
Test(sys_control, instruction_breakpoint)
{
	g_long_mode(0);
	g.e->cpu.dr[0] = G_CODE;
	g.e->cpu.dr[7] = 0x402;
	mmu_mode_changed(g.e);
	CODE(0x90, 0x90);
	g_step();
	cr_expect(g_at_handler(VEC_DB));
	cr_expect_eq(g.e->cpu.dr[6] & 0xf, 1);
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), G_CODE);
	cr_expect_not(g_peek(g.e->cpu.gpr[RSP] + 16, 8) & RFLAGS_RF);
	/* The handler sets RF in the image and returns. */
	g_poke(g.e->cpu.gpr[RSP] + 16, 2 | RFLAGS_RF, 8);
	g_poke(G_HANDLERS + VEC_DB * 16, 0xcf48, 2);
	g_step();
	cr_expect_eq(g.e->cpu.rip, G_CODE);
	cr_expect(g.e->cpu.rflags & RFLAGS_RF);
	g_step();
	cr_expect_eq(g.e->cpu.rip, G_CODE + 1);
	cr_expect_not(g.e->cpu.rflags & RFLAGS_RF, "RF lasts for one instruction");
}

/* 17.2.5, 17.3.1.2: a data breakpoint is a trap after the access, with alignment by length. */
Test(sys_control, data_breakpoint)
{
	g_long_mode(0);
	g.e->cpu.dr[1] = G_DATA + 4;
	g.e->cpu.dr[7] = 0x400 | 1u << 3 | 0xdu << 20; /* G1, writes, 4 bytes */
	g.e->cpu.gpr[RBX] = G_DATA;
	mmu_mode_changed(g.e);
	CODE(0x8b, 0x43, 0x04, 0x88, 0x43, 0x03, 0x88, 0x43, 0x07); /* mov eax,[rbx+4]; mov [rbx+3],al; mov [rbx+7],al */
	g_step();
	cr_expect_eq(g.e->cpu.rip, G_CODE + 3);
	g_step();
	cr_expect_eq(g.e->cpu.rip, G_CODE + 6);
	g_step();
	cr_expect(g_at_handler(VEC_DB));
	cr_expect_eq(g.e->cpu.dr[6] & 0xf, 2);
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), G_CODE + 9);
}

/* 6.8.3: a trap of MOV SS waits until after the next instruction (and is then the kernel's, if that is INT n). */
Test(sys_control, mov_ss_holds_traps)
{
	g_long_mode(0);
	g.e->cpu.dr[0] = G_DATA;
	g.e->cpu.dr[7] = 0x400 | 2 | 0x3u << 16;
	g.e->cpu.gpr[RBX] = G_DATA;
	g_poke(G_DATA, DATA0, 2);
	mmu_mode_changed(g.e);
	CODE(0x8e, 0x13, 0x90); /* mov ss,[rbx]; nop */
	g_step();
	cr_expect_eq(g.e->cpu.rip, G_CODE + 2);
	g_step();
	cr_expect(g_at_handler(VEC_DB));
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), G_CODE + 3);
	cr_expect_eq(g.e->cpu.dr[6] & 0xf, 1);
}

/* 17.2.3: "certain debug exceptions may clear bits 0-3. The remaining contents of the DR6 register are never cleared by the
 * processor." */
Test(sys_control, dr6_tells_about_the_last_exception)
{
	g_long_mode(0);
	g.e->cpu.dr[6] = 0xffff4ff0 | 0xe; /* BS, B1..B3 are stale */
	g.e->cpu.dr[0] = G_CODE;
	g.e->cpu.dr[7] = 0x402;
	mmu_mode_changed(g.e);
	CODE(0x90, 0x90);
	g_step();
	cr_expect(g_at_handler(VEC_DB));
	cr_expect_eq(g.e->cpu.dr[6], 0xffff4ff1, "%#lx", g.e->cpu.dr[6]);
	g.e->cpu.dr[7] = 0x400;
	emu_flags_set(g.e, RFLAGS_TF, RFLAGS_TF);
	CODE(0x90);
	g_step();
	cr_expect(g_at_handler(VEC_DB));
	cr_expect_eq(g.e->cpu.dr[6], 0xffff4ff0, "%#lx", g.e->cpu.dr[6]);
}

/* MOV SS from a watched word, and what follows it. */
static void mov_ss_watched(const uint8_t *next, size_t size)
{
	static const uint8_t mov_ss[] = { 0x8e, 0x13 }; /* mov ss, [rbx] */

	g_long_mode(0);
	g.e->cpu.dr[0] = G_DATA;
	g.e->cpu.dr[6] = 0xffff0ff0;
	g.e->cpu.dr[7] = 0x402 | 3u << 16 | 1u << 18; /* L0, accesses, two bytes */
	g.e->cpu.gpr[RBX] = G_DATA;
	g_poke(G_DATA, DATA0, 2);
	mmu_mode_changed(g.e);
	memcpy(g.ram + G_CODE + 2, next, size);
	g_code(mov_ss, sizeof(mov_ss));
	memset(g.ram + G_HANDLERS, 0x90, 0x1000);
	g_step();
	cr_expect_eq(g.e->cpu.rip, G_CODE + 2);
}

/* INT1 is a debug exception itself: the breakpoint that MOV SS held back (6.8.3) is reported with it, not after it. */
Test(sys_control, mov_ss_then_int1_is_one_exception)
{
	mov_ss_watched((const uint8_t[]){ 0xf1 }, 1);
	g_step();
	cr_expect(g_at_handler(VEC_DB));
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), G_CODE + 3);
	cr_expect_eq(g.e->cpu.dr[6], 0xffff0ff1, "%#lx", g.e->cpu.dr[6]);
	g_step();
	cr_expect_eq(g.e->cpu.rip, G_HANDLERS + VEC_DB * 16 + 1, "a second #DB");
}

/* The same with general detect, which is a fault and so pushes RF set (17.3.1.1). */
Test(sys_control, mov_ss_then_general_detect_is_one_exception)
{
	mov_ss_watched((const uint8_t[]){ 0x0f, 0x21, 0xc0 }, 3); /* mov rax, dr0 */
	g.e->cpu.dr[7] |= 1u << 13;
	g_step();
	cr_expect(g_at_handler(VEC_DB));
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), G_CODE + 2);
	cr_expect(g_peek(g.e->cpu.gpr[RSP] + 16, 8) & RFLAGS_RF);
	cr_expect_eq(g.e->cpu.dr[6], 0xffff2ff1, "%#lx", g.e->cpu.dr[6]);
	g_step();
	cr_expect_eq(g.e->cpu.rip, G_HANDLERS + VEC_DB * 16 + 1, "a second #DB");
}

/* Vol. 2, MOV: "the inhibition ends after delivery of an exception": the trap comes before the handler's first instruction. */
Test(sys_control, mov_ss_then_fault)
{
	mov_ss_watched((const uint8_t[]){ 0x0f, 0x0b }, 2); /* ud2 */
	g_step();
	cr_expect(g_at_handler(VEC_UD));
	g_step();
	cr_expect(g_at_handler(VEC_DB));
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), G_HANDLERS + VEC_UD * 16);
	cr_expect_eq(g.e->cpu.dr[6], 0xffff0ff1, "%#lx", g.e->cpu.dr[6]);
}

/* 17.2.2, 17.2.4, 17.2.3: DR4 and DR5 alias; GD faults before the access and is cleared; fixed bits. */
Test(sys_control, debug_registers)
{
	g_long_mode(0);
	g.e->cpu.gpr[RAX] = 0xffff;
	CODE(0x0f, 0x23, 0xf0, 0x0f, 0x21, 0xe1, 0x0f, 0x23, 0xf8, 0x0f, 0x23, 0xc0); /* dr6=rax; rcx=dr4; dr7=rax; dr0=rax */
	g_step();
	g_step();
	cr_expect_eq(g.e->cpu.gpr[RCX], 0xffffeff0 | 0xf, "bit 12 is zero, bits 4..11 and 16..31 one");
	g.e->cpu.gpr[RAX] = 0x2400;
	g_step();
	cr_expect_eq(g.e->cpu.dr[7], 0x2400);
	g_step();
	cr_expect(g_at_handler(VEC_DB));
	cr_expect(g.e->cpu.dr[6] & 1u << 13);
	cr_expect_not(g.e->cpu.dr[7] & 1u << 13);
	g.e->cpu.cr4 |= CR4_DE;
	g.e->cpu.rip = G_CODE + 3;
	g_try();
	EXPECT_FAULT(VEC_UD, 0);
	g.e->cpu.gpr[RAX] = 1ull << 32;
	g.e->cpu.rip = G_CODE;
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
}

/* SDM vol. 3, 10.4.5: the register page lies where IA32_APIC_BASE says; what was cached of the RAM there is not used. */
Test(sys_control, apic_page_moves_over_cached_ram)
{
	g_long_mode(0);
	g_poke(G_DATA + 0x30, 0x5a, 1);
	g.e->cpu.gpr[RBX] = G_DATA + 0x30; /* the version register, if the page is the APIC's */
	g.e->cpu.gpr[RCX] = 0x1b;
	g.e->cpu.gpr[RDX] = 0;
	g.e->cpu.gpr[RAX] = G_DATA | APIC_BASE_ENABLED | APIC_BASE_BSP;
	CODE(0x8b, 0x3b, 0x0f, 0x30, 0x8b, 0x33); /* mov edi, [rbx]; wrmsr; mov esi, [rbx] */
	g_step();
	g_step();
	g_step();
	cr_expect_eq(g.e->cpu.gpr[RDI], 0x5a);
	cr_expect_eq(g.e->cpu.gpr[RSI], lapic_mmio_read(g.e->lapic, 0x30), "%#lx", g.e->cpu.gpr[RSI]);
	cr_expect_neq(g.e->cpu.gpr[RSI], 0x5a);
}
