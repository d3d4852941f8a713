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
	uint8_t zmm_high[16][32]; /* of ZMM0..15 */
	uint8_t zmm16[16][64];	  /* ZMM16..31 */
	uint64_t k[8];
	uint8_t window[WINDOW_BYTES];
	uint8_t vector; /* after: exception, or NO_FAULT */
	uint64_t told;	/* after: the bits of FOP, FIP and FDP that could be observed */
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

/* encode_evex.c */
bool encode_evex(unsigned row, struct test_case *t);
void random_zmm(struct state *s);

/* native_zmm.c: VEX and EVEX rows on processors with AVX-512. */
bool native_has_avx512(void);

void native_zmm_run(const struct test_case *t, struct state *out);
/* In the signal handler: false if the fault is not one of native_zmm_run()'s. */
bool native_zmm_fault(void *context);

/* native.c */
int native_init(void);
bool native_has_avx(void);
/* May a context switch in the middle of a case zero FOP, FIP and FDP? It goes through the kernel's XSAVE, see native.c. */
bool native_loses_pointers(void);
void native_run(const struct test_case *t, struct state *out);

/* emulated.c */
void emulated_init(void);
void emulated_run(const struct test_case *t, struct state *out);
/* The same for code that may be longer than its first instruction. */
void emulated_run_prefix(const struct test_case *t, struct state *out);

/* reconcile.c: takes out of a comparison what the processor `a` cannot say about the emulator `b`. */
void reconcile(const struct test_case *t, struct state *a, struct state *b);

/* judge.c: do the outcomes agree, but for what reconcile() takes out? */
bool judge_same(const struct test_case *t, const struct state *native, const struct state *emulated);
/* They do not: is it in nothing but points in which this processor has never been seen to do as the emulator does? */
bool judge_excuses(const struct test_case *t, const struct state *native, const struct state *emulated);
void judge_show(const struct test_case *t, const struct state *native, const struct state *emulated);

/* sweep.c */
/* Does the instruction table have an encoding that this processor lacks? It cannot be asked then. */
bool sweep_lacks(const struct test_case *t);
unsigned sweep_vex(unsigned *encodings);

/* sweep_evex.c */
unsigned sweep_evex(bool all, unsigned *encodings);

#endif
