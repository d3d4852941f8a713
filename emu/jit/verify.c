/* SPDX-License-Identifier: MIT */
/*
 * Translated code under verification: each stretch of it, from where C enters it to where it comes back, is undone and run again
 * by single steps. Stores are undone by a log of pages: translated code tells of each one before it happens (jit_check()). How
 * many instructions a stretch has is what it took off the budget, so that it may be a block, a loop, or many linked blocks.
 *
 * What C executes in between, accesses that miss their range among it, is the same function in both tiers. With several
 * processors, or devices that write memory, the second run could read something else than the first: there is none then.
 */
#include "verify.h"

#include "emu/core/flags.h"
#include "emu/core/machine.h"
#include "emu/core/ram.h"
#include "emu/decode/decode.h"
#include "emu/isa/isa.h"
#include "emu/mmu/mmu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HOST_X86_64

enum { PAGES_MAX = 1024, BUCKETS = 4 * PAGES_MAX, PLACES = 1 << 18, ALWAYS = 3 };

/* A page that the stretch stores to. */
struct page {
	uint8_t *host;
	uint8_t before[PAGE_SIZE], after[PAGE_SIZE];
};

struct verify {
	unsigned every, turn;
	uint8_t seen[PLACES]; /* how often stretches have begun there; by a hash of RIP */
	bool running; /* a stretch is being recorded */
	bool flags;   /* the arithmetic flags are what the guest would see of them */
	uint8_t undefined; /* which of them are not (enum isa_flag) */
	bool stray;   /* the second run stores where the first did not */
	unsigned pages;
	uint32_t epoch; /* which entries of `bucket` count */
	struct {
		uint32_t epoch, page;
	} bucket[BUCKETS];
	struct emu start; /* as translated code was entered, with RIP */
	int64_t place;	  /* instructions retired before it, from an arbitrary point on */
	struct emu end;
	struct emu_hooks hooks;
	struct page page[PAGES_MAX];
};

struct verify *verify_create(unsigned every)
{
	struct verify *v = mmu_reserve(sizeof(*v));

	if (v)
		v->every = every;
	return v;
}

void verify_destroy(struct verify *v)
{
	if (v)
		mmu_unreserve(v, sizeof(*v));
}

/* ---- the log ---- */

static uint8_t *page_of(uint8_t *host)
{
	return host - ((uintptr_t)host & (PAGE_SIZE - 1));
}

/* In which bucket the page's number stands, or may be put. */
static unsigned find_page(const struct verify *v, const uint8_t *page, bool *known)
{
	unsigned n = (unsigned)((uintptr_t)page >> PAGE_SHIFT) * 0x9e3779b1u % BUCKETS;

	for (*known = false; v->bucket[n].epoch == v->epoch; n = (n + 1) % BUCKETS) {
		*known = v->page[v->bucket[n].page].host == page;
		if (*known)
			break;
	}
	return n;
}

void verify_store(struct emu *e, uint8_t *host)
{
	struct verify *v = e->jit->verify;
	struct page *page = &v->page[v->pages];
	bool known;
	unsigned n;

	if (!v->running)
		return;
	if (v->pages == PAGES_MAX) { /* too much to be undone */
		v->running = false;
		return;
	}
	n = find_page(v, page_of(host), &known);
	if (known)
		return;
	v->bucket[n].epoch = v->epoch;
	v->bucket[n].page = v->pages++;
	page->host = page_of(host);
	memcpy(page->before, page->host, PAGE_SIZE);
}

/* Called by the second run in place of a debugger. */
static void note_store(struct emu *e, uint64_t linear, unsigned size, bool write)
{
	struct verify *v = e->jit->verify;
	uint8_t *host = NULL;
	bool known = false;

	if (!write)
		return;
	if (mmu_look(e, linear, false, &host) == 0 && host)
		find_page(v, page_of(host), &known);
	v->stray |= !known || (linear & (PAGE_SIZE - 1)) + size > PAGE_SIZE;
}

/* ---- differences ---- */

static void explain_bytes(const char *what, const void *a, const void *b, size_t bytes)
{
	const uint8_t *p = a, *q = b;

	for (size_t n = 0; n < bytes; n++) {
		if (p[n] == q[n])
			continue;
		fprintf(stderr, "translator: %s + %zx: %02x, by single steps %02x\n", what, n, p[n], q[n]);
		return;
	}
}

static void explain_registers(const struct cpu *a, const struct cpu *b)
{
	for (unsigned n = 0; n < GPR_COUNT; n++)
		if (a->gpr[n] != b->gpr[n])
			fprintf(stderr, "translator: register %u: %llx, by single steps %llx\n", n, (unsigned long long)a->gpr[n],
				(unsigned long long)b->gpr[n]);
	if (a->rip != b->rip)
		fprintf(stderr, "translator: RIP %llx, by single steps %llx\n", (unsigned long long)a->rip,
			(unsigned long long)b->rip);
	if (a->mxcsr != b->mxcsr)
		fprintf(stderr, "translator: MXCSR %x, by single steps %x\n", a->mxcsr, b->mxcsr);
	for (unsigned n = 0; n < 32; n++)
		if (memcmp(&a->vec[n], &b->vec[n], sizeof(a->vec[n])) != 0)
			fprintf(stderr, "translator: vector register %u\n", n);
	explain_bytes("struct cpu", a, b, sizeof(*a));
}

static void explain_code(struct emu *e, const char *where, uint64_t pc)
{
	uint8_t *host;

	fprintf(stderr, "translator: %s %llx:", where, (unsigned long long)pc);
	for (unsigned n = 0; n < 48; n++)
		if (mmu_look(e, pc + n, false, &host) == 0 && host)
			fprintf(stderr, " %02x", *host);
	fprintf(stderr, "\n");
}

/* Arithmetic flags are those of the image: what stands in cpu.rflags of them means nothing while guest code runs. */
static bool same_registers(struct emu *a, struct emu *b)
{
	a->cpu.rflags &= ~(uint64_t)RFLAGS_ARITH;
	b->cpu.rflags &= ~(uint64_t)RFLAGS_ARITH;
	return memcmp(&a->cpu, &b->cpu, sizeof(a->cpu)) == 0;
}

static bool same_flags(const struct verify *v, const struct emu *e)
{
	static const uint16_t image[] = { IMG_CF, IMG_PF, IMG_AF, IMG_ZF, IMG_SF, IMG_OF };
	uint32_t differ = v->flags ? (v->end.flags_image ^ e->flags_image) & IMG_ALL : 0;

	for (unsigned n = 0; n < sizeof(image) / sizeof(image[0]); n++)
		if (v->undefined >> n & 1)
			differ &= ~(uint32_t)image[n];
	return !differ;
}

static bool same_memory(const struct verify *v)
{
	for (unsigned n = 0; n < v->pages; n++)
		if (memcmp(v->page[n].host, v->page[n].after, PAGE_SIZE) != 0)
			return false;
	return true;
}

static _Noreturn void disagree(struct emu *e, int64_t count)
{
	struct verify *v = e->jit->verify;

	fprintf(stderr, "translator: %lld instructions from %llx on differ from single steps\n", (long long)count,
		(unsigned long long)v->start.cpu.rip);
	if (e->fault.pending)
		fprintf(stderr, "translator: which raise exception %u, CR2 %llx\n", e->fault.vector,
			(unsigned long long)e->fault.cr2);
	if (v->stray)
		fprintf(stderr, "translator: which store to a page that it did not store to\n");
	if (!same_flags(v, e))
		fprintf(stderr, "translator: flags %x, by single steps %x\n", flags_to_arith(v->end.flags_image),
			flags_to_arith(e->flags_image));
	explain_registers(&v->end.cpu, &e->cpu);
	for (unsigned n = 0; n < v->pages; n++)
		explain_bytes("memory", v->page[n].after, v->page[n].host, PAGE_SIZE);
	explain_code(e, "from", v->start.cpu.rip);
	explain_code(e, "before the end at", v->end.cpu.rip - 48);
	explain_code(e, "the end", v->end.cpu.rip);
	abort();
}

/* ---- the second run ---- */

static void undo(struct emu *e, struct verify *v)
{
	v->end = *e;
	for (unsigned n = 0; n < v->pages; n++) {
		memcpy(v->page[n].after, v->page[n].host, PAGE_SIZE);
		memcpy(v->page[n].host, v->page[n].before, PAGE_SIZE);
	}
	e->cpu = v->start.cpu;
	e->flags_image = v->start.flags_image;
}

static unsigned read_code(struct emu *e, uint8_t bytes[INSN_MAX_BYTES])
{
	uint8_t *host;
	unsigned n = 0;

	while (n < INSN_MAX_BYTES && mmu_look(e, e->cpu.rip + n, false, &host) == 0 && host) {
		const unsigned room = PAGE_SIZE - (unsigned)((uintptr_t)host & (PAGE_SIZE - 1));
		const unsigned some = room < INSN_MAX_BYTES - n ? room : INSN_MAX_BYTES - n;

		ram_read_pieces(bytes + n, host, some);
		n += some;
	}
	return n;
}

static unsigned shift_count(const struct emu *e, const struct insn *i, const struct isa_row *r)
{
	const unsigned mask = i->size == 8 ? 63 : 31;

	for (unsigned n = 1; n < 3; n++) {
		if (r->op[n].kind == OPK_I)
			return (unsigned)i->imm & mask;
		if (r->op[n].kind == OPK_CL)
			return (unsigned)e->cpu.gpr[RCX] & mask;
	}
	return 1;
}

/* Which arithmetic flags are undefined after the next instruction: the host's unit and the semantic functions may differ there. */
static void note_undefined(struct emu *e, struct verify *v)
{
	uint8_t bytes[INSN_MAX_BYTES];
	const struct isa_row *r;
	struct isa_undefined u;
	unsigned count;
	struct insn i;

	if (decode(bytes, read_code(e, bytes), 8, &i) != DECODE_OK)
		return;
	r = &isa_rows[i.id];
	count = shift_count(e, &i, r);
	u = isa_undefined(r, i.size, count);
	if (!(r->attr & ISA_COUNT1) || count)
		v->undefined &= (uint8_t)~r->flags_written;
	v->undefined |= u.flags;
}

/* All accesses look at the page tables, and tell of stores. */
static void step_again(struct emu *e, struct verify *v, int64_t count)
{
	const struct emu_hooks *hooks = e->hooks;
	const bool watches = e->machine->watches;

	v->hooks = *hooks;
	v->hooks.data_accessed = note_store;
	v->stray = false;
	v->undefined = 0;
	e->hooks = &v->hooks;
	e->machine->watches = true;
	e->tlb_mask |= TAG_SLOW;
	while (count-- > 0 && !e->fault.pending) {
		note_undefined(e, v);
		hooks->step(e);
	}
	e->hooks = hooks;
	e->machine->watches = watches;
}

/* Everything that is not the guest's is again as translated code left it. */
static void restore_host(struct emu *e, const struct emu *from)
{
	e->tlb_mask = from->tlb_mask;
	e->block = from->block;
	e->pc = from->pc;
	e->budget = from->budget;
	e->retired = from->retired;
	e->stop = from->stop;
	e->in_rep = from->in_rep;
}

static void compare(struct emu *e, struct verify *v, int64_t count)
{
	const struct cpu cpu = e->cpu;

	undo(e, v);
	step_again(e, v, count);
	if (e->fault.pending || v->stray || !same_registers(&v->end, e) || !same_flags(v, e) || !same_memory(v))
		disagree(e, count);
	restore_host(e, &v->end);
	e->cpu = cpu;
	e->flags_image = v->end.flags_image;
}

/* ---- stretches ---- */

static int64_t place_of(const struct emu *e, unsigned insn)
{
	return (int64_t)insn - e->budget;
}

/* The first times that it begins at this place, and each so manyth. */
static bool is_due(struct verify *v, uint64_t rip)
{
	uint8_t *seen = &v->seen[(uint32_t)(rip * 0x9e3779b97f4a7c15u >> 40) % PLACES];

	if (*seen < ALWAYS) {
		++*seen;
		return true;
	}
	return ++v->turn % v->every == 0;
}

void verify_begin(struct emu *e, uint64_t rip, unsigned insn)
{
	struct verify *v = e->jit->verify;

	v->running = e->machine->vcpus == 1 && e->machine->config.writer_count == 0 && is_due(v, rip);
	jit_env(e)->told = v->running || e->machine->config.check_ranges ? e->jit->check : e->jit->no_check;
	if (!v->running)
		return;
	v->epoch++;
	v->pages = 0;
	v->start = *e;
	v->start.cpu.rip = rip;
	v->place = place_of(e, insn);
}

void verify_end(struct emu *e, uint64_t rip, unsigned insn, bool flags)
{
	struct verify *v = e->jit->verify;
	const uint64_t was = e->cpu.rip;

	if (!v->running)
		return;
	v->running = false;
	v->flags = flags;
	e->cpu.rip = rip;
	compare(e, v, place_of(e, insn) - v->place);
	e->cpu.rip = was;
}

#endif
