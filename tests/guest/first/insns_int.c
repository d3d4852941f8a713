/* SPDX-License-Identifier: MIT */
/* General registers. A row works on RAX and RCX (and RDX), with the carry flag set or clear before it. */
#include "insns.h"
#include "print.h"

enum { CF = 1 << 0, PF = 1 << 2, AF = 1 << 4, ZF = 1 << 6, SF = 1 << 7, OF = 1 << 11 };
enum { ALL = CF | PF | AF | ZF | SF | OF, LOGIC = ALL & ~AF, NONE = 0 };

static const uint64_t operands[] = {
	0, 1, 2, 0x7f, 0x80, 0xff, 0x5a5a, 0x7fff, 0x8000, 0x7fffffff, 0x80000000, 0xffffffff, 0x123456789abcdef0,
	0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff,
};

enum { OPERANDS = sizeof(operands) / sizeof(operands[0]) };

static void fold(struct insns_result *r, uint64_t a, uint64_t c, uint64_t d, uint64_t flags)
{
	r->runs++;
	r->sum = sum_add(sum_add(sum_add(sum_add(r->sum, a), c), d), flags);
}

/* Runs a row for a pair of operands. `defined`: the flags that the SDM, vol. 2, defines behind this instruction. */
#define ROW(text, defined)                                                                                 \
	do {                                                                                               \
		uint64_t a = operands[i], c = operands[j], d = operands[i ^ j], f = (i + j) & 1 ? CF : 0;  \
                                                                                                           \
		__asm__ volatile("push %3; popf; " text "; pushf; pop %3"                                  \
				 : "+a"(a), "+c"(c), "+d"(d), "+r"(f)                                      \
				 :                                                                         \
				 : "cc", "memory");                                                        \
		fold(r, a, c, d, f & (uint64_t)(defined));                                                 \
	} while (0);

#define FOR_ALL_OPERANDS                         \
	for (unsigned i = 0; i < OPERANDS; i++) \
		for (unsigned j = 0; j < OPERANDS; j++)

/* An instruction in four widths. */
#define BOTH(name, defined) \
	ROW(name " %%cl, %%al", defined) ROW(name " %%cx, %%ax", defined) ROW(name " %%ecx, %%eax", defined) ROW(name " %%rcx, %%rax", defined)
#define ONE(name, defined) \
	ROW(name " %%al", defined) ROW(name " %%ax", defined) ROW(name " %%eax", defined) ROW(name " %%rax", defined)

#define ARITHMETIC_ROWS \
	BOTH("add", ALL) BOTH("adc", ALL) BOTH("sub", ALL) BOTH("sbb", ALL) BOTH("cmp", ALL) \
	BOTH("and", LOGIC) BOTH("or", LOGIC) BOTH("xor", LOGIC) BOTH("test", LOGIC) \
	ONE("inc", ALL) ONE("dec", ALL) ONE("neg", ALL) ONE("not", ALL & CF) \
	BOTH("xadd", ALL) BOTH("cmpxchg", ALL) BOTH("xchg", ALL & CF) \
	ROW("movzx %%cl, %%eax", CF) ROW("movsx %%cl, %%rax", CF) ROW("movzx %%cx, %%rax", CF) ROW("movsx %%cx, %%eax", CF) \
	ROW("movslq %%ecx, %%rax", CF) ROW("cbtw", CF) ROW("cwtl", CF) ROW("cltq", CF) ROW("cwtd", CF) ROW("cltd", CF) ROW("cqto", CF) \
	ROW("lea 5(%%rax, %%rcx, 4), %%rdx", CF) ROW("lea -1(%%eax, %%ecx, 2), %%edx", CF) ROW("bswap %%eax", CF) ROW("bswap %%rax", CF) \
	ROW("lahf", CF) ROW("sahf", CF | PF | AF | ZF | SF) ROW("cmc", CF) ROW("stc", CF) ROW("clc", CF)

void insns_arithmetic(struct insns_result *r)
{
	FOR_ALL_OPERANDS
	{
		ARITHMETIC_ROWS
	}
}

/* By a count of 1 the overflow flag is defined, by others not; the auxiliary carry never is. A count of 0 leaves all as it was. */
#define BY_ONE(name, defined) \
	ROW(name " $1, %%al", defined) ROW(name " $1, %%ax", defined) ROW(name " $1, %%eax", defined) ROW(name " $1, %%rax", defined)
#define BY_COUNT(name, defined) \
	ROW("and $7, %%cl; stc; " name " %%cl, %%al", defined) ROW("and $15, %%cl; stc; " name " %%cl, %%ax", defined) \
	ROW("test %%eax, %%eax; " name " %%cl, %%eax", defined) ROW("test %%rax, %%rax; " name " %%cl, %%rax", defined)

#define SHIFTS_ROWS \
	BY_ONE("shl", LOGIC) BY_ONE("shr", LOGIC) BY_ONE("sar", LOGIC) \
	BY_ONE("rol", CF | OF) BY_ONE("ror", CF | OF) BY_ONE("rcl", CF | OF) BY_ONE("rcr", CF | OF) \
	BY_COUNT("shl", CF | ZF | SF | PF) BY_COUNT("shr", CF | ZF | SF | PF) BY_COUNT("sar", CF | ZF | SF | PF) \
	BY_COUNT("rol", CF) BY_COUNT("ror", CF) BY_COUNT("rcl", CF) BY_COUNT("rcr", CF) \
	ROW("test %%eax, %%eax; shld %%cl, %%edx, %%eax", CF | ZF | SF | PF) \
	ROW("test %%rax, %%rax; shrd %%cl, %%rdx, %%rax", CF | ZF | SF | PF) \
	ROW("shld $13, %%dx, %%ax", CF | ZF | SF | PF) ROW("shrd $47, %%rdx, %%rax", CF | ZF | SF | PF)

void insns_shifts(struct insns_result *r)
{
	FOR_ALL_OPERANDS
	{
		SHIFTS_ROWS
	}
}

/* Division: the dividend's upper half is cut down below the divisor, which is made odd, so that it never faults. */
#define PRODUCTS_ROWS \
	ROW("mul %%cl", CF | OF) ROW("mul %%cx", CF | OF) ROW("mul %%ecx", CF | OF) ROW("mul %%rcx", CF | OF) \
	ROW("imul %%cl", CF | OF) ROW("imul %%cx", CF | OF) ROW("imul %%ecx", CF | OF) ROW("imul %%rcx", CF | OF) \
	ROW("imul %%cx, %%ax", CF | OF) ROW("imul %%ecx, %%eax", CF | OF) ROW("imul %%rcx, %%rax", CF | OF) \
	ROW("imul $-77, %%cx, %%ax", CF | OF) ROW("imul $77777, %%ecx, %%eax", CF | OF) ROW("imul $-77777, %%rcx, %%rax", CF | OF) \
	ROW("or $1, %%cl; xor %%ah, %%ah; div %%cl", NONE) ROW("or $1, %%ecx; xor %%edx, %%edx; div %%cx", NONE) \
	ROW("or $1, %%ecx; xor %%edx, %%edx; div %%ecx", NONE) ROW("or $1, %%rcx; xor %%edx, %%edx; div %%rcx", NONE) \
	ROW("or $1, %%rcx; and $1, %%edx; dec %%rdx; and %%rcx, %%rdx; shr %%rdx; div %%rcx", NONE) \
	ROW("shr %%eax; or $1, %%ecx; cltd; idiv %%ecx", NONE) ROW("shr %%rax; neg %%rax; and $-4, %%rcx; or $5, %%rcx; cqto; idiv %%rcx", NONE)

void insns_products(struct insns_result *r)
{
	FOR_ALL_OPERANDS
	{
		PRODUCTS_ROWS
	}
}

#define BITS_ROWS \
	ROW("bt %%ecx, %%eax", CF) ROW("bts %%ecx, %%eax", CF) ROW("btr %%cx, %%ax", CF) ROW("btc %%rcx, %%rax", CF) \
	ROW("bt $5, %%ax", CF) ROW("bts $29, %%eax", CF) ROW("btr $33, %%rax", CF) ROW("btc $62, %%rax", CF) \
	ROW("or $0x40, %%cl; bsf %%cx, %%ax", ZF) ROW("or $0x40, %%cl; bsr %%cx, %%ax", ZF) \
	ROW("or $0x40, %%cl; bsf %%rcx, %%rax", ZF) ROW("or $0x40, %%cl; bsr %%ecx, %%eax", ZF)

void insns_bits(struct insns_result *r)
{
	FOR_ALL_OPERANDS
	{
		BITS_ROWS
	}
}

/* The string instructions stop between words as well. */
static uint64_t bytes(const uint64_t *from, const uint64_t *to)
{
	return (uintptr_t)to - (uintptr_t)from;
}

/* Over 64 bytes on the stack that the operands fill. */
#define STRING(text)                                                                                      \
	do {                                                                                               \
		uint64_t words[8], other[8], *from = words, *to = other, n = (i & 3) + 1, a = operands[j], f; \
                                                                                                           \
		for (unsigned w = 0; w < 8; w++) {                                                        \
			words[w] = operands[(i + w) % OPERANDS];                                           \
			other[w] = operands[(j + w / 2) % OPERANDS];                                       \
		}                                                                                          \
		__asm__ volatile("cmp %%al, %%al; " text "; pushf; pop %4"                                 \
				 : "+S"(from), "+D"(to), "+c"(n), "+a"(a), "=r"(f)                         \
				 :                                                                         \
				 : "cc", "memory");                                                        \
		fold(r, a, n, bytes(words, from) << 32 | bytes(other, to), f & ALL);           \
		fold(r, words[0], other[0], other[3], other[4]);                                           \
	} while (0);

#define STRINGS_ROWS \
	STRING("rep movsb") STRING("rep movsw") STRING("rep movsl") STRING("rep movsq") STRING("movsq") \
	STRING("rep stosb") STRING("rep stosw") STRING("rep stosl") STRING("rep stosq") STRING("stosl") \
	STRING("repe cmpsb") STRING("repne cmpsw") STRING("repe cmpsl") STRING("repne cmpsq") STRING("cmpsq") \
	STRING("repne scasb") STRING("repe scasw") STRING("repne scasl") STRING("repe scasq") STRING("rep lodsb") STRING("lodsq") \
	STRING("lea 24(%0), %0; lea 24(%1), %1; std; rep movsq; cld") STRING("lea 24(%1), %1; std; rep stosl; cld")

void insns_strings(struct insns_result *r)
{
	FOR_ALL_OPERANDS
	{
		STRINGS_ROWS
	}
}

#define CONDITION(cc) \
	ROW("cmp %%rcx, %%rax; set" cc " %%dl", ALL) ROW("cmp %%ecx, %%eax; cmov" cc " %%ecx, %%edx", ALL) \
	ROW("cmp %%cl, %%al; mov $7, %%edx; j" cc " 1f; mov $9, %%edx; 1:", ALL)

#define CONDITIONS_ROWS \
	CONDITION("o") CONDITION("no") CONDITION("b") CONDITION("ae") CONDITION("e") CONDITION("ne") CONDITION("be") CONDITION("a") \
	CONDITION("s") CONDITION("ns") CONDITION("p") CONDITION("np") CONDITION("l") CONDITION("ge") CONDITION("le") CONDITION("g") \
	ROW("and $15, %%ecx; inc %%ecx; 1: add %%rax, %%rdx; loop 1b", ALL) ROW("mov $3, %%edx; jrcxz 1f; mov $4, %%edx; 1:", CF)

void insns_conditions(struct insns_result *r)
{
	FOR_ALL_OPERANDS
	{
		CONDITIONS_ROWS
	}
}

#define POPCNT_ROWS \
	ROW("popcnt %%cx, %%ax", ALL) ROW("popcnt %%ecx, %%eax", ALL) ROW("popcnt %%rcx, %%rax", ALL)

void insns_popcnt(struct insns_result *r)
{
	FOR_ALL_OPERANDS
	{
		POPCNT_ROWS
	}
}

#define CRC32_ROWS \
	ROW("crc32b %%cl, %%eax", CF) ROW("crc32w %%cx, %%eax", CF) ROW("crc32l %%ecx, %%eax", CF) ROW("crc32q %%rcx, %%rax", CF)

void insns_crc32(struct insns_result *r)
{
	FOR_ALL_OPERANDS
	{
		CRC32_ROWS
	}
}

/* BMI1, BMI2 and LZCNT come together. */
#define BMI_ROWS \
	ROW("andn %%rcx, %%rax, %%rdx", ZF | SF | CF | OF) ROW("bextr %%ecx, %%eax, %%edx", ZF | CF | OF) ROW("bextr %%rcx, %%rax, %%rdx", ZF | CF | OF) \
	ROW("blsi %%rcx, %%rax", ZF | SF | CF | OF) ROW("blsr %%ecx, %%eax", ZF | SF | CF | OF) ROW("blsmsk %%rcx, %%rax", SF | CF | OF) \
	ROW("tzcnt %%cx, %%ax", ZF | CF) ROW("tzcnt %%rcx, %%rax", ZF | CF) ROW("lzcnt %%ecx, %%eax", ZF | CF) ROW("lzcnt %%rcx, %%rax", ZF | CF) \
	ROW("bzhi %%rcx, %%rax, %%rdx", ZF | SF | CF | OF) ROW("pdep %%rcx, %%rax, %%rdx", CF) ROW("pext %%rcx, %%rax, %%rdx", CF) \
	ROW("mulx %%rcx, %%rax, %%rdx", CF) ROW("rorx $11, %%rcx, %%rax", CF) ROW("sarx %%rcx, %%rax, %%rdx", CF) ROW("shlx %%ecx, %%eax, %%edx", CF) \
	ROW("shrx %%rcx, %%rax, %%rdx", CF)

void insns_bmi(struct insns_result *r)
{
	FOR_ALL_OPERANDS
	{
		BMI_ROWS
	}
}
