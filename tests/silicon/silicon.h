/* SPDX-License-Identifier: MIT */
/*
 * The processor beside the whole emulator: one instruction, from one state, natively at CPL 3 and in both tiers with
 * paging and segments; registers, flags, memory, and if it faults vector, error code, CR2 and RIP, must be the same.
 * Cases come from the rows of the instruction table.
 *
 *   place.c     memory and selectors         random.c, state.c  awkward values, and registers full of them
 *   generate.c  a row to bytes               prepare.c  registers that make the operands land where they should
 *   native.c    this processor               emulated.c  the emulator
 *   compare.c   differences                  forgive*.c  what one of the two cannot say: tests/host/points.def
 *   judge.c     both of these                elsewhere.c rows that are not run here
 *   sweep.c     which VEX and EVEX encodings exist
 *
 * An instruction is followed and surrounded by HLT (at CPL 3: #GP at that very address): so each case ends in a fault,
 * and where it ends tells where it went. FOP, FIP and FDP a signal frame may not have: behind some instructions stands
 * FNSTENV, which stores them to ENVIRONMENT.
 */
#ifndef BULKHEAD_TESTS_SILICON_H
#define BULKHEAD_TESTS_SILICON_H

#include "emu/core/emu.h"
#include "emu/isa/isa.h"
#include "values.h"

/* Linear addresses, the same in both. The guest's are physical ones, too (identity mapped). */
enum {
	CODE = 0x800000,	/* 2 pages, executable, not writable */
	DATA = 0x900000,	/* 5 pages: writable, writable, read-only, not mapped, writable */
	STACK = 0xa00000,	/* 4 pages: not mapped, writable, writable, not mapped */
	PAGE = 4096,
	CODE_PAGES = 2, DATA_PAGES = 5, STACK_PAGES = 4,
	DATA_READ_ONLY = 2, DATA_MISSING = 3,
	ENVIRONMENT = DATA + 4 * PAGE + 256,
};

/* Local descriptors, in the order of the LDT. Flat ones are the system's. */
enum local {
	LDT_CODE32, LDT_CODE16, LDT_SMALL, LDT_DATA16, LDT_DOWN, LDT_READ_ONLY, LDT_ABSENT, LDT_STACK16, LDT_EXECUTE_ONLY,
	LOCAL_COUNT,
};
#define LOCAL(n) ((uint16_t)((n) << 3 | 7))
enum { USER_CODE32 = 0x23, USER_DATA = 0x2b, USER_CODE64 = 0x33 }; /* Linux's (arch/x86: segment.h) */

/* One descriptor of the LDT, as modify_ldt() wants it. */
struct local_segment {
	uint32_t base, limit; /* limit in bytes or pages */
	bool big, pages, present, read_exec_only;
	uint8_t contents; /* 0 data, 1 expand-down data, 2 code */
};
extern const struct local_segment local_segments[LOCAL_COUNT];
uint64_t local_descriptor(const struct local_segment *s);
/* The descriptor of a selector in both tables, 0 if there is none. */
uint64_t descriptor_of(uint16_t selector);

struct state {
	uint64_t gpr[16];
	uint64_t rip, rflags;
	uint64_t fs_base, gs_base;
	uint16_t seg[SEG_COUNT];
	struct fximage fx;
	uint8_t ymm_high[16][16];
	/* Where the processor has AVX-512; zero elsewhere. */
	uint8_t zmm_high[16][32]; /* of ZMM0..15 */
	uint8_t zmm16[16][64];	  /* ZMM16..31 */
	uint64_t k[8];
};

struct outcome {
	struct state s;
	uint8_t vector;
	uint32_t error;
	uint64_t cr2;
};

struct test_case {
	unsigned row, code_size;
	uint8_t code[24];
	unsigned length; /* of the instruction */
	unsigned bytes;	 /* with FNSTENV behind it */
	uint64_t at;	   /* linear address of the code */
	unsigned disp_at;  /* where the displacement stands, and how many bytes it has */
	unsigned disp_bytes;
	struct insn i;	   /* decoded */
	struct state in;
};

/* Bytes of the code that lie in mapped pages: the last may run over the end. */
static inline unsigned visible_bytes(const struct test_case *t)
{
	const uint64_t room = CODE + CODE_PAGES * PAGE - t->at;

	return room < t->bytes ? (unsigned)room : t->bytes;
}

/* place.c */
/* The system's descriptors for threads and for the CPU's number, whose base is zero here. In each child, which stays on
 * its CPU. */
void find_global(void);
bool is_ours(uint64_t linear); /* backed by memory on both sides, mapped or not */
/* Base of a segment before the case. */
uint64_t segment_base(const struct test_case *t, unsigned seg);
/* Where the memory operand is, if there is one with a ModRM byte and no vector of indexes. */
uint64_t operand_linear(const struct test_case *t);
/* Writes to all copies; what is not ours is left out. */
void put_memory(uint64_t linear, const void *data, unsigned bytes);

/* generate.c: false if the row cannot be encoded in this mode, or another row answers to the bytes. */
bool generate(unsigned row, unsigned code_size, struct test_case *t);
uint16_t any_selector(void);
/* Where a branch may go: mostly a pad, as an offset from `base`. */
uint64_t any_target(const struct test_case *t, uint64_t base);
bool has_operand(const struct isa_row *r, unsigned kind);
bool has_size(const struct isa_row *r, unsigned size);

/* state.c */
enum vectors { VECTORS_XMM, VECTORS_YMM, VECTORS_ZMM };
/* Registers and flags; the other vectors are zero. */
void random_state(struct state *s, enum vectors vectors);
/* Makes a register a vector of indexes that stay within 480 bytes, but for one that faults now and then. */
void tame_indexes(struct state *s, unsigned reg, bool quads, unsigned scale);

/* prepare.c: the state; patches the displacement of RIP-relative and absolute operands. */
void prepare(struct test_case *t);

/* native.c. native_init(): 0, or a reason for which this host cannot take part. */
const char *native_init(void);
uint8_t *native_memory(uint64_t linear); /* writable alias */
/* False: the case took too long, and is worth nothing. */
bool native_run(const struct test_case *t, struct outcome *out);
bool native_has_avx(void);
bool native_has_avx512(void);
/* May a context switch in the middle of a case zero FOP, FIP and FDP? It goes through the kernel's XSAVE. */
bool native_loses_pointers(void);
/* What the upper half of ESP is on a 16-bit stack. */
uint32_t native_esp_high(void);

/* emulated.c */
enum { TIERS = 3 };
void emulated_init(void);
void emulated_fini(void);
uint8_t *emulated_memory(unsigned tier, uint64_t linear);
void emulated_run(unsigned tier, const struct test_case *t, struct outcome *out);
/* The guest's CPUID has it. */
bool emulated_has(unsigned feature);

/* compare.c: the number of differences; prints them if `show`. */
unsigned compare(const struct test_case *t, const struct outcome *native, const struct outcome *emulated, unsigned tier,
		 bool show);

/* The emulator's memory as the processor left its own. */
void make_equal(unsigned tier);
/* The processor's memory before a case, and back to that. */
void keep_memory(void);
void restore_memory(void);

/* forgive.c: takes out of both, and out of the tier's memory, what cannot be compared: the points of tests/host/points.def.
 * False: nothing of this case can. */
bool forgive(unsigned tier, const struct test_case *t, struct outcome *native, struct outcome *emulated);

/* forgive_memory.c: the same for what is in memory only. */
void forgive_memory(unsigned tier, const struct test_case *t, const struct outcome *native, const struct outcome *emulated);
/* The emulator's memory as the processor's. */
void leave_bytes(unsigned tier, uint64_t linear, unsigned bytes);

/* forgive_x87.c: x87 pointers, codes, and images of the state. */
void forgive_x87(const struct test_case *t, struct outcome *native, struct outcome *emulated);
void forgive_x87_memory(unsigned tier, const struct test_case *t, const struct outcome *native, const struct outcome *emulated);

/* judge.c: leaves out what cannot be compared: 0 if nothing is left, else one more than the number of differences. */
unsigned judge(unsigned tier, const struct test_case *t, const struct outcome *native, const struct outcome *emulated, bool show);
/* A difference: is it only where this processor has never been seen to do as the emulator does? */
bool judge_excuses(unsigned tier, const struct test_case *t, const struct outcome *native, const struct outcome *emulated);

/* sweep.c: the number of encodings that only one of the two refuses. */
unsigned sweep_vex(unsigned *encodings);
/* `all`: every one, else about a quarter of them. */
unsigned sweep_evex(bool all, unsigned *encodings);

#endif
