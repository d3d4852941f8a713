/* SPDX-License-Identifier: MIT */
/*
 * 32-bit code in flat segments, which has fast handlers, and what ends flatness: random integer programs must end in the
 * same state whether stepped, run as blocks or translated, and segments, limits and the 4 GiB wrap must hold in all tiers.
 */
#include "emu_harness.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { INSNS = 14, PROGRAMS = 40000, WINDOW = 1024, LOW_LIMIT = 0x48, READ_ONLY = 0x50, BASED = 0x58 };

static uint64_t rnd_state = 20261130;

/* xorshift64* */
static uint64_t rnd(void)
{
	rnd_state ^= rnd_state >> 12;
	rnd_state ^= rnd_state << 25;
	rnd_state ^= rnd_state >> 27;
	return rnd_state * 0x2545f4914f6cdd1dull;
}

static unsigned rnd_below(unsigned n)
{
	return (unsigned)((rnd() >> 32) * n >> 32);
}

/* An opcode, its fixed ModRM.reg (-1: a register), and how many immediate bytes follow at 32 bits and at 16. */
struct template {
	uint8_t bytes[2], length;
	int8_t reg;
	uint8_t imm, imm16;
	enum { NO_MODRM, PLUS_REG, RM, RM_MEM, MOFFS, CONDITION, CONDITION_RM } form;
};

static const struct template templates[] = {
	{ { 0x00 }, 1, -1, 0, 0, RM }, { { 0x01 }, 1, -1, 0, 0, RM }, { { 0x03 }, 1, -1, 0, 0, RM },
	{ { 0x0b }, 1, -1, 0, 0, RM }, { { 0x11 }, 1, -1, 0, 0, RM }, { { 0x1b }, 1, -1, 0, 0, RM },
	{ { 0x21 }, 1, -1, 0, 0, RM }, { { 0x2a }, 1, -1, 0, 0, RM }, { { 0x2b }, 1, -1, 0, 0, RM },
	{ { 0x31 }, 1, -1, 0, 0, RM }, { { 0x38 }, 1, -1, 0, 0, RM }, { { 0x39 }, 1, -1, 0, 0, RM },
	{ { 0x3b }, 1, -1, 0, 0, RM }, { { 0x85 }, 1, -1, 0, 0, RM }, { { 0x84 }, 1, -1, 0, 0, RM },
	{ { 0x80 }, 1, 7, 1, 1, RM },  { { 0x81 }, 1, 0, 4, 2, RM },  { { 0x83 }, 1, 5, 1, 1, RM },
	{ { 0x83 }, 1, 7, 1, 1, RM },  { { 0xf6 }, 1, 0, 1, 1, RM },  { { 0xf7 }, 1, 0, 4, 2, RM },
	{ { 0xf7 }, 1, 3, 0, 0, RM },  { { 0xf7 }, 1, 4, 0, 0, RM },  { { 0xfe }, 1, 0, 0, 0, RM },
	{ { 0xff }, 1, 0, 0, 0, RM },  { { 0xff }, 1, 1, 0, 0, RM },  { { 0xff }, 1, 6, 0, 0, RM },
	{ { 0x40 }, 1, -1, 0, 0, PLUS_REG }, { { 0x48 }, 1, -1, 0, 0, PLUS_REG }, { { 0x50 }, 1, -1, 0, 0, PLUS_REG },
	{ { 0x50 }, 1, -1, 0, 0, PLUS_REG }, { { 0x58 }, 1, -1, 0, 0, PLUS_REG }, { { 0x58 }, 1, -1, 0, 0, PLUS_REG },
	{ { 0x68 }, 1, -1, 4, 2, NO_MODRM }, { { 0x6a }, 1, -1, 1, 1, NO_MODRM }, { { 0x98 }, 1, -1, 0, 0, NO_MODRM },
	{ { 0xa0 }, 1, -1, 0, 0, MOFFS }, { { 0xa1 }, 1, -1, 0, 0, MOFFS }, { { 0xa2 }, 1, -1, 0, 0, MOFFS },
	{ { 0xa3 }, 1, -1, 0, 0, MOFFS }, { { 0x88 }, 1, -1, 0, 0, RM }, { { 0x89 }, 1, -1, 0, 0, RM },
	{ { 0x8a }, 1, -1, 0, 0, RM }, { { 0x8b }, 1, -1, 0, 0, RM }, { { 0xc6 }, 1, 0, 1, 1, RM },
	{ { 0xc7 }, 1, 0, 4, 2, RM }, { { 0x8d }, 1, -1, 0, 0, RM_MEM }, { { 0xc1 }, 1, 4, 1, 1, RM },
	{ { 0xd3 }, 1, 5, 0, 0, RM }, { { 0x0f, 0xaf }, 2, -1, 0, 0, RM }, { { 0x69 }, 1, -1, 4, 2, RM },
	{ { 0x0f, 0xb6 }, 2, -1, 0, 0, RM }, { { 0x0f, 0xb7 }, 2, -1, 0, 0, RM }, { { 0x0f, 0xbe }, 2, -1, 0, 0, RM },
	{ { 0x0f, 0xbf }, 2, -1, 0, 0, RM }, { { 0x0f, 0xa3 }, 2, -1, 0, 0, RM }, { { 0x0f, 0xba }, 2, 4, 1, 1, RM },
	{ { 0x0f, 0x40 }, 2, -1, 0, 0, CONDITION_RM }, { { 0x0f, 0x90 }, 2, -1, 0, 0, CONDITION_RM },
	{ { 0x70 }, 1, -1, 0, 0, CONDITION }, { { 0x9f }, 1, -1, 0, 0, NO_MODRM }, { { 0x9e }, 1, -1, 0, 0, NO_MODRM },
};

struct program {
	uint8_t code[INSNS * 18 + 3];
	unsigned length;
	uint64_t gpr[8], flags;
	uint8_t window[WINDOW];
};

/* Not ESP, nor ESI and EDI, which address memory. */
static unsigned pick(void)
{
	static const uint8_t some[] = { RAX, RCX, RDX, RBX, RBP };

	return some[rnd_below(sizeof(some))];
}

static unsigned put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
	return 4;
}

/* [esi+disp8]; [edi+esi*1+disp8], edi zero; a plain address; [esp+disp8]; now and then where there is nothing. */
static unsigned put_memory(uint8_t *p, unsigned reg)
{
	static const uint8_t sib[] = { RSI << 3 | RDI, 4 << 3 | RSP, 2 << 6 | RCX << 3 | RDI };
	unsigned kind = rnd_below(20);

	if (kind < 8) {
		p[0] = (uint8_t)(0x40 | reg << 3 | RSI);
		p[1] = (uint8_t)rnd();
		return 2;
	}
	if (kind < 12) {
		p[0] = (uint8_t)(reg << 3 | 5);
		return 1 + put32(p + 1, HARNESS_DATA + rnd_below(WINDOW));
	}
	p[0] = (uint8_t)(0x40 | reg << 3 | 4);
	p[1] = sib[kind < 16 ? 0 : kind < 19 ? 1 : 2];
	p[2] = (uint8_t)(rnd_below(16) * 4);
	return 3;
}

static unsigned put_operands(uint8_t *p, const struct template *t)
{
	unsigned reg = t->reg < 0 ? pick() : (unsigned)t->reg;

	switch (t->form) {
	case NO_MODRM:
	case PLUS_REG:
		return 0;
	case MOFFS:
		return put32(p, HARNESS_DATA + rnd_below(WINDOW));
	case CONDITION: /* to the next instruction either way: two blocks */
		p[0] = 0;
		return 1;
	case RM:
	case CONDITION_RM:
	case RM_MEM:
		break;
	}
	if (t->form == RM_MEM || rnd_below(2))
		return put_memory(p, reg);
	p[0] = (uint8_t)(0xc0 | reg << 3 | pick());
	return 1;
}

static unsigned put_insn(uint8_t *p)
{
	const struct template *t = &templates[rnd_below(sizeof(templates) / sizeof(templates[0]))];
	bool narrow = rnd_below(8) == 0 && t->form != CONDITION;
	unsigned n = 0;

	if (rnd_below(60) == 0) /* call and return: over `ret`, which is what the call leads to */
		return (unsigned)(memcpy(p, "\xe8\x02\0\0\0\xeb\x01\xc3", 8), 8);
	if (narrow)
		p[n++] = 0x66;
	memcpy(p + n, t->bytes, t->length);
	n += t->length;
	if (t->form == CONDITION || t->form == CONDITION_RM)
		p[n - 1] |= (uint8_t)rnd_below(16);
	if (t->form == PLUS_REG)
		p[n - 1] |= (uint8_t)pick();
	n += put_operands(p + n, t);
	for (unsigned k = 0; k < (narrow ? t->imm16 : t->imm); k++)
		p[n++] = (uint8_t)rnd();
	return n;
}

/* Multiplications leave flags undefined (SDM vol. 2, IMUL and MUL): translated ones are the host's. CMP EAX, EBX sets all. */
static unsigned settle_flags(uint8_t *code, const uint8_t *insn)
{
	const uint8_t *p = insn + (*insn == 0x66);
	const bool vague = (p[0] == 0x0f && p[1] == 0xaf) || p[0] == 0x69 || (p[0] == 0xf7 && (p[1] >> 3 & 7) == 4);

	if (vague)
		memcpy(code, "\x39\xd8", 2);
	return vague ? 2 : 0;
}

static void make_program(struct program *p)
{
	p->length = 0;
	for (unsigned n = 0; n < INSNS; n++) {
		const uint8_t *insn = p->code + p->length;

		p->length += put_insn(p->code + p->length);
		p->length += settle_flags(p->code + p->length, insn);
	}
	memcpy(p->code + p->length, "\xf4\xeb\xfe",
	       3); /* HLT, and what the harness puts behind translated code: it may be read as data */
	p->length += 3;
	for (unsigned n = 0; n < 8; n++)
		p->gpr[n] = (uint32_t)rnd() & (rnd_below(2) ? UINT32_MAX : 0xff);
	p->gpr[RSI] = HARNESS_DATA + 200 + rnd_below(600);
	p->gpr[RDI] = 0;
	p->gpr[RSP] = HARNESS_STACK;
	p->flags = rnd() & 0xcd5;
	for (unsigned n = 0; n < WINDOW; n++)
		p->window[n] = (uint8_t)rnd();
}

static int run(struct harness *h, const struct program *p)
{
	memcpy(h->ram + HARNESS_DATA, p->window, WINDOW);
	memset(h->ram + HARNESS_STACK - WINDOW, 0, 2 * WINDOW);
	memcpy(h->cpu->gpr, p->gpr, sizeof(p->gpr));
	h->cpu->activity = CPU_RUNNING;
	harness_set_flags(h, p->flags);
	memset(h->ram + HARNESS_CODE, 0, sizeof(p->code) + 2);
	harness_code(h, p->code, p->length);
	memset(h->ram + HARNESS_CODE + p->length, 0, 2);
	return harness_run(h, 4 * INSNS);
}

static bool agree(struct harness *a, struct harness *b)
{
	return !memcmp(a->cpu->gpr, b->cpu->gpr, 8 * 8) && harness_flags(a) == harness_flags(b) && a->cpu->rip == b->cpu->rip &&
	       !memcmp(a->ram + HARNESS_DATA, b->ram + HARNESS_DATA, 2 * WINDOW) &&
	       !memcmp(a->ram + HARNESS_STACK - WINDOW, b->ram + HARNESS_STACK - WINDOW, 2 * WINDOW);
}

static void explain(struct harness *step, struct harness *other, const struct program *p, int rs, int ro)
{
	fprintf(stderr, "tier %d: results %x %x, eip %llx %llx, flags %llx %llx, code", (int)other->tier, (unsigned)rs,
		(unsigned)ro, (unsigned long long)step->cpu->rip, (unsigned long long)other->cpu->rip,
		(unsigned long long)harness_flags(step), (unsigned long long)harness_flags(other));
	for (unsigned n = 0; n < p->length; n++)
		fprintf(stderr, " %02x", p->code[n]);
	for (unsigned n = 0; n < 8; n++)
		fprintf(stderr, "%s%llx %llx", n ? ", " : "\n ", (unsigned long long)step->cpu->gpr[n],
			(unsigned long long)other->cpu->gpr[n]);
	fputc('\n', stderr);
}

static void compare_with_steps(enum harness_tier tier, unsigned programs)
{
	static struct program p;
	struct harness step, other;
	unsigned bad = 0, halted = 0;

	harness_init(&step, HARNESS_PROT32, HARNESS_STEP);
	harness_init(&other, HARNESS_PROT32, tier);
	for (unsigned k = 0; k < programs && bad < 5; k++) {
		int rs, ro;

		make_program(&p);
		rs = run(&step, &p);
		ro = run(&other, &p);
		halted += rs == 0x200;
		if (rs == ro && agree(&step, &other))
			continue;
		bad++;
		explain(&step, &other, &p, rs, ro);
	}
	cr_expect_eq(bad, 0);
	cr_expect_gt(halted, programs / 2, "only %u programs ran to their end", halted);
	harness_fini(&step);
	harness_fini(&other);
}

Test(emu_flat32, programs_end_in_the_same_state)
{
	compare_with_steps(HARNESS_BLOCK, PROGRAMS);
}

Test(emu_flat32, translated_programs_end_in_the_same_state)
{
	compare_with_steps(HARNESS_JIT, PROGRAMS);
}

/* ---- what flat segments are not ---- */

/* EBX points to 12345678h. */
static void start(struct harness *h, enum harness_tier tier)
{
	static const uint64_t more[] = {
		0x004093000000ffff, /* LOW_LIMIT: 64 KiB */
		0x00cf91000000ffff, /* READ_ONLY */
		0x00cf93020000ffff, /* BASED at HARNESS_DATA */
	};

	harness_init(h, HARNESS_PROT32, tier);
	memcpy(h->ram + HARNESS_GDT + LOW_LIMIT, more, sizeof(more));
	h->cpu->gdtr.limit = BASED + 7;
	h->cpu->gpr[RBX] = HARNESS_DATA;
	memcpy(h->ram + HARNESS_DATA, "\x78\x56\x34\x12", 4);
}

static void expect(const void *code, size_t count, uint16_t selector, int result, uint64_t rax)
{
	for (enum harness_tier tier = HARNESS_STEP; tier <= HARNESS_JIT; tier++) {
		struct harness h;
		int got;

		start(&h, tier);
		h.cpu->gpr[RCX] = selector;
		h.cpu->gpr[RSI] = 0x10;
		harness_code(&h, code, count);
		got = harness_run(&h, 8);
		cr_expect_eq(got, result, "tier %d, selector %x: %x", (int)tier, selector, (unsigned)got);
		cr_expect_eq(h.cpu->gpr[RAX], rax, "tier %d, selector %x: eax %llx", (int)tier, selector,
			     (unsigned long long)h.cpu->gpr[RAX]);
		harness_fini(&h);
	}
}

enum { HALTED = 0x200, GP = 0x10d, SS = 0x10c };

/*
 * SDM vol. 3, 5.3 "Limit Checking" and 5.5 "Type Checking": a segment holds from the instruction behind its load, and no
 * longer. The page has been read and written before: that its translation is at hand must not help.
 */
Test(emu_flat32, segments_change_in_the_middle_of_a_block)
{
	/* mov eax, [ebx]; mov ds, ecx; mov eax, [ebx]; inc eax; mov ds, esi; mov eax, [ebx]; hlt */
	static const char reads[] = "\x8b\x03\x8e\xd9\x8b\x03\x40\x8e\xde\x8b\x03\xf4";
	/* mov eax, 7; mov [ebx+4], eax; mov ds, ecx; mov [ebx], eax; hlt */
	static const char writes[] = "\xb8\x07\0\0\0\x89\x43\x04\x8e\xd9\x89\x03\xf4";
	/* mov eax, [0]; mov ds, ecx; mov eax, [0]; hlt */
	static const char at_zero[] = "\xa1\0\0\0\0\x8e\xd9\xa1\0\0\0\0\xf4";
	/* mov es:[ebx+4], eax; mov es, ecx; mov eax, es:[ebx]; hlt */
	static const char extra[] = "\x26\x89\x43\x04\x8e\xc1\x26\x8b\x03\xf4";

	expect(reads, sizeof(reads) - 1, 0x10, HALTED, 0x12345678);
	expect(reads, sizeof(reads) - 1, LOW_LIMIT, GP, 0x12345678);
	expect(reads, sizeof(reads) - 1, READ_ONLY, HALTED, 0x12345678);
	expect(reads, sizeof(reads) - 1, 0, GP, 0x12345678);
	expect(writes, sizeof(writes) - 1, 0x10, HALTED, 7);
	expect(writes, sizeof(writes) - 1, READ_ONLY, GP, 7);
	expect(at_zero, sizeof(at_zero) - 1, BASED, HALTED, 0x12345678);
	expect(extra, sizeof(extra) - 1, 0x10, HALTED, 0x12345678);
	expect(extra, sizeof(extra) - 1, LOW_LIMIT, GP, 0);
}

/* SDM vol. 3, 5.5 "Type Checking": no instruction may write into a code segment; FS adds its own base. */
Test(emu_flat32, overrides)
{
	/* mov [ebx+4], eax; mov eax, cs:[ebx]; mov cs:[ebx], eax; hlt */
	static const char code[] = "\x89\x43\x04\x2e\x8b\x03\x2e\x89\x03\xf4";
	/* mov fs, ecx; mov eax, fs:[0]; hlt */
	static const char fs[] = "\x8e\xe1\x64\xa1\0\0\0\0\xf4";

	expect(code, sizeof(code) - 1, 0x10, GP, 0x12345678);
	expect(fs, sizeof(fs) - 1, BASED, HALTED, 0x12345678);
}

/*
 * Addresses are sums modulo 4 GiB (SDM vol. 1, 3.7.5); an operand that reaches beyond the last byte of a 4 GiB segment is
 * outside of it (SDM vol. 3, 5.3).
 */
Test(emu_flat32, four_gigabytes)
{
	/* mov ebp, -0x1000; mov eax, ds:[ebp+ebx+0x1000]; hlt */
	static const char wraps[] = "\xbd\0\xf0\xff\xff\x3e\x8b\x84\x1d\0\x10\0\0\xf4";
	/* mov eax, 5; mov edx, -2; mov eax, [edx]; hlt */
	static const char beyond[] = "\xb8\5\0\0\0\xba\xfe\xff\xff\xff\x8b\x02\xf4";
	/* mov eax, 5; mov esp, 2; push eax; hlt */
	static const char stack[] = "\xb8\5\0\0\0\xbc\2\0\0\0\x50\xf4";

	expect(wraps, sizeof(wraps) - 1, 0, HALTED, 0x12345678);
	expect(beyond, sizeof(beyond) - 1, 0, GP, 5);
	expect(stack, sizeof(stack) - 1, 0, SS, 5);
}

/* The same bytes at the same place, as 64-bit and as 32-bit code: returns must not find each other's blocks. */
static void keep_apart(enum harness_tier tier)
{
	/* call f; dec eax, inc ecx in 32 bits, inc rcx in 64; hlt; f: ret */
	static const char code[] = "\xe8\4\0\0\0\x48\xff\xc1\xf4\xc3";
	struct harness h;

	harness_init(&h, HARNESS_LONG, tier);
	for (unsigned round = 0; round < 9; round++) { /* the first time builds blocks, the second notes where returns go */
		bool wide = round / 3 & 1;

		h.cpu->seg[SEG_CS].attr = wide ? 0xa09b : 0xc09b;
		if (round == 0) {
			harness_code(&h, code, sizeof(code) - 1);
			harness_sync(&h);
		}
		emu_derive_mode(h.emu);
		h.cpu->rip = HARNESS_CODE;
		h.cpu->activity = CPU_RUNNING;
		h.cpu->gpr[RAX] = 5;
		h.cpu->gpr[RCX] = UINT32_MAX;
		cr_expect_eq(harness_run(&h, 5), HALTED);
		cr_expect_eq(h.cpu->gpr[RAX], wide ? 5 : 4, "tier %d, round %u", (int)tier, round);
		cr_expect_eq(h.cpu->gpr[RCX], wide ? 1ull << 32 : 0, "tier %d, round %u", (int)tier, round);
		cr_expect_eq(h.cpu->gpr[RSP], HARNESS_STACK);
	}
	harness_fini(&h);
}

Test(emu_flat32, returns_keep_code_sizes_apart)
{
	keep_apart(HARNESS_BLOCK);
	keep_apart(HARNESS_JIT);
}

/*
 * A recursion with frames, a table of targets and what else belongs to 32-bit code, with the upper half of each register in use
 * before: 32-bit code never sees it (SDM vol. 1, 3.4.1.1).
 */
Test(emu_flat32, calls_returns_and_tables)
{
	/*
	 * mov ecx, 12; call sum; hlt
	 * sum: push ebp; mov ebp, esp; push dword [esi]; push ecx; dec ecx; jz end; call sum
	 * end: add eax, [ebp-8]; pop edx; add eax, edx; jmp [table]; there: leave; ret 0
	 */
	static const char code[] = "\xb9\x0c\0\0\0"
				   "\xe8\1\0\0\0"
				   "\xf4"
				   "\x55\x89\xe5\xff\x36\x51\x49\x74\5\xe8\xf2\xff\xff\xff"
				   "\x03\x45\xf8\x5a\x01\xd0\xff\x25\0\4\2\0"
				   "\x90\xc9\xc2\0\0";
	static const uint32_t there = HARNESS_CODE + 38;

	for (enum harness_tier tier = HARNESS_STEP; tier <= HARNESS_JIT; tier++) {
		struct harness h;

		harness_init(&h, HARNESS_PROT32, tier);
		memcpy(h.ram + HARNESS_DATA + 0x400, &there, sizeof(there));
		for (unsigned round = 0; round < 4; round++) {
			for (unsigned n = 0; n < 8; n++)
				h.cpu->gpr[n] |= 0xabcd00000000;
			h.cpu->gpr[RAX] = 0;
			h.cpu->gpr[RSI] = HARNESS_DATA;
			h.cpu->activity = CPU_RUNNING;
			harness_code(&h, code, sizeof(code) - 1);
			cr_expect_eq(harness_run(&h, 300), HALTED, "tier %d", (int)tier);
			cr_expect_eq(h.cpu->gpr[RAX], 2 * 12 * 13 / 2, "tier %d: eax %llx", (int)tier,
				     (unsigned long long)h.cpu->gpr[RAX]);
			cr_expect_eq((uint32_t)h.cpu->gpr[RSP], HARNESS_STACK, "tier %d: esp %llx", (int)tier,
				     (unsigned long long)h.cpu->gpr[RSP]);
		}
		harness_fini(&h);
	}
}
