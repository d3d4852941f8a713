/* SPDX-License-Identifier: MIT */
/* What the files of the decoder share; nobody else includes this. */
#ifndef BULKHEAD_EMU_DECODE_INTERNAL_H
#define BULKHEAD_EMU_DECODE_INTERNAL_H

#include "decode.h"
#include "emu/core/cpu.h"
#include "emu/isa/isa.h"

/* ---- forms.c: the table, digested ---- */

enum size_rule { SIZE_NONE, SIZE_1 = 1, SIZE_2 = 2, SIZE_4 = 4, SIZE_8 = 8, SIZE_V = 9, SIZE_Y = 10 };

enum form_flags {
	FORM_MODRM = 1 << 0,
	FORM_RM_IS_REG = 1 << 1, /* MOV CRn: mod is ignored (SDM vol. 2, "MOV - Move to/from Control Registers") */
	FORM_REG8 = 1 << 2,	 /* the reg (or opcode) operand is a byte register */
	FORM_RM8 = 1 << 3,
	FORM_REG_3BITS = 1 << 4, /* segment, MMX: REX.R is ignored */
	FORM_RM_3BITS = 1 << 5,
	FORM_PLUS_R = 1 << 6,
	FORM_CHECK_REG = 1 << 7, /* segment, control, debug register: not all numbers exist */
	FORM_VVVV = 1 << 8,	 /* VEX.vvvv is an operand; else it must be 1111b */
	FORM_VSIB = 1 << 9,
	FORM_GATHER = 1 << 10,	 /* destination, index and mask must differ */
	FORM_OPMASK_H = 1 << 11, /* vvvv is one of eight opmask registers */
};

/* What the decoder wants to know of a row, digested once. */
struct form {
	uint16_t flags;
	uint8_t size_rule;
	uint8_t imm[2]; /* enum isa_size of the immediates, OPS__ if none; OPK_J, OPK_A, OPK_O see imm_kind */
	uint8_t imm_kind;
	uint8_t fixed_opsize; /* 66 is part of the opcode */
};

extern struct form decode_forms[ISA_COUNT];

/* Rows that may answer to (map, opcode): decode_order[first .. first + count), the more constrained ones first. */
struct slot {
	uint16_t first;
	uint8_t count;
};
extern struct slot decode_slots[ISA_MAPS][256];
extern uint16_t decode_order[2 * ISA_COUNT + 8 * 64];
extern bool decode_has_vl; /* 128- and 256-bit forms of EVEX rows exist */

/* ---- the bytes ---- */

struct cursor {
	const uint8_t *p;
	unsigned pos, avail;
};

struct prefixes {
	bool opsize, addrsize, lock;
	uint8_t rep; /* f2, f3: the last one counts */
	uint8_t rex;
	uint8_t seg; /* SEG_COUNT: none that has an effect */
	bool vex;    /* then 66/F3/F2 above are VEX.pp, and REX holds VEX.RXBW */
	uint8_t vvvv, l;
	bool evex;   /* and vex: vvvv has five bits, L'L is l */
	bool b, z;
	uint8_t aaa, r4, x4; /* R' and X as bit 4 of ModRM.reg and of a vector register in ModRM.rm */
	uint8_t disp8_shift; /* log2 of N, disp8*N */
};

static inline enum decode_result need(const struct cursor *c, unsigned n)
{
	if (c->pos + n <= c->avail && c->pos + n <= INSN_MAX_BYTES)
		return DECODE_OK;
	return c->avail < INSN_MAX_BYTES ? DECODE_MORE : DECODE_TOO_LONG;
}

static inline uint64_t take(struct cursor *c, unsigned n)
{
	uint64_t v = 0;

	for (unsigned k = 0; k < n; k++)
		v |= (uint64_t)c->p[c->pos + k] << (8 * k);
	c->pos += n;
	return v;
}

static inline int64_t sign_extend(uint64_t v, unsigned bytes)
{
	unsigned shift = 64 - 8 * bytes;

	return (int64_t)(v << shift) >> shift;
}

/* ---- prefix.c: everything up to the opcode ---- */

/* True if `b` is a prefix (then recorded). REX only counts directly before the opcode (SDM vol. 2, 2.2.1). */
bool take_prefix(struct prefixes *p, uint8_t b, bool code64);
/* The opcode with its escape bytes, VEX or EVEX prefix: map and opcode byte. */
enum decode_result take_opcode(struct cursor *c, unsigned code_size, struct prefixes *p, unsigned *map, unsigned *opcode);

/* ---- decode.c: which row ---- */

bool has_embedded_rounding(const struct isa_row *r, const struct prefixes *p, bool registers);
unsigned vector_length(const struct isa_row *r, const struct prefixes *p, bool registers);

/* ---- operands.c: everything behind the opcode ---- */

unsigned operand_size(const struct isa_row *r, const struct form *f, const struct prefixes *p, unsigned code_size);
enum decode_result take_operands(struct cursor *c, const struct prefixes *p, const struct form *f, unsigned code_size,
				 unsigned opcode, bool *rip_relative, struct insn *out);
/* What VEX and EVEX add to an instruction, and what they forbid. */
enum decode_result finish_vex(const struct prefixes *p, const struct form *f, bool code64, struct insn *out);
enum decode_result finish_evex(const struct isa_row *r, const struct prefixes *p, const struct form *f, bool code64,
			       struct insn *out);

#endif
