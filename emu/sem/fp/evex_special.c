/* SPDX-License-Identifier: MIT */
/* AVX-512 floating point on single elements: comparison, classes, exponents and significands, rounding, ranges. */
#include "evex_fp.h"

#define ELEMENT_SEM(name)                                                                                         \
	SEM(evex_##name)                                                                                          \
	{                                                                                                         \
		return evex_elements(e, i, name);                                                                 \
	}

/* Numbers in the order of their values, as integers; -0 before +0. */
static int64_t ordered(const struct fp_format *f, uint64_t x)
{
	const int64_t magnitude = (int64_t)(x & ~fp_sign_bit(f));

	return fp_sign(f, x) ? -magnitude - 1 : magnitude;
}

/* ---- comparison and classes -------------------------------------------------------------------------------- */

static uint64_t cmp(struct fp_context *c, uint64_t a, uint64_t b)
{
	const unsigned holds = fp_predicate_holds(c->imm & 31);
	const bool nan = fp_is_nan(c->f, a) || fp_is_nan(c->f, b);

	if (nan) {
		if (fp_is_snan(c->f, a) || fp_is_snan(c->f, b) || fp_predicate_signals(c->imm & 31))
			c->flags |= MXCSR_IE;
		return (holds & FP_UNORDERED) != 0;
	}
	a = fp_operand(c, a, true);
	b = fp_operand(c, b, true);
	if (a == b || (fp_is_zero(c->f, a) && fp_is_zero(c->f, b)))
		return (holds & FP_EQUAL) != 0;
	return (holds & (ordered(c->f, a) < ordered(c->f, b) ? FP_LESS : FP_GREATER)) != 0;
}

SEM(evex_cmp)
{
	return evex_elements_opmask(e, i, cmp);
}

/* VFPCLASSPS: any of the classes that the immediate names. */
static uint64_t fpclass(struct fp_context *c, uint64_t a, uint64_t b)
{
	const struct fp_format *f = c->f;
	const bool nan = fp_is_nan(f, b), negative = fp_sign(f, b), infinity = fp_is_infinity(f, b);
	const bool zero = fp_is_zero(f, fp_operand(c, b, false)), denormal = fp_is_denormal(f, b) && !zero;
	const unsigned classes = (nan && !fp_is_snan(f, b) ? 1u : 0) | (zero && !negative ? 2 : 0) | (zero && negative ? 4 : 0) |
				 (infinity && !negative ? 8 : 0) | (infinity && negative ? 16 : 0) | (denormal ? 32 : 0) |
				 (negative && !nan && !infinity && !zero ? 64 : 0) | (fp_is_snan(f, b) ? 128 : 0);

	return (classes & c->imm) != 0;
}

SEM(evex_fpclass)
{
	return evex_elements_opmask(e, i, fpclass);
}

/* ---- exponents and significands ---------------------------------------------------------------------------- */

/* floor(log2(|x|)) of a finite number other than zero. */
static int exponent_of(const struct fp_format *f, uint64_t x)
{
	int exponent;
	const uint64_t s = fp_significand(f, x, &exponent);

	return exponent + 63 - __builtin_clzll(s);
}

static uint64_t from_integer(struct fp_context *c, int64_t v)
{
	return v ? fp_pack(c, c->f, v < 0, (uint64_t)(v < 0 ? -v : v), 0) : 0;
}

static uint64_t getexp(struct fp_context *c, uint64_t a, uint64_t b)
{
	if (fp_is_nan(c->f, b))
		return fp_quiet(c, b);
	b = fp_operand(c, b, true);
	if (fp_is_infinity(c->f, b) || fp_is_zero(c->f, b))
		return fp_infinity(c->f, fp_is_zero(c->f, b));
	return from_integer(c, exponent_of(c->f, b));
}
ELEMENT_SEM(getexp)

/* The exponent that puts the significand into the interval: [1,2) [1/2,2) [1/2,1) [3/4,3/2). */
static int interval_exponent(unsigned interval, int exponent, bool upper_half)
{
	switch (interval) {
	case 0:
		return 0;
	case 1:
		return exponent & 1 ? -1 : 0;
	case 2:
		return -1;
	default:
		return upper_half ? -1 : 0;
	}
}

static uint64_t getmant(struct fp_context *c, uint64_t a, uint64_t b)
{
	const struct fp_format *f = c->f;
	uint64_t sign, s;
	int unused, e;

	if (fp_is_nan(f, b))
		return fp_quiet(c, b);
	/* What the sign control refuses is not looked at any closer: IE, but no DE. */
	if ((c->imm & 8) && fp_sign(f, b) && !fp_is_zero(f, fp_operand(c, b, false))) {
		c->flags |= MXCSR_IE;
		return fp_indefinite(f);
	}
	b = fp_operand(c, b, true);
	sign = c->imm & 4 ? 0 : b & fp_sign_bit(f);
	if (fp_is_infinity(f, b) || fp_is_zero(f, b))
		return sign | fp_power(f, 0);
	e = exponent_of(f, b);
	s = fp_significand(f, b, &unused);
	s <<= f->fraction - (63 - (unsigned)__builtin_clzll(s));
	return sign | fp_power(f, interval_exponent(c->imm & 3, e, s >> (f->fraction - 1) & 1)) | fp_fraction(f, s);
}
ELEMENT_SEM(getmant)

/* floor(x), as far as it matters for an exponent. */
static int floor_of(const struct fp_format *f, uint64_t x)
{
	enum { ENOUGH = 1 << 16 };
	const bool negative = fp_sign(f, x);
	int exponent;
	const uint64_t s = fp_significand(f, x, &exponent);
	bool exact;

	if (s == 0)
		return 0;
	if (exponent_of(f, x) > 15)
		return negative ? -ENOUGH : ENOUGH;
	const int v = (int)(exponent >= 0 ? s << exponent : fp_shift_round(s, (unsigned)-exponent, negative, FP_DOWN, &exact));
	return negative ? -v : v;
}

/* VSCALEF's NaNs and infinities (SDM vol. 2, table 5-39 f.); true if *r is the result. */
static bool scalef_special(struct fp_context *c, uint64_t a, uint64_t b, uint64_t *r)
{
	const struct fp_format *f = c->f;

	if (fp_is_nan(f, a) || fp_is_nan(f, b)) {
		c->flags |= fp_is_snan(f, a) || fp_is_snan(f, b) ? MXCSR_IE : 0;
		if (fp_is_nan(f, a) && !fp_is_snan(f, a) && fp_is_infinity(f, b))
			*r = fp_sign(f, b) ? 0 : fp_infinity(f, false);
		else
			*r = fp_quiet(c, fp_is_nan(f, a) ? a : b);
		return true;
	}
	if (!fp_is_infinity(f, a) && !fp_is_infinity(f, b))
		return false;
	if (!fp_is_infinity(f, b)) {
		*r = a;
	} else if (fp_sign(f, b) ? fp_is_infinity(f, a) : fp_is_zero(f, a)) {
		c->flags |= MXCSR_IE;
		*r = fp_indefinite(f);
	} else {
		*r = fp_sign(f, b) ? a & fp_sign_bit(f) : fp_infinity(f, fp_sign(f, a));
	}
	return true;
}

static uint64_t scalef(struct fp_context *c, uint64_t a, uint64_t b)
{
	uint64_t r, s;
	int exponent;

	if (fp_is_nan(c->f, a) || fp_is_nan(c->f, b)) {
		scalef_special(c, a, b, &r);
		return r;
	}
	a = fp_operand(c, a, true);
	b = fp_operand(c, b, false);
	if (scalef_special(c, a, b, &r))
		return r;
	s = fp_significand(c->f, a, &exponent);
	return s ? fp_pack(c, c->f, fp_sign(c->f, a), s, exponent + floor_of(c->f, b)) : a;
}
ELEMENT_SEM(scalef)

/* ---- rounding to a fraction of 2^-M -------------------------------------------------------------------------- */

static enum fp_rounding imm_rounding(const struct fp_context *c)
{
	return c->imm & 4 ? fp_rounding_of(c->mxcsr) : (enum fp_rounding)(c->imm & 3);
}

/* b = (whole * 2^shift + rest) * 2^exponent, where whole is b * 2^M rounded. False if b is a multiple of 2^-M anyway. */
struct split {
	uint64_t significand, whole;
	unsigned shift;
	int exponent;
	bool exact;
};

static bool split(const struct fp_context *c, uint64_t b, struct split *s)
{
	const int m = (int)(c->imm >> 4);

	s->significand = fp_significand(c->f, b, &s->exponent);
	if (s->exponent >= -m)
		return false;
	s->shift = (unsigned)(-m - s->exponent);
	s->whole = fp_shift_round(s->significand, s->shift, fp_sign(c->f, b), imm_rounding(c), &s->exact);
	return !s->exact;
}

static void raise_inexact(struct fp_context *c)
{
	if (!(c->imm & 8))
		c->flags |= MXCSR_PE;
}

static uint64_t rndscale(struct fp_context *c, uint64_t a, uint64_t b)
{
	struct split s;

	if (fp_is_nan(c->f, b))
		return fp_quiet(c, b);
	b = fp_operand(c, b, false);
	if (fp_is_infinity(c->f, b) || !split(c, b, &s))
		return b;
	raise_inexact(c);
	if (s.whole == 0)
		return b & fp_sign_bit(c->f);
	return fp_pack(c, c->f, fp_sign(c->f, b), s.whole, -(int)(c->imm >> 4));
}
ELEMENT_SEM(rndscale)

/* |b| - |b rounded|, not zero, as significand * 2^exponent; true if it is negative. What does not fit 64 bits leaves its
 * trace in the lowest one. */
static bool difference(const struct split *s, int m, uint64_t *significand, int *exponent)
{
	enum { STICKY = 62, WIDE = 126 };
	const unsigned __int128 whole = s->shift > WIDE ? 0 : (unsigned __int128)s->whole << s->shift;
	const bool up = s->shift > WIDE ? s->whole != 0 : whole > s->significand;
	unsigned __int128 d = up ? whole - s->significand : s->significand - whole;

	*exponent = s->exponent;
	if (up && s->shift > WIDE) { /* 2^-m less something far below */
		d = (1ull << STICKY) - 1;
		*exponent = -m - STICKY;
	}
	for (; d >> 64; ++*exponent)
		d = d >> 1 | (d & 1);
	*significand = (uint64_t)d;
	return up;
}

/* What rounding leaves, itself rounded in the same direction. A difference of zero has the sign that this gives it.
 * Precision is reported for the first rounding as well (SDM vol. 2, ReduceArgumentDP); AMD reports the second one only. */
static uint64_t reduce(struct fp_context *c, uint64_t a, uint64_t b)
{
	const struct fp_format *f = c->f;
	const enum fp_rounding rounding = imm_rounding(c);
	struct fp_context quiet = { .mxcsr = MXCSR_MASKS | (uint32_t)rounding << MXCSR_RC_SHIFT };
	uint64_t significand;
	struct split s;
	int exponent;
	bool up;

	if (fp_is_nan(f, b))
		return fp_quiet(c, b);
	b = fp_operand(c, b, false);
	if (fp_is_infinity(f, b))
		return 0;
	if (!split(c, b, &s))
		return rounding == FP_DOWN ? fp_sign_bit(f) : 0;
	raise_inexact(c);
	if (c->mxcsr & MXCSR_UM) /* else FTZ has no effect */
		quiet.mxcsr |= c->mxcsr & MXCSR_FTZ;
	up = difference(&s, (int)(c->imm >> 4), &significand, &exponent);
	return fp_pack(&quiet, f, fp_sign(f, b) != up, significand, exponent);
}
ELEMENT_SEM(reduce)

/* ---- minima and maxima with a choice of signs ----------------------------------------------------------------- */

static uint64_t range_pick(const struct fp_format *f, unsigned how, uint64_t a, uint64_t b)
{
	const uint64_t sign = fp_sign_bit(f);
	bool a_is_less = ordered(f, a) <= ordered(f, b);

	if ((how & 2) && (a & ~sign) != (b & ~sign))
		a_is_less = (a & ~sign) < (b & ~sign);
	return a_is_less == !(how & 1) ? a : b;
}

static uint64_t range(struct fp_context *c, uint64_t a, uint64_t b)
{
	const struct fp_format *f = c->f;
	const uint64_t sign = fp_sign_bit(f), a_sign = a & sign;
	uint64_t r;

	if (fp_is_snan(f, a) || fp_is_snan(f, b))
		return fp_quiet(c, fp_is_snan(f, a) ? a : b);
	if (fp_is_nan(f, a) && fp_is_nan(f, b))
		r = a;
	else if (fp_is_nan(f, a) || fp_is_nan(f, b))
		r = fp_operand(c, fp_is_nan(f, a) ? b : a, false);
	else
		r = range_pick(f, c->imm & 3, fp_operand(c, a, true), fp_operand(c, b, true));
	switch (c->imm >> 2 & 3) {
	case 0:
		return (r & ~sign) | a_sign;
	case 1:
		return r;
	case 2:
		return r & ~sign;
	default:
		return r | sign;
	}
}
ELEMENT_SEM(range)

/* ---- VFIXUPIMM: a table of responses in each element of W ------------------------------------------------------ */

enum token {
	TOKEN_QNAN, TOKEN_SNAN, TOKEN_ZERO, TOKEN_ONE, TOKEN_MINUS_INF, TOKEN_PLUS_INF, TOKEN_NEGATIVE, TOKEN_POSITIVE,
};

static enum token token_of(const struct fp_format *f, uint64_t x)
{
	if (fp_is_nan(f, x))
		return fp_is_snan(f, x) ? TOKEN_SNAN : TOKEN_QNAN;
	if (fp_is_zero(f, x))
		return TOKEN_ZERO;
	if (x == fp_power(f, 0))
		return TOKEN_ONE;
	if (fp_is_infinity(f, x))
		return fp_sign(f, x) ? TOKEN_MINUS_INF : TOKEN_PLUS_INF;
	return fp_sign(f, x) ? TOKEN_NEGATIVE : TOKEN_POSITIVE;
}

/* Bits of the immediate that ask for a flag when a token is met. */
static uint32_t token_flags(enum token t, unsigned imm)
{
	switch (t) {
	case TOKEN_ZERO:
		return (imm & 1 ? MXCSR_ZE : 0) | (imm & 2 ? MXCSR_IE : 0);
	case TOKEN_ONE:
		return (imm & 4 ? MXCSR_ZE : 0) | (imm & 8 ? MXCSR_IE : 0);
	case TOKEN_SNAN:
		return imm & 16 ? MXCSR_IE : 0;
	case TOKEN_MINUS_INF:
		return imm & 32 ? MXCSR_IE : 0;
	case TOKEN_NEGATIVE:
		return imm & 64 ? MXCSR_IE : 0;
	case TOKEN_PLUS_INF:
		return imm & 128 ? MXCSR_IE : 0;
	case TOKEN_QNAN:
	case TOKEN_POSITIVE:
		break;
	}
	return 0;
}

static uint64_t fixupimm(struct fp_context *c, uint64_t a, uint64_t b)
{
	const struct fp_format *f = c->f;
	const uint64_t sign = fp_sign_bit(f), x = fp_operand(c, a, false), largest = fp_infinity(f, false) - 1;
	const enum token t = token_of(f, x);

	c->flags |= token_flags(t, c->imm);
	switch (b >> 4 * t & 15) {
	case 0:
		return c->old;
	case 1:
		return x;
	case 2:
		return x | fp_infinity(f, false) | fp_quiet_bit(f);
	case 3:
		return fp_indefinite(f);
	case 4:
		return fp_infinity(f, true);
	case 5:
		return fp_infinity(f, false);
	case 6:
		return fp_infinity(f, fp_sign(f, x));
	case 7:
		return sign;
	case 8:
		return 0;
	case 9:
		return sign | fp_power(f, 0);
	case 10:
		return fp_power(f, 0);
	case 11:
		return fp_power(f, -1);
	case 12:
		return fp_power(f, 6) + (26ull << (f->fraction - 6)); /* 90 = 2^6 * (1 + 26/64) */
	case 13:
		return f == &fp_double ? 0x3ff921fb54442d18 : 0x3fc90fdb; /* pi/2 */
	case 14:
		return largest;
	default:
		return sign | largest;
	}
}
ELEMENT_SEM(fixupimm)
