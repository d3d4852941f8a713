/* SPDX-License-Identifier: MIT */
/*
 * VRCP14xx and VRSQRT14xx on whole vectors (64 bytes). Their results are approximations with a relative error below
 * 2^-14, of which makers of processors choose the bits: a host with AVX-512 gives its own, others get the correctly
 * rounded quotient, with its significand cut to 14 bits, which is within that error.
 */
#include "host_mxcsr.h"

#include <cpuid.h>
#include <string.h>

static bool host_has_avx512f(void)
{
	static int known = -1;
	unsigned a, b, c, d, xcr0 = 0;

	if (known >= 0)
		return known;
	known = 0;
	if (__get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE) && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX512F)) {
		__asm__("xgetbv" : "=a"(xcr0), "=d"(d) : "c"(0));
		known = (xcr0 & 0xe6) == 0xe6;
	}
	return known;
}

#define HOST_512(name)                                                                                            \
	static void host_##name(union vec *d, const union vec *s, uint32_t mxcsr)                                 \
	{                                                                                                         \
		const uint32_t host = host_mxcsr_enter(mxcsr);                                                    \
		__asm__ volatile("v" #name " (%[s]), %%zmm0\n\t"                                                  \
				 "vmovdqu64 %%zmm0, (%[d])\n\t"                                                   \
				 "vzeroupper"                                                                     \
				 :                                                                                \
				 : [d] "r"(d), [s] "r"(s)                                                         \
				 : "xmm0", "memory");                                                             \
		host_mxcsr_leave(host, mxcsr);                                                                    \
	}
HOST_512(rcp14ps)
HOST_512(rcp14pd)
HOST_512(rsqrt14ps)
HOST_512(rsqrt14pd)

enum { DROPPED32 = 23 - 14, DROPPED64 = 52 - 14 };

/* Cut towards zero; NaNs keep their payload. */
static void cut32(union vec *v)
{
	for (unsigned k = 0; k < 4; k++)
		if ((v->u32[k] & 0x7fffffff) <= 0x7f800000)
			v->u32[k] &= ~((1u << DROPPED32) - 1);
}

static void cut64(union vec *v)
{
	for (unsigned k = 0; k < 2; k++)
		if ((v->u64[k] & 0x7fffffffffffffff) <= 0x7ff0000000000000)
			v->u64[k] &= ~((1ull << DROPPED64) - 1);
}

static const union vec one32 = { .u32 = { 0x3f800000, 0x3f800000, 0x3f800000, 0x3f800000 } };
static const union vec one64 = { .u64 = { 0x3ff0000000000000, 0x3ff0000000000000 } };

/* 1 / s or 1 / sqrt(s), 16 bytes at a time, to nearest. */
static void quotient(union vec *d, const union vec *s, uint32_t mxcsr, bool twice, bool root)
{
	mxcsr &= ~0x6000u;
	for (unsigned at = 0; at < sizeof(*d); at += 16) {
		union vec q = twice ? one64 : one32, v;

		memcpy(&v, s->u8 + at, 16);
		if (root && twice)
			fp_sqrtpd(&v, &v, mxcsr);
		else if (root)
			fp_sqrtps(&v, &v, mxcsr);
		if (twice) {
			fp_divpd(&q, &v, mxcsr);
			cut64(&q);
		} else {
			fp_divps(&q, &v, mxcsr);
			cut32(&q);
		}
		memcpy(d->u8 + at, &q, 16);
	}
}

#define APPROXIMATION(name, twice, root)                                                                          \
	uint32_t fp_##name(union vec *d, const union vec *s, uint32_t mxcsr)                                      \
	{                                                                                                         \
		if (host_has_avx512f())                                                                           \
			host_##name(d, s, mxcsr);                                                                 \
		else                                                                                              \
			quotient(d, s, mxcsr, twice, root);                                                       \
		return 0;                                                                                         \
	}
APPROXIMATION(rcp14ps, false, false)
APPROXIMATION(rcp14pd, true, false)
APPROXIMATION(rsqrt14ps, false, true)
APPROXIMATION(rsqrt14pd, true, true)
