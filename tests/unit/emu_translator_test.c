/* SPDX-License-Identifier: MIT */
/*
 * The translator against the single-step tier, on programs that live long enough to be translated, linked, and changed: loops of
 * random instructions that call each other, access pages at several addresses, edit page tables with INVLPG and CR3
 * writes, modify their own code, run into pages that are gone. The tiers must end in the same state, memory included.
 */
#include "emu_harness.h"
#include "emu/block/internal.h"
#include "emu/core/host.h"
#include "emu/jit/jit.h"
#include "emu/native/memory.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	WINDOW = 0x200000, /* linear pages that programs use... */
	WINDOW_PAGES = 8,
	PHYSICAL = 0x300000, /* ...and pages that stand behind them */
	PHYSICAL_PAGES = 5,
	SPARE_STACK = 0x380000,
	BLOCKS = 12, TURNS = 90, CODE_MAX = 8192, PROGRAMS = 1500,
	PAGE = 4096, PTES = HARNESS_PML4 + 3 * 4096,
	INSNS_MAX = 4000000,
};

static uint64_t seed;

static uint32_t rnd(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33);
}

static uint32_t below(uint32_t n)
{
	return rnd() % n;
}

struct program {
	uint8_t code[CODE_MAX];
	unsigned n;
	unsigned patchable[64], patchables; /* immediates of MOV r32, imm32 */
};

static void put(struct program *p, const void *bytes, unsigned count)
{
	memcpy(p->code + p->n, bytes, count);
	p->n += count;
}

static void put1(struct program *p, unsigned v)
{
	p->code[p->n++] = (uint8_t)v;
}

static void put4(struct program *p, uint32_t v)
{
	put(p, &v, 4);
}

/* Of RAX, RDX, RBX, RBP, R8 to R11, R13, R14: RCX counts, RSI and RDI point into the window, R12 and R15 at the tables. */
static unsigned pick(void)
{
	static const uint8_t some[] = { 0, 2, 3, 5, 8, 9, 10, 11, 13, 14 };

	return some[below(sizeof(some))];
}

static unsigned rex(bool wide, unsigned reg, unsigned rm)
{
	return 0x40 | (unsigned)wide << 3 | (reg >> 3) << 2 | rm >> 3;
}

/* An operation of two registers, or of one with memory at [rsi or rdi + displacement]. */
static void put_operation(struct program *p)
{
	static const uint8_t some[] = { 0x01, 0x03, 0x09, 0x0b, 0x11, 0x13, 0x19, 0x21, 0x23, 0x29, 0x2b,
					0x31, 0x33, 0x39, 0x3b, 0x85, 0x89, 0x8b, 0x8b, 0x89, 0x87 };
	const unsigned reg = pick(), opcode = some[below(sizeof(some))];

	if (below(2)) {
		const unsigned rm = pick();

		put1(p, rex(below(2), reg, rm));
		put1(p, opcode);
		put1(p, 0xc0 | (reg & 7) << 3 | (rm & 7));
		return;
	}
	put1(p, rex(below(2), reg, 0));
	put1(p, opcode);
	put1(p, 0x80 | (reg & 7) << 3 | (below(2) ? 6 : 7));
	put4(p, below(4) ? below(256) * 8 : below(PAGE * WINDOW_PAGES / 2));
}

static void put_shift(struct program *p)
{
	static const uint8_t groups[] = { 0, 1, 4, 5, 7 };
	const unsigned rm = pick();

	put1(p, rex(below(2), 0, rm));
	put1(p, 0xc1);
	put1(p, 0xc0 | groups[below(5)] << 3 | (rm & 7));
	put1(p, below(64));
}

static void put_constant(struct program *p)
{
	const unsigned rm = pick();

	put1(p, rex(false, 0, rm));
	put1(p, 0xb8 | (rm & 7));
	if (p->patchables < 64)
		p->patchable[p->patchables++] = p->n;
	put4(p, rnd());
}

static void put_stack(struct program *p)
{
	const unsigned a = pick(), b = pick();

	for (unsigned k = 0; k < 4; k++) {
		const unsigned reg = k & 1 ? b : a;

		put1(p, rex(false, 0, reg));
		put1(p, (k < 2 ? 0x50 : 0x58) | (reg & 7));
	}
}

/* SETcc, CMOVcc, ADC: readers of flags. */
static void put_reader(struct program *p)
{
	const unsigned reg = pick(), rm = pick();

	put1(p, rex(true, reg, rm));
	put1(p, 0x0f);
	put1(p, 0x40 | below(16));
	put1(p, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

/* MOV QWORD [r15 + 8 * page], translation: another page, or none; mostly INVLPG behind it, else a write of CR3. */
static void put_remap(struct program *p)
{
	const unsigned page = below(WINDOW_PAGES);
	const uint32_t entry = below(40) ? (PHYSICAL + below(PHYSICAL_PAGES) * PAGE) | 7 : 0;

	put(p, "\x49\xc7\x87", 3);
	put4(p, 8 * page);
	put4(p, entry);
	if (below(4)) {
		put(p, "\x0f\x01\x3c\x25", 4); /* INVLPG [disp32] */
		put4(p, WINDOW + page * PAGE);
	} else {
		put(p, "\x41\x0f\x20\xda\x41\x0f\x22\xda", 8); /* MOV R10, CR3; MOV CR3, R10 */
	}
}

/* MOV BYTE [disp32], imm8: into an immediate of this program, before or behind. */
static void put_modification(struct program *p)
{
	if (!p->patchables)
		return;
	put(p, "\xc6\x04\x25", 3);
	put4(p, HARNESS_CODE + p->patchable[below(p->patchables)] + below(4));
	put1(p, rnd());
}

static void put_vectors(struct program *p)
{
	const unsigned reg = below(8);

	put(p, below(2) ? "\x66\x0f\xef" : "\x66\x0f\xfe", 3); /* PXOR, PADDD xmm, xmm */
	put1(p, 0xc0 | reg << 3 | below(8));
	put(p, below(2) ? "\xf3\x0f\x6f" : "\xf3\x0f\x7f", 3); /* MOVDQU */
	put1(p, 0x80 | reg << 3 | 6);
	put4(p, below(300) * 4);
}

static void put_some(struct program *p, unsigned count)
{
	while (count-- > 0) {
		const unsigned what = below(100);

		if (what < 45)
			put_operation(p);
		else if (what < 58)
			put_shift(p);
		else if (what < 66)
			put_constant(p);
		else if (what < 75)
			put_stack(p);
		else if (what < 85)
			put_reader(p);
		else if (what < 91)
			put_vectors(p);
		else if (what < 97)
			put_remap(p);
		else
			put_modification(p);
	}
}

static void put_distance(struct program *p, unsigned to)
{
	put4(p, to - (p->n + 4));
}

/* Directly, by a register, or by memory that was accessed just before flags were set. */
static void put_call(struct program *p, unsigned to)
{
	const unsigned how = below(3);

	if (how == 0) {
		put1(p, 0xe8);
		put_distance(p, to);
		return;
	}
	put(p, "\x48\x8d\x05", 3); /* LEA RAX, [RIP + distance] */
	put_distance(p, to);
	if (how == 2)
		put(p, "\x48\x89\x46\x08", 4); /* MOV [RSI + 8], RAX */
	put(p, "\x48\x01\xd3", 3);	       /* ADD RBX, RDX */
	if (how == 1)
		put(p, "\xff\xd0", 2); /* CALL RAX */
	else
		put(p, "\xff\x56\x08", 3); /* CALL [RSI + 8] */
}

/* RET, maybe behind the release of a frame, which sets flags, while RAX holds an address that is jumped to now and then. */
static void put_return(struct program *p, unsigned other)
{
	if (below(2)) {
		put(p, "\x48\x8d\x05", 3);
		put_distance(p, other);
		put(p, "\x48\x83\xec\x10\x48\x8b\x54\x24\x10\x48\x83\xc4\x10",
		    13); /* SUB RSP, 16; MOV RDX, [RSP + 16]; ADD RSP, 16 */
	}
	put1(p, 0xc3);
}

/* Functions that others call; each a few blocks, the last one the loop around calls of all. */
static void make_program(struct program *p)
{
	unsigned function[BLOCKS], top, from;

	memset(p, 0, sizeof(*p));
	put1(p, 0xe9); /* to the loop */
	from = p->n;
	put4(p, 0);
	p->n += below(2) ? 0 : PAGE - 600 + below(400); /* some lie across a page's end */
	for (unsigned k = 0; k < BLOCKS; k++) {
		unsigned skip;

		function[k] = p->n;
		put_some(p, 2 + below(5));
		put1(p, 0x70 | below(16)); /* Jcc over some more */
		skip = p->n;
		put1(p, 0);
		put_some(p, 1 + below(3));
		if (k && below(2))
			put_call(p, function[below(k)]);
		if (p->n - skip - 1 < 128)
			p->code[skip] = (uint8_t)(p->n - skip - 1);
		put_return(p, function[below(k + 1)]);
	}
	top = p->n;
	memcpy(p->code + from, &(uint32_t){ top - (from + 4) }, 4);
	for (unsigned k = 0; k < 6; k++)
		put_call(p, function[below(BLOCKS)]);
	put(p, "\xff\xc9\x0f\x85", 4); /* DEC ECX; JNZ top */
	put4(p, top - (p->n + 4));
	put1(p, 0xf4);
}

static void load(struct harness *h, const struct program *p, uint64_t start)
{
	const uint64_t was = seed;

	seed = start;
	for (unsigned n = 0; n < GPR_COUNT; n++)
		h->cpu->gpr[n] = (uint64_t)rnd() << 32 | rnd();
	h->cpu->gpr[RCX] = TURNS;
	h->cpu->gpr[RSI] = WINDOW + below(64) * 8;
	h->cpu->gpr[RDI] = WINDOW + PAGE * 3 + below(PAGE);
	h->cpu->gpr[RSP] = SPARE_STACK + below(64) * 64;
	h->cpu->gpr[R15] = PTES + 8 * (WINDOW / PAGE);
	h->cpu->cr4 |= CR4_OSFXSR;
	memset(h->cpu->vec, 0, sizeof(h->cpu->vec));
	h->cpu->mxcsr = 0x1f80;
	h->cpu->activity = CPU_RUNNING;
	for (unsigned n = 0; n < PHYSICAL_PAGES * PAGE; n++)
		h->ram[PHYSICAL + n] = (uint8_t)rnd();
	memset(h->ram + SPARE_STACK - PAGE, 0, 3 * PAGE);
	for (unsigned n = 0; n < WINDOW_PAGES; n++)
		*harness_pte(h, WINDOW + n * PAGE) = (PHYSICAL + below(PHYSICAL_PAGES) * PAGE) | 7;
	harness_set_flags(h, 2);
	harness_code(h, p->code, p->n);
	seed = was;
}

static bool agree(struct harness *a, struct harness *b, unsigned code)
{
	return !memcmp(a->cpu->gpr, b->cpu->gpr, sizeof(a->cpu->gpr)) && a->cpu->rip == b->cpu->rip &&
	       harness_flags(a) == harness_flags(b) && a->fault.vector == b->fault.vector && a->fault.cr2 == b->fault.cr2 &&
	       a->fault.error == b->fault.error && !memcmp(a->cpu->vec, b->cpu->vec, sizeof(a->cpu->vec)) &&
	       !memcmp(a->ram + PHYSICAL, b->ram + PHYSICAL, PHYSICAL_PAGES * PAGE) &&
	       !memcmp(a->ram + SPARE_STACK - PAGE, b->ram + SPARE_STACK - PAGE, 3 * PAGE) &&
	       !memcmp(a->ram + HARNESS_CODE, b->ram + HARNESS_CODE, code);
}

static void explain(const struct program *p, uint64_t start, struct harness *a, struct harness *b, int ra, int rb)
{
	fprintf(stderr, "seed %llx: %x %x, rip %llx %llx, flags %llx %llx, fault %u %u, cr2 %llx %llx, rcx %llx %llx\n",
		(unsigned long long)start, (unsigned)ra, (unsigned)rb, (unsigned long long)a->cpu->rip,
		(unsigned long long)b->cpu->rip, (unsigned long long)harness_flags(a), (unsigned long long)harness_flags(b),
		a->fault.vector, b->fault.vector, (unsigned long long)a->fault.cr2, (unsigned long long)b->fault.cr2,
		(unsigned long long)a->cpu->gpr[RCX], (unsigned long long)b->cpu->gpr[RCX]);
	for (unsigned n = 0; n < GPR_COUNT; n++)
		if (a->cpu->gpr[n] != b->cpu->gpr[n])
			fprintf(stderr, "  gpr%u %llx %llx\n", n, (unsigned long long)a->cpu->gpr[n],
				(unsigned long long)b->cpu->gpr[n]);
	for (unsigned n = 0; n < p->n; n++)
		fprintf(stderr, "%02x%s", p->code[n], n % 32 == 31 ? "\n" : " ");
	fprintf(stderr, "\n");
}

static void compare(enum harness_tier tier, uint64_t first, unsigned programs)
{
	static struct program p;
	struct harness step, other;
	unsigned bad = 0, halted = 0;

	harness_init(&step, HARNESS_LONG, HARNESS_STEP);
	harness_init(&other, HARNESS_LONG, tier);
	for (unsigned n = 0; n < programs && bad < 3; n++) {
		const uint64_t start = first + n;
		int ra, rb;

		seed = start * 0x9e3779b97f4a7c15u;
		make_program(&p);
		load(&step, &p, start);
		load(&other, &p, start);
		ra = harness_run(&step, INSNS_MAX);
		rb = harness_run(&other, INSNS_MAX);
		halted += ra == 0x200;
		if (ra == rb && agree(&step, &other, p.n))
			continue;
		explain(&p, start, &step, &other, ra, rb);
		bad++;
	}
	cr_expect_eq(bad, 0);
	cr_expect_gt(halted, programs / 8, "only %u programs ran to their end", halted);
	harness_fini(&step);
	harness_fini(&other);
}

Test(emu_translator, programs_that_change_ends_in_the_same_state, .timeout = 300)
{
	compare(HARNESS_JIT, 1, PROGRAMS);
}

Test(emu_translator, warm_programs_that_change_end_in_the_same_state, .timeout = 300)
{
	compare(HARNESS_WARM, 3 * PROGRAMS, PROGRAMS);
}

/* ---- turns of the memory for code ---- */

enum { FUNCTIONS = 600, FUNCTION_BYTES = 128, FUNCTION_AT = 0x280000, CALLS_AT = 0x2c0000 };

/* ADD RAX, k; IMUL RAX, RAX, k; eight times; RET */
static unsigned put_function(uint8_t *at, unsigned k)
{
	unsigned n = 0;

	for (unsigned m = 0; m < 8; m++) {
		memcpy(at + n, "\x48\x05\0\0\0\0\x48\x69\xc0\0\0\0\0\x8b\x1e", 15); /* ...; MOV EBX, [RSI] */
		memcpy(at + n + 2, &(uint32_t){ k * 8 + m }, 4);
		memcpy(at + n + 9, &(uint32_t){ k * 16 + 2 * m + 1 }, 4);
		n += 15;
	}
	at[n++] = 0xc3;
	return n;
}

/* A chain of calls of all functions, and of the first one again and again, ECX times. */
static void load_functions(struct harness *h, uint32_t turns)
{
	uint8_t *p = h->ram + CALLS_AT;

	for (unsigned k = 0; k < FUNCTIONS; k++) {
		const unsigned used = put_function(h->ram + FUNCTION_AT + k * FUNCTION_BYTES, k);

		cr_assert_leq(used, FUNCTION_BYTES);
		for (unsigned again = 0; again < 2; again++) {
			const unsigned which = again ? 0 : k;

			*p++ = 0xe8;
			memcpy(p, &(uint32_t){ FUNCTION_AT + which * FUNCTION_BYTES - (uint32_t)(p + 4 - h->ram) }, 4);
			p += 4;
		}
	}
	memcpy(p, "\xff\xc9\x0f\x85", 4); /* DEC ECX; JNZ */
	memcpy(p + 4, &(uint32_t){ CALLS_AT - (uint32_t)(p + 8 - h->ram) }, 4);
	p[8] = 0xf4;
	h->cpu->gpr[RAX] = 1;
	h->cpu->gpr[RSI] = PHYSICAL;
	h->cpu->gpr[RSP] = SPARE_STACK;
	h->cpu->gpr[RCX] = turns;
	h->cpu->rip = CALLS_AT;
	h->cpu->activity = CPU_RUNNING;
	harness_sync(h);
}

/* Half of what has been made is forgotten many times on the way; what it is linked to, called from and part of stays right. */
Test(emu_translator, code_outlives_turns_of_its_memory, .timeout = 300)
{
	enum { ROUNDS = 40 };
	struct harness step, jit;

	harness_init(&step, HARNESS_LONG, HARNESS_STEP);
	harness_init(&jit, HARNESS_LONG, HARNESS_JIT);
	load_functions(&step, ROUNDS);
	load_functions(&jit, ROUNDS);
	cr_assert_eq(harness_run(&step, INSNS_MAX), 0x200);
	cr_assert_eq(harness_run(&jit, INSNS_MAX), 0x200);
	cr_expect_eq(step.cpu->gpr[RAX], jit.cpu->gpr[RAX]);
	cr_expect_eq(step.cpu->rip, jit.cpu->rip);
	cr_expect_not(halves_are_one(&jit.emu->code->at));
	cr_expect_gt(jit_counts(jit.emu).code_flushes, 20, "its code does not fit into half a megabyte");
	harness_fini(&step);
	harness_fini(&jit);
}

/* The same with each stretch of translated code undone and run again by single steps. */
Test(emu_translator, programs_that_change_stand_verification, .timeout = 300)
{
	setenv("EMU_VERIFY", "1", 1);
	compare(HARNESS_JIT, PROGRAMS + 1, PROGRAMS / 16);
	compare(HARNESS_WARM, 2 * PROGRAMS, PROGRAMS / 8);
}

#if defined(HOST_X86_64)
/* ADD EAX, imm32 over and over, which is copied; then the copy adds something else. */
Test(emu_translator, verification_finds_wrong_code, .signal = SIGABRT)
{
	static const uint8_t loop[] = { 0x05, 0x78, 0x56, 0x34, 0x12, 0xff, 0xc9, 0x75, 0xf7, 0xf4 };
	struct native_memory *code;
	struct harness h;
	uint8_t *wrong;

	setenv("EMU_VERIFY", "1", 1);
	harness_init(&h, HARNESS_LONG, HARNESS_JIT);
	harness_code(&h, loop, sizeof(loop));
	h.cpu->gpr[RCX] = 100;
	cr_assert_eq(harness_run(&h, INSNS_MAX), 0x200);
	code = &h.emu->code->native;
	wrong = memmem(code->writable, code->at.used, loop + 1, 4);
	cr_assert(wrong);
	wrong[0]++;
	h.cpu->activity = CPU_RUNNING;
	h.cpu->rip = HARNESS_CODE;
	h.cpu->gpr[RCX] = 100;
	harness_run(&h, INSNS_MAX);
}

/* ADD [rsi], EAX over and over, then with other bits in the page's entry, and nothing flushed. */
static void access_after(uint64_t changed)
{
	static const uint8_t loop[] = { 0x01, 0x06, 0xff, 0xc9, 0x75, 0xfa, 0xf4 };
	struct harness h;

	setenv("EMU_VERIFY", "1", 1);
	harness_init(&h, HARNESS_LONG, HARNESS_JIT);
	harness_code(&h, loop, sizeof(loop));
	for (unsigned n = 0; n < 2; n++) {
		h.cpu->activity = CPU_RUNNING;
		h.cpu->rip = HARNESS_CODE;
		h.cpu->gpr[RSI] = HARNESS_DATA;
		h.cpu->gpr[RCX] = 100;
		cr_assert_eq(harness_run(&h, INSNS_MAX), 0x200);
		*harness_pte(&h, HARNESS_DATA) ^= changed;
	}
}

Test(emu_translator, check_finds_a_page_that_lies_elsewhere, .signal = SIGABRT)
{
	access_after(PAGE);
}

Test(emu_translator, check_finds_a_page_that_is_clean, .signal = SIGABRT)
{
	access_after(1 << 6);
}
#endif

Test(emu_translator, as_do_blocks, .timeout = 300)
{
	compare(HARNESS_BLOCK, 1, PROGRAMS / 4);
}
