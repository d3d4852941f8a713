/* SPDX-License-Identifier: MIT */
/*
 * Asks the processor that runs this how it does the points of points.def. Each probe runs an instruction or two in a
 * child process, where faults are caught; one that cannot be run, or gives a third answer, says nothing.
 */
#ifndef BULKHEAD_TESTS_PROBE_H
#define BULKHEAD_TESTS_PROBE_H

#include "processor.h"
#include "tests/silicon/values.h"

/* Fills in all but vendor, family and model. Without x86-64, without memory for code, or if the child dies: nothing. */
void probe_processor(struct processor *p);

/* ---- for the files of the probes, in the child ---- */

enum { PROBE_RAN = 0x100 };

/* Where and how the last probe_run() faulted. */
struct probe_fault {
	uint64_t rip, rsp, cr2;
	struct fximage fx;
	uint8_t ymm_high[16][16];
};
extern struct probe_fault probe_fault;

/* fn(), and the vector of the fault that ended it, or PROBE_RAN. */
unsigned probe_run(void (*fn)(void));

/* Memory below 2 GiB, one after the other: a page to write and run code in, one that is not there, a page of data, one
 * that is not there. */
enum { PROBE_PAGE = 4096 };
extern uint8_t *probe_code, *probe_data;

/* Bytes at the page's beginning, followed by RET, as a function with RSI = probe_data: the vector as above. RAX, RCX and
 * RSI can be given and are returned. */
struct probe_regs {
	uint64_t rax, rcx, rsi;
};
unsigned probe_bytes(const void *bytes, unsigned count, struct probe_regs *r);
/* The same in 32-bit code, on a stack in probe_data. */
unsigned probe_bytes32(const void *bytes, unsigned count);

/* A probe's answer. */
enum answer { SAYS_NOTHING, DOES_ALIKE, DOES_OTHERWISE };

/* Each file's probes, filling in what it asks. */
void probe_x87(struct processor *p);
void probe_simd(struct processor *p);
void probe_system(struct processor *p);

/* Of several probes for one point, one that says otherwise decides. */
static inline void probe_note(struct processor *p, enum point at, enum answer a)
{
	if (a == DOES_ALIKE)
		p->alike |= 1ull << at;
	if (a == DOES_OTHERWISE)
		p->otherwise |= 1ull << at;
	p->alike &= ~p->otherwise;
}

/* By the vector alone. */
static inline enum answer probe_answer(unsigned vector, unsigned alike, unsigned otherwise)
{
	return vector == alike ? DOES_ALIKE : vector == otherwise ? DOES_OTHERWISE : SAYS_NOTHING;
}

#endif
