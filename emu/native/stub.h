/* SPDX-License-Identifier: MIT */
/*
 * The host's form of one guest instruction: its own row, encoded again with registers of the host in the place of the
 * guest's, which are loaded before and stored behind it. Rows say by COPY that their effects are those of their operands
 * and flags and nothing else (isa.h); from that, from the kinds of operands, and from the decoder's inverse everything
 * here follows: there is no list of instructions.
 */
#ifndef BULKHEAD_EMU_NATIVE_STUB_H
#define BULKHEAD_EMU_NATIVE_STUB_H

#include "memory.h"

#include "emu/core/emu.h"

#include <stddef.h>

/* What the code in memory is called as. `memory` is the host's address of the memory operand, if there is one. Vector,
 * opmask and argument registers, and the flags, change as in any call; MXCSR is the guest's if the form needs it. */
typedef void native_stub(struct emu *e, const struct insn *i, void *memory);

/* No stub is longer. */
enum { NATIVE_STUB_MAX = 512 };

enum native_unit { NATIVE_SSE, NATIVE_AVX, NATIVE_AVX512, NATIVE_UNITS };

/* What has to be true when a stub is called. */
struct native_form {
	enum native_unit unit; /* usable by the guest just now */
	bool mxcsr;	       /* the guest's is loaded, all exceptions masked */
	bool loads, stores;    /* its memory operand; both false: it has none */
	bool aligned;	       /* to its size, or the guest's fault is due */
	bool narrow;	       /* an EVEX row made of VEX instructions (narrow.h): the guest's registers are in struct emu */
	uint8_t bytes;	       /* of it: 0 to 64 */
};

/* How a stub fits among the handlers of the block tier. */
struct native_frame {
	bool goes_on; /* ends by jumping to the handler of the next instruction, i + 1; else it returns */
	/* It is itself a handler: if the byte at `guard_at` of struct emu has no bit of `guard`, `otherwise` runs instead.
	 * NULL: whoever calls it has looked. */
	insn_handler *otherwise;
	size_t guard_at;
	uint8_t guard;
};

/* What the host's form of an instruction of 64-bit code needs. False: this host has none (no COPY row, a feature that it
 * lacks). */
bool native_describe(const struct insn *i, struct native_form *form);

/* Makes it. Its place in the executable view; NULL: `m` is full, or there is none. After native_describe(). */
const uint8_t *native_stub_make(struct native_memory *m, const struct insn *i, const struct native_form *form,
				const struct native_frame *frame);

#endif
