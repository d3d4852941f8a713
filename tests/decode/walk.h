/* SPDX-License-Identifier: MIT */
/*
 * The decoder against Zydis over the whole opcode space: what is an instruction, how long it is, what its operands are.
 *
 *   walk.c     which bytes are asked for          compare.c  the two answers
 *   operands.c one operand of each                rules.c    where they may differ, and why
 *   back.c     the encoder: what it makes of an instruction decodes to the same one
 */
#ifndef BULKHEAD_TESTS_WALK_H
#define BULKHEAD_TESTS_WALK_H

#include "emu/core/cpu.h"
#include "emu/decode/decode.h"
#include "emu/decode/encode.h"
#include "emu/isa/isa.h"

#include <Zydis/Zydis.h>

/* Both answers for the same bytes. */
struct answers {
	const uint8_t *text;
	unsigned code_size;
	bool ours, theirs; /* it is an instruction */
	struct insn i;
	const struct isa_row *row; /* of i.id, if ours */
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

enum difference { SAME, ONLY_OURS, ONLY_ZYDIS, NAME, LENGTH, OPERAND, FLAGS_DIFFER, ENCODING, DIFFERENCES };

/* operands.c: NULL, or what about the operands differs. Both know the instruction, and its length is the same. */
const char *compare_operands(const struct answers *a);
/* NULL, or which flags the table says otherwise. */
const char *compare_flags(const struct answers *a);

/* back.c: NULL, or what is not as before when an instruction of 64-bit code is encoded and decoded again. */
const char *compare_encoding(const struct insn *i);

/* rules.c: the index of the rule that explains a difference, or -1. */
int find_rule(const struct answers *a, enum difference d, const char *what);
bool same_mnemonic(const char *ours, const char *theirs);
unsigned rule_count(void);
/* One line about a rule: what it covers and why. */
void print_rule(unsigned n, unsigned uses);

/* compare.c */
void compare_init(void);
void compare_bytes(const uint8_t *text, unsigned avail, unsigned code_size);
/* Prints what was found; returns the number of unexplained differences. */
unsigned compare_report(void);

#endif
