/* SPDX-License-Identifier: MIT */
/* Inside of the MMU: page walks, physical memory, tables per address space. */
#ifndef BULKHEAD_EMU_MMU_INTERNAL_H
#define BULKHEAD_EMU_MMU_INTERNAL_H

#include "emu/core/machine.h"
#include "mmu.h"

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

/* The table of the current PCID for that privilege. */
struct tlb *mmu_table(struct emu *e, bool user);

/* Walks the page tables for one byte. 0, or EMU_STOP with #PF recorded. Sets A and D as the access would. */
int mmu_walk(struct emu *e, uint64_t linear, unsigned access, struct translation *t);

/* Host address of guest-physical [gpa, gpa + size) if all of it is in one RAM region, else NULL. */
uint8_t *mmu_phys_host(const struct machine *m, uint64_t gpa, uint64_t size);

/* ---- guest-physical accesses of the slow paths, within one page (phys.c) ---- */

/* Where the processor's own accesses to [gpa, gpa + size) go: RAM, or NULL: the local APIC, which may lie over RAM (SDM
 * vol. 3, 10.4.5), or the bus. */
uint8_t *phys_host(const struct emu *e, uint64_t gpa, uint64_t size);
/* RAM or not. */
void phys_read(struct emu *e, uint64_t gpa, void *data, unsigned size);
void phys_write(struct emu *e, uint64_t gpa, const void *data, unsigned size);

#endif
