/* SPDX-License-Identifier: MIT */
/*
 * A loop of arbitrary code, translated, against single steps: arbitrary bytes, calls, jumps, accesses to pages that are remapped,
 * INVLPG, CR3 loads, stores into the loop itself, through its own pages and through others. The code lies on pages whose frames
 * are not adjacent, and each at two addresses. Both end with the same fault, registers and memory.
 *
 * Input: registers, then items of the loop (put_item()). A program may depend on what is undefined, or on the time: then two runs
 * in single steps differ, of which the second has other undefined flags (differs_from_itself()).
 */
#include "fuzz.h"
#include "emu/core/flags.h"
#include "emu/decode/decode.h"
#include "emu/isa/isa.h"
#include "tests/unit/emu_harness.h"

#include <sys/mman.h>

enum {
	PAGE = 4096,
	CODE = 0x500000,   /* linear; from here on also at ALIAS */
	ALIAS = 0x580000,
	CODE_PAGES = 3,
	WINDOW = 0x200000, /* linear pages that are remapped */
	WINDOW_PAGES = 4,
	FRAMES = 0x600000, /* the frames of the code and of the window, not all next to each other */
	FRAME_COUNT = CODE_PAGES + WINDOW_PAGES + 1,
	STACK = 0x680000,
	LOW = 0x200000, /* there lies what harness_init() writes */
	PTES = HARNESS_PML4 + 3 * PAGE,
	TURNS = 6, INSNS = 3000, ITEMS = 24,
};

static uint64_t frame(unsigned n)
{
	return FRAMES + (uint64_t)n * 3 % FRAME_COUNT * PAGE;
}

struct program {
	uint8_t code[CODE_PAGES * PAGE];
	unsigned n;
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

static void put_raw(struct program *p, struct input *in)
{
	for (unsigned n = 1 + take_below(in, 6); n > 0; n--)
		put1(p, (unsigned)take(in, 1));
}

/* A register of RAX, RDX, RBX, RBP, R8 to R13: RCX counts, the others hold addresses. */
static unsigned pick(struct input *in)
{
	static const uint8_t some[] = { 0, 2, 3, 5, 8, 9, 10, 11, 12, 13 };

	return some[take_below(in, sizeof(some))];
}

/* An operation of a register with [rsi or rdi + disp32], or [rsi + index + disp8], or a register. */
static void put_operation(struct program *p, struct input *in)
{
	static const uint8_t some[] = { 0x00, 0x01, 0x03, 0x0b, 0x11, 0x1b, 0x21, 0x29, 0x33, 0x39,
					0x3b, 0x63, 0x84, 0x85, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8d };
	const unsigned reg = pick(in), rm = pick(in), form = take_below(in, 4), opcode = some[take_below(in, sizeof(some))];

	put1(p, 0x40 | (form & 1) << 3 | (reg >> 3) << 2 | (form == 3 ? rm >> 3 : form == 2 ? (rm >> 3) << 1 : 0));
	put1(p, opcode);
	if (form == 3) {
		put1(p, 0xc0 | (reg & 7) << 3 | (rm & 7));
	} else if (form == 2) {
		put1(p, 0x44 | (reg & 7) << 3);
		put1(p, (rm & 7) << 3 | 6);
		put1(p, (unsigned)take(in, 1));
	} else {
		put1(p, 0x80 | (reg & 7) << 3 | (take(in, 1) & 1 ? 6 : 7));
		put4(p, take_below(in, WINDOW_PAGES * PAGE));
	}
}

static void put_stack(struct program *p, struct input *in)
{
	const unsigned a = pick(in), b = pick(in);

	for (unsigned k = 0; k < 4; k++) {
		const unsigned reg = k == 1 || k == 2 ? b : a;

		put1(p, 0x40 | reg >> 3);
		put1(p, (k < 2 ? 0x50 : 0x58) | (reg & 7));
	}
}

/* Vector and x87 instructions with a register or [rsi + disp8]. */
static void put_vector(struct program *p, struct input *in)
{
	static const char some[][4] = { "\x66\x0f\xef", "\x66\x0f\xfe", "\xf3\x0f\x6f", "\xf3\x0f\x7f",
					"\x66\x0f\x6f", "\x66\x0f\x7f", "\xf2\x0f\x58", "\xf3\x0f\x59",
					"\xc5\xf5\xfe", "\xc5\xfe\x6f", "\xc5\xfe\x7f", "\xc5\xf4\x58",
					"\xdd",		"\xdc",		"\xd9",		"\xdf" };
	const char *op = some[take_below(in, 16)];
	const unsigned modrm = (unsigned)take(in, 1);

	put(p, op, (unsigned)strlen(op));
	put1(p, modrm & 0x80 ? modrm | 0xc0 : 0x46 | (modrm & 0x38));
	if (!(modrm & 0x80))
		put1(p, (unsigned)take(in, 1));
}

/* MOV QWORD [r15 + 8 * page], entry; INVLPG or a load of CR3. */
static void put_remap(struct program *p, struct input *in)
{
	const unsigned page = take_below(in, WINDOW_PAGES), bits = (unsigned)take(in, 1);
	const uint64_t at = frame(take_below(in, FRAME_COUNT));

	put(p, "\x49\xc7\x87", 3);
	put4(p, 8 * page);
	/* Present, writable, user, accessed, dirty: mostly. */
	put4(p, (uint32_t)at | (bits & 7 ? 1 : 0) | (bits & 0x18 ? 2 : 0) | 4 | (bits & 0x60));
	if (bits & 0x80) {
		put(p, "\x41\x0f\x20\xda\x41\x0f\x22\xda", 8);
	} else {
		put(p, "\x0f\x01\x3c\x25", 4);
		put4(p, WINDOW + page * PAGE);
	}
}

/* A store of 1, 4 or 8 bytes into the program, by way of R14: its pages, or those that are the same. */
static void put_modification(struct program *p, struct input *in)
{
	const unsigned size = take_below(in, 3), at = take_below(in, 1024), alias = take_below(in, 2) ? ALIAS - CODE : 0;

	if (size == 2)
		put1(p, 0x49);
	else
		put1(p, 0x41);
	put1(p, size ? 0xc7 : 0xc6);
	put1(p, 0x86);
	put4(p, at + alias);
	if (size)
		put4(p, (uint32_t)take(in, 4));
	else
		put1(p, (unsigned)take(in, 1));
}

/* PUSH RCX; MOV ECX, some; REP MOVSB, STOSB or SCASB; POP RCX, between the window and wherever RDI goes. */
static void put_string(struct program *p, struct input *in)
{
	static const uint8_t some[] = { 0xa4, 0xaa, 0xae, 0xa5 };

	put(p, "\x51\xb9", 2);
	put4(p, take_below(in, 40));
	put1(p, 0xf3);
	put1(p, some[take_below(in, 4)]);
	put1(p, 0x59);
}

static void put_item(struct program *p, struct input *in);

/* A function in place, called here or at its other address. */
static void put_call(struct program *p, struct input *in)
{
	const unsigned alias = take_below(in, 2) ? ALIAS - CODE : 0;
	unsigned over, function;

	put1(p, 0xe9);
	over = p->n;
	put4(p, 0);
	function = p->n;
	put_item(p, in);
	put1(p, 0xc3);
	memcpy(p->code + over, &(uint32_t){ p->n - over - 4 }, 4);
	put1(p, 0xe8);
	put4(p, function + alias - (p->n + 4));
}

static void put_skip(struct program *p, struct input *in)
{
	unsigned at;

	put1(p, 0x0f);
	put1(p, 0x80 | take_below(in, 16));
	at = p->n;
	put4(p, 0);
	put_item(p, in);
	memcpy(p->code + at, &(uint32_t){ p->n - at - 4 }, 4);
}

/* So many bytes that the next item lies at the end of a page, perhaps. */
static void put_distance(struct program *p, struct input *in)
{
	const unsigned to = (p->n / PAGE + 1) * PAGE - take_below(in, 64);

	if (p->n / PAGE + 1 >= CODE_PAGES || to < p->n + 8)
		return;
	put1(p, 0xe9);
	put4(p, to - (p->n + 4));
	p->n = to;
}

static void put_item(struct program *p, struct input *in)
{
	static void (*const items[])(struct program * p, struct input * in) = {
		put_raw,    put_raw,	put_raw,    put_operation, put_operation, put_operation,    put_operation,
		put_stack,  put_vector, put_vector, put_remap,	   put_remap,	  put_modification, put_modification,
		put_string, put_call,	put_call,   put_skip,	   put_skip,	  put_distance,
	};

	if (in->left == 0 || p->n > sizeof(p->code) - 512)
		return;
	items[take_below(in, sizeof(items) / sizeof(items[0]))](p, in);
}

static void make_program(struct program *p, struct input *in)
{
	memset(p, 0, sizeof(*p));
	for (unsigned n = 0; n < ITEMS && in->left; n++)
		put_item(p, in);
	put(p, "\xff\xc9\x0f\x85", 4); /* DEC ECX; JNZ to the start */
	put4(p, 0u - (p->n + 4));
	put1(p, 0xf4);
}

/* One processor for each use, and what harness_init() makes of it: RAM is that again before each run. */
static struct harness step, again, jit;
static struct cpu fresh;
static uint8_t low[LOW];

static void make_processors(void)
{
	harness_init(&step, HARNESS_LONG, HARNESS_STEP);
	harness_init(&again, HARNESS_LONG, HARNESS_STEP);
	harness_init(&jit, HARNESS_LONG, HARNESS_JIT);
	fresh = *step.cpu;
	memcpy(low, step.ram, LOW);
	for (unsigned n = LOW; n < HARNESS_RAM; n++)
		CHECK(step.ram[n] == 0, "tables at %x", n);
}

static void make_fresh(struct harness *h)
{
	madvise(h->ram, h->ram_bytes, MADV_DONTNEED);
	memcpy(h->ram, low, LOW);
	h->engine->ops->set_state(h->engine, 0, &fresh);
	h->fault = (struct fault){ 0 };
}

static void start(struct harness *h, struct input in)
{
	static struct program p;

	make_fresh(h);
	for (unsigned n = 0; n < GPR_COUNT; n++)
		h->cpu->gpr[n] = (uint64_t)(int64_t)(int16_t)take(&in, 2);
	h->cpu->gpr[RCX] = TURNS;
	h->cpu->gpr[RSI] = WINDOW + (h->cpu->gpr[RSI] & 0xff);
	h->cpu->gpr[RDI] = WINDOW + (h->cpu->gpr[RDI] & 0xfff);
	h->cpu->gpr[RSP] = STACK;
	h->cpu->gpr[R14] = CODE;
	h->cpu->gpr[R15] = PTES + 8 * (WINDOW / PAGE);
	h->cpu->cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
	h->cpu->xcr0 = 7;
	make_program(&p, &in);
	for (unsigned n = 0; n < CODE_PAGES; n++) {
		memcpy(h->ram + frame(n), p.code + n * PAGE, PAGE);
		*harness_pte(h, CODE + n * PAGE) = *harness_pte(h, ALIAS + n * PAGE) = frame(n) | 7;
	}
	for (unsigned n = 0; n < WINDOW_PAGES; n++)
		*harness_pte(h, WINDOW + n * PAGE) = frame(CODE_PAGES + n) | 7;
	harness_sync(h);
	h->cpu->rip = CODE;
}

static int run(struct harness *h, struct input in)
{
	start(h, in);
	return harness_run(h, INSNS);
}

static unsigned shift_count(const struct harness *h, const struct insn *i, const struct isa_row *r)
{
	const unsigned mask = i->size == 8 ? 63 : 31;

	for (unsigned n = 1; n < 3; n++) {
		if (r->op[n].kind == OPK_I)
			return i->imm & mask;
		if (r->op[n].kind == OPK_CL)
			return h->cpu->gpr[RCX] & mask;
	}
	return 1;
}

/* INSN_MAX_BYTES of the program's code. False: it is not there. */
static bool read_code(const struct harness *h, uint64_t rip, uint8_t bytes[INSN_MAX_BYTES])
{
	const uint64_t at = rip - CODE < ALIAS - CODE ? rip - CODE : rip - ALIAS;

	if (at > CODE_PAGES * PAGE - INSN_MAX_BYTES)
		return false;
	for (unsigned n = 0; n < INSN_MAX_BYTES; n++)
		bytes[n] = h->ram[frame((unsigned)(at + n) / PAGE) + (at + n) % PAGE];
	return true;
}

static bool is_changed(const struct harness *h, uint64_t rip, const uint8_t *before, unsigned length)
{
	uint8_t after[INSN_MAX_BYTES];

	return !read_code(h, rip, after) || memcmp(before, after, length) != 0;
}

static void change_flags(struct harness *h, unsigned undefined)
{
	static const uint16_t bits[] = { RFLAGS_CF, RFLAGS_PF, RFLAGS_AF, RFLAGS_ZF, RFLAGS_SF, RFLAGS_OF };
	uint64_t flags = harness_flags(h);

	for (unsigned n = 0; n < 6; n++)
		flags ^= undefined >> n & 1 ? bits[n] : 0;
	harness_set_flags(h, flags);
}

/* Which flags are undefined behind an instruction, if `before` were in front of it. */
static unsigned undefined_behind(unsigned before, const struct isa_row *r, struct isa_undefined u, unsigned count)
{
	if (!(r->attr & ISA_COUNT1) || count)
		before &= ~(unsigned)r->flags_written;
	return before | u.flags;
}

/* The same in single steps, with other undefined flags. -1: its result is undefined, or it depends on a flag that is, now and then, or
 * a repeated instruction has written over itself, and in which iteration that is seen is open. */
static int run_otherwise(struct harness *h, struct input in)
{
	unsigned undefined = 0;
	int r = 0;

	start(h, in);
	for (unsigned n = 0; n < INSNS && r == 0; n++) {
		uint8_t before[INSN_MAX_BYTES];
		const uint64_t rip = h->cpu->rip;
		struct isa_undefined u = { 0 };
		struct insn i = { 0 };

		if (read_code(h, rip, before) && decode(before, INSN_MAX_BYTES, 8, &i) == DECODE_OK) {
			const struct isa_row *row = &isa_rows[i.id];
			const unsigned count = shift_count(h, &i, row);

			if (row->flags_read & undefined)
				return -1;
			u = isa_undefined(row, i.size, count);
			undefined = undefined_behind(undefined, row, u, count);
		}
		r = harness_run(h, 1);
		if (r == 0 && u.flags)
			change_flags(h, u.flags);
		if (u.result)
			return -1;
		if ((i.prefixes & (PFX_REP | PFX_REPNE)) && is_changed(h, rip, before, i.len))
			return -1;
	}
	return r;
}

static bool same_registers(const struct harness *a, const struct harness *b)
{
	return !memcmp(a->cpu->gpr, b->cpu->gpr, sizeof(a->cpu->gpr)) && a->cpu->rip == b->cpu->rip &&
	       !memcmp(a->cpu->vec, b->cpu->vec, sizeof(a->cpu->vec)) &&
	       !memcmp(&a->cpu->fpu, &b->cpu->fpu, sizeof(a->cpu->fpu)) && a->cpu->mxcsr == b->cpu->mxcsr &&
	       a->cpu->cr2 == b->cpu->cr2 && a->cpu->cr3 == b->cpu->cr3;
}

static bool same_memory(const struct harness *a, const struct harness *b)
{
	return !memcmp(a->ram + FRAMES, b->ram + FRAMES, FRAME_COUNT * PAGE) &&
	       !memcmp(a->ram + STACK - PAGE, b->ram + STACK - PAGE, 2 * PAGE) &&
	       !memcmp(a->ram + PTES, b->ram + PTES, 8 * PAGE) && !memcmp(a->ram, b->ram, 0x8000);
}

static bool same(struct harness *a, struct harness *b)
{
	return same_registers(a, b) && same_memory(a, b) && harness_flags(a) == harness_flags(b) &&
	       a->fault.vector == b->fault.vector && a->fault.error == b->fault.error && a->fault.cr2 == b->fault.cr2;
}

/* Undefined flags at the end may differ, too. */
static bool differs_from_itself(int by_steps, struct input in)
{
	return run_otherwise(&again, in) != by_steps || !same(&step, &again);
}

static void tell(struct harness *a, struct harness *b, int ra, int rb)
{
	for (unsigned n = 0; n < GPR_COUNT; n++)
		if (a->cpu->gpr[n] != b->cpu->gpr[n])
			fprintf(stderr, "register %u: %llx by steps, %llx translated\n", n, (unsigned long long)a->cpu->gpr[n],
				(unsigned long long)b->cpu->gpr[n]);
	fprintf(stderr,
		"results %x %x, rip %llx %llx, flags %llx %llx, cr2 %llx %llx, error %x %x, memory %s, vectors %s, x87 %s\n", ra,
		rb, (unsigned long long)a->cpu->rip, (unsigned long long)b->cpu->rip, (unsigned long long)harness_flags(a),
		(unsigned long long)harness_flags(b), (unsigned long long)a->fault.cr2, (unsigned long long)b->fault.cr2,
		a->fault.error, b->fault.error, same_memory(a, b) ? "same" : "differs",
		memcmp(a->cpu->vec, b->cpu->vec, sizeof(a->cpu->vec)) ? "differ" : "same",
		memcmp(&a->cpu->fpu, &b->cpu->fpu, sizeof(a->cpu->fpu)) ? "differs" : "same");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct input in = { data, size };
	int by_steps, translated;

	if (size < 2 * GPR_COUNT + 2)
		return -1;
	if (!step.engine)
		make_processors();
	by_steps = run(&step, in);
	translated = run(&jit, in);
	/* Counts differ at the ends of blocks, so only runs that ended by themselves can be compared. */
	if (!by_steps || !translated || (by_steps == translated && same(&step, &jit)) || differs_from_itself(by_steps, in))
		return 0;
	tell(&step, &jit, by_steps, translated);
	CHECK(false, "single steps and translated code end in different states");
	return 0;
}
