/* SPDX-License-Identifier: MIT */
/* Bytes of host code: internal.h. */
#include "internal.h"

#ifdef HOST_X86_64

#include "emu/decode/encode.h"

#include <string.h>

void put(struct code *c, const void *bytes, unsigned count)
{
	if (c->n + count > c->room) {
		c->failed = true;
		return;
	}
	memcpy(c->p + c->n, bytes, count);
	c->n += count;
}

void put1(struct code *c, uint8_t v)
{
	put(c, &v, sizeof(v));
}

void put4(struct code *c, uint32_t v)
{
	put(c, &v, sizeof(v));
}

void put8(struct code *c, uint64_t v)
{
	put(c, &v, sizeof(v));
}

static uint8_t rex(bool wide, unsigned reg, unsigned rm)
{
	return (uint8_t)(0x40 | wide << 3 | (reg >> 3 & 1) << 2 | (rm >> 3 & 1));
}

void put_env(struct code *c, bool wide, uint8_t opcode, unsigned reg, int32_t disp)
{
	put1(c, rex(wide, reg, 0));
	put1(c, opcode);
	put1(c, (uint8_t)(0x84 | (reg & 7) << 3));
	put1(c, 0x24); /* RSP */
	put4(c, (uint32_t)disp);
}

void put_byte(struct code *c, bool compare, int32_t disp, uint8_t v)
{
	put(c, compare ? "\x80\xbc\x24" : "\xc6\x84\x24", 3); /* CMP or MOV BYTE [RSP + disp], v */
	put4(c, (uint32_t)disp);
	put1(c, v);
}

void put_regs(struct code *c, bool wide, uint8_t opcode, unsigned reg, unsigned rm)
{
	put1(c, rex(wide, reg, rm));
	put1(c, opcode);
	put1(c, (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7)));
}

void put_imm(struct code *c, bool wide, unsigned op, unsigned rm, uint32_t imm)
{
	put1(c, rex(wide, 0, rm));
	put1(c, 0x81);
	put1(c, (uint8_t)(0xc0 | op << 3 | (rm & 7)));
	put4(c, imm);
}

void put_mov_imm(struct code *c, unsigned reg, uint64_t v)
{
	if (v <= UINT32_MAX) {
		put1(c, rex(false, 0, reg));
		put1(c, (uint8_t)(0xb8 | (reg & 7)));
		put4(c, (uint32_t)v);
	} else if ((int64_t)v == (int32_t)v) {
		put1(c, rex(true, 0, reg));
		put1(c, 0xc7);
		put1(c, (uint8_t)(0xc0 | (reg & 7)));
		put4(c, (uint32_t)v);
	} else {
		put1(c, rex(true, 0, reg));
		put1(c, (uint8_t)(0xb8 | (reg & 7)));
		put8(c, v);
	}
}

uint32_t put_jump(struct code *c, int cc, const uint8_t *to)
{
	if (cc >= 0)
		put1(c, 0x0f);
	put1(c, cc >= 0 ? (uint8_t)(0x80 | cc) : cc == -1 ? 0xe9 : 0xe8);
	put4(c, to ? (uint32_t)(to - (c->at + c->n + 4)) : 0);
	return c->n - 4;
}

void jump_to(struct code *c, uint32_t where, const uint8_t *to)
{
	const uint32_t distance = (uint32_t)(to - (c->at + where + 4));

	if (!c->failed)
		memcpy(c->p + where, &distance, sizeof(distance));
}

void jump_here(struct code *c, uint32_t where)
{
	jump_to(c, where, c->at + c->n);
}

void put_insn(struct code *c, const struct insn *i)
{
	uint8_t bytes[INSN_MAX_BYTES];
	const unsigned length = encode(i, bytes);

	if (length == 0)
		c->failed = true;
	put(c, bytes, length);
}

void put_save_flags(struct code *c)
{
	put_regs(c, true, OP_STORE, RAX, S0); /* MOV S0, RAX */
	put(c, "\x9f\x0f\x90\xc0\x66", 5);    /* LAHF; SETO AL; 66 */
	put_env(c, false, OP_STORE, RAX, EMU(flags_image));
	put_regs(c, true, OP_STORE, S0, RAX);
}

void put_restore_flags(struct code *c)
{
	put_regs(c, true, OP_STORE, RAX, S0);
	put1(c, 0x66);
	put_env(c, false, OP_LOAD, RAX, EMU(flags_image));
	put(c, "\x04\x7f\x9e", 3); /* ADD AL, 7fh overflows if AL is 1; SAHF */
	put_regs(c, true, OP_STORE, S0, RAX);
}

#endif
