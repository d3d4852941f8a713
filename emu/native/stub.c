/* SPDX-License-Identifier: MIT */
/* Making the host's form of one guest instruction: native/stub.h. */
#include "stub.h"
#include "host.h"
#include "narrow.h"

#include "emu/decode/encode.h"
#include "emu/isa/isa.h"

#include <stddef.h>
#include <string.h>

/* Where the guest's registers are while the host runs the instruction, by the place of the operand. */
enum { AT_REG = 0, AT_VVVV = 1, AT_RM = 2, AT_IS4 = 3, AT_MASK = 4, ZERO = 5 };
/* Arguments of native_stub. General registers of operands, by the places above, are free in a call. */
enum { EMU_POINTER = RDI, INSN_POINTER = RSI, MEMORY_POINTER = RDX };
static const uint8_t general_at[3] = { RAX, R8, RCX };

struct code {
	uint8_t p[NATIVE_STUB_MAX];
	unsigned n;
	bool failed; /* something could not be encoded, or is too long */
};

static void put_bytes(struct code *c, const void *bytes, unsigned count)
{
	if (c->n + count > sizeof(c->p)) {
		c->failed = true;
		return;
	}
	memcpy(c->p + c->n, bytes, count);
	c->n += count;
}

static void put_insn(struct code *c, const struct insn *i)
{
	uint8_t bytes[INSN_MAX_BYTES];
	const unsigned length = encode(i, bytes);

	c->failed |= length == 0;
	put_bytes(c, bytes, length);
}

/* ---- moving guest registers ---- */

/* A move between host register `reg` and the guest register at `offset` of struct emu. */
static void put_move(struct code *c, enum isa_id id, unsigned reg, size_t offset, unsigned vl, unsigned prefixes)
{
	put_insn(c, &(struct insn){ .id = (uint16_t)id,
				    .asize = 8,
				    .size = prefixes & PFX_OPSIZE ? 2 : 8,
				    .is_mem = 1,
				    .base = EMU_POINTER,
				    .index = ADDR_NONE,
				    .disp = (int32_t)offset,
				    .reg = (uint8_t)reg,
				    .vl = vl & 3,
				    .prefixes = (uint8_t)prefixes });
}

static size_t vector_offset(unsigned reg)
{
	return offsetof(struct emu, cpu.vec) + reg * sizeof(union vec);
}

static void load_vector(struct code *c, enum native_unit unit, unsigned at, unsigned reg)
{
	switch (unit) {
	case NATIVE_SSE:
		put_move(c, ISA_MOVUPS_V_W, at, vector_offset(reg), 0, 0);
		break;
	case NATIVE_AVX:
		put_move(c, ISA_VMOVUPS_V_W, at, vector_offset(reg), 1, 0);
		break;
	case NATIVE_AVX512:
		put_move(c, ISA_E_VMOVUPS_V_W, at, vector_offset(reg), 2, 0);
		break;
	case NATIVE_UNITS:
		break;
	}
}

/* Legacy instructions keep what is above 128 bits; others have cleared what is above their length (SDM vol. 1, 14.1.2), as
 * far as the host's registers go. */
static void store_vector(struct code *c, enum native_unit unit, unsigned at, unsigned reg)
{
	switch (unit) {
	case NATIVE_SSE:
		put_move(c, ISA_MOVUPS_W_V, at, vector_offset(reg), 0, 0);
		break;
	case NATIVE_AVX:
		put_move(c, ISA_VMOVUPS_W_V, at, vector_offset(reg), 1, 0);
		put_insn(c, &(struct insn){ .id = ISA_VXORPS, .asize = 8, .reg = ZERO, .vvvv = ZERO, .rm = ZERO });
		put_move(c, ISA_VMOVUPS_W_V, ZERO, vector_offset(reg) + 32, 1, 0);
		break;
	case NATIVE_AVX512:
		put_move(c, ISA_E_VMOVUPS_W_V, at, vector_offset(reg), 2, 0);
		break;
	case NATIVE_UNITS:
		break;
	}
}

static void move_opmask(struct code *c, enum isa_id id, unsigned at, unsigned reg)
{
	put_move(c, id, at, offsetof(struct emu, cpu.k) + reg * sizeof(uint64_t), 0, PFX_REX_W);
}

static void move_general(struct code *c, enum isa_id id, unsigned at, unsigned reg)
{
	put_move(c, id, general_at[at], offsetof(struct emu, cpu.gpr) + reg * sizeof(uint64_t), 0, PFX_REX_W);
}

/* ---- operands ---- */

enum bank { BANK_NONE, BANK_VECTOR, BANK_OPMASK, BANK_GENERAL, BANK_MEMORY, BANK_IMMEDIATE, BANK_UNKNOWN };

/* What an operand of the instruction is, and at which place its register number stands. */
struct place {
	enum bank bank;
	unsigned at;
};

static struct place rm_or_memory(const struct insn *i, enum bank bank)
{
	return i->is_mem ? (struct place){ BANK_MEMORY, 0 } : (struct place){ bank, AT_RM };
}

static struct place place_of(const struct insn *i, unsigned n)
{
	switch ((enum isa_kind)isa_rows[i->id].op[n].kind) {
	case OPK_NONE:
		return (struct place){ BANK_NONE, 0 };
	case OPK_I:
		return (struct place){ BANK_IMMEDIATE, 0 };
	case OPK_V:
		return (struct place){ BANK_VECTOR, AT_REG };
	case OPK_H:
		return (struct place){ BANK_VECTOR, AT_VVVV };
	case OPK_L:
		return (struct place){ BANK_VECTOR, AT_IS4 };
	case OPK_W:
	case OPK_U:
		return rm_or_memory(i, BANK_VECTOR);
	case OPK_KG:
		return (struct place){ BANK_OPMASK, AT_REG };
	case OPK_KH:
		return (struct place){ BANK_OPMASK, AT_VVVV };
	case OPK_KE:
	case OPK_KR:
		return rm_or_memory(i, BANK_OPMASK);
	case OPK_G:
		return (struct place){ BANK_GENERAL, AT_REG };
	case OPK_E:
	case OPK_R:
		return rm_or_memory(i, BANK_GENERAL);
	case OPK_M:
		return (struct place){ BANK_MEMORY, 0 };
	default:
		return (struct place){ BANK_UNKNOWN, 0 };
	}
}

static unsigned number_at(const struct insn *i, unsigned at)
{
	switch (at) {
	case AT_REG:
		return i->reg;
	case AT_VVVV:
		return i->vvvv;
	case AT_RM:
		return i->rm;
	default:
		return i->imm2;
	}
}

/* Opmasks are numbered from 1: k0 has a meaning of its own. */
static void replace(struct insn *i, unsigned at, unsigned host)
{
	switch (at) {
	case AT_REG:
		i->reg = (uint8_t)host;
		break;
	case AT_VVVV:
		i->vvvv = (uint8_t)host;
		break;
	case AT_RM:
		i->rm = (uint8_t)host;
		break;
	default:
		i->imm = (i->imm & 15) | (uint64_t)host << 4;
		break;
	}
}

static unsigned host_number(struct place p)
{
	return p.bank == BANK_GENERAL ? general_at[p.at] : p.bank == BANK_OPMASK ? p.at + 1 : p.at;
}

/* Does the instruction need the old value? Legacy moves of scalars merge or clear by their form: theirs is loaded always. */
static bool is_read(const struct insn *i, unsigned n, enum native_unit unit)
{
	return (isa_rows[i->id].op[n].access & OPA_R) || unit == NATIVE_SSE || (i->mask && !i->zero);
}

static void load_operand(struct code *c, const struct insn *i, struct place p, enum native_unit unit)
{
	const unsigned reg = number_at(i, p.at);

	if (p.bank == BANK_VECTOR)
		load_vector(c, unit, p.at, reg);
	else if (p.bank == BANK_OPMASK)
		move_opmask(c, ISA_KMOVQ_K_E, p.at + 1, reg & 7);
	else if (p.bank == BANK_GENERAL)
		move_general(c, ISA_MOV_Gv_Ev, p.at, reg & 15);
}

static void store_operand(struct code *c, const struct insn *i, struct place p, enum native_unit unit)
{
	const unsigned reg = number_at(i, p.at);

	if (p.bank == BANK_VECTOR)
		store_vector(c, unit, p.at, reg);
	else if (p.bank == BANK_OPMASK)
		move_opmask(c, ISA_KMOVQ_M_K, p.at + 1, reg & 7);
	else if (p.bank == BANK_GENERAL) /* 32-bit results have cleared the upper half */
		move_general(c, ISA_MOV_Ev_Gv, p.at, reg & 15);
}

/* ---- the instruction ---- */

/* The flags image (core/flags.h): what LAHF and SETO leave in AX. */
static void store_flags(struct code *c)
{
	put_bytes(c, "\x9f\x0f\x90\xc0", 4);
	put_move(c, ISA_MOV_Ev_Gv, RAX, offsetof(struct emu, flags_image), 0, PFX_OPSIZE);
}

static struct insn hosted(const struct insn *i)
{
	struct insn h = *i;

	h.prefixes &= (uint8_t) ~(PFX_SEG | PFX_ADDRSIZE | PFX_REX);
	h.asize = 8;
	if (h.is_mem) {
		h.base = MEMORY_POINTER;
		h.index = ADDR_NONE;
		h.scale = 0;
		h.disp = 0;
	}
	if (h.mask)
		h.mask = AT_MASK;
	for (unsigned n = 0; n < 4; n++) {
		struct place p = place_of(i, n);

		if (p.bank == BANK_VECTOR || p.bank == BANK_OPMASK || p.bank == BANK_GENERAL)
			replace(&h, p.at, host_number(p));
	}
	return h;
}

/* The jump to what `otherwise` names, if the guard's bit is not set; where its distance stands. */
static unsigned put_guard(struct code *c, const struct native_frame *f)
{
	const uint32_t at = (uint32_t)f->guard_at;

	put_bytes(c, "\xf6\x87", 2); /* TEST byte [rdi + at], guard */
	put_bytes(c, &at, sizeof(at));
	put_bytes(c, &f->guard, 1);
	put_bytes(c, "\x0f\x84\0\0\0\0", 6); /* JZ */
	return c->n - 4;
}

static void put_otherwise(struct code *c, const struct native_frame *f, unsigned distance_at)
{
	const uint32_t distance = c->n - (distance_at + 4);
	const uint64_t target = (uintptr_t)f->otherwise;

	if (!c->failed)
		memcpy(c->p + distance_at, &distance, sizeof(distance));
	put_bytes(c, "\x48\xb8", 2); /* MOV RAX, target */
	put_bytes(c, &target, sizeof(target));
	put_bytes(c, "\xff\xe0", 2); /* JMP RAX */
}

static void put_end(struct code *c, const struct native_frame *f)
{
	const uint8_t step = sizeof(struct insn);

	_Static_assert((int)INSN_POINTER == (int)RSI && offsetof(struct insn, fn) == 0, "the bytes below");
	if (!f->goes_on) {
		put_bytes(c, "\xc3", 1); /* RET */
		return;
	}
	put_bytes(c, "\x48\x83\xc6", 3); /* ADD RSI, step */
	put_bytes(c, &step, 1);
	put_bytes(c, "\xff\x26", 2); /* JMP [RSI] */
}

static void put_narrow(struct code *c, const struct insn *i)
{
	const struct narrow_registers at = { .emu = EMU_POINTER, .memory = MEMORY_POINTER, .scratch = RAX };
	const unsigned length = narrow_put(c->p + c->n, (unsigned)sizeof(c->p) - c->n, i, &at);

	c->failed |= length == 0;
	c->n += length;
	put_insn(c, &(struct insn){ .id = ISA_VZEROUPPER, .asize = 8 });
}

static void put_work(struct code *c, const struct insn *i, enum native_unit unit)
{
	const struct insn h = hosted(i);

	for (unsigned n = 0; n < 4; n++)
		if (is_read(i, n, unit))
			load_operand(c, i, place_of(i, n), unit);
	if (i->mask)
		move_opmask(c, ISA_KMOVQ_K_E, AT_MASK, i->mask);
	put_insn(c, &h);
	for (unsigned n = 0; n < 4; n++)
		if (isa_rows[i->id].op[n].access & OPA_W)
			store_operand(c, i, place_of(i, n), unit);
	if (isa_rows[i->id].flags_written)
		store_flags(c);
	if (unit != NATIVE_SSE) /* legacy code around this pays for dirty upper halves */
		put_insn(c, &(struct insn){ .id = ISA_VZEROUPPER, .asize = 8 });
}

/* ---- what a row asks of the host, and of the caller ---- */

static enum native_unit unit_of(const struct isa_row *r)
{
	return r->attr & ISA_AVX512X ? NATIVE_AVX512 : r->attr & ISA_AVXX ? NATIVE_AVX : NATIVE_SSE;
}

static bool host_can(const struct isa_row *r, enum native_unit unit)
{
	if (!(r->attr & ISA_COPY) || !(r->attr & (ISA_SSEX | ISA_AVXX | ISA_AVX512X)) || !native_has(r->feature) ||
	    !native_has(FEAT_SSE2))
		return false;
	/* KMOVQ is AVX512BW's; shorter vectors are a feature of their own. */
	if (unit == NATIVE_AVX512)
		return native_has(FEAT_AVX512F) && native_has(FEAT_AVX512BW) && native_has(FEAT_AVX512VL);
	return unit == NATIVE_SSE || native_has(FEAT_AVX);
}

/* False: there is an operand, or a size of one, that nothing here knows. */
static bool describe_operands(const struct insn *i, const struct isa_row *r, struct native_form *f)
{
	const unsigned class = isa_exception_class(r);

	/* Classes 2, 3 and 11 raise SIMD floating-point exceptions (SDM vol. 2, 2.4, 2.7). */
	f->mxcsr = class == 2 || class == 3 || class == 11 || (r->attr & ISA_DAZ);
	for (unsigned n = 0; n < 4; n++) {
		struct place p = place_of(i, n);
		unsigned bytes;

		if (p.bank == BANK_UNKNOWN)
			return false;
		if (p.bank != BANK_MEMORY)
			continue;
		bytes = isa_operand_bytes(i, n);
		if (bytes == 0 || bytes > 64 || (bytes & (bytes - 1)))
			return false;
		f->bytes = (uint8_t)bytes;
		f->loads = r->op[n].access == OPA_R;
		f->stores = !f->loads;
		f->aligned = class == 1 || (f->unit == NATIVE_SSE && bytes == 16 && !(r->attr & ISA_NOALIGN));
	}
	return true;
}

bool native_describe(const struct insn *i, struct native_form *form)
{
	const struct isa_row *r = &isa_rows[i->id];

	*form = (struct native_form){ .unit = unit_of(r) };
	if (!host_can(r, form->unit) && form->unit == NATIVE_AVX512)
		form->narrow = narrow_has(i);
	return (form->narrow || host_can(r, form->unit)) && describe_operands(i, r, form);
}

const uint8_t *native_stub_make(struct native_memory *m, const struct insn *i, const struct native_form *form,
				const struct native_frame *frame)
{
	struct code c = { .n = 0 };
	unsigned guard = 0;

	if (frame->otherwise)
		guard = put_guard(&c, frame);
	if (form->narrow)
		put_narrow(&c, i);
	else
		put_work(&c, i, form->unit);
	put_end(&c, frame);
	if (frame->otherwise)
		put_otherwise(&c, frame, guard);
	return c.failed || !m->writable ? NULL : native_memory_put(m, c.p, c.n);
}
