/* SPDX-License-Identifier: MIT */
/* Bytes for a row of the instruction table, whatever its operands: for tests that want every row once. */
#ifndef BULKHEAD_TESTS_ROW_ENCODINGS_H
#define BULKHEAD_TESTS_ROW_ENCODINGS_H

#include "emu/decode/decode.h"
#include "emu/isa/isa.h"

#include <string.h>

/* Some encoding of a row with zero operands, up to ModRM; the number of bytes before that. */
static inline unsigned encode_row(const struct isa_row *r, unsigned w, unsigned l, bool mask, uint8_t out[INSN_MAX_BYTES])
{
	static const uint8_t pp[] = { [ISA_PP_NP] = 0, [ISA_PP_66] = 1, [ISA_PP_F3] = 2, [ISA_PP_F2] = 3 };
	static const uint8_t prefix[] = { [ISA_PP_66] = 0x66, [ISA_PP_F3] = 0xf3, [ISA_PP_F2] = 0xf2 };
	unsigned n = 0;
	uint8_t modrm = r->mod == ISA_MOD_REG || (r->ext & ISA_EXT_RM && r->ext < ISA_EXT_NO_MODRM) ? 0xc0 : 0x00;

	memset(out, 0, INSN_MAX_BYTES);
	if (r->map >= ISA_V0F && r->map <= ISA_V0F3A) {
		out[n++] = 0xc4;
		out[n++] = (uint8_t)(0xe0 | (r->map - ISA_V0F + 1));
		out[n++] = (uint8_t)(w << 7 | 0x78 | (l & 1) << 2 | pp[r->pp]);
	} else if (r->map >= ISA_E0F) {
		out[n++] = 0x62;
		out[n++] = (uint8_t)(0xf0 | (r->map - ISA_E0F + 1));
		out[n++] = (uint8_t)(w << 7 | 0x7c | pp[r->pp]);
		out[n++] = (uint8_t)(l << 5 | 0x08 | mask);
	} else if (r->map <= ISA_M0F3A) {
		if (r->pp >= ISA_PP_66)
			out[n++] = prefix[r->pp];
		if (w)
			out[n++] = 0x48;
		if (r->map != ISA_M0)
			out[n++] = 0x0f;
		if (r->map == ISA_M0F38 || r->map == ISA_M0F3A)
			out[n++] = r->map == ISA_M0F38 ? 0x38 : 0x3a;
	}
	out[n++] = r->opcode;
	if (r->evex & ISA_DIST)
		modrm |= 0x08; /* a destination that is no source */
	if (r->ext < 8)
		modrm |= (uint8_t)(r->ext << 3);
	else if (r->ext != ISA_EXT_ANY && r->ext != ISA_EXT_NO_MODRM)
		modrm |= r->ext & 0x3f;
	if (r->ext != ISA_EXT_NO_MODRM)
		out[n] = modrm;
	return n;
}

/* A register or a vector index instead of plain memory. `at`: of ModRM. */
static inline void vary_operand(uint8_t *bytes, unsigned at, unsigned how, bool is_vex)
{
	if (how == 1)
		bytes[at] |= 0xc0;
	if (how != 2)
		return;
	bytes[at] |= 0x04; /* SIB: base rax, index rcx; destination 0, and VEX's mask is register 2 */
	bytes[at + 1] = 0x08;
	if (is_vex)
		bytes[at - 2] ^= 0x10;
}

/* Tries the variants of a row until the decoder, with everything on, finds it. */
static inline bool find_encoding(unsigned id, unsigned code_size, uint8_t out[INSN_MAX_BYTES])
{
	const struct isa_row *r = &isa_rows[id];
	struct insn i;

	for (unsigned variant = 0; variant < 2 * 3 * 2 * 3; variant++) {
		unsigned n = encode_row(r, variant & 1, variant / 2 % 3, variant / 6 % 2, out);

		vary_operand(out, n, variant / 12, r->map >= ISA_V0F && r->map <= ISA_V0F3A);
		if (decode(out, INSN_MAX_BYTES, code_size, &i) == DECODE_OK && i.id == id)
			return true;
	}
	return false;
}

#endif
