/* SPDX-License-Identifier: MIT */
/*
 * Memory operands. Each has a range of guest addresses that it may reach unchecked (struct range): five instructions, flags
 * saved before. On a miss the TLB fills the range (stubs.c), or C executes the instruction.
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

static uint64_t constant_address(const struct tr *t, const struct insn *i)
{
	const uint64_t from = i->scale == INSN_DISP_FROM_END ? (uint64_t)i->off + i->len : 0;

	return t->b->pc + from + (uint64_t)(int64_t)i->disp;
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

static void put_check(struct tr *t, unsigned k, unsigned bytes, bool write)
{
	const uint32_t site = new_site(t, SITE_EXECUTE, k);
	struct code *c = &t->c;
	uint32_t from;
	const uint32_t range = new_range(t, site, bytes - 1);

	put_env(c, true, OP_SUB, S0, RANGE(range, base));
	put_env(c, true, OP_CMP, S0, RANGE(range, len));
	from = put_jump(c, 3, NULL); /* JAE */
	new_cold(t, write ? COLD_MISS_STORE : COLD_MISS_LOAD, from, range)->back = c->n;
	if (t->j->checks) {
		put_env(c, true, OP_ADD, S0, RANGE(range, base));
		put_mov_imm(c, S1, range);
		put_jump(c, -2, t->j->check);
		put_env(c, true, OP_SUB, S0, RANGE(range, base));
		t->vectors = VECTORS_NONE;
	}
	put_env(c, true, OP_ADD, S0, RANGE(range, host));
	t->flags = IN_IMAGE;
}

void put_access(struct tr *t, unsigned k, const struct insn *i, unsigned bytes, bool write)
{
	need_image(t);
	put_effective(t, i, S0, 8);
	if (i->seg == SEG_FS || i->seg == SEG_GS)
		put_env(&t->c, true, OP_ADD, S0, (int32_t)(offsetof(struct emu, seg_base) + i->seg * sizeof(uint64_t)));
	put_check(t, k, bytes, write);
}

void put_access_at(struct tr *t, unsigned k, unsigned reg, int32_t disp, unsigned bytes, bool write)
{
	const struct insn at = { .base = (int8_t)reg, .index = ADDR_NONE, .disp = disp, .asize = 8, .seg = SEG_SS };

	put_access(t, k, &at, bytes, write);
}

/* C leaves the guest's state in struct cpu: if code goes on with more in registers, it comes back by way of a cold part. */
static void resume_from(struct tr *t, unsigned k, uint32_t site)
{
	const bool restores = t->flags & IN_HOST;
	struct cold *cold;

	t->j->site[site].resume = t->c.at + t->c.n;
	if (!restores && !t->vectors)
		return;
	cold = new_cold(t, COLD_RESUME, 0, site);
	cold->back = t->c.n;
	cold->restores = restores;
	cold->level = t->vectors;
	if (t->vectors)
		cold->to_leave = new_site(t, SITE_INTERPRET, k + 1);
}

void resume_here(struct tr *t, unsigned k)
{
	const struct jit *j = t->j;

	for (uint32_t n = j->sites; n-- > 0 && j->site[n].block == t->b && j->site[n].insn >= k;)
		if (j->site[n].kind == SITE_EXECUTE && j->site[n].insn == k)
			resume_from(t, k, n);
}

#endif
