/* SPDX-License-Identifier: MIT */
/*
 * The x87 unit: what IEEE 754 and the SDM define to the bit. Left out are the transcendental instructions, whose last bit is each
 * maker's own. A row finds one operand in ST(1), the other in ST(0), and leaves one value in ST(0).
 */
#include "insns.h"
#include "print.h"

struct extended {
	uint64_t fraction;
	uint64_t sign_exponent;
};

static const struct extended operands[] = {
	{ 0, 0 },			     /* 0 */
	{ 0, 0x8000 },			     /* -0 */
	{ 1ull << 63, 0x3fff },		     /* 1 */
	{ 0xc000000000000000, 0xc000 },	     /* -3 */
	{ 0xaaaaaaaaaaaaaaab, 0x3ffd },	     /* 1/3 */
	{ 0xc90fdaa22168c235, 0x4000 },	     /* pi */
	{ 0xfffffffffffffff0, 0x7ffe },	     /* nearly the largest */
	{ 1, 0 },			     /* the smallest denormal */
	{ 1ull << 63, 0x7fff },		     /* infinity */
	{ 0xc000000000000123, 0x7fff },	     /* a quiet NaN */
	{ 0x8000000000000123, 0x7fff },	     /* a signalling one */
	{ 0xfedcba9876543210, 0x403b },	     /* an integer of 61 bits */
};

enum { OPERANDS = sizeof(operands) / sizeof(operands[0]), EXCEPTIONS = 0x3f, COMPARED = 0x4500 };

/* Masked exceptions; the precision and the rounding that the two bits choose. */
static uint16_t control(unsigned precision, unsigned rounding)
{
	return (uint16_t)(0x3f | precision << 8 | rounding << 10);
}

#define ROW(text, status_bits)                                                                                              \
	do {                                                                                                                \
		struct extended out = { 0, 0 };                                                                             \
		uint16_t status, word = control(j & 1 ? 3 : 2, i & 3);                                                      \
                                                                                                                            \
		__asm__ volatile("fninit; fldcw %2; fldt %3; fldt %4; fnclex; " text "; fnstsw %1; fstpt %0; fninit"       \
				 : "=m"(out), "=m"(status)                                                                  \
				 : "m"(word), "m"(operands[i]), "m"(operands[j])                                            \
				 : "memory");                                                                               \
		r->runs++;                                                                                                  \
		r->sum = sum_add(sum_add(sum_add(r->sum, out.fraction), out.sign_exponent & 0xffff), status & (status_bits)); \
	} while (0);

/* Through memory, in a narrower format. */
#define STORED(text) ROW("sub $16, %%rsp; movq $0, (%%rsp); movq $0, 8(%%rsp); " text "; add $16, %%rsp", EXCEPTIONS)

#define X87_ROWS \
	ROW("fadd %%st(1), %%st", EXCEPTIONS) ROW("fsub %%st(1), %%st", EXCEPTIONS) ROW("fsubr %%st(1), %%st", EXCEPTIONS) \
	ROW("fmul %%st(1), %%st", EXCEPTIONS) ROW("fdiv %%st(1), %%st", EXCEPTIONS) ROW("fdivr %%st(1), %%st", EXCEPTIONS) \
	ROW("fsqrt", EXCEPTIONS) ROW("frndint", EXCEPTIONS) ROW("fabs", 0) ROW("fchs", 0) ROW("fxch", 0) \
	ROW("fcom %%st(1)", EXCEPTIONS | COMPARED) ROW("fucom %%st(1)", EXCEPTIONS | COMPARED) ROW("ftst", EXCEPTIONS | COMPARED) \
	STORED("fstl (%%rsp); ffree %%st(0); fincstp; fldl (%%rsp)") STORED("fsts (%%rsp); ffree %%st(0); fincstp; flds (%%rsp)") \
	STORED("fistps (%%rsp); filds (%%rsp)") STORED("fistpl (%%rsp); fildl (%%rsp)") STORED("fistpll (%%rsp); fildll (%%rsp)") \
	STORED("fisttpll (%%rsp); fildll (%%rsp)")

void insns_x87(struct insns_result *r)
{
	for (unsigned i = 0; i < OPERANDS; i++) {
		for (unsigned j = 0; j < OPERANDS; j++) {
			X87_ROWS
		}
	}
}
