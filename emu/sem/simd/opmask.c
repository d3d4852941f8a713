/* SPDX-License-Identifier: MIT */
/* Opmask registers: moves, logic, shifts, tests (SDM vol. 2, the K* instructions). Results are zero-extended. */
#include "evex.h"

FPU_INLINE uint64_t opmask(const struct emu *e, unsigned k, unsigned bits)
{
	return e->cpu.k[k & 7] & low_bits(bits);
}

#define OPMASK_BINARY_SIZED(name, bits, expr)                                                                     \
	SEM(name)                                                                                                 \
	{                                                                                                         \
		const uint64_t x = opmask(e, i->vvvv, bits), y = opmask(e, i->rm, bits);                          \
		e->cpu.k[i->reg] = (expr) & low_bits(bits);                                                       \
		return 0;                                                                                         \
	}
#define OPMASK_BINARY(name, expr)                                                                                 \
	OPMASK_BINARY_SIZED(name##b, 8, expr)                                                                     \
	OPMASK_BINARY_SIZED(name##w, 16, expr)                                                                    \
	OPMASK_BINARY_SIZED(name##d, 32, expr)                                                                    \
	OPMASK_BINARY_SIZED(name##q, 64, expr)
OPMASK_BINARY(kand, x & y)
OPMASK_BINARY(kandn, ~x & y)
OPMASK_BINARY(kor, x | y)
OPMASK_BINARY(kxnor, ~(x ^ y))
OPMASK_BINARY(kxor, x ^ y)
OPMASK_BINARY(kadd, x + y)

#define OPMASK_UNPACK(name, bits)                                                                                 \
	SEM(name)                                                                                                 \
	{                                                                                                         \
		e->cpu.k[i->reg] = opmask(e, i->vvvv, bits) << (bits) | opmask(e, i->rm, bits);                   \
		return 0;                                                                                         \
	}
OPMASK_UNPACK(kunpckbw, 8)
OPMASK_UNPACK(kunpckwd, 16)
OPMASK_UNPACK(kunpckdq, 32)

/* KORTEST: ZF all zero, CF all ones. KTEST: ZF no bit in common, CF no bit of rm outside reg. The others are cleared. */
#define OPMASK_TESTS(s, bits)                                                                                     \
	SEM(kortest##s)                                                                                           \
	{                                                                                                         \
		const uint64_t v = opmask(e, i->reg, bits) | opmask(e, i->rm, bits);                              \
		emu_flags_set(e, RFLAGS_ARITH, (v ? 0 : RFLAGS_ZF) | (v == low_bits(bits) ? RFLAGS_CF : 0));      \
		return 0;                                                                                         \
	}                                                                                                         \
	SEM(ktest##s)                                                                                             \
	{                                                                                                         \
		const uint64_t x = opmask(e, i->reg, bits), y = opmask(e, i->rm, bits);                           \
		emu_flags_set(e, RFLAGS_ARITH, (x & y ? 0 : RFLAGS_ZF) | (~x & y ? 0 : RFLAGS_CF));               \
		return 0;                                                                                         \
	}

#define OPMASK_MOVES(s, bits)                                                                                     \
	SEM(knot##s)                                                                                              \
	{                                                                                                         \
		e->cpu.k[i->reg] = ~e->cpu.k[i->rm] & low_bits(bits);                                             \
		return 0;                                                                                         \
	}                                                                                                         \
	SEM(kmov##s##_load)                                                                                       \
	{                                                                                                         \
		uint64_t v = opmask(e, i->rm, bits);                                                              \
		if (i->is_mem) {                                                                                  \
			v = 0;                                                                                    \
			if (emu_load(e, i, &v, (bits) / 8))                                                       \
				return EMU_STOP;                                                                  \
		}                                                                                                 \
		e->cpu.k[i->reg] = v;                                                                             \
		return 0;                                                                                         \
	}                                                                                                         \
	SEM(kmov##s##_store)                                                                                      \
	{                                                                                                         \
		return emu_store(e, i, &e->cpu.k[i->reg], (bits) / 8);                                            \
	}                                                                                                         \
	SEM(kmov##s##_from_gpr)                                                                                   \
	{                                                                                                         \
		e->cpu.k[i->reg] = e->cpu.gpr[i->rm] & low_bits(bits);                                            \
		return 0;                                                                                         \
	}                                                                                                         \
	SEM(kmov##s##_to_gpr)                                                                                     \
	{                                                                                                         \
		e->cpu.gpr[i->reg] = opmask(e, i->rm, bits);                                                      \
		return 0;                                                                                         \
	}                                                                                                         \
	SEM(kshiftl##s)                                                                                           \
	{                                                                                                         \
		const unsigned count = (uint8_t)i->imm;                                                           \
		e->cpu.k[i->reg] = count < (bits) ? opmask(e, i->rm, bits) << count & low_bits(bits) : 0;         \
		return 0;                                                                                         \
	}                                                                                                         \
	SEM(kshiftr##s)                                                                                           \
	{                                                                                                         \
		const unsigned count = (uint8_t)i->imm;                                                           \
		e->cpu.k[i->reg] = count < (bits) ? opmask(e, i->rm, bits) >> count : 0;                          \
		return 0;                                                                                         \
	}
#define OPMASK_SIZE(s, bits) OPMASK_TESTS(s, bits) OPMASK_MOVES(s, bits)
OPMASK_SIZE(b, 8)
OPMASK_SIZE(w, 16)
OPMASK_SIZE(d, 32)
OPMASK_SIZE(q, 64)
