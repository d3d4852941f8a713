/* SPDX-License-Identifier: MIT */
/* Fast handlers: branches, calls and returns, compare or test fused with the conditional branch behind it. */
#include "fast.h"
#include "emu/isa/isa.h"

static void leave_by(struct emu *e, const struct insn *j, unsigned k, uint64_t pc)
{
	struct link *l = (struct link *)(uintptr_t)(j + 1);

	e->cpu.rip = e->code_size == 8 ? pc : (uint32_t)pc;
	e->code->patch = &l->to[k];
}

void h_leave_0(struct emu *e, const struct insn *j)
{
	leave_by(e, j, 0, e->pc + j->off + j->len);
}

void h_leave_1(struct emu *e, const struct insn *j)
{
	leave_by(e, j, 1, e->pc + j->off + j->len + j->imm);
}

#define CROSS(k)                                                                                                       \
	void h_cross_##k(struct emu *e, const struct insn *j)                                                          \
	{                                                                                                              \
		struct block *b = ((const struct link *)(j + 1))->to[k];                                               \
                                                                                                                       \
		if (UNLIKELY(tlb_fetch_ptr(e, b->pc) != b->host))                                                      \
			TAIL(h_leave_##k(e, j));                                                                       \
		ENTER(e, b);                                                                                           \
	}
CROSS(0)
CROSS(1)

HANDLER(jmp)
{
	FOLLOW_FAR(e, i, 1);
}

#define JCC(cc)                                                                                                        \
	HANDLER(jcc_##cc)                                                                                              \
	{                                                                                                              \
		if (flags_condition(e->flags_image, cc))                                                                  \
			FOLLOW(e, i, 1);                                                                               \
		FOLLOW(e, i, 0);                                                                                       \
	}
#define ALL_CC(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15)
ALL_CC(JCC)
#define JCC_ENTRY(cc) jcc_##cc,
static insn_handler *const conditional[16] = { ALL_CC(JCC_ENTRY) };

HANDLER(call)
{
	uint64_t sp = e->cpu.gpr[RSP] - 8;
	uint8_t *p = tlb_write_ptr(e, sp, 8);

	if (UNLIKELY(!p))
		MISS(e, i);
	store_8(p, e->pc + i->off + i->len);
	e->cpu.gpr[RSP] = sp;
	FOLLOW_FAR(e, i, 1);
}

/* To a computed address: the budget is charged, and the block entered if it is at hand. Otherwise the generic handler
 * runs the whole instruction, with all its checks, and the run loop finds the block. */
#define GO_TO_BLOCK(e, i, b)                                                                                           \
	do {                                                                                                           \
		(e)->budget -= ((const struct link *)((i) + 1))->count;                                                \
		if (UNLIKELY((e)->budget < 0)) {                                                                       \
			(e)->cpu.rip = (b)->pc;                                                                        \
			(e)->code->patch = NULL;                                                                     \
			return;                                                                                        \
		}                                                                                                      \
		ENTER((e), (b));                                                                                       \
	} while (0)

/* The generic way is long: afterwards the block is at hand, unless it does not exist yet. */
void note_jump(struct emu *e, uint64_t pc)
{
	const uint8_t *host = tlb_fetch_ptr(e, pc);
	struct block *b = host ? e->code->bucket[block_hash(host)] : NULL;

	if (b && b->host == host && b->pc == pc && b->key == e->mode_key && !b->host2)
		*jump_slot(e->code, pc) = (struct jump_entry){ .pc = pc, .host = host, .block = b };
}

HANDLER(ret)
{
	uint64_t sp = e->cpu.gpr[RSP];
	const uint8_t *p = tlb_read_ptr(e, sp, 8);
	struct block *b;

	if (UNLIKELY(!p))
		MISS(e, i);
	b = block_at(e, load_8(p));
	if (UNLIKELY(!b))
		JUMP_MISS(e, i, load_8(p));
	e->cpu.gpr[RSP] = sp + 8 + i->imm;
	GO_TO_BLOCK(e, i, b);
}

HANDLER(jmp_r)
{
	struct block *b = block_at(e, e->cpu.gpr[i->rm]);

	if (UNLIKELY(!b))
		JUMP_MISS(e, i, e->cpu.gpr[i->rm]);
	GO_TO_BLOCK(e, i, b);
}

HANDLER(jmp_m)
{
	const uint8_t *p = tlb_read_ptr(e, EA_1(e, i), 8);
	struct block *b;

	if (UNLIKELY(!p))
		MISS(e, i);
	b = block_at(e, load_8(p));
	if (UNLIKELY(!b))
		JUMP_MISS(e, i, load_8(p));
	GO_TO_BLOCK(e, i, b);
}

HANDLER(call_r)
{
	struct block *b = block_at(e, e->cpu.gpr[i->rm]);
	uint64_t sp = e->cpu.gpr[RSP] - 8;
	uint8_t *p = tlb_write_ptr(e, sp, 8);

	if (UNLIKELY(!b || !p))
		JUMP_MISS(e, i, e->cpu.gpr[i->rm]);
	store_8(p, e->pc + i->off + i->len);
	e->cpu.gpr[RSP] = sp;
	GO_TO_BLOCK(e, i, b);
}

HANDLER(call_m)
{
	const uint8_t *q = tlb_read_ptr(e, EA_1(e, i), 8);
	uint64_t sp = e->cpu.gpr[RSP] - 8;
	uint8_t *p = tlb_write_ptr(e, sp, 8);
	struct block *b;

	if (UNLIKELY(!q || !p))
		MISS(e, i);
	b = block_at(e, load_8(q));
	if (UNLIKELY(!b))
		JUMP_MISS(e, i, load_8(q));
	store_8(p, e->pc + i->off + i->len);
	e->cpu.gpr[RSP] = sp;
	GO_TO_BLOCK(e, i, b);
}

insn_handler *fast_branch_handler(const struct emu *e, const struct insn *i, const struct link *l)
{
	if (!(e->mode_key & MODE_KEY_FLAT))
		return NULL;
	if (e->code_size == 8 || (e->code_size == 4 && i->size == 4)) {
		if (i->id >= ISA_JO_Jb && i->id <= ISA_JNLE_Jb)
			return conditional[i->id - ISA_JO_Jb];
		if (i->id >= ISA_JO_Jz && i->id <= ISA_JNLE_Jz)
			return conditional[i->id - ISA_JO_Jz];
		if (i->id == ISA_JMP_Jb || i->id == ISA_JMP_Jz)
			return jmp;
	}
	if (e->code_size != 8 || i->asize != 8)
		return NULL;
	switch (i->id) {
	case ISA_CALL_Jz:
		return call;
	case ISA_RET: case ISA_RET_Iw:
		return ret;
	case ISA_JMP_Ev:
		return i->is_mem ? jmp_m : jmp_r;
	case ISA_CALL_Ev:
		return i->is_mem ? call_m : call_r;
	default:
		return NULL;
	}
}
