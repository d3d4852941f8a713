/* SPDX-License-Identifier: MIT */
/*
 * Decoded code in RAM: which 64-byte pieces of which page the code caches were built from (proto/code_map.h), for all vCPUs.
 *
 * While a page holds code, no vCPU has a write entry for it in its TLB: each store goes the long way and comes by
 * mmu_code_written(), which drops the storing vCPU's own blocks at once and posts the others' to their owners. These take
 * their post before their next instruction outside a block, which is where every serialising instruction ends up, and when
 * they look at events: the modified code is executed at the latest after the next serialising instruction (SDM vol. 3,
 * 8.1.3, "cross-modifying code").
 *
 * The hand-over. A vCPU that wants to decode sets its bits of the map, then looks who has the page mapped writable ("open").
 * A vCPU that wants to map a page writable says that it has it open, then looks at the map. Between the two steps stands
 * a full barrier, so one of them sees the other: the page is not mapped, or the opener gets a request to close it. Until it
 * has, the code is not decoded for keeps but executed one instruction at a time, as it is in memory just then.
 */
#include "internal.h"
#include "proto/code_notice.h"

#include <errno.h>

static uint64_t page_of(const struct machine *m, const uint8_t *host)
{
	for (unsigned n = 0; n < m->ram_count; n++) {
		if (host >= m->ram[n].host && host < m->ram[n].host + m->ram[n].size)
			return m->code.region[n].first_page + ((uint64_t)(host - m->ram[n].host) >> PAGE_SHIFT);
	}
	return UINT64_MAX;
}

uint64_t mmu_ram_pages(const struct emu *e)
{
	return e->machine->code.pages;
}

uint64_t mmu_page_index(const struct emu *e, const uint8_t *host)
{
	return page_of(e->machine, host);
}

static uint64_t granules(const uint8_t *host, uint64_t size)
{
	return code_map_mask((uintptr_t)host & (PAGE_SIZE - 1), size);
}

static _Atomic uint64_t *own_word(const struct emu *e, uint64_t page)
{
	return code_map_word(&e->machine->code, page, e->cpu.vcpu);
}

static uint64_t load_word(const struct machine *m, uint64_t page, unsigned vcpu)
{
	return atomic_load_explicit(code_map_word(&m->code, page, vcpu), memory_order_relaxed);
}

/* ---- closing pages ---- */

/* Takes the page's write permission out of all tables. `host` is the page's first byte. */
static void write_protect(struct emu *e, const uint8_t *host)
{
	uint64_t page = (uint64_t)(uintptr_t)host;

	for (unsigned n = 0; n < TLB_TABLES; n++) {
		struct tlb *t = &e->mmu->tlbs[n];

		if (!e->mmu->table[n].used)
			continue;
		for (unsigned k = 0; k < TLB_ENTRIES; k++) {
			if (!(t->e[k].w & TAG_INVALID) && (t->e[k].w & PAGE_MASK) + t->e[k].addend == page)
				t->e[k].w |= TAG_INVALID;
		}
	}
}

static uint8_t *host_of(const struct machine *m, uint64_t page)
{
	unsigned n = m->ram_count - 1;

	while (m->code.region[n].first_page > page)
		n--;
	return m->ram[n].host + ((page - m->code.region[n].first_page) << PAGE_SHIFT);
}

static void close_page(struct emu *e, uint64_t page)
{
	write_protect(e, host_of(e->machine, page));
	e->hooks->translations_dropped(e);
	page_set_remove(&e->mmu->open, page);
}

void mmu_close_all(struct emu *e)
{
	uint64_t at = 0, first;

	e->hooks->translations_dropped(e);
	for (unsigned n = 0; n < TLB_TABLES; n++)
		for (unsigned k = 0; e->mmu->table[n].used && k < TLB_ENTRIES; k++)
			e->mmu->tlbs[n].e[k].w |= TAG_INVALID;
	while (page_set_take(&e->mmu->open, &at, &first))
		;
}

bool mmu_open_page(struct emu *e, const uint8_t *host)
{
	uint64_t page = mmu_page_index(e, host);

	if (page == UINT64_MAX || code_map_page_hit(&e->machine->code, page, UINT64_MAX))
		return false;
	if (page_set_has(&e->mmu->open, page))
		return true;
	page_set_add(&e->mmu->open, page);
	atomic_thread_fence(memory_order_seq_cst);
	if (!code_map_page_hit(&e->machine->code, page, UINT64_MAX))
		return true;
	page_set_remove(&e->mmu->open, page);
	return false;
}

bool mmu_page_is_open(const struct emu *e, const uint8_t *host)
{
	const uint64_t page = mmu_page_index(e, host);

	return page != UINT64_MAX && page_set_has(&e->mmu->open, page) &&
	       (e->machine->vcpus > 1 || !code_map_page_hit(&e->machine->code, page, UINT64_MAX));
}

/* ---- post ---- */

static void kick(struct emu *e)
{
	atomic_fetch_or(&e->kicked, EMU_KICK_CODE);
}

/* It sleeps in HLT, perhaps; a page that it is asked for already needs no second request. */
static void ask_to_close(struct emu *owner, uint64_t page)
{
	if (page_set_has(&owner->mmu->to_close, page))
		return;
	page_set_add(&owner->mmu->to_close, page);
	kick(owner);
	emu_wake(owner);
}

static void post_written(struct emu *owner, uint64_t page, uint64_t mask)
{
	atomic_fetch_or(&owner->mmu->written_granules[page], mask);
	page_set_add(&owner->mmu->written, page);
	kick(owner);
}

/* Own thread: blocks of these pieces go; what is left of the page's code stays marked. */
static void drop(struct emu *e, uint64_t page, uint64_t mask)
{
	atomic_store_explicit(own_word(e, page), e->hooks->code_written(e, page, mask), memory_order_relaxed);
}

static void take_written(struct emu *e)
{
	uint64_t at = 0, first, pages;

	while ((pages = page_set_take(&e->mmu->written, &at, &first))) {
		for (; pages; pages &= pages - 1) {
			uint64_t page = first + (unsigned)__builtin_ctzll(pages);

			drop(e, page, atomic_exchange(&e->mmu->written_granules[page], 0));
		}
	}
}

static void take_to_close(struct emu *e)
{
	enum { ONE_BY_ONE = 4 }; /* each is a search through the tables */
	uint64_t at = 0, first, pages;
	unsigned count = 0;

	while ((pages = page_set_take(&e->mmu->to_close, &at, &first))) {
		for (; pages; pages &= pages - 1) {
			if (++count <= ONE_BY_ONE)
				close_page(e, first + (unsigned)__builtin_ctzll(pages));
		}
	}
	if (count > ONE_BY_ONE)
		mmu_close_all(e);
}

/* Who posts puts the bit up last: what is put in later puts it up again. */
void mmu_take_post(struct emu *e)
{
	atomic_fetch_and(&e->kicked, ~(unsigned)EMU_KICK_CODE);
	take_to_close(e);
	take_written(e);
}

/* ---- decoding ---- */

static bool others_have_closed(struct emu *e, uint64_t page)
{
	const struct machine *m = e->machine;
	bool closed = true;

	for (unsigned n = 0; n < m->vcpus; n++) {
		if (n == e->cpu.vcpu || !page_set_has(&m->emu[n]->mmu->open, page))
			continue;
		ask_to_close(m->emu[n], page);
		closed = false;
	}
	return closed;
}

bool mmu_claim_code(struct emu *e, const uint8_t *host, unsigned size, struct code_claim *c)
{
	c->page = mmu_page_index(e, host);
	c->before = atomic_load_explicit(own_word(e, c->page), memory_order_relaxed);
	atomic_store_explicit(own_word(e, c->page), c->before | granules(host, size), memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (page_set_has(&e->mmu->open, c->page))
		close_page(e, c->page);
	return others_have_closed(e, c->page);
}

void mmu_settle_code(struct emu *e, const struct code_claim *c, const uint8_t *host, unsigned size)
{
	atomic_store_explicit(own_word(e, c->page), c->before | (size ? granules(host, size) : 0), memory_order_relaxed);
}

void mmu_release_code(struct emu *e, uint64_t page)
{
	atomic_store_explicit(own_word(e, page), 0, memory_order_relaxed);
}

/* ---- stores ---- */

/* To one page, by a vCPU. */
static void page_written(struct emu *e, uint64_t page, uint64_t mask)
{
	const struct machine *m = e->machine;
	uint64_t hit = load_word(m, page, e->cpu.vcpu) & mask;

	if (hit)
		drop(e, page, hit);
	for (unsigned n = 0; n < m->vcpus && m->vcpus > 1; n++) {
		hit = load_word(m, page, n) & mask;
		if (hit && n != e->cpu.vcpu)
			post_written(m->emu[n], page, hit);
	}
}

void mmu_code_written(struct emu *e, const uint8_t *host, uint64_t size)
{
	if (e->machine->vcpus > 1)
		atomic_thread_fence(memory_order_seq_cst);
	while (size > 0) {
		uint64_t room = PAGE_SIZE - ((uintptr_t)host & (PAGE_SIZE - 1));
		uint64_t n = size < room ? size : room, page = mmu_page_index(e, host);

		if (page != UINT64_MAX)
			page_written(e, page, granules(host, n));
		host += n;
		size -= n;
	}
}

/* To one page, by somebody else: `e`'s part of it. */
static void page_changed(struct emu *e, uint64_t page, uint64_t mask, bool own_thread)
{
	uint64_t hit = load_word(e->machine, page, e->cpu.vcpu) & mask;

	if (hit && own_thread)
		drop(e, page, hit);
	else if (hit)
		post_written(e, page, hit);
}

static void range_changed(struct emu *e, uint64_t gpa, uint64_t size, bool own_thread)
{
	const struct machine *m = e->machine;

	for (unsigned k = 0; k < m->ram_count; k++) {
		const struct engine_ram *r = &m->ram[k];
		uint64_t at = gpa > r->gpa ? gpa - r->gpa : 0, end = gpa + size > r->gpa ? gpa + size - r->gpa : 0;

		end = end < r->size ? end : r->size;
		for (; at < end; at = (at | (PAGE_SIZE - 1)) + 1)
			page_changed(e, m->code.region[k].first_page + (at >> PAGE_SHIFT),
				     code_map_mask(at & (PAGE_SIZE - 1), end - at), own_thread);
	}
}

void mmu_ram_written(struct machine *m, uint64_t gpa, uint64_t size)
{
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned n = 0; n < m->vcpus; n++)
		range_changed(m->emu[n], gpa, size, false);
}

/* Notices that come meanwhile are taken the next time: nobody keeps a vCPU here. */
void mmu_take_notices(struct emu *e)
{
	const struct engine_config *c = &e->machine->config;

	for (unsigned n = 0; n < c->writer_count; n++) {
		for (unsigned i = 0; i < CODE_NOTICES; i++) {
			uint64_t gpa, size;
			int err = code_notice_take(c->writers[n], &e->mmu->noticed[n], &gpa, &size);

			if (err == -EAGAIN)
				break;
			if (err)
				range_changed(e, 0, UINT64_MAX, true);
			else
				range_changed(e, gpa, size, true);
		}
	}
}

/* ---- life ---- */

int mmu_map_code(struct machine *m)
{
	struct code_map_region region[ENGINE_MAX_RAM];
	uint64_t pages = 0;

	for (unsigned n = 0; n < m->ram_count; n++) {
		region[n] = (struct code_map_region){ .gpa = m->ram[n].gpa, .size = m->ram[n].size };
		pages += m->ram[n].size >> PAGE_SHIFT;
	}
	m->code_map = m->config.code_map;
	m->code_map_bytes = m->config.code_map ? m->config.code_map_bytes : code_map_bytes(pages, m->vcpus);
	if (!m->code_map)
		m->code_map = mmu_reserve(m->code_map_bytes);
	if (!m->code_map)
		return -ENOMEM;
	return code_map_init(m->code_map, m->code_map_bytes, region, m->ram_count, m->vcpus, &m->code);
}

void mmu_unmap_code(struct machine *m)
{
	if (!m->config.code_map)
		mmu_unreserve(m->code_map, m->code_map_bytes);
	m->code_map = NULL;
}
