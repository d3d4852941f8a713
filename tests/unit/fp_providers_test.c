/* SPDX-License-Identifier: MIT */
/*
 * The two floating-point providers against each other: every function of provider.h for SSE, FMA3 and F16C, P (portable
 * C) against H (this processor), results and flags bit by bit, in all directions of rounding, with and without DAZ and FTZ. RCP and RSQRT
 * are approximations that processors are free in: their errors are measured against the architecture's bound.
 */
#include "emu/isa/isa.h"
#include "emu/native/host.h"
#include "emu/sem/fp/provider_table.h"
#include "fp_operands.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROUNDS = 40000 };
enum { MASKED = 0x1f80, DAZ = 1 << 6, FTZ = 1 << 15, RC_SHIFT = 13 };

enum element { F16, F32, F64, I32, I64 };

struct function {
	const char *name;
	fp_sse_fn *host, *soft;
};

#define FUNCTION(name) { #name, host_##name, soft_##name },
static const struct function sse[] = { FP_SSE_ALL(FUNCTION) }, fma3[] = { FP_FMA_ALL(FUNCTION) };

static bool starts(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

/* What the operands of a function are, by its name. */
static enum element element_of(const char *name)
{
	if (starts(name, "cvtph"))
		return F16;
	if (starts(name, "cvtdq") || starts(name, "cvtsi"))
		return I32;
	if (starts(name, "cvtpd") || starts(name, "cvttpd") || starts(name, "cvtsd") || starts(name, "cvttsd"))
		return F64;
	if (starts(name, "cvt"))
		return F32;
	return name[strlen(name) - 1] == 'd' ? F64 : F32;
}

static void fill(struct fp_random *r, union vec *v, const union vec *other, enum element element)
{
	for (unsigned k = 0; k < 8; k++) {
		switch (element) {
		case F16:
			v->u64[k] = fp_next(r) & 0x7fff7fff7fff7fff;
			v->u16[4 * k] = (uint16_t)fp_number(r, 5, 10, other->u16[4 * k]);
			break;
		case F32:
			v->u32[2 * k] = (uint32_t)fp_number(r, 8, 23, other->u32[2 * k]);
			v->u32[2 * k + 1] = (uint32_t)fp_number(r, 8, 23, other->u32[2 * k + 1]);
			break;
		case F64:
			v->u64[k] = fp_number(r, 11, 52, other->u64[k]);
			break;
		case I32:
		case I64:
			v->u64[k] = fp_fraction(r, 64) ^ (fp_next(r) & 1 ? UINT64_MAX : 0);
			break;
		}
	}
}

static uint32_t some_mxcsr(struct fp_random *r)
{
	return MASKED | (uint32_t)fp_below(r, 4) << RC_SHIFT | (fp_below(r, 3) ? 0 : DAZ) | (fp_below(r, 3) ? 0 : FTZ);
}

static void report(const struct function *f, const union vec *a, const union vec *s, uint32_t mxcsr, const union vec *host,
		   uint32_t host_flags, const union vec *soft, uint32_t soft_flags)
{
	fprintf(stderr, "%s mxcsr %04x\n", f->name, mxcsr);
	for (unsigned k = 0; k < 4; k++)
		fprintf(stderr, "  [%u] %016lx %016lx %016lx host %016lx soft %016lx%s\n", k, (unsigned long)a->u64[k],
			(unsigned long)s[0].u64[k], (unsigned long)s[1].u64[k], (unsigned long)host->u64[k],
			(unsigned long)soft->u64[k], host->u64[k] != soft->u64[k] ? " <" : "");
	fprintf(stderr, "  flags host %02x soft %02x\n", host_flags, soft_flags);
}

/* Runs both; the number of cases in which they differ. */
static unsigned differences(const struct function *f, unsigned bytes, unsigned seed)
{
	struct fp_random r = { seed };
	unsigned different = 0;

	for (unsigned n = 0; n < ROUNDS; n++) {
		union vec a, s[2], host, soft;
		const uint32_t mxcsr = some_mxcsr(&r);
		uint32_t host_flags, soft_flags;

		memset(&a, 0, sizeof(a));
		fill(&r, &a, &a, element_of(f->name));
		fill(&r, &s[0], &a, element_of(f->name));
		fill(&r, &s[1], n & 1 ? &a : &s[0], element_of(f->name));
		host = soft = a;
		host_flags = f->host(&host, s, mxcsr);
		soft_flags = f->soft(&soft, s, mxcsr);
		if (memcmp(&host, &soft, bytes) == 0 && host_flags == soft_flags)
			continue;
		if (different++ < 2)
			report(f, &a, s, mxcsr, &host, host_flags, &soft, soft_flags);
	}
	return different;
}

static bool is_approximation(const char *name)
{
	return starts(name, "rcp") || starts(name, "rsqrt");
}

Test(fp_providers, sse)
{
	unsigned functions = 0;

	cr_assert(native_has(FEAT_SSE41));
	for (unsigned n = 0; n < sizeof(sse) / sizeof(sse[0]); n++) {
		if (is_approximation(sse[n].name))
			continue;
		cr_expect_eq(differences(&sse[n], 16, n + 1), 0, "%s", sse[n].name);
		functions++;
	}
	printf("%u SSE functions, %u vectors each: identical but for what is reported\n", functions, ROUNDS);
}

Test(fp_providers, fma)
{
	if (!native_has(FEAT_FMA) || !native_has(FEAT_F16C))
		cr_skip_test("this processor has no FMA3 or F16C");
	for (unsigned n = 0; n < sizeof(fma3) / sizeof(fma3[0]); n++)
		cr_expect_eq(differences(&fma3[n], 32, n + 1000), 0, "%s", fma3[n].name);
	printf("%zu FMA3 and F16C functions, %u vectors each\n", sizeof(fma3) / sizeof(fma3[0]), ROUNDS);
}

static float as_float(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* |approximation / exact - 1| in units of 2^-12; zero where the exact value has no such error (special operands). */
static double error_of(uint32_t operand, uint32_t result, bool is_root)
{
	const double x = as_float(operand), exact = is_root ? 1 / sqrt(x) : 1 / x;

	if (!isnormal(as_float(operand)) || !isnormal(as_float(result)))
		return 0;
	return fabs(as_float(result) / exact - 1) * 4096;
}

static bool is_special(uint32_t bits)
{
	return !isnormal(as_float(bits));
}

static void approximation(const struct function *f, bool is_root, unsigned count)
{
	struct fp_random r = { 77 };
	double worst_host = 0, worst_soft = 0;
	unsigned differ = 0;

	for (unsigned n = 0; n < 4 * ROUNDS; n++) {
		union vec a = { .u64 = { 0 } }, s[2], host, soft;
		double error;

		fill(&r, &s[0], &a, F32);
		host = soft = a;
		cr_assert_eq(f->host(&host, s, MASKED), f->soft(&soft, s, MASKED));
		for (unsigned k = 0; k < count; k++) {
			differ += host.u32[k] != soft.u32[k];
			if (is_special(host.u32[k]) || is_special(s[0].u32[k])) {
				/* Within the bound, some results may be tiny on one side only. */
				if ((s[0].u32[k] & 0x7fffffff) >> 14 != 0x7e800000 >> 14)
					cr_expect_eq(host.u32[k], soft.u32[k], "%s(%08x): %08x %08x", f->name, s[0].u32[k],
						     host.u32[k], soft.u32[k]);
				continue;
			}
			error = error_of(s[0].u32[k], host.u32[k], is_root);
			worst_host = error > worst_host ? error : worst_host;
			error = error_of(s[0].u32[k], soft.u32[k], is_root);
			worst_soft = error > worst_soft ? error : worst_soft;
		}
		cr_assert_eq(memcmp(host.u32 + count, soft.u32 + count, 16 - 4 * count), 0);
	}
	printf("%s: largest relative error host %.3f * 2^-12, portable %.3f * 2^-12, %u of %u differ\n", f->name, worst_host,
	       worst_soft, differ, 4 * ROUNDS * count);
	cr_expect_leq(worst_host, 1.5);
	cr_expect_leq(worst_soft, 1.5);
}

Test(fp_providers, approximations)
{
	for (unsigned n = 0; n < sizeof(sse) / sizeof(sse[0]); n++) {
		if (!is_approximation(sse[n].name))
			continue;
		approximation(&sse[n], sse[n].name[1] == 's', sse[n].name[strlen(sse[n].name) - 2] == 'p' ? 4 : 1);
	}
}

/* AVX-512's: the error of each provider below 2^-14 (SDM vol. 2, VRCP14PD, VRSQRT14PD). */
static void approximation14(const struct function *f, bool is_root)
{
	const bool twice = f->name[strlen(f->name) - 1] == 'd';
	struct fp_random r = { 14 };
	double worst = 0;

	for (unsigned n = 0; n < ROUNDS; n++) {
		union vec d = { .u64 = { 0 } }, s;
		double x, y;
		float x32, y32;

		for (unsigned k = 0; k < 8; k++)
			s.u64[k] = twice ? 0x3f00000000000000 + fp_next(&r) % 0x00ff000000000000
					 : (0x3000000030000000 + (fp_next(&r) & 0x0fffffff0fffffff));
		f->soft(&d, &s, MASKED);
		memcpy(&x, &s.u64[n % 8], 8);
		memcpy(&y, &d.u64[n % 8], 8);
		memcpy(&x32, &s.u32[n % 16], 4);
		memcpy(&y32, &d.u32[n % 16], 4);
		if (!twice) {
			x = (double)x32;
			y = (double)y32;
		}
		y = fabs(is_root ? y * sqrt(x) - 1 : y * x - 1);
		worst = y > worst ? y : worst;
	}
	printf("%s: largest relative error, portable %.3f * 2^-14\n", f->name, worst * 16384);
	cr_expect_lt(worst * 16384, 1);
	cr_expect_gt(worst, 0);
}

Test(fp_providers, approximations14)
{
	static const struct function approx[] = { FP_APPROX_ALL(FUNCTION) };

	for (unsigned n = 0; n < sizeof(approx) / sizeof(approx[0]); n++)
		approximation14(&approx[n], approx[n].name[1] == 's');
}
