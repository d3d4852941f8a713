/* SPDX-License-Identifier: MIT */
/* Translated code beside single steps (verify.c): tests. */
#ifndef BULKHEAD_EMU_JIT_VERIFY_H
#define BULKHEAD_EMU_JIT_VERIFY_H

#include "internal.h"

#ifdef HOST_X86_64

/* The first stretches from each place are verified, and each so manyth. NULL: no memory. */
struct verify *verify_create(unsigned every);
void verify_destroy(struct verify *v);

/*
 * Translated code is entered at `rip`, left before the instruction there; `insn` is what has been retired of the block and not
 * been taken off e->budget yet; `flags`: the arithmetic flags are there, not overwritten before anybody looks. All of the guest's state is in struct emu. An end that finds a difference tells of it and aborts.
 */
void verify_begin(struct emu *e, uint64_t rip, unsigned insn);
void verify_end(struct emu *e, uint64_t rip, unsigned insn, bool flags);
/* It is about to store in the page of `host`. */
void verify_store(struct emu *e, uint8_t *host);

#endif
#endif
