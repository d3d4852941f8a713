/* SPDX-License-Identifier: MIT */
/*
 * x87 instructions. As with the vector registers (vector.c), the guest's x87 may be the host's own while translated code runs
 * (env->x87): the first x87 instruction of a block sees to that, and whatever goes to C puts it back, by FNSAVE, which leaves
 * the host's as C expects it. All exceptions are masked then, so that nothing can be pending. FIP is noted by a store
 * behind the last of several instructions between which the block cannot be left.
 */
#include "translate.h"

#ifdef HOST_X86_64

#include "emu/native/host.h"
#include "emu/sem/fp/fp.h"

#include <string.h>

enum { EXCEPTIONS = 0x3f, STATUS_ES = 0x80 };

/* ---- between struct cpu and the host's registers ---- */

/* While the host's vector registers are the guest's, C must not touch any. */
#define GENERAL_REGISTERS __attribute__((target("general-regs-only")))

GENERAL_REGISTERS static struct x87_reg *stack_register(struct x87 *f, unsigned n)
{
	return &f->r[((f->sw >> 11) + n) & 7];
}

/* The host's image after FNSAVE into struct cpu. */
void jit_x87_take(struct emu *e)
{
	struct jit_env *env = jit_env(e);
	const struct x87_image *m = &env->x87_image;
	struct x87 *f = &e->cpu.fpu;

	if (env->x87 != X87_SAVED)
		return;
	env->x87 = X87_AWAY;
	f->cw = m->cw;
	f->sw = m->sw;
	f->tag = 0;
	for (unsigned p = 0; p < 8; p++)
		f->tag |= (uint8_t)(((m->tag >> 2 * p & 3) != 3) << p);
	for (unsigned n = 0; n < 8; n++) {
		struct x87_reg *r = stack_register(f, n);

		memcpy(&r->sig, m->st[n], sizeof(r->sig));
		memcpy(&r->se, m->st[n] + sizeof(r->sig), sizeof(r->se));
	}
}

/* The image for FRSTOR. False: exceptions are not masked. */
GENERAL_REGISTERS bool jit_x87_give(struct emu *e)
{
	struct x87_image *m = &jit_env(e)->x87_image;
	struct x87 *f = &e->cpu.fpu;
	unsigned tag = 0;

	if ((f->cw & EXCEPTIONS) != EXCEPTIONS || (f->sw & STATUS_ES))
		return false;
	for (unsigned p = 0; p < 8; p++)
		tag |= f->tag >> p & 1 ? 0 : 3u << 2 * p;
	m->cw = f->cw;
	m->sw = f->sw;
	m->tag = (uint16_t)tag;
	for (unsigned n = 0; n < 8; n++) {
		const struct x87_reg *r = stack_register(f, n);

		for (unsigned k = 0; k < 8; k++)
			m->st[n][k] = (uint8_t)(r->sig >> 8 * k);
		m->st[n][8] = (uint8_t)r->se;
		m->st[n][9] = (uint8_t)(r->se >> 8);
	}
	return true;
}

/* ---- stubs ---- */

/* EFLAGS are lost. */
void put_x87_save(struct code *c)
{
	uint32_t away;

	put_byte(c, true, ENV(x87), X87_LIVE);
	away = put_jump(c, 5, NULL);
	put(c, "\xdd\xb4\x24", 3); /* FNSAVE [RSP + image] */
	put4(c, (uint32_t)ENV(x87_image));
	put_byte(c, false, ENV(x87), X87_SAVED);
	jump_here(c, away);
}

void put_x87_restore(struct code *c)
{
	put(c, "\xdd\xa4\x24", 3); /* FRSTOR [RSP + image] */
	put4(c, (uint32_t)ENV(x87_image));
	put_byte(c, false, ENV(x87), X87_LIVE);
}

/* ---- instructions ---- */

bool is_of_x87(const struct insn *i)
{
	return (isa_rows[i->id].attr & ISA_X87) || i->id == ISA_FLDCW;
}

static bool is_usable(const struct tr *t)
{
	return (t->e->units & UNIT_X87) && fp_has_simple_pointers(t->e);
}

static bool is_control(const struct isa_row *r)
{
	return (r->attr & ISA_FPNW) || r->sem == sem_fwait || r->sem == sem_fldcw;
}

unsigned x87_bytes(const struct tr *t, const struct insn *i, bool *write)
{
	if (!i->is_mem || !is_usable(t))
		return 0;
	*write = isa_rows[i->id].op[0].kind == OPK_M;
	if (i->id == ISA_FLDCW)
		*write = false;
	return isa_operand_bytes(i, isa_rows[i->id].op[0].kind == OPK_M ? 0 : 1);
}

/* Between instruction k and the x87 instruction before it the block cannot be left, and k notes FIP itself. */
static bool notes_alone(const struct tr *t, unsigned k)
{
	const struct insn *i = &t->insn[k];
	const struct isa_row *r = &isa_rows[i->id];
	const uint8_t group = t->group_of[k];

	if (!t->x87 || !is_x87(i) || is_control(r))
		return false;
	return !i->is_mem || (group && t->group[group - 1].checked);
}

void settle_fip(struct tr *t, unsigned k)
{
	uint64_t fip;

	if (!t->fip_owed || (k < t->count && notes_alone(t, k)))
		return;
	fip = insn_pc(t, &t->insn[t->fip_owed - 1]);
	t->fip_owed = 0;
	put_mov_imm(&t->c, S0, fip);
	put_env(&t->c, true, OP_STORE, S0, EMU(cpu.fpu.fip));
}

static void need_x87(struct tr *t, unsigned k)
{
	struct cold *cold;

	if (t->x87)
		return;
	may_clobber(t, k);
	put_byte(&t->c, true, ENV(x87), X87_LIVE);
	cold = new_cold(t, COLD_X87, put_jump(&t->c, 5, NULL), new_site(t, SITE_INTERPRET, k));
	cold->back = t->c.n;
	t->x87 = true;
	clobbered(t);
}

/* FLDCW, unless it unmasks an exception. */
static void put_masks_check(struct tr *t, unsigned k)
{
	uint32_t from;

	put_on_operand(t, ISA_MOVZX_Gv_Ew, 4, S1, 0);
	put_imm(&t->c, false, 4, S1, EXCEPTIONS);
	put_imm(&t->c, false, 7, S1, EXCEPTIONS);
	from = put_jump(&t->c, 5, NULL);
	new_cold(t, COLD_EXECUTE, from, new_site(t, SITE_EXECUTE, k));
	clobbered(t);
}

bool x87_insn(struct tr *t, unsigned k, const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];
	struct insn h = hosted(t, i);
	bool write = false;
	const unsigned bytes = x87_bytes(t, i, &write);

	if (!is_usable(t) || !fits(&h))
		return false;
	need_x87(t, k);
	if (bytes) {
		if (i->id == ISA_FLDCW)
			may_clobber(t, k); /* before S0 holds anything */
		put_access(t, k, i, bytes, write);
		if (!t->x87) { /* the check of the access has been to C */
			put_env(&t->c, true, OP_STORE, S0, ENV(saved[3]));
			need_x87(t, k);
			put_env(&t->c, true, OP_LOAD, S0, ENV(saved[3]));
		}
		if (i->id == ISA_FLDCW) {
			put_address(t);
			put_masks_check(t, k);
		}
		at_operand(t, &h);
	}
	if (r->flags_read & ISA_FL_ARITH)
		need_host(t, false);
	put_insn(&t->c, &h);
	if (r->flags_written & ISA_FL_ARITH) {
		t->flags = IN_HOST;
		t->setter = 0;
	}
	if (!is_control(r))
		t->fip_owed = (uint8_t)(k + 1);
	if (bytes)
		resume_here(t, k);
	return true;
}

#endif
