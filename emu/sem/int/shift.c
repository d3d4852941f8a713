/* SPDX-License-Identifier: MIT */
/* Semantics: shifts, rotates, double shifts. A count of zero changes nothing but still zero-extends 32-bit registers. */
#include "operand.h"

#define BY_SIZE(name)                                                                                                  \
	static uint64_t do_##name(unsigned size, uint64_t a, uint64_t count, uint16_t *f)                              \
	{                                                                                                              \
		uint8_t n = (uint8_t)count;                                                                            \
                                                                                                                       \
		if (n == 0)                                                                                            \
			return a;                                                                                      \
		switch (size) {                                                                                        \
		case 1:                                                                                                \
			return alu_##name##_1((uint8_t)a, n, f);                                                       \
		case 2:                                                                                                \
			return alu_##name##_2((uint16_t)a, n, f);                                                      \
		case 4:                                                                                                \
			return alu_##name##_4((uint32_t)a, n, f);                                                      \
		default:                                                                                               \
			return alu_##name##_8(a, n, f);                                                                \
		}                                                                                                      \
	}                                                                                                              \
	int sem_int_##name(struct emu *e, const struct insn *i)                                                        \
	{                                                                                                              \
		uint64_t n;                                                                                            \
                                                                                                                       \
		operand_read(e, i, 1, &n);                                                                             \
		return operand_update(e, i, do_##name, n &(operand_bytes(i, 0) == 8 ? 63 : 31), NULL);                 \
	}

BY_SIZE(rol)
BY_SIZE(ror)
BY_SIZE(rcl)
BY_SIZE(rcr)
BY_SIZE(shl)
BY_SIZE(shr)
BY_SIZE(sar)

/* The second source does not fit alu_function: it travels beside. 16-bit operands with a count above 16 are undefined
 * by the SDM; we shift through destination, source, destination as Intel's processors do. */
struct double_shift {
	uint64_t source;
	unsigned count;
};

static uint64_t shld16(uint64_t a, uint64_t b, unsigned n, uint16_t *f)
{
	uint64_t wide = a << 32 | b << 16 | a, r = wide << (n - 16) >> 16 & 0xffff;

	*f = img_szp(2, r);
	if (wide << (n - 16) >> 32 & 1)
		*f |= IMG_CF;
	return r;
}

static uint64_t do_shld(unsigned size, uint64_t a, uint64_t packed, uint16_t *f)
{
	const struct double_shift *d = (const struct double_shift *)(uintptr_t)packed;
	uint8_t n = (uint8_t)d->count;

	if (n == 0)
		return a;
	switch (size) {
	case 2:
		return n > 16 ? shld16(a, d->source, n, f) : alu_shld_2((uint16_t)a, (uint16_t)d->source, n, f);
	case 4:
		return alu_shld_4((uint32_t)a, (uint32_t)d->source, n, f);
	default:
		return alu_shld_8(a, d->source, n, f);
	}
}

static uint64_t shrd16(uint64_t a, uint64_t b, unsigned n, uint16_t *f)
{
	uint64_t wide = a << 32 | b << 16 | a, r = wide >> n & 0xffff;

	*f = img_szp(2, r);
	if (wide >> (n - 1) & 1)
		*f |= IMG_CF;
	return r;
}

static uint64_t do_shrd(unsigned size, uint64_t a, uint64_t packed, uint16_t *f)
{
	const struct double_shift *d = (const struct double_shift *)(uintptr_t)packed;
	uint8_t n = (uint8_t)d->count;

	if (n == 0)
		return a;
	switch (size) {
	case 2:
		return n > 16 ? shrd16(a, d->source, n, f) : alu_shrd_2((uint16_t)a, (uint16_t)d->source, n, f);
	case 4:
		return alu_shrd_4((uint32_t)a, (uint32_t)d->source, n, f);
	default:
		return alu_shrd_8(a, d->source, n, f);
	}
}

static int double_shift(struct emu *e, const struct insn *i, alu_function *op)
{
	struct double_shift d;
	uint64_t n;

	operand_read(e, i, 2, &n);
	d.count = (unsigned)n & (i->size == 8 ? 63 : 31);
	d.source = reg_read(e, i->reg, i->size);
	return operand_update(e, i, op, (uint64_t)(uintptr_t)&d, NULL);
}

int sem_int_shld(struct emu *e, const struct insn *i)
{
	return double_shift(e, i, do_shld);
}

int sem_int_shrd(struct emu *e, const struct insn *i)
{
	return double_shift(e, i, do_shrd);
}
