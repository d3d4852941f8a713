/* SPDX-License-Identifier: MIT */
/*
 * The MMU: from a segment and an offset to a linear address, from there to guest-physical memory or the bus; the
 * translation caches; and which pieces of RAM hold decoded code.
 *
 * emu_...() is what semantic functions call, mmu_...() what changes or looks into translations.
 */
#ifndef BULKHEAD_EMU_MMU_H
#define BULKHEAD_EMU_MMU_H

#include "emu/core/emu.h"
#include "emu/core/machine.h"
#include "emu/core/ram.h"
#include "emu/core/tlb.h"

#include <stddef.h>

/* ---- addresses (linear.c) ---------------------------------------------------------------------------------------- */

/* Linear address of the memory operand, with segment checks for an access of `size` bytes.
 * 0 or EMU_STOP (#GP, #SS). In 64-bit mode canonicality is checked by the access itself. */
int emu_linear(struct emu *e, const struct insn *i, unsigned size, bool write, uint64_t *linear);
/* The same for an explicit segment and offset (string instructions, stacks). */
int emu_seg_linear(struct emu *e, unsigned seg, uint64_t offset, unsigned size, bool write, uint64_t *linear);
/* Effective address without segment base, truncated to the address size (LEA). */
uint64_t emu_ea(const struct emu *e, const struct insn *i);

/* ---- accesses (access.c) ------------------------------------------------------------------------------------------ */

/* Accesses to linear addresses at the current privilege. A store that faults has written nothing, also across
 * pages. MMIO is forwarded to the bus with the access's own width. `seg` says #SS or #GP for non-canonical ones. */
int emu_read(struct emu *e, unsigned seg, uint64_t linear, void *data, unsigned size);
int emu_write(struct emu *e, unsigned seg, uint64_t linear, const void *data, unsigned size);
/* Checks that a write of [linear, linear+size) would succeed (sets A and D as that write would). */
int emu_probe_write(struct emu *e, unsigned seg, uint64_t linear, unsigned size);

/* #AC happens at CPL 3 with CR0.AM and EFLAGS.AC (SDM vol. 3, 6.15 "Alignment Check Exception"). The accesses above check
 * operands of 2, 4, 8 bytes and those of the x87 for it; whoever reads several at once asks for each one's alignment. */
static inline bool emu_checks_alignment(const struct emu *e)
{
	return e->cpl == 3 && (e->cpu.cr0 & CR0_AM) && (e->cpu.rflags & RFLAGS_AC);
}
int emu_check_alignment(struct emu *e, uint64_t linear, unsigned alignment);

/* Convenience for handlers: the memory operand of `i`. */
int emu_load(struct emu *e, const struct insn *i, void *data, unsigned size);
int emu_store(struct emu *e, const struct insn *i, const void *data, unsigned size);

/* Implicit supervisor accesses (descriptor tables, TSS, IDT, inner stacks): CPL 0 whatever the current one, SMAP's
 * AC override does not apply (SDM vol. 3, 4.6). */
int emu_sys_read(struct emu *e, uint64_t linear, void *data, unsigned size);
int emu_sys_write(struct emu *e, uint64_t linear, const void *data, unsigned size);
/* Atomic compare-and-swap of an 8-byte aligned or unaligned dword in a descriptor (accessed and busy bits). */
int emu_sys_set_bits32(struct emu *e, uint64_t linear, uint32_t bits, uint32_t clear);

/*
 * Translates the page of `linear` for a fetch and caches it. *host is NULL if code is not in RAM (*gpa says where).
 * 0 or EMU_STOP.
 */
int mmu_fetch_page(struct emu *e, uint64_t linear, uint8_t **host, uint64_t *gpa);

/* Like emu_read()/emu_write() for a chunk that stays inside one page: a host pointer, or NULL in *host if it is not
 * RAM (or holds code, for writes). 0 or EMU_STOP. String instructions use it. */
int mmu_page_ptr(struct emu *e, unsigned seg, uint64_t linear, bool write, uint8_t **host);

/*
 * A read-modify-write operand. mmu_rmw_open() reports #PF as for a write and changes nothing; the caller changes what `host`
 * points to, with one atomic operation if the instruction wants that, and calls mmu_rmw_close().
 */
struct rmw {
	uint64_t linear;
	uint8_t *host; /* NULL: not RAM in one page; the caller does emu_read() and emu_write(), which do not fault any more */
	bool is_split; /* no `host`, but RAM in two pages: `halves`, unless the caller does as above */
	struct ram_halves halves;
	unsigned size;
	bool is_told;  /* somebody wants to know of the store: decoded code lies in the page, or a breakpoint is armed */
};
int mmu_rmw_open(struct emu *e, unsigned seg, uint64_t linear, unsigned size, struct rmw *m);
void mmu_rmw_tell(struct emu *e, const struct rmw *m);
static inline void mmu_rmw_close(struct emu *e, const struct rmw *m)
{
	if (UNLIKELY(m->is_told))
		mmu_rmw_tell(e, m);
}

/* Where the page tables say that `linear` can be read from at the current privilege; *host is NULL if that is not RAM. With `write`, also
 * that a store there needs nothing else: it is permitted, the page is dirty, and nobody's code lies in it. Nothing is cached, no fault
 * is recorded; 0 or EMU_STOP. For checks. */
int mmu_look(struct emu *e, uint64_t linear, bool write, uint8_t **host);

/* ---- translations (flush.c, walk.c) ------------------------------------------------------------------------------ */

/* After a change of CS, SS, CPL, CR0, CR4, XCR0, EFER, RFLAGS.VM, DR7, PKRU: derives the mode (emu_derive_mode()) and chooses the
 * tables that belong to it. */
void mmu_mode_changed(struct emu *e);

/* Where a linear address leads, whatever the privilege, for a debugger: no A or D bit is set, nothing cached, no fault
 * recorded. 0 or -EFAULT. */
int mmu_translate(const struct emu *e, uint64_t linear, uint64_t *gpa);

/* The only ways to change translations. */
void mmu_flush_all(struct emu *e);			  /* CR0, CR4, EFER, INVPCID all */
void mmu_flush_nonglobal(struct emu *e);		  /* MOV CR3 without PCID */
void mmu_flush_pcid(struct emu *e, unsigned pcid);	  /* INVPCID single context, MOV CR3 */
void mmu_switch_pcid(struct emu *e);			  /* MOV CR3 with bit 63 */
void mmu_flush_page(struct emu *e, uint64_t linear);	  /* INVLPG */
void mmu_flush_page_pcid(struct emu *e, uint64_t linear, unsigned pcid);
/* PAE: loads cpu.pdpte from CR3, checking reserved bits. 0 or EMU_STOP (#GP). */
int mmu_load_pdptes(struct emu *e, uint64_t cr3);

/* ---- decoded code in RAM (code.c) -------------------------------------------------------------------------------- */

/* Number of RAM pages, which have the indices from 0 on. */
uint64_t mmu_ram_pages(const struct emu *e);
/* Index of the RAM page that holds this host address, or UINT64_MAX. */
uint64_t mmu_page_index(const struct emu *e, const uint8_t *host);
/* A vCPU's pieces of a page as they were before a claim. */
struct code_claim {
	uint64_t page, before;
};
/*
 * Before [host, host + size), in one page of RAM, is decoded: from now on stores to it are told to hooks->code_written(). False:
 * not yet, another vCPU may still store there unseen, and has been asked to stop; what is decoded now may not be kept.
 */
bool mmu_claim_code(struct emu *e, const uint8_t *host, unsigned size, struct code_claim *c);
/* What of it has become code that is kept; 0: nothing. */
void mmu_settle_code(struct emu *e, const struct code_claim *c, const uint8_t *host, unsigned size);
/* No decoded code of this page is left. */
void mmu_release_code(struct emu *e, uint64_t page);
/* A store by this vCPU has been done, to a page that holds code, perhaps: drops the blocks it hits, of all vCPUs. */
void mmu_code_written(struct emu *e, const uint8_t *host, uint64_t size);
/* The same for a store by somebody else (DMA, a loader). Any thread; never waits. */
void mmu_ram_written(struct machine *m, uint64_t gpa, uint64_t size);

/* What other vCPUs and devices have posted; between two instructions. */
void mmu_take_post(struct emu *e);
void mmu_take_notices(struct emu *e);
static inline void mmu_poll(struct emu *e)
{
	if (__builtin_expect(e->machine->config.writer_count, 0))
		mmu_take_notices(e);
	if (__builtin_expect(atomic_load_explicit(&e->kicked, memory_order_relaxed) & EMU_KICK_CODE, 0))
		mmu_take_post(e);
}
/* This vCPU stops executing: nobody has to wait for it. */
void mmu_close_all(struct emu *e);

/* ---- life -------------------------------------------------------------------------------------------------------- */

/* The machine's code map, in config.code_map or memory of its own; before mmu_create(). 0, -ENOMEM, or -EINVAL: it is too small. */
int mmu_map_code(struct machine *m);
void mmu_unmap_code(struct machine *m);
/* 0 or -ENOMEM. */
int mmu_create(struct emu *e);
void mmu_destroy(struct emu *e);
/* Address space that costs memory only where it is touched; NULL if there is none. */
void *mmu_reserve(size_t bytes);
void mmu_unreserve(void *p, size_t bytes);
/* It is all zeroes again, and costs nothing. If the sandbox forbids that, it stays as it was. */
void mmu_give_back(void *p, size_t bytes);

#endif
