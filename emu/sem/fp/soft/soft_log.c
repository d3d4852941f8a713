/* SPDX-License-Identifier: MIT */
/* Provider P, x87: powers and logarithms of two. */
#include "soft_wide.h"
#include "soft_x87.h"

enum { EXP_TERMS = 34 }; /* ln(2)^34 / 35! < 2^-140 */

/* With t = a * ln(2): t * (1 + t/2 * (1 + t/3 * ...)) */
struct sf soft_exp2m1(const struct sf *a)
{
	const struct sf t = wide_mul(*a, wide_ln2());
	const u128 fraction = wide_fraction(&t);
	u128 sum = WIDE_ONE;

	/* The two exact results. */
	if (a->exp == 0)
		return sf_make(a->sign, a->sign ? -1 : 0, WIDE_ONE);
	for (unsigned k = EXP_TERMS; k > 1; k--) {
		const u128 term = wide_mulhi(fraction, sum) / k;

		sum = a->sign ? WIDE_ONE - term : WIDE_ONE + term;
	}
	return wide_mul(t, wide_from_fixed(false, sum));
}

enum { LOG_TERMS = 26 }; /* |z| <= 3 - 2 * sqrt(2): z^52 < 2^-128 */

/* log2((1 + z)/(1 - z)) = 2 / ln(2) * (z + z^3/3 + z^5/5 ...) */
static struct sf log2_series(const struct sf *z)
{
	const u128 square = wide_square(z);
	u128 sum = 0;

	if (z->class == SF_ZERO)
		return *z;
	for (unsigned k = LOG_TERMS; k-- > 0;)
		sum = WIDE_ONE / (2 * k + 1) + wide_mulhi(square, sum);
	return wide_mul(wide_mul(*z, wide_from_fixed(false, sum)), wide_log2_e(1));
}

/* a = m * 2^n with m between sqrt(1/2) and sqrt(2): near one, n is zero, and nothing cancels. */
struct sf soft_log2(const struct sf *a)
{
	struct sf m = *a, z;
	int32_t n = a->exp;

	m.exp = 0;
	if (m.sig > WIDE(0xb504f333f9de6484, 0)) {
		m.exp = -1;
		n++;
	}
	z = wide_sub(m, wide_one());
	if (z.class != SF_ZERO)
		z = wide_div(z, wide_add(m, wide_one()));
	z = log2_series(&z);
	return wide_add(z, sf_from_u64(n < 0, (uint64_t)(n < 0 ? -n : n)));
}

struct sf soft_log2p1(const struct sf *a)
{
	struct sf sum;

	/* Up to 1/4 in magnitude, z = a/(a + 2) is small enough for the series. */
	if (a->exp < -2) {
		sum = wide_div(*a, wide_add(*a, sf_from_u64(false, 2)));
		return log2_series(&sum);
	}
	sum = wide_add(*a, wide_one());
	return soft_log2(&sum);
}
