/* SPDX-License-Identifier: MIT */
/*
 * struct insn: one decoded instruction, as the decoder writes it and every handler reads it.
 *
 * Pure data, no pointers into CPU state. All register numbers are final (REX/VEX extension applied).
 */
#ifndef BULKHEAD_EMU_INSN_H
#define BULKHEAD_EMU_INSN_H

#include <stdbool.h>
#include <stdint.h>

struct emu;
struct insn;

/* A block-tier handler runs its instruction and tail-calls the next one (block/block.h). */
typedef void insn_handler(struct emu *e, const struct insn *i);

/* Byte registers: 0..15 are the low bytes (AL..R15B); AH, CH, DH, BH are 20..23. */
enum { REG8_AH = 20, REG8_CH, REG8_DH, REG8_BH };

enum insn_prefix {
	PFX_OPSIZE = 1 << 0, /* 66 was present */
	PFX_ADDRSIZE = 1 << 1,
	PFX_REP = 1 << 2,   /* F3 */
	PFX_REPNE = 1 << 3, /* F2 */
	PFX_LOCK = 1 << 4,
	PFX_REX = 1 << 5,
	PFX_REX_W = 1 << 6, /* or VEX.W / EVEX.W */
	PFX_SEG = 1 << 7,   /* a segment override that has an effect */
};

/*
 * What base and index can be besides general registers: nothing, and the address of the first byte of the running block,
 * for RIP-relative operands. struct emu keeps both in front of the registers, so that addresses need no test for them.
 */
enum { ADDR_NONE = -2, ADDR_PC = -1 };

/* A RIP-relative displacement so large that it does not fit when counted from the start: it counts from the end of the
 * instruction, as encoded. emu_ea() knows; fast handlers are not used for it. */
enum { INSN_DISP_FROM_END = 1 };

struct insn {
	insn_handler *fn; /* set by the block builder, not by the decoder */
	uint64_t imm;	  /* immediate, extended as its row says; relative branches: the displacement, sign-extended; moffs */
	int32_t disp;	  /* displacement of the memory operand; RIP-relative: base is ADDR_PC and disp is relative to
			     the first byte of the *block* (single-step tier: of the instruction) */
	uint16_t id;	  /* row of the instruction table (isa.h) */
	uint16_t off;	  /* offset of this instruction from the start of its block */
	uint8_t len;	  /* 1..15 */
	uint8_t seg;	  /* enum seg_index of the memory operand (default or override) */
	int8_t base, index; /* gpr numbers (VSIB: of a vector register), ADDR_NONE, ADDR_PC */
	uint8_t scale;	  /* log2; with base ADDR_PC: INSN_DISP_FROM_END or 0 */
	uint8_t reg;	  /* ModRM.reg, or the register in the opcode's low bits */
	uint8_t rm;	  /* ModRM.rm as a register; valid if !is_mem */
	uint8_t vvvv;	  /* VEX/EVEX second source */
	uint8_t prefixes; /* enum insn_prefix */
	uint8_t size : 4; /* operand size in bytes: 1, 2, 4, 8 (0 where the row has none) */
	uint8_t asize : 4; /* address size in bytes: 2, 4, 8 */
	uint8_t is_mem : 1; /* the rm operand is in memory */
	uint8_t vl : 2;	    /* vector length: 0 = 128, 1 = 256, 2 = 512 */
	uint8_t bcst : 1;   /* EVEX.b */
	uint8_t mask : 3;   /* EVEX.aaa */
	uint8_t zero : 1;   /* EVEX.z */
	uint8_t imm2;	    /* second immediate (ENTER), or the is4 register */
	uint32_t native : 31; /* set by the block builder, for the handler: block/fast_native.c, block/fast_vector_move.c; by the translator: enum insn_class */
	uint32_t followed : 1; /* set by the block builder: the next instruction stands behind it in its block */
};

_Static_assert(sizeof(struct insn) == 40, "decoded code is the largest memory user of the emulator");

#endif
