/* SPDX-License-Identifier: MIT */
/*
 * The two tiers against each other: short random programs of vector and x87 instructions, from random states, must end
 * in the same state, registers, flags, MXCSR and memory, whether stepped through the semantic functions or run as a
 * block with fast handlers. What the semantic functions compute is silicon's business.
 */
#include "emu_harness.h"
#include "emu/decode/encode.h"
#include "emu/isa/isa.h"
#include "tests/silicon/silicon.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW_BYTES = 1024 };

enum { PROGRAM_INSNS = 6, INTEGER_INSNS = 14, PROGRAMS = 60000 };

struct program {
	struct state in;
	uint8_t window[WINDOW_BYTES]; /* at HARNESS_DATA */
	uint8_t code[INTEGER_INSNS * 16 + 1];
	unsigned length;
	uint64_t cr0, cr4, xcr0;
};

static void random_program(struct program *p)
{
	memset(p, 0, sizeof(*p));
	random_state(&p->in, VECTORS_ZMM);
	for (unsigned n = 0; n < WINDOW_BYTES; n += 64)
		random_bytes(p->window + n, 64);
}

static bool is_runnable(const struct isa_row *r)
{
	const bool fp = r->attr & (ISA_FP | ISA_SSEX | ISA_MMXX | ISA_AVXX | ISA_AVX512X);

	return !(r->attr & (ISA_PRIV | ISA_END | ISA_BRANCH)) &&
	       (fp || r->map >= ISA_V0F || r->feature == FEAT_FXSR || r->feature == FEAT_XSAVE || r->feature == FEAT_XSAVEOPT ||
		r->feature == FEAT_XSAVEC);
}

/* General registers keep off RSP, and off what addresses memory. */
static uint8_t other_register(uint8_t n)
{
	return n == RSP || n == RSI || n == RDI ? RBX : n;
}

/* The operand is [RSI], or [RSI + vector of indexes]. */
static void aim(struct insn *i, const struct isa_row *r)
{
	if (has_operand(r, OPK_G))
		i->reg = other_register(i->reg);
	if (has_operand(r, OPK_B))
		i->vvvv = other_register(i->vvvv);
	if (!i->is_mem) {
		i->rm = has_operand(r, OPK_E) || has_operand(r, OPK_R) ? other_register(i->rm) : i->rm;
		return;
	}
	i->base = RSI;
	i->index = has_operand(r, OPK_VS) ? i->index : ADDR_NONE;
	i->scale = has_operand(r, OPK_VS) ? i->scale : 0;
	i->disp = 0;
	i->asize = 8;
	i->seg = SEG_DS;
	i->prefixes &= (uint8_t) ~(PFX_SEG | PFX_ADDRSIZE);
}

/* Returns the instruction's length, or 0. */
static unsigned put_row(struct program *p, unsigned row, uint8_t *code)
{
	const struct isa_row *r = &isa_rows[row];
	static struct test_case t;

	if (!is_runnable(r) || !generate(row, 8, &t))
		return 0;
	aim(&t.i, r);
	if (has_operand(r, OPK_VS))
		tame_indexes(&p->in, (unsigned)t.i.index, r->opcode & 1, t.i.scale);
	return encode(&t.i, code);
}

/* Mostly aligned to what some operands want. What XRSTOR, FXRSTOR and LDMXCSR find there is mostly valid. */
static void place_operands(struct program *p)
{
	const unsigned align = (unsigned[]){ 64, 16, 16, 1 }[rnd_below(4)], at = rnd_below(448) / align * align;

	p->in.gpr[RSI] = HARNESS_DATA + at;
	p->in.gpr[RDI] = HARNESS_DATA + rnd_below(900);
	if (rnd_below(8)) {
		memset(p->window + at + 2, 0, 2);
		memset(p->window + at + 26, 0, 2);
		memset(p->window + at + 513, 0, 63);
	}
}

/* Half of the programs draw from one neighbourhood of the table, so that fast handlers follow one another. */
static void make_program(struct program *p)
{
	unsigned n = 0, base = rnd_below(ISA_COUNT), reach = rnd_below(2) ? 100 : ISA_COUNT;

	random_program(p);
	while (n < PROGRAM_INSNS) {
		const unsigned row = (base + rnd_below(reach)) % ISA_COUNT;
		const unsigned length = row == ISA_INVALID ? 0 : put_row(p, row, p->code + p->length);

		base += length == 0 && reach != ISA_COUNT;
		p->length += length;
		n += length != 0;
	}
	p->code[p->length++] = 0xf4;
	place_operands(p);
	p->in.fx.mxcsr = (uint32_t)rnd() & 0xffff;
	if (rnd_below(4))
		p->in.fx.mxcsr |= 0x1f80;
	if (rnd_below(4))
		p->in.fx.cw = 0x37f;
	p->cr0 = rnd_below(16) ? 0 : CR0_TS;
	p->xcr0 = rnd_below(16) ? 0xe7 : 7;
	p->cr4 = CR4_OSXMMEXCPT | (rnd_below(16) ? CR4_OSFXSR : 0) | (rnd_below(16) ? CR4_OSXSAVE : 0);
}

/*
 * Integer programs: mostly register operations in a row, so that flags die, with accesses, faults and readers of flags
 * between. `reg` is a ModRM.reg that selects the operation, or -1: a register.
 */
struct template {
	uint8_t bytes[3];
	uint8_t length;
	int8_t reg;
	uint8_t imm;
	enum { NO_MODRM, PLUS_REG, RM_REG, RM_ANY, RM_MEM, CONDITION } form;
};

static const struct template templates[] = {
	{ { 0x01 }, 1, -1, 0, RM_ANY }, { { 0x03 }, 1, -1, 0, RM_ANY }, { { 0x09 }, 1, -1, 0, RM_ANY },
	{ { 0x0b }, 1, -1, 0, RM_ANY }, { { 0x11 }, 1, -1, 0, RM_REG }, { { 0x1b }, 1, -1, 0, RM_ANY },
	{ { 0x21 }, 1, -1, 0, RM_ANY }, { { 0x23 }, 1, -1, 0, RM_REG }, { { 0x29 }, 1, -1, 0, RM_ANY },
	{ { 0x2b }, 1, -1, 0, RM_REG }, { { 0x31 }, 1, -1, 0, RM_REG }, { { 0x33 }, 1, -1, 0, RM_ANY },
	{ { 0x39 }, 1, -1, 0, RM_ANY }, { { 0x3b }, 1, -1, 0, RM_REG }, { { 0x85 }, 1, -1, 0, RM_REG },
	{ { 0x00 }, 1, -1, 0, RM_REG }, { { 0x30 }, 1, -1, 0, RM_REG }, { { 0x38 }, 1, -1, 0, RM_REG },
	{ { 0x83 }, 1, 0, 1, RM_REG },	{ { 0x83 }, 1, 1, 1, RM_REG },	{ { 0x83 }, 1, 2, 1, RM_REG },
	{ { 0x83 }, 1, 4, 1, RM_ANY },	{ { 0x81 }, 1, 5, 4, RM_REG },	{ { 0x81 }, 1, 6, 4, RM_REG },
	{ { 0x83 }, 1, 7, 1, RM_ANY },	{ { 0xc1 }, 1, 0, 1, RM_REG },	{ { 0xc1 }, 1, 1, 1, RM_REG },
	{ { 0xc1 }, 1, 4, 1, RM_REG },	{ { 0xc1 }, 1, 5, 1, RM_REG },	{ { 0xc1 }, 1, 7, 1, RM_REG },
	{ { 0xd1 }, 1, 1, 0, RM_REG },	{ { 0xd1 }, 1, 4, 0, RM_REG },	{ { 0xd3 }, 1, 5, 0, RM_REG },
	{ { 0xff }, 1, 0, 0, RM_ANY },	{ { 0xff }, 1, 1, 0, RM_REG },	{ { 0xf7 }, 1, 2, 0, RM_REG },
	{ { 0xf7 }, 1, 3, 0, RM_REG },	{ { 0x0f, 0xaf }, 2, -1, 0, RM_ANY }, { { 0x6b }, 1, -1, 1, RM_REG },
	{ { 0x89 }, 1, -1, 0, RM_ANY }, { { 0x8b }, 1, -1, 0, RM_ANY }, { { 0xc7 }, 1, 0, 4, RM_ANY },
	{ { 0x0f, 0xb6 }, 2, -1, 0, RM_ANY }, { { 0x0f, 0xbf }, 2, -1, 0, RM_REG }, { { 0x63 }, 1, -1, 0, RM_ANY },
	{ { 0x8d }, 1, -1, 0, RM_MEM }, { { 0x0f, 0x40 }, 2, -1, 0, CONDITION }, { { 0x0f, 0x90 }, 2, -1, 0, CONDITION },
	{ { 0x50 }, 1, -1, 0, PLUS_REG }, { { 0x58 }, 1, -1, 0, PLUS_REG }, { { 0x50 }, 1, -1, 0, PLUS_REG },
	{ { 0x9f }, 1, -1, 0, NO_MODRM }, { { 0x9e }, 1, -1, 0, NO_MODRM }, { { 0x98 }, 1, -1, 0, NO_MODRM },
};

/* Not RSP, nor RSI and RDI, which address memory. */
static unsigned pick(void)
{
	static const uint8_t some[] = { RAX, RCX, RDX, RBX, RBP };

	return some[rnd_below(sizeof(some))];
}

/* [rsi + disp8], or now and then [rdi + disp8], which faults. */
static unsigned put_address(uint8_t *p, unsigned reg)
{
	p[0] = (uint8_t)(0x40 | reg << 3 | (rnd_below(40) ? RSI : RDI));
	p[1] = (uint8_t)(rnd_below(8) * 8);
	return 2;
}

static bool is_multiply(const struct template *t)
{
	return t->bytes[0] == 0x6b || t->bytes[1] == 0xaf;
}

static unsigned put_integer(uint8_t *p)
{
	const struct template *t = &templates[rnd_below(sizeof(templates) / sizeof(templates[0]))];
	unsigned n = 0, reg = t->reg < 0 ? pick() : (unsigned)t->reg;

	if (rnd_below(2) && t->form != PLUS_REG)
		p[n++] = 0x48;
	memcpy(p + n, t->bytes, t->length);
	n += t->length;
	if (t->form == CONDITION)
		p[n - 1] |= (uint8_t)rnd_below(16);
	if (t->form == PLUS_REG)
		p[n - 1] |= (uint8_t)pick();
	else if (t->form == RM_MEM || (t->form >= RM_ANY && rnd_below(4) == 0))
		n += put_address(p + n, reg);
	else if (t->form != NO_MODRM)
		p[n++] = (uint8_t)(0xc0 | reg << 3 | pick());
	for (unsigned k = 0; k < t->imm; k++)
		p[n++] = (uint8_t)rnd();
	if (is_multiply(t)) { /* leaves flags undefined, but some processors as they were: TEST EAX, EAX */
		p[n++] = 0x85;
		p[n++] = 0xc0;
	}
	return n;
}

static void make_integer_program(struct program *p)
{
	random_program(p);
	for (unsigned n = 0; n < INTEGER_INSNS; n++) /* and a TEST behind each multiplication */
		p->length += put_integer(p->code + p->length);
	p->code[p->length++] = 0xf4;
	p->in.gpr[RSI] = HARNESS_DATA + rnd_below(900);
	p->in.gpr[RDI] = 1ull << 60;
	p->cr4 = CR4_OSFXSR;
}

static void load(struct harness *h, const struct program *p)
{
	const struct state *s = &p->in;
	struct cpu *c = h->cpu;

	memcpy(h->ram + HARNESS_DATA, p->window, WINDOW_BYTES);
	memcpy(c->gpr, s->gpr, sizeof(s->gpr));
	c->gpr[RSP] = HARNESS_STACK;
	c->cr0 = (c->cr0 & ~(uint64_t)CR0_TS) | p->cr0 | CR0_NE | CR0_MP;
	c->cr4 = (c->cr4 & ~(uint64_t)(CR4_OSFXSR | CR4_OSXSAVE)) | p->cr4;
	c->xcr0 = p->xcr0;
	c->fpu = (struct x87){ .cw = s->fx.cw, .sw = s->fx.sw & 0x7f7f, .tag = s->fx.tag };
	for (unsigned n = 0; n < 8; n++)
		memcpy(&c->fpu.r[n], s->fx.st[n], 10);
	c->mxcsr = s->fx.mxcsr;
	for (unsigned n = 0; n < 16; n++) {
		memcpy(&c->vec[n], s->fx.xmm[n], 16);
		memcpy(c->vec[n].u8 + 16, s->ymm_high[n], 16);
		memcpy(c->vec[n].u8 + 32, s->zmm_high[n], 32);
		memcpy(&c->vec[16 + n], s->zmm16[n], 64);
	}
	memcpy(c->k, s->k, sizeof(c->k));
	c->activity = CPU_RUNNING;
	harness_set_flags(h, s->rflags & 0xcd5);
	harness_code(h, p->code, p->length);
	harness_sync(h);
}

static bool x87_agrees(const struct x87 *a, const struct x87 *b)
{
	for (unsigned n = 0; n < 8; n++) {
		if (a->r[n].sig != b->r[n].sig || a->r[n].se != b->r[n].se)
			return false;
	}
	return a->cw == b->cw && a->sw == b->sw && a->tag == b->tag && a->fop == b->fop && a->fip == b->fip && a->fdp == b->fdp;
}

static bool agree(struct harness *a, struct harness *b)
{
	return !memcmp(a->cpu->gpr, b->cpu->gpr, 16 * 8) && !memcmp(a->cpu->vec, b->cpu->vec, sizeof(a->cpu->vec)) &&
	       !memcmp(a->cpu->k, b->cpu->k, sizeof(a->cpu->k)) && x87_agrees(&a->cpu->fpu, &b->cpu->fpu) &&
	       a->cpu->mxcsr == b->cpu->mxcsr && harness_flags(a) == harness_flags(b) && a->cpu->rip == b->cpu->rip &&
	       !memcmp(a->ram + HARNESS_DATA, b->ram + HARNESS_DATA, 2 * WINDOW_BYTES);
}

static void explain(const struct program *p, struct harness *a, struct harness *b, int ra, int rb)
{
	fprintf(stderr, "code");
	for (unsigned n = 0; n < p->length; n++)
		fprintf(stderr, " %02x", p->code[n]);
	fprintf(stderr, "\n results %x %x, rip %llx %llx, mxcsr %x -> %x %x, flags %llx %llx\n", (unsigned)ra, (unsigned)rb,
		(unsigned long long)a->cpu->rip, (unsigned long long)b->cpu->rip, p->in.fx.mxcsr, a->cpu->mxcsr, b->cpu->mxcsr,
		(unsigned long long)harness_flags(a), (unsigned long long)harness_flags(b));
	for (unsigned n = 0; n < 16; n++) {
		if (memcmp(&a->cpu->vec[n], &b->cpu->vec[n], 64))
			fprintf(stderr, " vec%u differs\n", n);
		if (a->cpu->gpr[n] != b->cpu->gpr[n])
			fprintf(stderr, " gpr%u differs\n", n);
	}
}

static void compare_tiers(void (*make)(struct program *p), unsigned insns, enum harness_tier tier)
{
	static struct program p;
	const unsigned programs = getenv("EMU_HOST_LACKS") ? PROGRAMS / 4 : PROGRAMS;
	struct harness step, block;
	unsigned bad = 0, halted = 0;

	harness_init(&step, HARNESS_LONG, HARNESS_STEP);
	harness_init(&block, HARNESS_LONG, tier);
	rnd_seed(20261121);
	for (unsigned k = 0; k < programs && bad < 10; k++) {
		int ra, rb;

		make(&p);
		load(&step, &p);
		load(&block, &p);
		ra = harness_run(&step, 2 * insns + 1);
		rb = harness_run(&block, 2 * insns + 1);
		halted += ra == 0x200;
		if (ra == rb && agree(&step, &block))
			continue;
		explain(&p, &step, &block, ra, rb);
		bad++;
	}
	cr_expect_eq(bad, 0);
	cr_expect_gt(halted, programs / 4, "only %u programs ran to their end", halted);
	harness_fini(&step);
	harness_fini(&block);
}

Test(emu_tiers, vector_programs_end_in_the_same_state)
{
	compare_tiers(make_program, PROGRAM_INSNS, HARNESS_BLOCK);
}

Test(emu_tiers, integer_programs_end_in_the_same_state)
{
	compare_tiers(make_integer_program, INTEGER_INSNS, HARNESS_BLOCK);
}

Test(emu_tiers, translated_vector_programs_end_in_the_same_state)
{
	compare_tiers(make_program, PROGRAM_INSNS, HARNESS_JIT);
}

Test(emu_tiers, translated_integer_programs_end_in_the_same_state)
{
	compare_tiers(make_integer_program, INTEGER_INSNS, HARNESS_JIT);
}
