/* SPDX-License-Identifier: MIT */
/*
 * Instructions of kernels that would otherwise be called in C for each system call: interrupt and direction flag, PUSHF, the
 * bases of FS and GS, STAC and CLAC, and bit strings in memory. Privileged ones for CPL 0; at others C raises the fault.
 */
#include "translate.h"

#ifdef HOST_X86_64

#include "emu/core/flags.h"

enum { OP_ANDM = 4, OP_ORM = 1, OP_CMPM = 7 }; /* opcode 81 /op */

static void put_env_imm(struct code *c, unsigned op, int32_t disp, uint32_t imm)
{
	put1(c, 0x81);
	put1(c, (uint8_t)(0x84 | op << 3));
	put1(c, 0x24); /* RSP */
	put4(c, (uint32_t)disp);
	put4(c, imm);
}

static int32_t base_at(unsigned seg)
{
	return (int32_t)(offsetof(struct emu, cpu.seg) + seg * sizeof(struct segment) + offsetof(struct segment, base));
}

static int32_t used_base_at(unsigned seg)
{
	return (int32_t)(offsetof(struct emu, seg_base) + seg * sizeof(uint64_t));
}

static unsigned segment_of(const struct isa_row *r)
{
	return r->sem == sem_rdfsbase || r->sem == sem_wrfsbase ? SEG_FS : SEG_GS;
}

bool is_bit_string(const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];

	return i->is_mem && i->size >= 4 && r->op[1].kind == OPK_G && is_bit_test(r);
}

static bool is_push_of_memory(const struct insn *i)
{
	return isa_rows[i->id].sem == sem_int_push && i->is_mem && i->size >= 4 && i->asize == i->size;
}

bool is_of_system(const struct insn *i)
{
	static isa_semantic *const some[] = { sem_cli,	    sem_swapgs,	  sem_stac,	sem_clac,    sem_int_cld,
					      sem_rdfsbase, sem_rdgsbase, sem_wrfsbase, sem_wrgsbase };
	const struct isa_row *r = &isa_rows[i->id];

	if (is_bit_string(i) || is_push_of_memory(i) || (r->sem == sem_pushf && i->size == 8))
		return true;
	if (r->sem == sem_mov_from_sreg)
		return !i->is_mem && i->size >= 4;
	for (unsigned n = 0; n < sizeof(some) / sizeof(some[0]); n++)
		if (some[n] == r->sem)
			return true;
	return false;
}

/* ---- flags ---- */

static void clear_flag(struct tr *t, unsigned k, uint32_t flag)
{
	may_clobber(t, k);
	put_env_imm(&t->c, OP_ANDM, EMU(cpu.rflags), ~flag);
	clobbered(t);
}

/* The image is put together below struct emu, where the host's stack is. */
static void pushf(struct tr *t, unsigned k)
{
	struct code *c = &t->c;

	put_access_at(t, k, RSP, -8, 8, true);
	need_host(t, true);
	put(c, "\x9c\x41\x5a", 3); /* PUSHFQ; POP S1 */
	put_imm(c, false, OP_ANDM, S1, RFLAGS_ARITH);
	put_env(c, true, OP_STORE, S1, ENV(saved[2]));
	put_env(c, true, OP_LOAD, S1, EMU(cpu.rflags));
	put_imm(c, true, OP_ANDM, S1, ~(uint32_t)(RFLAGS_ARITH | RFLAGS_VM | RFLAGS_RF));
	put_env(c, true, 0x0b, S1, ENV(saved[2])); /* OR */
	clobbered(t);
	put_operand_move(t, true, S1, true);
	move_stack(t, -8);
	resume_here(t, k);
}

/* ---- bases ---- */

static void swapgs(struct code *c)
{
	put_env(c, true, OP_LOAD, S0, base_at(SEG_GS));
	put_env(c, true, OP_LOAD, S1, EMU(cpu.msr.kernel_gs_base));
	put_env(c, true, OP_STORE, S0, EMU(cpu.msr.kernel_gs_base));
	put_env(c, true, OP_STORE, S1, base_at(SEG_GS));
	put_env(c, true, OP_STORE, S1, used_base_at(SEG_GS));
}

static void to_register(struct tr *t, const struct insn *i)
{
	const bool in_memory = is_in_memory(i->rm);

	if (in_memory)
		put_env(&t->c, true, OP_STORE, S0, GPR(i->rm));
	else
		put_regs(&t->c, true, OP_STORE, S0, i->rm == RSP ? HOST_RSP : i->rm);
}

static void read_base(struct tr *t, const struct insn *i, unsigned seg)
{
	put_env(&t->c, i->size == 8, OP_LOAD, S0, base_at(seg));
	to_register(t, i);
}

/* What is no canonical address of four levels goes to C, which knows how many there are. */
static void write_base(struct tr *t, unsigned k, const struct insn *i, unsigned seg)
{
	struct code *c = &t->c;
	uint32_t from;

	may_clobber(t, k);
	put_regs(c, i->size == 8, OP_STORE, host_register(t, i->rm, S0), S1);
	if (i->size == 8) {
		put_regs(c, true, OP_STORE, S1, S0);
		put(c, "\x49\xc1\xe1\x10\x49\xc1\xf9\x10", 8); /* SHL S0, 16; SAR S0, 16 */
		put_regs(c, true, OP_CMP, S0, S1);
		from = put_jump(c, 5, NULL);
		new_cold(t, COLD_EXECUTE, from, new_site(t, SITE_EXECUTE, k));
		clobbered(t);
	}
	put_env(c, true, OP_STORE, S1, base_at(seg));
	put_env(c, true, OP_STORE, S1, used_base_at(seg));
	resume_here(t, k);
}

static void read_selector(struct tr *t, const struct insn *i)
{
	const size_t at = offsetof(struct emu, cpu.seg) + i->reg * sizeof(struct segment) + offsetof(struct segment, selector);

	put(&t->c, "\x44\x0f\xb7\x8c\x24", 5); /* MOVZX S0D, WORD [RSP + selector] */
	put4(&t->c, (uint32_t)at);
	to_register(t, i);
}

/* ---- EFLAGS.AC and SMAP ---- */

/* Which accesses are permitted changes here, and so the key for the rest of the block and for what follows it. */
static void set_ac(struct tr *t, unsigned k, bool ac)
{
	const uint32_t user = t->key & JIT_KEY_SMAP && !ac ? JIT_KEY_USER : 0, key = (t->key & ~(uint32_t)JIT_KEY_USER) | user;
	const bool changes = key != t->key;
	const unsigned table = jit_table_of(key);
	struct code *c = &t->c;
	uint32_t site, from;

	may_clobber(t, k);
	if (changes) {
		site = new_site(t, SITE_EXECUTE, k);
		t->j->site[site].key = key;
		put_env_imm(c, OP_CMPM, ENV(jump_key) + (int32_t)(table * sizeof(uint32_t)), key);
		from = put_jump(c, 5, NULL);
		new_cold(t, COLD_EXECUTE, from, site);
	}
	put_env_imm(c, ac ? OP_ORM : OP_ANDM, EMU(cpu.rflags), ac ? RFLAGS_AC : ~(uint32_t)RFLAGS_AC);
	if (changes) {
		put_env_imm(c, user ? OP_ORM : OP_ANDM, EMU(tlb_mask), user ? TAG_USER : ~(uint32_t)TAG_USER);
		put_env(c, true, OP_LEA, S0, ENV(jump) + (int32_t)(table * sizeof(struct jit_jump[JIT_JUMPS])));
		put_env(c, true, OP_STORE, S0, ENV(jumps));
	}
	clobbered(t);
	t->key = key;
	resume_here(t, k);
}

/* ---- memory ---- */

static void push_memory(struct tr *t, unsigned k, const struct insn *i)
{
	const bool wide = t->word == 8;

	put_access(t, k, i, t->word, false);
	put_operand_move(t, false, S0, wide);
	put_env(&t->c, true, OP_STORE, S0, ENV(saved[4])); /* which no check touches */
	put_access_at(t, k, RSP, -(int32_t)t->word, t->word, true);
	put_env(&t->c, true, OP_LOAD, S1, ENV(saved[4]));
	put_operand_move(t, true, S1, wide);
	move_stack(t, -(int32_t)t->word);
	resume_here(t, k);
}

static void load_guest(struct tr *t, unsigned reg, bool wide)
{
	const unsigned from = host_register(t, reg, S1);

	if (from != S1)
		put_regs(&t->c, wide, OP_STORE, from, S1);
}

/* The operand is the piece of the string that the bit is in (SDM vol. 2, BT). */
static bool bit_string(struct tr *t, unsigned k, const struct insn *i)
{
	const bool wide = i->size == 8;
	struct insn h = hosted(t, i);
	struct code *c = &t->c;

	h.reg = S1;
	h.base = S0;
	h.index = ADDR_NONE;
	h.disp = 0;
	if (i->asize != 8 || !fits(&h))
		return false;
	may_clobber(t, k);
	put_effective(t, i, S0, 8);
	load_guest(t, i->reg, wide);
	if (!wide)
		put(c, "\x4d\x63\xd2", 3);			   /* MOVSXD S1, S1D */
	put(c, wide ? "\x49\xc1\xfa\x06" : "\x49\xc1\xfa\x05", 4); /* SAR S1, 6 or 5 */
	put(c, wide ? "\x4f\x8d\x0c\xd1" : "\x4f\x8d\x0c\x91", 4); /* LEA S0, [S0 + S1 * 8 or 4] */
	put_access_here(t, k, i, i->size, isa_rows[i->id].op[0].access & OPA_W);
	load_guest(t, i->reg, wide);
	put_imm(c, false, OP_ANDM, S1, wide ? 63 : 31);
	need_host(t, true);
	put_insn(c, &h);
	t->flags = IN_HOST;
	t->setter = 0;
	resume_here(t, k);
	return true;
}

/* ---- which one ---- */

bool moves_stack_besides(const struct insn *i)
{
	return is_push_of_memory(i) || isa_rows[i->id].sem == sem_pushf;
}

/* Those of CPL 0. */
static bool privileged(struct tr *t, unsigned k, const struct isa_row *r)
{
	if (t->e->cpl != 0)
		return false;
	if (r->sem == sem_cli)
		clear_flag(t, k, RFLAGS_IF);
	else if (r->sem == sem_swapgs)
		swapgs(&t->c);
	else
		set_ac(t, k, r->sem == sem_stac);
	return true;
}

static bool base(struct tr *t, unsigned k, const struct insn *i, const struct isa_row *r)
{
	if (!(t->key & JIT_KEY_FSGSBASE))
		return false;
	if (r->sem == sem_rdfsbase || r->sem == sem_rdgsbase)
		read_base(t, i, segment_of(r));
	else
		write_base(t, k, i, segment_of(r));
	return true;
}

bool system_insn(struct tr *t, unsigned k, const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];

	if (is_bit_string(i))
		return bit_string(t, k, i);
	if (r->sem == sem_rdfsbase || r->sem == sem_rdgsbase || r->sem == sem_wrfsbase || r->sem == sem_wrgsbase)
		return base(t, k, i, r);
	if (is_push_of_memory(i))
		push_memory(t, k, i);
	else if (r->sem == sem_pushf)
		pushf(t, k);
	else if (r->sem == sem_int_cld)
		clear_flag(t, k, RFLAGS_DF);
	else if (r->sem == sem_mov_from_sreg && i->reg < SEG_COUNT)
		read_selector(t, i);
	else
		return r->sem != sem_mov_from_sreg && privileged(t, k, r);
	return true;
}

#endif
