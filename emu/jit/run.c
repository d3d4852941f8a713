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

/* What is all zero is empty: only in the first place has address 0 its entry. */
static void mark_empty(struct jit_jump *jump)
{
	jump[0].pc = 1;
}

static void empty_jumps(struct jit_jump *jump)
{
	memset(jump, 0, sizeof(struct jit_jump[JIT_JUMPS]));
	mark_empty(jump);
}

static struct jit_jump *entry_slot(struct emu *e, uint64_t pc, unsigned table)
{
	return &jit_env(e)->jump[table][pc & (JIT_JUMPS - 1)];
}

/* The table of jumps between blocks with that key becomes the one in use. */
static void select_jumps(struct emu *e, uint32_t key)
{
	const unsigned table = jit_table_of(key);
	struct jit_env *env = jit_env(e);

	env->jumps = env->jump[table];
	if (env->jump_key[table] == key)
		return;
	empty_jumps(env->jumps);
	env->jump_key[table] = key;
}

/* From now on each has to be looked at. */
static void doubt(struct emu *e, struct jit_jump *jump)
{
	jump->code = jump->real ? e->jit->revalidate : NULL;
}

static void doubt_jumps(struct emu *e, enum lasting lasting)
{
	struct jit_env *env = jit_env(e);

	for (struct jit_jump **p = env->jump_log[lasting]; p < env->jump_log_next[lasting]; p++)
		doubt(e, *p);
	env->jump_log_next[lasting] = env->jump_log[lasting];
}

static void forget_ranges(struct emu *e, enum lasting lasting)
{
	struct jit_env *env = jit_env(e);

	for (struct range **r = env->log[lasting]; r < env->log_next[lasting]; r++) {
		(*r)->len = 0;
		(*r)->logged &= (uint8_t) ~(1u << lasting);
	}
	env->log_next[lasting] = env->log[lasting];
}

static void drop(struct emu *e, enum lasting lasting)
{
	forget_ranges(e, lasting);
	doubt_jumps(e, lasting);
	memset(jit_env(e)->seen[lasting], 0, sizeof(jit_env(e)->seen[lasting]));
}

/* Code may put an entry into the other log that is in one already. */
static bool logs_are_long(const struct jit_env *env)
{
	const ptrdiff_t used = (env->jump_log_next[LASTS_SPACE] - env->jump_log[LASTS_SPACE]) +
			       (env->jump_log_next[LASTS_GLOBAL] - env->jump_log[LASTS_GLOBAL]);

	return used > JUMP_LOG / 2;
}

void jit_translations_dropped(struct emu *e, bool global)
{
	if (!e->jit)
		return;
	if (global || logs_are_long(jit_env(e)))
		drop(e, LASTS_GLOBAL);
	drop(e, LASTS_SPACE);
	e->jit->counts.flushes++;
}

static bool is_in_page(uint64_t address, uint64_t page)
{
	return (address ^ page) >> PAGE_SHIFT == 0;
}

static bool covers(const struct range *r, uint64_t linear)
{
	return (linear & PAGE_MASK) - (r->base & PAGE_MASK) < (uint64_t)RANGE_PAGES * PAGE_SIZE;
}

static void drop_page(struct emu *e, uint64_t linear, enum lasting lasting)
{
	struct jit_env *env = jit_env(e);
	struct jit_jump **kept = env->jump_log[lasting];

	for (struct range **r = env->log[lasting]; r < env->log_next[lasting]; r++)
		if (covers(*r, linear))
			(*r)->len = 0;
	for (struct jit_jump **p = kept; p < env->jump_log_next[lasting]; p++) {
		if (is_in_page((*p)->pc, linear))
			doubt(e, *p);
		else
			*kept++ = *p;
	}
	env->jump_log_next[lasting] = kept;
}

void jit_page_dropped(struct emu *e, uint64_t linear)
{
	const unsigned n = linear >> PAGE_SHIFT & (JIT_PAGES - 1);

	for (enum lasting lasting = LASTS_SPACE; e->jit && lasting < LASTINGS; lasting++) {
		if (!jit_env(e)->seen[lasting][n] && !(n < RANGE_PAGES - 1 && jit_env(e)->seen[lasting][JIT_PAGES + n]))
			continue;
		drop_page(e, linear, lasting);
		e->jit->counts.flushes++;
	}
}

/* ---- calls from translated code ---- */

const uint8_t *jit_execute(struct emu *e, uint32_t n)
{
	const struct jit_site *s = &e->jit->site[n];
	struct block *b = block_of_site(e, s->block);
	const uint64_t flushes = e->jit->counts.flushes;
	int r;

	jit_x87_take(e);
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
	if (UNLIKELY(r != 0 || e->stop || jit_key(e) != s->key || e->jit->counts.flushes != flushes)) {
		block_leave(e, &b->insns[s->insn], r);
		return NULL;
	}
	if (UNLIKELY(e->jit->verify))
		verify_begin(e, emu_next_rip(e, &b->insns[s->insn]), s->insn + 1u);
	if (s->charged)
		e->budget -= b->count;
	select_jumps(e, s->key);
	return e->jit->memory->runnable + s->code;
}

/* It may reach into the next page, if that one follows in the host, too. */
static void check_tables(struct emu *e, uint64_t linear, uint32_t last, bool write, const uint8_t *there)
{
	uint8_t *host = NULL, *end = NULL;

	if (mmu_look(e, linear, write, &host) == 0 && host == there && mmu_look(e, linear + last, write, &end) == 0 &&
	    end == there + last)
		return;
	fprintf(stderr, "translator: %u bytes at %llx were thought to lie at %p%s, the page tables say %p\n", last + 1,
		(unsigned long long)linear, (const void *)there, write ? ", to be written" : "", (void *)host);
	abort();
}

enum { STORE_MOST = 64 /* bytes of a store */ };

void jit_check(struct emu *e, uint32_t what, uint64_t linear)
{
	const struct range *r = &jit_env(e)->range[what % JIT_RANGES];
	const unsigned last = PAGE_SIZE - r->room;
	uint8_t *there = (uint8_t *)(uintptr_t)(r->delta + linear);

	if (e->machine->config.check_ranges)
		check_tables(e, linear, what & CHECK_MEMBER ? 0 : last, what & CHECK_STORES, there);
	if (e->jit->verify && (what & CHECK_STORES)) {
		verify_store(e, there);
		if (linear + STORE_MOST <= r->base + r->len + last) /* it may store to the next page, too */
			verify_store(e, there + STORE_MOST - 1);
	}
}

/* ---- links ---- */

/* The jump whose distance stands at `where` of the code goes to `to`. */
static void patch_jump(struct jit *j, uint32_t where, uint32_t to)
{
	const uint32_t distance = to - (where + 4);

	memcpy(j->memory->writable + where, &distance, sizeof(distance));
}

/* Takes a jump out of the list of the block that it leads to: another page may stand behind its target by now. */
static void leave_list(struct emu *e, struct jit_site *s)
{
	struct jit *j = e->jit;
	const uint32_t own = (uint32_t)(s - j->site);
	uint32_t *p;

	if (!s->linked)
		return;
	for (p = &block_of_site(e, s->linked)->incoming; *p && *p != own; p = &j->site[*p].next)
		;
	if (*p)
		*p = s->next;
	s->linked = 0;
}

static void link_blocks(struct emu *e, struct jit_site *s, struct block *to)
{
	struct jit *j = e->jit;
	struct range *r;

	if (!to->native[0] || to->native_key != s->key || block_is_dead(to) || block_is_dead(block_of_site(e, s->block)))
		return;
	patch_jump(j, s->code, jit_place(j, to->native[s->flags == IN_BOTH ? to->native_likes : s->flags == IN_IMAGE]));
	leave_list(e, s);
	s->linked = site_of_block(e, to);
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

	const uint64_t pc = b->pc + l->end + (side ? last->imm : 0);

	return mode_word(b->key) == 8 ? pc : (uint32_t)pc;
}

/* It stays in the log, if it is there. */
static void forget_jump(struct jit_jump *jump)
{
	jump->pc++;
	jump->code = jump->real = NULL;
}

static void put_dead_jump(struct jit *j, const uint8_t *entry, const uint8_t *to)
{
	j->memory->writable[jit_place(j, entry)] = 0xe9;
	patch_jump(j, jit_place(j, entry) + 1, jit_place(j, to));
}

static void unlink_incoming(struct emu *e, struct block *b)
{
	struct jit *j = e->jit;

	for (uint32_t n = b->incoming; n; n = j->site[n].next) {
		struct range *r = &jit_env(e)->range[j->site[n].range];

		patch_jump(j, j->site[n].code, j->site[n].unlinked);
		j->site[n].linked = 0;
		if (j->site[n].range)
			r->len = r->host = 0;
	}
	b->incoming = 0;
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

static enum lasting lasting_of(const struct emu *e, uint64_t pc)
{
	const struct tlb_entry *t = &e->tlb->e[tlb_fetch_index(pc)];

	return t->x == (pc & PAGE_MASK) && (t->r & TAG_GLOBAL) ? LASTS_GLOBAL : LASTS_SPACE;
}

/* A block was reached in a way that checked its translation. */
static void note_entry(struct emu *e, const struct block *b)
{
	struct jit_env *env = jit_env(e);
	struct jit_jump *jump = entry_slot(e, b->pc, jit_table_of(b->native_key));
	const enum lasting lasting = lasting_of(e, b->pc);

	select_jumps(e, b->native_key);
	if (logs_are_long(env))
		jit_translations_dropped(e, true);
	if (jump->pc != b->pc || !jump->code || jump->code != jump->real)
		*env->jump_log_next[lasting]++ = jump;
	env->seen[lasting][b->pc >> PAGE_SHIFT & (JIT_PAGES - 1)] = 1;
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
	const struct block *b = block_of_site(e, s->block);
	const struct link *l;
	uint64_t rip = e->cpu.rip;
	unsigned insn = 0;

	switch ((enum site_kind)s->kind) {
	case SITE_LINK:
		l = block_link(b);
		rip = side_pc(b, l, s->side);
		break;
	case SITE_INTERPRET:
		l = block_link(b);
		insn = s->insn;
		rip = b->pc + (insn < b->count ? b->insns[insn].off : l->end);
		break;
	case SITE_START:
	case SITE_EXECUTE:
		rip = b->pc;
		break;
	case SITE_RIP:
	case SITE_INLINED:
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

/* The operands of a translation that are checked together lie across two pages. */
static void count_miss(struct emu *e, struct block *b)
{
	if (++b->native_misses != GROUP_MISSES || !b->native[0])
		return;
	b->native_ungrouped = true;
	translate_again(e, b);
}

/* What translated code could not do by itself; `place` is a site, in the form of a handler's argument. */
static void go_on(struct emu *e, const struct insn *place)
{
	struct jit_site *s = (struct jit_site *)(uintptr_t)place;
	struct block *b = block_of_site(e, s->block), *to;
	struct link *l;

	switch ((enum site_kind)s->kind) {
	case SITE_LINK:
		l = block_link(b);
		to = l->to[s->side];
		if (to && block_is_dead(to)) /* the run loop finds what replaces it, and links that */
			to = l->to[s->side] = NULL;
		if (e->budget < 0 || !to || (l->cross[s->side] && tlb_fetch_ptr(e, to->pc) != to->host)) {
			e->jit->left_by = to ? 0 : (uint32_t)(s - e->jit->site);
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
		if (s->groups)
			count_miss(e, block_of_site(e, s->linked));
		if (s->insn == 0)
			TAIL(b->first(e, b->insns));
		GO(e, &b->insns[s->insn]);
	case SITE_START:
	case SITE_EXECUTE:
		e->cpu.rip = b->pc;
		break;
	case SITE_RIP:
	case SITE_INLINED:
		break;
	}
	e->code->patch = NULL;
}

/* Links of the block tier never lead to an instruction in two pages; translated code may go there, because it looks at the second itself. */
static void link_across(struct emu *e, struct block *b)
{
	struct jit_site *s = &e->jit->site[e->jit->left_by];
	const struct block *from = block_of_site(e, s->block);
	const struct link *l;

	e->jit->left_by = 0;
	if (s->kind != SITE_LINK || !from)
		return;
	l = block_link(from);
	if (side_pc(from, l, s->side) == b->pc && (l->cross[s->side] || is_in_page((uintptr_t)from->host, (uintptr_t)b->host)))
		link_blocks(e, s, b);
}

void jit_time(struct emu *e, uint64_t *ns)
{
	if (e->jit)
		e->jit->times = ns;
}

static int enter(struct emu *e, const uint8_t *code)
{
	const uint64_t start = UNLIKELY(e->jit->times) ? emu_now_ns(e) : 0;
	const int site = e->jit->enter(e, code);

	if (UNLIKELY(e->jit->times))
		*e->jit->times += emu_now_ns(e) - start;
	return site;
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
	if (UNLIKELY(b->host2))
		link_across(e, b);
	note_entry(e, b);
	e->jit->counts.entries++;
	if (UNLIKELY(e->jit->verify))
		verify_begin(e, b->pc, 0);
	before = emu_retired(e);
	site = enter(e, b->native[1]);
	jit_x87_take(e);
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
	if (!e->jit)
		return;
	if (b->native[0])
		abandon(e, b);
	for (uint32_t n = b->inlined; n; n = e->jit->site[n].next) {
		struct block *with = block_of_site(e, e->jit->site[n].block);

		if (with && with->native[0] && !block_is_dead(with))
			translate_again(e, with);
		e->stop = true; /* this code may be running */
	}
	b->inlined = 0;
}

/* The pages that lie in it as a whole. */
static void give_back(void *p, size_t bytes)
{
	const uintptr_t page = PAGE_SIZE, from = ((uintptr_t)p + page - 1) & ~(page - 1),
			to = ((uintptr_t)p + bytes) & ~(page - 1);

	mmu_give_back((void *)from, to - from);
}

/* Sites are in the same half as the code they belong to, or in a newer one than the block that they name. */
void jit_turns(struct emu *e)
{
	struct jit *j = e->jit;

	if (!j)
		return;
	for (size_t n = j->sites.other; n < j->sites.other_used; n++)
		if (j->site[n].kind == SITE_LINK)
			leave_list(e, &j->site[n]);
	for (size_t n = j->sites.start; n < j->sites.used; n++)
		if (j->site[n].kind == SITE_INLINED && j->site[n].block &&
		    block_is_left(e->code, block_of_site(e, j->site[n].block)))
			j->site[n].block = 0;
}

/* All that code knows of addresses is forgotten, because the logs do not tell whose it is. */
void jit_turned(struct emu *e)
{
	struct jit *j = e->jit;

	if (!j)
		return;
	drop(e, LASTS_SPACE);
	drop(e, LASTS_GLOBAL);
	native_memory_turn(&j->cold);
	halves_turn(&j->sites);
	halves_turn(&j->ranges);
	j->counts.code_flushes++;
	j->left_by = 0;
}

/* After all has been forgotten: only the first site says something. */
void jit_given_back(struct emu *e)
{
	struct jit_env *env = jit_env(e);
	struct jit *j = e->jit;

	if (!j)
		return;
	mmu_give_back(j->site, JIT_SITES * sizeof(*j->site));
	j->site[0] = (struct jit_site){ .kind = SITE_RIP };
	give_back(env->range + 1 + STACK_RANGES, sizeof(env->range) - sizeof(struct range[1 + STACK_RANGES]));
	give_back(env->log, sizeof(env->log));
	native_memory_reset(&j->cold);
	native_memory_give_back(&j->cold);
}

struct jit_counts jit_counts(const struct emu *e)
{
	return e->jit ? e->jit->counts : (struct jit_counts){ 0 };
}

/* ---- life ---- */

enum {
	CODE_MEMORY_MIN = 256 << 10, /* bytes: with less it would be emptied all the time */
	TABLES_LEAST = 512,	     /* sites or ranges of a half: more than the largest translation has */
};

/* There are three sites for a range, which has two places in the log. Number 0 says that there is none. */
static void share(struct jit *j, size_t bytes)
{
	const size_t sites = bytes / 8 * 5 / sizeof(struct jit_site);
	const size_t ranges = bytes / 8 * 3 / (sizeof(struct range) + 2 * sizeof(struct range *));

	j->sites = halves_of(1, sites < JIT_SITES ? sites : JIT_SITES, TABLES_LEAST, 1);
	j->ranges = halves_of(1 + STACK_RANGES, ranges < JIT_RANGES ? ranges : JIT_RANGES, TABLES_LEAST, 1);
}

/* All that is turned together is in halves, or nothing is. */
static void halve(struct jit *j, struct code_cache *c)
{
	struct halves *all[] = { &c->at, &c->native.at, &j->cold.at, &j->sites, &j->ranges };
	bool one = false;

	block_halve(c);
	native_memory_halve(&j->cold, HALF_LEAST);
	for (unsigned n = 0; n < sizeof(all) / sizeof(*all); n++)
		one |= halves_are_one(all[n]);
	for (unsigned n = 0; one && n < sizeof(all) / sizeof(*all); n++)
		halves_join(all[n]);
}

/* Code that all translations share comes first, and stays. */
static bool prepare_memory(struct emu *e, size_t bytes)
{
	struct jit *j = e->jit;

	j->memory = &e->code->native;
	j->cold = native_memory_split(j->memory);
	j->site = mmu_reserve(JIT_SITES * sizeof(*j->site));
	if (!j->site || !stubs_make(j))
		return false;
	j->site[0] = (struct jit_site){ .kind = SITE_RIP };
	share(j, bytes);
	halve(j, e->code);
	return true;
}

static void prepare_shared_ranges(struct jit_env *env)
{
	for (unsigned n = 0; n < STACK_RANGES; n++)
		env->range[1 + n].room = (uint16_t)(PAGE_SIZE - 8 * (n % STACK_SPANS + 1) + 1);
}

/* Nothing is known of addresses. */
static void prepare_env(struct jit_env *env, const struct jit *j)
{
	for (enum lasting lasting = LASTS_SPACE; lasting < LASTINGS; lasting++) {
		env->log_next[lasting] = env->log[lasting];
		env->jump_log_next[lasting] = env->jump_log[lasting];
	}
	for (unsigned table = 0; table < JIT_TABLES; table++)
		mark_empty(env->jump[table]);
	prepare_shared_ranges(env);
	env->jumps = env->jump[0];
	env->told = j->check;
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
	if (e->machine->config.verify_every)
		j->verify = verify_create(e->machine->config.verify_every);
	j->checks = e->machine->config.check_ranges || j->verify;
	if (!prepare_memory(e, bytes)) {
		block_halve(e->code);
		jit_destroy(e);
		return 0;
	}
	prepare_env(jit_env(e), j);
	e->code->threshold = threshold;
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

void jit_turns(struct emu *e)
{
}

void jit_turned(struct emu *e)
{
}

void jit_given_back(struct emu *e)
{
}

void jit_translations_dropped(struct emu *e, bool global)
{
}

void jit_page_dropped(struct emu *e, uint64_t linear)
{
}

void jit_time(struct emu *e, uint64_t *ns)
{
}

struct jit_counts jit_counts(const struct emu *e)
{
	return (struct jit_counts){ 0 };
}

#endif
