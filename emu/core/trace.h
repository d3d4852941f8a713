/* SPDX-License-Identifier: MIT */
/* What the emulator tells somebody who records each instruction, or looks every now and then where the guest is. */
#ifndef BULKHEAD_EMU_TRACE_H
#define BULKHEAD_EMU_TRACE_H

#include "cpu.h"

#include <stdbool.h>
#include <stdint.h>

enum { ENGINE_ACCESSES = 24, ENGINE_ACCESS_BYTES = 64 };

/* An access to data by linear address. The value is what lay there right after it. */
struct engine_access {
	uint64_t linear;
	uint16_t size;
	bool write, has_value; /* no value: there is no RAM there */
	uint8_t value[ENGINE_ACCESS_BYTES];
};

struct engine_insn {
	uint64_t linear; /* of its first byte */
	uint8_t bytes[15], count;
	uint8_t code_size, cpl;
	bool faulted;
	uint8_t vector; /* that it raised, or that an interrupt has */
	uint32_t error;
	struct cpu before, after; /* the same of an interrupt */
	unsigned accesses;
	struct engine_access access[ENGINE_ACCESSES];
};

enum { ENGINE_FRAMES = 32, ENGINE_CODE = 64 };

/* Where the guest is. */
struct engine_sample {
	uint64_t retired; /* instructions since the last one */
	uint64_t linear;
	uint8_t code[ENGINE_CODE]; /* what lies there */
	uint8_t code_bytes, code_size, cpl, frames;
	uint64_t frame[ENGINE_FRAMES]; /* return addresses by the chain of frame pointers, the innermost first */
};

/* All called on the vCPU's own thread. */
struct engine_trace {
	void *ctx;
	/* An instruction at this address, at this privilege, is about to run: is it wanted? NULL: none is; with it every one
	 * runs in the single-step tier. */
	bool (*wants)(void *ctx, unsigned vcpu, uint64_t linear, unsigned cpl);
	/* It has retired, or faulted. */
	void (*insn)(void *ctx, unsigned vcpu, const struct engine_insn *i);
	/* An interrupt of that vector is delivered now. NULL: nobody wants to know. */
	void (*interrupt)(void *ctx, unsigned vcpu, uint8_t vector, uint64_t rip, bool by_8259);
	/* Every now and then. It returns after how many instructions it wants to be called again. NULL:
	 * never; returns 0: not any more. */
	uint32_t (*sample)(void *ctx, unsigned vcpu, const struct engine_sample *s);
};

#endif
