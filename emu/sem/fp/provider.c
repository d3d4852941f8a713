/* SPDX-License-Identifier: MIT */
/* Sends each floating-point call to the provider chosen at start-up (provider.h). */
#include "emu/isa/isa.h"
#include "emu/native/host.h"
#include "provider_table.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MEMBER_SSE(name) fp_sse_fn *name;
#define MEMBER_X87(name) fp_x87_fn *name;
struct base_table {
	FP_SSE_ALL(MEMBER_SSE)
	FP_X87_ALL(MEMBER_X87)
};
struct fma_table {
	FP_FMA_ALL(MEMBER_SSE)
};
struct approx_table {
	FP_APPROX_ALL(MEMBER_SSE)
};

#define SOFT(name) .name = soft_##name,
static const struct base_table soft_base = { FP_SSE_ALL(SOFT) FP_X87_ALL(SOFT) };
static const struct fma_table soft_fma = { FP_FMA_ALL(SOFT) };
static const struct approx_table soft_approx = { FP_APPROX_ALL(SOFT) };

#ifdef HOST_X86_64
#define HOST(name) .name = host_##name,
static const struct base_table host_base = { FP_SSE_ALL(HOST) FP_X87_ALL(HOST) };
static const struct fma_table host_fma = { FP_FMA_ALL(HOST) };
static const struct approx_table host_approx = { FP_APPROX_ALL(HOST) };

static const struct base_table *base = &host_base;
static const struct fma_table *fma3 = &soft_fma;
static const struct approx_table *approx = &soft_approx;

static void select_automatic(void)
{
	base = native_has(FEAT_SSE41) ? &host_base : &soft_base; /* host_sse.c takes it for granted */
	fma3 = native_has(FEAT_FMA) && native_has(FEAT_F16C) ? &host_fma : &soft_fma;
	approx = native_has(FEAT_AVX512F) ? &host_approx : &soft_approx;
}

const char *fp_provider_name(void)
{
	if (base == &soft_base)
		return "portable";
	return fma3 == &soft_fma ? "host+portable" : "host";
}
#else
static const struct base_table *base = &soft_base;
static const struct fma_table *fma3 = &soft_fma;
static const struct approx_table *approx = &soft_approx;

static void select_automatic(void)
{
}

const char *fp_provider_name(void)
{
	return "portable";
}
#endif

void fp_select(enum fp_choice choice)
{
	base = &soft_base;
	fma3 = &soft_fma;
	approx = &soft_approx;
	if (choice == FP_AUTOMATIC)
		select_automatic();
}

static void init(void)
{
	const char *wish = getenv("BULKHEAD_FP");

	fp_select(wish && strcmp(wish, "portable") == 0 ? FP_PORTABLE : FP_AUTOMATIC);
}

void fp_provider_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init);
}

bool fp_has_fma(void)
{
	return true;
}

bool fp_has_f16c(void)
{
	return true;
}

/* H never unmasks an exception of its own host. */
enum { OM_UM = 3 << 10 };

#define DISPATCH(name, table)                                                                                     \
	uint32_t fp_##name(union vec *d, const union vec *s, uint32_t mxcsr)                                      \
	{                                                                                                         \
		return (~mxcsr & OM_UM ? soft_##name : table->name)(d, s, mxcsr);                                 \
	}
#define DISPATCH_BASE(name) DISPATCH(name, base)
#define DISPATCH_FMA(name) DISPATCH(name, fma3)
#define DISPATCH_APPROX(name) DISPATCH(name, approx)
FP_SSE_ALL(DISPATCH_BASE)
FP_FMA_ALL(DISPATCH_FMA)
FP_APPROX_ALL(DISPATCH_APPROX)

#define DISPATCH_X87(name)                                                                                        \
	void fp_##name(struct fp_x87 *x)                                                                          \
	{                                                                                                         \
		base->name(x);                                                                                    \
	}
FP_X87_ALL(DISPATCH_X87)
