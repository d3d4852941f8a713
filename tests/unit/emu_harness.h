/* SPDX-License-Identifier: MIT */
/*
 * The emulated processor of all tests that need one, but for those of several (emu_smp_test.c): RAM from address 0, a bus
 * that notes accesses, a mode, some bytes of code, run, look. sys_guest.h and flat.h stand on it.
 *
 *	struct harness h;
 *	harness_init(&h, HARNESS_LONG, HARNESS_BLOCK);
 *	harness_code(&h, "\x48\x01\xd8", 3);            // at HARNESS_CODE, RIP points there
 *	h.cpu->gpr[RAX] = 1;
 *	cr_assert_eq(harness_run(&h, 1), 0);             // one instruction, no exception
 *	cr_assert_eq(h.cpu->gpr[RAX], ...);
 *	harness_fini(&h);
 *
 * An exception is reported, not delivered: harness_run() returns 0x100 | vector and h.fault holds the details;
 * RIP is that of the faulting instruction. With harness_deliver() exceptions go through the guest's IDT instead.
 */
#ifndef BULKHEAD_TESTS_EMU_HARNESS_H
#define BULKHEAD_TESTS_EMU_HARNESS_H

#include "emu/core/machine.h"
#include "emu/mmu/mmu.h"

enum harness_mode {
	HARNESS_REAL,	/* 16-bit real mode, all segment bases 0 */
	HARNESS_PROT16, /* protected mode, 16-bit code, flat, CPL 0, no paging */
	HARNESS_PROT32, /* protected mode, 32-bit code, flat, CPL 0, no paging */
	HARNESS_LONG,	/* 64-bit code, CPL 0, 4-level paging: identity, 4 KiB pages, user and writable, from PML4 at
			   HARNESS_PML4 over all RAM */
	HARNESS_LONG_USER, /* the same at CPL 3 */
};

/* HARNESS_JIT translates at the first entry, HARNESS_WARM when it is known how blocks follow each other. */
enum harness_tier { HARNESS_STEP, HARNESS_BLOCK, HARNESS_JIT, HARNESS_WARM };

enum {
	HARNESS_RAM = 16 << 20,
	HARNESS_CODE = 0x10000,
	HARNESS_DATA = 0x20000,
	HARNESS_STACK = 0x40000, /* initial RSP; real mode: SP = 0xfff0 with SS base HARNESS_STACK - 0x10000 */
	HARNESS_GDT = 0x2000,	 /* 08 code64, 10 data, 18 code32, 20 code16, 28 data16, 33 user code64, 3b user data */
	HARNESS_IDT = 0x3000,	 /* empty until the test fills it */
	HARNESS_TSS = 0x4000,
	HARNESS_PML4 = 0x100000, /* tables follow */
};

struct harness {
	struct engine *engine;
	struct emu *emu;
	struct cpu *cpu;    /* &emu->cpu; arithmetic flags by harness_flags(), not cpu->rflags */
	struct machine *machine;
	uint8_t *ram;
	size_t ram_bytes;
	struct fault fault; /* of the last harness_run() */
	bool deliver;
	enum harness_tier tier;
	/* The bus: last accesses, and what reads return. */
	struct {
		uint64_t reads, writes, last_addr, last_data, read_value;
		unsigned last_size;
		enum io_space last_space;
	} bus;
};

/* All of them abort the test if there is no memory. This one leaves the processor as RESET does. `model`: NULL for all that
 * is offered. */
void harness_create(struct harness *h, size_t ram_bytes, enum harness_tier tier, const struct cpu_model *model);
void harness_init(struct harness *h, enum harness_mode mode, enum harness_tier tier);
void harness_fini(struct harness *h);
/* Copies code to HARNESS_CODE, points RIP there, forgets decoded code. */
void harness_code(struct harness *h, const void *bytes, size_t count);
/* After changing control registers, segments or page tables behind the emulator's back. */
void harness_sync(struct harness *h);
uint64_t harness_flags(struct harness *h);
void harness_set_flags(struct harness *h, uint64_t rflags);
/* Exceptions are delivered through the guest's IDT from now on; harness_run() then only reports shutdown. */
void harness_deliver(struct harness *h, bool on);
/*
 * Runs `count` instructions (the block tier: whole blocks until at least that many have retired, so let the code end
 * in HLT or a fault if it must stop exactly). 0; 0x100 | vector for an exception (not delivered); 0x200 if
 * the processor halted, 0x300 if it shut down.
 */
int harness_run(struct harness *h, unsigned count);
/* Loads and runs one instruction, HLT behind it. 0 if both have run; else what harness_run() says. */
int harness_one(struct harness *h, const void *bytes, size_t count);
/* The page table entry of a linear address in HARNESS_LONG: change it, then harness_sync() or INVLPG. */
uint64_t *harness_pte(struct harness *h, uint64_t linear);

#endif
