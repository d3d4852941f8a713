/* SPDX-License-Identifier: MIT */
/* Accesses to linear memory: the slow paths behind the TLB, page crossings, implicit supervisor accesses. */
#include "internal.h"
#include "emu/core/ram.h"


static int check_canonical(struct emu *e, unsigned seg, uint64_t linear, unsigned size)
{
	if (!e->long_mode || (emu_is_canonical(e, linear) && emu_is_canonical(e, linear + size - 1)))
		return 0;
	return emu_fault_code(e, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
}

/* SDM vol. 3, table 6-7: m80 counts as a quadword, x87 environments and save areas by the operand size. */
static unsigned natural_alignment(unsigned size)
{
	switch (size) {
	case 2:
	case 4:
	case 8:
		return size;
	case 10:
		return 8;
	case 14:
	case 94:
		return 2;
	case 6:
	case 28:
	case 108: /* far pointers by their offset */
		return 4;
	default:
		return 1;
	}
}

int emu_check_alignment(struct emu *e, uint64_t linear, unsigned alignment)
{
	if (!emu_checks_alignment(e) || !(linear & (alignment - 1)))
		return 0;
	return emu_fault_code(e, VEC_AC, 0);
}

static unsigned data_access(const struct emu *e, unsigned kind)
{
	return kind | (e->cpl == 3 ? ACCESS_USER : 0);
}

static void fill(struct emu *e, uint64_t linear, unsigned access, const struct translation *t)
{
	bool user = access & ACCESS_USER;
	struct tlb *tlb = mmu_table(e, user);
	const bool fetches = (access & ACCESS_KIND) == ACCESS_FETCH;
	struct tlb_entry *s = &tlb->e[fetches ? tlb_fetch_index(linear) : tlb_data_index(linear)];
	struct tlb_table *table = &e->mmu->table[tlb - e->mmu->tlbs];
	uint64_t page = linear & PAGE_MASK;
	uint64_t tag =
		page | TAG_SLOW | (t->user && !user ? TAG_USER : 0) | (t->global ? TAG_GLOBAL : 0) | (t->large ? TAG_LARGE : 0);
	bool write = !fetches && t->writable && mmu_open_page(e, t->host);

	if (s->r == TLB_EMPTY)
		tlb->filled[tlb->filled_count++] = (uint16_t)(s - tlb->e);
	table->has_large[linear >> 63] |= t->large;
	table->has_global |= t->global;
	s->r = t->readable ? tag : tag | TAG_INVALID;
	s->w = write ? tag : tag | TAG_INVALID;
	s->x = fetches && t->executable ? page : TAG_INVALID;
	s->addend = (uint64_t)(uintptr_t)t->host - linear;
}

/* Translates one byte and caches the page. */
static int translate(struct emu *e, uint64_t linear, unsigned access, struct translation *t)
{
	if (mmu_walk(e, linear, access, t))
		return EMU_STOP;
	if (!t->host && e->machine->config.lent && phys_is_lapic(e, t->gpa)) /* that is kept elsewhere */
		return emu_fault(e, VEC_FOREIGN);
	if (t->host && t->cacheable)
		fill(e, linear, access, t);
	return 0;
}

static uint64_t wrap(const struct emu *e, uint64_t linear)
{
	return e->long_mode ? linear : linear & UINT32_MAX;
}

/* An access cut at the page boundary: both pages are translated before anything is touched. */
struct split {
	unsigned first; /* bytes in the first page */
	unsigned size;
	struct translation t[2];
};

static int split_translate(struct emu *e, uint64_t linear, unsigned size, unsigned access, struct split *s)
{
	unsigned room = PAGE_SIZE - (unsigned)(linear & (PAGE_SIZE - 1));

	s->size = size;
	s->first = size < room ? size : room;
	if (translate(e, linear, access, &s->t[0]))
		return EMU_STOP;
	if (s->first < size)
		return translate(e, wrap(e, linear + s->first), access, &s->t[1]);
	return 0;
}

static void split_read(struct emu *e, const struct split *s, void *data)
{
	phys_read(e, s->t[0].gpa, data, s->first);
	if (s->first < s->size)
		phys_read(e, s->t[1].gpa, (uint8_t *)data + s->first, s->size - s->first);
}

static void split_write(struct emu *e, const struct split *s, const void *data)
{
	phys_write(e, s->t[0].gpa, data, s->first);
	if (s->first < s->size)
		phys_write(e, s->t[1].gpa, (const uint8_t *)data + s->first, s->size - s->first);
}

/* The checks before any explicit access of the slow path. */
static int check_access(struct emu *e, unsigned seg, uint64_t linear, unsigned size)
{
	if (check_canonical(e, seg, linear, size))
		return EMU_STOP;
	return emu_check_alignment(e, linear, natural_alignment(size));
}

/* Both pages of an access that crosses their boundary. False: it does not, or the TLB does not know them both. */
static bool crosses_known(const struct emu *e, uint64_t linear, unsigned size, bool write, uint8_t *half[2], unsigned *first)
{
	const uint64_t second = wrap(e, (linear | (PAGE_SIZE - 1)) + 1);

	*first = PAGE_SIZE - (unsigned)(linear & (PAGE_SIZE - 1));
	if (*first >= size)
		return false;
	half[0] = write ? tlb_write_ptr(e, linear, *first) : tlb_read_ptr(e, linear, *first);
	half[1] = write ? tlb_write_ptr(e, second, size - *first) : tlb_read_ptr(e, second, size - *first);
	return half[0] && half[1];
}

int emu_read(struct emu *e, unsigned seg, uint64_t linear, void *data, unsigned size)
{
	uint8_t *p = tlb_read_ptr(e, linear, size), *half[2];
	unsigned first;
	struct split s;

	if (p) {
		ram_read(data, p, size);
		return 0;
	}
	if (crosses_known(e, linear, size, false, half, &first)) {
		ram_read(data, half[0], first);
		ram_read((uint8_t *)data + first, half[1], size - first);
		return 0;
	}
	if (check_access(e, seg, linear, size) || split_translate(e, linear, size, data_access(e, ACCESS_READ), &s))
		return EMU_STOP;
	split_read(e, &s, data);
	if (emu_is_watched(e))
		e->hooks->data_accessed(e, linear, size, false);
	return 0;
}

int emu_write(struct emu *e, unsigned seg, uint64_t linear, const void *data, unsigned size)
{
	uint8_t *p = tlb_write_ptr(e, linear, size), *half[2];
	unsigned first;
	struct split s;

	if (p) {
		ram_write(p, data, size);
		return 0;
	}
	if (crosses_known(e, linear, size, true, half, &first)) {
		ram_write(half[0], data, first);
		ram_write(half[1], (const uint8_t *)data + first, size - first);
		return 0;
	}
	if (check_access(e, seg, linear, size) || split_translate(e, linear, size, data_access(e, ACCESS_WRITE), &s))
		return EMU_STOP;
	split_write(e, &s, data);
	if (emu_is_watched(e))
		e->hooks->data_accessed(e, linear, size, true);
	return 0;
}

int emu_probe_write(struct emu *e, unsigned seg, uint64_t linear, unsigned size)
{
	struct split s;

	if (tlb_write_ptr(e, linear, size))
		return 0;
	if (check_access(e, seg, linear, size))
		return EMU_STOP;
	return split_translate(e, linear, size, data_access(e, ACCESS_WRITE), &s);
}

int mmu_page_ptr(struct emu *e, unsigned seg, uint64_t linear, bool write, uint8_t **host)
{
	struct translation t;

	*host = write ? tlb_write_ptr(e, linear, 1) : tlb_read_ptr(e, linear, 1);
	if (*host)
		return 0;
	if (check_canonical(e, seg, linear, 1) || translate(e, linear, data_access(e, write ? ACCESS_WRITE : ACCESS_READ), &t))
		return EMU_STOP;
	if (!emu_is_watched(e) && t.host && (!write || mmu_open_page(e, t.host)))
		*host = t.host;
	return 0;
}

int mmu_fetch_page(struct emu *e, uint64_t linear, uint8_t **host, uint64_t *gpa)
{
	struct translation t;

	*host = tlb_fetch_ptr(e, linear);
	if (*host)
		return 0;
	if (check_canonical(e, SEG_CS, linear, 1) || translate(e, linear, data_access(e, ACCESS_FETCH), &t))
		return EMU_STOP;
	*host = t.host;
	*gpa = t.gpa;
	return 0;
}

/* False: one of them is not RAM, or there is only one. */
static bool find_halves(const struct emu *e, const struct split *s, struct ram_halves *h)
{
	*h = (struct ram_halves){ .bytes = { s->first, s->size - s->first } };
	for (unsigned n = 0; n < 2 && h->bytes[n]; n++)
		h->half[n] = phys_host(e, s->t[n].gpa, h->bytes[n]);
	return h->half[0] && h->half[1];
}

static void halves_written(struct emu *e, const struct ram_halves *h)
{
	for (unsigned n = 0; n < 2; n++)
		mmu_code_written(e, h->half[n], h->bytes[n]);
}

int mmu_rmw_open(struct emu *e, unsigned seg, uint64_t linear, unsigned size, struct rmw *m)
{
	struct split s;

	*m = (struct rmw){ .linear = linear, .size = size, .host = tlb_write_ptr(e, linear, size) };
	if (m->host)
		return 0;
	if (check_access(e, seg, linear, size) || split_translate(e, linear, size, data_access(e, ACCESS_WRITE), &s))
		return EMU_STOP;
	m->host = s.first == size ? phys_host(e, s.t[0].gpa, size) : NULL;
	m->is_split = !m->host && find_halves(e, &s, &m->halves);
	m->is_told = m->host || m->is_split;
	return 0;
}

void mmu_rmw_tell(struct emu *e, const struct rmw *m)
{
	if (m->is_split)
		halves_written(e, &m->halves);
	else
		mmu_code_written(e, m->host, m->size);
	if (emu_is_watched(e))
		e->hooks->data_accessed(e, m->linear, m->size, true);
}

/* ---- implicit supervisor accesses ---- */

static unsigned implicit(unsigned kind)
{
	return kind | ACCESS_IMPLICIT;
}

static uint64_t implicit_mask(const struct emu *e)
{
	return PAGE_MASK | TAG_INVALID | (e->cpu.cr4 & CR4_SMAP ? TAG_USER : 0);
}

static int check_implicit(struct emu *e, uint64_t linear, unsigned size)
{
	return check_canonical(e, SEG_DS, linear, size);
}

int emu_sys_read(struct emu *e, uint64_t linear, void *data, unsigned size)
{
	const struct tlb_entry *t = &mmu_table(e, false)->e[tlb_data_index(linear + size - 1)];
	struct split s;

	if (!(((linear & PAGE_MASK) ^ t->r) & implicit_mask(e))) {
		ram_read(data, (const uint8_t *)(uintptr_t)(linear + t->addend), size);
		return 0;
	}
	if (check_implicit(e, linear, size) || split_translate(e, linear, size, implicit(ACCESS_READ), &s))
		return EMU_STOP;
	split_read(e, &s, data);
	return 0;
}

int emu_sys_write(struct emu *e, uint64_t linear, const void *data, unsigned size)
{
	const struct tlb_entry *t = &mmu_table(e, false)->e[tlb_data_index(linear + size - 1)];
	struct split s;

	if (!(((linear & PAGE_MASK) ^ t->w) & implicit_mask(e))) {
		ram_write((uint8_t *)(uintptr_t)(linear + t->addend), data, size);
		return 0;
	}
	if (check_implicit(e, linear, size) || split_translate(e, linear, size, implicit(ACCESS_WRITE), &s))
		return EMU_STOP;
	split_write(e, &s, data);
	return 0;
}

/* In one page; its natural alignment does not matter to ram_cas(). */
static void set_bits(struct emu *e, uint8_t *host, uint32_t bits, uint32_t clear)
{
	uint64_t old = ram_load(host, 4);

	while (!ram_cas(host, 4, &old, (old & ~(uint64_t)clear) | bits))
		;
	mmu_code_written(e, host, 4);
}

/* Bits do not depend on one another. */
static void set_bits_of_halves(struct emu *e, const struct ram_halves *h, uint32_t bits, uint32_t clear)
{
	for (unsigned n = 0; n < 2; n++) {
		uint64_t old = ram_half_load(h, n);

		while (!ram_half_cas(h, n, &old, (old & ~ram_half_of(h, n, clear)) | ram_half_of(h, n, bits)))
			;
	}
	halves_written(e, h);
}

int emu_sys_set_bits32(struct emu *e, uint64_t linear, uint32_t bits, uint32_t clear)
{
	struct ram_halves halves;
	struct split s;
	uint32_t old;

	if (check_implicit(e, linear, 4) || split_translate(e, linear, 4, implicit(ACCESS_WRITE), &s))
		return EMU_STOP;
	if (s.first == 4 && s.t[0].host) {
		set_bits(e, s.t[0].host, bits, clear);
	} else if (find_halves(e, &s, &halves)) {
		set_bits_of_halves(e, &halves, bits, clear);
	} else {
		split_read(e, &s, &old);
		old = (old & ~clear) | bits;
		split_write(e, &s, &old);
	}
	return 0;
}

int mmu_look(struct emu *e, uint64_t linear, bool write, uint8_t **host)
{
	const struct fault fault = e->fault;
	struct translation t = { 0 };
	int r = mmu_walk(e, linear, data_access(e, ACCESS_READ), &t);

	e->fault = fault;
	*host = t.host;
	if (r || !write)
		return r;
	return t.writable && mmu_page_is_open(e, t.host) ? 0 : EMU_STOP;
}
