/* SPDX-License-Identifier: MIT */
/*
 * The encoder: struct insn back to bytes, the inverse of decode(). Pure.
 *
 * Where guest code is x86 and so is the host, an instruction that the host is to run is the guest's own row with other
 * registers, or with memory in the place of a register. Whoever wants that decodes, replaces operands in the struct
 * insn, and encodes: the row knows opcode, prefixes and the places of the operands, so no list of instructions is
 * needed.
 */
#ifndef BULKHEAD_EMU_ENCODE_H
#define BULKHEAD_EMU_ENCODE_H

#include "decode.h"

/*
 * Encodes `i` for 64-bit code. Returns its length, 1 to 15, or 0: its operands do not fit together (AH beside a REX prefix,
 * a register number that the row's encoding has no bit for, 16-bit addressing, more than 15 bytes), or it is not
 * of 64-bit mode.
 *
 * The operand size is `size`, as decode() left it; 66, F2, F3, LOCK, 67 and REX.W are taken from `prefixes` and `asize`.
 * A segment override is written if PFX_SEG is set. RIP-relative operands (base ADDR_PC): `disp` counts from the first byte.
 * Needs decode_init().
 */
unsigned encode(const struct insn *i, uint8_t bytes[INSN_MAX_BYTES]);

#endif
