/* SPDX-License-Identifier: MIT */
/*
 * Groups of memory operands. Operands at constant distances from each other, the pushes of a function's start, the members of
 * a structure, need one check for all: their addresses are followed through additions of constants, and what lies within
 * a kilobyte is checked where the first of them stands. What a check found holds until C is called.
 */
#include "translate.h"

#ifdef HOST_X86_64

enum { SPAN_MAX = 1024, CONSTANT = 1 /* root of addresses that are known */ };

/* What is known of the guest's registers: each is some unknown value (`root`) + `off`. */
struct known {
	uint16_t root;
	int32_t off;
};

struct walk {
	struct known reg[GPR_COUNT];
	uint16_t roots; /* given out so far */
	uint16_t epoch; /* counts calls of C */
};

static void forget(struct walk *w, unsigned reg)
{
	w->reg[reg] = (struct known){ .root = ++w->roots };
}

static void forget_all(struct walk *w)
{
	for (unsigned n = 0; n < GPR_COUNT; n++)
		forget(w, n);
}

static void move(struct walk *w, unsigned reg, int64_t by)
{
	if (by != (int32_t)by || __builtin_add_overflow(w->reg[reg].off, (int32_t)by, &w->reg[reg].off))
		forget(w, reg);
}

/* ---- what an instruction does to addresses ---- */

static bool shifts_register(struct walk *w, const struct insn *i, const struct isa_row *r)
{
	if (i->size != 8 || i->is_mem || r->op[0].kind != OPK_E)
		return false;
	if (r->sem == sem_int_inc || r->sem == sem_int_dec)
		move(w, i->rm, r->sem == sem_int_inc ? 1 : -1);
	else if ((r->sem == sem_int_add || r->sem == sem_int_sub) && r->op[1].kind == OPK_I)
		move(w, i->rm, r->sem == sem_int_add ? (int64_t)i->imm : -(int64_t)i->imm);
	else
		return false;
	return true;
}

static bool copies_register(struct walk *w, const struct insn *i, const struct isa_row *r)
{
	if (i->size != 8 || i->is_mem || r->sem != sem_int_mov)
		return false;
	if (r->op[0].kind == OPK_E && r->op[1].kind == OPK_G)
		w->reg[i->rm] = w->reg[i->reg];
	else if (r->op[0].kind == OPK_G && r->op[1].kind == OPK_E)
		w->reg[i->reg] = w->reg[i->rm];
	else
		return false;
	return true;
}

static bool adds_to_register(struct walk *w, const struct insn *i, const struct isa_row *r)
{
	if (r->sem != sem_int_lea || i->size != 8 || i->asize != 8 || i->base < 0 || i->index != ADDR_NONE)
		return false;
	w->reg[i->reg] = w->reg[i->base];
	move(w, i->reg, i->disp);
	return true;
}

static void forget_written(struct walk *w, const struct insn *i)
{
	const uint32_t written = written_registers(i);

	for (unsigned n = 0; n < GPR_COUNT; n++)
		if (written >> n & 1)
			forget(w, n);
}

static void stack_moves(struct walk *w, const struct insn *i, const struct isa_row *r)
{
	if (r->sem == sem_int_leave) {
		w->reg[RSP] = w->reg[RBP];
		move(w, RSP, 8);
		forget(w, RBP);
		return;
	}
	move(w, RSP, r->sem == sem_int_push ? -8 : 8);
	if (r->sem == sem_int_pop)
		forget(w, r->op[0].kind == OPK_Z ? i->reg : i->rm);
}

static void step(struct walk *w, const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];

	if (r->sem == sem_stac || r->sem == sem_clac)
		w->epoch++; /* what is permitted changes */
	if (is_stack_insn(i)) {
		stack_moves(w, i, r);
	} else if (!is_translatable(i)) {
		w->epoch++;
		forget_all(w);
	} else if (moves_stack_besides(i)) {
		move(w, RSP, -8);
	} else if (!shifts_register(w, i, r) && !copies_register(w, i, r) && !adds_to_register(w, i, r)) {
		forget_written(w, i);
	}
}

/* ---- operands ---- */

/* A memory operand whose address is a known distance from something. */
struct operand {
	uint16_t root;
	int64_t at;
	unsigned bytes;
	bool write;
};

static bool stack_operand(const struct walk *w, const struct insn *i, struct operand *o)
{
	const struct isa_row *r = &isa_rows[i->id];
	const bool leaves = r->sem == sem_int_leave, pushes = r->sem == sem_int_push || r->sem == sem_int_call;
	const struct known *k = &w->reg[leaves ? RBP : RSP];

	if (!is_stack_insn(i) && !(is_branch(i) && (r->sem == sem_int_call || r->sem == sem_int_ret)))
		return false;
	*o = (struct operand){ .root = k->root, .at = (int64_t)k->off - (pushes ? 8 : 0), .bytes = 8, .write = pushes };
	return true;
}

static bool plain_operand(const struct tr *t, const struct walk *w, const struct insn *i, struct operand *o)
{
	const unsigned bytes = accessed_bytes(t, i, &o->write);

	if (!bytes || !is_simple(t, i))
		return false;
	o->bytes = bytes;
	if (i->base < 0) {
		o->root = CONSTANT;
		o->at = (int64_t)constant_address(t, i);
	} else {
		o->root = w->reg[i->base].root;
		o->at = (int64_t)w->reg[i->base].off + i->disp;
	}
	return true;
}

/* ---- groups ---- */

/* A part that is not always got to asks for no right to write that what comes before it has not. */
static bool joins(struct group *g, const struct operand *o, uint16_t epoch, unsigned part)
{
	const int64_t lo = o->at < g->lo ? o->at : g->lo, end = o->at + o->bytes, hi = end > g->hi ? end : g->hi;

	if (g->root != o->root || g->epoch != epoch || hi - lo > SPAN_MAX || (o->write && !g->write && part != g->part))
		return false;
	g->lo = lo;
	g->hi = hi;
	g->write |= o->write;
	g->members++;
	return true;
}

static uint8_t group_for(struct tr *t, const struct operand *o, uint16_t epoch, unsigned part)
{
	unsigned n = t->groups;

	while (n > 0 && !joins(&t->group[n - 1], o, epoch, part))
		n--;
	if (n > 0)
		return (uint8_t)n;
	t->group[t->groups++] = (struct group){
		.root = o->root,
		.epoch = epoch,
		.lo = o->at,
		.hi = o->at + o->bytes,
		.write = o->write,
		.part = (uint8_t)part,
		.members = 1,
	};
	return (uint8_t)t->groups;
}

void find_groups(struct tr *t)
{
	struct walk w = { .roots = CONSTANT };
	const bool grouped = !t->part[0].b->native_ungrouped && t->word == 8;
	unsigned part = 0;

	t->groups = 0;
	forget_all(&w);
	for (unsigned k = 0; k < t->count; k++) {
		struct operand o = { 0 };

		part += k == t->part[part].end;
		t->group_of[k] = 0;
		if (grouped && (stack_operand(&w, &t->insn[k], &o) || plain_operand(t, &w, &t->insn[k], &o))) {
			t->group_of[k] = group_for(t, &o, w.epoch, part);
			t->at[k] = o.at;
		}
		step(&w, &t->insn[k]);
	}
}

#endif
