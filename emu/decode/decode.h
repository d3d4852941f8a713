/* SPDX-License-Identifier: MIT */
/*
 * The decoder: instruction bytes to struct insn. Pure: it knows the code size and nothing else of the processor.
 */
#ifndef BULKHEAD_EMU_DECODE_H
#define BULKHEAD_EMU_DECODE_H

#include "emu/core/insn.h"

enum decode_result {
	DECODE_OK,
	DECODE_MORE,	 /* valid so far, but more than `avail` bytes are needed: fetch the next page (may be #PF) */
	DECODE_UD,	 /* no such instruction, or LOCK where it may not stand */
	DECODE_TOO_LONG, /* longer than 15 bytes: #GP(0) (SDM vol. 2, 2.3.11) */
};

enum { INSN_MAX_BYTES = 15 };

/*
 * Builds the decode tables from the rows of the instruction table. `has` tells which features (enum isa_feature)
 * the guest has: a row without its feature is left out, so that its bytes mean what they meant before it existed
 * (TZCNT -> BSF) or nothing. NULL: everything. Not thread safe; call before the first decode().
 */
void decode_init(bool (*has)(const void *ctx, unsigned feature), const void *ctx);

/*
 * Decodes one instruction for code of `code_size` 2 (16-bit), 4 (32-bit) or 8 (64-bit).
 * Fills everything of *out but `fn`; `off` is zero and a RIP-relative `disp` counts from the first byte of the
 * instruction. On any other result than DECODE_OK *out is unspecified.
 *
 * Far pointers (A): imm holds the offset in bits 0..31 and the selector in bits 32..47. A second immediate (ENTER) is
 * imm2; moffs (O) are in imm, with is_mem clear.
 */
enum decode_result decode(const uint8_t *bytes, unsigned avail, unsigned code_size, struct insn *out);

#endif
