/* SPDX-License-Identifier: MIT */
/* Samples, added up: which blocks of code, which instructions, which stacks of calls. Bounded in memory. */
#ifndef BULKHEAD_VMM_TRACE_PROFILE_H
#define BULKHEAD_VMM_TRACE_PROFILE_H

#include "proto/trace.h"

#include "sink.h"
#include "symbols.h"

enum { PROFILE_BLOCKS = 1 << 16, PROFILE_STACKS = 1 << 15, PROFILE_MNEMONICS = 2048 };

struct profile_block {
	uint64_t linear, weight; /* in instructions */
	uint32_t samples;
	uint8_t code_bytes, code_size, cpl;
	uint8_t code[TRACE_CODE];
};

struct profile_stack {
	uint64_t weight;
	uint8_t depth; /* 0: free */
	uint8_t cpl;
	uint64_t frame[TRACE_FRAMES + 1]; /* the innermost first */
};

struct profile_mnemonic {
	const char *name;
	uint64_t weight;
};

struct profile {
	uint64_t samples, weight, lost; /* the last: for which there was no room */
	struct profile_block *block;
	struct profile_stack *stack;
	struct profile_mnemonic mnemonic[PROFILE_MNEMONICS];
	unsigned mnemonics;
};

/* 0 or -ENOMEM. */
int profile_init(struct profile *p);
void profile_add(struct profile *p, const struct trace_sample *s);

/* Sorts; nothing is added afterwards. */
void profile_finish(struct profile *p);
void profile_text(const struct profile *p, const struct symbols *s, struct sink *out);
void profile_json(const struct profile *p, const struct symbols *s, struct sink *out);
/* "outer;inner 123" on each line, as tools for flame graphs read it. */
void profile_folded(const struct profile *p, const struct symbols *s, struct sink *out);

#endif
