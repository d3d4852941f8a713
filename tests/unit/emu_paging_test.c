/* SPDX-License-Identifier: MIT */
/*
 * Paging (SDM vol. 3, chapter 4): the access rights of 4.6.1 over all combinations, error codes of 4.7, accessed and
 * dirty bits of 4.8, the other paging modes, and what the translation cache must not remember.
 */
#include "emu_harness.h"
#include "emu/mmu/mmu.h"

#include <criterion/criterion.h>
#include <string.h>

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };
#define NX (1ull << 63)

enum { AT = HARNESS_DATA };

static void set_cr(struct harness *h, uint64_t cr0, uint64_t cr4, bool ac)
{
	h->cpu->cr0 = (h->cpu->cr0 & ~CR0_WP) | cr0;
	h->cpu->cr4 = (h->cpu->cr4 & ~(CR4_SMEP | CR4_SMAP)) | cr4;
	h->cpu->rflags = (h->cpu->rflags & ~(uint64_t)RFLAGS_AC) | (ac ? RFLAGS_AC : 0);
	harness_sync(h);
}

enum what { READ, WRITE, FETCH };

static int attempt(struct harness *h, enum what what)
{
	uint8_t byte = 0;
	int r;

	h->emu->fault.pending = false;
	if (what == FETCH) {
		uint8_t *host;
		uint64_t gpa;

		r = mmu_fetch_page(h->emu, AT, &host, &gpa);
	} else {
		r = what == WRITE ? emu_write(h->emu, SEG_DS, AT, &byte, 1) : emu_read(h->emu, SEG_DS, AT, &byte, 1);
	}
	h->fault = h->emu->fault;
	h->emu->fault.pending = false;
	return r;
}

/* 4.6.1 "Determination of Access Rights", as a sentence of code. */
static bool allowed(enum what what, bool user_mode, uint64_t pte, uint64_t cr0, uint64_t cr4, bool ac)
{
	bool user_page = pte & U;

	if (user_mode)
		return user_page && (what != WRITE || (pte & W)) && (what != FETCH || !(pte & NX));
	if (what == FETCH)
		return !(pte & NX) && !(user_page && (cr4 & CR4_SMEP));
	if (user_page && (cr4 & CR4_SMAP) && !ac)
		return false;
	return what == READ || (pte & W) || !(cr0 & CR0_WP);
}

Test(emu_paging, access_rights)
{
	for (unsigned mode = 0; mode < 2; mode++) {
		struct harness h;

		harness_init(&h, mode ? HARNESS_LONG_USER : HARNESS_LONG, HARNESS_STEP);
		for (unsigned n = 0; n < 8 * 16 * 3; n++) {
			uint64_t rights = (n & 1 ? W : 0) | (n & 2 ? U : 0) | (n & 4 ? NX : 0);
			uint64_t cr0 = n & 8 ? CR0_WP : 0, cr4 = (n & 16 ? CR4_SMEP : 0) | (n & 32 ? CR4_SMAP : 0);
			bool ac = n & 64, ok;
			enum what what = n / 128;

			*harness_pte(&h, AT) = AT | P | rights;
			set_cr(&h, cr0, cr4, ac);
			ok = allowed(what, mode, rights, cr0, cr4, ac);
			cr_assert_eq(attempt(&h, what) == 0, ok, "user %u what %u pte %lx cr0 %lx cr4 %lx ac %u", mode, what,
				     rights, cr0, cr4, ac);
			if (!ok) {
				cr_assert_eq(h.fault.vector, VEC_PF);
				cr_assert_eq(h.fault.cr2, AT);
				cr_assert_eq(h.fault.error,
					     1u | (what == WRITE ? 2u : 0) | (mode ? 4u : 0) | (what == FETCH ? 16u : 0));
				cr_assert_eq(*harness_pte(&h, AT) & (A | D), 0, "a faulting access leaves A and D");
			} else {
				cr_assert_eq(*harness_pte(&h, AT) & (A | D), what == WRITE ? A | D : A);
			}
			/* Once more, now perhaps from the TLB. */
			cr_assert_eq(attempt(&h, what) == 0, ok);
		}
		harness_fini(&h);
	}
}

/* The rights of all levels are combined: U/S and R/W ANDed, NX ORed. */
Test(emu_paging, rights_of_all_levels_count)
{
	struct harness h;

	harness_init(&h, HARNESS_LONG_USER, HARNESS_STEP);
	for (unsigned level = 0; level < 3; level++) {
		uint64_t *entry = (uint64_t *)(void *)(h.ram + HARNESS_PML4 + 4096 * level);
		uint64_t old = *entry;

		*entry = old & ~(uint64_t)U;
		harness_sync(&h);
		cr_assert_eq(attempt(&h, READ), EMU_STOP);
		cr_assert_eq(h.fault.error, 5);
		*entry = old & ~(uint64_t)W;
		harness_sync(&h);
		cr_assert_eq(attempt(&h, READ), 0);
		cr_assert_eq(attempt(&h, WRITE), EMU_STOP);
		cr_assert_eq(h.fault.error, 7);
		*entry = old | NX;
		harness_sync(&h);
		cr_assert_eq(attempt(&h, FETCH), EMU_STOP);
		*entry = old & ~(uint64_t)P;
		harness_sync(&h);
		cr_assert_eq(attempt(&h, WRITE), EMU_STOP);
		cr_assert_eq(h.fault.error, 6);
		*entry = old;
	}
	harness_fini(&h);
}

/* Reserved bits: RSVD comes with P, on every level (4.7). */
Test(emu_paging, reserved_bits)
{
	struct harness h;
	uint64_t *pte, *pde, *pml4;

	harness_init(&h, HARNESS_LONG, HARNESS_STEP);
	pte = harness_pte(&h, AT);
	pde = (uint64_t *)(void *)(h.ram + HARNESS_PML4 + 0x2000);
	pml4 = (uint64_t *)(void *)(h.ram + HARNESS_PML4);
	*pte |= 1ull << EMU_MAXPHYADDR;
	harness_sync(&h);
	cr_assert_eq(attempt(&h, READ), EMU_STOP);
	cr_assert_eq(h.fault.error, 9);
	*pte &= ~(1ull << EMU_MAXPHYADDR);
	*pml4 |= PS;
	cr_assert_eq(attempt(&h, WRITE), EMU_STOP);
	cr_assert_eq(h.fault.error, 11);
	*pml4 &= ~(uint64_t)PS;
	*pde |= PS | 1 << 13; /* 2 MiB page with a reserved address bit */
	cr_assert_eq(attempt(&h, READ), EMU_STOP);
	cr_assert_eq(h.fault.error, 9);
	*pde = 0x200000 | P | W | U | PS | 1 << 12; /* bit 12 is PAT, not reserved */
	cr_assert_eq(attempt(&h, READ), 0);
	*pde = HARNESS_PML4 + 0x3000 + 7;
	*pte |= NX; /* without EFER.NXE bit 63 is reserved */
	h.cpu->msr.efer &= ~EFER_NXE;
	harness_sync(&h);
	cr_assert_eq(attempt(&h, READ), EMU_STOP);
	cr_assert_eq(h.fault.error, 9);
	harness_fini(&h);
}

/* An entry cached by a read must be walked again by the first write (pitfalls 10). */
Test(emu_paging, dirty_after_a_cached_read)
{
	struct harness h;

	harness_init(&h, HARNESS_LONG, HARNESS_STEP);
	cr_assert_eq(attempt(&h, READ), 0);
	cr_assert_eq(*harness_pte(&h, AT) & (A | D), A);
	cr_assert_eq(attempt(&h, WRITE), 0);
	cr_assert_eq(*harness_pte(&h, AT) & (A | D), A | D);
	harness_fini(&h);
}

/* Translations may be kept until they are flushed, refusals never (4.10.2.3). */
Test(emu_paging, refusals_are_not_cached)
{
	struct harness h;
	uint64_t *pte;

	harness_init(&h, HARNESS_LONG, HARNESS_STEP);
	pte = harness_pte(&h, AT);
	*pte &= ~(uint64_t)P;
	harness_sync(&h);
	cr_assert_eq(attempt(&h, READ), EMU_STOP);
	*pte |= P;
	cr_assert_eq(attempt(&h, READ), 0);
	*pte &= ~(uint64_t)W;
	mmu_flush_page(h.emu, AT);
	cr_assert_eq(attempt(&h, WRITE), EMU_STOP);
	*pte |= W;
	cr_assert_eq(attempt(&h, WRITE), 0);
	harness_fini(&h);
}

static uint8_t value(struct harness *h)
{
	uint8_t v = 0;

	cr_assert_eq(emu_read(h->emu, SEG_DS, AT, &v, 1), 0);
	return v;
}

/* INVLPG drops a global page; MOV CR3 does not; a change of CR4.PGE does (4.10.4.1). */
Test(emu_paging, global_pages)
{
	struct harness h;
	uint64_t *pte;

	harness_init(&h, HARNESS_LONG, HARNESS_STEP);
	pte = harness_pte(&h, AT);
	h.cpu->cr4 |= CR4_PGE;
	*pte |= G;
	harness_sync(&h);
	h.ram[AT] = 1;
	h.ram[AT + 0x1000] = 2;
	cr_assert_eq(value(&h), 1);
	*pte += 0x1000;
	mmu_flush_nonglobal(h.emu);
	cr_assert_eq(value(&h), 1);
	mmu_flush_page(h.emu, AT);
	cr_assert_eq(value(&h), 2);
	*pte -= 0x1000;
	mmu_flush_all(h.emu);
	cr_assert_eq(value(&h), 1);
	harness_fini(&h);
}

/* Translations belong to their PCID; switching back finds them; INVPCID drops one context (4.10.1). */
Test(emu_paging, process_context_identifiers)
{
	struct harness h;
	uint64_t *pte;

	harness_init(&h, HARNESS_LONG, HARNESS_STEP);
	pte = harness_pte(&h, AT);
	h.cpu->cr4 |= CR4_PCIDE;
	h.cpu->cr3 = HARNESS_PML4 | 1;
	harness_sync(&h);
	h.ram[AT] = 1;
	h.ram[AT + 0x1000] = 2;
	cr_assert_eq(value(&h), 1);
	*pte += 0x1000;
	h.cpu->cr3 = HARNESS_PML4 | 2;
	mmu_switch_pcid(h.emu);
	cr_assert_eq(value(&h), 2, "another context walks for itself");
	h.cpu->cr3 = HARNESS_PML4 | 1;
	mmu_switch_pcid(h.emu);
	cr_assert_eq(value(&h), 1, "kept, as bit 63 of MOV CR3 asks");
	mmu_flush_pcid(h.emu, 1);
	cr_assert_eq(value(&h), 2);
	harness_fini(&h);
}

/* INVLPG of any address in a large page drops all of it (4.10.4.1). */
Test(emu_paging, invlpg_of_a_large_page)
{
	struct harness h;
	uint64_t *pde;
	uint8_t v;

	harness_init(&h, HARNESS_LONG, HARNESS_STEP);
	pde = (uint64_t *)(void *)(h.ram + HARNESS_PML4 + 0x2000 + 8 * 2);
	*pde = 0x400000 | P | W | U | PS;
	harness_sync(&h);
	h.ram[0x450000] = 1;
	h.ram[0x650000] = 2;
	cr_assert_eq(emu_read(h.emu, SEG_DS, 0x450000, &v, 1), 0);
	cr_assert_eq(v, 1);
	*pde = 0x600000 | P | W | U | PS;
	mmu_flush_page(h.emu, 0x5ff000);
	cr_assert_eq(emu_read(h.emu, SEG_DS, 0x450000, &v, 1), 0);
	cr_assert_eq(v, 2);
	harness_fini(&h);
}

/* SMAP: AC lifts it for explicit accesses of the supervisor, never for implicit ones (4.6.1). */
Test(emu_paging, smap_and_implicit_accesses)
{
	struct harness h;
	uint8_t v;

	harness_init(&h, HARNESS_LONG, HARNESS_STEP);
	set_cr(&h, CR0_WP, CR4_SMAP, true);
	cr_assert_eq(emu_read(h.emu, SEG_DS, AT, &v, 1), 0);
	cr_assert_eq(emu_sys_read(h.emu, AT, &v, 1), EMU_STOP);
	cr_assert_eq(h.emu->fault.error, 1);
	h.emu->fault.pending = false;
	/* AC changes without a flush: the translation cached under AC must not serve without it. */
	emu_flags_set(h.emu, RFLAGS_AC, 0);
	cr_assert_eq(emu_read(h.emu, SEG_DS, AT, &v, 1), EMU_STOP);
	h.emu->fault.pending = false;
	emu_flags_set(h.emu, RFLAGS_AC, RFLAGS_AC);
	cr_assert_eq(emu_read(h.emu, SEG_DS, AT, &v, 1), 0);
	harness_fini(&h);
}

/* 32-bit paging with 4 KiB and 4 MiB pages (4.3), and PAE (4.4). */
Test(emu_paging, two_levels)
{
	struct harness h;
	uint32_t *pd, *pt;
	uint8_t v = 0;

	harness_init(&h, HARNESS_PROT32, HARNESS_STEP);
	pd = (uint32_t *)(void *)(h.ram + 0x200000);
	pt = (uint32_t *)(void *)(h.ram + 0x201000);
	pd[0] = 0x201000 | P | W | U;
	pd[1] = 0x800000 | P | W | PS;
	pt[AT >> 12] = 0x300000 | P | W;
	h.cpu->cr3 = 0x200000;
	h.cpu->cr4 |= CR4_PSE;
	h.cpu->cr0 |= CR0_PG;
	harness_sync(&h);
	h.ram[0x300000] = 7;
	h.ram[0x812345] = 9;
	cr_assert_eq(value(&h), 7);
	cr_assert_eq(emu_read(h.emu, SEG_DS, 0x412345, &v, 1), 0);
	cr_assert_eq(v, 9);
	cr_assert_eq(pt[AT >> 12] & (A | D), A);
	cr_assert_eq(attempt(&h, WRITE), 0);
	cr_assert_eq(pt[AT >> 12] & (A | D), A | D);
	pd[1] |= 1 << 21; /* reserved in a 4 MiB page */
	harness_sync(&h);
	cr_assert_eq(emu_read(h.emu, SEG_DS, 0x412345, &v, 1), EMU_STOP);
	cr_assert_eq(h.emu->fault.error, 9);
	h.emu->fault.pending = false;
	h.cpu->cr4 &= ~CR4_PSE; /* then PS is ignored and this is a page table */
	pd[1] = 0x201000 | P | W | PS;
	harness_sync(&h);
	cr_assert_eq(emu_read(h.emu, SEG_DS, 0x400000 + AT, &v, 1), 0);
	harness_fini(&h);
}

Test(emu_paging, pae)
{
	struct harness h;
	uint64_t *pdpt, *pd;

	harness_init(&h, HARNESS_PROT32, HARNESS_STEP);
	pdpt = (uint64_t *)(void *)(h.ram + 0x200020);
	pd = (uint64_t *)(void *)(h.ram + 0x201000);
	pdpt[0] = 0x201000 | P;
	pd[0] = 0x400000 | P | W | PS;
	h.cpu->cr3 = 0x200020;
	h.cpu->cr4 |= CR4_PAE;
	cr_assert_eq(mmu_load_pdptes(h.emu, h.cpu->cr3), 0);
	h.cpu->cr0 |= CR0_PG;
	harness_sync(&h);
	h.ram[0x400000 + AT] = 5;
	cr_assert_eq(value(&h), 5);
	/* The registers hold the PDPTEs: memory does not matter until MOV CR3 (4.4.1). */
	pdpt[0] = 0;
	harness_sync(&h);
	cr_assert_eq(value(&h), 5);
	pdpt[0] = 0x201000 | P | W; /* W is reserved there */
	cr_assert_eq(mmu_load_pdptes(h.emu, h.cpu->cr3), EMU_STOP);
	cr_assert_eq(h.emu->fault.vector, VEC_GP);
	harness_fini(&h);
}

/* The alignment check: CPL 3, CR0.AM and EFLAGS.AC together (SDM vol. 3, 6.15). */
Test(emu_paging, alignment_check)
{
	struct harness h;
	uint32_t v;

	harness_init(&h, HARNESS_LONG_USER, HARNESS_STEP);
	cr_assert_eq(emu_read(h.emu, SEG_DS, AT + 1, &v, 4), 0);
	h.cpu->cr0 |= CR0_AM;
	harness_set_flags(&h, RFLAGS_AC);
	cr_assert_eq(emu_read(h.emu, SEG_DS, AT + 4, &v, 4), 0);
	cr_assert_eq(emu_read(h.emu, SEG_DS, AT + 1, &v, 4), EMU_STOP);
	cr_assert_eq(h.emu->fault.vector, VEC_AC);
	cr_assert_eq(h.emu->fault.error, 0);
	harness_fini(&h);
}

/* One frame behind two adjacent pages, an instruction across their border: a store to its second part, which stands at
 * the frame's start, is seen (SDM vol. 3, 11.6 "Self-Modifying Code"). */
Test(emu_paging, code_across_a_page_mapped_twice)
{
	enum { FRAME = 0x30000, START = FRAME + 0xffe };
	const uint8_t tail[] = { 0x33, 0x44, 0x55, 0xf4 }; /* mov $0x55443322, %eax; hlt */
	uint8_t patch = 0x99;
	struct harness h;

	harness_init(&h, HARNESS_LONG, HARNESS_BLOCK);
	*harness_pte(&h, FRAME + 0x1000) = FRAME | P | W;
	harness_sync(&h);
	h.ram[START] = 0xb8;
	h.ram[START + 1] = 0x22;
	memcpy(h.ram + FRAME, tail, sizeof(tail));
	for (unsigned n = 0; n < 2; n++) {
		h.cpu->rip = START;
		h.cpu->activity = CPU_RUNNING;
		cr_assert_eq(harness_run(&h, 2), 0x200);
		cr_assert_eq(h.cpu->gpr[RAX], n ? 0x55443322 - 0x3300 + 0x9900 : 0x55443322, "%llx",
			     (unsigned long long)h.cpu->gpr[RAX]);
		cr_assert_eq(emu_write(h.emu, SEG_DS, FRAME + 0x1000, &patch, 1), 0);
	}
	harness_fini(&h);
}
