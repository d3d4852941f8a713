/* SPDX-License-Identifier: MIT */
/*
 * Vector instructions. While translated code runs, the guest's vector registers, opmasks and MXCSR may be the host's own
 * (env->vectors); the first vector instruction of a block sees to that, and whatever goes to C puts them back. Guest code that
 * never touches them, which is most of a kernel, pays nothing.
 */
#include "translate.h"

#ifdef HOST_X86_64

#include "emu/native/host.h"
#include "emu/native/narrow.h"
#include "emu/native/stub.h"

enum { MXCSR_MASKS = 0x1f80 };

/* ---- moving all of them (subroutines: `back` is what the return address takes on the stack) ---- */

static void move(struct code *c, enum isa_id id, unsigned reg, unsigned vl, int32_t disp, bool wide)
{
	put_insn(c, &(struct insn){ .id = (uint16_t)id,
				    .asize = 8,
				    .size = 8,
				    .is_mem = 1,
				    .base = RSP,
				    .index = ADDR_NONE,
				    .disp = disp,
				    .reg = (uint8_t)reg,
				    .vl = vl & 3,
				    .prefixes = wide ? PFX_REX_W : 0 });
}

static int32_t vector_at(unsigned n)
{
	return (int32_t)(offsetof(struct emu, cpu.vec) + n * sizeof(union vec));
}

/* 128 bits of each, which clears the rest. */
static void load_short(struct code *c, int32_t back)
{
	for (unsigned n = 0; n < 16; n++)
		move(c, ISA_VMOVUPS_V_W, n, 0, vector_at(n) + back, false);
}

static void move_all(struct code *c, enum vectors level, bool store, int32_t back)
{
	static const enum isa_id ids[][2] = {
		[VECTORS_SSE] = { ISA_MOVUPS_V_W, ISA_MOVUPS_W_V },
		[VECTORS_AVX] = { ISA_VMOVUPS_V_W, ISA_VMOVUPS_W_V },
		[VECTORS_AVX512] = { ISA_E_VMOVUPS_V_W, ISA_E_VMOVUPS_W_V },
	};

	for (unsigned n = 0; n < (level == VECTORS_AVX512 ? 32 : 16); n++)
		move(c, ids[level][store], n, level - VECTORS_SSE, vector_at(n) + back, false);
	for (unsigned n = 0; n < 8 && level == VECTORS_AVX512; n++)
		move(c, store ? ISA_KMOVQ_M_K : ISA_KMOVQ_K_E, n, 0,
		     (int32_t)(offsetof(struct emu, cpu.k) + n * sizeof(uint64_t)) + back, true);
}

static void put_mxcsr(struct code *c, bool store, int32_t disp)
{
	put(c, store ? "\x0f\xae\x9c\x24" : "\x0f\xae\x94\x24", 4);
	put4(c, (uint32_t)disp);
}

static void put_state(struct code *c, enum vectors level, int32_t back)
{
	put_byte(c, false, ENV(vectors) + back, (uint8_t)level);
}

static void put_compare(struct code *c, enum vectors level, int32_t back)
{
	put_byte(c, true, ENV(vectors) + back, (uint8_t)level);
}

enum vectors vectors_most(void)
{
	if (native_has(FEAT_AVX512F) && native_has(FEAT_AVX512BW) && native_has(FEAT_AVX512VL))
		return VECTORS_AVX512;
	return native_has(FEAT_AVX) ? VECTORS_AVX : VECTORS_SSE;
}

/* The registers that are the guest's into struct cpu. EFLAGS are lost. */
static void put_store_live(struct code *c)
{
	enum { RETURN = 8 };
	uint32_t end[3], next;
	unsigned ends = 0;

	for (enum vectors level = VECTORS_SSE; level <= vectors_most(); level++) {
		put_compare(c, level, RETURN);
		next = put_jump(c, 5, NULL);
		move_all(c, level, true, RETURN);
		if (level > VECTORS_SSE)
			put_insn(c, &(struct insn){ .id = ISA_VZEROUPPER, .asize = 8 });
		end[ends++] = put_jump(c, -1, NULL);
		jump_here(c, next);
	}
	if (vectors_most() > VECTORS_SSE) /* VECTORS_MEMORY leaves what it needed */
		put_insn(c, &(struct insn){ .id = ISA_VZEROUPPER, .asize = 8 });
	while (ends)
		jump_here(c, end[--ends]);
	put_mxcsr(c, true, EMU(cpu.mxcsr) + RETURN);
}

/* The host's registers back into struct cpu. EFLAGS are lost. */
void put_vectors_save(struct code *c)
{
	enum { RETURN = 8 };

	put_store_live(c);
	put_mxcsr(c, false, ENV(host_mxcsr) + RETURN);
	put_state(c, VECTORS_NONE, RETURN);
	put1(c, 0xc3);
}

/* The jump if the guest has anything in the 128 or 256 bits (vl of VEX) above as many. */
static uint32_t put_upper_test(struct code *c, unsigned vl, int32_t back)
{
	put_insn(c, &(struct insn){ .id = ISA_VXORPS, .asize = 8 });
	for (unsigned n = 0; n < 16; n++)
		put_insn(c, &(struct insn){ .id = ISA_VORPS,
					    .asize = 8,
					    .vl = vl & 3,
					    .is_mem = 1,
					    .base = RSP,
					    .index = ADDR_NONE,
					    .disp = vector_at(n) + (int32_t)(16u << vl) + back });
	put_insn(c, &(struct insn){ .id = ISA_VPTEST, .asize = 8, .vl = vl & 3, .prefixes = PFX_OPSIZE });
	return put_jump(c, 5, NULL);
}

/* The jump if the guest wants floating-point exceptions. S1 is lost. */
static uint32_t put_mask_test(struct code *c, int32_t back)
{
	put_env(c, false, OP_LOAD, S1, EMU(cpu.mxcsr) + back);
	put_imm(c, false, 4, S1, MXCSR_MASKS);
	put_imm(c, false, 7, S1, MXCSR_MASKS);
	return put_jump(c, 5, NULL);
}

/* Called with a site in S0 to leave by. EFLAGS are lost. */
static void put_give_up(struct code *c, const uint8_t *leave)
{
	put(c, "\x48\x8d\x64\x24\x08", 5); /* LEA RSP, [RSP + 8] */
	put_jump(c, -1, leave);
}

/* To VECTORS_MEMORY, from wherever the registers are. Called with a site in S0 to leave by if that cannot be. EFLAGS and S1 are lost. */
void put_vectors_to_memory(struct code *c, const uint8_t *leave)
{
	enum { RETURN = 8 };
	uint32_t fail, fresh;

	put_compare(c, VECTORS_NONE, RETURN);
	fresh = put_jump(c, 4, NULL);
	put_store_live(c);
	put_state(c, VECTORS_MEMORY, RETURN);
	put1(c, 0xc3);
	jump_here(c, fresh);
	fail = put_mask_test(c, RETURN);
	put_mxcsr(c, false, EMU(cpu.mxcsr) + RETURN);
	put_state(c, VECTORS_MEMORY, RETURN);
	put1(c, 0xc3);
	jump_here(c, fail);
	put_give_up(c, leave);
}

/*
 * The guest's registers into the host's, at least up to `level`. Called with a site in S0 to leave by if that cannot be, because
 * the guest wants floating-point exceptions, or has more than the host can hold. EFLAGS and S1 are lost.
 */
void put_vectors_load(struct code *c, enum vectors level, const uint8_t *leave)
{
	enum { RETURN = 8 };
	uint32_t fail, fresh, upper = 0, wide;
	const bool tests = level == VECTORS_AVX;

	if (vectors_most() == VECTORS_AVX) { /* MXCSR may be live alone */
		put_compare(c, VECTORS_NONE, RETURN);
		fresh = put_jump(c, 4, NULL);
		put_mxcsr(c, true, EMU(cpu.mxcsr) + RETURN);
		put_insn(c, &(struct insn){ .id = ISA_VZEROUPPER, .asize = 8 });
		jump_here(c, fresh);
	}
	fail = put_mask_test(c, RETURN);
	if (level == VECTORS_AVX512) { /* from AVX on: the upper parts are in struct cpu */
		put_compare(c, VECTORS_NONE, RETURN);
		fresh = put_jump(c, 4, NULL);
		move_all(c, VECTORS_AVX, true, RETURN);
		put_mxcsr(c, true, EMU(cpu.mxcsr) + RETURN);
		jump_here(c, fresh);
	}
	if (tests) {
		/* What VEX instructions would clear; and registers that are known to be short do not wait for their upper halves. */
		upper = put_upper_test(c, 1, RETURN);
		wide = put_upper_test(c, 0, RETURN);
		put_mxcsr(c, false, EMU(cpu.mxcsr) + RETURN);
		put_insn(c, &(struct insn){ .id = ISA_VZEROUPPER, .asize = 8 });
		load_short(c, RETURN);
		put_state(c, level, RETURN);
		put1(c, 0xc3);
		jump_here(c, wide);
	}
	put_mxcsr(c, false, EMU(cpu.mxcsr) + RETURN);
	move_all(c, level, false, RETURN);
	put_state(c, level, RETURN);
	put1(c, 0xc3);
	if (tests)
		jump_here(c, upper);
	if (tests && vectors_most() == VECTORS_AVX512) {
		put_mxcsr(c, false, EMU(cpu.mxcsr) + RETURN);
		move_all(c, VECTORS_AVX512, false, RETURN);
		put_state(c, VECTORS_AVX512, RETURN);
		put1(c, 0xc3);
	}
	jump_here(c, fail);
	put_give_up(c, leave);
}

/* ---- instructions ---- */

static enum vectors level_of(const struct tr *t, enum native_unit unit)
{
	const bool avx = (t->e->units & UNIT_AVX) && native_has(FEAT_AVX);

	return unit == NATIVE_AVX512 ? VECTORS_AVX512 : avx ? VECTORS_AVX : VECTORS_SSE;
}

void put_vectors_check(struct code *c, enum vectors level, uint32_t *from)
{
	put_compare(c, level, 0);
	*from = put_jump(c, level == VECTORS_MEMORY ? 5 : 2, NULL); /* JNE, JB */
}

/* VECTORS_MEMORY: that, and no more. */
static void need_vectors(struct tr *t, unsigned k, enum vectors level)
{
	struct cold *cold;
	uint32_t from;

	if (level == VECTORS_MEMORY ? t->vectors == level : t->vectors >= level)
		return;
	may_clobber(t, k);
	put_vectors_check(&t->c, level, &from);
	cold = new_cold(t, COLD_VECTORS, from, new_site(t, SITE_INTERPRET, k));
	cold->back = t->c.n;
	cold->level = (uint8_t)level;
	t->vectors = (uint8_t)level;
	clobbered(t);
}

static bool is_usable(const struct emu *e, enum native_unit unit)
{
	static const uint8_t units[] = { [NATIVE_SSE] = UNIT_SSE, [NATIVE_AVX] = UNIT_AVX, [NATIVE_AVX512] = UNIT_AVX512 };

	return e->units & units[unit];
}

/* Which VECTORS_MEMORY would look for in struct cpu. */
static bool names_general(const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];

	for (unsigned n = 0; n < 4; n++)
		if (r->op[n].kind == OPK_R || (r->op[n].kind == OPK_E && !i->is_mem))
			return true;
	return false;
}

/* VZEROUPPER is no COPY row: what it does is not in its operands. */
static bool describe(const struct insn *i, struct native_form *f)
{
	if (i->id != ISA_VZEROUPPER)
		return native_describe(i, f) && !(f->narrow && names_general(i));
	*f = (struct native_form){ .unit = NATIVE_AVX };
	return native_has(FEAT_AVX);
}

bool is_of_vectors(const struct insn *i)
{
	struct native_form f;

	return describe(i, &f);
}

/* VEX instructions beside such EVEX ones work on struct cpu, too: going back and forth would cost more, or is impossible while the guest
 * has anything above 256 bits. */
void find_narrow(struct tr *t)
{
	struct native_form f;

	t->narrow = false;
	for (unsigned k = 0; k < t->count && !native_has(FEAT_AVX512F); k++)
		t->narrow |= describe(&t->insn[k], &f) && f.narrow;
}

/* The host faults where the guest does, but it is C that tells the guest. */
static void put_alignment(struct tr *t, unsigned k, unsigned bytes)
{
	uint32_t from;

	put_address(t);
	put(&t->c, "\x41\xf6\xc1", 3); /* TEST S0, bytes - 1 */
	put1(&t->c, (uint8_t)(bytes - 1));
	from = put_jump(&t->c, 5, NULL);
	new_cold(t, COLD_EXECUTE, from, new_site(t, SITE_EXECUTE, k));
	clobbered(t);
}

unsigned vector_bytes(const struct tr *t, const struct insn *i, bool *write)
{
	struct native_form f;

	if (!describe(i, &f) || !is_usable(t->e, f.unit) || !(f.loads || f.stores))
		return 0;
	*write = f.stores;
	return f.bytes;
}

/* Of VEX instructions of 256 bits, on the registers in struct cpu. */
static void narrow_insn(struct tr *t, unsigned k, const struct insn *i, const struct native_form *f)
{
	const struct narrow_registers at = { .emu = RSP, .memory = S0, .scratch = S1 };
	const bool accesses = f->loads || f->stores;
	struct code *c = &t->c;
	unsigned length;

	need_vectors(t, k, VECTORS_MEMORY);
	may_clobber(t, k);
	if (accesses)
		put_access(t, k, i, f->bytes, f->stores);
	if (t->vectors != VECTORS_MEMORY) { /* the check of the access has been to C */
		put_env(c, true, OP_STORE, S0, ENV(saved[3]));
		need_vectors(t, k, VECTORS_MEMORY);
		put_env(c, true, OP_LOAD, S0, ENV(saved[3]));
	}
	if (accesses && f->aligned && f->bytes > 1)
		put_alignment(t, k, f->bytes);
	else if (accesses)
		put_address(t);
	length = narrow_put(c->p + c->n, c->room - c->n, i, &at);
	c->failed |= length == 0;
	c->n += length;
	clobbered(t);
	if (accesses)
		resume_here(t, k);
}

bool vector_insn(struct tr *t, unsigned k, const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];
	struct insn h = hosted(t, i);
	struct native_form f;
	struct scratch s = { .room = i->is_mem ? 1 : 2 };
	bool accesses;

	if (!describe(i, &f) || !is_usable(t->e, f.unit))
		return false;
	if (f.narrow || (t->narrow && f.unit == NATIVE_AVX && i->id != ISA_VZEROUPPER && narrow_has(i))) {
		narrow_insn(t, k, i, &f);
		return true;
	}
	if (!rename_registers(&h, r, &s) || !fits(&h))
		return false;
	accesses = f.loads || f.stores;
	need_vectors(t, k, level_of(t, f.unit));
	if (accesses && f.aligned)
		may_clobber(t, k); /* before S0 holds anything */
	if (accesses)
		put_access(t, k, i, f.bytes, f.stores);
	if (t->vectors == VECTORS_NONE) { /* the check of the access has been to C */
		put_env(&t->c, true, OP_STORE, S0, ENV(saved[3]));
		need_vectors(t, k, level_of(t, f.unit));
		put_env(&t->c, true, OP_LOAD, S0, ENV(saved[3]));
	}
	if (accesses && f.aligned && f.bytes > 1)
		put_alignment(t, k, f.bytes);
	if (accesses)
		at_operand(t, &h);
	load_scratch(t, &s);
	put_insn(&t->c, &h);
	store_scratch(t, &s);
	if ((r->flags_written | r->flags_undefined) & ISA_FL_ARITH) {
		t->flags = IN_HOST;
		t->setter = 0;
	}
	if (accesses)
		resume_here(t, k);
	return true;
}

#endif
