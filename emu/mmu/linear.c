/* SPDX-License-Identifier: MIT */
/* Effective and linear addresses, with the segment checks of the modes that have them (SDM vol. 3, 5.3 to 5.5). */
#include "internal.h"
#include "emu/core/gpr.h"

uint64_t emu_ea(const struct emu *e, const struct insn *i)
{
	uint64_t ea =
		emu_address_register(e, i->base) + (emu_address_register(e, i->index) << i->scale) + (uint64_t)(int64_t)i->disp;

	if (UNLIKELY(i->base == ADDR_PC && i->scale == INSN_DISP_FROM_END))
		ea += (uint64_t)i->off + i->len;
	return truncate_to(ea, i->asize);
}

static int segment_fault(struct emu *e, unsigned seg)
{
	return emu_fault_code(e, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
}

static bool within_limit(const struct segment *s, uint64_t offset, unsigned size)
{
	uint64_t last = offset + size - 1;
	bool expand_down = (s->attr & (SEG_ATTR_S | SEG_ATTR_CODE | SEG_ATTR_DC)) == (SEG_ATTR_S | SEG_ATTR_DC);

	if (!expand_down)
		return last <= s->limit;
	return offset > s->limit && last <= (s->attr & SEG_ATTR_DB ? UINT32_MAX : 0xffff);
}

int emu_seg_linear(struct emu *e, unsigned seg, uint64_t offset, unsigned size, bool write, uint64_t *linear)
{
	const struct segment *s = &e->cpu.seg[seg];
	bool protected = (e->cpu.cr0 & CR0_PE) && !(e->cpu.rflags & RFLAGS_VM);

	if (e->code_size == 8) {
		*linear = offset + e->seg_base[seg];
		return 0;
	}
	if (protected) {
		if (s->attr & SEG_ATTR_UNUSABLE)
			return segment_fault(e, seg);
		if (write && ((s->attr & SEG_ATTR_CODE) || !(s->attr & SEG_ATTR_RW)))
			return emu_gp0(e);
		if (!write && (s->attr & SEG_ATTR_CODE) && !(s->attr & SEG_ATTR_RW))
			return emu_gp0(e);
	}
	if (!within_limit(s, offset, size))
		return segment_fault(e, seg);
	*linear = (uint32_t)(offset + s->base);
	return 0;
}

int emu_linear(struct emu *e, const struct insn *i, unsigned size, bool write, uint64_t *linear)
{
	if (e->code_size == 8) {
		*linear = emu_ea(e, i) + e->seg_base[i->seg];
		return 0;
	}
	return emu_seg_linear(e, i->seg, emu_ea(e, i), size, write, linear);
}

int emu_load(struct emu *e, const struct insn *i, void *data, unsigned size)
{
	uint64_t linear;

	if (emu_linear(e, i, size, false, &linear))
		return EMU_STOP;
	return emu_read(e, i->seg, linear, data, size);
}

int emu_store(struct emu *e, const struct insn *i, const void *data, unsigned size)
{
	uint64_t linear;

	if (emu_linear(e, i, size, true, &linear))
		return EMU_STOP;
	return emu_write(e, i->seg, linear, data, size);
}
