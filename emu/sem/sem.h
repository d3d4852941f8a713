/* SPDX-License-Identifier: MIT */
/*
 * Semantics: what an instruction does, and nothing else. Each row of the instruction table (isa/) names a function
 * sem_NAME(); int/, simd/, fp/ and sys/ hold them. Every tier comes in by this one function when it does not know better.
 */
#ifndef BULKHEAD_EMU_SEM_H
#define BULKHEAD_EMU_SEM_H

#include "emu/core/emu.h"

/*
 * The checks that stand in the row (mode, privilege, availability of FPU and vector units), then the semantic function.
 * 0: done, go on with the next instruction. EMU_STOP: a fault was recorded (state unchanged), or RIP was set.
 */
int insn_execute(struct emu *e, const struct insn *i);

#endif
