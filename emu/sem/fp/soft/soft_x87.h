/* SPDX-License-Identifier: MIT */
/* Provider P, x87: what the functions of provider.h share. */
#ifndef BULKHEAD_EMU_FPU_SOFT_SOFT_X87_H
#define BULKHEAD_EMU_FPU_SOFT_SOFT_X87_H

#include "emu/sem/fp/provider_table.h"
#include "soft.h"

enum {
	SOFT_C0 = 0x100, SOFT_C1 = 0x200, SOFT_C2 = 0x400, SOFT_C3 = 0x4000,
	SOFT_ES = 0x80, SOFT_B = 0x8000,
	SOFT_X87_PRECISION = 64,
};

/* Direction of rounding and masks from the control word. */
struct sf_env soft_x87_env(const struct fp_x87 *x);

struct sf soft_x87_unpack(const struct x87_reg *r);
struct x87_reg soft_x87_pack(const struct sf *a);

/* An exception of the operands is unmasked: no result, the operands are left alone. */
static inline bool soft_x87_stopped(const struct sf_env *env)
{
	return env->flags & env->unmasked & SF_PRE;
}

/* The status word: flags, their summary, and the condition codes `cc`. */
void soft_x87_status(struct fp_x87 *x, const struct sf_env *env, unsigned cc);

/* Rounds `a` with `precision` into ST(n), unless stopped, and sets status with C1; `depth` registers are left. */
void soft_x87_result(struct fp_x87 *x, struct sf_env *env, unsigned precision, struct sf a, unsigned n,
		     unsigned depth);

/* IE for what no function is defined for. */
struct sf soft_x87_invalid(struct sf_env *env);

/* ---- soft_trig.c, soft_log.c: finite numbers other than zero; the sticky bit of the result is set ---- */

/* |a| < 2^63, reduced by Intel's pi of 66 bits. */
struct sf soft_sin(const struct sf *a);
struct sf soft_cos(const struct sf *a);
struct sf soft_tan(const struct sf *a);
/* The angle of the point (x, y), which may have zeroes and infinities. */
struct sf soft_atan2(const struct sf *y, const struct sf *x);
/* 2^a - 1, |a| <= 1 */
struct sf soft_exp2m1(const struct sf *a);
/* log2(a), a > 0; zero for one */
struct sf soft_log2(const struct sf *a);
/* log2(1 + a), a > -1 */
struct sf soft_log2p1(const struct sf *a);

#endif
