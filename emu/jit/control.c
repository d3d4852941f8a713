/* SPDX-License-Identifier: MIT */
/* The stack, calls, returns and computed jumps. */
#include "translate.h"

#ifdef HOST_X86_64

static bool is_wide(const struct tr *t)
{
	return t->word == 8;
}

static void put_store_imm(struct tr *t, uint64_t v)
{
	if ((int64_t)v == (int32_t)v || !is_wide(t)) {
		put_on_operand(t, ISA_MOV_Ev_Iz, t->word, 0, (uint64_t)(int64_t)(int32_t)v);
		return;
	}
	put_mov_imm(&t->c, S1, v);
	put_operand_move(t, true, S1, true);
}

void move_stack(struct tr *t, int32_t by)
{
	put(&t->c, is_wide(t) ? "\x4d\x8d\x80" : "\x45\x8d\x80", 3); /* LEA R8, [R8 + by] */
	put4(&t->c, (uint32_t)by);
}

/* What the stack grows by. */
static int32_t slot(const struct tr *t)
{
	return (int32_t)t->word;
}

bool is_of_stack(const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];

	return i->size >= 4 && (((r->sem == sem_int_push || r->sem == sem_int_pop) && !i->is_mem) || r->sem == sem_int_leave);
}

static void push(struct tr *t, unsigned k, const struct insn *i, const struct isa_row *r)
{
	const unsigned reg = r->op[0].kind == OPK_Z ? i->reg : i->rm;

	put_access_at(t, k, RSP, -slot(t), t->word, true);
	if (r->op[0].kind == OPK_I)
		put_store_imm(t, i->imm);
	else
		put_operand_move(t, true, host_register(t, reg, S1), is_wide(t));
	move_stack(t, -slot(t));
}

static void pop(struct tr *t, unsigned k, const struct insn *i, const struct isa_row *r)
{
	const unsigned reg = r->op[0].kind == OPK_Z ? i->reg : i->rm;

	put_access_at(t, k, RSP, 0, t->word, false);
	if (reg == RSP) {
		put_operand_move(t, false, HOST_RSP, is_wide(t));
		return;
	}
	put_operand_move(t, false, is_in_memory(reg) ? S1 : reg, is_wide(t));
	if (is_in_memory(reg))
		put_env(&t->c, true, OP_STORE, S1, GPR(reg));
	move_stack(t, slot(t));
}

static void leave(struct tr *t, unsigned k)
{
	put_access_at(t, k, RBP, 0, t->word, false);
	put(&t->c, is_wide(t) ? "\x4c\x8d\x45" : "\x44\x8d\x45", 3); /* LEA R8, [RBP + word] */
	put1(&t->c, (uint8_t)t->word);
	put_operand_move(t, false, RBP, is_wide(t));
}

bool stack_insn(struct tr *t, unsigned k, const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];

	if (r->sem == sem_int_push)
		push(t, k, i, r);
	else if (r->sem == sem_int_pop)
		pop(t, k, i, r);
	else
		leave(t, k);
	resume_here(t, k);
	return true;
}

/* ---- branches ---- */

bool is_of_branches(const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];

	return i->size >= 4 &&
	       (r->sem == sem_int_call || r->sem == sem_int_ret || r->sem == sem_int_jmp_ind || r->sem == sem_int_call_ind);
}

/*
 * The entry of the table of jumps for the address in S0 into S1; if it is another's, the block tier does the instruction. Flags are in
 * the image: saving them takes S0.
 */
static void put_lookup(struct tr *t, unsigned k)
{
	uint32_t site = new_site(t, SITE_INTERPRET, k);
	struct code *c = &t->c;

	if (!(t->flags & IN_IMAGE))
		c->failed = true;
	put_regs(c, false, OP_STORE, S0, S1);
	put_imm(c, false, 4, S1, JIT_JUMPS - 1);
	put(c, "\x49\xc1\xe2\x05", 4); /* SHL S1, 5 */
	_Static_assert(sizeof(struct jit_jump) == 32, "the shift");
	put_env(c, true, OP_ADD, S1, ENV(jumps));
	put(c, "\x4d\x3b\x0a", 3); /* CMP S0, [S1] */
	new_cold(t, COLD_LEAVE, put_jump(c, 5, NULL), site);
	t->flags = IN_IMAGE;
}

static void put_jump_to_entry(struct code *c)
{
	put(c, "\x41\xff\x62\x08", 4); /* JMP [S1 + 8] */
}

static void put_return_address(struct tr *t, const struct insn *i)
{
	put_store_imm(t, insn_end(t, i));
	move_stack(t, -slot(t));
}

static void ret(struct tr *t, unsigned k, const struct insn *i)
{
	need_image(t);
	put_access_at(t, k, RSP, 0, t->word, false);
	put_operand_move(t, false, S0, is_wide(t));
	put_lookup(t, k);
	move_stack(t, slot(t) + (int32_t)(i->imm & 0xffff));
	put_jump_to_entry(&t->c);
}

static void put_target(struct tr *t, unsigned k, const struct insn *i)
{
	need_image(t);
	if (i->is_mem) {
		put_access(t, k, i, t->word, false);
		put_operand_move(t, false, S0, is_wide(t));
		return;
	}
	if (!is_in_memory(i->rm))
		put_regs(&t->c, is_wide(t), OP_STORE, i->rm == RSP ? HOST_RSP : i->rm, S0);
	else
		host_register(t, i->rm, S0);
}

static void call_computed(struct tr *t, unsigned k, const struct insn *i)
{
	struct code *c = &t->c;

	put_target(t, k, i);
	put_lookup(t, k);
	put_env(c, true, OP_STORE, S1, ENV(saved[3]));
	put_access_at(t, k, RSP, -slot(t), t->word, true);
	put_return_address(t, i);
	put_env(c, true, OP_LOAD, S1, ENV(saved[3]));
	put(c, "\x4d\x8b\x0a", 3); /* MOV S0, [S1]: for the stub that looks */
	put_jump_to_entry(c);
}

bool branch(struct tr *t, unsigned k, const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];

	if (!is_branch(i) || (i->is_mem && i->asize != t->word))
		return false;
	if (r->sem == sem_int_call) {
		put_access_at(t, k, RSP, -slot(t), t->word, true);
		put_return_address(t, i);
		if (!is_followed(t))
			put_edge(t, -1, 1);
	} else if (r->sem == sem_int_ret) {
		ret(t, k, i);
	} else if (r->sem == sem_int_jmp_ind) {
		put_target(t, k, i);
		put_lookup(t, k);
		put_jump_to_entry(&t->c);
	} else {
		call_computed(t, k, i);
	}
	resume_here(t, k);
	return true;
}

#endif
