/* SPDX-License-Identifier: MIT */
/*
 * EVEX instructions on a host without AVX-512: made of VEX instructions of 256 bits, which work on parts of the guest's registers in
 * struct emu. Rows say by NARROW (isa.h) that they do the same to each 128 or 256 bits; which VEX row does it follows from map, opcode and
 * mnemonic, where the parts of each operand lie from the operands' sizes in both rows. Masks become vectors of all ones and zeroes.
 */
#ifndef BULKHEAD_EMU_NATIVE_NARROW_H
#define BULKHEAD_EMU_NATIVE_NARROW_H

#include <stdbool.h>
#include <stdint.h>

struct insn;

/* General registers of the host: the address of struct emu, that of the memory operand, and one that is free. The second may change,
 * too, and so do all vector registers and EFLAGS. */
struct narrow_registers {
	uint8_t emu, memory, scratch;
};

/* Is there such a form of this instruction of 64-bit code? VEX instructions of vectors alone have one, too: themselves. Not for embedded rounding, masked divisions, masked stores of bytes and words,
 * and where the host lacks AVX2 or what the VEX row wants. */
bool narrow_has(const struct insn *i);

/* Puts it. Its length, or 0: `room` bytes are too few. After narrow_has(). */
unsigned narrow_put(uint8_t *to, unsigned room, const struct insn *i, const struct narrow_registers *at);

/* No form is longer. */
enum { NARROW_MAX = 480 };

#endif
