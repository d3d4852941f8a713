/* SPDX-License-Identifier: MIT */
/* Operands of integer instructions: registers, memory, immediates; read-modify-write; the stack. */
#include "operand.h"
#include "emu/core/ram.h"


unsigned operand_bytes(const struct insn *i, unsigned n)
{
	switch ((enum isa_size)isa_rows[i->id].op[n].size) {
	case OPS_b:
		return 1;
	case OPS_w:
		return 2;
	case OPS_d:
		return 4;
	case OPS_q:
		return 8;
	default:
		return i->size;
	}
}

static int load(struct emu *e, const struct insn *i, unsigned size, uint64_t *v)
{
	*v = 0;
	return emu_load(e, i, v, size);
}

static int moffs(struct emu *e, const struct insn *i, unsigned size, bool write, uint64_t *linear)
{
	return emu_seg_linear(e, i->seg, i->imm, size, write, linear);
}

int operand_read(struct emu *e, const struct insn *i, unsigned n, uint64_t *v)
{
	unsigned size = operand_bytes(i, n);
	uint64_t linear;

	switch ((enum isa_kind)isa_rows[i->id].op[n].kind) {
	case OPK_E:
	case OPK_M:
	case OPK_R:
		if (i->is_mem)
			return load(e, i, size, v);
		*v = reg_read(e, i->rm, size);
		return 0;
	case OPK_G:
	case OPK_Z:
		*v = reg_read(e, i->reg, size);
		return 0;
	case OPK_AL:
	case OPK_AX:
		*v = reg_read(e, RAX, size);
		return 0;
	case OPK_CL:
		*v = e->cpu.gpr[RCX] & 0xff;
		return 0;
	case OPK_DX:
		*v = e->cpu.gpr[RDX] & 0xffff;
		return 0;
	case OPK_ONE:
		*v = 1;
		return 0;
	case OPK_O:
		*v = 0;
		return moffs(e, i, size, false, &linear) ? EMU_STOP : emu_read(e, i->seg, linear, v, size);
	default:
		*v = i->imm;
		return 0;
	}
}

int operand_write(struct emu *e, const struct insn *i, unsigned n, uint64_t v)
{
	unsigned size = operand_bytes(i, n);
	uint64_t linear;

	switch ((enum isa_kind)isa_rows[i->id].op[n].kind) {
	case OPK_E:
	case OPK_M:
	case OPK_R:
		if (i->is_mem)
			return emu_store(e, i, &v, size);
		reg_write(e, i->rm, size, v);
		return 0;
	case OPK_G:
	case OPK_Z:
		reg_write(e, i->reg, size, v);
		return 0;
	case OPK_AL:
	case OPK_AX:
		reg_write(e, RAX, size, v);
		return 0;
	case OPK_O:
		return moffs(e, i, size, true, &linear) ? EMU_STOP : emu_write(e, i->seg, linear, &v, size);
	default:
		return emu_ud(e); /* no such row */
	}
}

static bool is_atomic(const struct insn *i)
{
	return (i->prefixes & PFX_LOCK) || i->id == ISA_XCHG_Eb_Gb || i->id == ISA_XCHG_Ev_Gv;
}

int memory_update(struct emu *e, const struct insn *i, uint64_t linear, unsigned size, alu_function *op, uint64_t b,
		  uint64_t *old)
{
	uint16_t f = e->flags_image;
	uint64_t a = 0, r;
	struct rmw m;

	if (mmu_rmw_open(e, i->seg, linear, size, &m))
		return EMU_STOP;
	if (m.is_split && is_atomic(i)) {
		a = split_update(e, &m.halves, size, op, b, &f);
		mmu_rmw_close(e, &m);
	} else if (!m.host) { /* the page was checked for writing: neither access faults */
		if (emu_read(e, i->seg, linear, &a, size))
			return EMU_STOP;
		r = op(size, a, b, &f);
		if (emu_write(e, i->seg, linear, &r, size))
			return EMU_STOP;
	} else {
		a = ram_load(m.host, size);
		if (is_atomic(i)) {
			do {
				f = e->flags_image;
				r = op(size, a, b, &f);
			} while (!ram_cas(m.host, size, &a, r));
		} else {
			r = op(size, a, b, &f);
			ram_store(m.host, size, r);
		}
		mmu_rmw_close(e, &m);
	}
	e->flags_image = f;
	if (old)
		*old = a;
	return 0;
}

int memory_cmpxchg(struct emu *e, const struct insn *i, uint64_t linear, unsigned size, uint64_t expected,
		   uint64_t desired, uint64_t *old)
{
	struct rmw m;

	if (mmu_rmw_open(e, i->seg, linear, size, &m))
		return EMU_STOP;
	*old = expected;
	if (m.host) {
		ram_cas(m.host, size, old, desired);
		mmu_rmw_close(e, &m);
		return 0;
	}
	if (m.is_split) {
		*old = split_cmpxchg(e, &m.halves, expected, desired);
		mmu_rmw_close(e, &m);
		return 0;
	}
	*old = 0;
	if (emu_read(e, i->seg, linear, old, size))
		return EMU_STOP;
	if (*old != expected)
		desired = *old;
	return emu_write(e, i->seg, linear, &desired, size);
}

int operand_update(struct emu *e, const struct insn *i, alu_function *op, uint64_t b, uint64_t *old)
{
	unsigned size = operand_bytes(i, 0);
	uint64_t linear, a;

	if (i->is_mem && (isa_rows[i->id].op[0].kind == OPK_E || isa_rows[i->id].op[0].kind == OPK_M)) {
		if (emu_linear(e, i, size, true, &linear))
			return EMU_STOP;
		return memory_update(e, i, linear, size, op, b, old);
	}
	if (operand_read(e, i, 0, &a))
		return EMU_STOP;
	if (old)
		*old = a;
	return operand_write(e, i, 0, op(size, a, b, &e->flags_image));
}

/* ---- near branches and the stack ---- */

int branch_check(struct emu *e, const struct insn *i, uint64_t *target)
{
	if (e->code_size == 8)
		return emu_is_canonical(e, *target) ? 0 : emu_gp0(e);
	*target &= i->size == 2 ? 0xffff : UINT32_MAX;
	if (*target > e->cpu.seg[SEG_CS].limit)
		return emu_gp0(e);
	return 0;
}

static uint64_t stack_mask(const struct emu *e)
{
	return size_mask(e->stack_size);
}

static void set_sp(struct emu *e, uint64_t sp)
{
	uint64_t m = stack_mask(e);

	e->cpu.gpr[RSP] = e->stack_size == 4 ? sp & m : (e->cpu.gpr[RSP] & ~m) | (sp & m);
}

int near_push(struct emu *e, uint64_t v, unsigned size)
{
	uint64_t sp = (e->cpu.gpr[RSP] - size) & stack_mask(e), linear;

	if (emu_seg_linear(e, SEG_SS, sp, size, true, &linear) || emu_write(e, SEG_SS, linear, &v, size))
		return EMU_STOP;
	set_sp(e, sp);
	return 0;
}

int near_peek(struct emu *e, uint64_t *v, unsigned size)
{
	uint64_t sp = e->cpu.gpr[RSP] & stack_mask(e), linear;

	*v = 0;
	if (emu_seg_linear(e, SEG_SS, sp, size, false, &linear))
		return EMU_STOP;
	return emu_read(e, SEG_SS, linear, v, size);
}

void near_release(struct emu *e, uint64_t bytes)
{
	set_sp(e, e->cpu.gpr[RSP] + bytes);
}
