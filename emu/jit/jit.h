/* SPDX-License-Identifier: MIT */
/*
 * The translator: blocks of 64-bit code that have become hot, as code of an x86-64 host. Guest instructions are mostly the
 * host's own and are copied with other operands (native/, decode/encode.h); docs/translator.md tells how it works.
 *
 * Its room lies above block/, which calls it through struct emu_hooks; run/ makes it.
 */
#ifndef BULKHEAD_EMU_JIT_H
#define BULKHEAD_EMU_JIT_H

#include "emu/core/emu.h"

#include <stddef.h>

/* Memory for a processor, zeroed: struct emu, and, if it is to translate, behind it what translated code reaches from there. NULL:
 * there is none. */
struct emu *jit_allocate(bool translates);
void jit_free(struct emu *e);

/* After block_create(). Blocks are translated when they have been entered `threshold` times; 0: never, and so it is where the
 * host is no x86-64, permits no generated code or has too little memory for it. `bytes`: what may be kept of translations beside their
 * code. 0 or -ENOMEM. */
int jit_create(struct emu *e, unsigned threshold, size_t bytes);
void jit_destroy(struct emu *e);

/* Hooks (struct emu_hooks). */
void jit_hot(struct emu *e, struct block *b);
void jit_killed(struct emu *e, struct block *b);
void jit_turns(struct emu *e);
void jit_turned(struct emu *e);
void jit_given_back(struct emu *e);
void jit_translations_dropped(struct emu *e, bool global);
void jit_page_dropped(struct emu *e, uint64_t linear);

/* From now on *ns grows by the time spent in translated code; NULL: no more. */
void jit_time(struct emu *e, uint64_t *ns);

struct jit_counts {
	uint64_t blocks, bytes, flushes, refused, calls, entries, code_flushes;
};
struct jit_counts jit_counts(const struct emu *e);

#endif
