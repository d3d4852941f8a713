/* SPDX-License-Identifier: MIT */
/*
 * Vector instructions of the block tier: the host's own form of each (native/stub.h), called with the host's address of
 * the memory operand. What is not as the form wants it (unit not usable, TLB miss, misalignment) goes the generic way.
 */
#include "fast_simd.h"
#include "emu/isa/isa.h"
#include "emu/native/stub.h"

#ifdef HOST_X86_64

/* insn.native: bits 5..0 the operand's bytes - 1, bit 6 it must be aligned to them; from bit 8 on the place / 16. */
enum { LAST_BYTE = 63, ALIGNED = 64, PLACE_SHIFT = 8 };

static inline __attribute__((always_inline)) native_stub *stub_of(const struct emu *e, const struct insn *i)
{
	return (native_stub *)(uintptr_t)(e->code->native.runnable + (size_t)(i->native >> PLACE_SHIFT) * NATIVE_ALIGN);
}

static inline __attribute__((always_inline)) bool is_misaligned(const struct insn *i, const uint8_t *p)
{
	return (i->native & ALIGNED) && ((uintptr_t)p & i->native & LAST_BYTE);
}

/* The stub is the last thing that a handler does, or goes on here. */
#ifdef EMU_NO_TAILCALL
#define RUN_STUB(e, i, p)                                                                                              \
	do {                                                                                                           \
		stub_of((e), (i))((e), (i), (p));                                                                      \
		NEXT((e), (i));                                                                                        \
	} while (0)
#else
/* One argument more than a handler has: clang's musttail does not take that, its optimiser does. */
#define RUN_STUB(e, i, p) return stub_of((e), (i))((e), (i), (p))
#endif

#define NATIVE_MEMORY(name, ready, unit, tlb_ptr)                                                                      \
	HANDLER(name)                                                                                                  \
	{                                                                                                              \
		uint8_t *p = tlb_ptr(e, EA_1(e, i), (i->native & LAST_BYTE) + 1);                                      \
                                                                                                                       \
		ready(e, i, unit);                                                                                     \
		if (UNLIKELY(!p || is_misaligned(i, p)))                                                               \
			MISS(e, i);                                                                                    \
		RUN_STUB(e, i, p);                                                                                     \
	}
/* A memory operand that is read; one that is written; registers only, where the stub is no handler itself. */
#define NATIVE(name, ready, unit)                                                                                      \
	NATIVE_MEMORY(name##_load, ready, unit, tlb_read_ptr)                                                          \
	NATIVE_MEMORY(name##_store, ready, unit, tlb_write_ptr)                                                        \
	HANDLER(name##_r)                                                                                              \
	{                                                                                                              \
		ready(e, i, unit);                                                                                     \
		RUN_STUB(e, i, NULL);                                                                                  \
	}
NATIVE(sse, NEED, UNIT_SSE)
NATIVE(sse_fp, NEED_FP, UNIT_SSE)
NATIVE(avx, NEED, UNIT_AVX)
NATIVE(avx_fp, NEED_FP, UNIT_AVX)
NATIVE(avx512, NEED, UNIT_AVX512)
NATIVE(avx512_fp, NEED_FP, UNIT_AVX512)

enum access_form { REGISTERS, LOADS, STORES, ACCESSES };

static insn_handler *handler_of(const struct native_form *f)
{
#define OF(name)                                    \
	{                                           \
		name##_r, name##_load, name##_store \
	}
	static insn_handler *const handlers[NATIVE_UNITS][2][ACCESSES] = {
		[NATIVE_SSE] = { OF(sse), OF(sse_fp) },
		[NATIVE_AVX] = { OF(avx), OF(avx_fp) },
		[NATIVE_AVX512] = { OF(avx512), OF(avx512_fp) },
	};

	return handlers[f->unit][f->mxcsr][f->loads ? LOADS : f->stores ? STORES : REGISTERS];
}

/* A form without a memory operand is a handler itself, with the test that NEED and NEED_FP make. */
static struct native_frame frame_of(const struct native_form *f)
{
	static const uint8_t units[NATIVE_UNITS] = {
		[NATIVE_SSE] = UNIT_SSE, [NATIVE_AVX] = UNIT_AVX, [NATIVE_AVX512] = UNIT_AVX512
	};

#ifdef EMU_NO_TAILCALL
	return (struct native_frame){ .goes_on = false };
#endif
	if (f->loads || f->stores)
		return (struct native_frame){ .goes_on = true };
	return (struct native_frame){ .goes_on = true,
				      .otherwise = f->mxcsr ? h_mxcsr_load : h_generic,
				      .guard = units[f->unit],
				      .guard_at = f->mxcsr ? offsetof(struct emu, mxcsr_live) : offsetof(struct emu, units) };
}

insn_handler *fast_native(const struct emu *e, struct insn *i)
{
	struct native_memory *m = &e->code->native;
	struct native_frame frame;
	struct native_form f;
	const uint8_t *place;

	if (e->code_size != 8 || (i->is_mem && i->asize != 8))
		return NULL;
	if (!native_describe(i, &f))
		return NULL;
	frame = frame_of(&f);
	place = native_stub_make(m, i, &f, &frame);
	if (!place)
		return NULL;
	if (frame.otherwise)
		return (insn_handler *)(uintptr_t)place;
	i->native = ((uint32_t)((size_t)(place - m->runnable) / NATIVE_ALIGN) << PLACE_SHIFT | ((f.bytes - 1u) & LAST_BYTE) |
		     (f.aligned ? ALIGNED : 0u)) &
		    INT32_MAX;
	return handler_of(&f);
}

#else

insn_handler *fast_native(const struct emu *e, struct insn *i)
{
	return NULL;
}

#endif
