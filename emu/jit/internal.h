/* SPDX-License-Identifier: MIT */
/*
 * Inside of the translator.
 *
 * Registers of translated code: RAX to RDI without RSP, and R12 to R15, are the guest's own. R8 is the guest's RSP; the guest's
 * R8 to R11 stay in struct emu. R9 and R10 are scratch, R11 is e->budget. RSP is the address of struct emu itself, so that
 * all of its fields are a displacement away; below it lies a small stack for signal handlers and the stubs' return addresses.
 *
 * The guest's arithmetic flags are the host's, or in e->flags_image, or both: enum flags_at.
 */
#ifndef BULKHEAD_EMU_JIT_INTERNAL_H
#define BULKHEAD_EMU_JIT_INTERNAL_H

#include "jit.h"
#include "emu/block/internal.h"
#include "emu/core/host.h"
#include "emu/core/tlb.h"
#include "emu/native/memory.h"

#include <stddef.h>
#include <string.h>

#ifdef HOST_X86_64

enum { HOST_RSP = 8, S0 = 9, S1 = 10, BUDGET = 11 };

/*
 * What one memory operand of translated code was last seen to reach: guest addresses from `base` on, `len` of them, are `delta` less
 * than the host's. `len` is less by what the operand itself covers, and 0 if nothing is known.
 * Of a way to another page: the code at `base` was at the host's address `host` (0: not linked yet), and still is if `len` is not 0.
 */
struct range {
	uint64_t base, len;
	union {
		uint64_t delta, host;
	};
	uint32_t site; /* that executes the instruction otherwise */
	uint16_t room; /* the `len` of one page */
	uint8_t logged; /* in which logs of struct jit_env it is: 1 << enum lasting */
	uint8_t reserved;
};
_Static_assert(sizeof(struct range) == 32, "a compiler's hot code has more of them than the nearer caches hold");

/*
 * The first ranges are shared by all operands relative to RSP that have the same size, the same rights, and the same kind of access:
 * a stack moves on for all of them at once. Groups of operands (group.c) each have their own within a translation, for what is found
 * for a group has to stay until its last member.
 */
enum {
	STACK_SPANS = 16, /* operands or groups of up to 8, 16 ... 128 bytes */
	STACK_SLOTS = 4,  /* one for single operands, the others for groups */
	STACK_KINDS = 12, /* of rights, and of access: loads, or stores as well */
	STACK_RANGES = STACK_SPANS * STACK_SLOTS * STACK_KINDS,
};

/* How long a translation lasts: to the next change of the address space, or beyond. */
enum lasting { LASTS_SPACE, LASTS_GLOBAL, LASTINGS };

/*
 * Where computed jumps go: the code for a RIP whose page leads to `host`. `code` is `real`, or a stub that looks whether the page
 * still does. An empty entry has a pc that belongs elsewhere in the table.
 */
struct jit_jump {
	uint64_t pc;
	const uint8_t *code, *real, *host;
};

/* Tables of jumps: for user code, for supervisor code that may touch user pages (EFLAGS.AC, or no SMAP), for other; for 32-bit code. */
enum { JIT_TABLES = 6 };

enum { JIT_SITES = 1 << 21, JIT_RANGES = 1 << 20, JIT_JUMPS = 1 << 16, JIT_STACK = 1 << 16, JIT_PAGES = 1 << 12 };

/* Pages that a range may cover, if they lie side by side in the host. */
enum { RANGE_PAGES = 4, JIT_SEEN = JIT_PAGES + RANGE_PAGES - 1 };

/* Whose the host's vector registers are: nobody's, or the guest's XMM, YMM (and what is above is zero), or ZMM and opmasks. */
/* VECTORS_MEMORY: the registers are in struct cpu, the host's are free, and only MXCSR is the guest's (native/narrow.h). */
enum vectors { VECTORS_NONE, VECTORS_MEMORY, VECTORS_SSE, VECTORS_AVX, VECTORS_AVX512, VECTORS_LEVELS };

/* Whose the host's x87 is: not the guest's; the guest's; not, and the guest's is in the image that FNSAVE left. */
enum x87_place { X87_AWAY, X87_LIVE, X87_SAVED };

/* Of FNSAVE and FRSTOR in 64-bit code (SDM vol. 1, figure 8-9). The host's pointers in it are nobody's. */
struct x87_image {
	uint16_t cw, reserved0, sw, reserved1, tag, reserved2;
	uint32_t pointers[4];
	uint8_t st[8][10];
};
_Static_assert(sizeof(struct x87_image) == 108, "94 or 108 bytes");

/* A quarter is filled by code, once an entry; the rest by C, which looks what is left. */
enum { JUMP_LOG = 4 * JIT_TABLES * JIT_JUMPS };

/* What translated code reaches besides struct emu, behind which it lies. */
struct jit_env {
	uint64_t host_rsp, saved[5];
	const uint8_t *resume;
	const uint8_t *told; /* with struct jit's `checks`: called before each access */
	uint64_t eflags; /* while jit_check() runs */
	uint32_t host_mxcsr;
	uint8_t vectors; /* enum vectors */
	uint8_t x87; /* enum x87_place */
	struct x87_image x87_image;
	uint8_t xsave[2688] __attribute__((aligned(64))); /* the vector registers, while jit_check() runs */
	struct jit_jump *jumps; /* the table in use */
	struct range **log_next[LASTINGS];
	struct jit_jump **jump_log_next[LASTINGS];
	uint8_t seen[LASTINGS][JIT_SEEN]; /* whether a page that hashes there, or to as much less JIT_PAGES, may be in the logs */
	struct range *log[LASTINGS][JIT_RANGES]; /* those with len != 0, and others, each once */
	struct jit_jump *jump_log[LASTINGS][JUMP_LOG]; /* those whose code is real */
	uint32_t jump_key[JIT_TABLES]; /* of the blocks in them */
	struct jit_jump jump[JIT_TABLES][JIT_JUMPS] __attribute__((aligned(64)));
	struct range range[JIT_RANGES] __attribute__((aligned(64)));
};

enum { JIT_ENV_AT = (sizeof(struct emu) + 63) & ~63u };

#define EMU(field) ((int32_t)offsetof(struct emu, field))
#define ENV(field) ((int32_t)(JIT_ENV_AT + offsetof(struct jit_env, field)))
#define GPR(n) ((int32_t)(offsetof(struct emu, cpu.gpr) + (n) * sizeof(uint64_t)))

static inline struct jit_env *jit_env(struct emu *e)
{
	return (struct jit_env *)(void *)((uint8_t *)e + JIT_ENV_AT);
}

/* Why translated code goes to C. */
enum site_kind {
	SITE_EXECUTE,	/* run instruction `insn` by its semantic function, go on at `resume` */
	SITE_INTERPRET, /* go on with instruction `insn` in the block tier */
	SITE_LINK,	/* the block is done: to side `side` of its link */
	SITE_START,	/* to the run loop, with RIP at the block */
	SITE_RIP,	/* to the run loop; RIP is set */
	SITE_INLINED,	/* no exit: the translation of `block` contains another block, in whose list this is */
};

/* There are many: places in the code and blocks are distances from where the memory for either begins; 0: none. */
struct jit_site {
	uint32_t block;
	uint32_t code;	   /* SITE_EXECUTE: where it goes on; SITE_LINK: the distance of the jump that may go straight to the other block */
	uint32_t unlinked; /* SITE_LINK: where that jump goes otherwise */
	uint32_t linked;   /* SITE_LINK: the block where that jump goes now; with `groups`: the first block of the translation */
	uint32_t next;	   /* SITE_LINK, SITE_INLINED: in the list of those that lead to the same block; 0: the last */
	uint32_t key;	   /* jit_key() when the code goes on, or of the block that SITE_LINK leads to */
	uint32_t range;	   /* SITE_LINK to another page: its `len` says that the jump may be taken; 0: none */
	uint8_t insn;
	uint8_t kind : 3; /* enum site_kind */
	uint8_t flags : 3; /* SITE_LINK: enum flags_at, where that jump leaves them */
	uint8_t side : 1;
	uint8_t charged : 1; /* the block's instructions have been taken off the budget */
	uint8_t groups : 1;  /* SITE_INTERPRET: because the check of a group failed */
};
_Static_assert(sizeof(struct jit_site) == 32, "a translation has five");

/* Where the guest's arithmetic flags are; 0: nowhere, they are overwritten before anybody looks. */
enum flags_at { IN_HOST = 1, IN_IMAGE = 2, IN_BOTH = IN_HOST | IN_IMAGE, IN_RECIPE = 4 /* recipe.c */ };

struct jit {
	struct native_memory *memory, cold; /* one behind the other: code, and what it seldom gets to */
	uint32_t threshold;
	bool checks; /* each hit of a range is told to jit_check() (tests) */
	struct verify *verify; /* or NULL (verify.h) */
	struct halves sites, ranges; /* which are in use */
	uint64_t *times; /* jit_time(), or NULL */
	uint32_t left_by; /* the SITE_LINK by which code was left last, while it is not known where that leads; 0: none */
	struct jit_site *site;
	int (*enter)(struct emu *e, const uint8_t *code);
	const uint8_t *leave, *execute, *miss[2][2], *cross, *revalidate, *check, *no_check, *save, *load[VECTORS_LEVELS], *load_x87; /* stubs.c; miss: of loads or stores, and of their groups */
	struct jit_counts counts;
};

/* In the words of struct jit_site: a place in the code, hot or cold, where it runs. */
static inline uint32_t jit_place(const struct jit *j, const uint8_t *code)
{
	return (uint32_t)(code - j->memory->runnable);
}

static inline uint32_t site_of_block(const struct emu *e, const struct block *b)
{
	return (uint32_t)(((const uint8_t *)b - e->code->memory) / BLOCK_ALIGN + 1);
}

/* NULL: none. */
static inline struct block *block_of_site(const struct emu *e, uint32_t block)
{
	return block ? (struct block *)(void *)(e->code->memory + (size_t)(block - 1) * BLOCK_ALIGN) : NULL;
}

/* What a translation depends on besides the block's own key: mode_key, and these; the units. */
enum {
	JIT_KEY_CPL3 = 1 << 16,
	JIT_KEY_CPL12 = 1 << 17,
	JIT_KEY_USER = 1 << 18, /* TAG_USER is in tlb_mask */
	JIT_KEY_SLOW = 1 << 19, /* and TAG_SLOW */
	JIT_KEY_SMAP = 1 << 20,
	JIT_KEY_FSGSBASE = 1 << 21,
	JIT_KEY_UNITS_SHIFT = 24,
};

static inline uint32_t jit_key(const struct emu *e)
{
	uint32_t key = e->mode_key | (uint32_t)e->units << JIT_KEY_UNITS_SHIFT;

	key |= e->cpl == 3 ? JIT_KEY_CPL3 : e->cpl ? JIT_KEY_CPL12 : 0;
	key |= (e->tlb_mask & TAG_USER ? JIT_KEY_USER : 0) | (e->tlb_mask & TAG_SLOW ? JIT_KEY_SLOW : 0);
	return key | (e->cpu.cr4 & CR4_SMAP ? JIT_KEY_SMAP : 0) | (e->cpu.cr4 & CR4_FSGSBASE ? JIT_KEY_FSGSBASE : 0);
}

/* The table of jumps for translations with that key. */
static inline unsigned jit_table_of(uint32_t key)
{
	return (key & JIT_KEY_CPL3 ? 0 : key & JIT_KEY_USER ? 2 : 1) + (key & MODE_KEY_DATA32 ? 3 : 0);
}

/* The number of a shared range; `bytes` of at most 8 * STACK_SPANS. */
static inline uint32_t stack_range(uint32_t key, bool write, unsigned slot, unsigned bytes)
{
	return 1 + ((jit_table_of(key) * 2 + write) * STACK_SLOTS + slot) * STACK_SPANS + (bytes - 1) / 8;
}
_Static_assert(STACK_KINDS == 2 * JIT_TABLES, "above");

/* ---- code (code.c) ---- */

struct code {
	uint8_t *p;	   /* writable */
	const uint8_t *at; /* the same byte where it runs */
	uint32_t n, room;
	bool failed; /* no room, or something that has no encoding */
};

static inline void put(struct code *c, const void *bytes, unsigned count)
{
	if (c->n + count > c->room) {
		c->failed = true;
		return;
	}
	memcpy(c->p + c->n, bytes, count);
	c->n += count;
}

static inline void put1(struct code *c, uint8_t v)
{
	put(c, &v, sizeof(v));
}

static inline void put4(struct code *c, uint32_t v)
{
	put(c, &v, sizeof(v));
}

static inline void put8(struct code *c, uint64_t v)
{
	put(c, &v, sizeof(v));
}

/* `opcode` with a 64-bit (wide) or 32-bit register and the field at [struct emu + disp]. */
void put_env(struct code *c, bool wide, uint8_t opcode, unsigned reg, int32_t disp);
/* The byte at [struct emu + disp] becomes v, or is compared with it. */
void put_byte(struct code *c, bool compare, int32_t disp, uint8_t v);
/* The same as put_env() with two registers, ModRM.rm `rm`. */
void put_regs(struct code *c, bool wide, uint8_t opcode, unsigned reg, unsigned rm);
/* opcode 81 /op with imm32, of a register. */
void put_imm(struct code *c, bool wide, unsigned op, unsigned rm, uint32_t imm);
void put_mov_imm(struct code *c, unsigned reg, uint64_t v);
/* Jumps with a distance of 32 bits: cc of Jcc, or -1 for JMP, or -2 for CALL. Returns where the distance stands. */
uint32_t put_jump(struct code *c, int cc, const uint8_t *to);
/* The jump whose distance stands at `where` goes here, or to `to`. */
void jump_here(struct code *c, uint32_t where);
/* Byte n goes on at `to`, which may be elsewhere. */
void jump_to(struct code *c, uint32_t where, const uint8_t *to);
/* An instruction with its operands in place. */
void put_insn(struct code *c, const struct insn *i);

enum { OP_ADD = 0x03, OP_SUB = 0x2b, OP_CMP = 0x3b, OP_XOR = 0x33, OP_AND = 0x23, OP_STORE = 0x89, OP_LOAD = 0x8b, OP_LEA = 0x8d, OP_TEST = 0x85 };

/* EFLAGS into the image, and back; S0 is lost, EFLAGS stay. */
void put_save_flags(struct code *c);
void put_restore_flags(struct code *c);

/* ---- the common code (stubs.c, vector.c, x87.c) ---- */

/* What the host has. */
enum vectors vectors_most(void);
void put_vectors_save(struct code *c);
void put_vectors_load(struct code *c, enum vectors level, const uint8_t *leave);
void put_vectors_to_memory(struct code *c, const uint8_t *leave);

/* The guest's x87 from the host's into the image, if it is there; and from the image to the host's. */
void put_x87_save(struct code *c);
void put_x87_restore(struct code *c);

/* False: no room. */
bool stubs_make(struct jit *j);

/* ---- running (run.c) ---- */

/* Called by translated code; NULL: it is to leave. */
const uint8_t *jit_execute(struct emu *e, uint32_t site);
/* The image into struct cpu, if the guest's x87 is there; the image from struct cpu. False: it cannot be the host's. */
void jit_x87_take(struct emu *e);
bool jit_x87_give(struct emu *e);
/* With j->checks: a range was hit at `linear`. Added to its number: by a store, by a part of a group whose range it is. */
enum { CHECK_STORES = JIT_RANGES, CHECK_MEMBER = 2 * JIT_RANGES };
void jit_check(struct emu *e, uint32_t what, uint64_t linear);
insn_handler h_jit;

/* ---- translating (translate.c) ---- */

bool translate(struct emu *e, struct block *b);

#endif
#endif
