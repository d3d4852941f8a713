/* SPDX-License-Identifier: MIT */
/*
 * The flags image: what LAHF and SETO leave in AX. AL is OF (0 or 1), AH is SF:ZF:0:AF:0:PF:1:CF.
 *
 * x86 hosts get it from the operation itself with two more instructions, all six flags at once and exact for every
 * operand size, also where they are architecturally undefined. Other hosts compute it (alu_portable.h).
 */
#ifndef BULKHEAD_EMU_FLAGS_H
#define BULKHEAD_EMU_FLAGS_H

#include "emu.h"

enum {
	IMG_OF = 1 << 0, IMG_CF = 1 << 8, IMG_PF = 1 << 10, IMG_AF = 1 << 12, IMG_ZF = 1 << 14, IMG_SF = 1 << 15,
	IMG_ALL = IMG_OF | IMG_CF | IMG_PF | IMG_AF | IMG_ZF | IMG_SF,
};

static inline uint32_t flags_to_arith(uint16_t image)
{
	return ((uint32_t)(image >> 8) & 0xd5) | ((uint32_t)(image & 1) << 11);
}

static inline uint16_t flags_from_arith(uint64_t rflags)
{
	return (uint16_t)((rflags & 0xd5) << 8 | (rflags >> 11 & 1));
}

/* Condition codes as in the low four bits of Jcc, SETcc, CMOVcc. */
static inline __attribute__((always_inline)) bool flags_condition(uint16_t f, unsigned cc)
{
	bool v = false;

	switch (cc >> 1) {
	case 0:
		v = f & IMG_OF;
		break;
	case 1:
		v = f & IMG_CF;
		break;
	case 2:
		v = f & IMG_ZF;
		break;
	case 3:
		v = f & (IMG_CF | IMG_ZF);
		break;
	case 4:
		v = f & IMG_SF;
		break;
	case 5:
		v = f & IMG_PF;
		break;
	case 6:
		v = (f >> 15 ^ f) & 1;
		break;
	case 7:
		v = ((f >> 15 ^ f) & 1) || (f & IMG_ZF);
		break;
	}
	return v != (cc & 1);
}

#endif
