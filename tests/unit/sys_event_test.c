/* SPDX-License-Identifier: MIT */
/* Exceptions, interrupts, IRET, shadows, SYSCALL: sections are those of the SDM, volume 3, unless noted. */
#include "sys_guest.h"

TestSuite(sys_event, .init = g_create, .fini = g_destroy);

/* ---- delivery in 64-bit mode: 6.14 ---- */

/* 6.14.2: SS:RSP is pushed unconditionally and RSP is aligned to 16 bytes; 17.3.1.1: a fault pushes RF = 1. */
Test(sys_event, long_mode_same_level)
{
	g_long_mode(0);
	g.e->cpu.gpr[RSP] = G_STACK0 - 3;
	emu_flags_set(g.e, RFLAGS_IF | RFLAGS_CF, RFLAGS_IF | RFLAGS_CF);
	CODE(0x0f, 0x0b); /* ud2 */
	g_step();
	cr_expect(g_at_handler(VEC_UD));
	cr_expect_eq(g.e->cpu.gpr[RSP], ((G_STACK0 - 3) & ~15) - 40);
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), G_CODE);
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP] + 8, 8), CODE64);
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP] + 16, 8), RFLAGS_IF | RFLAGS_CF | RFLAGS_RF | 2);
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP] + 24, 8), G_STACK0 - 3);
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP] + 32, 8), DATA0);
	cr_expect_not(g.e->cpu.rflags & (RFLAGS_IF | RFLAGS_RF), "an interrupt gate clears IF");
	cr_expect_eq(g.e->cpu.seg[SEG_SS].selector, DATA0, "same privilege: SS stays");
}

/* 6.14.4: to an inner level SS becomes null with the new CPL as RPL, RSP comes from the TSS. */
Test(sys_event, long_mode_inner_level)
{
	g_long_mode(3);
	CODE(0x0f, 0x0b);
	g_step();
	cr_expect(g_at_handler(VEC_UD));
	cr_expect_eq(g.e->cpl, 0);
	cr_expect_eq(g.e->cpu.seg[SEG_SS].selector, 0);
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK0 - 40);
	cr_expect_eq(g_peek(G_STACK0 - 8, 8), USER_DATA | 3);
	cr_expect_eq(g_peek(G_STACK0 - 16, 8), G_STACK3);
	/* ... and IRETQ goes back. */
	g_poke(G_HANDLERS + VEC_UD * 16, 0xcf48, 2);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpl, 3);
	cr_expect_eq(g.e->cpu.rip, G_CODE);
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK3);
	cr_expect_eq(g.e->cpu.seg[SEG_SS].selector, USER_DATA | 3);
}

/* 6.14.5: IST replaces the stack even without a change of privilege. */
Test(sys_event, interrupt_stack_table)
{
	g_long_mode(0);
	g_gate64(VEC_GP, CODE64, G_HANDLERS + VEC_GP * 16, 0x8e, 1);
	CODE(0xb9, 0x45, 0x23, 0x01, 0x00, 0x0f, 0x32); /* mov ecx, 0x12345; rdmsr */
	g_step();
	g_step();
	cr_expect(g_at_handler(VEC_GP));
	cr_expect_eq(g.e->cpu.gpr[RSP], G_IST1 - 48);
	cr_expect_eq(g_peek(G_IST1 - 48, 8), 0, "error code");
}

/* 6.13: EXT is set when an exception is met while delivering an exception, clear for INT n. */
Test(sys_event, error_code_ext)
{
	g_long_mode(0);
	g_gate64(VEC_UD, CODE64, G_HANDLERS, 0x0e, 0); /* not present */
	CODE(0x0f, 0x0b);
	g_step();
	cr_expect(g_at_handler(VEC_NP));
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), VEC_UD * 8 + 2 + 1);
	CODE(0xcd, 0x06); /* int 6 */
	g_step();
	cr_expect(g_at_handler(VEC_NP));
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), VEC_UD * 8 + 2);
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP] + 8, 8), G_CODE, "the return address is that of INT");
}

/* 6.12.1.2: INT n, INT3 and INTO check the gate's DPL, INT1 does not. */
Test(sys_event, software_interrupt_dpl)
{
	g_long_mode(3);
	CODE(0xcd, 0x20);
	g_try();
	EXPECT_FAULT(VEC_GP, 0x20 * 8 + 2);
	CODE(0xcd, 0x80);
	g_step();
	cr_expect(g_at_handler(0x80));
	cr_expect_eq(g_peek(G_STACK0 - 40, 8), G_CODE + 2);
	g_long_mode(3);
	CODE(0xf1);
	g_step();
	cr_expect(g_at_handler(VEC_DB));
	cr_expect_eq(g_peek(G_STACK0 - 40, 8), G_CODE + 1);
}

/* 6.15, "Double Fault": #GP while delivering #GP; error code zero. Then shutdown with the registers of the fault. */
Test(sys_event, double_and_triple_fault)
{
	g_long_mode(0);
	g_gate64(VEC_GP, NOT_PRESENT, G_HANDLERS, 0x8e, 0);
	CODE(0xb9, 0x45, 0x23, 0x01, 0x00, 0x0f, 0x32);
	g_step();
	g_step();
	cr_expect(g_at_handler(VEC_DF));
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), 0);
	g_long_mode(0);
	g_gate64(VEC_GP, NOT_PRESENT, G_HANDLERS, 0x8e, 0);
	g_gate64(VEC_DF, NOT_PRESENT, G_HANDLERS, 0x8e, 0);
	CODE(0xb9, 0x45, 0x23, 0x01, 0x00, 0x0f, 0x32);
	g_step();
	g_step();
	cr_expect_eq(g.e->cpu.activity, CPU_SHUTDOWN);
	cr_expect_eq(g.e->cpu.rip, G_CODE + 5);
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK0);
	cr_expect_eq(g.e->cpu.gpr[RCX], 0x12345);
}

/* ---- IRET ---- */

static void push64(uint64_t v)
{
	g.e->cpu.gpr[RSP] -= 8;
	g_poke(g.e->cpu.gpr[RSP], v, 8);
}

static void iretq_frame(uint64_t ss, uint64_t rsp, uint64_t flags, uint64_t cs, uint64_t rip)
{
	g.e->cpu.gpr[RSP] = G_STACK0;
	push64(ss);
	push64(rsp);
	push64(flags);
	push64(cs);
	push64(rip);
	CODE(0x48, 0xcf);
}

/* 64-bit IRET always pops SS:RSP, also to the same level; a null SS is good there (vol. 2, IRET). */
Test(sys_event, iretq_same_level)
{
	g_long_mode(0);
	iretq_frame(0, G_STACK0 - 0x100, 0x246, CODE64, G_DATA);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK0 - 0x100);
	cr_expect_eq(g.e->cpu.rip, G_DATA);
	cr_expect_eq(emu_flags_get(g.e), 0x246);
	g_long_mode(0);
	iretq_frame(3, G_STACK0, 0x2, CODE64, G_DATA);
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
	iretq_frame(0, G_STACK0, 0x2, USER_CODE64 | 3, G_DATA);
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
}

/* A non-canonical RIP faults before the privilege changes; RSP is not loaded. */
Test(sys_event, iretq_non_canonical)
{
	g_long_mode(0);
	iretq_frame(USER_DATA | 3, G_STACK3, 0x2, USER_CODE64 | 3, 0x0000800000000000);
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
	cr_expect_eq(g.e->cpl, 0);
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK0 - 40);
	cr_expect_eq(g.e->cpu.rip, G_CODE);
}

/* NT in IA-32e mode is #GP(0). */
Test(sys_event, iretq_nested_task)
{
	g_long_mode(0);
	iretq_frame(DATA0, G_STACK0, 0x2, CODE64, G_DATA);
	emu_flags_set(g.e, RFLAGS_NT, RFLAGS_NT);
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
}

/* ---- segments that an outer level may not keep: "SegmentSelector := 0" of vol. 2, IRET and RET ---- */

/* All of a kernel's: DS, ES privileged, FS privileged with a base of its own, GS null but for RPL, with a base. */
static void kernel_segments(void)
{
	g.e->cpu.seg[SEG_DS] = g_segment(DATA0);
	g.e->cpu.seg[SEG_ES] = g_segment(USER_DATA | 3);
	g.e->cpu.seg[SEG_FS] = g_segment(DATA0);
	g.e->cpu.seg[SEG_FS].base = 0x123456789;
	g.e->cpu.seg[SEG_GS] = segment_null(2, 0);
	g.e->cpu.seg[SEG_GS].base = 0x987654321;
	mmu_mode_changed(g.e);
}

/* The selector, and what an access by way of it says, 64-bit code aside. */
static void expect_revoked(unsigned seg)
{
	cr_expect_eq(g.e->cpu.seg[seg].selector, 0, "segment %u: %#x", seg, g.e->cpu.seg[seg].selector);
	cr_expect(g.e->cpu.seg[seg].attr & SEG_ATTR_UNUSABLE, "segment %u", seg);
}

static void expect_segments_revoked(void)
{
	EXPECT_NO_FAULT();
	expect_revoked(SEG_DS);
	expect_revoked(SEG_FS);
	expect_revoked(SEG_GS); /* "IF (SegmentSelector == NULL) OR ..." */
	cr_expect_eq(g.e->cpu.seg[SEG_ES].selector, USER_DATA | 3);
	cr_expect_not(g.e->cpu.seg[SEG_ES].attr & SEG_ATTR_UNUSABLE);
}

/* In 64-bit mode the hidden bases of FS and GS are all that counts (vol. 3, 3.4.4), and they stay. */
static void expect_bases(void)
{
	cr_expect_eq(g.e->cpu.seg[SEG_FS].base, 0x123456789);
	cr_expect_eq(g.e->seg_base[SEG_FS], 0x123456789);
	cr_expect_eq(g.e->cpu.seg[SEG_GS].base, 0x987654321);
	cr_expect_eq(g.e->seg_base[SEG_GS], 0x987654321);
}

Test(sys_event, iretq_revokes_segments)
{
	g_long_mode(0);
	kernel_segments();
	iretq_frame(USER_DATA | 3, G_STACK3, 0x2, USER_CODE64 | 3, G_DATA);
	g_step();
	expect_segments_revoked();
	expect_bases();
	CODE(0xf3, 0x48, 0x0f, 0xae, 0xc0); /* rdfsbase rax */
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.gpr[RAX], 0x123456789);
}

Test(sys_event, retfq_revokes_segments)
{
	g_long_mode(0);
	kernel_segments();
	push64(USER_DATA | 3);
	push64(G_STACK3);
	push64(USER_CODE64 | 3);
	push64(G_DATA);
	CODE(0x48, 0xcb);
	g_step();
	expect_segments_revoked();
	expect_bases();
}

/* A level that is not left keeps all. */
Test(sys_event, iretq_to_the_same_level_revokes_nothing)
{
	g_long_mode(0);
	kernel_segments();
	iretq_frame(DATA0, G_STACK0, 0x2, CODE64, G_DATA);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.seg[SEG_DS].selector, DATA0);
	cr_expect_eq(g.e->cpu.seg[SEG_GS].selector, 2);
	expect_bases();
}

static void push32(uint32_t v)
{
	g.e->cpu.gpr[RSP] -= 4;
	g_poke(g.e->cpu.gpr[RSP], v, 4);
}

/* 32-bit forms: an access by way of what was revoked is #GP(0), as with any null selector (vol. 3, 5.4.1). */
static void revoked_in_32bit(unsigned opcode)
{
	g_protected_mode(0);
	kernel_segments();
	push32(USER_DATA | 3);
	push32(G_STACK3);
	if (opcode == 0xcf)
		push32(2);
	push32(USER_CODE32 | 3);
	push32(G_DATA);
	g_poke(G_CODE, opcode, 1);
	g_step();
	expect_segments_revoked();
	g_poke(G_DATA, 0x00a064, 3); /* mov al, fs:[0] */
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
}

Test(sys_event, iretd_revokes_segments)
{
	revoked_in_32bit(0xcf);
}

Test(sys_event, retfd_revokes_segments)
{
	revoked_in_32bit(0xcb);
}

/* Conforming code has no privilege to lose; other code has (vol. 2, IRET). */
Test(sys_event, iretq_revokes_code_segments)
{
	g_long_mode(0);
	g.e->cpu.seg[SEG_ES] = g_segment(CONFORMING);
	g.e->cpu.seg[SEG_DS] = g_segment(CODE32);
	iretq_frame(USER_DATA | 3, G_STACK3, 0x2, USER_CODE64 | 3, G_DATA);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.seg[SEG_ES].selector, CONFORMING);
	expect_revoked(SEG_DS);
}

/* To a 16-bit stack segment only SP is loaded: bits 31..16 of ESP keep the kernel's value ("espfix"). */
Test(sys_event, iretq_to_16bit_stack)
{
	g_long_mode(0);
	iretq_frame(DATA16 | 3, 0x1234, 0x2, USER_CODE32 | 3, G_DATA);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->code_size, 4);
	cr_expect_eq(g.e->stack_size, 2);
	cr_expect_eq(g.e->cpu.gpr[RSP], (G_STACK0 & ~0xffff) == ((G_STACK0 - 40) & ~0xffff)
						? (uint64_t)((G_STACK0 & ~0xffff) | 0x1234)
						: (uint64_t)(((G_STACK0 - 40) & ~0xffff) | 0x1234));
}

/* Vol. 1, 3.4.3: at CPL 3 with IOPL 0, IRET changes neither IF nor IOPL. */
Test(sys_event, iret_flag_privileges)
{
	g_long_mode(3);
	emu_flags_set(g.e, RFLAGS_IF, RFLAGS_IF);
	push64(USER_DATA | 3);
	push64(G_STACK3);
	push64(0x3002);
	push64(USER_CODE64 | 3);
	push64(G_DATA);
	CODE(0x48, 0xcf);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(emu_flags_get(g.e), RFLAGS_IF | 2);
}

/* ---- 32-bit protected mode and virtual-8086 mode: chapter 20 ---- */

static void enter_v86(uint64_t extra_flags)
{
	static const uint16_t selectors[6] = { 0x100, 0x1000, 0x3000, 0x200, 0x300, 0x400 };

	g_protected_mode(0);
	emu_flags_set(g.e, RFLAGS_VM | RFLAGS_IF | RFLAGS_IOPL, RFLAGS_VM | RFLAGS_IF | extra_flags);
	for (unsigned n = 0; n < SEG_COUNT; n++)
		g.e->cpu.seg[n] = segment_real(g.e, &g.e->cpu.seg[n], selectors[n]);
	g.e->cpu.gpr[RSP] = 0x800;
	mmu_mode_changed(g.e);
	g.e->cpu.rip = 0;
}

Test(sys_event, protected_inner_level)
{
	g_protected_mode(3);
	CODE(0x0f, 0x0b);
	g_step();
	cr_expect(g_at_handler(VEC_UD));
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK0 - 20);
	cr_expect_eq(g_peek(G_STACK0 - 4, 4), USER_DATA | 3);
	cr_expect_eq(g_peek(G_STACK0 - 8, 4), G_STACK3);
	cr_expect_eq(g_peek(G_STACK0 - 16, 4), USER_CODE32 | 3);
	cr_expect_eq(g.e->cpu.seg[SEG_SS].selector, DATA0);
	g_poke(G_HANDLERS + VEC_UD * 16, 0xcf, 1);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpl, 3);
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK3);
}

/* IRET to the same level in 32-bit mode does not pop SS:ESP. */
Test(sys_event, iretd_same_level)
{
	g_protected_mode(0);
	g_poke(G_STACK0 - 12, G_DATA, 4);
	g_poke(G_STACK0 - 8, CODE32, 4);
	g_poke(G_STACK0 - 4, 0x46, 4);
	g.e->cpu.gpr[RSP] = G_STACK0 - 12;
	CODE(0xcf);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK0);
	cr_expect_eq(g.e->cpu.rip, G_DATA);
}

/* 20.3.1: out of virtual-8086 mode GS, FS, DS, ES are pushed, then loaded with null; 20.2.5: IRET goes back in. */
Test(sys_event, v86_round_trip)
{
	enter_v86(0);
	g_poke(0x10000, 0x0b0f, 2);
	g_step();
	cr_expect(g_at_handler(VEC_UD));
	cr_expect_not(g.e->cpu.rflags & RFLAGS_VM);
	cr_expect_eq(g.e->cpl, 0);
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK0 - 36);
	cr_expect_eq(g_peek(G_STACK0 - 4, 4), 0x400);
	cr_expect_eq(g_peek(G_STACK0 - 16, 4), 0x100, "ES");
	cr_expect_eq(g_peek(G_STACK0 - 20, 4), 0x3000, "SS");
	cr_expect_eq(g_peek(G_STACK0 - 24, 4), 0x800, "ESP");
	cr_expect(g_peek(G_STACK0 - 28, 4) & RFLAGS_VM);
	cr_expect_eq(g.e->cpu.seg[SEG_DS].selector, 0);
	g_poke(G_HANDLERS + VEC_UD * 16, 0xcf, 1);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect(g.e->cpu.rflags & RFLAGS_VM);
	cr_expect_eq(g.e->cpl, 3);
	cr_expect_eq(g.e->cpu.seg[SEG_GS].base, 0x4000);
	cr_expect_eq(g.e->cpu.seg[SEG_CS].base, 0x10000);
	cr_expect_eq(g.e->cpu.rip, 0);
	cr_expect_eq(g.e->cpu.gpr[RSP], 0x800);
}

/* Table 20-2: with IOPL < 3 and no VME, INT n, CLI, STI, PUSHF, POPF, IRET raise #GP(0); INT3 does not. */
Test(sys_event, v86_iopl_sensitive)
{
	static const uint8_t sensitive[] = { 0xfa, 0xfb, 0x9c, 0x9d, 0xcf };

	for (unsigned n = 0; n < sizeof(sensitive); n++) {
		enter_v86(0);
		g_poke(0x10000, sensitive[n], 1);
		g_try();
		EXPECT_FAULT(VEC_GP, 0);
	}
	enter_v86(0);
	g_poke(0x10000, 0x80cd, 2);
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
	enter_v86(0);
	g_poke(0x10000, 0xcc, 1);
	g_step();
	cr_expect(g_at_handler(VEC_BP));
}

/* 20.3.3: VME with IOPL < 3: CLI, STI work on VIF; INT n goes to the program when its redirection bit is clear. */
Test(sys_event, v86_vme)
{
	enter_v86(0);
	g.e->cpu.cr4 |= CR4_VME;
	g_poke(0x10000, 0xfbfa, 2);
	emu_flags_set(g.e, RFLAGS_VIF, RFLAGS_VIF);
	g_step();
	cr_expect_not(g.e->cpu.rflags & RFLAGS_VIF);
	cr_expect(g.e->cpu.rflags & RFLAGS_IF);
	g_step();
	cr_expect(g.e->cpu.rflags & RFLAGS_VIF);
	g_poke(0x80 * 4, 0x20000056, 4);
	g_poke(0x10002, 0x80cd, 2);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.rip, 0x56);
	cr_expect_eq(g.e->cpu.seg[SEG_CS].selector, 0x2000);
	cr_expect_eq(g_peek(0x30000 + 0x7fe, 2) & (RFLAGS_IF | RFLAGS_IOPL), RFLAGS_IF | RFLAGS_IOPL, "IF is VIF, IOPL 3");
	cr_expect_not(g.e->cpu.rflags & RFLAGS_VIF);
	g_poke(G_TSS + 0x88 - 32 + 0x80 / 8, 1, 1); /* redirection bit set: a protected mode interrupt, IOPL < 3 */
	g_poke(0x20056, 0x80cd, 2);
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
}

/* Vol. 2, INT n, real mode: FLAGS, CS, IP of 16 bits; IF, TF, AC cleared. */
Test(sys_event, real_mode_interrupt)
{
	struct cpu *c = &g.e->cpu;

	c->seg[SEG_CS] = (struct segment){ .base = 0x10000, .selector = 0x1000, .limit = 0xffff, .attr = 0x9b };
	c->rip = 0;
	c->gpr[RSP] = 0x8000;
	c->idtr = (struct dtable){ .limit = 0x3ff };
	emu_flags_set(g.e, RFLAGS_IF, RFLAGS_IF);
	mmu_mode_changed(g.e);
	g_poke(0x21 * 4, 0x20000034, 4);
	g_poke(0x10000, 0x21cd, 2);
	g_poke(0x20034, 0xcf, 1);
	g_step();
	cr_expect_eq(c->rip, 0x34);
	cr_expect_eq(c->seg[SEG_CS].base, 0x20000);
	cr_expect_eq(c->gpr[RSP], 0x7ffa);
	cr_expect_eq(g_peek(0x7ffa, 2), 2);
	cr_expect_eq(g_peek(0x7ffc, 2), 0x1000);
	cr_expect_not(c->rflags & RFLAGS_IF);
	g_step();
	cr_expect_eq(c->rip, 2);
	cr_expect_eq(c->seg[SEG_CS].base, 0x10000);
	cr_expect(c->rflags & RFLAGS_IF);
	cr_expect_eq(c->gpr[RSP], 0x8000);
}

/* ---- NMI and shadows: 6.7.1, 6.8.3 ---- */

Test(sys_event, nmi_blocking)
{
	g_long_mode(0);
	g_code("\x90", 1);
	exc_deliver_nmi(g.e);
	cr_expect(g_at_handler(VEC_NMI));
	cr_expect(g.e->cpu.nmi_blocked);
	g_poke(G_HANDLERS + VEC_NMI * 16, 0xcf48, 2);
	g_step();
	cr_expect_not(g.e->cpu.nmi_blocked, "until the next IRET");
	cr_expect_eq(g.e->cpu.rip, G_CODE);
}

/* Vol. 2, STI: interrupts stay blocked for one more instruction, only if IF was clear. */
Test(sys_event, sti_shadow)
{
	g_long_mode(0);
	CODE(0xfb, 0x90, 0xfb);
	g_step();
	cr_expect_eq(g.e->cpu.shadow, SHADOW_STI);
	g_step();
	cr_expect_eq(g.e->cpu.shadow, 0);
	g_step();
	cr_expect_eq(g.e->cpu.shadow, 0, "IF was set already");
}

/* 6.8.3: MOV SS shields one instruction; the second of two in a row does not shield again. */
Test(sys_event, mov_ss_shadow)
{
	g_long_mode(0);
	g.e->cpu.gpr[RAX] = DATA0;
	CODE(0x8e, 0xd0, 0x8e, 0xd0, 0x90);
	g_step();
	cr_expect_eq(g.e->cpu.shadow, SHADOW_MOV_SS);
	g_step();
	cr_expect_eq(g.e->cpu.shadow, 0);
}

/* Delivery takes the shadow away. */
Test(sys_event, shadow_ends_with_fault)
{
	g_long_mode(0);
	CODE(0xfb, 0x0f, 0x0b);
	g_step();
	g_step();
	cr_expect(g_at_handler(VEC_UD));
	cr_expect_eq(g.e->cpu.shadow, 0);
}

/* ---- SYSCALL, SYSRET, SYSENTER, SYSEXIT: vol. 2 ---- */

static void syscall_msrs(void)
{
	g.e->cpu.msr.star = (uint64_t)(USER_CODE32 | 3) << 48 | (uint64_t)CODE64 << 32;
	g.e->cpu.msr.lstar = G_HANDLERS;
	g.e->cpu.msr.sfmask = 0x47700;
}

Test(sys_event, syscall_sysret)
{
	g_long_mode(3);
	syscall_msrs();
	emu_flags_set(g.e, RFLAGS_IF | RFLAGS_DF | RFLAGS_CF, RFLAGS_IF | RFLAGS_DF | RFLAGS_CF);
	CODE(0x0f, 0x05);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.rip, G_HANDLERS);
	cr_expect_eq(g.e->cpu.gpr[RCX], G_CODE + 2);
	cr_expect_eq(g.e->cpu.gpr[R11], RFLAGS_IF | RFLAGS_DF | RFLAGS_CF | 2);
	cr_expect_eq(emu_flags_get(g.e), RFLAGS_CF | 2, "IA32_FMASK clears IF and DF");
	cr_expect_eq(g.e->cpl, 0);
	cr_expect_eq(g.e->cpu.seg[SEG_CS].selector, CODE64);
	cr_expect_eq(g.e->cpu.seg[SEG_SS].selector, CODE64 + 8);
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK3, "RSP is not touched");
	g_poke(G_HANDLERS, 0x070f48, 3);
	g.e->cpu.gpr[R11] |= RFLAGS_RF | RFLAGS_VM;
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.rip, G_CODE + 2);
	cr_expect_eq(g.e->cpl, 3);
	cr_expect_eq(g.e->code_size, 8);
	cr_expect_eq(g.e->cpu.seg[SEG_CS].selector, USER_CODE64 | 3);
	cr_expect_eq(g.e->cpu.seg[SEG_SS].selector, USER_DATA | 3);
	cr_expect_eq(emu_flags_get(g.e), RFLAGS_IF | RFLAGS_DF | RFLAGS_CF | 2, "RF and VM are cleared");
}

/* A non-canonical RCX raises #GP(0) with CPL still 0 (Intel). */
Test(sys_event, sysret_canonical_edge)
{
	g_long_mode(0);
	syscall_msrs();
	CODE(0x48, 0x0f, 0x07);
	g.e->cpu.gpr[RCX] = 0x0000800000000000;
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
	cr_expect_eq(g.e->cpl, 0);
	g.e->cpu.rip = G_CODE;
	g.e->cpu.gpr[RCX] = 0x00007fffffffffff;
	g_try();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.rip, 0x00007fffffffffff);
}

/* SYSRET without REX.W returns to compatibility mode with EIP = ECX. */
Test(sys_event, sysretl)
{
	g_long_mode(0);
	syscall_msrs();
	CODE(0x0f, 0x07);
	g.e->cpu.gpr[RCX] = 0xfff0000800012345;
	g.e->cpu.gpr[R11] = 2;
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpu.rip, 0x00012345);
	cr_expect_eq(g.e->code_size, 4);
	cr_expect_eq(g.e->cpu.seg[SEG_CS].selector, USER_CODE32 | 3);
}

Test(sys_event, syscall_needs_sce)
{
	g_long_mode(3);
	g.e->cpu.msr.efer &= ~EFER_SCE;
	CODE(0x0f, 0x05);
	g_try();
	EXPECT_FAULT(VEC_UD, 0);
}

Test(sys_event, sysenter_sysexit)
{
	g_protected_mode(3);
	CODE(0x0f, 0x34);
	g_try();
	EXPECT_FAULT(VEC_GP, 0); /* IA32_SYSENTER_CS is null */
	g.e->cpu.rip = G_CODE;
	g.e->cpu.msr.sysenter_cs = CODE32;
	g.e->cpu.msr.sysenter_esp = G_STACK0;
	g.e->cpu.msr.sysenter_eip = G_HANDLERS;
	g_poke(G_HANDLERS, 0x350f, 2);
	g_try();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpl, 0);
	cr_expect_eq(g.e->cpu.gpr[RSP], G_STACK0);
	g.e->cpu.gpr[RDX] = G_DATA;
	g.e->cpu.gpr[RCX] = G_STACK3;
	g_try();
	EXPECT_NO_FAULT();
	cr_expect_eq(g.e->cpl, 3);
	cr_expect_eq(g.e->cpu.rip, G_DATA);
	cr_expect_eq(g.e->cpu.seg[SEG_CS].selector, (CODE32 + 16) | 3);
	cr_expect_eq(g.e->cpu.seg[SEG_SS].selector, (CODE32 + 24) | 3);
}

/* ---- POPF, CLI: vol. 2 ---- */

Test(sys_event, popf_privileges)
{
	g_long_mode(3);
	emu_flags_set(g.e, RFLAGS_IF, RFLAGS_IF);
	push64(RFLAGS_IOPL | RFLAGS_NT | RFLAGS_ID | RFLAGS_ZF | RFLAGS_VM | RFLAGS_RF);
	CODE(0x9d);
	g_step();
	EXPECT_NO_FAULT();
	cr_expect_eq(emu_flags_get(g.e), RFLAGS_IF | RFLAGS_NT | RFLAGS_ID | RFLAGS_ZF | 2);
	CODE(0xfa);
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
	CODE(0x9c);
	g_step();
	cr_expect_eq(g_peek(g.e->cpu.gpr[RSP], 8), RFLAGS_IF | RFLAGS_NT | RFLAGS_ID | RFLAGS_ZF | 2);
}

/* CR4.PVI: CLI and STI at CPL 3 work on VIF (20.4). */
Test(sys_event, protected_virtual_interrupts)
{
	g_protected_mode(3);
	g.e->cpu.cr4 |= CR4_PVI;
	CODE(0xfb, 0xfa, 0xfb);
	g_step();
	cr_expect(g.e->cpu.rflags & RFLAGS_VIF);
	g_step();
	cr_expect_not(g.e->cpu.rflags & RFLAGS_VIF);
	emu_flags_set(g.e, RFLAGS_VIP, RFLAGS_VIP);
	g_try();
	EXPECT_FAULT(VEC_GP, 0);
}
