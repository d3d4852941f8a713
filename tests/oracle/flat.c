/* SPDX-License-Identifier: MIT */
/*
 * A flat machine for semantics that need no paging: decoder and semantic functions, linear addresses that
 * are host addresses, two areas of memory. It stands in for the functions of run/ and mmu/ that
 * semantics call.
 */
#include "flat.h"

#include "emu/core/machine.h"
#include "emu/decode/decode.h"
#include "emu/isa/coverage.h"
#include "emu/mmu/mmu.h"

#include <string.h>

uint8_t *oracle_window, *oracle_code;

/* A translation cache that never hits. */
static struct tlb empty_tlb;

uint64_t emu_flags_get(struct emu *e)
{
	return e->cpu.rflags;
}

void emu_flags_set(struct emu *e, uint64_t mask, uint64_t value)
{
	e->cpu.rflags = (e->cpu.rflags & ~mask) | (value & mask);
}

uint64_t emu_rip(const struct emu *e, const struct insn *i)
{
	return e->cpu.rip;
}

/* There are no modes and no translations. */
void mmu_mode_changed(struct emu *e)
{
}

int emu_fault(struct emu *e, enum vector vector)
{
	e->fault = (struct fault){ .pending = true, .vector = (uint8_t)vector };
	return EMU_STOP;
}

int emu_fault_code(struct emu *e, enum vector vector, uint32_t error)
{
	e->fault = (struct fault){ .pending = true, .vector = (uint8_t)vector, .has_error = true, .error = error };
	return EMU_STOP;
}

uint64_t emu_ea(const struct emu *e, const struct insn *i)
{
	return emu_address_register(e, i->base) + (emu_address_register(e, i->index) << i->scale) + (uint64_t)(int64_t)i->disp;
}

int emu_linear(struct emu *e, const struct insn *i, unsigned size, bool write, uint64_t *linear)
{
	*linear = emu_ea(e, i);
	return 0;
}

int emu_seg_linear(struct emu *e, unsigned seg, uint64_t offset, unsigned size, bool write, uint64_t *linear)
{
	*linear = offset;
	return 0;
}

static bool inside(uint64_t linear, unsigned size, const uint8_t *area, unsigned bytes)
{
	return linear >= (uintptr_t)area && linear + size <= (uintptr_t)area + bytes;
}

int emu_read(struct emu *e, unsigned seg, uint64_t linear, void *data, unsigned size)
{
	if (!inside(linear, size, oracle_window, WINDOW_BYTES) && !inside(linear, size, oracle_code, CODE_BYTES))
		return emu_fault_code(e, VEC_PF, 4);
	memcpy(data, (const void *)(uintptr_t)linear, size);
	return 0;
}

int emu_probe_write(struct emu *e, unsigned seg, uint64_t linear, unsigned size)
{
	return inside(linear, size, oracle_window, WINDOW_BYTES) ? 0 : emu_fault_code(e, VEC_PF, 6);
}

int emu_write(struct emu *e, unsigned seg, uint64_t linear, const void *data, unsigned size)
{
	if (emu_probe_write(e, seg, linear, size))
		return EMU_STOP;
	memcpy((void *)(uintptr_t)linear, data, size);
	return 0;
}

int emu_load(struct emu *e, const struct insn *i, void *data, unsigned size)
{
	return emu_read(e, i->seg, emu_ea(e, i), data, size);
}

int emu_store(struct emu *e, const struct insn *i, const void *data, unsigned size)
{
	return emu_write(e, i->seg, emu_ea(e, i), data, size);
}

/* The checks that the row's attributes ask for (isa.h); CR0.NE is set here, so a pending exception is #MF. */
static int check_attributes(struct emu *e, const struct isa_row *r)
{
	if ((r->attr & (ISA_FP | ISA_MMXX)) && !(r->attr & ISA_FPNW) && (e->cpu.fpu.sw & 0x80))
		return emu_fault(e, VEC_MF);
	return 0;
}

/* A machine that has everything. */
static struct machine *everything(void)
{
	static struct machine m;

	memset(&m.features, 0xff, sizeof(m.features));
	memset(m.isa_features, 0xff, sizeof(m.isa_features));
	return &m;
}

int flat_step(struct emu *e, const uint8_t *code, unsigned length)
{
	struct insn i;

	memset(&e->fault, 0, sizeof(e->fault));
	if (decode(code, length, e->code_size, &i) != DECODE_OK || i.len != length)
		return emu_ud(e);
	e->cpu.rip = (uintptr_t)oracle_code;
	if (!e->machine)
		e->machine = everything();
	e->tlb = &empty_tlb;
	e->tlb_mask = UINT64_MAX;
	for (unsigned n = 0; n < TLB_ENTRIES && empty_tlb.e[n].r == 0; n++)
		empty_tlb.e[n].r = empty_tlb.e[n].w = TAG_INVALID;
	if (check_attributes(e, &isa_rows[i.id]))
		return EMU_STOP;
	isa_cover(i.id);
	return isa_rows[i.id].sem ? isa_rows[i.id].sem(e, &i) : emu_ud(e);
}
