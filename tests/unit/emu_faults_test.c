/* SPDX-License-Identifier: MIT */
/*
 * Faults and stops at any instruction of a translated block: each kind of fault, at each place among instructions of each kind, in
 * a loop that has been translated by then, leaves what single steps leave: registers, RIP, flags, vector, error code, CR2,
 * x87, vectors, MXCSR, memory (SDM vol. 3, 6.5: a fault is reported with the state before the instruction).
 */
#include "emu_harness.h"
#include "emu/jit/jit.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum {
	PAGE = 4096, MEMORY_BYTES = 2 * PAGE, /* at HARNESS_DATA */
	GOOD = HARNESS_DATA + 256, READ_ONLY = HARNESS_DATA + 2 * PAGE, ABSENT = HARNESS_DATA + 3 * PAGE,
	STACK_TOP = HARNESS_STACK, STACK_GUARD = HARNESS_STACK - 2 * PAGE,
	PLACES = 6, TURNS = 40, CODE_MAX = 256, INSNS_MAX = 100000,
};

struct bytes {
	const char *name;
	uint8_t count;
	uint8_t bytes[24];
};

/* All keep RCX, RSI, RDI, R15 (GOOD), and come out of a turn with the stack where it was. */
static const struct bytes fillers[] = {
	{ "arithmetic", 4, { 0x01, 0xd8, 0x11, 0xc2 } },		      /* ADD EAX, EBX; ADC EDX, EAX */
	{ "some flags", 7, { 0x48, 0xff, 0xc0, 0x0f, 0x92, 0xc3, 0x90 } },    /* INC RAX; SETC BL; NOP */
	{ "store", 4, { 0x49, 0x01, 0x47, 0x10 } },			      /* ADD [R15 + 16], RAX */
	{ "load", 7, { 0x4d, 0x8b, 0x47, 0x10, 0x4d, 0x01, 0xc1 } },	      /* MOV R8, [R15 + 16]; ADD R9, R8 */
	{ "stack", 6, { 0x50, 0x41, 0x52, 0x41, 0x5b, 0x5a } },		      /* PUSH RAX, R10; POP R11, RDX */
	{ "shift", 6, { 0xd3, 0xe0, 0xc1, 0xca, 0x03, 0xf9 } },		      /* SHL EAX, CL; ROR EDX, 3; STC */
	{ "vectors", 10, { 0x66, 0x0f, 0xfe, 0xc1, 0xf3, 0x41, 0x0f, 0x7f, 0x47, 0x20 } }, /* PADDD, MOVDQU [R15 + 32], XMM0 */
	{ "wide vectors", 10, { 0xc5, 0xf5, 0xfe, 0xd8, 0xc4, 0xc1, 0x7e, 0x7f, 0x5f, 0x40 } }, /* VPADDD, VMOVDQU [R15 + 64], YMM3 */
	{ "x87", 7, { 0xd9, 0xe8, 0x41, 0xdd, 0x5f, 0x60, 0x90 } },	      /* FLD1; FSTP QWORD [R15 + 96] */
	{ "compare", 8, { 0x4d, 0x39, 0xc1, 0x0f, 0x43, 0xc2, 0x90, 0x90 } }, /* CMP R9, R8; CMOVAE EAX, EDX */
};

enum { PF = 14, GP = 13, SS = 12, DE = 0, AC = 17, MF = 16, XM = 19 };
static const struct fault_case {
	struct bytes insns;
	uint64_t bad;	/* what RSI becomes after some turns... */
	uint8_t vector; /* ...and what is expected then */
} faults[] = {
	{ { "#PF of a load", 3, { 0x48, 0x8b, 0x06 } }, ABSENT, PF },	    /* MOV RAX, [RSI] */
	{ { "#PF of a store", 3, { 0x48, 0x89, 0x06 } }, READ_ONLY, PF },	    /* MOV [RSI], RAX */
	{ { "#PF of an absent page's store", 2, { 0x89, 0x06 } }, ABSENT, PF },
	{ { "#PF of both", 3, { 0x48, 0x01, 0x06 } }, READ_ONLY, PF },	    /* ADD [RSI], RAX */
	{ { "#PF of a locked one", 5, { 0xf0, 0x48, 0x0f, 0xc1, 0x06 } }, READ_ONLY, PF }, /* LOCK XADD [RSI], RAX */
	{ { "#PF of the second page", 3, { 0x48, 0x89, 0x06 } }, READ_ONLY - 4, PF },
	{ { "#PF of a push from memory", 2, { 0xff, 0x36 } }, ABSENT, PF }, /* PUSH [RSI]; POP RAX */
	{ { "#PF of a vector's load", 4, { 0xf3, 0x0f, 0x6f, 0x16 } }, ABSENT - 8, PF }, /* MOVDQU XMM2, [RSI] */
	{ { "#PF of a wide store", 4, { 0xc5, 0xfe, 0x7f, 0x0e } }, READ_ONLY - 8, PF }, /* VMOVDQU [RSI], YMM1 */
	{ { "#PF of an x87 store", 4, { 0xd9, 0xe8, 0xdd, 0x1e } }, READ_ONLY, PF }, /* FLD1; FSTP QWORD [RSI] */
	{ { "#GP of alignment", 3, { 0x0f, 0x28, 0x16 } }, GOOD + 4, GP },	    /* MOVAPS XMM2, [RSI] */
	{ { "#GP of aligned arithmetic", 4, { 0x66, 0x0f, 0xfe, 0x06 } }, GOOD + 1, GP }, /* PADDD XMM0, [RSI] */
	{ { "#GP of no address", 3, { 0x48, 0x03, 0x06 } }, 1ull << 47, GP },   /* ADD RAX, [RSI] */
	{ { "#SS of no address", 9, { 0x48, 0x89, 0xf5, 0x4c, 0x8b, 0x45, 0x00, 0x90, 0x90 } }, 1ull << 48, SS }, /* RBP = RSI; [RBP] */
	{ { "#DE", 8, { 0x31, 0xd2, 0x48, 0xf7, 0xf6, 0x89, 0xd0, 0x90 } }, 0, DE }, /* XOR EDX, EDX; DIV RSI */
	{ { "#DE of a small one", 8, { 0x99, 0xf7, 0xfe, 0x01, 0xd0, 0x90, 0x90, 0x90 } }, 0, DE }, /* CDQ; IDIV ESI */
	{ { "#DE of a large one", 7, { 0x48, 0x89, 0xf2, 0x48, 0xf7, 0xf6, 0x90 } }, ~0ull, DE },   /* RDX = RSI; DIV RSI */
	{ { "#AC", 2, { 0x8b, 0x06 } }, GOOD + 1, AC },			    /* MOV EAX, [RSI] */
	{ { "#AC of a store", 3, { 0x66, 0x89, 0x06 } }, GOOD + 3, AC },
	/* LDMXCSR [R15 + RSI]: 8, then 12; XORPS XMM7, XMM7; CVTSI2SS XMM6, ESI; DIVSS XMM6, XMM7 */
	{ { "#XM", 16, { 0x41, 0x0f, 0xae, 0x14, 0x37, 0x0f, 0x57, 0xff, 0xf3, 0x0f, 0x2a, 0xf6, 0xf3, 0x0f, 0x5e, 0xf7 } }, 12, XM },
	/* FLDCW [R15 + RSI]; FLD1; FLDZ; FDIVP; FSTP [R15 + 96]; which looks for exceptions */
	{ { "#MF", 14, { 0x41, 0xd9, 0x2c, 0x37, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0x41, 0xdd, 0x5f, 0x60 } }, 14, MF },
};
enum { FILLERS = sizeof(fillers) / sizeof(fillers[0]), FAULTS = sizeof(faults) / sizeof(faults[0]) };

struct program {
	uint8_t code[CODE_MAX];
	unsigned n;
};

static void put(struct program *p, const void *bytes, unsigned count)
{
	memcpy(p->code + p->n, bytes, count);
	p->n += count;
}

static void put_fault(struct program *p, const struct bytes *f)
{
	put(p, f->bytes, f->count);
	if (f->bytes[0] == 0xff) /* POP RAX */
		put(p, "\x58", 1);
}

/* PLACES fillers around it; DEC ECX; CMOVZ RSI, RDI; JMP to the start: the turn after the last one faults. */
static void make(struct program *p, const struct fault_case *fault, const struct bytes *filler, unsigned place)
{
	p->n = 0;
	for (unsigned n = 0; n < PLACES; n++) {
		if (n == place)
			put_fault(p, &fault->insns);
		put(p, filler->bytes, filler->count);
	}
	put(p, "\xff\xc9\x48\x0f\x44\xf7\xe9", 7);
	put(p, &(int32_t){ -(int32_t)(p->n + 4) }, 4);
}

static void prepare_memory(struct harness *h)
{
	memset(h->ram + HARNESS_DATA, 0, MEMORY_BYTES);
	memset(h->ram + STACK_GUARD, 0, 3 * PAGE);
	*harness_pte(h, READ_ONLY) = READ_ONLY | 5;
	*harness_pte(h, ABSENT) = 0;
	/* What "#XM" and "#MF" load: everything masked, and not. */
	memcpy(h->ram + GOOD + 8, &(uint32_t){ 0x1f80 }, 4);
	memcpy(h->ram + GOOD + 12, &(uint32_t){ 0x1d80 }, 4); /* ZM */
}

static uint64_t good_value(const struct fault_case *f)
{
	return f->vector == XM || f->vector == MF ? 8 : f->vector == DE ? 0x1000 : GOOD;
}

static void load(struct harness *h, const struct program *p, const struct fault_case *f)
{
	struct cpu *c = h->cpu;

	prepare_memory(h);
	if (f->vector == MF) {
		memcpy(h->ram + GOOD + 8, &(uint16_t){ 0x37f }, 2);
		memcpy(h->ram + GOOD + 14, &(uint16_t){ 0x37b }, 2); /* ZM */
	}
	for (unsigned n = 0; n < GPR_COUNT; n++)
		c->gpr[n] = 0x0123456789abcdefull * (n + 1);
	c->gpr[RCX] = TURNS;
	c->gpr[RSI] = good_value(f);
	c->gpr[RDI] = f->bad;
	c->gpr[RSP] = STACK_TOP;
	c->gpr[R15] = GOOD;
	c->cr0 |= CR0_AM | CR0_NE | CR0_MP | CR0_WP;
	c->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	c->xcr0 = 7;
	c->cr2 = 0;
	c->dr[7] = 0x400;
	memset(c->vec, 0x11, sizeof(c->vec));
	for (unsigned n = 0; n < 32; n++)
		memset(c->vec[n].u8 + 32, 0, 32);
	c->mxcsr = 0x1f80;
	c->fpu = (struct x87){ .cw = 0x37f, .tag = 0 };
	c->activity = CPU_RUNNING;
	harness_set_flags(h, 2 | (f->vector == AC ? RFLAGS_AC : 0));
	harness_code(h, p->code, p->n);
}

static bool same(struct harness *a, struct harness *b)
{
	return !memcmp(a->cpu->gpr, b->cpu->gpr, sizeof(a->cpu->gpr)) && a->cpu->rip == b->cpu->rip &&
	       a->cpu->cr2 == b->cpu->cr2 && harness_flags(a) == harness_flags(b) &&
	       !memcmp(a->cpu->vec, b->cpu->vec, sizeof(a->cpu->vec)) &&
	       !memcmp(&a->cpu->fpu, &b->cpu->fpu, sizeof(a->cpu->fpu)) && a->cpu->mxcsr == b->cpu->mxcsr &&
	       !memcmp(a->ram + HARNESS_DATA, b->ram + HARNESS_DATA, MEMORY_BYTES) &&
	       !memcmp(a->ram + STACK_GUARD, b->ram + STACK_GUARD, 3 * PAGE);
}

static bool same_fault(const struct fault *a, const struct fault *b)
{
	return a->vector == b->vector && a->error == b->error && a->cr2 == b->cr2;
}

static void tell(const char *what, const char *fault, const char *filler, unsigned place, struct harness *a, struct harness *b)
{
	cr_log_error(
		"%s: %s among %s, place %u: rip %llx, by steps %llx; flags %llx, %llx; vector %u, %u; CR2 %llx, %llx; x87 %s",
		what, fault, filler, place, (unsigned long long)b->cpu->rip, (unsigned long long)a->cpu->rip,
		(unsigned long long)harness_flags(b), (unsigned long long)harness_flags(a), b->fault.vector, a->fault.vector,
		(unsigned long long)b->fault.cr2, (unsigned long long)a->fault.cr2,
		memcmp(&a->cpu->fpu, &b->cpu->fpu, sizeof(a->cpu->fpu)) ? "differs" : "same");
	for (unsigned n = 0; n < GPR_COUNT; n++)
		if (a->cpu->gpr[n] != b->cpu->gpr[n])
			cr_log_error("  register %u: %llx, by steps %llx", n, (unsigned long long)b->cpu->gpr[n],
				     (unsigned long long)a->cpu->gpr[n]);
}

static struct harness step, other;

static void create(enum harness_mode mode, enum harness_tier tier)
{
	harness_init(&step, mode, HARNESS_STEP);
	harness_init(&other, mode, tier);
}

static void destroy(void)
{
	harness_fini(&step);
	harness_fini(&other);
}

static void compare_fault(const struct fault_case *f, const struct bytes *filler, unsigned place)
{
	struct program p;
	int by_steps, translated;

	make(&p, f, filler, place);
	load(&step, &p, f);
	load(&other, &p, f);
	by_steps = harness_run(&step, INSNS_MAX);
	translated = harness_run(&other, INSNS_MAX);
	cr_assert_eq(by_steps, 0x100 | f->vector, "%s among %s: %x", f->insns.name, filler->name, (unsigned)by_steps);
	if (translated == by_steps && same(&step, &other) && same_fault(&step.fault, &other.fault))
		return;
	tell("fault", f->insns.name, filler->name, place, &step, &other);
	cr_assert_fail("the state differs");
}

static void compare_faults(enum harness_mode mode, enum harness_tier tier)
{
	create(mode, tier);
	for (unsigned f = 0; f < FAULTS; f++)
		for (unsigned k = 0; k < FILLERS && (mode == HARNESS_LONG_USER || faults[f].vector != AC); k++)
			for (unsigned place = 0; place < PLACES; place++)
				compare_fault(&faults[f], &fillers[k], place);
#ifdef HOST_X86_64
	cr_assert_eq(jit_counts(other.emu).entries > 0, tier == HARNESS_JIT);
#endif
	destroy();
}

Test(emu_faults, of_user_code, .timeout = 120)
{
	compare_faults(HARNESS_LONG_USER, HARNESS_JIT);
}

Test(emu_faults, of_kernel_code, .timeout = 120)
{
	compare_faults(HARNESS_LONG, HARNESS_JIT);
}

Test(emu_faults, of_blocks, .timeout = 120)
{
	compare_faults(HARNESS_LONG_USER, HARNESS_BLOCK);
}

/* ---- stopped anywhere ---- */

/* However many instructions a slice has, what has retired at its end is what single steps have done by then: that is where interrupts
 * are taken, and what a debugger sees. */
static void compare_stops(const struct bytes *filler, unsigned count)
{
	struct program p;
	uint64_t before, retired;

	make(&p, &faults[0], filler, 2);
	load(&step, &p, &faults[0]);
	load(&other, &p, &faults[0]);
	before = emu_retired(other.emu);
	cr_assert_eq(harness_run(&other, count), 0);
	retired = emu_retired(other.emu) - before;
	cr_assert_geq(retired, count);
	cr_assert_eq(harness_run(&step, (unsigned)retired), 0);
	if (same(&step, &other))
		return;
	tell("stop", "none", filler->name, count, &step, &other);
	cr_assert_fail("the state differs after %u instructions", count);
}

Test(emu_faults, stops_after_any_number_of_instructions, .timeout = 120)
{
	create(HARNESS_LONG_USER, HARNESS_JIT);
	for (unsigned k = 0; k < FILLERS; k++)
		for (unsigned count = 1; count < 160; count++)
			compare_stops(&fillers[k], count);
	destroy();
}

/* ---- traps ---- */

/* Both at the start of a turn, with the same state, and a trap to come. */
static void begin_together(bool by_tf, uint64_t at)
{
	while (other.cpu->rip != HARNESS_CODE)
		cr_assert_eq(harness_run(&other, 1), 0);
	memcpy(step.cpu, other.cpu, sizeof(*step.cpu));
	memcpy(step.ram, other.ram, HARNESS_CODE);
	memcpy(step.ram + HARNESS_DATA, other.ram + HARNESS_DATA, STACK_TOP + PAGE - HARNESS_DATA);
	harness_set_flags(&step, harness_flags(&other));
	for (struct harness *h = &step; h; h = h == &step ? &other : NULL) {
		h->cpu->gpr[RCX] = 8;
		if (by_tf)
			harness_set_flags(h, harness_flags(h) | RFLAGS_TF);
		h->cpu->dr[0] = at;
		h->cpu->dr[7] = by_tf ? 0x400 : 0x401;
		mmu_mode_changed(h->emu);
	}
}

/* #DB is reported behind each instruction while TF is set (SDM vol. 3, 17.3.1.4), from the POPFQ's successor on, in translated
 * code, too; and in front of the instruction that DR0 names, unless RF is set. */
static void compare_traps(bool by_tf, const struct bytes *filler, unsigned place)
{
	struct program p;
	unsigned traps = 0, at = 0;

	make(&p, &faults[0], filler, place);
	for (unsigned n = 0; n < place; n++)
		at += filler->count;
	load(&step, &p, &faults[0]);
	load(&other, &p, &faults[0]);
	cr_assert_eq(harness_run(&other, 300), 0); /* it is translated */
	begin_together(by_tf, HARNESS_CODE + at);
	for (int a = 0x101; a == 0x101 && traps < 100; traps++) {
		const int b = harness_run(&other, 500);

		a = harness_run(&step, 500);
		if (a != b || !same(&step, &other) || !same_fault(&step.fault, &other.fault)) {
			tell("trap", by_tf ? "TF" : "DR0", filler->name, place, &step, &other);
			cr_assert_fail("trap %u: %x, by steps %x", traps, (unsigned)b, (unsigned)a);
		}
		harness_set_flags(&step, harness_flags(&step) | (by_tf ? 0 : RFLAGS_RF));
		harness_set_flags(&other, harness_flags(&other) | (by_tf ? 0 : RFLAGS_RF));
	}
	cr_assert_gt(traps, 5, "%s, %s: %u", by_tf ? "TF" : "DR0", filler->name, traps);
}

Test(emu_faults, traps_in_translated_code, .timeout = 120)
{
	create(HARNESS_LONG, HARNESS_JIT);
	for (unsigned k = 0; k < FILLERS; k++)
		for (unsigned place = 0; place < PLACES; place++)
			for (unsigned by_tf = 0; by_tf < 2; by_tf++)
				compare_traps(by_tf, &fillers[k], place);
	destroy();
}
