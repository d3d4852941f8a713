/* SPDX-License-Identifier: MIT */
/* Descriptor-table registers: LGDT, LIDT, LLDT, LTR and their stores, with UMIP. */
#include "internal.h"

#include <string.h>

/* UMIP: the stores that reveal supervisor addresses are for CPL 0 (SDM vol. 3, 2.5). */
static bool umip_blocks(const struct emu *e)
{
	return (e->cpu.cr4 & CR4_UMIP) && e->cpl > 0;
}

static int store_table(struct emu *e, const struct insn *i, const struct dtable *t)
{
	unsigned base_size = e->code_size == 8 ? 8 : 4;
	uint8_t image[10];

	if (umip_blocks(e))
		return emu_gp0(e);
	memcpy(image, &t->limit, 2);
	memcpy(image + 2, &t->base, 8);
	return emu_store(e, i, image, 2 + base_size);
}

static bool is_16bit_operand(const struct emu *e, const struct insn *i)
{
	return (e->code_size == 2) != ((i->prefixes & PFX_OPSIZE) != 0);
}

static int load_table(struct emu *e, const struct insn *i, struct dtable *t)
{
	unsigned base_size = e->code_size == 8 ? 8 : 4;
	uint8_t image[10] = { 0 };
	struct dtable loaded;

	if (e->cpl > 0)
		return emu_gp0(e);
	if (emu_load(e, i, image, 2 + base_size))
		return EMU_STOP;
	memcpy(&loaded.limit, image, 2);
	memcpy(&loaded.base, image + 2, 8);
	/* With a 16-bit operand size only 24 bits of the base are loaded (SDM vol. 2, LGDT). */
	if (e->code_size != 8 && is_16bit_operand(e, i))
		loaded.base &= 0xffffff;
	if (e->code_size == 8 && !sys_canonical_register(e, loaded.base))
		return emu_gp0(e);
	*t = loaded;
	return 0;
}

int sem_sgdt(struct emu *e, const struct insn *i)
{
	return store_table(e, i, &e->cpu.gdtr);
}

int sem_sidt(struct emu *e, const struct insn *i)
{
	return store_table(e, i, &e->cpu.idtr);
}

int sem_lgdt(struct emu *e, const struct insn *i)
{
	return load_table(e, i, &e->cpu.gdtr) ? EMU_STOP : sys_serialized(e, i);
}

int sem_lidt(struct emu *e, const struct insn *i)
{
	return load_table(e, i, &e->cpu.idtr) ? EMU_STOP : sys_serialized(e, i);
}

/* SLDT, STR: 16 bits to memory, zero-extended to a register of the operand size. */
static int store_selector(struct emu *e, const struct insn *i, uint16_t selector)
{
	if (umip_blocks(e))
		return emu_gp0(e);
	return sys_write_rm(e, i, i->is_mem ? 2 : i->size, selector);
}

int sem_sldt(struct emu *e, const struct insn *i)
{
	return store_selector(e, i, e->cpu.ldtr.selector);
}

int sem_str(struct emu *e, const struct insn *i)
{
	return store_selector(e, i, e->cpu.tr.selector);
}

/* The GDT descriptor that LLDT or LTR names, 16 bytes of it in long mode; its base must be canonical there. */
static int read_system_desc(struct emu *e, uint16_t selector, struct desc *d)
{
	if (selector & 4)
		return emu_fault_code(e, VEC_GP, selector & ~3u);
	return desc_read(e, selector, VEC_GP, d);
}

static int check_system_high(struct emu *e, uint16_t selector, struct desc *d)
{
	if (!e->long_mode)
		return 0;
	if (desc_read_high(e, selector, VEC_GP, d))
		return EMU_STOP;
	if (!sys_canonical_register(e, desc_system_segment(d, selector).base) || (d->raw_hi >> 40 & 0x1f))
		return emu_fault_code(e, VEC_GP, selector & ~3u);
	return 0;
}

int sem_lldt(struct emu *e, const struct insn *i)
{
	uint64_t value;
	uint16_t selector;
	struct desc d;

	if (e->cpl > 0)
		return emu_gp0(e);
	if (sys_read_rm(e, i, 2, &value))
		return EMU_STOP;
	selector = (uint16_t)value;
	if (selector_is_null(selector)) {
		e->cpu.ldtr = segment_null(selector, 0);
		return sys_serialized(e, i);
	}
	if (read_system_desc(e, selector, &d))
		return EMU_STOP;
	if (desc_has(&d, SEG_ATTR_S) || desc_type(&d) != DESC_LDT)
		return emu_fault_code(e, VEC_GP, selector & ~3u);
	if (!desc_has(&d, SEG_ATTR_P))
		return emu_fault_code(e, VEC_NP, selector & ~3u);
	if (check_system_high(e, selector, &d))
		return EMU_STOP;
	e->cpu.ldtr = desc_system_segment(&d, selector);
	return sys_serialized(e, i);
}

int sem_ltr(struct emu *e, const struct insn *i)
{
	uint64_t value;
	uint16_t selector;
	struct desc d;

	if (e->cpl > 0)
		return emu_gp0(e);
	if (sys_read_rm(e, i, 2, &value))
		return EMU_STOP;
	selector = (uint16_t)value;
	if (selector_is_null(selector))
		return emu_gp0(e);
	if (read_system_desc(e, selector, &d))
		return EMU_STOP;
	if (desc_has(&d, SEG_ATTR_S) || (desc_type(&d) != DESC_TSS32 && (e->long_mode || desc_type(&d) != DESC_TSS16)))
		return emu_fault_code(e, VEC_GP, selector & ~3u);
	if (!desc_has(&d, SEG_ATTR_P))
		return emu_fault_code(e, VEC_NP, selector & ~3u);
	if (check_system_high(e, selector, &d))
		return EMU_STOP;
	/* Busy in memory and in the register, locked: two processors may load the same one. */
	if (emu_sys_set_bits32(e, d.linear + 4, 1u << 9, 0))
		return EMU_STOP;
	d.raw |= 1ull << 41;
	e->cpu.tr = desc_system_segment(&d, selector);
	return sys_serialized(e, i);
}
