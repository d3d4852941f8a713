/* SPDX-License-Identifier: MIT */
/* Inside of the MMU room: page walks, physical memory, tables per address space, code tracking. */
#ifndef BULKHEAD_EMU_MMU_H
#define BULKHEAD_EMU_MMU_H

#include "tlb.h"

enum access {
	ACCESS_READ = 0,
	ACCESS_WRITE = 1,
	ACCESS_FETCH = 2,
	ACCESS_KIND = 3,
	ACCESS_USER = 4,     /* at CPL 3 and not implicit */
	ACCESS_IMPLICIT = 8, /* supervisor whatever the CPL: EFLAGS.AC does not lift SMAP (SDM vol. 3, 4.6.1) */
};

/* Where a linear page leads. */
struct translation {
	uint64_t gpa;	 /* of the byte that was asked for */
	uint8_t *host;	 /* the same byte, NULL if not RAM */
	bool user;	 /* U/S at all levels */
	bool writable;	 /* a store at this privilege is permitted and the dirty bit is set */
	bool executable; /* a fetch at this privilege is permitted */
	bool readable;	 /* a load is (protection keys can forbid it while a fetch is permitted) */
	bool global, large;
	bool cacheable; /* protection keys make some translations unfit for the TLB */
};

struct tlb_table {
	bool used, user;
	bool has_large, has_global;
	uint16_t pcid;
	uint32_t stamp; /* of the last switch to it */
};

struct mmu {
	struct tlb_table table[TLB_TABLES];
	struct tlb *tlbs; /* TLB_TABLES of them */
	uint16_t pcid;
	int8_t current[2];	   /* tables of the current PCID: supervisor, user; -1: not looked up yet */
	uint32_t stamp;
	uint64_t ram_pages;
	uint64_t first_page[ENGINE_MAX_RAM]; /* index of each RAM region's first page */
	uint64_t *code_granules;	     /* per RAM page: 64-byte pieces that hold decoded code */
	uint8_t *maybe_writable;	     /* per RAM page: some table may hold a write entry for it */
	bool key0_restricted;		     /* PKRU as it was when entries were cached */
	uint64_t walks, flushes, smc;	     /* statistics */
};

/* 0 or -ENOMEM. */
int mmu_create(struct emu *e);
/* Address space that costs memory only where it is touched; NULL if there is none. */
void *mmu_reserve(size_t bytes);
void mmu_unreserve(void *p, size_t bytes);
void mmu_destroy(struct emu *e);
/* Recomputes e->tlb and e->tlb_mask from CPL, AC, CR0, CR4, DR7. */
void mmu_mode_changed(struct emu *e);
/* The part of it that STAC and CLAC need. */
void mmu_mask_changed(struct emu *e);

/* The table of the current PCID for that privilege. */
struct tlb *mmu_table(struct emu *e, bool user);

/* Walks the page tables for one byte. 0, or EMU_STOP with #PF recorded. Sets A and D as the access would. */
int mmu_walk(struct emu *e, uint64_t linear, unsigned access, struct translation *t);

/* Host address of guest-physical [gpa, gpa + size) if all of it is in one RAM region, else NULL. */
uint8_t *mmu_phys_host(const struct machine *m, uint64_t gpa, uint64_t size);

/* Translates the page of `linear` for a fetch and caches it. *host is NULL if code is not in RAM (*gpa says where). */
int mmu_fetch_page(struct emu *e, uint64_t linear, uint8_t **host, uint64_t *gpa);

/* Like emu_read()/emu_write() for a chunk that stays inside one page: a host pointer, or NULL in *host if it is not
 * RAM (or holds code, for writes). 0 or EMU_STOP. String instructions use it. */
int mmu_page_ptr(struct emu *e, unsigned seg, uint64_t linear, bool write, uint8_t **host);

/* A read-modify-write operand: see mmu_rmw_open(). */
struct rmw {
	uint64_t linear;
	uint8_t *host; /* NULL: not plain RAM in one page; `old` was read with a bus or split access */
	unsigned seg, size;
};
/* Opens the operand for reading and writing: #PF is reported as for a write, nothing is changed. */
int mmu_rmw_open(struct emu *e, unsigned seg, uint64_t linear, unsigned size, struct rmw *m);

/* ---- decoded code in RAM ---- */

/* Index of the RAM page that holds this host address, or UINT64_MAX. */
uint64_t mmu_page_index(const struct emu *e, const uint8_t *host);
/* From now on stores to [host, host + size) are seen by mmu_code_written(). One page. */
void mmu_claim_code(struct emu *e, const uint8_t *host, unsigned size);
/* All decoded code has been dropped. */
void mmu_forget_code(struct emu *e);
/* A store to a page with code: drops the blocks it hits. Own thread. */
void mmu_code_written(struct emu *e, const uint8_t *host, uint64_t size);

#endif
