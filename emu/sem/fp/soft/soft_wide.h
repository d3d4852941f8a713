/* SPDX-License-Identifier: MIT */
/*
 * Numbers of 128 bits of significand, for the transcendental functions: struct sf with all bits in use, truncated at
 * each step, so that a result of a few steps is good to about 120 bits. And fixed point: a u128 is a fraction in units
 * of 2^-128, or with WIDE_ONE as one, in units of 2^-127.
 */
#ifndef BULKHEAD_EMU_FPU_SOFT_SOFT_WIDE_H
#define BULKHEAD_EMU_FPU_SOFT_SOFT_WIDE_H

#include "soft.h"

#define WIDE_ONE ((u128)1 << 127)
#define WIDE(high, low) ((u128)(high) << 64 | (low))

/* The upper half of the product. */
u128 wide_mulhi(u128 a, u128 b);

struct sf wide_mul(struct sf a, struct sf b);
struct sf wide_div(struct sf a, struct sf b);
struct sf wide_add(struct sf a, struct sf b);
struct sf wide_sub(struct sf a, struct sf b);

/* |a| < 1 in units of 2^-128, and its square. */
u128 wide_fraction(const struct sf *a);
u128 wide_square(const struct sf *a);

/* A fixed-point number in units of 2^-127. */
struct sf wide_from_fixed(bool sign, u128 value);

/* The next number nearer to zero, for what is known to be less than computed, if by less than can be computed. */
struct sf wide_below(struct sf a);

struct sf wide_one(void);
struct sf wide_pi(int scale); /* pi * 2^scale */
struct sf wide_ln2(void);
struct sf wide_log2_e(int scale); /* log2(e) * 2^scale */

#endif
