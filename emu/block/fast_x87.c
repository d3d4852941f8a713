/* SPDX-License-Identifier: MIT */
/*
 * Fast handlers: the everyday half of the x87, on the host's unit and straight on the guest's registers.
 *
 * They run while the guest's control word is the one every program starts with (64-bit precision, nearest, everything
 * masked): it is the host's as well (System V ABI), so nothing has to be loaded, and nothing can fault. Stack faults and
 * pending exceptions go the generic way.
 *
 * Flags are sticky: those that the host has set from before may stay if the guest has them, too. e->x87_host is a
 * superset of what the host has set; the provider behind the generic handlers leaves none.
 */
#include "fast_simd.h"
#include "emu/core/machine.h"
#include "emu/isa/isa.h"
#include "emu/sem/fp/fp.h"

#ifdef HOST_X86_64

enum {
	CW_USUAL = 0x37f,
	SW_FLAGS = 0x3f, SW_ES = 0x80, SW_C1 = 0x200,
	TOP_SHIFT = 11,
	TOP = 7 << TOP_SHIFT,
};

#define ALWAYS static inline __attribute__((always_inline))

ALWAYS unsigned physical(const struct x87 *f, unsigned n)
{
	return ((f->sw >> TOP_SHIFT) + n) & 7;
}

ALWAYS bool is_full(const struct x87 *f, unsigned p)
{
	return f->tag >> p & 1;
}

ALWAYS bool is_usual(const struct emu *e)
{
	return (e->units & UNIT_X87) && e->cpu.fpu.cw == CW_USUAL && !(e->cpu.fpu.sw & SW_ES);
}

/* Before the host computes. */
ALWAYS void open_host(struct emu *e)
{
	if (UNLIKELY(e->x87_host & ~e->cpu.fpu.sw & SW_FLAGS))
		__asm__ volatile("fnclex");
}

/* After it has: its status word tells C1 and the flags. */
ALWAYS void note(struct emu *e, const struct insn *i, uint16_t host)
{
	struct x87 *f = &e->cpu.fpu;

	e->x87_host = host & SW_FLAGS;
	f->sw = (uint16_t)((f->sw & ~SW_C1) | (host & (SW_C1 | SW_FLAGS)));
	f->fip = e->pc + i->off;
}

/* After a move, which clears C1 and raises nothing. */
ALWAYS void note_move(struct emu *e, const struct insn *i)
{
	e->cpu.fpu.sw &= (uint16_t)~SW_C1;
	e->cpu.fpu.fip = e->pc + i->off;
}

ALWAYS void pop(struct x87 *f)
{
	f->tag &= (uint8_t) ~(1u << physical(f, 0));
	f->sw = (uint16_t)((f->sw & ~TOP) | ((f->sw + (1u << TOP_SHIFT)) & TOP));
}

/* Makes room: the register that becomes ST0. Its tag is set. */
ALWAYS struct x87_reg *push(struct x87 *f)
{
	f->sw = (uint16_t)((f->sw & ~TOP) | ((f->sw - (1u << TOP_SHIFT)) & TOP));
	f->tag |= (uint8_t)(1u << physical(f, 0));
	return &f->r[physical(f, 0)];
}

#define T "fldt (%[b])\n\tfldt (%[a])\n\t"
#define HOST(code, ...)                                                                                                \
	__asm__ volatile(code                                                                                          \
			 : "=&a"(host)                                                                                 \
			 : __VA_ARGS__                                                                                 \
			 : "cc", "memory", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)")

/* ST0 = ST0 op ST(i): opcode D8, whose second byte tells the operation. */
#define TO_TOP(ID, second)                                                                                             \
	HANDLER(ID##_r)                                                                                                \
	{                                                                                                              \
		struct x87 *f = &e->cpu.fpu;                                                                           \
		const unsigned p = physical(f, 0), q = physical(f, i->rm & 7);                                         \
		uint16_t host;                                                                                         \
                                                                                                                       \
		if (UNLIKELY(!is_usual(e) || !is_full(f, p) || !is_full(f, q)))                                        \
			MISS(e, i);                                                                                    \
		open_host(e);                                                                                          \
		HOST(T ".byte 0xd8, " second "\n\tfnstsw %%ax\n\tfstpt (%[a])\n\tfstp %%st(0)", [a] "r"(&f->r[p]),     \
		     [b] "r"(&f->r[q]));                                                                               \
		note(e, i, host);                                                                                      \
		NEXT(e, i);                                                                                            \
	}
/* ST(i) = ST(i) op ST0, and pop if the row says so: opcode DE, which pops the host's ST0. */
#define TO_OTHER(ID, second, pops)                                                                                     \
	HANDLER(ID##_r)                                                                                                \
	{                                                                                                              \
		struct x87 *f = &e->cpu.fpu;                                                                           \
		const unsigned p = physical(f, 0), q = physical(f, i->rm & 7);                                         \
		uint16_t host;                                                                                         \
                                                                                                                       \
		if (UNLIKELY(!is_usual(e) || !is_full(f, p) || !is_full(f, q)))                                        \
			MISS(e, i);                                                                                    \
		open_host(e);                                                                                          \
		HOST(T ".byte 0xde, " second "\n\tfnstsw %%ax\n\tfstpt (%[b])", [a] "r"(&f->r[p]), [b] "r"(&f->r[q])); \
		note(e, i, host);                                                                                      \
		if (pops)                                                                                              \
			pop(f);                                                                                        \
		NEXT(e, i);                                                                                            \
	}
/* ST0 = ST0 op memory */
#define FROM_MEMORY(ID, op, n)                                                                                         \
	HANDLER(ID##_m)                                                                                                \
	{                                                                                                              \
		struct x87 *f = &e->cpu.fpu;                                                                           \
		const unsigned p = physical(f, 0);                                                                     \
		const uint8_t *m = tlb_read_ptr(e, EA_1(e, i), n);                                                     \
		uint16_t host;                                                                                         \
                                                                                                                       \
		if (UNLIKELY(!m || !is_usual(e) || !is_full(f, p)))                                                    \
			MISS(e, i);                                                                                    \
		open_host(e);                                                                                          \
		HOST("fldt (%[a])\n\t" op " (%[m])\n\tfnstsw %%ax\n\tfstpt (%[a])", [a] "r"(&f->r[p]), [m] "r"(m));    \
		note(e, i, host);                                                                                      \
		NEXT(e, i);                                                                                            \
	}
#define OPERATIONS(X)                                                                                                  \
	X(FADD, "fadd", "0xc1") X(FMUL, "fmul", "0xc9") X(FSUB, "fsub", "0xe1") X(FSUBR, "fsubr", "0xe9")              \
	X(FDIV, "fdiv", "0xf1") X(FDIVR, "fdivr", "0xf9")
/* With the destination below the top, the encodings of the reversed forms change places (SDM vol. 2, FSUB). */
#define REVERSED(X)                                                                                                    \
	X(FADD, "0xc1") X(FMUL, "0xc9") X(FSUB, "0xe9") X(FSUBR, "0xe1") X(FDIV, "0xf9") X(FDIVR, "0xf1")

#define X(ID, op, second) TO_TOP(ID##_ST0_STi, second) FROM_MEMORY(ID##_m32, op "s", 4) FROM_MEMORY(ID##_m64, op "l", 8)
OPERATIONS(X)
#undef X
#define X(ID, second) TO_OTHER(ID##_STi_ST0, second, 0) TO_OTHER(ID##P, second, 1)
REVERSED(X)
#undef X

/* ---- loads and stores ---- */

#define LOAD(ID, op, n)                                                                                                \
	HANDLER(ID##_m)                                                                                                \
	{                                                                                                              \
		struct x87 *f = &e->cpu.fpu;                                                                           \
		const uint8_t *m = tlb_read_ptr(e, EA_1(e, i), n);                                                     \
		uint16_t host;                                                                                         \
                                                                                                                       \
		if (UNLIKELY(!m || !is_usual(e) || is_full(f, physical(f, 7))))                                        \
			MISS(e, i);                                                                                    \
		open_host(e);                                                                                          \
		HOST(op " (%[m])\n\tfnstsw %%ax\n\tfstpt (%[a])", [a] "r"(push(f)), [m] "r"(m));                       \
		note(e, i, host);                                                                                      \
		NEXT(e, i);                                                                                            \
	}
LOAD(FLD_m32, "flds", 4)
LOAD(FLD_m64, "fldl", 8)
LOAD(FILD_m16, "filds", 2)
LOAD(FILD_m32, "fildl", 4)
LOAD(FILD_m64, "fildll", 8)

#define STORE(ID, op, n, pops)                                                                                         \
	HANDLER(ID##_m)                                                                                                \
	{                                                                                                              \
		struct x87 *f = &e->cpu.fpu;                                                                           \
		const unsigned p = physical(f, 0);                                                                     \
		uint8_t *m = tlb_write_ptr(e, EA_1(e, i), n);                                                          \
		uint16_t host;                                                                                         \
                                                                                                                       \
		if (UNLIKELY(!m || !is_usual(e) || !is_full(f, p)))                                                    \
			MISS(e, i);                                                                                    \
		open_host(e);                                                                                          \
		HOST("fldt (%[a])\n\t" op " (%[m])\n\tfnstsw %%ax", [a] "r"(&f->r[p]), [m] "r"(m));                    \
		note(e, i, host);                                                                                      \
		if (pops)                                                                                              \
			pop(f);                                                                                        \
		NEXT(e, i);                                                                                            \
	}
STORE(FST_m32, "fstps", 4, 0)
STORE(FSTP_m32, "fstps", 4, 1)
STORE(FST_m64, "fstpl", 8, 0)
STORE(FSTP_m64, "fstpl", 8, 1)
STORE(FISTP_m32, "fistpl", 4, 1)
STORE(FISTP_m64, "fistpll", 8, 1)

HANDLER(FLD_m80_m)
{
	struct x87 *f = &e->cpu.fpu;
	const uint8_t *m = tlb_read_ptr(e, EA_1(e, i), 10);
	struct x87_reg *r;

	if (UNLIKELY(!m || !is_usual(e) || is_full(f, physical(f, 7))))
		MISS(e, i);
	r = push(f);
	r->sig = load_8(m);
	r->se = load_2(m + 8);
	note_move(e, i);
	NEXT(e, i);
}

HANDLER(FSTP_m80_m)
{
	struct x87 *f = &e->cpu.fpu;
	const unsigned p = physical(f, 0);
	uint8_t *m = tlb_write_ptr(e, EA_1(e, i), 10);

	if (UNLIKELY(!m || !is_usual(e) || !is_full(f, p)))
		MISS(e, i);
	store_8(m, f->r[p].sig);
	store_2(m + 8, f->r[p].se);
	note_move(e, i);
	pop(f);
	NEXT(e, i);
}

HANDLER(FLD_STi_r)
{
	struct x87 *f = &e->cpu.fpu;
	const unsigned q = physical(f, i->rm & 7);

	if (UNLIKELY(!is_usual(e) || !is_full(f, q) || is_full(f, physical(f, 7))))
		MISS(e, i);
	*push(f) = f->r[q];
	note_move(e, i);
	NEXT(e, i);
}

HANDLER(FXCH_r)
{
	struct x87 *f = &e->cpu.fpu;
	const unsigned p = physical(f, 0), q = physical(f, i->rm & 7);
	const struct x87_reg a = f->r[p], b = f->r[q];

	if (UNLIKELY(!is_usual(e) || !is_full(f, p) || !is_full(f, q)))
		MISS(e, i);
	f->r[p] = b;
	f->r[q] = a;
	note_move(e, i);
	NEXT(e, i);
}

#define STORE_REGISTER(ID, pops)                                                                                       \
	HANDLER(ID##_r)                                                                                                \
	{                                                                                                              \
		struct x87 *f = &e->cpu.fpu;                                                                           \
		const unsigned p = physical(f, 0), q = physical(f, i->rm & 7);                                         \
                                                                                                                       \
		if (UNLIKELY(!is_usual(e) || !is_full(f, p)))                                                          \
			MISS(e, i);                                                                                    \
		f->r[q] = f->r[p];                                                                                     \
		f->tag |= (uint8_t)(1u << q);                                                                          \
		note_move(e, i);                                                                                       \
		if (pops)                                                                                              \
			pop(f);                                                                                        \
		NEXT(e, i);                                                                                            \
	}
STORE_REGISTER(FST_STi, 0)
STORE_REGISTER(FSTP_STi, 1)

#define SIGN(ID, expression)                                                                                           \
	HANDLER(ID##_r)                                                                                                \
	{                                                                                                              \
		struct x87 *f = &e->cpu.fpu;                                                                           \
		const unsigned p = physical(f, 0);                                                                     \
                                                                                                                       \
		if (UNLIKELY(!is_usual(e) || !is_full(f, p)))                                                          \
			MISS(e, i);                                                                                    \
		f->r[p].se = (uint16_t)(f->r[p].se expression);                                                        \
		note_move(e, i);                                                                                       \
		NEXT(e, i);                                                                                            \
	}
SIGN(FCHS, ^ 0x8000)
SIGN(FABS, & 0x7fff)

#define CONSTANT(ID, significand, exponent)                                                                            \
	HANDLER(ID##_r)                                                                                                \
	{                                                                                                              \
		struct x87 *f = &e->cpu.fpu;                                                                           \
		struct x87_reg *r;                                                                                     \
                                                                                                                       \
		if (UNLIKELY(!is_usual(e) || is_full(f, physical(f, 7))))                                              \
			MISS(e, i);                                                                                    \
		r = push(f);                                                                                           \
		r->sig = significand;                                                                                  \
		r->se = exponent;                                                                                      \
		note_move(e, i);                                                                                       \
		NEXT(e, i);                                                                                            \
	}
CONSTANT(FLD1, 1ull << 63, 0x3fff)
CONSTANT(FLDZ, 0, 0)

/* FCOMI and FUCOMI leave the condition codes alone. */
#define COMPARE(ID, op, pops)                                                                                          \
	HANDLER(ID##_r)                                                                                                \
	{                                                                                                              \
		struct x87 *f = &e->cpu.fpu;                                                                           \
		const unsigned p = physical(f, 0), q = physical(f, i->rm & 7);                                         \
		uint16_t host, image;                                                                                  \
                                                                                                                       \
		if (UNLIKELY(!is_usual(e) || !is_full(f, p) || !is_full(f, q)))                                        \
			MISS(e, i);                                                                                    \
		open_host(e);                                                                                          \
		__asm__ volatile(T op " %%st(1), %%st\n\tlahf\n\tmov %%ax, %[image]\n\tfnstsw %%ax\n\tfstp %%st(0)"    \
				 : "=&a"(host), [image] "=&r"(image)                                                   \
				 : [a] "r"(&f->r[p]), [b] "r"(&f->r[q])                                                \
				 : "cc", "memory", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)"); \
		e->flags_image = image & (IMG_ZF | IMG_PF | IMG_CF);                                                      \
		e->x87_host = host & SW_FLAGS;                                                                         \
		f->sw |= host & SW_FLAGS;                                                                              \
		f->fip = e->pc + i->off;                                                                  \
		if (pops)                                                                                              \
			pop(f);                                                                                        \
		NEXT(e, i);                                                                                            \
	}
COMPARE(FCOMI, "fcomip", 0)
COMPARE(FUCOMI, "fucomip", 0)
COMPARE(FCOMIP, "fcomip", 1)
COMPARE(FUCOMIP, "fucomip", 1)

insn_handler *fast_x87(const struct emu *e, struct insn *i)
{
	if (e->code_size != 8 || i->asize != 8 || !fp_has_simple_pointers(e))
		return NULL;
	switch (i->id) {
#define M(ID)          \
	case ISA_##ID: \
		return ID##_m;
#define R(ID)          \
	case ISA_##ID: \
		return ID##_r;
#define X(ID, op, second) R(ID##_ST0_STi) M(ID##_m32) M(ID##_m64)
		OPERATIONS(X)
#undef X
#define X(ID, second) R(ID##_STi_ST0) R(ID##P)
		REVERSED(X)
		/* clang-format off */
		M(FLD_m32) M(FLD_m64) M(FLD_m80) M(FILD_m16) M(FILD_m32) M(FILD_m64) M(FST_m32) M(FST_m64) M(FSTP_m32) M(FSTP_m64)
		M(FSTP_m80) M(FISTP_m32) M(FISTP_m64) R(FLD_STi) R(FXCH) R(FST_STi) R(FSTP_STi) R(FCHS) R(FABS) R(FLD1) R(FLDZ)
		R(FCOMI) R(FUCOMI) R(FCOMIP) R(FUCOMIP)
	default:
		return NULL;
		/* clang-format on */
	}
}

#else

insn_handler *fast_x87(const struct emu *e, struct insn *i)
{
	return NULL;
}

#endif
