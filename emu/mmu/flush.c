/* SPDX-License-Identifier: MIT */
/* The tables of the TLB: which one is in use, and every way to drop translations. */
#include "internal.h"
#include "proto/code_notice.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static void set_entry(struct tlb_entry *t, uint64_t tag)
{
	t->r = t->w = t->x = tag;
}

static void clear_table(struct emu *e, unsigned n)
{
	struct tlb *t = &e->mmu->tlbs[n];

	for (unsigned k = 0; !t->made && k < TLB_ENTRIES + TLB_FETCHES; k++)
		set_entry(&t->e[k], TLB_EMPTY);
	t->made = true;
	while (t->filled_count)
		set_entry(&t->e[t->filled[--t->filled_count]], TLB_EMPTY);
	e->mmu->table[n].has_large[0] = e->mmu->table[n].has_large[1] = e->mmu->table[n].has_global = false;
}

static unsigned oldest_table(const struct mmu *m)
{
	unsigned best = 0;

	for (unsigned n = 0; n < TLB_TABLES; n++) {
		if (!m->table[n].used)
			return n;
		if (m->stamp - m->table[n].stamp > m->stamp - m->table[best].stamp)
			best = n;
	}
	return best;
}

static unsigned find_table(struct emu *e, bool user)
{
	struct mmu *m = e->mmu;
	unsigned n;

	for (n = 0; n < TLB_TABLES; n++) {
		if (m->table[n].used && m->table[n].user == user && m->table[n].pcid == m->pcid)
			break;
	}
	if (n == TLB_TABLES) {
		n = oldest_table(m);
		if (m->table[n].used) /* what is known of its pages, large ones above all, goes with it */
			e->hooks->translations_dropped(e, true);
		if (m->current[0] == (int)n || m->current[1] == (int)n)
			m->current[m->current[1] == (int)n] = -1;
		m->table[n] = (struct tlb_table){ .used = true, .user = user, .pcid = m->pcid };
		clear_table(e, n);
	}
	m->table[n].stamp = ++m->stamp;
	m->current[user] = (int8_t)n;
	return n;
}

struct tlb *mmu_table(struct emu *e, bool user)
{
	int n = e->mmu->current[user];

	return &e->mmu->tlbs[n >= 0 ? (unsigned)n : find_table(e, user)];
}

/* Brings e->tlb in line with CR3's PCID and the privilege level. */
static void reselect(struct emu *e)
{
	struct mmu *m = e->mmu;
	uint16_t pcid = e->cpu.cr4 & CR4_PCIDE ? e->cpu.cr3 & 0xfff : 0;

	if (pcid != m->pcid) {
		e->hooks->translations_dropped(e, false);
		m->pcid = pcid;
		m->current[0] = m->current[1] = -1;
	}
	e->tlb = mmu_table(e, e->cpl == 3);
}

void mmu_mode_changed(struct emu *e)
{
	bool restricted = (e->cpu.cr4 & CR4_PKE) && (e->cpu.pkru & 3);

	emu_derive_mode(e);
	if (restricted != e->mmu->key0_restricted) {
		e->mmu->key0_restricted = restricted;
		mmu_flush_all(e);
		return;
	}
	reselect(e);
}

void mmu_flush_all(struct emu *e)
{
	e->hooks->translations_dropped(e, true);
	for (unsigned n = 0; n < TLB_TABLES; n++)
		e->mmu->table[n].used = false;
	e->mmu->current[0] = e->mmu->current[1] = -1;
	reselect(e);
}

static void drop_nonglobal(struct emu *e, unsigned n)
{
	struct tlb *t = &e->mmu->tlbs[n];
	unsigned kept = 0;

	if (!e->mmu->table[n].has_global) {
		clear_table(e, n);
		return;
	}
	for (unsigned k = 0; k < t->filled_count; k++) {
		if (t->e[t->filled[k]].r & TAG_GLOBAL)
			t->filled[kept++] = t->filled[k];
		else
			set_entry(&t->e[t->filled[k]], TLB_EMPTY);
	}
	t->filled_count = kept;
}

void mmu_flush_pcid(struct emu *e, unsigned pcid)
{
	e->hooks->translations_dropped(e, false);
	for (unsigned n = 0; n < TLB_TABLES; n++) {
		if (e->mmu->table[n].used && e->mmu->table[n].pcid == pcid)
			drop_nonglobal(e, n);
	}
	reselect(e);
}

void mmu_flush_nonglobal(struct emu *e)
{
	e->hooks->translations_dropped(e, false);
	for (unsigned n = 0; n < TLB_TABLES; n++) {
		if (e->mmu->table[n].used)
			drop_nonglobal(e, n);
	}
	reselect(e);
}

void mmu_switch_pcid(struct emu *e)
{
	reselect(e);
}

static unsigned half_of(uint64_t linear)
{
	return (unsigned)(linear >> 63);
}

static void drop_own(struct tlb_entry *t, uint64_t linear, bool only_global)
{
	if (t->r != TLB_EMPTY && ((t->r ^ linear) & PAGE_MASK) == 0 && (!only_global || (t->r & TAG_GLOBAL)))
		set_entry(t, TLB_DROPPED);
}

/* Everything that may translate `linear`: its own entries, and all pieces of a large page around it (SDM vol. 3,
 * 4.10.4.1: INVLPG drops the translation whatever the page size). 1 GiB bounds any page. */
static void drop_page(struct emu *e, unsigned n, uint64_t linear, bool only_global)
{
	struct tlb *t = &e->mmu->tlbs[n];

	drop_own(&t->e[tlb_data_index(linear)], linear, only_global);
	drop_own(&t->e[tlb_fetch_index(linear)], linear, only_global);
	if (!e->mmu->table[n].has_large[half_of(linear)])
		return;
	for (unsigned k = 0; k < t->filled_count; k++) {
		struct tlb_entry *s = &t->e[t->filled[k]];

		if ((s->r & TAG_LARGE) && ((s->r ^ linear) >> 30) == 0 && (!only_global || (s->r & TAG_GLOBAL)))
			set_entry(s, TLB_DROPPED);
	}
}

/* What the translator knows of that page; of all, if it may be a piece of a large one. */
static void tell_of_page(struct emu *e, uint64_t linear)
{
	bool large = false;

	for (unsigned n = 0; n < TLB_TABLES; n++)
		large |= e->mmu->table[n].used && e->mmu->table[n].has_large[half_of(linear)];
	if (large)
		e->hooks->translations_dropped(e, true);
	else
		e->hooks->page_dropped(e, linear);
}

void mmu_flush_page_pcid(struct emu *e, uint64_t linear, unsigned pcid)
{
	tell_of_page(e, linear);
	for (unsigned n = 0; n < TLB_TABLES; n++) {
		if (e->mmu->table[n].used && e->mmu->table[n].pcid == pcid)
			drop_page(e, n, linear, false);
	}
}

/* INVLPG also drops global translations of the page for all PCIDs (SDM vol. 3, 4.10.4.1). */
void mmu_flush_page(struct emu *e, uint64_t linear)
{
	tell_of_page(e, linear);
	for (unsigned n = 0; n < TLB_TABLES; n++) {
		const struct tlb_table *t = &e->mmu->table[n];

		if (t->used && (t->pcid == e->mmu->pcid || t->has_global))
			drop_page(e, n, linear, t->pcid != e->mmu->pcid);
	}
}

/* ---- life ---- */

/* Reserved address space, touched lazily: most guests use a small part of it. */
void *mmu_reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void mmu_unreserve(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}

void mmu_give_back(void *p, size_t bytes)
{
	madvise(p, bytes, MADV_DONTNEED);
}

static size_t sets_bytes(const struct emu *e)
{
	const uint64_t pages = mmu_ram_pages(e);

	return (3 * page_set_words(pages) + pages) * sizeof(uint64_t);
}

int mmu_create(struct emu *e)
{
	const uint64_t pages = mmu_ram_pages(e), words = page_set_words(pages);
	struct mmu *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	e->mmu = m;
	m->current[0] = m->current[1] = -1;
	m->tlbs = mmu_reserve(TLB_TABLES * sizeof(*m->tlbs));
	m->sets = mmu_reserve(sets_bytes(e));
	if (!m->tlbs || !m->sets) {
		mmu_destroy(e);
		return -ENOMEM;
	}
	page_set_init(&m->open, pages, m->sets);
	page_set_init(&m->to_close, pages, m->sets + words);
	page_set_init(&m->written, pages, m->sets + 2 * words);
	m->written_granules = m->sets + 3 * words;
	for (unsigned n = 0; n < e->machine->config.writer_count; n++)
		m->noticed[n] = atomic_load(&e->machine->config.writers[n]->count);
	return 0;
}

void mmu_destroy(struct emu *e)
{
	struct mmu *m = e->mmu;

	if (!m)
		return;
	mmu_unreserve(m->tlbs, TLB_TABLES * sizeof(*m->tlbs));
	mmu_unreserve(m->sets, sets_bytes(e));
	free(m);
	e->mmu = NULL;
}
