/* SPDX-License-Identifier: MIT */
/* Between the files that translate: a block under translation. */
#ifndef BULKHEAD_EMU_JIT_TRANSLATE_H
#define BULKHEAD_EMU_JIT_TRANSLATE_H

#include "internal.h"
#include "emu/isa/isa.h"

#ifdef HOST_X86_64

enum {
	PARTS_MAX = 6,
	COLD_MAX = 4 * BLOCK_MAX_INSNS,
	SITES_MAX = 2 * COLD_MAX,
	CODE_MAX = 32768, /* bytes of one translation */
};

/* What an instruction does with EFLAGS first. */
enum event {
	EVENT_NONE,
	EVENT_SETS,	/* sets all of the guest's */
	EVENT_READS,	/* needs them, or changes some */
	EVENT_CLOBBERS, /* a check, or a call of C */
};

enum cold_kind { COLD_MISS, COLD_EXECUTE, COLD_LINK, COLD_CROSS, COLD_RESUME, COLD_VECTORS, COLD_X87, COLD_SECOND, COLD_LEAVE };

/* What stands behind the block's code, jumped to from it. */
struct cold {
	uint32_t from; /* where the distance of that jump stands */
	uint32_t site; /* COLD_MISS: that the range is to name, if it is shared, or 0 */
	uint32_t range; /* COLD_MISS, COLD_SECOND */
	uint32_t back;
	uint8_t kind, level; /* level: enum vectors that is needed */
	bool write, grouped; /* COLD_MISS */
	bool save; /* flags are in EFLAGS alone */
	uint8_t recipe; /* whose flags are made first, + 1 */
	bool restores; /* COLD_RESUME: flags to EFLAGS */
	bool x87; /* COLD_RESUME: is to be loaded */
	uint32_t to_leave; /* COLD_RESUME: site by which to leave if that cannot be */
};

/* Memory operands with one check (group.c): [lo, hi) from an unknown value `root`. */
struct group {
	uint16_t root, epoch;
	int64_t lo, hi;
	bool write, checked;
	uint8_t part;
	uint8_t members;
	uint32_t range; /* when it has been checked */
};

/* A translation is made of one block, or of several of one page that mostly follow each other. */
struct part {
	struct block *b;
	uint8_t first, end; /* instructions */
	uint8_t side;	    /* of its link by which the next part is reached */
	uint32_t inlined;   /* b->inlined before this translation */
};

struct tr {
	struct emu *e;
	struct jit *j;
	struct part part[PARTS_MAX];
	unsigned parts, now; /* parts[now] is put */
	struct block *b; /* of it */
	const struct link *link;
	unsigned first;	 /* its first instruction */
	uint64_t pc;	 /* of the first block: `off` of an instruction counts from there */
	unsigned word;	 /* mode_word() of all of them */
	unsigned count;	 /* instructions of all parts */
	struct code c;	 /* where code is put now */
	struct code hot; /* when that is the cold part: the other one */
	uint8_t flags; /* enum flags_at */
	uint8_t recipe; /* IN_RECIPE: the instruction whose they are */
	uint8_t setter; /* IN_HOST: the instruction that set them, + 1, if it has a recipe */
	uint8_t vectors; /* enum vectors that is certain here */
	bool x87; /* it is certainly live */
	bool narrow; /* the block has EVEX instructions that the host has not */
	uint8_t fip_owed; /* the x87 instruction whose address has to be noted, + 1 */
	bool charged;
	uint32_t key; /* jit_key() here: STAC and CLAC change it within a block */
	struct { /* of the memory operand, on the host */
		int8_t base, index;
		int32_t disp;
	} ea;
	struct group group[BLOCK_MAX_INSNS];
	unsigned groups;
	unsigned stack_groups; /* those that have shared ranges */
	uint8_t group_of[BLOCK_MAX_INSNS]; /* of the instruction's operand, + 1; 0: none */
	int64_t at[BLOCK_MAX_INSNS];	   /* and where in it */
	const uint8_t *stub; /* the cold part that is being put */
	uint32_t entry[2], dead[2];
	struct insn insn[BLOCK_MAX_INSNS];
	uint8_t event[BLOCK_MAX_INSNS]; /* enum event */
	bool quiet[BLOCK_MAX_INSNS]; /* changes some flags, which die */
	bool careful;		     /* none is taken for quiet */
	bool rewritten[BLOCK_MAX_INSNS]; /* what the block has differs: only its handlers may run it */
	struct cold cold[COLD_MAX];
	unsigned colds;
	uint32_t first_site;
};

#define RANGE(site, field) ((int32_t)(ENV(range) + (site) * sizeof(struct range) + offsetof(struct range, field)))

/* The address of an instruction, and of what follows it. */
uint64_t insn_pc(const struct tr *t, const struct insn *i);
uint64_t insn_end(const struct tr *t, const struct insn *i);
uint32_t new_site(struct tr *t, enum site_kind kind, unsigned insn);
uint32_t new_range(struct tr *t, uint32_t site, unsigned last);
/* Byte n of the translation, in the words of struct jit_site. */
uint32_t code_place(const struct tr *t, uint32_t n);
struct cold *new_cold(struct tr *t, enum cold_kind kind, uint32_t from, uint32_t site);
/* In front of what clobbers EFLAGS in instruction k, and behind it. */
void may_clobber(struct tr *t, unsigned k);
void clobbered(struct tr *t);
/* In front of what leaves translated code. */
void need_image(struct tr *t);
void need_host(struct tr *t, bool keep_s0);
void put_edge(struct tr *t, int cc, unsigned side);
/* What follows the part that is put is the next one. */
bool is_followed(const struct tr *t);

/* ---- instructions (copy.c) ---- */

/* What kind of instruction it is, for the translator; those of t->insn[] say so in `native`. */
enum insn_class {
	CLASS_OTHER = 1, /* goes to C */
	CLASS_STACK,
	CLASS_BRANCH, /* call, return, computed jump */
	CLASS_JUMP,   /* direct */
	CLASS_VECTOR,
	CLASS_OPMASK, /* where the host has none */
	CLASS_X87,
	CLASS_SYSTEM,
	CLASS_DIVIDE,
	CLASS_COPIED,
};

enum insn_class classify(const struct insn *i);

static inline enum insn_class class_of(const struct insn *i)
{
	return i->native ? (enum insn_class)i->native : classify(i);
}

static inline bool is_translatable(const struct insn *i)
{
	return class_of(i) != CLASS_OTHER;
}

/* BT, BTS, BTR, BTC. */
bool is_bit_test(const struct isa_row *r);
enum event copy_event(const struct insn *i);
/* The instruction in host code. False: it has none, and nothing was put. */
bool copy(struct tr *t, unsigned k, const struct insn *i);

/* Guest registers of one instruction that stand in scratch registers meanwhile. */
struct scratch {
	uint8_t guest[2], host[2];
	bool written[2];
	unsigned count, room;
};

/* The instruction with its memory operand at t->ea. */
struct insn hosted(const struct tr *t, const struct insn *i);
/* And when t->ea has become another one. */
void at_operand(const struct tr *t, struct insn *h);
/* General registers become the host's. False: there are not enough scratch registers. */
bool rename_registers(struct insn *h, const struct isa_row *r, struct scratch *s);
/* Can be encoded so. */
bool fits(const struct insn *h);
void load_scratch(struct tr *t, const struct scratch *s);
void store_scratch(struct tr *t, const struct scratch *s);

/* ---- vectors (vector.c) ---- */

bool is_of_vectors(const struct insn *i);
static inline bool is_vector(const struct insn *i)
{
	return class_of(i) == CLASS_VECTOR;
}
/* Sets t->narrow. */
void find_narrow(struct tr *t);
/* Of its memory operand, and whether that is written; 0: none. */
unsigned vector_bytes(const struct tr *t, const struct insn *i, bool *write);
bool vector_insn(struct tr *t, unsigned k, const struct insn *i);
void put_vectors_check(struct code *c, enum vectors level, uint32_t *from);

/* ---- opmasks (opmask.c) ---- */

bool is_of_opmasks(const struct insn *i);
bool opmask_insn(struct tr *t, unsigned k, const struct insn *i);

/* ---- x87 (x87.c) ---- */

bool is_of_x87(const struct insn *i);
static inline bool is_x87(const struct insn *i)
{
	return class_of(i) == CLASS_X87;
}
/* Of its memory operand, and whether that is written; 0: none. */
unsigned x87_bytes(const struct tr *t, const struct insn *i, bool *write);
bool x87_insn(struct tr *t, unsigned k, const struct insn *i);
/* In front of instruction k, or of the block's end: FIP is noted, unless k does that before anybody can look. S0 is lost. */
void settle_fip(struct tr *t, unsigned k);

/* ---- flags that can be had again (recipe.c) ---- */

/* General registers that the instruction may change: a bit for each. */
uint32_t written_registers(const struct insn *i);
bool has_recipe(const struct insn *i);
bool recipe_lasts(const struct tr *t, unsigned s, unsigned k);
void put_recipe(struct tr *t, unsigned s);

/* ---- control (control.c) ---- */

bool is_of_stack(const struct insn *i);
static inline bool is_stack_insn(const struct insn *i)
{
	return class_of(i) == CLASS_STACK;
}
bool stack_insn(struct tr *t, unsigned k, const struct insn *i);
/* Calls, returns, computed jumps. */
bool is_of_branches(const struct insn *i);
static inline bool is_branch(const struct insn *i)
{
	return class_of(i) == CLASS_BRANCH;
}
bool branch(struct tr *t, unsigned k, const struct insn *i);

/* LEA R8, [R8 + by]: flags stay. */
void move_stack(struct tr *t, int32_t by);

/* ---- of kernels (system.c) ---- */

bool is_of_system(const struct insn *i);
static inline bool is_system(const struct insn *i)
{
	return class_of(i) == CLASS_SYSTEM;
}
bool is_bit_string(const struct insn *i);
/* It pushes, and is no is_stack_insn(). */
bool moves_stack_besides(const struct insn *i);
bool system_insn(struct tr *t, unsigned k, const struct insn *i);

/* ---- memory (memory.c) ---- */

/* Makes t->ea the host's address of the memory operand, after a check of `bytes` there. It may need S0; S1 is lost. */
void put_access(struct tr *t, unsigned k, const struct insn *i, unsigned bytes, bool write);
/* The same for what lies at a guest register + disp. */
void put_access_at(struct tr *t, unsigned k, unsigned reg, int32_t disp, unsigned bytes, bool write);
/* The same for the address in S0, after may_clobber(). */
void put_access_here(struct tr *t, unsigned k, const struct insn *i, unsigned bytes, bool write);
/* An instruction of ours, of `size` bytes, with the operand, a register of the host and an immediate, as far as it has them. */
void put_on_operand(struct tr *t, enum isa_id id, unsigned size, unsigned reg, uint64_t imm);
/* That address into S0, which is the operand then. */
void put_address(struct tr *t);
/* MOV of 64 or 32 bits between the operand and a register of the host. */
void put_operand_move(struct tr *t, bool store, unsigned reg, bool wide);
/* Bytes of the memory operand that an instruction of copy.c or vector.c accesses, and how; 0: none. */
unsigned accessed_bytes(const struct tr *t, const struct insn *i, bool *write);
/* Its address is a register, or a constant that fits, and a displacement. */
bool is_simple(const struct tr *t, const struct insn *i);
uint64_t constant_address(const struct tr *t, const struct insn *i);
void find_groups(struct tr *t);
/* The calls of C of instruction k, which is done, come back here. */
void resume_here(struct tr *t, unsigned k);
/* The address without segment base into `to`. False: not possible. */
void put_effective(struct tr *t, const struct insn *i, unsigned to, unsigned size);
/* The host's register for a guest's; what lives in memory is loaded into `scratch`. */
unsigned host_register(struct tr *t, unsigned guest, unsigned scratch);
static inline bool is_in_memory(unsigned guest)
{
	return guest >= R8 && guest <= R11;
}

#endif
#endif
