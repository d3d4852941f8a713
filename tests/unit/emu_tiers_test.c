/* SPDX-License-Identifier: MIT */
/*
 * The two tiers against each other: short random programs of vector and x87 instructions, from random states, must end
 * in the same state, registers, flags, MXCSR and memory, whether stepped through the semantic functions or run as a
 * block with fast handlers. What the semantic functions compute is the oracle's business.
 */
#include "emu_harness.h"
#include "emu/isa/isa.h"
#include "tests/oracle/oracle.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* encode.c places pointers in the window; here that is guest memory. */
uint8_t *oracle_window = (uint8_t *)(uintptr_t)HARNESS_DATA;
uint8_t *oracle_code;

bool native_has_avx(void)
{
	return true; /* random_state() asks whether upper halves are wanted */
}

bool native_has_avx512(void)
{
	return true;
}

enum { PROGRAM_INSNS = 6, PROGRAMS = 60000 };

struct program {
	struct test_case last; /* its state is the program's */
	uint8_t code[PROGRAM_INSNS * 16 + 1];
	unsigned length;
	uint64_t cr0, cr4;
};

/* Half of the programs draw from one neighbourhood of the table, so that fast handlers follow one another. */
static void make_program(struct program *p)
{
	unsigned n = 0, base = rnd_below(ISA_COUNT), reach = rnd_below(2) ? 100 : ISA_COUNT;

	memset(p, 0, sizeof(*p));
	random_state(&p->last.in);
	while (n < PROGRAM_INSNS) {
		unsigned row = (base + rnd_below(reach)) % ISA_COUNT;

		if (row == ISA_INVALID || !encode_case(row, &p->last)) {
			base = reach == ISA_COUNT ? base : base + 1;
			continue;
		}
		memcpy(p->code + p->length, p->last.code, p->last.length);
		p->length += p->last.length;
		n++;
	}
	p->code[p->length++] = 0xf4;
	p->last.in.fx.mxcsr = (uint32_t)rnd() & 0xffff;
	if (rnd_below(4))
		p->last.in.fx.mxcsr |= 0x1f80;
	p->cr0 = rnd_below(16) ? 0 : CR0_TS;
	p->cr4 = CR4_OSXMMEXCPT | (rnd_below(16) ? CR4_OSFXSR : 0) | (rnd_below(16) ? CR4_OSXSAVE : 0);
}

static void load(struct harness *h, const struct program *p)
{
	const struct state *s = &p->last.in;
	struct cpu *c = h->cpu;

	memcpy(h->ram + HARNESS_DATA, s->window, WINDOW_BYTES);
	memcpy(c->gpr, s->gpr, sizeof(s->gpr));
	c->gpr[RSP] = HARNESS_STACK;
	c->cr0 = (c->cr0 & ~(uint64_t)CR0_TS) | p->cr0 | CR0_NE | CR0_MP;
	c->cr4 = (c->cr4 & ~(uint64_t)(CR4_OSFXSR | CR4_OSXSAVE)) | p->cr4;
	c->xcr0 = 7;
	c->fpu = (struct x87){ .cw = s->fx.cw, .sw = s->fx.sw & 0x7f7f, .tag = s->fx.tag };
	for (unsigned n = 0; n < 8; n++)
		memcpy(&c->fpu.r[n], s->fx.st[n], 10);
	c->mxcsr = s->fx.mxcsr;
	memset(c->vec, 0xa5, sizeof(c->vec));
	for (unsigned n = 0; n < 16; n++) {
		memcpy(&c->vec[n], s->fx.xmm[n], 16);
		memcpy(c->vec[n].u8 + 16, s->ymm_high[n], 16);
	}
	c->activity = CPU_RUNNING;
	harness_set_flags(h, s->rflags & 0xcd5);
	harness_code(h, p->code, p->length);
	harness_sync(h);
}

static bool agree(struct harness *a, struct harness *b)
{
	return !memcmp(a->cpu->gpr, b->cpu->gpr, 16 * 8) && !memcmp(a->cpu->vec, b->cpu->vec, sizeof(a->cpu->vec)) &&
	       !memcmp(&a->cpu->fpu, &b->cpu->fpu, sizeof(a->cpu->fpu)) && a->cpu->mxcsr == b->cpu->mxcsr &&
	       harness_flags(a) == harness_flags(b) && a->cpu->rip == b->cpu->rip &&
	       !memcmp(a->ram + HARNESS_DATA, b->ram + HARNESS_DATA, 2 * WINDOW_BYTES);
}

static void explain(const struct program *p, struct harness *a, struct harness *b, int ra, int rb)
{
	fprintf(stderr, "code");
	for (unsigned n = 0; n < p->length; n++)
		fprintf(stderr, " %02x", p->code[n]);
	fprintf(stderr, "\n results %x %x, rip %llx %llx, mxcsr %x -> %x %x, flags %llx %llx\n", (unsigned)ra, (unsigned)rb,
		(unsigned long long)a->cpu->rip, (unsigned long long)b->cpu->rip, p->last.in.fx.mxcsr, a->cpu->mxcsr,
		b->cpu->mxcsr, (unsigned long long)harness_flags(a), (unsigned long long)harness_flags(b));
	for (unsigned n = 0; n < 16; n++) {
		if (memcmp(&a->cpu->vec[n], &b->cpu->vec[n], 64))
			fprintf(stderr, " vec%u differs\n", n);
		if (a->cpu->gpr[n] != b->cpu->gpr[n])
			fprintf(stderr, " gpr%u differs\n", n);
	}
}

Test(emu_tiers, random_programs_end_in_the_same_state)
{
	static struct program p;
	struct harness step, block;
	unsigned bad = 0, halted = 0;

	harness_init(&step, HARNESS_LONG, HARNESS_STEP);
	harness_init(&block, HARNESS_LONG, HARNESS_BLOCK);
	rnd_seed(20261121);
	for (unsigned k = 0; k < PROGRAMS && bad < 10; k++) {
		int ra, rb;

		make_program(&p);
		load(&step, &p);
		load(&block, &p);
		ra = harness_run(&step, PROGRAM_INSNS + 1);
		rb = harness_run(&block, PROGRAM_INSNS + 1);
		halted += ra == 0x200;
		if (ra == rb && agree(&step, &block))
			continue;
		explain(&p, &step, &block, ra, rb);
		bad++;
	}
	cr_expect_eq(bad, 0);
	cr_expect_gt(halted, PROGRAMS / 4, "only %u programs ran to their end", halted);
	harness_fini(&step);
	harness_fini(&block);
}
