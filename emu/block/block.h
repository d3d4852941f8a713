/* SPDX-License-Identifier: MIT */
/*
 * The block tier: runs of decoded instructions, cached by the physical address of their bytes, with fast handlers for
 * the hot forms.
 */
#ifndef BULKHEAD_EMU_BLOCK_H
#define BULKHEAD_EMU_BLOCK_H

#include "emu/core/emu.h"

#include <stddef.h>

struct native_memory;

/* The cache of decoded code of a processor, of `bytes`, with memory for generated code, which becomes its own; NULL: it makes
 * some. 0 or -ENOMEM; after mmu_create(). */
int block_create(struct emu *e, size_t bytes, const struct native_memory *native);
void block_destroy(struct emu *e);

/*
 * Runs the block at RIP and what is linked behind it until the budget is spent, something wants attention, or a fault
 * is recorded. False: there is none, because the first instruction faults or lies outside RAM: the single-step tier has
 * to run it.
 */
bool block_advance(struct emu *e);
/* RIP was changed by something else than the block that ran last. */
void block_forget_way(struct emu *e);

/* Drops the blocks of a RAM page that hold bytes in the 64-byte pieces `granules`; returns the pieces still in use. */
uint64_t code_drop(struct emu *e, uint64_t page, uint64_t granules);
/* Forgets the older half of decoded code, whose room is filled next; or all of it. */
void code_turn(struct emu *e);
void code_flush(struct emu *e);

/* Does decoded code take memory worth giving back? And gives it back: all of it is forgotten. */
bool block_holds_memory(const struct emu *e);
void block_give_back(struct emu *e);

#endif
