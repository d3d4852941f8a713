/* SPDX-License-Identifier: MIT */
/*
 * Soft floating point in plain C: the core that all formats share. A number is taken apart (sf_unpack()), operated on
 * as sign, exponent and 128 bits of significand, and rounded once into its format (sf_round(), sf_pack()).
 *
 * Nothing here uses the host's floating point. Flags are those of MXCSR and of the x87 status word, which agree.
 */
#ifndef BULKHEAD_EMU_FPU_SOFT_SOFT_H
#define BULKHEAD_EMU_FPU_SOFT_SOFT_H

#include <stdbool.h>
#include <stdint.h>

typedef unsigned __int128 u128;

enum { SF_IE = 0x01, SF_DE = 0x02, SF_ZE = 0x04, SF_OE = 0x08, SF_UE = 0x10, SF_PE = 0x20, SF_FLAGS = 0x3f };
enum { SF_PRE = SF_IE | SF_DE | SF_ZE }; /* found before anything is computed */
enum { SF_NEAREST, SF_DOWN, SF_UP, SF_CHOP };

enum sf_class {
	SF_ZERO,
	SF_FINITE,
	SF_INF,
	SF_QNAN,
	SF_SNAN,
	SF_UNSUPPORTED, /* x87: unnormals, pseudo-infinities, pseudo-NaNs */
};

/*
 * SF_FINITE: the value is sig * 2^(exp - 127), and bit 127 of sig is set, except after sf_round(), which leaves a
 * denormal number as the format stores it. The lowest bit of an intermediate result is sticky: the exact value may
 * lie above, by less than one unit. NaN: bit 127 of sig is set, bit 126 the quiet bit, the payload below.
 */
struct sf {
	u128 sig;
	int32_t exp;
	enum sf_class class;
	bool sign;
	bool denormal; /* was a denormal in the format that it came from */
};

/* Precision counts the integer bit; the bias is also the largest exponent. */
struct sf_format {
	uint8_t precision;
	uint8_t width;
	int16_t bias;
};
extern const struct sf_format sf_f16, sf_bf16, sf_f32, sf_f64, sf_f80;

/* How to compute, and what happened. */
struct sf_env {
	uint32_t flags;	   /* SF_*, only ever added to */
	uint32_t unmasked; /* SF_OE and SF_UE there give biased results (x87), or only flags (SSE) */
	uint8_t rc;	   /* SF_NEAREST... */
	bool daz, ftz;
	bool x87; /* the x87's choice between two NaNs */
	bool up;  /* the last sf_round() made the magnitude larger: C1 */
};

static inline bool sf_is_nan(const struct sf *a)
{
	return a->class >= SF_QNAN;
}

static inline unsigned sf_clz(u128 v)
{
	const uint64_t high = (uint64_t)(v >> 64);

	return high ? (unsigned)__builtin_clzll(high) : 64 + (unsigned)__builtin_clzll((uint64_t)v);
}

/* v >> n for any n, what is shifted out collected in the lowest bit. */
static inline u128 sf_shift_jam(u128 v, uint32_t n)
{
	if (n == 0)
		return v;
	if (n > 127)
		return v != 0;
	return v >> n | ((v << (128 - n)) != 0);
}

/* A finite number from any sig, which is normalised; sig 0 gives zero. */
struct sf sf_make(bool sign, int32_t exp, u128 sig);
struct sf sf_from_u64(bool sign, uint64_t value);
struct sf sf_zero(bool sign);
struct sf sf_inf(bool sign);
struct sf sf_default_nan(void);

/* ---- soft_pack.c ---- */

/* Takes an IEEE format apart; denormals are zero with env->daz. Raises nothing. */
struct sf sf_unpack(const struct sf_env *env, const struct sf_format *f, uint64_t bits);

/* Rounds into the exponent range of f with `precision` bits (f->precision, or less by the x87's precision control). */
struct sf sf_round(struct sf_env *env, const struct sf_format *f, unsigned precision, struct sf a);

/* The bits of a rounded number, zero, infinity or NaN (which is quieted). */
uint64_t sf_pack(const struct sf_format *f, const struct sf *a);

/* Both in one. */
uint64_t sf_finish(struct sf_env *env, const struct sf_format *f, struct sf a);

/* ---- soft_arith.c: exact but for the sticky bit; raise IE, DE, ZE ---- */

struct sf sf_add(struct sf_env *env, struct sf a, struct sf b);
struct sf sf_sub(struct sf_env *env, struct sf a, struct sf b);
struct sf sf_mul(struct sf_env *env, struct sf a, struct sf b);
struct sf sf_div(struct sf_env *env, struct sf a, struct sf b);
struct sf sf_sqrt(struct sf_env *env, struct sf a);
/* a * b + c; a NaN among them is taken in the order a, b, c. */
struct sf sf_fma(struct sf_env *env, struct sf a, struct sf b, struct sf c);

/* Raises what NaNs and denormals raise; true if one is a NaN, and then *r is the result. */
bool sf_operands(struct sf_env *env, const struct sf *a, const struct sf *b, struct sf *r);
/* Sum of finite numbers or zeroes, without flags (env chooses the sign of an exact zero). */
struct sf sf_add_finite(const struct sf_env *env, struct sf a, struct sf b);

/* ---- soft_convert.c ---- */

enum { SF_LESS = 1, SF_EQUAL = 2, SF_GREATER = 4, SF_UNORDERED = 8 };

/* Compares; IE for a signalling NaN, or for any if `signalling`. */
unsigned sf_compare(struct sf_env *env, const struct sf *a, const struct sf *b, bool signalling);
/* The same without flags, of what are no NaNs. */
unsigned sf_order(const struct sf *a, const struct sf *b);

/* Rounds a finite number to an integer; *inexact tells whether that changed it, env->up whether it grew. */
struct sf sf_to_integral(struct sf_env *env, struct sf a, bool *inexact);
/* Truncates to the low 64 bits of a number that is an integer. */
uint64_t sf_low_u64(const struct sf *a);
/* To a signed integer of `bits`; out of range or NaN: IE and the most negative one. PE when inexact. */
uint64_t sf_to_signed(struct sf_env *env, struct sf a, unsigned bits);
/* To an unsigned one (AVX-512); out of range: IE and all ones. */
uint64_t sf_to_unsigned(struct sf_env *env, struct sf a, unsigned bits);

#endif
