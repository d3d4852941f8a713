/* SPDX-License-Identifier: MIT */
/* Page walks: 32-bit, PAE, 4-level and 5-level paging (SDM vol. 3, chapter 4). */
#include "internal.h"
#include "emu/model/features.h"

#include <errno.h>

enum {
	PTE_P = 1 << 0, PTE_W = 1 << 1, PTE_U = 1 << 2, PTE_A = 1 << 5, PTE_D = 1 << 6, PTE_PS = 1 << 7, PTE_G = 1 << 8,
	PTE_PAT = 1 << 7, PTE_PAT_LARGE = 1 << 12, /* of a page, of a large page */
};
#define PTE_NX (1ull << 63)
#define PTE_ADDRESS 0x000ffffffffff000ull
#define PHYS_RESERVED (PTE_ADDRESS & ~((1ull << EMU_MAXPHYADDR) - 1))

enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16, PF_PK = 32 };

enum { MAX_LEVELS = 5 };

/* One walk in progress. Entries passed are remembered, so that A and D are set only when it has succeeded. */
struct walk {
	unsigned levels;     /* number of levels still to go, 1 = page table */
	unsigned entry_bytes; /* 4 or 8 */
	unsigned count;
	uint64_t table;
	uint8_t *entry[MAX_LEVELS];
	uint64_t value[MAX_LEVELS];
	uint64_t rights; /* AND of P, W, U; NX is ORed */
	uint64_t leaf;
	unsigned shift; /* of the page */
};

static int page_fault(struct emu *e, uint64_t linear, unsigned access, uint32_t error)
{
	unsigned kind = access & ACCESS_KIND;

	if (kind == ACCESS_WRITE)
		error |= PF_W;
	if (access & ACCESS_USER)
		error |= PF_U;
	if (kind == ACCESS_FETCH && ((e->cpu.cr4 & CR4_SMEP) || ((e->cpu.cr4 & CR4_PAE) && (e->cpu.msr.efer & EFER_NXE))))
		error |= PF_I;
	e->fault = (struct fault){ .pending = true, .vector = VEC_PF, .has_error = true, .error = error, .cr2 = linear };
	return EMU_STOP;
}

static uint64_t load_entry(const struct walk *w, const uint8_t *p)
{
	if (w->entry_bytes == 8)
		return __atomic_load_n((const uint64_t *)(const void *)p, __ATOMIC_ACQUIRE);
	return __atomic_load_n((const uint32_t *)(const void *)p, __ATOMIC_ACQUIRE);
}

/* Bits of a page directory entry for 4 MiB: 13 to 20 are address bits 32 to 39 with PSE-36, as far as there are any; bit 21
 * never is one (SDM vol. 3, table 4-4). */
static uint32_t reserved_4m(const struct emu *e)
{
	const uint32_t address = EMU_MAXPHYADDR < 40 ? 0xffu << (EMU_MAXPHYADDR - 32 + 13) & 0x1fe000 : 0;

	return 1u << 21 | (emu_has_cpu_feature(e, CPUF_PSE36) ? address : 0x1fe000);
}

/* Without PAT its bit is reserved, in 4- and 5-level paging excepted: "supported on all processors that support 4-level
 * paging" (SDM vol. 3, 4.3, 4.4.2, 4.9.2). */
static uint64_t reserved_pat(const struct emu *e, unsigned level, uint64_t entry)
{
	if (e->long_mode || emu_has_cpu_feature(e, CPUF_PAT))
		return 0;
	return level == 1 ? PTE_PAT : entry & PTE_PS ? PTE_PAT_LARGE : 0;
}

static bool has_reserved_32(const struct emu *e, unsigned level, uint64_t entry)
{
	if (level == 1)
		return entry & reserved_pat(e, level, entry);
	return (entry & PTE_PS) && (e->cpu.cr4 & CR4_PSE) && (entry & (reserved_4m(e) | reserved_pat(e, level, entry)));
}

/* Reserved bits of an entry at `level` (SDM vol. 3, 4.3 to 4.5, and table 4-9 on). */
static bool has_reserved(const struct emu *e, const struct walk *w, unsigned level, uint64_t entry)
{
	uint64_t reserved;

	if (w->entry_bytes == 4)
		return has_reserved_32(e, level, entry);
	reserved = PHYS_RESERVED | reserved_pat(e, level, entry);
	if (!e->long_mode)
		reserved |= 0x7ff0000000000000ull;
	if (!(e->cpu.msr.efer & EFER_NXE))
		reserved |= PTE_NX;
	if (level >= 4 || (level == 3 && !emu_has_cpu_feature(e, CPUF_PDPE1GB)))
		reserved |= PTE_PS;
	if (level == 3 && (entry & PTE_PS))
		reserved |= 0x3fffe000;
	if (level == 2 && (entry & PTE_PS))
		reserved |= 0x1fe000;
	return (entry & reserved) != 0;
}

static bool is_leaf(const struct emu *e, const struct walk *w, unsigned level, uint64_t entry)
{
	if (level == 1)
		return true;
	if (!(entry & PTE_PS))
		return false;
	return w->entry_bytes == 8 ? level <= 3 : (e->cpu.cr4 & CR4_PSE) != 0;
}

static void begin(const struct emu *e, struct walk *w, uint64_t linear)
{
	w->rights = PTE_P | PTE_W | PTE_U;
	w->count = 0;
	w->entry_bytes = 8;
	if (e->long_mode) {
		w->levels = e->cpu.cr4 & CR4_LA57 ? 5 : 4;
		w->table = e->cpu.cr3 & PTE_ADDRESS;
	} else if (e->cpu.cr4 & CR4_PAE) {
		w->levels = 2;
		w->table = e->cpu.pdpte[(linear >> 30) & 3];
	} else {
		w->levels = 2;
		w->entry_bytes = 4;
		w->table = e->cpu.cr3 & 0xfffff000;
	}
}

/* One pass down the tables. False: *error holds the P and RSVD bits of the page fault. */
static bool descend(const struct emu *e, struct walk *w, uint64_t linear, uint32_t *error)
{
	unsigned index_bits = w->entry_bytes == 8 ? 9 : 10;

	for (unsigned level = w->levels;; level--) {
		unsigned shift = PAGE_SHIFT + (level - 1) * index_bits;
		uint64_t index = (linear >> shift) & ((1u << index_bits) - 1);
		uint8_t *p = mmu_phys_host(e->machine, w->table + index * w->entry_bytes, w->entry_bytes);
		uint64_t entry = p ? load_entry(w, p) : UINT64_MAX; /* nobody answers: all ones */

		if (!(entry & PTE_P)) {
			*error = 0;
			return false;
		}
		if (has_reserved(e, w, level, entry) || !p) {
			*error = PF_P | PF_RSVD;
			return false;
		}
		w->entry[w->count] = p;
		w->value[w->count++] = entry;
		w->rights = (w->rights & entry & (PTE_P | PTE_W | PTE_U)) | ((w->rights | entry) & PTE_NX);
		if (is_leaf(e, w, level, entry)) {
			w->leaf = entry;
			w->shift = shift;
			return true;
		}
		w->table = entry & (w->entry_bytes == 8 ? PTE_ADDRESS : 0xfffff000);
	}
}

static uint64_t leaf_address(const struct walk *w, uint64_t linear)
{
	uint64_t page = (1ull << w->shift) - 1, base = w->leaf & PTE_ADDRESS;

	if (w->entry_bytes == 4) {
		base = w->leaf & 0xfffff000;
		if (w->shift > PAGE_SHIFT)
			base |= (w->leaf & 0x1fe000) << 19;
	}
	return (base & ~page) | (linear & page);
}

/* Protection keys apply to user pages in 4- and 5-level paging (SDM vol. 3, 4.6.2). Bit 0: access, bit 1: write. */
static unsigned key_denies(const struct emu *e, const struct walk *w)
{
	if (!e->long_mode || !(e->cpu.cr4 & CR4_PKE) || !(w->rights & PTE_U))
		return 0;
	return (e->cpu.pkru >> (2 * ((w->leaf >> 59) & 15))) & 3;
}

struct rights {
	bool read, write, fetch;
	bool key_denied_read, key_denied_write;
};

/* What the walked translation allows at this privilege (SDM vol. 3, 4.6.1). */
static void judge(const struct emu *e, const struct walk *w, unsigned access, struct rights *r)
{
	bool user_page = w->rights & PTE_U, user = access & ACCESS_USER;
	bool wp = e->cpu.cr0 & CR0_WP;
	bool nx = (w->rights & PTE_NX) && (e->cpu.msr.efer & EFER_NXE);
	bool smap = !user && user_page && (e->cpu.cr4 & CR4_SMAP) && ((access & ACCESS_IMPLICIT) || !(e->cpu.rflags & RFLAGS_AC));
	unsigned deny = key_denies(e, w);

	r->read = (user_page || !user) && !smap;
	r->write = r->read && ((w->rights & PTE_W) || (!user && !wp));
	r->fetch = user ? user_page && !nx : !nx && !(user_page && (e->cpu.cr4 & CR4_SMEP));
	r->key_denied_read = deny & 1;
	r->key_denied_write = (deny & 1) || ((deny & 2) && (user || wp));
}

static bool set_bits(const struct walk *w, unsigned n, uint64_t bits)
{
	uint64_t old = w->value[n];

	if ((old & bits) == bits)
		return true;
	if (w->entry_bytes == 8)
		return __atomic_compare_exchange_n((uint64_t *)(void *)w->entry[n], &old, old | bits, false, __ATOMIC_ACQ_REL,
						   __ATOMIC_ACQUIRE);
	uint32_t old32 = (uint32_t)old;
	return __atomic_compare_exchange_n((uint32_t *)(void *)w->entry[n], &old32, old32 | (uint32_t)bits, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* False if another processor changed an entry meanwhile: walk again. Page tables that hold code (the decompressor's)
 * are RAM like any other: the code tracker must hear of the store. */
static bool set_accessed(struct emu *e, const struct walk *w, bool dirty)
{
	for (unsigned n = 0; n < w->count; n++) {
		uint64_t bits = PTE_A | (dirty && n == w->count - 1 ? PTE_D : 0);

		if ((w->value[n] & bits) == bits)
			continue;
		if (!set_bits(w, n, bits))
			return false;
		mmu_code_written(e, w->entry[n], w->entry_bytes);
	}
	return true;
}

static int check(struct emu *e, uint64_t linear, unsigned access, const struct rights *r)
{
	bool allowed = r->read, denied = r->key_denied_read;

	if ((access & ACCESS_KIND) == ACCESS_FETCH)
		return r->fetch ? 0 : page_fault(e, linear, access, PF_P);
	if ((access & ACCESS_KIND) == ACCESS_WRITE) {
		allowed = r->write;
		denied = r->key_denied_write;
	}
	/* PK tells what the key says even if the access was refused for another reason, too (SDM vol. 3, 4.7). */
	if (denied)
		return page_fault(e, linear, access, PF_P | PF_PK);
	return allowed ? 0 : page_fault(e, linear, access, PF_P);
}

static void describe(const struct emu *e, const struct walk *w, unsigned access, const struct rights *r, uint64_t linear,
		     struct translation *t)
{
	bool dirty = (w->leaf & PTE_D) || (access & ACCESS_KIND) == ACCESS_WRITE;

	t->gpa = leaf_address(w, linear);
	t->host = phys_host(e, t->gpa, 1);
	t->user = w->rights & PTE_U;
	t->readable = r->read && !r->key_denied_read;
	t->writable = r->write && !r->key_denied_write && dirty;
	t->executable = r->fetch;
	t->global = (w->leaf & PTE_G) && (e->cpu.cr4 & CR4_PGE);
	t->large = w->shift > PAGE_SHIFT;
	/* WRPKRU does not flush: what depends on PKRU is not cached. Key 0, which everything has by default, is while
	 * it denies nothing; mmu_mode_changed() flushes when that changes. */
	t->cacheable = !(e->cpu.cr4 & CR4_PKE) || !e->long_mode || !(w->rights & PTE_U) ||
		       (((w->leaf >> 59) & 15) == 0 && (e->cpu.pkru & 3) == 0);
}

static void identity(const struct emu *e, uint64_t linear, struct translation *t)
{
	*t = (struct translation){ .gpa = linear & UINT32_MAX,
				   .user = true,
				   .readable = true,
				   .writable = true,
				   .executable = true,
				   .cacheable = true };
	t->host = phys_host(e, t->gpa, 1);
}

int mmu_walk(struct emu *e, uint64_t linear, unsigned access, struct translation *t)
{
	struct walk w;
	struct rights r;
	uint32_t error;

	if (!e->paging) {
		identity(e, linear, t);
		return 0;
	}
	do {
		begin(e, &w, linear);
		if (!e->long_mode && (e->cpu.cr4 & CR4_PAE)) {
			if (!(w.table & PTE_P))
				return page_fault(e, linear, access, 0);
			w.table &= PTE_ADDRESS;
		}
		if (!descend(e, &w, linear, &error))
			return page_fault(e, linear, access, error);
		judge(e, &w, access, &r);
		if (check(e, linear, access, &r))
			return EMU_STOP;
	} while (!set_accessed(e, &w, (access & ACCESS_KIND) == ACCESS_WRITE));
	describe(e, &w, access, &r, linear, t);
	return 0;
}

int mmu_translate(const struct emu *e, uint64_t linear, uint64_t *gpa)
{
	uint32_t error;
	struct walk w;

	*gpa = linear & UINT32_MAX;
	if (!e->paging)
		return 0;
	if (e->long_mode && !emu_is_canonical(e, linear))
		return -EFAULT;
	linear = e->long_mode ? linear : *gpa;
	begin(e, &w, linear);
	if (!e->long_mode && (e->cpu.cr4 & CR4_PAE)) {
		if (!(w.table & PTE_P))
			return -EFAULT;
		w.table &= PTE_ADDRESS;
	}
	if (!descend(e, &w, linear, &error))
		return -EFAULT;
	*gpa = leaf_address(&w, linear);
	return 0;
}

int mmu_load_pdptes(struct emu *e, uint64_t cr3)
{
	uint64_t value[4];

	for (unsigned n = 0; n < 4; n++) {
		uint8_t *p = mmu_phys_host(e->machine, (cr3 & 0xffffffe0) + 8 * n, 8);

		value[n] = p ? __atomic_load_n((uint64_t *)(void *)p, __ATOMIC_ACQUIRE) : UINT64_MAX;
		/* Bits 1, 2, 5..8 and everything above MAXPHYADDR are reserved (SDM vol. 3, 4.4.1). */
		if ((value[n] & PTE_P) && (value[n] & (0x1e6 | ~((1ull << EMU_MAXPHYADDR) - 1))))
			return emu_gp0(e);
	}
	for (unsigned n = 0; n < 4; n++)
		e->cpu.pdpte[n] = value[n];
	return 0;
}
