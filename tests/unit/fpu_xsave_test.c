/* SPDX-License-Identifier: MIT */
/* FXSAVE and the XSAVE family: layout, header rules, initial states, faults (SDM vol. 1, 10.5 and chapter 13). */
#include "flat.h"
#include "emu/sem/fp/fp.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t *window; /* the guest has it at WINDOW */
static struct emu *machine;

#define STEP(...) flat_step(machine, (const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))
#define FXSAVE STEP(0x0f, 0xae, 0x06)
#define XSAVE STEP(0x0f, 0xae, 0x26)
#define XRSTOR STEP(0x0f, 0xae, 0x2e)
#define XSAVEOPT STEP(0x0f, 0xae, 0x36)
#define XSAVEC STEP(0x0f, 0xc7, 0x26)
#define XRSTORS STEP(0x0f, 0xc7, 0x1e)
#define LEGACY 512

static struct cpu *setup(void)
{
	machine = flat_machine(CR4_OSFXSR | CR4_OSXSAVE, 7, 0xcc);
	window = flat_window();
	memset(window + LEGACY, 0, 64);
	machine->cpu.gpr[RAX] = machine->cpu.gpr[RDX] = UINT64_MAX;
	STEP(0xdb, 0xe3);
	return &machine->cpu;
}

static uint64_t qword_at(unsigned offset)
{
	uint64_t v;

	memcpy(&v, window + offset, sizeof(v));
	return v;
}

static void put_qword(unsigned offset, uint64_t v)
{
	memcpy(window + offset, &v, sizeof(v));
}

#define ASSERT_FAULT(expr, vec)                                                                                   \
	do {                                                                                                      \
		cr_assert_eq((expr), EMU_STOP);                                                                   \
		cr_assert_eq(machine->fault.vector, (vec));                                                        \
	} while (0)

/* SDM vol. 1, 13.4: legacy region and header are 576 bytes; AVX would stand behind them. */
Test(fpu_xsave, sizes)
{
	cr_assert_eq(xsave_size(1, false), 576);
	cr_assert_eq(xsave_size(3, false), 576);
	cr_assert_eq(xsave_size(3, true), 576);
	cr_assert_eq(xsave_size(7, false), 832);
	cr_assert_eq(xsave_size(7, true), 832);
	/* Standard places as processors with MPX and AVX-512 report them; compacted, one behind the other. */
	cr_assert_eq(xsave_size(0xe7, false), 1664 + 1024);
	cr_assert_eq(xsave_size(0xe7, true), 832 + 64 + 512 + 1024);
}

/* SDM vol. 2, FXSAVE: the operand is m512byte, though the last bytes are software's. */
Test(fpu_xsave, fxsave_needs_all_bytes)
{
	struct cpu *c = setup();

	c->gpr[RSI] += WINDOW_BYTES - 448;
	ASSERT_FAULT(FXSAVE, VEC_PF);
	cr_assert_eq(window[WINDOW_BYTES - 448], 0xcc);
	c->gpr[RSI] -= 64;
	cr_assert_eq(FXSAVE, 0);
}

/* SDM vol. 1, 10.5.1: outside 64-bit mode XMM8..15 are not written; bytes 464..511 belong to software. */
Test(fpu_xsave, fxsave_32bit_mode)
{
	struct cpu *c = setup();

	c->vec[7].u64[0] = 0x1111;
	c->vec[8].u64[0] = 0x2222;
	machine->code_size = 4;
	cr_assert_eq(FXSAVE, 0);
	cr_assert_eq(qword_at(160 + 7 * 16), 0x1111);
	cr_assert_eq(qword_at(160 + 8 * 16), 0xcccccccccccccccc);
	cr_assert_eq(qword_at(464), 0xcccccccccccccccc);
	cr_assert_eq(qword_at(24), 0xffff00001f80, "MXCSR and MXCSR_MASK");
}

Test(fpu_xsave, fxsave_faults)
{
	struct cpu *c = setup();

	c->cr0 |= CR0_TS;
	ASSERT_FAULT(FXSAVE, VEC_NM);
	c->cr0 = CR0_PE | CR0_EM;
	ASSERT_FAULT(FXSAVE, VEC_NM);
	c->cr0 = CR0_PE;
	c->gpr[RSI] += 8;
	ASSERT_FAULT(FXSAVE, VEC_GP);
}

Test(fpu_xsave, xsave_faults)
{
	struct cpu *c = setup();

	c->cr4 &= ~CR4_OSXSAVE;
	c->cr0 |= CR0_TS;
	ASSERT_FAULT(XSAVE, VEC_UD);
	c->cr4 |= CR4_OSXSAVE;
	ASSERT_FAULT(XSAVE, VEC_NM);
	c->cr0 &= ~CR0_TS;
	c->gpr[RSI] += 16;
	ASSERT_FAULT(XSAVE, VEC_GP);
}

/* SDM vol. 1, 13.6: XSTATE_BV reports XINUSE for requested components and keeps the others. */
Test(fpu_xsave, xstate_bv_is_in_use)
{
	struct cpu *c = setup();

	put_qword(LEGACY, 0x2);
	c->gpr[RAX] = 1;
	c->gpr[RDX] = 0;
	cr_assert_eq(XSAVE, 0);
	cr_assert_eq(qword_at(LEGACY), 0x2, "x87 is in its initial state, SSE was not asked for");
	c->gpr[RAX] = 3;
	c->vec[15].u64[1] = 1;
	cr_assert_eq(XSAVE, 0);
	cr_assert_eq(qword_at(LEGACY), 0x2);
	cr_assert_eq(qword_at(LEGACY + 8), 0, "XSAVE does not write XCOMP_BV");
}

/* SDM vol. 1, 13.9: XSAVEOPT leaves the memory of components in initial state alone, but MXCSR is written. */
Test(fpu_xsave, xsaveopt_skips_initial)
{
	setup();
	cr_assert_eq(XSAVEOPT, 0);
	cr_assert_eq(qword_at(LEGACY), 0);
	cr_assert_eq(qword_at(0), 0xcccccccccccccccc);
	cr_assert_eq(qword_at(160), 0xcccccccccccccccc);
	cr_assert_eq(qword_at(24), 0xffff00001f80);
}

/* SDM vol. 1, 13.10: XCOMP_BV is RFBM with bit 63; an MXCSR that is not 1F80 puts SSE in use. */
Test(fpu_xsave, xsavec_header)
{
	struct cpu *c = setup();

	cr_assert_eq(XSAVEC, 0);
	cr_assert_eq(qword_at(LEGACY), 0);
	cr_assert_eq(qword_at(LEGACY + 8), 0x8000000000000000 | 7);
	cr_assert_eq(qword_at(24), 0xcccccccccccccccc, "MXCSR goes with SSE in the compacted form");
	c->mxcsr = 0x1fa0;
	cr_assert_eq(XSAVEC, 0);
	cr_assert_eq(qword_at(LEGACY), 2);
	cr_assert_eq(qword_at(24), 0xffff00001fa0);
}

/* SDM vol. 1, 13.8.1: the standard form loads MXCSR even if SSE itself is initialised. */
Test(fpu_xsave, xrstor_standard_mxcsr)
{
	struct cpu *c = setup();

	c->vec[0].u64[0] = 7;
	put_qword(24, 0x1f00);
	cr_assert_eq(XRSTOR, 0);
	cr_assert_eq(c->vec[0].u64[0], 0);
	cr_assert_eq(c->mxcsr, 0x1f00);
	put_qword(24, 0x10000);
	ASSERT_FAULT(XRSTOR, VEC_GP);
}

/* SDM vol. 1, 13.8.2: the compacted form initialises it with SSE. */
Test(fpu_xsave, xrstor_compacted_mxcsr)
{
	struct cpu *c = setup();

	c->mxcsr = 0x1f00;
	put_qword(24, UINT64_MAX);
	put_qword(LEGACY + 8, 0x8000000000000003);
	cr_assert_eq(XRSTOR, 0);
	cr_assert_eq(c->mxcsr, 0x1f80);
}

/* SDM vol. 1, 13.8: what makes the header #GP. */
Test(fpu_xsave, xrstor_header_faults)
{
	static const struct {
		uint64_t bv, comp;
		unsigned reserved;
	} bad[] = {
		{ 0x100, 0, 0 },	      /* component not in XCR0 */
		{ 0, 3, 0 },		      /* XCOMP_BV without bit 63 */
		{ 0, 0, LEGACY + 16 },	      /* bytes 23:16 */
		{ 2, 0x8000000000000001, 0 }, /* XSTATE_BV beyond XCOMP_BV */
		{ 0, 0x8000000000000100, 0 }, /* XCOMP_BV beyond XCR0 */
		{ 0, 0x8000000000000003, LEGACY + 56 },
	};

	setup();
	put_qword(24, 0x1f80);
	for (unsigned n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
		memset(window + LEGACY, 0, 64);
		put_qword(LEGACY, bad[n].bv);
		put_qword(LEGACY + 8, bad[n].comp);
		if (bad[n].reserved)
			put_qword(bad[n].reserved, 1);
		ASSERT_FAULT(XRSTOR, VEC_GP);
	}
	memset(window + LEGACY, 0, 64);
	put_qword(LEGACY + 56, 1);
	cr_assert_eq(XRSTOR, 0, "the standard form does not look at bytes 63:24");
	memset(window + LEGACY, 0, 64);
	ASSERT_FAULT(XRSTORS, VEC_GP);
}

/* The x87 component's initial state is FNINIT with empty, zero registers (SDM vol. 1, 13.6). */
Test(fpu_xsave, xrstor_initialises_x87)
{
	struct cpu *c = setup();

	STEP(0xd9, 0xeb);
	put_qword(24, 0x1f80);
	cr_assert_eq(XRSTOR, 0);
	cr_assert_eq(c->fpu.tag, 0);
	cr_assert_eq(c->fpu.cw, 0x37f);
	cr_assert_eq(c->fpu.r[7].sig, 0);
}

/* A page fault in the middle leaves the area as it was. */
Test(fpu_xsave, xsave_fault_writes_nothing)
{
	struct cpu *c = setup();

	c->gpr[RSI] = WINDOW + 512; /* the header would lie beyond the window */
	STEP(0xd9, 0xeb);
	memset(window + 512, 0xcc, 512);
	ASSERT_FAULT(XSAVE, VEC_PF);
	cr_assert_eq(qword_at(512), 0xcccccccccccccccc);
}

/* SDM vol. 1, 13.4.3, 13.7 to 13.10: the upper halves of YMM0..15 stand at 576 in both forms. */
Test(fpu_xsave, avx_component_comes_back)
{
	struct cpu *c = setup();
	union vec saved[16];

	for (unsigned n = 0; n < 16; n++)
		for (unsigned k = 0; k < 32; k++)
			c->vec[n].u8[k] = (uint8_t)(16 * n + k);
	memcpy(saved, c->vec, sizeof(saved));
	cr_assert_eq(XSAVE, 0);
	cr_assert_eq(window[LEGACY] & 4, 4);
	cr_assert_arr_eq(window + 576 + 3 * 16, saved[3].u8 + 16, 16);
	memset(c->vec, 0, sizeof(saved));
	cr_assert_eq(XRSTOR, 0);
	cr_assert_arr_eq(c->vec, saved, sizeof(saved));
	cr_assert_eq(XSAVEC, 0);
	cr_assert_arr_eq(window + 576 + 15 * 16, saved[15].u8 + 16, 16);
	window[LEGACY] &= (uint8_t)~4; /* initial state: zeroes in the registers, whatever the area says */
	cr_assert_eq(XRSTOR, 0);
	cr_assert_eq(c->vec[3].u64[0], saved[3].u64[0]);
	cr_assert_eq(c->vec[3].u64[2], 0);
}
/* SDM vol. 1, 13.4.3: in the compacted form a component follows those before it that XCOMP_BV names. */
Test(fpu_xsave, pkru_component_comes_back)
{
	struct cpu *c = setup();

	c->xcr0 = 0x207;
	c->gpr[RDX] = 0;
	c->gpr[RAX] = 0x200;
	c->pkru = 0x5555aaaa;
	cr_assert_eq(XSAVEC, 0);
	cr_assert_eq(qword_at(LEGACY), 0x200);
	cr_assert_eq(qword_at(LEGACY + 8), 0x8000000000000200);
	cr_assert_eq(qword_at(576), 0x5555aaaa);
	c->gpr[RAX] = 0x204;
	c->pkru = 0x12345678;
	cr_assert_eq(XSAVEC, 0);
	cr_assert_eq(qword_at(576 + 256), 0x12345678);
	c->pkru = 0;
	cr_assert_eq(XRSTOR, 0);
	cr_assert_eq(c->pkru, 0x12345678);
	window[LEGACY + 1] = 0; /* initial state */
	cr_assert_eq(XRSTOR, 0);
	cr_assert_eq(c->pkru, 0);
}
