/* SPDX-License-Identifier: MIT */
/* Instructions whose own bytes do it on the host, with other registers, and with memory operands at S0. */
#include "translate.h"

#ifdef HOST_X86_64

#include "emu/decode/encode.h"
#include "emu/native/host.h"

bool is_bit_test(const struct isa_row *r)
{
	return r->sem == sem_int_bt || r->sem == sem_int_bts || r->sem == sem_int_btr || r->sem == sem_int_btc;
}

/* Rows without COPY that only name RAX, RCX and RDX besides, which are where they are, or that need no more than a look
 * at their operands. */
static bool is_copied(const struct insn *i, const struct isa_row *r)
{
	static isa_semantic *const implicit[] = { sem_int_mul,	sem_int_imul1, sem_int_cwd,    sem_int_cmpxchg, sem_int_xadd,
						  sem_int_lahf, sem_int_sahf,  sem_int_mfence, sem_bmi_mulx,	sem_int_movbe };

	if (r->attr & (ISA_SSEX | ISA_AVXX | ISA_AVX512X | ISA_FP | ISA_MMXX | ISA_PRIV))
		return false;
	if (r->attr & ISA_COPY)
		return true;
	if (is_bit_test(r))
		return !i->is_mem || r->op[1].kind == OPK_I; /* a register reaches beyond the operand */
	for (unsigned n = 0; n < sizeof(implicit) / sizeof(implicit[0]); n++)
		if (implicit[n] == r->sem)
			return true;
	return false;
}

static bool is_divide(const struct isa_row *r)
{
	return r->sem == sem_int_div || r->sem == sem_int_idiv;
}

/* The operand that may be in memory, or -1. */
static int memory_operand(const struct insn *i, const struct isa_row *r)
{
	for (int n = 0; n < 4 && i->is_mem; n++)
		if (r->op[n].kind == OPK_E || r->op[n].kind == OPK_M)
			return n;
	return -1;
}

/* Has it anything to do at all? Hints and long no-operations name memory without touching it. */
static bool is_nothing(const struct isa_row *r)
{
	return r->sem == sem_int_nop;
}

static bool is_shift_by_zero(const struct insn *i, const struct isa_row *r)
{
	const unsigned n = r->op[2].kind == OPK_I ? 2 : 1;

	return (r->attr & ISA_COUNT1) && r->op[n].kind == OPK_I && !(i->imm & (i->size == 8 ? 63 : 31));
}

static bool host_has_it(const struct isa_row *r)
{
	return native_has(r->feature);
}

static bool operand_is_known(const struct insn *i, const struct isa_row *r)
{
	const int m = memory_operand(i, r);

	return m < 0 || r->op[m].access == OPA_N || isa_operand_bytes(i, (unsigned)m);
}

enum insn_class classify(const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];

	if (r->sem == sem_int_jcc || r->sem == sem_int_jmp)
		return CLASS_JUMP;
	if (is_of_stack(i))
		return CLASS_STACK;
	if (is_of_branches(i))
		return CLASS_BRANCH;
	if (i->id == ISA_INVALID)
		return CLASS_OTHER;
	if (is_of_vectors(i))
		return CLASS_VECTOR;
	if (is_of_opmasks(i))
		return CLASS_OPMASK;
	if (!host_has_it(r))
		return CLASS_OTHER;
	if (is_of_x87(i))
		return CLASS_X87;
	if (is_of_system(i))
		return CLASS_SYSTEM;
	if (is_divide(r))
		return i->size >= 4 ? CLASS_DIVIDE : CLASS_OTHER;
	return is_copied(i, r) && operand_is_known(i, r) ? CLASS_COPIED : CLASS_OTHER;
}

/* Of a copied instruction, apart from the check of its operand. */
static enum event own_event(const struct insn *i, const struct isa_row *r)
{
	if (is_nothing(r) || is_shift_by_zero(i, r))
		return EVENT_NONE;
	if (r->flags_read & ISA_FL_ARITH)
		return EVENT_READS;
	if (!((r->flags_written | r->flags_undefined) & ISA_FL_ARITH))
		return EVENT_NONE;
	return isa_flags_replaced(r) == ISA_FL_ARITH ? EVENT_SETS : EVENT_READS;
}

enum event copy_event(const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];
	const int m = memory_operand(i, r);

	if (class_of(i) != CLASS_COPIED || (m >= 0 && !is_nothing(r) && (r->op[m].access != OPA_N || is_shift_by_zero(i, r))))
		return EVENT_CLOBBERS;
	return own_event(i, r);
}

/* ---- registers ---- */

/* Which field of the instruction an operand of general registers has; NULL: none. */
static uint8_t *field(struct insn *i, const struct isa_operand *op)
{
	switch ((enum isa_kind)op->kind) {
	case OPK_G:
	case OPK_Z:
		return &i->reg;
	case OPK_E:
	case OPK_R:
		return i->is_mem ? NULL : &i->rm;
	case OPK_B:
		return &i->vvvv;
	default:
		return NULL;
	}
}

static int place(struct scratch *s, unsigned guest, bool written)
{
	for (unsigned n = 0; n < s->count; n++) {
		if (s->guest[n] == guest) {
			s->written[n] |= written;
			return s->host[n];
		}
	}
	if (s->count == s->room)
		return -1;
	s->guest[s->count] = (uint8_t)guest;
	s->host[s->count] = (uint8_t)(S1 - s->count);
	s->written[s->count] = written;
	return s->host[s->count++];
}

/* The instruction with the host's registers. False: there are not enough. */
bool rename_registers(struct insn *h, const struct isa_row *r, struct scratch *s)
{
	bool done[3] = { false };

	for (unsigned n = 0; n < 4; n++) {
		uint8_t *f = field(h, &r->op[n]);
		int host;

		if (!f)
			continue;
		if (done[f == &h->reg ? 0 : f == &h->rm ? 1 : 2])
			continue;
		done[f == &h->reg ? 0 : f == &h->rm ? 1 : 2] = true;
		if (*f >= REG8_AH) { /* where a row of vectors says byte register, it means a whole one */
			if (r->attr & (ISA_SSEX | ISA_AVXX | ISA_AVX512X))
				return false;
			continue;
		}
		if (*f == RSP) {
			*f = HOST_RSP;
		} else if (is_in_memory(*f)) {
			host = place(s, *f, r->op[n].access & OPA_W);
			if (host < 0)
				return false;
			*f = (uint8_t)host;
		}
	}
	return true;
}

static bool is_high_byte(const struct insn *i, const struct isa_row *r)
{
	for (unsigned n = 0; n < 4; n++)
		if (r->op[n].size == OPS_b &&
		    ((r->op[n].kind == OPK_G && i->reg >= REG8_AH) || (r->op[n].kind == OPK_Z && i->reg >= REG8_AH) ||
		     (r->op[n].kind == OPK_E && !i->is_mem && i->rm >= REG8_AH)))
			return true;
	return false;
}

/* ---- the copy ---- */

void at_operand(const struct tr *t, struct insn *h)
{
	h->base = t->ea.base;
	h->index = t->ea.index;
	h->scale = 0;
	h->disp = t->ea.disp;
}

struct insn hosted(const struct tr *t, const struct insn *i)
{
	struct insn h = *i;

	h.prefixes &= (uint8_t) ~(PFX_SEG | PFX_ADDRSIZE | PFX_REX);
	h.asize = 8;
	h.seg = SEG_DS;
	if (h.is_mem)
		at_operand(t, &h);
	return h;
}

/*
 * The last look before guest bytes become host code: a general operand is one of the guest's own registers or scratch. RSP is
 * the address of everything, R11 the budget.
 */
static bool is_harmless(const struct insn *h, const struct isa_row *r)
{
	const bool vector = r->attr & (ISA_SSEX | ISA_AVXX | ISA_AVX512X);
	struct insn copy = *h;

	for (unsigned n = 0; n < 4; n++) {
		const uint8_t *f = field(&copy, &r->op[n]);
		const bool high = f && !vector && r->op[n].size == OPS_b && *f >= REG8_AH;

		if (f && !high && (*f > R15 || *f == RSP || *f == BUDGET))
			return false;
	}
	return true;
}

/* High byte registers go with nothing that needs REX. */
bool fits(const struct insn *h)
{
	uint8_t bytes[INSN_MAX_BYTES];

	return is_harmless(h, &isa_rows[h->id]) && encode(h, bytes) != 0;
}

void load_scratch(struct tr *t, const struct scratch *s)
{
	for (unsigned n = 0; n < s->count; n++)
		put_env(&t->c, true, OP_LOAD, s->host[n], GPR(s->guest[n]));
}

void store_scratch(struct tr *t, const struct scratch *s)
{
	for (unsigned n = 0; n < s->count; n++)
		if (s->written[n])
			put_env(&t->c, true, OP_STORE, s->host[n], GPR(s->guest[n]));
}

/* Its form with a memory operand does the same, and no more. XCHG locks; bit strings reach beyond the operand. */
static bool has_plain_memory_form(const struct isa_row *r)
{
	return r->mod != ISA_MOD_REG && r->sem != sem_int_xchg && !is_bit_test(r);
}

/* The operand in ModRM.rm, if none of the others is the same register; -1: none. */
static int lone_rm_operand(const struct insn *i, const struct isa_row *r)
{
	int found = -1;

	for (int n = 0; n < 4; n++) {
		if (r->op[n].kind == OPK_E)
			found = n;
		if ((r->op[n].kind == OPK_G && i->reg == i->rm) || (r->op[n].kind == OPK_B && i->vvvv == i->rm))
			return -1;
	}
	return found;
}

/*
 * A register operand that lives in memory is used there, where the instruction has such a form: it needs no scratch register, and
 * nothing is loaded before or stored behind it. Results of 32 bits clear what is above, which memory forms do not.
 */
static void use_in_place(struct insn *h, const struct insn *i, const struct isa_row *r, struct scratch *s)
{
	const int n = lone_rm_operand(i, r);
	struct insn memory = *h;
	uint8_t bytes[INSN_MAX_BYTES];

	if (n < 0 || i->is_mem || !has_plain_memory_form(r) || s->count != 1 || s->guest[0] != i->rm)
		return;
	if ((r->op[n].access & OPA_W) && i->size < 8 && r->op[n].size != OPS_b)
		return;
	memory.is_mem = 1;
	memory.base = RSP;
	memory.index = ADDR_NONE;
	memory.scale = 0;
	memory.disp = GPR(i->rm);
	if (encode(&memory, bytes) == 0)
		return;
	*h = memory;
	s->count = 0;
}

static void load_effective(struct tr *t, const struct insn *i)
{
	const bool stays = is_in_memory(i->reg);
	const unsigned to = i->reg == RSP ? HOST_RSP : stays ? S0 : i->reg;

	put_effective(t, i, to, i->size);
	if (stays)
		put_env(&t->c, true, OP_STORE, S0, GPR(i->reg));
}

/* BMI leaves some flags undefined, which the semantic functions clear. */
static bool clears_undefined(const struct isa_row *r)
{
	return r->map >= ISA_V0F && r->flags_undefined;
}

/* So are the host's, unless they are overwritten next. In the second byte of the image flags stand as LAHF puts them. */
static void clear_undefined(struct tr *t, unsigned k, const struct isa_row *r)
{
	const unsigned mask = (r->flags_undefined & ISA_FL_A ? RFLAGS_AF : 0) | (r->flags_undefined & ISA_FL_P ? RFLAGS_PF : 0) |
			      (r->flags_undefined & ISA_FL_S ? RFLAGS_SF : 0);

	t->setter = 0;
	if (k + 1 < t->count && t->event[k + 1] == EVENT_SETS)
		return;
	put_save_flags(&t->c);
	put(&t->c, "\x80\xa4\x24", 3); /* AND BYTE [RSP + flags_image + 1], ~mask */
	put4(&t->c, (uint32_t)(EMU(flags_image) + 1));
	put1(&t->c, (uint8_t)~mask);
	t->flags = IN_IMAGE;
}

static bool plain(struct tr *t, unsigned k, const struct insn *i, const struct isa_row *r)
{
	const int m = memory_operand(i, r);
	struct scratch s = { .room = i->is_mem ? 1 : 2 };
	struct insn h = hosted(t, i);
	const enum event event = own_event(i, r);

	if (!rename_registers(&h, r, &s) || !fits(&h) || (i->is_mem && is_high_byte(i, r)))
		return false;
	if (m >= 0) {
		put_access(t, k, i, isa_operand_bytes(i, (unsigned)m), r->op[m].access & OPA_W);
		at_operand(t, &h);
	}
	if (event == EVENT_READS && !t->quiet[k])
		need_host(t, i->is_mem);
	use_in_place(&h, i, r, &s);
	load_scratch(t, &s);
	put_insn(&t->c, &h);
	store_scratch(t, &s);
	if (t->quiet[k])
		t->flags = 0;
	else if (event == EVENT_SETS || event == EVENT_READS)
		t->setter = event == EVENT_SETS && has_recipe(i) ? (uint8_t)(k + 1) : 0;
	if (!t->quiet[k] &&
	    (event == EVENT_SETS || (event == EVENT_READS && ((r->flags_written | r->flags_undefined) & ISA_FL_ARITH))))
		t->flags = IN_HOST;
	if (clears_undefined(r))
		clear_undefined(t, k, r);
	if (m >= 0)
		resume_here(t, k);
	return true;
}

/*
 * DIV and IDIV whose quotient fits; others go to C, which raises #DE. They leave the flags undefined, and ours where they were:
 * in the image.
 */
static bool divide(struct tr *t, unsigned k, const struct insn *i, const struct isa_row *r)
{
	const bool wide = i->size == 8;
	struct code *c = &t->c;
	uint32_t from[3], site;
	unsigned by, count = 0;

	if (i->size < 4)
		return false;
	if (i->is_mem) {
		put_access(t, k, i, i->size, false);
		put_operand_move(t, false, S1, wide);
		by = S1;
	} else {
		may_clobber(t, k);
		by = host_register(t, i->rm, S1);
	}
	if (r->sem == sem_int_div) {
		put_regs(c, wide, OP_CMP, RDX, by);
		from[count++] = put_jump(c, 3, NULL); /* JAE */
	} else {
		/* the dividend is a sign-extended RAX, the divisor neither 0 nor -1 */
		put_regs(c, wide, OP_STORE, RAX, S0);
		put1(c, (uint8_t)(0x41 | wide << 3)); /* SAR S0, bits - 1 */
		put(c, wide ? "\xc1\xf9\x3f" : "\xc1\xf9\x1f", 3);
		put_regs(c, wide, OP_CMP, RDX, S0);
		from[count++] = put_jump(c, 5, NULL);
		put_regs(c, wide, OP_STORE, by, S0);
		put_imm(c, wide, 0, S0, 1);
		put_imm(c, wide, 7, S0, 1);
		from[count++] = put_jump(c, 6, NULL); /* JBE */
	}
	site = new_site(t, SITE_EXECUTE, k);
	for (unsigned n = 0; n < count; n++)
		new_cold(t, COLD_EXECUTE, from[n], site);
	put1(c, (uint8_t)(0x40 | wide << 3 | by >> 3)); /* DIV, IDIV by */
	put1(c, 0xf7);
	put1(c, (uint8_t)((r->sem == sem_int_div ? 0xf0 : 0xf8) | (by & 7)));
	clobbered(t);
	resume_here(t, k);
	return true;
}

unsigned accessed_bytes(const struct tr *t, const struct insn *i, bool *write)
{
	const struct isa_row *r = &isa_rows[i->id];
	const int m = memory_operand(i, r);

	if (!i->is_mem)
		return 0;
	if (is_vector(i))
		return vector_bytes(t, i, write);
	if (is_x87(i))
		return x87_bytes(t, i, write);
	if (m < 0 || r->op[m].access == OPA_N || is_nothing(r) || class_of(i) < CLASS_DIVIDE)
		return 0;
	*write = r->op[m].access & OPA_W;
	return isa_operand_bytes(i, (unsigned)m);
}

bool copy(struct tr *t, unsigned k, const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];

	switch (class_of(i)) {
	case CLASS_STACK:
		return stack_insn(t, k, i);
	case CLASS_VECTOR:
		return vector_insn(t, k, i);
	case CLASS_OPMASK:
		return opmask_insn(t, k, i);
	case CLASS_X87:
		return x87_insn(t, k, i);
	case CLASS_SYSTEM:
		return system_insn(t, k, i);
	case CLASS_DIVIDE:
		return divide(t, k, i, r);
	case CLASS_COPIED:
		break;
	default:
		return false;
	}
	if (is_nothing(r))
		return true;
	if (r->sem != sem_int_lea)
		return plain(t, k, i, r);
	if (i->size < 4)
		return false;
	load_effective(t, i);
	return true;
}

#endif
