/* SPDX-License-Identifier: MIT */
/*
 * Integer rows of the instruction table against the processor that the tests run on: the same bytes with the same
 * registers, flags and memory, natively and in both tiers. What a row declares undefined is left out.
 */
#include "emu_harness.h"
#include "emu/decode/decode.h"
#include "emu/sem/int/alu.h"
#include "emu/sem/int/operand.h"
#include "emu/isa/isa.h"
#include "tests/host/features.h"
#include "tests/host/processor.h"
#include "tests/host/undefined.h"

#include <criterion/criterion.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { MEMORY = 4096, ROUNDS = 300 };

static uint64_t seed = 0x2545f4914f6cdd1dull;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Values where carries, signs and zeros happen, mixed with arbitrary ones. */
static uint64_t operand(void)
{
	static const uint64_t corners[] = { 0,	       1,	   2,	       0x7f,	   0x80,       0xff,
					    0x7fff,    0x8000,	   0xffff,     0x7fffffff, 0x80000000, 0xffffffff,
					    INT64_MAX, 1ull << 63, UINT64_MAX, 0x0f,	   0x10,       0x99 };

	return next_random() & 1 ? corners[next_random() % (sizeof(corners) / sizeof(corners[0]))] : next_random();
}

struct state {
	uint64_t gpr[16];
	uint64_t flags;
	void *code;
	uint8_t memory[MEMORY];
};

#ifdef __x86_64__
/* Runs s->code with the registers of *s, but for RSP and RBP. */
void native_call(struct state *s);
__asm__(".text\n"
	"native_call:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; sub $8, %rsp\n"
	"mov %rdi, %rbp\n"
	"pushq 128(%rbp); popfq\n"
	"mov 0(%rbp), %rax; mov 8(%rbp), %rcx; mov 16(%rbp), %rdx; mov 24(%rbp), %rbx\n"
	"mov 48(%rbp), %rsi; mov 56(%rbp), %rdi\n"
	"mov 64(%rbp), %r8; mov 72(%rbp), %r9; mov 80(%rbp), %r10; mov 88(%rbp), %r11\n"
	"mov 96(%rbp), %r12; mov 104(%rbp), %r13; mov 112(%rbp), %r14; mov 120(%rbp), %r15\n"
	"call *136(%rbp)\n"
	"mov %rax, 0(%rbp); mov %rcx, 8(%rbp); mov %rdx, 16(%rbp); mov %rbx, 24(%rbp)\n"
	"mov %rsi, 48(%rbp); mov %rdi, 56(%rbp)\n"
	"mov %r8, 64(%rbp); mov %r9, 72(%rbp); mov %r10, 80(%rbp); mov %r11, 88(%rbp)\n"
	"mov %r12, 96(%rbp); mov %r13, 104(%rbp); mov %r14, 112(%rbp); mov %r15, 120(%rbp)\n"
	"pushfq; popq 128(%rbp)\n"
	"cld\n"
	"add $8, %rsp; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"ret\n");

struct encoding {
	uint8_t bytes[24];
	unsigned count;
	bool is_mem;
};

static void put(struct encoding *c, uint64_t v, unsigned bytes)
{
	memcpy(c->bytes + c->count, &v, bytes);
	c->count += bytes;
}

/* Not RSP, RBP (the runner's) and RSI (the memory operand's base). */
static unsigned some_register(bool byte, bool rex)
{
	static const uint8_t wide[] = { 0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	static const uint8_t low[] = { 0, 1, 2, 3, 4, 5, 6, 7 }; /* AL .. BH */

	if (byte && !rex)
		return low[next_random() % 8];
	return wide[next_random() % (rex ? 13 : 5)];
}

static bool has_kind(const struct isa_row *r, unsigned kind)
{
	for (unsigned n = 0; n < 4; n++) {
		if (r->op[n].kind == kind)
			return true;
	}
	return false;
}

static bool is_byte(const struct isa_row *r, unsigned kind)
{
	for (unsigned n = 0; n < 4; n++) {
		if (r->op[n].kind == kind && r->op[n].size == OPS_b)
			return true;
	}
	return false;
}

static void put_immediates(struct encoding *c, const struct isa_row *r, bool wide, bool narrow)
{
	for (unsigned n = 0; n < 4; n++) {
		unsigned bytes = 0;

		if (r->op[n].kind != OPK_I)
			continue;
		switch (r->op[n].size) {
		case OPS_b:
		case OPS_bs:
			bytes = 1;
			break;
		case OPS_w:
			bytes = 2;
			break;
		case OPS_v:
			bytes = wide ? 8 : narrow ? 2 : 4;
			break;
		default:
			bytes = narrow && !wide ? 2 : 4;
			break;
		}
		put(c, operand(), bytes);
	}
}

static void encode(const struct isa_row *r, struct encoding *c)
{
	bool wide = next_random() % 3 == 0, narrow = next_random() % 3 == 0, rex = wide || next_random() % 2;
	bool byte_reg = is_byte(r, OPK_G) || is_byte(r, OPK_Z);
	unsigned reg, rm, rex_byte = 0x40 | (wide ? 8 : 0);

	if (r->pp == ISA_PP_NP)
		narrow = false;
	c->count = 0;
	c->is_mem = r->mod == ISA_MOD_MEM || (r->mod == ISA_MOD_ANY && next_random() % 3 == 0);
	reg = r->ext < 8 ? r->ext : some_register(byte_reg, rex);
	if (r->plus_r)
		reg = some_register(is_byte(r, OPK_Z), rex);
	rm = some_register(is_byte(r, OPK_E), rex);
	if (narrow || r->pp == ISA_PP_66)
		put(c, 0x66, 1);
	if (r->pp == ISA_PP_F3 || r->pp == ISA_PP_F2)
		put(c, r->pp == ISA_PP_F3 ? 0xf3 : 0xf2, 1);
	if ((r->attr & ISA_LOCKABLE) && c->is_mem && next_random() % 4 == 0 && r->ext != ISA_EXT_NO_MODRM)
		put(c, 0xf0, 1);
	if (r->ext == ISA_EXT_NO_MODRM)
		rex_byte |= r->plus_r && reg >= 8 ? 1 : 0;
	else
		rex_byte |= (reg >= 8 ? 4 : 0) | (!c->is_mem && rm >= 8 ? 1 : 0);
	if (rex)
		put(c, rex_byte, 1);
	if (r->map != ISA_M0)
		put(c, 0x0f, 1);
	if (r->map == ISA_M0F38)
		put(c, 0x38, 1);
	put(c, r->opcode + (r->plus_r ? reg & 7 : 0), 1);
	if (r->ext != ISA_EXT_NO_MODRM)
		put(c, c->is_mem ? 0x06 | (reg & 7) << 3 : 0xc0 | (reg & 7) << 3 | (rm & 7), 1);
	put_immediates(c, r, wide, narrow);
}

static bool is_tested(unsigned id)
{
	const struct isa_row *r = &isa_rows[id];

	if (id < ISA_ADD_Eb_Gb || id > ISA_CLDEMOTE || (r->modes & ISA_MODE_NO64))
		return false;
	if (has_kind(r, OPK_O) || (r->attr & ISA_END) || id == ISA_XLAT || (r->ext & ISA_EXT_RM && r->ext < 0xfe))
		return false;
	/* Not on every host, or without an effect to compare. */
	return r->feature != FEAT_CLDEMOTE && r->feature != FEAT_MOVDIRI;
}

static void random_state(struct state *s, const struct isa_row *r, const struct encoding *c)
{
	for (unsigned n = 0; n < 16; n++)
		s->gpr[n] = operand();
	s->gpr[RSI] = HARNESS_DATA + MEMORY / 2;
	s->flags = (next_random() & RFLAGS_ARITH) | RFLAGS_FIXED | RFLAGS_IF;
	/* Bit strings: keep the offset register inside the memory. */
	if (r->map == ISA_M0F && c->is_mem && r->op[1].kind == OPK_G && (r->opcode & 0xe7) == 0xa3) {
		for (unsigned n = 0; n < 16; n++) {
			if (n != RSI)
				s->gpr[n] = (uint64_t)((int64_t)(next_random() % 16000) - 8000);
		}
	}
	for (unsigned n = 0; n < MEMORY; n += 8) {
		uint64_t v = operand();

		memcpy(s->memory + n, &v, 8);
	}
	if (next_random() & 1) /* so that CMPXCHG succeeds sometimes */
		memcpy(s->memory + MEMORY / 2, &s->gpr[RAX], 8);
}

enum { NO_FAULT = 0x100 };

/* 0, with *vector the fault of the instruction under test or NO_FAULT; else what the harness says. */
static int run_emulated(struct harness *h, const struct state *in, struct state *out, const struct encoding *c,
			unsigned *vector)
{
	uint8_t text[32];
	int r;

	memcpy(text, c->bytes, c->count);
	memcpy(text + c->count, "\x0f\x0b", 2);
	harness_code(h, text, c->count + 2);
	memcpy(h->cpu->gpr, in->gpr, sizeof(in->gpr));
	h->cpu->gpr[RSP] = HARNESS_STACK;
	harness_set_flags(h, in->flags);
	memcpy(h->ram + HARNESS_DATA, in->memory, MEMORY);
	r = harness_run(h, 100);
	*out = *in;
	memcpy(out->gpr, h->cpu->gpr, sizeof(out->gpr));
	out->gpr[RSP] = in->gpr[RSP];
	out->flags = harness_flags(h);
	memcpy(out->memory, h->ram + HARNESS_DATA, MEMORY);
	*vector = NO_FAULT;
	if (r == (0x100 | VEC_UD) && h->cpu->rip == HARNESS_CODE + c->count)
		return 0;
	*vector = (unsigned)r & 0xff;
	return r >> 8 == 1 && h->cpu->rip == HARNESS_CODE ? 0 : r ? r : -1;
}

static uint64_t rflags_of(unsigned f)
{
	return (f & ISA_FL_C ? RFLAGS_CF : 0) | (f & ISA_FL_P ? RFLAGS_PF : 0) | (f & ISA_FL_A ? RFLAGS_AF : 0) |
	       (f & ISA_FL_Z ? RFLAGS_ZF : 0) | (f & ISA_FL_S ? RFLAGS_SF : 0) | (f & ISA_FL_O ? RFLAGS_OF : 0);
}

static bool same(const struct state *a, const struct state *b, uint64_t ignore)
{
	return !memcmp(a->gpr, b->gpr, sizeof(a->gpr)) && !memcmp(a->memory, b->memory, MEMORY) &&
	       !((a->flags ^ b->flags) & RFLAGS_ARITH & ~ignore);
}

static void explain(const struct isa_row *r, const struct encoding *c, const struct state *in, const struct state *a,
		    const struct state *b)
{
	fprintf(stderr, "%s:", r->mnemonic);
	for (unsigned n = 0; n < c->count; n++)
		fprintf(stderr, " %02x", c->bytes[n]);
	fprintf(stderr, "  flags %lx: native %lx, emulated %lx\n", in->flags & RFLAGS_ARITH, a->flags & RFLAGS_ARITH,
		b->flags & RFLAGS_ARITH);
	for (unsigned n = 0; n < 16; n++) {
		if (a->gpr[n] != b->gpr[n])
			fprintf(stderr, "  gpr%u %lx: native %lx, emulated %lx (rcx %lx)\n", n, in->gpr[n], a->gpr[n], b->gpr[n],
				in->gpr[RCX]);
	}
	for (unsigned n = 0; n < MEMORY; n++) {
		if (a->memory[n] != b->memory[n])
			fprintf(stderr, "  memory+%x: native %02x, emulated %02x\n", n, a->memory[n], b->memory[n]);
	}
}

/* Takes what the processor `a` cannot say about the emulator `b` out of the comparison; the flags to ignore. */
static uint64_t reconcile(const struct isa_row *r, const struct insn *i, const struct state *in, const struct state *a,
			  struct state *b)
{
	const struct isa_undefined u = undefined_after(i, in->gpr[RCX]);
	unsigned flags = u.flags;

	if (u.result && point_leaves(PT_DOUBLE_SHIFT_16)) {
		if (i->is_mem)
			memcpy(b->memory + MEMORY / 2, a->memory + MEMORY / 2, 2);
		else
			memcpy(&b->gpr[i->rm], &a->gpr[i->rm], 2);
		return RFLAGS_ARITH;
	}
	if ((i->id == ISA_BSF || i->id == ISA_BSR) && (b->flags & RFLAGS_ZF) && point_doubted(PT_BIT_SCAN_ZERO))
		b->gpr[i->reg] = a->gpr[i->reg];
	if (open_result(i->id, i->size) == PT_BSWAP_16 && point_doubted(PT_BSWAP_16))
		b->gpr[i->reg] = a->gpr[i->reg];
	if ((r->attr & ISA_COUNTW) && (flags & ISA_FL_C) && !point_doubted(PT_SHIFT_CARRY))
		flags &= ~(unsigned)ISA_FL_C;
	return rflags_of(flags);
}

static sigjmp_buf escape;
static volatile sig_atomic_t caught;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	caught = (sig_atomic_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_TRAPNO];
	siglongjmp(escape, 1);
}

static void catch_faults(void)
{
	const struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	sigaction(SIGILL, &action, NULL);
	sigaction(SIGFPE, &action, NULL);
}

/* Returns the vector of its fault, or NO_FAULT. */
static unsigned native(const struct state *in, struct state *out, const struct encoding *c, uint8_t *page, uint8_t *data)
{
	memcpy(page, c->bytes, c->count);
	page[c->count] = 0xc3;
	memcpy(data, in->memory, MEMORY);
	*out = *in;
	out->code = page;
	caught = NO_FAULT;
	if (sigsetjmp(escape, 1) == 0)
		native_call(out);
	out->code = in->code;
	memcpy(out->memory, data, MEMORY);
	return (unsigned)caught;
}

/* One case, and what both made of it: vectors, or NO_FAULT. */
struct pair {
	struct insn i;
	struct state in, native, emulated;
	unsigned theirs, ours;
};

static bool agree(const struct pair *p)
{
	static struct state a, b;
	unsigned theirs = p->theirs;
	uint64_t ignore;

	a = p->native;
	b = p->emulated;
	if (p->i.id == ISA_NOP_0F0D && theirs == VEC_UD && point_leaves(PT_NOP_0F0D)) {
		a = p->in; /* the manual's rule */
		theirs = NO_FAULT;
	}
	ignore = reconcile(&isa_rows[p->i.id], &p->i, &p->in, &a, &b);
	if (theirs != NO_FAULT)
		ignore = RFLAGS_ARITH; /* of DIV, say; registers and memory are as before */
	return theirs == p->ours && same(&a, &b, ignore);
}

static bool agree_in_doubt(const struct pair *p)
{
	bool same;

	points_doubt(true);
	same = agree(p) || (is_undocumented(p->i.id) && point_doubted(PT_UNDOCUMENTED));
	if (same)
		points_report_difference();
	points_doubt(false);
	return same;
}

/* One case in both tiers. Returns the number of differences, which it explains. */
static unsigned check_case(struct harness h[2], unsigned id, uint8_t *page, uint8_t *data)
{
	const struct isa_row *row = &isa_rows[id];
	static struct pair p;
	struct encoding c;
	unsigned wrong = 0;

	encode(row, &c);
	random_state(&p.in, row, &c);
	p.theirs = native(&p.in, &p.native, &c, page, data);
	cr_assert_eq(decode(c.bytes, c.count, 8, &p.i), DECODE_OK);
	for (unsigned tier = 0; tier < 3; tier++) {
		int r = run_emulated(&h[tier], &p.in, &p.emulated, &c, &p.ours);

		if (r == 0 && (agree(&p) || agree_in_doubt(&p)))
			continue;
		fprintf(stderr, "tier %u, result %x, vector %x, not %x, ", tier, r, p.ours, p.theirs);
		explain(row, &c, &p.in, &p.native, &p.emulated);
		wrong++;
	}
	return wrong;
}

Test(emu_integer, rows_against_the_host, .timeout = 300)
{
	uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *data = mmap((void *)(uintptr_t)HARNESS_DATA, MEMORY, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	unsigned cases = 0, bad = 0, rows = 0, lacking = 0;
	struct harness h[3];

	if (page == MAP_FAILED || data != (uint8_t *)(uintptr_t)HARNESS_DATA)
		cr_skip_test("low addresses cannot be mapped here");
	catch_faults();
	harness_init(&h[0], HARNESS_LONG, HARNESS_STEP);
	harness_init(&h[1], HARNESS_LONG, HARNESS_BLOCK);
	harness_init(&h[2], HARNESS_LONG, HARNESS_JIT);
	for (unsigned id = 1; id < ISA_COUNT; id++) {
		unsigned wrong = 0;

		if (!is_tested(id) || !emu_has_feature(h[0].emu, isa_rows[id].feature) || !host_has_row(id)) {
			lacking += is_tested(id) && !host_has_row(id);
			continue;
		}
		rows++;
		if (getenv("ROWS"))
			fprintf(stderr, "row %s\n", isa_rows[id].mnemonic);
		for (unsigned n = 0; n < ROUNDS && wrong < 3; n++) {
			wrong += check_case(h, id, page, data);
			cases += 3;
		}
		bad += wrong;
	}
	fprintf(stderr, "%u rows, %u not in this processor, %u cases, %u differences\n", rows, lacking, cases, bad);
	points_report(stderr);
	cr_assert_gt(rows + lacking, 230);
	cr_assert_gt(cases, 50000);
	cr_assert_eq(bad, 0);
	harness_fini(&h[0]);
	harness_fini(&h[1]);
	harness_fini(&h[2]);
}
#endif

/* The portable operations give the same results and flags as the host's instructions. */
#define COMPARE2(name, n, T)                                                                                           \
	do {                                                                                                           \
		uint16_t f = (uint16_t)(next_random() & IMG_ALL) | 0x200, g = f;                                       \
		T x = (T)operand(), y = (T)operand(), r = alu_##name##_##n(x, y, &f);                                  \
		T q = (T)portable_##name(n, x, y, (g & IMG_CF) != 0, &g);                                              \
                                                                                                                       \
		cr_assert_eq(r, q, #name #n);                                                                          \
		cr_assert_eq(f & IMG_ALL, g & IMG_ALL, #name #n " %x %x", f, g);                                       \
	} while (0)
#define COMPARE_SHIFT(name, n, T, bits, ignore)                                                                        \
	do {                                                                                                           \
		uint16_t f = (uint16_t)(next_random() & IMG_ALL) | 0x200, g = f;                                       \
		uint8_t count = (uint8_t)(1 + next_random() % (bits - 1));                                             \
		T x = (T)operand(), r = alu_##name##_##n(x, count, &f), q = (T)portable_##name(n, x, count, &g);       \
		uint16_t mask = IMG_ALL & (uint16_t) ~(ignore) & (uint16_t) ~(count > 1 ? IMG_OF : 0);                 \
                                                                                                                       \
		cr_assert_eq(r, q, #name #n);                                                                          \
		cr_assert_eq(f & mask, g & mask, #name #n " %x %x count %u", f, g, count);                             \
	} while (0)

Test(emu_integer, portable_operations_agree)
{
	for (unsigned k = 0; k < 20000; k++) {
		COMPARE2(adc, 1, uint8_t);
		COMPARE2(adc, 2, uint16_t);
		COMPARE2(adc, 4, uint32_t);
		COMPARE2(adc, 8, uint64_t);
		COMPARE2(sbb, 1, uint8_t);
		COMPARE2(sbb, 2, uint16_t);
		COMPARE2(sbb, 4, uint32_t);
		COMPARE2(sbb, 8, uint64_t);
		COMPARE_SHIFT(shl, 1, uint8_t, 8, IMG_AF);
		COMPARE_SHIFT(shl, 4, uint32_t, 32, IMG_AF);
		COMPARE_SHIFT(shl, 8, uint64_t, 64, IMG_AF);
		COMPARE_SHIFT(shr, 2, uint16_t, 16, IMG_AF);
		COMPARE_SHIFT(shr, 4, uint32_t, 32, IMG_AF);
		COMPARE_SHIFT(shr, 8, uint64_t, 64, IMG_AF);
		COMPARE_SHIFT(sar, 1, uint8_t, 8, IMG_AF);
		COMPARE_SHIFT(sar, 8, uint64_t, 64, IMG_AF);
		COMPARE_SHIFT(rol, 1, uint8_t, 32, 0);
		COMPARE_SHIFT(rol, 8, uint64_t, 64, 0);
		COMPARE_SHIFT(ror, 2, uint16_t, 32, 0);
		COMPARE_SHIFT(ror, 4, uint32_t, 32, 0);
		COMPARE_SHIFT(rcl, 1, uint8_t, 32, 0);
		COMPARE_SHIFT(rcl, 2, uint16_t, 32, 0);
		COMPARE_SHIFT(rcl, 8, uint64_t, 64, 0);
		COMPARE_SHIFT(rcr, 1, uint8_t, 32, 0);
		COMPARE_SHIFT(rcr, 4, uint32_t, 32, 0);
	}
}
