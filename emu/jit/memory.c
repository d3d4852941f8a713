/* SPDX-License-Identifier: MIT */
/*
 * Memory operands. Each, or each group of them (group.c), has a range of guest addresses that it may reach (struct range): a
 * check of four instructions, flags saved before. On a miss the TLB fills the range (stubs.c), or C executes the instruction.
 */
#include "translate.h"

#ifdef HOST_X86_64

unsigned host_register(struct tr *t, unsigned guest, unsigned scratch)
{
	if (guest == RSP)
		return HOST_RSP;
	if (!is_in_memory(guest))
		return guest;
	put_env(&t->c, true, OP_LOAD, scratch, GPR(guest));
	return scratch;
}

uint64_t constant_address(const struct tr *t, const struct insn *i)
{

	if (i->base == ADDR_NONE)
		return (uint64_t)(int64_t)i->disp;
	return (i->scale == INSN_DISP_FROM_END ? insn_pc(t, i) + i->len : t->pc) + (uint64_t)(int64_t)i->disp;
}

void put_effective(struct tr *t, const struct insn *i, unsigned to, unsigned size)
{
	const bool wide = size == 8 && i->asize == 8;
	struct insn lea = { .id = ISA_LEA, .asize = 8, .is_mem = 1, .base = ADDR_NONE, .index = ADDR_NONE };

	if (i->base == ADDR_PC) {
		put_mov_imm(&t->c, to, wide ? constant_address(t, i) : (uint32_t)constant_address(t, i));
		return;
	}
	lea.size = wide ? 8 : 4;
	lea.prefixes = wide ? PFX_REX_W : 0;
	lea.reg = (uint8_t)to;
	lea.disp = i->disp;
	lea.scale = i->scale;
	if (i->base != ADDR_NONE)
		lea.base = (int8_t)host_register(t, (unsigned)i->base, S0);
	if (i->index != ADDR_NONE)
		lea.index = (int8_t)host_register(t, (unsigned)i->index, S1);
	put_insn(&t->c, &lea);
}

/* ---- checks ---- */

/* Tells jit_check() of an access at the guest's address in S0. */
static void put_told(struct tr *t, uint32_t what)
{
	put_mov_imm(&t->c, S1, what);
	put(&t->c, "\xff\x94\x24", 3); /* CALL [RSP + told] */
	put4(&t->c, (uint32_t)ENV(told));
}

static bool is_far(unsigned seg)
{
	return seg == SEG_FS || seg == SEG_GS;
}

static bool is_on_stack(const struct insn *i)
{
	return i->base == RSP && i->index == ADDR_NONE && !is_far(i->seg);
}

/* For an operand, or a group of them. What is shared does not know of alignment checks and breakpoints. */
static uint32_t choose_range(struct tr *t, const struct insn *i, uint32_t site, unsigned bytes, bool write, bool grouped)
{
	if (!is_on_stack(i) || (t->key & JIT_KEY_SLOW) || bytes > 8 * STACK_SPANS ||
	    (grouped && t->stack_groups + 1 == STACK_SLOTS))
		return new_range(t, site, bytes - 1);
	return stack_range(t->key, write, grouped ? ++t->stack_groups : 0, bytes);
}

/* That what lies at the guest's address in S0 is in the range, which leaves what it is from the range's base on in S0. */
static void put_check(struct tr *t, uint32_t range, uint32_t site, bool write, bool grouped)
{
	struct code *c = &t->c;
	struct cold *cold;

	put_env(c, true, OP_SUB, S0, RANGE(range, base));
	put_env(c, true, OP_CMP, S0, RANGE(range, len));
	cold = new_cold(t, COLD_MISS, put_jump(c, 3, NULL), range > STACK_RANGES ? 0 : site); /* JAE */
	cold->range = range;
	cold->back = c->n;
	cold->write = write;
	cold->grouped = grouped;
	if (t->j->checks) {
		put_env(c, true, OP_ADD, S0, RANGE(range, base));
		put_told(t, range | (write ? CHECK_STORES : 0));
		put_env(c, true, OP_SUB, S0, RANGE(range, base));
	}
	clobbered(t);
}

bool is_simple(const struct tr *t, const struct insn *i)
{
	if (!i->is_mem || i->index != ADDR_NONE || i->asize != 8 || is_far(i->seg))
		return false;
	return i->base >= 0 || (int64_t)constant_address(t, i) == (int32_t)constant_address(t, i);
}

/* The operand by the distance that its range has between the guest's and the host's addresses: its check is not waited for. */
static void put_by_delta(struct tr *t, const struct insn *i, uint32_t range)
{
	const bool constant = i->base < 0, in_memory = !constant && is_in_memory((unsigned)i->base);

	put_env(&t->c, true, OP_LOAD, S0, RANGE(range, delta));
	if (constant) {
		t->ea.base = S0;
		t->ea.index = ADDR_NONE;
		t->ea.disp = (int32_t)constant_address(t, i);
		return;
	}
	t->ea.base = (int8_t)host_register(t, (unsigned)i->base, S1);
	t->ea.index = S0;
	t->ea.disp = i->disp;
	if (in_memory)
		put_address(t);
}

void put_on_operand(struct tr *t, enum isa_id id, unsigned size, unsigned reg, uint64_t imm)
{
	put_insn(&t->c, &(struct insn){ .id = (uint16_t)id,
					.size = size & 15,
					.asize = 8,
					.is_mem = 1,
					.base = t->ea.base,
					.index = t->ea.index,
					.disp = t->ea.disp,
					.reg = (uint8_t)reg,
					.imm = imm,
					.prefixes = size == 8 ? PFX_REX_W : 0 });
}

void put_address(struct tr *t)
{
	if (t->ea.base == S0 && t->ea.index == ADDR_NONE && t->ea.disp == 0)
		return;
	put_on_operand(t, ISA_LEA, 8, S0, 0);
	t->ea.base = S0;
	t->ea.index = ADDR_NONE;
	t->ea.disp = 0;
}

void put_operand_move(struct tr *t, bool store, unsigned reg, bool wide)
{
	put_on_operand(t, store ? ISA_MOV_Ev_Gv : ISA_MOV_Gv_Ev, wide ? 8 : 4, reg, 0);
}

/* The check of a whole group, at its first member: from there to where the group begins. */
static void put_group_check(struct tr *t, unsigned k, const struct insn *i, struct group *g)
{
	struct insn first = *i;
	const uint32_t site = new_site(t, SITE_INTERPRET, k);

	t->j->site[site].groups = true;
	t->j->site[site].linked = site_of_block(t->e, t->part[0].b);
	may_clobber(t, k);
	first.disp = (int32_t)((int64_t)i->disp + (g->lo - t->at[k]));
	put_effective(t, &first, S0, 8);
	g->range = choose_range(t, i, site, (unsigned)(g->hi - g->lo), g->write, true);
	put_check(t, g->range, site, g->write, true);
	g->checked = true;
}

/* The segment's base is added to the address in S0. */
static uint32_t put_linear_check(struct tr *t, unsigned k, const struct insn *i, unsigned bytes, bool write)
{
	const uint32_t site = new_site(t, SITE_EXECUTE, k), range = choose_range(t, i, site, bytes, write, false);

	if (is_far(i->seg))
		put_env(&t->c, true, OP_ADD, S0, (int32_t)(offsetof(struct emu, seg_base) + i->seg * sizeof(uint64_t)));
	put_check(t, range, site, write, false);
	return range;
}

static void operand_in_range(struct tr *t, uint32_t range)
{
	put_env(&t->c, true, OP_ADD, S0, RANGE(range, base));
	put_env(&t->c, true, OP_ADD, S0, RANGE(range, delta));
	t->ea.base = S0;
	t->ea.index = ADDR_NONE;
	t->ea.disp = 0;
}

void put_access_here(struct tr *t, unsigned k, const struct insn *i, unsigned bytes, bool write)
{
	operand_in_range(t, put_linear_check(t, k, i, bytes, write));
}

static void put_alone(struct tr *t, unsigned k, const struct insn *i, unsigned bytes, bool write)
{
	uint32_t range;

	may_clobber(t, k);
	put_effective(t, i, S0, 8);
	range = put_linear_check(t, k, i, bytes, write);
	if (is_simple(t, i))
		put_by_delta(t, i, range);
	else
		operand_in_range(t, range);
}

void put_access(struct tr *t, unsigned k, const struct insn *i, unsigned bytes, bool write)
{
	struct group *g = t->group_of[k] ? &t->group[t->group_of[k] - 1] : NULL;

	if (!g || g->members < 2) {
		put_alone(t, k, i, bytes, write);
		return;
	}
	if (!g->checked)
		put_group_check(t, k, i, g);
	if (t->j->checks) {
		put_effective(t, i, S0, 8);
		put_told(t, g->range | CHECK_MEMBER | (write ? CHECK_STORES : 0));
	}
	put_by_delta(t, i, g->range);
}

void put_access_at(struct tr *t, unsigned k, unsigned reg, int32_t disp, unsigned bytes, bool write)
{
	const struct insn at = {
		.base = (int8_t)reg, .index = ADDR_NONE, .disp = disp, .asize = t->word & 15, .seg = SEG_SS, .is_mem = 1
	};

	put_access(t, k, &at, bytes, write);
}

/* C leaves the guest's state in struct cpu: if code goes on with more in registers, it comes back by way of a cold part. */
static void resume_from(struct tr *t, unsigned k, uint32_t site)
{
	const bool restores = t->flags & IN_HOST;
	struct cold *cold;

	t->j->site[site].code = code_place(t, t->c.n);
	if (!restores && !t->vectors && !t->x87)
		return;
	cold = new_cold(t, COLD_RESUME, 0, site);
	cold->back = t->c.n;
	cold->restores = restores;
	cold->level = t->vectors;
	cold->x87 = t->x87;
	if (t->vectors || t->x87)
		cold->to_leave = new_site(t, SITE_INTERPRET, k + 1);
}

void resume_here(struct tr *t, unsigned k)
{
	const struct jit *j = t->j;

	const uint32_t block = site_of_block(t->e, t->b);

	for (size_t n = j->sites.used; n-- > t->first_site && j->site[n].block == block && j->site[n].insn >= k - t->first;)
		if (j->site[n].kind == SITE_EXECUTE && j->site[n].insn == k - t->first)
			resume_from(t, k, (uint32_t)n);
}

#endif
