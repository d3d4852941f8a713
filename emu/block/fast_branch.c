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
		*jump_slot(e->code, e->code_size, pc) = (struct jump_entry){ .pc = pc, .host = host, .block = b };
}

/* Words of the mode's own size: return addresses, pointers. */
#define CALLS(n, T, A)                                                                                                 \
	HANDLER(call_##n)                                                                                              \
	{                                                                                                              \
		T sp = (T)(e->cpu.gpr[RSP] - n);                                                                       \
		uint8_t *p = tlb_write_ptr(e, sp, n);                                                                  \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		store_##n(p, (T)(e->pc + i->off + i->len));                                               \
		e->cpu.gpr[RSP] = sp;                                                                                  \
		FOLLOW_FAR(e, i, 1);                                                                                   \
	}                                                                                                              \
	HANDLER(ret_##n)                                                                                               \
	{                                                                                                              \
		T sp = get_##n(e, RSP);                                                                                \
		const uint8_t *p = tlb_read_ptr(e, sp, n);                                                             \
		struct block *b;                                                                                       \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		b = block_at(e, n, load_##n(p));                                                                       \
		if (UNLIKELY(!b))                                                                                      \
			JUMP_MISS(e, i, load_##n(p));                                                                  \
		e->cpu.gpr[RSP] = (T)(sp + n + i->imm);                                                                \
		GO_TO_BLOCK(e, i, b);                                                                                  \
	}                                                                                                              \
	HANDLER(jmp_r_##n)                                                                                             \
	{                                                                                                              \
		struct block *b = block_at(e, n, get_##n(e, i->rm));                                                   \
                                                                                                                       \
		if (UNLIKELY(!b))                                                                                      \
			JUMP_MISS(e, i, get_##n(e, i->rm));                                                            \
		GO_TO_BLOCK(e, i, b);                                                                                  \
	}                                                                                                              \
	HANDLER(jmp_m_##n)                                                                                             \
	{                                                                                                              \
		const uint8_t *p = tlb_read_ptr(e, EA_##A(e, i), n);                                                   \
		struct block *b;                                                                                       \
                                                                                                                       \
		if (UNLIKELY(!p))                                                                                      \
			MISS(e, i);                                                                                    \
		b = block_at(e, n, load_##n(p));                                                                       \
		if (UNLIKELY(!b))                                                                                      \
			JUMP_MISS(e, i, load_##n(p));                                                                  \
		GO_TO_BLOCK(e, i, b);                                                                                  \
	}                                                                                                              \
	HANDLER(call_r_##n)                                                                                            \
	{                                                                                                              \
		struct block *b = block_at(e, n, get_##n(e, i->rm));                                                   \
		T sp = (T)(e->cpu.gpr[RSP] - n);                                                                       \
		uint8_t *p = tlb_write_ptr(e, sp, n);                                                                  \
                                                                                                                       \
		if (UNLIKELY(!b || !p))                                                                                \
			JUMP_MISS(e, i, get_##n(e, i->rm));                                                            \
		store_##n(p, (T)(e->pc + i->off + i->len));                                               \
		e->cpu.gpr[RSP] = sp;                                                                                  \
		GO_TO_BLOCK(e, i, b);                                                                                  \
	}                                                                                                              \
	HANDLER(call_m_##n)                                                                                            \
	{                                                                                                              \
		const uint8_t *q = tlb_read_ptr(e, EA_##A(e, i), n);                                                   \
		T sp = (T)(e->cpu.gpr[RSP] - n);                                                                       \
		uint8_t *p = tlb_write_ptr(e, sp, n);                                                                  \
		struct block *b;                                                                                       \
                                                                                                                       \
		if (UNLIKELY(!q || !p))                                                                                \
			MISS(e, i);                                                                                    \
		b = block_at(e, n, load_##n(q));                                                                       \
		if (UNLIKELY(!b))                                                                                      \
			JUMP_MISS(e, i, load_##n(q));                                                                  \
		store_##n(p, (T)(e->pc + i->off + i->len));                                               \
		e->cpu.gpr[RSP] = sp;                                                                                  \
		GO_TO_BLOCK(e, i, b);                                                                                  \
	}
CALLS(8, uint64_t, 1)
CALLS(4, uint32_t, 2)

static insn_handler *by_word(unsigned word, insn_handler *four, insn_handler *eight)
{
	return word == 8 ? eight : four;
}

insn_handler *fast_branch_handler(const struct emu *e, const struct insn *i, const struct link *l)
{
	const unsigned word = fast_word(e);

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
	if (word == 0 || i->asize != word || i->size != word || (i->is_mem && address_form(e, i) == ADDRESS_NONE))
		return NULL;
	switch (i->id) {
	case ISA_CALL_Jz:
		return by_word(word, call_4, call_8);
	case ISA_RET:
	case ISA_RET_Iw:
		return by_word(word, ret_4, ret_8);
	case ISA_JMP_Ev:
		return i->is_mem ? by_word(word, jmp_m_4, jmp_m_8) : by_word(word, jmp_r_4, jmp_r_8);
	case ISA_CALL_Ev:
		return i->is_mem ? by_word(word, call_m_4, call_m_8) : by_word(word, call_r_4, call_r_8);
	default:
		return NULL;
	}
}
