/* SPDX-License-Identifier: MIT */
/* Inside of the MMU: page walks, physical memory, tables per address space. */
#ifndef BULKHEAD_EMU_MMU_INTERNAL_H
#define BULKHEAD_EMU_MMU_INTERNAL_H

#include "emu/core/machine.h"
#include "mmu.h"
#include "page_set.h"

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
	bool has_large[2]; /* by the address's highest bit */
	bool has_global;
	uint16_t pcid;
	uint32_t stamp; /* of the last switch to it */
};

struct mmu {
	struct tlb_table table[TLB_TABLES];
	struct tlb *tlbs; /* TLB_TABLES of them */
	uint16_t pcid;
	int8_t current[2];	   /* tables of the current PCID: supervisor, user; -1: not looked up yet */
	uint32_t stamp;
	struct page_set open;		    /* pages that some table may hold a write entry for; taken out by this vCPU only */
	struct page_set to_close;	    /* which of these another vCPU wants to decode code of */
	struct page_set written;	    /* pages whose code somebody else has changed... */
	_Atomic uint64_t *written_granules; /* ...and where */
	uint64_t noticed[ENGINE_MAX_WRITERS]; /* notices of config.writers that have been taken */
	_Atomic uint64_t *sets;		    /* the memory of the sets */
	bool key0_restricted;		     /* PKRU as it was when entries were cached */
};

/* ---- decoded code, from the side of those who store (code.c) ---- */

/* May this vCPU store to the page without telling? Then it is open until mmu_take_post() or mmu_claim_code() closes it. */
bool mmu_open_page(struct emu *e, const uint8_t *host);

/* Is it, and nobody's code in it? With several processors somebody may be about to decode some: then it still is. */
bool mmu_page_is_open(const struct emu *e, const uint8_t *host);

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
/* Is it the local APIC's page? */
bool phys_is_lapic(const struct emu *e, uint64_t gpa);
/* RAM or not. */
void phys_read(struct emu *e, uint64_t gpa, void *data, unsigned size);
void phys_write(struct emu *e, uint64_t gpa, const void *data, unsigned size);

#endif
