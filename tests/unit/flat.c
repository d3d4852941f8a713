/* SPDX-License-Identifier: MIT */
#include "flat.h"

#include "emu/decode/decode.h"
#include "emu/sem/sem.h"

#include <string.h>

static struct harness h;
static struct cpu pristine;

uint8_t *flat_window(void)
{
	return h.ram + WINDOW;
}

static void begin(void)
{
	harness_init(&h, HARNESS_LONG, HARNESS_STEP);
	decode_init(NULL, NULL); /* all rows, whatever CPUID offers */
	*harness_pte(&h, WINDOW + WINDOW_BYTES) = 0;
	*harness_pte(&h, 0x1000) = 0;
	harness_sync(&h);
	pristine = *h.cpu;
}

struct emu *flat_machine(uint64_t cr4, uint64_t xcr0, uint8_t fill)
{
	if (!h.engine)
		begin();
	*h.cpu = pristine;
	h.cpu->cr0 = CR0_PE | CR0_NE;
	h.cpu->cr4 = cr4;
	h.cpu->xcr0 = xcr0;
	h.cpu->gpr[RSI] = h.cpu->gpr[RDI] = WINDOW;
	cpu_reset_fpu(h.cpu);
	h.emu->code_size = 8;
	memset(&h.emu->fault, 0, sizeof(h.emu->fault));
	memset(flat_window(), fill, WINDOW_BYTES);
	return h.emu;
}

int flat_step(struct emu *e, const uint8_t *code, unsigned length)
{
	struct insn i;

	memset(&e->fault, 0, sizeof(e->fault));
	if (decode(code, length, e->code_size, &i) != DECODE_OK || i.len != length)
		return emu_ud(e);
	memcpy(h.ram + HARNESS_CODE, code, length); /* FOP is read from there */
	e->cpu.rip = e->pc = HARNESS_CODE;
	return insn_execute(e, &i);
}
