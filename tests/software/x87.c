/* SPDX-License-Identifier: MIT */
/*
 * The x87 unit's transcendental and arithmetic instructions, bit for bit: for each a digest of results and status words
 * over special values and random operands of all sizes. `x87 NAME` prints every case instead, to find one that differs.
 * Vendors' units differ in the last bits (SDM vol. 1, 8.3.10 promises an error bound, no bits): what is compared is
 * one processor with itself.
 */
#include "digest.h"

#include <string.h>

/* The 80-bit format: 64 bits of significand, sign and exponent. */
struct real {
	uint64_t significand;
	uint16_t sign_exponent;
} __attribute__((packed));

struct image {
	struct real a, b; /* operands: ST0 and ST1 */
	struct real top, next;
	uint16_t cw, sw, top_valid, next_valid;
};

/* Loads b, then a; runs the instruction; stores what it left. Exceptions are masked. `pushes`, `pops`: by one. */
#define UNARY(name, insn)                                                                                         \
	static void do_##name(struct image *m)                                                                    \
	{                                                                                                         \
		__asm__ volatile("fninit; fldcw %3; fldt %2; fnclex; " insn "; fnstsw %1; fstpt %0; fninit"       \
				 : "=m"(m->top), "=m"(m->sw) : "m"(m->a), "m"(m->cw) : "memory");                 \
	}
/* Leaves two values, or one if the operand was out of range (C2): the second store is then an invalid one. */
#define PUSHING(name, insn)                                                                                       \
	static void do_##name(struct image *m)                                                                    \
	{                                                                                                         \
		__asm__ volatile("fninit; fldcw %4; fldt %3; fnclex; " insn "; fnstsw %2; fstpt %0; fstpt %1; fninit" \
				 : "=m"(m->top), "=m"(m->next), "=m"(m->sw) : "m"(m->a), "m"(m->cw) : "memory");   \
	}
#define BINARY(name, insn)                                                                                        \
	static void do_##name(struct image *m)                                                                    \
	{                                                                                                         \
		__asm__ volatile("fninit; fldcw %4; fldt %3; fldt %2; fnclex; " insn "; fnstsw %1; fstpt %0; fninit" \
				 : "=m"(m->top), "=m"(m->sw) : "m"(m->a), "m"(m->b), "m"(m->cw) : "memory");       \
	}

UNARY(fsin, "fsin")
UNARY(fcos, "fcos")
PUSHING(fsincos, "fsincos")
PUSHING(fptan, "fptan")
UNARY(f2xm1, "f2xm1")
UNARY(fsqrt, "fsqrt")
UNARY(frndint, "frndint")
PUSHING(fxtract, "fxtract")
UNARY(fxam, "fxam")
BINARY(fpatan, "fpatan")
BINARY(fyl2x, "fyl2x")
BINARY(fyl2xp1, "fyl2xp1")
BINARY(fprem, "fprem")
BINARY(fprem1, "fprem1")
BINARY(fscale, "fscale")
BINARY(fadd, "faddp")
BINARY(fsub, "fsubp")
BINARY(fmul, "fmulp")
BINARY(fdiv, "fdivp")

#define EACH(X)                                                                                                   \
	X(fsin) X(fcos) X(fsincos) X(fptan) X(f2xm1) X(fsqrt) X(frndint) X(fxtract) X(fxam) X(fpatan) X(fyl2x)    \
	X(fyl2xp1) X(fprem) X(fprem1) X(fscale) X(fadd) X(fsub) X(fmul) X(fdiv)

static const struct {
	const char *name;
	void (*run)(struct image *m);
} table[] = {
#define ROW(name) { #name, do_##name },
	EACH(ROW)
};
enum { ROWS = sizeof(table) / sizeof(table[0]), RANDOM = 3000 };

/* Zero, one, pi, infinities, NaNs, denormals, unsupported encodings, the limits of the ranges of arguments. */
static const struct real special[] = {
	{ 0, 0 }, { 0, 0x8000 }, { 0x8000000000000000, 0x3fff }, { 0x8000000000000000, 0xbfff },
	{ 0xc90fdaa22168c235, 0x4000 }, { 0xc90fdaa22168c235, 0x3fff }, { 0xc90fdaa22168c234, 0x3ffe },
	{ 0x8000000000000000, 0x7fff }, { 0x8000000000000000, 0xffff }, { 0xc000000000000000, 0x7fff },
	{ 0xa000000000000001, 0x7fff }, { 0xffffffffffffffff, 0x7ffe }, { 1, 0 }, { 0x7fffffffffffffff, 0x8000 },
	{ 0x8000000000000000, 0 }, { 0x0000000000000001, 0x3fff }, { 0x8000000000000000, 0x403e },
	{ 0xffffffffffffffff, 0x403d }, { 0xb504f333f9de6484, 0x3ffe }, { 0x95f619980c4336f7, 0x3ffd },
	{ 0x8000000000000000, 0x3ffd }, { 0xffffffffffffffff, 0x3ffe }, { 0x8000000000000000, 0x3fbf },
};
enum { SPECIAL = sizeof(special) / sizeof(special[0]) };

static const uint16_t control[] = { 0x37f, 0x77f, 0xb7f, 0xf7f, 0x27f, 0x07f };

/* Mostly of moderate size, where the polynomials are; sometimes of any. */
static struct real operand(uint64_t *state)
{
	const uint64_t r = random_next(state);
	struct real v = { .significand = random_next(state) | 1ull << 63 };

	v.sign_exponent = (uint16_t)(r & 7 ? 0x3fff - 40 + (r >> 8) % 60 : r >> 16 & 0x7fff);
	v.sign_exponent |= (uint16_t)(r >> 40 & 1) << 15;
	return v;
}

static void run(unsigned row, struct image *m, struct digest *d, int verbose)
{
	m->top = m->next = (struct real){ 0 };
	m->sw = 0;
	table[row].run(m);
	digest_add(d, &m->top, sizeof(m->top));
	digest_add(d, &m->next, sizeof(m->next));
	digest_add(d, &m->sw, sizeof(m->sw));
	if (verbose)
		printf("%04x %04x:%016llx %04x:%016llx -> %04x:%016llx %04x:%016llx sw %04x\n", m->cw, m->a.sign_exponent,
		       (unsigned long long)m->a.significand, m->b.sign_exponent, (unsigned long long)m->b.significand,
		       m->top.sign_exponent, (unsigned long long)m->top.significand, m->next.sign_exponent,
		       (unsigned long long)m->next.significand, m->sw);
}

static void run_all(unsigned row, int verbose)
{
	uint64_t state = 1987;
	struct digest d;

	digest_begin(&d);
	for (unsigned a = 0; a < SPECIAL; a++)
		for (unsigned b = 0; b < SPECIAL; b++) {
			struct image m = { .a = special[a], .b = special[b], .cw = control[(a + b) % 6] };

			run(row, &m, &d, verbose);
		}
	for (unsigned n = 0; n < RANDOM; n++) {
		struct image m = { .a = operand(&state), .b = operand(&state), .cw = control[n % 6] };

		run(row, &m, &d, verbose);
	}
	if (!verbose)
		digest_print(&d, table[row].name);
}

int main(int argc, char **argv)
{
	for (unsigned row = 0; row < ROWS; row++)
		if (argc < 2 || !strcmp(argv[1], table[row].name))
			run_all(row, argc > 1);
	return 0;
}
