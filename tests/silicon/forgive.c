/* SPDX-License-Identifier: MIT */
/* What cannot be compared, and what is not run here at all: each with its reason. */
#include "host.h"
#include "silicon.h"

#include <string.h>

/* enum isa_flag to RFLAGS. */
static uint64_t rflags_of(unsigned flags)
{
	static const uint16_t bits[] = { RFLAGS_CF, RFLAGS_PF, RFLAGS_AF, RFLAGS_ZF, RFLAGS_SF, RFLAGS_OF };
	uint64_t r = 0;

	for (unsigned n = 0; n < 6; n++)
		r |= flags >> n & 1 ? bits[n] : 0;
	return r;
}

/* Outside 64-bit mode the upper halves of registers and R8..R15 are undefined (SDM vol. 1, 3.4.1.1). */
static void forget_upper_halves(struct outcome *o)
{
	for (unsigned n = 0; n < 8; n++)
		o->s.gpr[n] = (uint32_t)o->s.gpr[n];
	memset(o->s.gpr + 8, 0, 8 * sizeof(o->s.gpr[0]));
	memset(o->s.fx.xmm[8], 0, 8 * 16);
	memset(o->s.ymm_high[8], 0, 8 * 16);
	o->s.rip = (uint32_t)o->s.rip;
	o->s.fs_base = o->s.gs_base = 0;
}

/* The kernel hides its own layout: a fault there is always one of protection (arch/x86/mm/fault.c). */
static void hide_kernel(struct outcome *o)
{
	if (o->vector == VEC_PF && o->cr2 >= 0x7ffffffff000)
		o->error |= 1;
	/* The emulated kernel's tables are where a process has nothing. */
	if (o->vector == VEC_PF && o->cr2 < 0x10000)
		o->error &= ~1u;
	if (o->vector != VEC_PF)
		o->cr2 = 0;
}

/* A null selector's RPL does not survive the kernel's IRET to the handler. */
static void forget_null_rpl(struct outcome *o)
{
	for (unsigned n = 0; n < SEG_COUNT; n++)
		o->s.seg[n] = o->s.seg[n] <= 3 ? 0 : o->s.seg[n];
}

static void forget(struct outcome *o, const struct test_case *t)
{
	const struct isa_row *r = &isa_rows[t->row];
	/* RF is set in what a fault pushes, IF is the system's. */
	const uint64_t flags = RFLAGS_ARITH | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID;

	o->s.rflags &= flags & ~rflags_of(r->flags_undefined);
	/* x87 pointers: tests/oracle compares them, where FNSTENV tells more than a signal frame does. */
	o->s.fx.fop = 0;
	o->s.fx.fip = o->s.fx.fdp = 0;
	hide_kernel(o);
	forget_null_rpl(o);
	if (t->code_size != 8)
		forget_upper_halves(o);
}

/* ---- where AMD's processors differ from Intel's, or the SDM leaves a result undefined: not compared on AMD's ---- */

/* SHLD and SHRD of 16-bit operands by more than 16 are undefined; the emulator does what Intel's processors do. */
static bool is_undefined_shift(const struct test_case *t)
{
	const struct isa_row *r = &isa_rows[t->row];
	const uint64_t count = r->op[2].kind == OPK_CL ? t->in.gpr[RCX] : t->i.imm;

	return r->map == ISA_M0F && (r->opcode & 0xf6) == 0xa4 && t->i.size == 2 && (count & 31) > 16;
}

/* 66 before a near branch in 64-bit mode: AMD truncates RIP, Intel ignores it (SDM vol. 2, Jcc; APM vol. 3, 1.2.7). */
static bool is_truncated_branch(const struct test_case *t)
{
	return t->code_size == 8 && (isa_rows[t->row].modes & ISA_MODE_F64) && (t->i.prefixes & PFX_OPSIZE);
}

/* With REX.W a far pointer in memory has 64 bits of offset; AMD's processors ignore it (APM vol. 3, LFS, JMP far). */
static bool is_wide_far_pointer(const struct test_case *t)
{
	return has_size(&isa_rows[t->row], OPS_p) && t->i.size == 8;
}

static bool is_foreign(const struct test_case *t)
{
	/* 0F 0D between registers is #UD, not a NOP. */
	return is_undefined_shift(t) || is_truncated_branch(t) || is_wide_far_pointer(t) || t->row == ISA_NOP_0F0D;
}

static void make_same_fault(const struct outcome *from, struct outcome *to)
{
	to->vector = from->vector;
	to->error = from->error;
	to->cr2 = from->cr2;
}

/*
 * Which of several faults comes first where the SDM does not say. Both operands of CMPS: AMD's begin with ES:rDI. RETF n:
 * AMD's read an outer stack pointer before they know that there is none.
 */
static void forgive_order(const struct test_case *t, struct outcome *a, struct outcome *b)
{
	const bool cmps = t->row == ISA_CMPSB || t->row == ISA_CMPSV;

	if ((cmps || t->row == ISA_RETF_Iw) && a->s.rip == t->in.rip && b->s.rip == t->in.rip)
		make_same_fault(b, a);
}

/* Stores of PUSHA before the one that faults are visible with a processor; the emulator writes all or nothing. */
static void forgive_partial_stores(const struct test_case *t, struct outcome *a, struct outcome *b)
{
	if ((t->row == ISA_PUSHA) && a->vector == VEC_PF && b->vector == VEC_PF)
		a->cr2 = b->cr2;
}

bool forgive(const struct test_case *t, struct outcome *native, struct outcome *emulated)
{
	forget(native, t);
	forget(emulated, t);
	if (!host_is_intel())
		forgive_order(t, native, emulated);
	forgive_partial_stores(t, native, emulated);
	return host_is_intel() || !is_foreign(t);
}

static const struct {
	uint16_t row;
	const char *why;
} elsewhere[] = {
	{ ISA_SYSCALL, "would be a system call of the host: sys_event_test" },
	{ ISA_SYSENTER, "would be a system call of the host: sys_event_test" },
	{ ISA_INT_Ib, "80h is a system call of the host, the rest is up to its IDT: sys_event_test" },
	{ ISA_INT3, "up to the host's IDT: sys_event_test" },
	{ ISA_INTO, "up to the host's IDT: sys_event_test" },
	{ ISA_INT1, "up to the host's IDT: sys_event_test" },
	{ ISA_RDTSC, "time: sys_model_test" },
	{ ISA_RDTSCP, "time: sys_model_test" },
	{ ISA_RDPMC, "up to the host's CR4.PCE: sys_model_test" },
	{ ISA_CPUID, "another model: sys_model_test" },
	{ ISA_RDRAND, "random: sys_model_test" },
	{ ISA_RDSEED, "random: sys_model_test" },
	{ ISA_RDPID, "the host's CPU number: sys_model_test" },
	{ ISA_XGETBV, "the host's XCR0: sys_control_test" },
	{ ISA_SGDT, "UMIP, or the host's tables: sys_segment_test" },
	{ ISA_SIDT, "UMIP, or the host's tables: sys_segment_test" },
	{ ISA_SLDT, "UMIP, or the host's tables: sys_segment_test" },
	{ ISA_STR, "UMIP, or the host's tables: sys_segment_test" },
	{ ISA_SMSW, "UMIP, or the host's CR0: sys_control_test" },
	{ ISA_RDPKRU, "CR4.PKE is up to the host: sys_control_test" },
	{ ISA_WRPKRU, "CR4.PKE is up to the host: sys_control_test" },
};

const char *not_run(unsigned row)
{
	for (unsigned n = 0; n < sizeof(elsewhere) / sizeof(elsewhere[0]); n++) {
		if (elsewhere[n].row == row)
			return elsewhere[n].why;
	}
	return NULL;
}
