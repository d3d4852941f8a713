/* SPDX-License-Identifier: MIT */
/*
 * Integer operations with their flags image, one function per operation and operand size: alu_add_4(a, b, &f).
 *
 * On x86-64 the host's own instruction runs and LAHF/SETO save its flags; elsewhere (host.h)
 * alu_portable.h does it. Operations that keep some flags take the old image in *f.
 */
#ifndef BULKHEAD_EMU_ALU_H
#define BULKHEAD_EMU_ALU_H

#include "emu/core/host.h"
#include "alu_portable.h"

#ifdef HOST_X86_64
#define ALU_NATIVE 1

#define SAVE_FLAGS "\n\tlahf\n\tseto %%al"

/* Tells the compiler that the upper part of the register is still zero: storing it as 64 bits needs no extension. */
#define ALU_RANGE(w, T)                                                                                                \
	do {                                                                                                           \
		if ((w) > (T)~(T)0)                                                                                    \
			__builtin_unreachable();                                                                       \
	} while (0)

/* a op b, all flags replaced */
#define ALU_BINARY(name, op, n, T, m)                                                                                  \
	static inline __attribute__((always_inline)) T alu_##name##_##n(T a, T b, uint16_t *f)                         \
	{                                                                                                              \
		uint64_t w = a;                                                                                        \
		uint16_t ax;                                                                                           \
		__asm__(op " %" m "2, %" m "1" SAVE_FLAGS : "=&a"(ax), "+r"(w) : "r"(b));                              \
		*f = ax;                                                                                               \
		ALU_RANGE(w, T);                                                                                       \
		return (T)w;                                                                                           \
	}
/* a op b with carry in */
#define ALU_CARRY(name, op, n, T, m)                                                                                   \
	static inline __attribute__((always_inline)) T alu_##name##_##n(T a, T b, uint16_t *f)                         \
	{                                                                                                              \
		uint64_t w = a;                                                                                        \
		uint16_t ax;                                                                                           \
		__asm__("btl $8, %k3\n\t" op " %" m "2, %" m "1" SAVE_FLAGS                                            \
			: "=&a"(ax), "+r"(w) : "r"(b), "r"((uint32_t)*f));                                             \
		*f = ax;                                                                                               \
		ALU_RANGE(w, T);                                                                                       \
		return (T)w;                                                                                           \
	}
#define ALU_UNARY(name, op, n, T, m)                                                                                   \
	static inline __attribute__((always_inline)) T alu_##name##_##n(T a, uint16_t *f)                              \
	{                                                                                                              \
		uint64_t w = a;                                                                                        \
		uint16_t ax;                                                                                           \
		__asm__(op " %" m "1" SAVE_FLAGS : "=&a"(ax), "+r"(w));                                                \
		*f = ax;                                                                                               \
		ALU_RANGE(w, T);                                                                                       \
		return (T)w;                                                                                           \
	}
/* carry is kept */
#define ALU_STEP(name, op, n, T, m)                                                                                    \
	static inline __attribute__((always_inline)) T alu_##name##_##n(T a, uint16_t *f)                              \
	{                                                                                                              \
		uint64_t w = a;                                                                                        \
		uint16_t ax;                                                                                           \
		__asm__(op " %" m "1" SAVE_FLAGS : "=&a"(ax), "+r"(w));                                                \
		*f = (uint16_t)((ax & ~IMG_CF) | (*f & IMG_CF));                                                       \
		ALU_RANGE(w, T);                                                                                       \
		return (T)w;                                                                                           \
	}
/* count not zero, masked; all flags replaced */
#define ALU_SHIFT(name, op, n, T, m)                                                                                   \
	static inline __attribute__((always_inline)) T alu_##name##_##n(T a, uint8_t count, uint16_t *f)               \
	{                                                                                                              \
		uint64_t w = a;                                                                                        \
		uint16_t ax;                                                                                           \
		__asm__(op " %%cl, %" m "1" SAVE_FLAGS : "=&a"(ax), "+r"(w) : "c"(count));                             \
		*f = ax;                                                                                               \
		ALU_RANGE(w, T);                                                                                       \
		return (T)w;                                                                                           \
	}
/* carry and overflow replaced */
#define ALU_ROTATE(name, op, n, T, m)                                                                                  \
	static inline __attribute__((always_inline)) T alu_##name##_##n(T a, uint8_t count, uint16_t *f)               \
	{                                                                                                              \
		uint64_t w = a;                                                                                        \
		uint16_t ax;                                                                                           \
		__asm__("btl $8, %k3\n\t" op " %%cl, %" m "1" SAVE_FLAGS                                               \
			: "=&a"(ax), "+r"(w) : "c"(count), "r"((uint32_t)*f));                                         \
		*f = (uint16_t)((ax & (IMG_CF | IMG_OF)) | (*f & ~(IMG_CF | IMG_OF)));                                 \
		ALU_RANGE(w, T);                                                                                       \
		return (T)w;                                                                                           \
	}
/* the same where the carry is not rotated in */
#define ALU_TURN(name, op, n, T, m)                                                                                    \
	static inline __attribute__((always_inline)) T alu_##name##_##n(T a, uint8_t count, uint16_t *f)               \
	{                                                                                                              \
		uint64_t w = a;                                                                                        \
		uint16_t ax;                                                                                           \
		__asm__(op " %%cl, %" m "1" SAVE_FLAGS : "=&a"(ax), "+r"(w) : "c"(count));                             \
		*f = (uint16_t)((ax & (IMG_CF | IMG_OF)) | (*f & ~(IMG_CF | IMG_OF)));                                 \
		ALU_RANGE(w, T);                                                                                       \
		return (T)w;                                                                                           \
	}
/* Intel defines CF and OF only, but its processors set SF and PF by the result and clear ZF and AF; AMD's leave them. */
#define ALU_MULTIPLY(name, op, n, T, m)                                                                                \
	static inline __attribute__((always_inline)) T alu_##name##_##n(T a, T b, uint16_t *f)                         \
	{                                                                                                              \
		uint64_t w = a;                                                                                        \
		uint16_t ax;                                                                                           \
		uint8_t of;                                                                                            \
		__asm__(op " %" m "3, %" m "2\n\tseto %1\n\ttest %" m "2, %" m "2\n\tlahf"                             \
			: "=&a"(ax), "=&q"(of), "+r"(w) : "r"(b));                                                     \
		*f = (uint16_t)((ax & (IMG_SF | IMG_PF)) | of * (IMG_CF | IMG_OF));                                    \
		ALU_RANGE(w, T);                                                                                       \
		return (T)w;                                                                                           \
	}
#define ALU_DOUBLE_SHIFT(name, op, n, T, m)                                                                            \
	static inline __attribute__((always_inline)) T alu_##name##_##n(T a, T b, uint8_t count, uint16_t *f)          \
	{                                                                                                              \
		uint64_t w = a;                                                                                        \
		uint16_t ax;                                                                                           \
		__asm__(op " %%cl, %" m "3, %" m "1" SAVE_FLAGS : "=&a"(ax), "+r"(w) : "c"(count), "r"(b));            \
		*f = ax;                                                                                               \
		ALU_RANGE(w, T);                                                                                       \
		return (T)w;                                                                                           \
	}

#define ALU_SIZES(KIND, name, op)                                                                                      \
	KIND(name, op "b", 1, uint8_t, "b")                                                                            \
	KIND(name, op "w", 2, uint16_t, "w")                                                                           \
	KIND(name, op "l", 4, uint32_t, "k")                                                                           \
	KIND(name, op "q", 8, uint64_t, "q")
#define ALU_SIZES_248(KIND, name, op)                                                                                  \
	KIND(name, op "w", 2, uint16_t, "w")                                                                           \
	KIND(name, op "l", 4, uint32_t, "k")                                                                           \
	KIND(name, op "q", 8, uint64_t, "q")

#else

#define ALU_DEFINE2(name, n, T, call)                                                                                  \
	static inline T alu_##name##_##n(T a, T b, uint16_t *f)                                                        \
	{                                                                                                              \
		return (T)call;                                                                                        \
	}
#define ALU_DEFINE1(name, n, T, call)                                                                                  \
	static inline T alu_##name##_##n(T a, uint16_t *f)                                                             \
	{                                                                                                              \
		return (T)call;                                                                                        \
	}
#define ALU_BINARY(name, op, n, T, m) ALU_DEFINE2(name, n, T, portable_do_##name(n, a, b, f))
#define ALU_CARRY ALU_BINARY
#define ALU_MULTIPLY ALU_BINARY
#define ALU_UNARY(name, op, n, T, m) ALU_DEFINE1(name, n, T, portable_do_##name(n, a, f))
#define ALU_STEP ALU_UNARY
#define ALU_SHIFT(name, op, n, T, m)                                                                                   \
	static inline T alu_##name##_##n(T a, uint8_t count, uint16_t *f)                                              \
	{                                                                                                              \
		return (T)portable_##name(n, a, count, f);                                                             \
	}
#define ALU_ROTATE ALU_SHIFT
#define ALU_TURN ALU_SHIFT
#define ALU_DOUBLE_SHIFT(name, op, n, T, m)                                                                            \
	static inline T alu_##name##_##n(T a, T b, uint8_t count, uint16_t *f)                                         \
	{                                                                                                              \
		return (T)portable_##name(n, a, b, count, f);                                                          \
	}
#define ALU_SIZES(KIND, name, op)                                                                                      \
	KIND(name, op, 1, uint8_t, "")                                                                                 \
	KIND(name, op, 2, uint16_t, "")                                                                                \
	KIND(name, op, 4, uint32_t, "")                                                                                \
	KIND(name, op, 8, uint64_t, "")
#define ALU_SIZES_248(KIND, name, op)                                                                                  \
	KIND(name, op, 2, uint16_t, "")                                                                                \
	KIND(name, op, 4, uint32_t, "")                                                                                \
	KIND(name, op, 8, uint64_t, "")

static inline uint64_t portable_do_add(unsigned size, uint64_t a, uint64_t b, uint16_t *f)
{
	return portable_adc(size, a, b, 0, f);
}
static inline uint64_t portable_do_sub(unsigned size, uint64_t a, uint64_t b, uint16_t *f)
{
	return portable_sbb(size, a, b, 0, f);
}
static inline uint64_t portable_do_adc(unsigned size, uint64_t a, uint64_t b, uint16_t *f)
{
	return portable_adc(size, a, b, (*f & IMG_CF) != 0, f);
}
static inline uint64_t portable_do_sbb(unsigned size, uint64_t a, uint64_t b, uint16_t *f)
{
	return portable_sbb(size, a, b, (*f & IMG_CF) != 0, f);
}
static inline uint64_t portable_do_and(unsigned size, uint64_t a, uint64_t b, uint16_t *f)
{
	return portable_logic(size, a & b, f);
}
static inline uint64_t portable_do_or(unsigned size, uint64_t a, uint64_t b, uint16_t *f)
{
	return portable_logic(size, a | b, f);
}
static inline uint64_t portable_do_xor(unsigned size, uint64_t a, uint64_t b, uint16_t *f)
{
	return portable_logic(size, a ^ b, f);
}
static inline uint64_t portable_do_imul(unsigned size, uint64_t a, uint64_t b, uint16_t *f)
{
	return portable_imul(size, a, b, f);
}
static inline uint64_t portable_do_neg(unsigned size, uint64_t a, uint16_t *f)
{
	return portable_sbb(size, 0, a, 0, f);
}
static inline uint64_t portable_do_inc(unsigned size, uint64_t a, uint16_t *f)
{
	uint16_t carry = *f & IMG_CF;
	uint64_t r = portable_adc(size, a, 1, 0, f);

	*f = (uint16_t)((*f & ~IMG_CF) | carry);
	return r;
}
static inline uint64_t portable_do_dec(unsigned size, uint64_t a, uint16_t *f)
{
	uint16_t carry = *f & IMG_CF;
	uint64_t r = portable_sbb(size, a, 1, 0, f);

	*f = (uint16_t)((*f & ~IMG_CF) | carry);
	return r;
}
#endif

ALU_SIZES(ALU_BINARY, add, "add")
ALU_SIZES(ALU_BINARY, sub, "sub")
ALU_SIZES(ALU_BINARY, and, "and")
ALU_SIZES(ALU_BINARY, or, "or")
ALU_SIZES(ALU_BINARY, xor, "xor")
ALU_SIZES(ALU_CARRY, adc, "adc")
ALU_SIZES(ALU_CARRY, sbb, "sbb")
ALU_SIZES_248(ALU_MULTIPLY, imul, "imul")
ALU_SIZES(ALU_UNARY, neg, "neg")
ALU_SIZES(ALU_STEP, inc, "inc")
ALU_SIZES(ALU_STEP, dec, "dec")
ALU_SIZES(ALU_SHIFT, shl, "shl")
ALU_SIZES(ALU_SHIFT, shr, "shr")
ALU_SIZES(ALU_SHIFT, sar, "sar")
ALU_SIZES(ALU_TURN, rol, "rol")
ALU_SIZES(ALU_TURN, ror, "ror")
ALU_SIZES(ALU_ROTATE, rcl, "rcl")
ALU_SIZES(ALU_ROTATE, rcr, "rcr")
ALU_SIZES_248(ALU_DOUBLE_SHIFT, shld, "shld")
ALU_SIZES_248(ALU_DOUBLE_SHIFT, shrd, "shrd")

#endif
