/* SPDX-License-Identifier: MIT */
/* Running translated blocks, and what happens to them: links, drops, flushes. */
#include "verify.h"

#include "emu/core/machine.h"
#include "emu/mmu/mmu.h"
#include "emu/sem/sem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HOST_X86_64

/* ---- memory of a processor ---- */

/* Its size stands at its start, below the stack. */
struct emu *jit_allocate(bool translates)
{
	const size_t bytes = JIT_STACK + JIT_ENV_AT + (translates ? sizeof(struct jit_env) : 0);
	uint8_t *p = mmu_reserve(bytes);

	if (!p)
		return NULL;
	memcpy(p, &bytes, sizeof(bytes));
	return (struct emu *)(void *)(p + JIT_STACK);
}

void jit_free(struct emu *e)
{
	uint8_t *p = (uint8_t *)e - JIT_STACK;
	size_t bytes;

	memcpy(&bytes, p, sizeof(bytes));
	mmu_unreserve(p, bytes);
}

/* ---- what is known of translations ---- */

static void empty_jumps(struct jit_jump *jump)
{
	for (unsigned n = 0; n < JIT_JUMPS; n++)
		jump[n] = (struct jit_jump){ .pc = n + 1 };
}

static struct jit_jump *entry_slot(struct emu *e, uint64_t pc, unsigned table)
{
	return &jit_env(e)->jump[table][pc & (JIT_JUMPS - 1)];
}

/* From now on each has to be looked at. */
static void doubt_jumps(struct emu *e)
{
	struct jit_env *env = jit_env(e);

	for (struct jit_jump **p = env->jump_log; p < env->jump_log_next; p++)
		(*p)->code = (*p)->real ? e->jit->revalidate : NULL;
	env->jump_log_next = env->jump_log;
}

static void forget_ranges(struct emu *e)
{
	struct jit_env *env = jit_env(e);

	for (struct range **r = env->log; r < env->log_next; r++)
		(*r)->len = 0;
	env->log_next = env->log;
}

void jit_translations_dropped(struct emu *e)
{
	if (!e->jit)
		return;
	forget_ranges(e);
	doubt_jumps(e);
	e->jit->counts.flushes++;
}

/* ---- calls from translated code ---- */

const uint8_t *jit_execute(struct emu *e, uint32_t n)
{
	const struct jit_site *s = &e->jit->site[n];
	struct block *b = s->block;
	const uint32_t key = jit_key(e);
	const uint64_t flushes = e->jit->counts.flushes;
	int r;

	e->jit->counts.calls++;
	counter_add(&e->counters->of[COUNTER_JIT_CALL], 1);
	e->block = b;
	e->pc = b->pc;
	if (s->charged)
		e->budget += b->count;
	if (UNLIKELY(e->jit->verify))
		verify_end(e, emu_rip(e, &b->insns[s->insn]), s->insn, true);
	if (UNLIKELY(e->mxcsr_live))
		mxcsr_sync(e);
	r = insn_execute(e, &b->insns[s->insn]);
	if (UNLIKELY(r != 0 || e->stop || jit_key(e) != key || e->jit->counts.flushes != flushes)) {
		block_leave(e, &b->insns[s->insn], r);
		return NULL;
	}
	if (UNLIKELY(e->jit->verify))
		verify_begin(e, emu_next_rip(e, &b->insns[s->insn]), s->insn + 1u);
	if (s->charged)
		e->budget -= b->count;
	return s->resume;
}

static void check_tables(struct emu *e, uint64_t linear, uint32_t last, bool write, const uint8_t *there)
{
	uint8_t *host = NULL;

	if (mmu_look(e, linear, write, &host) == 0 && host == there && !((linear ^ (linear + last)) & PAGE_MASK))
		return;
	fprintf(stderr, "translator: %u bytes at %llx were thought to lie at %p%s, the page tables say %p\n", last + 1,
		(unsigned long long)linear, (const void *)there, write ? ", to be written" : "", (void *)host);
	abort();
}

void jit_check(struct emu *e, uint32_t what, uint64_t linear)
{
	const struct range *r = &jit_env(e)->range[what % JIT_RANGES];
	uint8_t *there = (uint8_t *)(uintptr_t)(r->host + (linear - r->base));

	if (e->machine->config.check_ranges)
		check_tables(e, linear, what & CHECK_MEMBER ? 0 : r->last, what & CHECK_STORES, there);
	if (e->jit->verify && (what & CHECK_STORES))
		verify_store(e, there);
}

/* ---- links ---- */

static void patch_jump(struct jit *j, uint8_t *where, const uint8_t *to)
{
	const uint8_t *from = j->memory->runnable + (where + 4 - j->memory->writable);
	const uint32_t distance = (uint32_t)(to - from);

	memcpy(where, &distance, sizeof(distance));
}

/* Takes a jump out of the list of the block that it leads to: another page may stand behind its target by now. */
static void leave_list(struct jit *j, struct jit_site *s)
{
	const uint32_t own = (uint32_t)(s - j->site);
	uint32_t *p;

	if (!s->linked)
		return;
	for (p = &s->linked->incoming; *p && *p != own; p = &j->site[*p].next)
		;
	if (*p)
		*p = s->next;
	s->linked = NULL;
}

static void link_blocks(struct emu *e, struct jit_site *s, struct block *to)
{
	struct jit *j = e->jit;
	struct range *r;

	if (!to->native[0] || to->native_key != s->block->native_key || block_is_dead(to) || block_is_dead(s->block))
		return;
	patch_jump(j, s->patch, to->native[s->flags == IN_BOTH ? to->native_likes : s->flags == IN_IMAGE]);
	leave_list(j, s);
	s->linked = to;
	s->next = to->incoming;
	to->incoming = (uint32_t)(s - j->site);
	if (s->range) {
		r = &jit_env(e)->range[s->range];
		r->base = to->pc;
		r->host = (uintptr_t)to->host;
	}
}

static uint64_t side_pc(const struct block *b, const struct link *l, unsigned side)
{
	const struct insn *last = &b->insns[b->count - 1];

	return b->pc + l->end + (side ? last->imm : 0);
}

/* It stays in the log, if it is there. */
static void forget_jump(struct jit_jump *jump)
{
	jump->pc++;
	jump->code = jump->real = NULL;
}

static void put_dead_jump(struct jit *j, const uint8_t *entry, const uint8_t *to)
{
	uint8_t *p = j->memory->writable + (entry - j->memory->runnable);

	p[0] = 0xe9;
	patch_jump(j, p + 1, to);
}

static void unlink_incoming(struct emu *e, struct block *b)
{
	struct jit *j = e->jit;

	for (uint32_t n = b->incoming; n; n = j->site[n].next) {
		struct range *r = &jit_env(e)->range[j->site[n].range];

		patch_jump(j, j->site[n].patch, j->site[n].unlinked);
		j->site[n].linked = NULL;
		if (j->site[n].range)
			r->len = r->host = 0;
	}
	b->incoming = 0;
	/* Ranges may be in the log twice now: it has room for all of them as often as this. */
	if (jit_env(e)->log_next > jit_env(e)->log + JIT_RANGES)
		forget_ranges(e);
}

/* Nobody leads to the translation any more; who is in it and comes back to its start is sent to the run loop. */
static void abandon(struct emu *e, struct block *b)
{
	unlink_incoming(e, b);
	for (unsigned n = 0; n < 2; n++)
		put_dead_jump(e->jit, b->native[n], b->native_dead[n]);
	for (unsigned table = 0; table < JIT_TABLES; table++)
		if (entry_slot(e, b->pc, table)->pc == b->pc)
			forget_jump(entry_slot(e, b->pc, table));
	b->native[0] = b->native[1] = NULL;
}

/* ---- entering ---- */

enum { GROUP_MISSES = 500 /* of one block, before its operands are checked one by one */ };

/* A block was reached in a way that checked its translation. */
static void note_entry(struct emu *e, const struct block *b)
{
	const unsigned table = jit_table(e);
	struct jit_env *env = jit_env(e);
	struct jit_jump *jump = entry_slot(e, b->pc, table);

	env->jumps = env->jump[table];
	if (e->jit->jump_key[table] != b->native_key) {
		empty_jumps(env->jumps);
		e->jit->jump_key[table] = b->native_key;
	}
	if (env->jump_log_next >= env->jump_log + JIT_TABLES * JIT_JUMPS)
		doubt_jumps(e);
	if (!jump->code || jump->code != jump->real)
		*env->jump_log_next++ = jump;
	*jump = (struct jit_jump){ .pc = b->pc, .code = b->native[1], .real = b->native[1], .host = b->host };
}

/* What was translated in another mode of the processor, before SMAP was switched on, say, is wanted in this one by now. */
static void translate_again(struct emu *e, struct block *b)
{
	abandon(e, b);
	b->insns[0].fn = h_count;
	b->heat = 1;
}

/* Where the guest is when translated code has left by a site. */
static void verify_left(struct emu *e, const struct jit_site *s)
{
	const struct block *b = s->block;
	const struct link *l;
	uint64_t rip = e->cpu.rip;
	unsigned insn = 0;

	switch ((enum site_kind)s->kind) {
	case SITE_LINK:
		l = (const struct link *)(const void *)&b->insns[b->count];
		rip = side_pc(b, l, s->side);
		break;
	case SITE_INTERPRET:
		l = (const struct link *)(const void *)&b->insns[b->count];
		insn = s->insn;
		rip = b->pc + (insn < b->count ? b->insns[insn].off : l->end);
		break;
	case SITE_START:
	case SITE_EXECUTE:
		rip = b->pc;
		break;
	case SITE_RIP:
		break;
	}
	if (s->kind == SITE_INTERPRET && s->charged)
		e->budget += b->count;
	/* An exit before the block is paid for, at an instruction that sets all flags: see charge(). */
	verify_end(e, rip, insn, s->kind != SITE_INTERPRET || s->charged);
	if (s->kind == SITE_INTERPRET && s->charged)
		e->budget -= b->count;
}

static void count_exit(struct emu *e, enum site_kind kind)
{
	static const uint8_t reason[] = { [SITE_EXECUTE] = COUNTER_JIT_CALL,
					  [SITE_INTERPRET] = COUNTER_JIT_BLOCK,
					  [SITE_LINK] = COUNTER_JIT_LINK,
					  [SITE_START] = COUNTER_JIT_EVENT,
					  [SITE_RIP] = COUNTER_JIT_COMPUTED };

	counter_add(&e->counters->of[reason[kind]], 1);
}

/* What translated code could not do by itself; `place` is a site, in the form of a handler's argument. */
static void go_on(struct emu *e, const struct insn *place)
{
	struct jit_site *s = (struct jit_site *)(uintptr_t)place;
	struct block *b = s->block, *to;
	struct link *l;

	switch ((enum site_kind)s->kind) {
	case SITE_LINK:
		l = (struct link *)(void *)&b->insns[b->count];
		to = l->to[s->side];
		if (to && block_is_dead(to)) /* the run loop finds what replaces it, and links that */
			to = l->to[s->side] = NULL;
		if (e->budget < 0 || !to || (l->cross[s->side] && tlb_fetch_ptr(e, to->pc) != to->host)) {
			e->cpu.rip = side_pc(b, l, s->side);
			e->code->patch = &l->to[s->side];
			return;
		}
		link_blocks(e, s, to);
		e->block = to;
		e->pc = to->pc;
		GO(e, to->insns);
	case SITE_INTERPRET:
		e->block = b;
		e->pc = b->pc;
		if (s->charged)
			e->budget += b->count;
		if (s->groups && ++b->native_misses == GROUP_MISSES && b->native[0]) {
			b->native_ungrouped = true;
			translate_again(e, b);
		}
		if (s->insn == 0)
			TAIL(b->first(e, b->insns));
		GO(e, &b->insns[s->insn]);
	case SITE_START:
	case SITE_EXECUTE:
		e->cpu.rip = b->pc;
		break;
	case SITE_RIP:
		break;
	}
	e->code->patch = NULL;
}

/* The first handler of a translated block. */
void h_jit(struct emu *e, const struct insn *i)
{
	struct block *b = e->block;
	uint64_t before;
	int site;

	if (UNLIKELY(b->native_key != jit_key(e))) {
		if (--b->heat == 0)
			translate_again(e, b);
		TAIL(b->first(e, i));
	}
	if (UNLIKELY(e->mxcsr_live))
		mxcsr_sync(e);
	note_entry(e, b);
	e->jit->counts.entries++;
	if (UNLIKELY(e->jit->verify))
		verify_begin(e, b->pc, 0);
	before = emu_retired(e);
	site = e->jit->enter(e, b->native[1]);
	counter_add(&e->counters->of[COUNTER_TRANSLATED], emu_retired(e) - before);
	if (site < 0)
		return;
	count_exit(e, (enum site_kind)e->jit->site[site].kind);
	if (UNLIKELY(e->jit->verify))
		verify_left(e, &e->jit->site[site]);
	TAIL(go_on(e, (const struct insn *)(const void *)&e->jit->site[site]));
}

/* ---- hooks ---- */

static bool translate_timed(struct emu *e, struct block *b)
{
	counter_word *of = e->counters->of;
	const uint64_t start = emu_now_ns(e), bytes = e->jit->counts.bytes;
	const bool done = translate(e, b);

	counter_add(&of[COUNTER_TRANSLATION_NS], emu_now_ns(e) - start);
	counter_add(&of[done ? COUNTER_TRANSLATIONS : COUNTER_TRANSLATION_REFUSED], 1);
	if (done) {
		counter_add(&of[COUNTER_TRANSLATED_INSNS], b->count);
		counter_add(&of[COUNTER_TRANSLATED_BYTES], e->jit->counts.bytes - bytes);
	}
	return done;
}

void jit_hot(struct emu *e, struct block *b)
{
	b->insns[0].fn = b->first;
	if (!e->jit || e->code->full || block_is_dead(b))
		return;
	if (translate_timed(e, b)) {
		b->insns[0].fn = h_jit;
		b->heat = e->jit->threshold;
	} else {
		e->jit->counts.refused++;
	}
}

void jit_killed(struct emu *e, struct block *b)
{
	if (e->jit && b->native[0])
		abandon(e, b);
}

/* The pages that lie in it as a whole. */
static void give_back(void *p, size_t bytes)
{
	const uintptr_t page = PAGE_SIZE, from = ((uintptr_t)p + page - 1) & ~(page - 1),
			to = ((uintptr_t)p + bytes) & ~(page - 1);

	mmu_give_back((void *)from, to - from);
}

/* The code memory has been emptied. */
void jit_flushed(struct emu *e)
{
	struct jit *j = e->jit;
	struct jit_env *env = jit_env(e);

	if (!j)
		return;
	forget_ranges(e);
	env->jump_log_next = env->jump_log;
	for (unsigned table = 0; table < JIT_TABLES; table++)
		empty_jumps(env->jump[table]);
	j->counts.code_flushes++;
	j->sites = 1;
	j->site[0] = (struct jit_site){ .kind = SITE_RIP };
	j->ranges = 1;
	if (!stubs_make(j))
		e->code->threshold = 0;
	env->told = j->check;
}

/* After jit_flushed(): only the first site says something. */
void jit_given_back(struct emu *e)
{
	struct jit_env *env = jit_env(e);
	struct jit *j = e->jit;

	if (!j)
		return;
	mmu_give_back(j->site, JIT_SITES * sizeof(*j->site));
	j->site[0] = (struct jit_site){ .kind = SITE_RIP };
	give_back(env->range, sizeof(env->range));
	give_back(env->log, sizeof(env->log));
}

struct jit_counts jit_counts(const struct emu *e)
{
	return e->jit ? e->jit->counts : (struct jit_counts){ 0 };
}

/* ---- life ---- */

enum { CODE_MEMORY_MIN = 256 << 10 /* with less it would be emptied all the time */ };

/* Sites take three times as much as ranges, each of which has two places in the log. */
static void share(struct jit *j, size_t bytes)
{
	const size_t sites = bytes / 4 * 3 / sizeof(struct jit_site);
	const size_t ranges = bytes / 4 / (sizeof(struct range) + 2 * sizeof(struct range *));

	j->sites_max = sites < JIT_SITES ? (uint32_t)sites : JIT_SITES;
	j->ranges_max = ranges < JIT_RANGES ? (uint32_t)ranges : JIT_RANGES;
}

int jit_create(struct emu *e, unsigned threshold, size_t bytes)
{
	struct jit *j;

	if (threshold == 0 || native_memory_room(&e->code->native) < CODE_MEMORY_MIN || !e->code->native.writable)
		return 0;
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	e->jit = j;
	j->threshold = threshold;
	share(j, bytes);
	if (e->machine->config.verify_every)
		j->verify = verify_create(e->machine->config.verify_every);
	j->checks = e->machine->config.check_ranges || j->verify;
	j->memory = &e->code->native;
	j->site = mmu_reserve(JIT_SITES * sizeof(*j->site));
	if (!j->site) {
		jit_destroy(e);
		return 0;
	}
	jit_env(e)->log_next = jit_env(e)->log;
	jit_env(e)->jump_log_next = jit_env(e)->jump_log;
	jit_env(e)->jumps = jit_env(e)->jump[0];
	e->code->threshold = threshold;
	jit_flushed(e);
	return 0;
}

void jit_destroy(struct emu *e)
{
	if (!e->jit)
		return;
	mmu_unreserve(e->jit->site, JIT_SITES * sizeof(*e->jit->site));
	verify_destroy(e->jit->verify);
	free(e->jit);
	e->jit = NULL;
}

#else

struct emu *jit_allocate(bool translates)
{
	const size_t bytes = (sizeof(struct emu) + 63) & ~(size_t)63;
	struct emu *e = aligned_alloc(64, bytes);

	return e ? memset(e, 0, bytes) : NULL;
}

void jit_free(struct emu *e)
{
	free(e);
}

int jit_create(struct emu *e, unsigned threshold, size_t bytes)
{
	return 0;
}

void jit_destroy(struct emu *e)
{
}

void jit_hot(struct emu *e, struct block *b)
{
	b->insns[0].fn = b->first;
}

void jit_killed(struct emu *e, struct block *b)
{
}

void jit_flushed(struct emu *e)
{
}

void jit_given_back(struct emu *e)
{
}

void jit_translations_dropped(struct emu *e)
{
}

struct jit_counts jit_counts(const struct emu *e)
{
	return (struct jit_counts){ 0 };
}

#endif
