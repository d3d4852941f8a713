/* SPDX-License-Identifier: MIT */
/* The tables of the TLB: which one is in use, and every way to drop translations. */
#include "internal.h"
#include "proto/code_notice.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static void clear_table(struct emu *e, unsigned n)
{
	struct tlb *t = &e->mmu->tlbs[n];

	for (unsigned k = 0; k < TLB_ENTRIES; k++)
		t->e[k].r = t->e[k].w = t->e[k].x = TAG_INVALID;
	e->mmu->table[n].has_large = e->mmu->table[n].has_global = false;
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
		e->hooks->translations_dropped(e);
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
	e->hooks->translations_dropped(e);
	for (unsigned n = 0; n < TLB_TABLES; n++)
		e->mmu->table[n].used = false;
	e->mmu->current[0] = e->mmu->current[1] = -1;
	reselect(e);
}

static void drop_entry(struct tlb_entry *t)
{
	t->r = t->w = t->x = TAG_INVALID;
}

static void drop_nonglobal(struct emu *e, unsigned n)
{
	struct tlb *t = &e->mmu->tlbs[n];

	if (!e->mmu->table[n].has_global) {
		clear_table(e, n);
		return;
	}
	for (unsigned k = 0; k < TLB_ENTRIES; k++) {
		if (!(t->e[k].r & TAG_GLOBAL))
			drop_entry(&t->e[k]);
	}
}

void mmu_flush_pcid(struct emu *e, unsigned pcid)
{
	e->hooks->translations_dropped(e);
	for (unsigned n = 0; n < TLB_TABLES; n++) {
		if (e->mmu->table[n].used && e->mmu->table[n].pcid == pcid)
			drop_nonglobal(e, n);
	}
	reselect(e);
}

void mmu_flush_nonglobal(struct emu *e)
{
	e->hooks->translations_dropped(e);
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

/* Everything that may translate `linear`: its own entry, and all pieces of a large page around it (SDM vol. 3,
 * 4.10.4.1: INVLPG drops the translation whatever the page size). 1 GiB bounds any page. */
static void drop_page(struct emu *e, unsigned n, uint64_t linear, bool only_global)
{
	struct tlb *t = &e->mmu->tlbs[n];
	struct tlb_entry *own = &t->e[(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];

	if (((own->r ^ linear) & PAGE_MASK) == 0 && (!only_global || (own->r & TAG_GLOBAL)))
		drop_entry(own);
	if (!e->mmu->table[n].has_large)
		return;
	for (unsigned k = 0; k < TLB_ENTRIES; k++) {
		struct tlb_entry *s = &t->e[k];

		if ((s->r & TAG_LARGE) && ((s->r ^ linear) >> 30) == 0 && (!only_global || (s->r & TAG_GLOBAL)))
			drop_entry(s);
	}
}

void mmu_flush_page_pcid(struct emu *e, uint64_t linear, unsigned pcid)
{
	e->hooks->translations_dropped(e);
	for (unsigned n = 0; n < TLB_TABLES; n++) {
		if (e->mmu->table[n].used && e->mmu->table[n].pcid == pcid)
			drop_page(e, n, linear, false);
	}
}

/* INVLPG also drops global translations of the page for all PCIDs (SDM vol. 3, 4.10.4.1). */
void mmu_flush_page(struct emu *e, uint64_t linear)
{
	e->hooks->translations_dropped(e);
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
