/* SPDX-License-Identifier: MIT */
/* Semantics: moves, conversions, conditional moves, flag instructions, hints. */
#include "operand.h"
#include "emu/core/machine.h"

int sem_int_mov(struct emu *e, const struct insn *i)
{
	uint64_t v;

	return operand_read(e, i, 1, &v) || operand_write(e, i, 0, v) ? EMU_STOP : 0;
}

int sem_int_movzx(struct emu *e, const struct insn *i)
{
	return sem_int_mov(e, i);
}

int sem_int_movsx(struct emu *e, const struct insn *i)
{
	uint64_t v;

	if (operand_read(e, i, 1, &v))
		return EMU_STOP;
	reg_write(e, i->reg, i->size, (uint64_t)sign_extend_from(v, operand_bytes(i, 1)));
	return 0;
}

/* Without REX.W it is a plain move, of 16 bits with 66 (then only two bytes are read). */
int sem_int_movsxd(struct emu *e, const struct insn *i)
{
	unsigned size = i->size == 2 ? 2 : 4;
	uint64_t v = 0;

	if (i->is_mem ? emu_load(e, i, &v, size) : (v = reg_read(e, i->rm, size), 0))
		return EMU_STOP;
	reg_write(e, i->reg, i->size, (uint64_t)sign_extend_from(v, size));
	return 0;
}

int sem_int_lea(struct emu *e, const struct insn *i)
{
	reg_write(e, i->reg, i->size, emu_ea(e, i));
	return 0;
}

int sem_int_cbw(struct emu *e, const struct insn *i)
{
	reg_write(e, RAX, i->size, (uint64_t)sign_extend_from(e->cpu.gpr[RAX], i->size / 2u));
	return 0;
}

int sem_int_cwd(struct emu *e, const struct insn *i)
{
	reg_write(e, RDX, i->size, (uint64_t)(sign_extend_from(e->cpu.gpr[RAX], i->size) >> 63));
	return 0;
}

int sem_int_bswap(struct emu *e, const struct insn *i)
{
	uint64_t v = e->cpu.gpr[i->reg];

	/* A 16-bit operand is undefined; processors give zero. */
	reg_write(e, i->reg, i->size, i->size == 8 ? __builtin_bswap64(v) : i->size == 4 ? __builtin_bswap32((uint32_t)v) : 0);
	return 0;
}

int sem_int_movbe(struct emu *e, const struct insn *i)
{
	uint64_t v;

	if (operand_read(e, i, 1, &v))
		return EMU_STOP;
	v = __builtin_bswap64(v) >> (64 - 8 * i->size);
	return operand_write(e, i, 0, v);
}

int sem_int_xlat(struct emu *e, const struct insn *i)
{
	uint64_t offset = (e->cpu.gpr[RBX] + (e->cpu.gpr[RAX] & 0xff)) & size_mask(i->asize), linear;
	uint8_t v;

	if (emu_seg_linear(e, i->seg, offset, 1, false, &linear) || emu_read(e, i->seg, linear, &v, 1))
		return EMU_STOP;
	reg_write(e, RAX, 1, v);
	return 0;
}

int sem_int_cmov(struct emu *e, const struct insn *i)
{
	uint64_t v;

	if (operand_read(e, i, 1, &v)) /* a false condition reads all the same */
		return EMU_STOP;
	if (!flags_condition(e->flags_image, isa_rows[i->id].opcode & 15))
		v = reg_read(e, i->reg, i->size);
	reg_write(e, i->reg, i->size, v);
	return 0;
}

int sem_int_setcc(struct emu *e, const struct insn *i)
{
	return operand_write(e, i, 0, flags_condition(e->flags_image, isa_rows[i->id].opcode & 15));
}

int sem_int_sahf(struct emu *e, const struct insn *i)
{
	if (e->code_size == 8 && !emu_has_feature(e, FEAT_LAHF64))
		return emu_ud(e);
	e->flags_image = (uint16_t)((e->flags_image & IMG_OF) | flags_from_arith(e->cpu.gpr[RAX] >> 8 & 0xd5));
	return 0;
}

int sem_int_lahf(struct emu *e, const struct insn *i)
{
	if (e->code_size == 8 && !emu_has_feature(e, FEAT_LAHF64))
		return emu_ud(e);
	reg_write(e, REG8_AH, 1, (flags_to_arith(e->flags_image) & 0xd5) | RFLAGS_FIXED);
	return 0;
}

int sem_int_cmc(struct emu *e, const struct insn *i)
{
	e->flags_image ^= IMG_CF;
	return 0;
}

int sem_int_clc(struct emu *e, const struct insn *i)
{
	e->flags_image &= (uint16_t)~IMG_CF;
	return 0;
}

int sem_int_stc(struct emu *e, const struct insn *i)
{
	e->flags_image |= IMG_CF;
	return 0;
}

int sem_int_cld(struct emu *e, const struct insn *i)
{
	e->cpu.rflags &= ~(uint64_t)RFLAGS_DF;
	return 0;
}

int sem_int_std(struct emu *e, const struct insn *i)
{
	e->cpu.rflags |= RFLAGS_DF;
	return 0;
}

int sem_int_nop(struct emu *e, const struct insn *i)
{
	return 0;
}

int sem_int_pause(struct emu *e, const struct insn *i)
{
	emu_pause(e);
	return 0;
}

/* Translated code stores non-temporally by the host's instruction, which nothing but these and locked ones order (SDM vol. 3, 8.2.2). */
int sem_int_mfence(struct emu *e, const struct insn *i)
{
#ifdef HOST_X86_64
	__builtin_ia32_mfence();
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
	return 0;
}

int sem_int_sfence(struct emu *e, const struct insn *i)
{
#ifdef HOST_X86_64
	__builtin_ia32_sfence();
#else
	atomic_thread_fence(memory_order_release);
#endif
	return 0;
}

/* 64 bytes as one store, to ES:reg of the address size (SDM vol. 2, MOVDIR64B). */
int sem_int_movdir64b(struct emu *e, const struct insn *i)
{
	uint64_t to = truncate_to(e->cpu.gpr[i->reg], i->asize), linear;
	uint8_t data[64];

	if (emu_load(e, i, data, sizeof(data)) || emu_seg_linear(e, SEG_ES, to, sizeof(data), true, &linear))
		return EMU_STOP;
	if (linear & 63)
		return emu_gp0(e);
	return emu_write(e, SEG_ES, linear, data, sizeof(data));
}
