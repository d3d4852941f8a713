/* SPDX-License-Identifier: MIT */
/*
 * The hardware oracle: one instruction, from one state, run by this host's processor and by the emulator's
 * semantic function; every difference is an error. Cases come from the rows of the instruction table.
 */
#ifndef BULKHEAD_TESTS_ORACLE_H
#define BULKHEAD_TESTS_ORACLE_H

#include "flat.h"
#include "values.h"

enum { NO_FAULT = 0xff };

/* Everything an unprivileged instruction can see or change. */
struct state {
	struct fximage fx;
	uint64_t gpr[16]; /* RSP is not part of it */
	uint64_t rflags;
	uint8_t ymm_high[16][16];
	uint8_t window[WINDOW_BYTES];
	uint8_t vector; /* after: exception, or NO_FAULT */
};

struct test_case {
	unsigned row;
	uint8_t code[16];
	unsigned length;
	struct state in;
};

/* random.c */
void random_state(struct state *s);

/* encode.c: false if the row has no form that this oracle can run. */
bool encode_case(unsigned row, struct test_case *t);

/* native.c */
int native_init(void);
bool native_has_avx(void);
void native_run(const struct test_case *t, struct state *out);

/* emulated.c */
void emulated_init(void);
void emulated_run(const struct test_case *t, struct state *out);
/* The same for code that may be longer than its first instruction. */
void emulated_run_prefix(const struct test_case *t, struct state *out);

/* sweep.c */
unsigned sweep_vex(unsigned *encodings);

#endif
