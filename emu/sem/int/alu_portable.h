/* SPDX-License-Identifier: MIT */
/* Integer operations with their flags image in plain C, for any operand size in bytes. The reference of alu.h. */
#ifndef BULKHEAD_EMU_ALU_PORTABLE_H
#define BULKHEAD_EMU_ALU_PORTABLE_H

#include "emu/core/flags.h"
#include "emu/core/gpr.h"

static inline uint16_t img_szp(unsigned size, uint64_t r)
{
	uint16_t f = 0x200;

	if ((r & size_mask(size)) == 0)
		f |= IMG_ZF;
	if (r >> (8 * size - 1) & 1)
		f |= IMG_SF;
	if (!__builtin_parity((unsigned)(r & 0xff)))
		f |= IMG_PF;
	return f;
}

static inline uint64_t portable_adc(unsigned size, uint64_t a, uint64_t b, unsigned carry, uint16_t *f)
{
	uint64_t m = size_mask(size), r;

	a &= m;
	b &= m;
	r = (a + b + carry) & m;
	*f = img_szp(size, r);
	if (r < a || (carry && r == a))
		*f |= IMG_CF;
	if ((a ^ b ^ r) & 0x10)
		*f |= IMG_AF;
	if (((a ^ r) & (b ^ r)) >> (8 * size - 1) & 1)
		*f |= IMG_OF;
	return r;
}

static inline uint64_t portable_sbb(unsigned size, uint64_t a, uint64_t b, unsigned borrow, uint16_t *f)
{
	uint64_t m = size_mask(size), r;

	a &= m;
	b &= m;
	r = (a - b - borrow) & m;
	*f = img_szp(size, r);
	if (a < b || (borrow && a == b))
		*f |= IMG_CF;
	if ((a ^ b ^ r) & 0x10)
		*f |= IMG_AF;
	if (((a ^ b) & (a ^ r)) >> (8 * size - 1) & 1)
		*f |= IMG_OF;
	return r;
}

static inline uint64_t portable_logic(unsigned size, uint64_t r, uint16_t *f)
{
	*f = img_szp(size, r);
	return r & size_mask(size);
}

/* OF = CF = the upper half matters; the undefined flags are as Intel's processors leave them: SF and PF of the low
 * half, ZF and AF clear. */
static inline uint16_t img_product(unsigned size, uint64_t low, bool overflow)
{
	return (uint16_t)((img_szp(size, low) & ~IMG_ZF) | (overflow ? IMG_CF | IMG_OF : 0));
}

static inline uint64_t portable_imul(unsigned size, uint64_t a, uint64_t b, uint16_t *f)
{
	unsigned shift = 64 - 8 * size;
	__int128 p = (__int128)((int64_t)(a << shift) >> shift) * ((int64_t)(b << shift) >> shift);
	uint64_t low = (uint64_t)p & size_mask(size);

	*f = img_product(size, low, p != (int64_t)(low << shift) >> shift);
	return low;
}

/* Shifts; count is already masked to 5 or 6 bits and not zero. */
static inline uint64_t portable_shl(unsigned size, uint64_t a, unsigned count, uint16_t *f)
{
	unsigned bits = 8 * size;
	uint64_t r = count < bits ? a << count & size_mask(size) : 0;
	bool cf = count <= bits && (a >> (bits - count) & 1);

	*f = img_szp(size, r);
	*f |= (uint16_t)(cf ? IMG_CF : 0);
	*f |= (uint16_t)((r >> (bits - 1) & 1) ^ cf ? IMG_OF : 0);
	return r;
}

static inline uint64_t portable_shr(unsigned size, uint64_t a, unsigned count, uint16_t *f)
{
	unsigned bits = 8 * size;
	uint64_t r;

	a &= size_mask(size);
	r = count < bits ? a >> count : 0;
	*f = img_szp(size, r);
	if (count <= bits && (a >> (count - 1) & 1))
		*f |= IMG_CF;
	if ((r >> (bits - 2) ^ r >> (bits - 1)) & 1)
		*f |= IMG_OF;
	return r;
}

static inline uint64_t portable_sar(unsigned size, uint64_t a, unsigned count, uint16_t *f)
{
	unsigned bits = 8 * size;
	int64_t s = (int64_t)(a << (64 - bits)) >> (64 - bits);
	uint64_t r = (uint64_t)(s >> (count < 63 ? count : 63)) & size_mask(size);

	*f = img_szp(size, r);
	if (s >> (count - 1 < 63 ? count - 1 : 63) & 1)
		*f |= IMG_CF;
	return r;
}

static inline uint64_t portable_rol(unsigned size, uint64_t a, unsigned count, uint16_t *f)
{
	unsigned bits = 8 * size, n = count % bits;
	uint64_t r;

	a &= size_mask(size);
	r = n ? (a << n | a >> (bits - n)) & size_mask(size) : a;
	*f = (uint16_t)((*f & ~(IMG_CF | IMG_OF)) | (r & 1 ? IMG_CF : 0) | ((r ^ r >> (bits - 1)) & 1 ? IMG_OF : 0));
	return r;
}

static inline uint64_t portable_ror(unsigned size, uint64_t a, unsigned count, uint16_t *f)
{
	unsigned bits = 8 * size, n = count % bits;
	uint64_t r;

	a &= size_mask(size);
	r = n ? (a >> n | a << (bits - n)) & size_mask(size) : a;
	*f = (uint16_t)((*f & ~(IMG_CF | IMG_OF)) | (r >> (bits - 1) & 1 ? IMG_CF : 0) |
			((r >> (bits - 1) ^ r >> (bits - 2)) & 1 ? IMG_OF : 0));
	return r;
}

/* Rotates through carry go bit by bit: they are rare. */
static inline uint64_t portable_rcl(unsigned size, uint64_t a, unsigned count, uint16_t *f)
{
	unsigned bits = 8 * size, cf = (*f & IMG_CF) != 0;

	a &= size_mask(size);
	for (unsigned n = count % (bits + 1); n > 0; n--) {
		unsigned out = a >> (bits - 1) & 1;

		a = (a << 1 | cf) & size_mask(size);
		cf = out;
	}
	*f = (uint16_t)((*f & ~(IMG_CF | IMG_OF)) | (cf ? IMG_CF : 0) | ((a >> (bits - 1) & 1) ^ cf ? IMG_OF : 0));
	return a;
}

static inline uint64_t portable_rcr(unsigned size, uint64_t a, unsigned count, uint16_t *f)
{
	unsigned bits = 8 * size, cf = (*f & IMG_CF) != 0;

	a &= size_mask(size);
	for (unsigned n = count % (bits + 1); n > 0; n--) {
		unsigned out = a & 1;

		a = a >> 1 | (uint64_t)cf << (bits - 1);
		cf = out;
	}
	*f = (uint16_t)((*f & ~(IMG_CF | IMG_OF)) | (cf ? IMG_CF : 0) | ((a >> (bits - 1) ^ a >> (bits - 2)) & 1 ? IMG_OF : 0));
	return a;
}

/* SHLD/SHRD with 0 < count < bits. */
static inline uint64_t portable_shld(unsigned size, uint64_t a, uint64_t b, unsigned count, uint16_t *f)
{
	unsigned bits = 8 * size;
	uint64_t m = size_mask(size), r = (a << count | (b & m) >> (bits - count)) & m;

	*f = img_szp(size, r);
	if (a >> (bits - count) & 1)
		*f |= IMG_CF;
	if ((a ^ r) >> (bits - 1) & 1)
		*f |= IMG_OF;
	return r;
}

static inline uint64_t portable_shrd(unsigned size, uint64_t a, uint64_t b, unsigned count, uint16_t *f)
{
	unsigned bits = 8 * size;
	uint64_t m = size_mask(size), r = ((a & m) >> count | b << (bits - count)) & m;

	*f = img_szp(size, r);
	if (a >> (count - 1) & 1)
		*f |= IMG_CF;
	if ((a ^ r) >> (bits - 1) & 1)
		*f |= IMG_OF;
	return r;
}

#endif
