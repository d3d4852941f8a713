/* SPDX-License-Identifier: MIT */
/* x87 state instructions in every mode, and what faults leave behind. Arithmetic is proved by tests/silicon. */
#include "flat.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t *window; /* the guest has it at WINDOW */
static struct emu *machine;

#define STEP(...) flat_step(machine, (const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))

/* Always 64-bit code, whose operands can be host addresses; the mode bits of CR0 choose the form of images. */
static struct cpu *setup(unsigned code_size)
{
	machine = flat_machine(CR4_OSFXSR, 0, 0xcc);
	window = flat_window();
	machine->code_size = (uint8_t)code_size;
	STEP(0xdb, 0xe3); /* FNINIT */
	return &machine->cpu;
}

static uint16_t word_at(unsigned offset)
{
	uint16_t v;

	memcpy(&v, window + offset, sizeof(v));
	return v;
}

static uint32_t dword_at(unsigned offset)
{
	uint32_t v;

	memcpy(&v, window + offset, sizeof(v));
	return v;
}

/* SDM vol. 2, FINIT: CW 037f, SW 0, all registers empty. */
Test(x87_state, fninit)
{
	struct cpu *c = setup(8);

	c->fpu.sw = 0xffff;
	c->fpu.tag = 0xff;
	c->fpu.fip = c->fpu.fdp = 1;
	cr_assert_eq(STEP(0xdb, 0xe3), 0);
	cr_assert_eq(c->fpu.cw, 0x37f);
	cr_assert_eq(c->fpu.sw, 0);
	cr_assert_eq(c->fpu.tag, 0);
	cr_assert_eq(c->fpu.fip, 0);
	cr_assert_eq(c->fpu.fdp, 0);
}

/* SDM vol. 3, table 9-1: RESET leaves CW 0040 and all registers +0, tagged "zero". */
Test(x87_state, reset)
{
	struct cpu c;

	memset(&c, 0xff, sizeof(c));
	cpu_reset_fpu(&c);
	cr_assert_eq(c.fpu.cw, 0x40);
	cr_assert_eq(c.fpu.sw, 0);
	cr_assert_eq(c.fpu.tag, 0xff);
	cr_assert_eq(c.fpu.r[3].sig, 0);
	cr_assert_eq(c.mxcsr, 0x1f80);
}

/* SDM vol. 1, figure 8-9: protected mode, 32 bits; afterwards all exceptions are masked. */
Test(x87_state, fnstenv_32_protected)
{
	struct cpu *c = setup(8);

	c->fpu.cw = 0x340;
	c->fpu.sw = 0x3800;
	c->fpu.tag = 0x80; /* physical register 7, which is ST0: valid */
	c->fpu.r[7] = (struct x87_reg){ .sig = 1ull << 63, .se = 0x3fff };
	c->fpu.fip = 0x123456789abc;
	c->fpu.fop = 0x5a5;
	c->fpu.fdp = 0xfedcba98;
	cr_assert_eq(STEP(0xd9, 0x36), 0);
	cr_assert_eq(word_at(0), 0x340);
	cr_assert_eq(word_at(4), 0x3800);
	cr_assert_eq(word_at(8), 0x3fff, "register 7 valid, the others empty");
	cr_assert_eq(dword_at(12), 0x56789abc);
	cr_assert_eq(dword_at(16), 0x05a50000, "FCS is zero (CPUID.7.EBX[13]), FOP above it");
	cr_assert_eq(dword_at(20), 0xfedcba98);
	cr_assert_eq(word_at(24), 0);
	cr_assert_eq(window[28], 0xcc, "28 bytes");
	cr_assert_eq(c->fpu.cw, 0x37f);
}

/* SDM vol. 1, figure 8-11: protected mode, 16 bits. */
Test(x87_state, fnstenv_16_protected)
{
	struct cpu *c = setup(8);

	c->fpu.fip = 0x12345678;
	c->fpu.fdp = 0xfedcba98;
	cr_assert_eq(STEP(0x66, 0xd9, 0x36), 0);
	cr_assert_eq(word_at(4), 0xffff);
	cr_assert_eq(word_at(6), 0x5678);
	cr_assert_eq(word_at(8), 0);
	cr_assert_eq(word_at(10), 0xba98);
	cr_assert_eq(window[14], 0xcc, "14 bytes");
}

/* SDM vol. 1, figure 8-10 and 8-12: real mode keeps pointer bits above 15 beside the opcode. */
Test(x87_state, fnstenv_real)
{
	struct cpu *c = setup(8);

	c->cr0 = CR0_NE;
	c->fpu.fip = 0xabcd1234;
	c->fpu.fop = 0x7ff;
	c->fpu.fdp = 0x00056789;
	cr_assert_eq(STEP(0xd9, 0x36), 0);
	cr_assert_eq(dword_at(12) & 0xffff, 0x1234);
	cr_assert_eq(dword_at(16), 0x0abcd7ff);
	cr_assert_eq(dword_at(20) & 0xffff, 0x6789);
	cr_assert_eq(dword_at(24), 0x00005000);

	memset(window, 0xcc, WINDOW_BYTES);
	cr_assert_eq(STEP(0x66, 0xd9, 0x36), 0);
	cr_assert_eq(word_at(6), 0x1234);
	cr_assert_eq(word_at(8), 0xd7ff, "FIP 19..16 in bits 15..12");
	cr_assert_eq(word_at(10), 0x6789);
	cr_assert_eq(word_at(12), 0x5000);
}

Test(x87_state, fldenv_real_round_trip)
{
	struct cpu *c = setup(8);

	c->cr0 = CR0_NE;
	c->fpu.fip = 0xabcd1234;
	c->fpu.fop = 0x7ff;
	c->fpu.fdp = 0x00056789;
	STEP(0xd9, 0x36);
	STEP(0xdb, 0xe3);
	cr_assert_eq(STEP(0xd9, 0x26), 0);
	cr_assert_eq(c->fpu.fip, 0xabcd1234);
	cr_assert_eq(c->fpu.fop, 0x7ff);
	cr_assert_eq(c->fpu.fdp, 0x00056789);
}

/* FLDENV that loads an unmasked exception flag makes it pending (SDM vol. 2, FLDENV). */
Test(x87_state, fldenv_makes_pending)
{
	struct cpu *c = setup(8);

	memset(window, 0, 28);
	window[0] = 0x7e; /* IM clear */
	window[1] = 0x03;
	window[4] = 0x01; /* IE */
	cr_assert_eq(STEP(0xd9, 0x26), 0);
	cr_assert_eq(c->fpu.sw & 0x8080, 0x8080);
	cr_assert_eq(STEP(0xd9, 0xd0), EMU_STOP, "FNOP waits");
	cr_assert_eq(machine->fault.vector, VEC_MF);
	cr_assert_eq(STEP(0xdf, 0xe0), 0, "FNSTSW AX does not");
	cr_assert_eq(STEP(0x9b), EMU_STOP, "FWAIT does");
	cr_assert_eq(STEP(0xdb, 0xe2), 0, "FNCLEX ends it");
	cr_assert_eq(STEP(0x9b), 0);
}

/* SDM vol. 3, table 2-2: WAIT is #NM only with both MP and TS. */
Test(x87_state, fwait_nm)
{
	struct cpu *c = setup(8);

	c->cr0 |= CR0_TS;
	cr_assert_eq(STEP(0x9b), 0);
	c->cr0 |= CR0_MP;
	cr_assert_eq(STEP(0x9b), EMU_STOP);
	cr_assert_eq(machine->fault.vector, VEC_NM);
}

/* A store that faults does not pop and raises no flag. */
Test(x87_state, faulting_store)
{
	struct cpu *c = setup(8);
	uint16_t sw;

	STEP(0xd9, 0xeb); /* FLDPI */
	c->gpr[RSI] = 0x1000;
	sw = c->fpu.sw;
	cr_assert_eq(STEP(0xd9, 0x1e), EMU_STOP, "FSTP m32: inexact, and not mapped");
	cr_assert_eq(machine->fault.vector, VEC_PF);
	cr_assert_eq(c->fpu.sw, sw);
	cr_assert_eq(STEP(0xdb, 0x3e), EMU_STOP, "FSTP m80");
	cr_assert_eq(STEP(0xdd, 0x36), EMU_STOP, "FNSAVE");
	cr_assert_eq(c->fpu.tag, 0x80, "not initialised");
}

/* SDM vol. 1, 8.5.1.1: stack overflow sets IE, SF and C1, and with IM set pushes the indefinite. */
Test(x87_state, stack_overflow)
{
	struct cpu *c = setup(8);

	for (int n = 0; n < 8; n++)
		cr_assert_eq(STEP(0xd9, 0xe8), 0); /* FLD1 */
	cr_assert_eq(c->fpu.sw & 0x7f, 0);
	STEP(0xd9, 0xe8);
	cr_assert_eq(c->fpu.sw & 0x241, 0x241);
	cr_assert_eq(c->fpu.r[7].sig, 0xc000000000000000);
	cr_assert_eq(c->fpu.r[7].se, 0xffff);
}

/* SDM vol. 3, 12.2: MMX writes set TOP 0, all tags valid, exponent ffff; EMMS empties. */
Test(x87_state, mmx_aliasing)
{
	struct cpu *c = setup(8);

	STEP(0xd9, 0xe8);
	c->gpr[RAX] = 0x12345678;
	cr_assert_eq(STEP(0x0f, 0x6e, 0xd8), 0); /* MOVD MM3, EAX */
	cr_assert_eq(c->fpu.sw & 0x3800, 0);
	cr_assert_eq(c->fpu.tag, 0xff);
	cr_assert_eq(c->fpu.r[3].se, 0xffff);
	cr_assert_eq(c->fpu.r[3].sig, 0x12345678);
	cr_assert_eq(STEP(0x0f, 0x77), 0);
	cr_assert_eq(c->fpu.tag, 0);
}

/* What the emulator's own code has computed under its own masks is no exception of a guest that unmasks all of them. */
Test(x87_state, host_flags_are_not_the_guests)
{
	struct cpu *c = setup(8);
	volatile long double third = 1;

	STEP(0xd9, 0xe8); /* FLD1 */
	c->fpu.cw = 0x340;
	third = third / 3;		   /* inexact */
	cr_assert_eq(STEP(0xd8, 0xc0), 0); /* FADD ST0, ST0 */
	cr_assert_eq(c->fpu.sw & 0xff, 0);
	cr_assert_eq(c->fpu.r[7].se, 0x4000);
}

/*
 * SDM vol. 1, 8.1.8: FIP is that of the last non-control instruction; with CPUID.7.EBX[6], FDP is updated by those only
 * that incur an unmasked exception. 8.1.9.1: FOP likewise. Not all hosts can be asked (tests/host/points.def).
 */
Test(x87_state, pointers_without_exception)
{
	struct cpu *c = setup(8);

	c->fpu.fop = 0x123;
	c->fpu.fdp = 0x5678;
	cr_assert_eq(STEP(0xd9, 0xe8), 0); /* FLD1 */
	cr_assert_eq(c->fpu.fip, HARNESS_CODE);
	memset(window, 0, 8);
	cr_assert_eq(STEP(0xdc, 0x36), 0); /* FDIV m64: by zero, masked */
	cr_assert_eq(c->fpu.sw & 0x84, 0x04);
	cr_assert_eq(c->fpu.fop, 0x123);
	cr_assert_eq(c->fpu.fdp, 0x5678);
}

Test(x87_state, pointers_with_exception)
{
	struct cpu *c = setup(8);

	memset(window, 0, 8);
	c->fpu.fdp = 0x5678;
	c->fpu.cw = 0x37b; /* ZM clear */
	cr_assert_eq(STEP(0xd9, 0xe8), 0);
	cr_assert_eq(STEP(0xdc, 0x36), 0);
	cr_assert_eq(c->fpu.sw & 0x84, 0x84);
	cr_assert_eq(c->fpu.fop, 0x436, "DC 36 without the five bits that all have");
	cr_assert_eq(c->fpu.fdp, WINDOW);
}

/* SDM vol. 1, 8.1.8: FINIT and its like apart, control instructions leave the pointers alone. */
Test(x87_state, pointers_and_control_instructions)
{
	static const uint8_t control[][2] = { { 0xdb, 0xe2 }, { 0xd9, 0x3e }, { 0xdd, 0x3e },
					      { 0xd9, 0x2e }, { 0xd9, 0x36 }, { 0xdf, 0xe0 } };
	struct cpu *c = setup(8);

	c->fpu.fip = 1;
	c->fpu.fop = 2;
	c->fpu.fdp = 3;
	for (unsigned n = 0; n < sizeof(control) / sizeof(control[0]); n++) {
		cr_assert_eq(STEP(control[n][0], control[n][1]), 0);
		cr_assert(c->fpu.fip == 1 && c->fpu.fop == 2 && c->fpu.fdp == 3, "%02x %02x", control[n][0], control[n][1]);
	}
}

/* SDM vol. 1, 10.5.1.1: FXSAVE stores the pointers whether an exception is pending or not, and FXRSTOR loads them. */
Test(x87_state, fxsave_keeps_pointers)
{
	struct cpu *c = setup(8);

	c->fpu.fop = 0x5a5;
	c->fpu.fip = 0x123456789abc;
	c->fpu.fdp = 0xfedcba987654;
	cr_assert_eq(STEP(0x48, 0x0f, 0xae, 0x06), 0);
	cr_assert_eq(memcmp(window + 8, &c->fpu.fip, 8), 0);
	STEP(0xdb, 0xe3);
	cr_assert_eq(c->fpu.fop, 0);
	cr_assert_eq(STEP(0x48, 0x0f, 0xae, 0x0e), 0);
	cr_assert_eq(c->fpu.fop, 0x5a5);
	cr_assert_eq(c->fpu.fip, 0x123456789abc);
	cr_assert_eq(c->fpu.fdp, 0xfedcba987654);
}
