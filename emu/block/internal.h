/* SPDX-License-Identifier: MIT */
/* Inside of the block tier: blocks of decoded instructions, the code cache, how handlers go from one to the next. */
#ifndef BULKHEAD_EMU_BLOCK_INTERNAL_H
#define BULKHEAD_EMU_BLOCK_INTERNAL_H

#include "block.h"
#include "emu/core/emu.h"
#include "emu/core/tlb.h"
#include "emu/native/memory.h"
#include "emu/sem/sem.h"

/*
 * A run of instructions that starts at one address and is executed from the top. After the last instruction
 * stands a struct link where a further instruction would be.
 *
 * A block lies in one page; only if its single instruction crosses a page boundary it has a second one (host2), and
 * then it is only ever entered by way of block_find(), which compares both translations.
 */
struct block {
	const uint8_t *host;  /* first byte: stands for the physical address */
	const uint8_t *host2; /* start of the second page, or NULL */
	uint64_t pc;	      /* RIP of the first byte */
	uint32_t key;	      /* e->mode_key that it was made for */
	uint16_t bytes;	      /* of guest code */
	uint8_t count;	      /* instructions */
	uint32_t size;	      /* of this structure, to walk the cache */
	struct block *hash_next, *page_next[2];
	/* The translation (jit/): entries for flags in the host's EFLAGS and in e->flags_image; where these lead once the block is
	 * dead; which of them costs less. NULL: there is none. */
	insn_handler *first; /* of insns[0], which may have become h_count or that of the translation */
	const uint8_t *native[2], *native_dead[2];
	uint32_t native_key, heat; /* entries until it is hot */
	uint32_t incoming;	   /* jumps of other translations that go straight to this one: a list of the translator */
	uint32_t inlined;	   /* and translations that go on with this block, without a jump */
	uint8_t native_likes;
	bool native_ungrouped;	 /* groups of operands did not pay */
	uint16_t native_misses;	 /* of groups */
	struct insn insns[];
};

struct link {
	insn_handler *fn;    /* for blocks that do not end in a branch */
	struct block *to[2]; /* where a direct branch goes: not taken, taken; NULL: not linked yet */
	int32_t count;	     /* instructions of the block */
	uint32_t end;	     /* bytes of the block: offset of the next instruction */
	bool cross[2];	     /* the target is in another page: its translation is checked on each entry */
};

_Static_assert(sizeof(struct link) <= sizeof(struct insn), "a link takes the place of an instruction");

static inline struct link *block_link(const struct block *b)
{
	return (struct link *)(uintptr_t)&b->insns[b->count];
}

enum { BLOCK_MAX_INSNS = 48, BLOCK_ALIGN = 16, BLOCK_BUCKETS = 1 << 17, JUMP_ENTRIES = 1024 };

/* Where computed jumps and returns of 64-bit code went: the block for a RIP, while its page still leads to `host`. */
struct jump_entry {
	uint64_t pc;
	const uint8_t *host;
	struct block *block; /* NULL: none */
};

struct code_cache {
	uint8_t *memory;
	size_t bytes;
	struct halves at; /* of them */
	struct native_memory native; /* the host's forms of instructions in blocks; forgotten with them */
	struct block **page_blocks; /* per RAM page */
	uint64_t generation;	    /* counts turns: pointers to blocks do not outlive one */
	struct block **patch;	    /* the link that led to the address in RIP and may be set to the block found there */
	const struct insn *next;    /* builds without tail calls: what to run next */
	uint32_t threshold;	    /* entries of a block before it is translated; 0: never */
	bool full;		    /* nothing more can be translated before a turn */
	struct block *bucket[BLOCK_BUCKETS];
	struct jump_entry jump[2][JUMP_ENTRIES]; /* of 64-bit code, and of 32-bit code with MODE_KEY_DATA32 */
};

enum { HALF_LEAST = 64 << 10 /* bytes: smaller halves would be turned all the time */ };

/* ---- code cache ---- */

/* The memory of an empty cache in halves, all of it or none, behind what its native memory holds already. */
void block_halve(struct code_cache *c);

/* Does it lie in the older half, which the next turn forgets? */
static inline bool block_is_left(const struct code_cache *c, const struct block *b)
{
	return halves_are_left(&c->at, (size_t)((const uint8_t *)b - c->memory));
}

static inline unsigned block_hash(const uint8_t *host)
{
	uintptr_t h = (uintptr_t)host;

	return (unsigned)(h ^ h >> 13) & (BLOCK_BUCKETS - 1);
}

static inline struct jump_entry *jump_slot(struct code_cache *c, unsigned word, uint64_t pc)
{
	return &c->jump[word != 8][(pc ^ pc >> 10) & (JUMP_ENTRIES - 1)];
}

/*
 * The block at RIP, from the cache or newly decoded. NULL: none can be had, because the first instruction faults or
 * lies outside RAM: the single-step tier has to run it.
 */
struct block *block_find(struct emu *e);
/* Decodes a block at RIP, which is `linear` and lies at `host`, and enters it into the cache; NULL as above. */
struct block *block_build(struct emu *e, uint64_t linear, const uint8_t *host);
/* Enters a finished block at the end of the cache's memory. */
void block_enter(struct emu *e, struct block *b);
uint64_t block_fetch_linear(const struct emu *e, uint64_t pc);

/* The handler of the block tier for a decoded instruction (fast.c), which it may rewrite; NULL: the generic one. */
insn_handler *fast_handler(const struct emu *e, struct insn *i);
/* For the last instruction of a block. */
insn_handler *fast_branch_handler(const struct emu *e, const struct insn *i, const struct link *l);

/* For two instructions that push or pop; NULL: no. */
insn_handler *fast_stack_pair(const struct insn *i);
/* Gives instructions whose flags nobody can see handlers that do not compute them. */
void fast_drop_dead_flags(struct insn *insns, unsigned count);
/* For a compare or test that has a fast handler, together with the conditional branch behind it that has one, too. */
insn_handler *fast_fused(const struct emu *e, const struct insn *i, const struct insn *branch);

/* ---- handlers ---- */

insn_handler h_generic, h_end, h_dead, h_count;
/* The code of the block changed: it is not to be entered any more, and entering it looks for its successor. */
static inline bool block_is_dead(const struct block *b)
{
	return b->insns[0].fn == h_dead;
}
/* Leaves the block behind (r == 0 or a jump) or at (a fault) instruction i: RIP, budget. */
void block_leave(struct emu *e, const struct insn *i, int r);

#if defined(__has_attribute)
#if __has_attribute(musttail)
#define EMU_MUSTTAIL __attribute__((musttail))
#endif
#endif
#ifndef EMU_MUSTTAIL
#define EMU_MUSTTAIL
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define EMU_NO_TAILCALL 1
#endif
#endif
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EMU_NO_TAILCALL 1
#endif

/* Goes on with instruction `n`: the last thing a handler does. Without sibling calls it returns to a loop instead. */
#ifdef EMU_NO_TAILCALL
#define GO(e, n)                                                                                                       \
	do {                                                                                                           \
		(e)->code->next = (n);                                                                               \
		return;                                                                                                \
	} while (0)
#define TAIL(call) return (call)
#else
/* The empty asm keeps the compiler from loading the handler relative to the old instruction: two moves less each time. */
#define GO(e, n)                                                                                                       \
	do {                                                                                                           \
		const struct insn *go_ = (n);                                                                          \
		__asm__("" : "+r"(go_));                                                                               \
		EMU_MUSTTAIL return go_->fn((e), go_);                                                                 \
	} while (0)
#define TAIL(call) EMU_MUSTTAIL return (call)
#endif
#define NEXT(e, i) GO(e, (i) + 1)

/* ---- the host's MXCSR: see fast_simd.h ---- */

/* Puts the guest's flags from the host's MXCSR where they belong, and the host's own MXCSR back. */
void mxcsr_sync(struct emu *e);
insn_handler h_mxcsr_load;

#endif
