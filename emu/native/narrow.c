/* SPDX-License-Identifier: MIT */
/* Wide forms from narrower ones: native/narrow.h. */
#include "narrow.h"
#include "host.h"

#include "emu/core/emu.h"
#include "emu/isa/isa.h"

#include <stddef.h>
#include <string.h>

/* What vector registers of the host hold meanwhile. Results come last: pieces are stored when all operands have been read. */
enum { OPERAND_H = 0, OPERAND_V = 1, OPERAND_RM = 2, OLD = 3, TEMPORARY = 4, ONES = 5, MASK = 6, ZERO = 7, RESULT = 8 };
enum { PIECES = 2 };

struct out {
	uint8_t *p;
	unsigned n, room;
	bool failed;
	struct narrow_registers at;
};

/* ---- VEX instructions ---- */

/* Map 1 to 3, pp as VEX has it: 0, 66, F3, F2. */
struct op {
	uint8_t map, opcode, pp, w;
};

static const struct op load = { 1, 0x10, 0, 0 }, store = { 1, 0x11, 0, 0 }, and = { 1, 0xdb, 1, 0 }, andn = { 1, 0xdf, 1, 0 },
		       or = { 1, 0xeb, 1, 0 }, xor = { 1, 0xef, 1, 0 }, blend = { 3, 0x4c, 1, 0 }, shuffle = { 2, 0x00, 1, 0 },
		       broadcast_128 = { 2, 0x5a, 1, 0 }, extract = { 3, 0x39, 1, 0 }, insert = { 3, 0x38, 1, 0 },
		       pack = { 1, 0x63, 1, 0 };
/* Of doublewords and quadwords. */
static const struct op shift_by[] = { { 1, 0x72, 1, 0 }, { 1, 0x73, 1, 0 } }, shift_left[] = { { 2, 0x47, 1, 0 }, { 2, 0x47, 1, 1 } },
		       shift_right[] = { { 2, 0x45, 1, 0 }, { 2, 0x45, 1, 1 } }, subtract[] = { { 1, 0xfa, 1, 0 }, { 1, 0xfb, 1, 0 } };
enum { SHIFT_RIGHT = 2, SHIFT_LEFT = 6 }; /* ModRM.reg of shift_by */
/* By the logarithm of an element's size. */
static const struct op broadcast[] = { { 2, 0x78, 1, 0 }, { 2, 0x79, 1, 0 }, { 2, 0x58, 1, 0 }, { 2, 0x59, 1, 0 } };
static const struct op equal[] = { { 1, 0x74, 1, 0 }, { 1, 0x75, 1, 0 }, { 1, 0x76, 1, 0 }, { 2, 0x29, 1, 0 } };
static const struct op greater[] = { { 1, 0x64, 1, 0 }, { 1, 0x65, 1, 0 }, { 1, 0x66, 1, 0 }, { 2, 0x37, 1, 0 } };
static const struct op least[2][3] = { /* of signed ones; of unsigned ones */
	{ { 2, 0x38, 1, 0 }, { 1, 0xea, 1, 0 }, { 2, 0x39, 1, 0 } },
	{ { 1, 0xda, 1, 0 }, { 2, 0x3a, 1, 0 }, { 2, 0x3b, 1, 0 } },
};
static const struct op signs[] = { { 1, 0xd7, 1, 0 }, { 1, 0xd7, 1, 0 }, { 1, 0x50, 0, 0 }, { 1, 0x50, 1, 0 } };
static const struct op store_masked[] = { [2] = { 2, 0x2e, 1, 0 }, [3] = { 2, 0x2f, 1, 0 } };

/* What ModRM.rm is: a register, or memory at base + disp. */
struct where {
	bool memory;
	uint8_t reg;
	int32_t disp;
};

static struct where in(unsigned reg)
{
	return (struct where){ .reg = (uint8_t)reg };
}

static struct where at(unsigned base, size_t disp)
{
	return (struct where){ .memory = true, .reg = (uint8_t)base, .disp = (int32_t)disp };
}

static void put(struct out *o, const void *bytes, unsigned count)
{
	if (o->n + count > o->room) {
		o->failed = true;
		return;
	}
	memcpy(o->p + o->n, bytes, count);
	o->n += count;
}

static void put1(struct out *o, unsigned byte)
{
	put(o, &(uint8_t){ (uint8_t)byte }, 1);
}

static void put_rm(struct out *o, unsigned reg, struct where w)
{
	put1(o, (w.memory ? 0x80u : 0xc0u) | (reg & 7) << 3 | (w.reg & 7u));
	if (!w.memory)
		return;
	if ((w.reg & 7) == RSP)
		put1(o, 0x24);
	put(o, &w.disp, sizeof(w.disp));
}

static void put_vex(struct out *o, struct op op, unsigned vl, unsigned reg, unsigned vvvv, struct where w)
{
	put1(o, 0xc4);
	put1(o, (~reg >> 3 & 1u) << 7 | 0x40 | (~(unsigned)w.reg >> 3 & 1u) << 5 | op.map);
	put1(o, (unsigned)op.w << 7 | (~vvvv & 15u) << 3 | vl << 2 | op.pp);
	put1(o, op.opcode);
	put_rm(o, reg, w);
}

/* ---- of general registers ---- */

enum { MOV_STORE = 0x89, OR = 0x09 };

static void put_general(struct out *o, unsigned opcode, unsigned reg, struct where w)
{
	put1(o, 0x48 | (reg >> 3) << 2 | w.reg >> 3);
	put1(o, opcode);
	put_rm(o, reg, w);
}

static void put_constant(struct out *o, unsigned reg, const void *pointer)
{
	const uint64_t value = (uintptr_t)pointer;

	put1(o, 0x48 | reg >> 3);
	put1(o, 0xb8 | (reg & 7));
	put(o, &value, sizeof(value));
}

static void put_shift_left(struct out *o, unsigned reg, unsigned by)
{
	put1(o, 0x48 | reg >> 3);
	put1(o, 0xc1);
	put1(o, 0xe0 | (reg & 7));
	put1(o, by);
}

/* ---- the guest's registers ---- */

static struct where vector(const struct out *o, unsigned reg, unsigned offset)
{
	return at(o->at.emu, offsetof(struct emu, cpu.vec) + reg * sizeof(union vec) + offset);
}

static struct where general(const struct out *o, unsigned reg)
{
	return at(o->at.emu, offsetof(struct emu, cpu.gpr) + reg * sizeof(uint64_t));
}

static struct where opmask(const struct out *o, unsigned reg, unsigned offset)
{
	return at(o->at.emu, offsetof(struct emu, cpu.k) + (reg & 7) * sizeof(uint64_t) + offset);
}

/* ---- which VEX row does it ---- */

static bool is(const struct isa_row *r, isa_semantic *sem)
{
	return r->sem == sem;
}

/* Logic operations of doublewords and quadwords are one, without a mask. */
static bool is_mnemonic(const char *evex, const char *vex)
{
	const size_t n = strlen(vex);

	return strncmp(evex, vex, n) == 0 &&
	       (evex[n] == 0 || (evex[n + 1] == 0 && strchr("dq", evex[n]) && evex[1] == 'p' && strchr("aox", evex[2])));
}

static bool fits_length(const struct isa_row *vex, unsigned vl)
{
	return vex->l == ISA_LIG || vex->l == ISA_L01 || vex->l == (vl ? ISA_L1 : ISA_L0);
}

static const struct isa_row *find_vex(const struct isa_row *r, unsigned vl)
{
	for (unsigned id = 1; id < ISA_COUNT; id++) {
		const struct isa_row *v = &isa_rows[id];

		if (v->map == r->map - ISA_E0F + ISA_V0F && v->opcode == r->opcode && v->pp == r->pp && v->ext == r->ext &&
		    (v->attr & ISA_AVXX) && fits_length(v, vl) && v->mod != ISA_MOD_MEM && is_mnemonic(r->mnemonic, v->mnemonic))
			return v;
	}
	return NULL;
}

/* One instruction on the way. */
struct work {
	const struct insn *i;
	const struct isa_row *r, *vex; /* vex: NULL where it takes several */
	unsigned pieces, vl; /* of VEX */
	unsigned bytes;	     /* of the destination, in each piece */
	unsigned log, vector_log; /* logarithms of the element's size: of the destination; of memory */
};

static unsigned log_of(unsigned size)
{
	return (unsigned)__builtin_ctz(size);
}

static bool is_move(const struct isa_row *r)
{
	return is(r, sem_evex_movu_load) || is(r, sem_evex_mova_load) || is(r, sem_evex_movu_store) || is(r, sem_evex_mova_store);
}

static bool is_logic_of_three(const struct isa_row *r)
{
	return is(r, sem_evex_pternlog);
}

static bool is_blend(const struct isa_row *r)
{
	return is(r, sem_evex_blendm);
}

static bool is_broadcast(const struct isa_row *r)
{
	return is(r, sem_evex_broadcast) || is(r, sem_evex_broadcast_gpr);
}

/* Bytes of what is broadcast, by the tuple of its memory form. */
static unsigned broadcast_bytes(const struct isa_row *r)
{
	if (is(r, sem_evex_broadcast_gpr))
		return r->elem;
	return isa_evex_bytes(r, 0, false, r->esize == 8);
}

static bool is_rotate_by(const struct isa_row *r)
{
	return is(r, sem_evex_prordi) || is(r, sem_evex_prorqi) || is(r, sem_evex_proldi) || is(r, sem_evex_prolqi);
}

static bool is_rotate(const struct isa_row *r)
{
	return is(r, sem_evex_prorvd) || is(r, sem_evex_prorvq) || is(r, sem_evex_prolvd) || is(r, sem_evex_prolvq);
}

static bool rotates_right(const struct isa_row *r)
{
	return is(r, sem_evex_prordi) || is(r, sem_evex_prorqi) || is(r, sem_evex_prorvd) || is(r, sem_evex_prorvq);
}

static bool is_extract(const struct isa_row *r)
{
	return is(r, sem_evex_extract);
}

static bool is_insert(const struct isa_row *r)
{
	return is(r, sem_evex_insert);
}

/* Of an insertion or extraction. */
static unsigned part_bytes(const struct isa_row *r)
{
	return isa_evex_bytes(r, 0, false, r->esize == 8);
}

static bool is_test(const struct isa_row *r)
{
	return (r->opcode & 0xfe) == 0x26 && r->map == ISA_E0F38;
}

static bool is_compare(const struct isa_row *r)
{
	return r->op[0].kind == OPK_KG;
}

/* VPCMP[U]x with a predicate in the immediate. */
static bool is_predicate(const struct isa_row *r)
{
	return r->map == ISA_E0F3A && ((r->opcode & 0xfe) == 0x3e || (r->opcode & 0xfe) == 0x1e);
}

static struct work work_of_evex(const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];
	const bool scalar = r->l == ISA_LIG;
	struct work w = { .i = i, .r = r, .pieces = i->vl == 2 && !scalar ? PIECES : 1, .vl = i->vl && !scalar };

	if (is_extract(r)) {
		w.pieces = 1;
		w.vl = part_bytes(r) > 16;
	}
	w.vex = is_extract(r) || is_insert(r) ? NULL : find_vex(r, w.vl);
	w.log = log_of(r->elem);
	w.vector_log = log_of(r->esize ? r->esize : i->prefixes & PFX_REX_W ? 8 : 4);
	return w;
}

static bool is_evex(const struct isa_row *r)
{
	return r->map >= ISA_E0F;
}

/* A VEX instruction is itself, once. */
static struct work work_of(const struct insn *i)
{
	const struct isa_row *r = &isa_rows[i->id];

	return is_evex(r) ? work_of_evex(i) : (struct work){ .i = i, .r = r, .vex = r, .pieces = 1, .vl = i->vl & 1 };
}

/* ---- where the parts of operands are ---- */

static unsigned whole_bytes(const struct work *w, unsigned n)
{
	struct insn plain = *w->i;

	plain.bcst = 0;
	return isa_operand_bytes(&plain, n);
}

static unsigned piece_bytes(const struct work *w, unsigned n)
{
	const struct insn v = { .id = (uint16_t)(w->vex ? w->vex - isa_rows : 0), .vl = w->vl & 3, .size = w->i->size };

	return w->vex ? isa_operand_bytes(&v, n) : whole_bytes(w, n) / w->pieces;
}

/* The same for all pieces, as a shift's count, or each has its own. */
static unsigned piece_offset(const struct work *w, unsigned n, unsigned piece)
{
	const unsigned bytes = piece_bytes(w, n);

	return whole_bytes(w, n) == bytes ? 0 : piece * bytes;
}

static unsigned operand_of(const struct isa_row *r, enum isa_access access, unsigned kinds_first, unsigned kinds_second)
{
	for (unsigned n = 0; n < 4; n++)
		if ((r->op[n].access & access) && (r->op[n].kind == kinds_first || r->op[n].kind == kinds_second))
			return n;
	return 4;
}

static bool is_rm(unsigned kind)
{
	return kind == OPK_W || kind == OPK_U || kind == OPK_M || kind == OPK_E || kind == OPK_R;
}

static unsigned rm_operand(const struct isa_row *r)
{
	for (unsigned n = 0; n < 4; n++)
		if (is_rm(r->op[n].kind))
			return n;
	return 4;
}

/* ---- masks ---- */

/* The bit of each element; and which of four bytes of a mask an element's bit is in. */
static const struct {
	uint64_t quad[8];
	uint32_t word4[16];
	uint16_t word2[16];
	uint8_t byte[32], which[32];
} bits = {
	.quad = { 1, 2, 4, 8, 16, 32, 64, 128 },
	.word4 = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768 },
	.word2 = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768 },
	.byte = { 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128,
		  1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128 },
	.which = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3 },
};

/* All ones in the elements of MASK whose bit of the opmask is set, from the bit `first` on. */
static void put_mask(struct out *o, const struct work *w, unsigned first, unsigned log, unsigned vl)
{
	static const uint8_t wide[] = { 2, 1, 2, 3 };
	const struct where t = at(o->at.scratch, log == 3   ? offsetof(__typeof__(bits), quad) + 8 * first
						 : log == 2 ? offsetof(__typeof__(bits), word4) + 4 * first
						 : log == 1 ? offsetof(__typeof__(bits), word2)
							    : offsetof(__typeof__(bits), byte));

	put_constant(o, o->at.scratch, &bits);
	put_vex(o, broadcast[wide[log]], vl, MASK, 0, opmask(o, w->i->mask, log < 2 ? first / 8 : 0));
	if (log == 0)
		put_vex(o, shuffle, vl, MASK, MASK, at(o->at.scratch, offsetof(__typeof__(bits), which)));
	put_vex(o, and, vl, MASK, MASK, t);
	put_vex(o, equal[log], vl, MASK, MASK, t);
}

static void put_mask_of(struct out *o, const struct work *w, unsigned piece)
{
	if (w->i->mask)
		put_mask(o, w, piece * (w->bytes >> w->log), w->log, w->bytes > 16);
}

/* ---- operands ---- */

static void load_register(struct out *o, const struct work *w, unsigned to, unsigned reg, unsigned n, unsigned piece)
{
	put_vex(o, load, piece_bytes(w, n) > 16, to, 0, vector(o, reg, piece_offset(w, n, piece)));
}

/* What ModRM.rm reads, in a register or where it is. */
static struct where source(struct out *o, const struct work *w, unsigned piece, bool needs_register)
{
	const unsigned n = rm_operand(w->r);
	struct where there;

	if (w->i->is_mem && w->i->bcst) {
		put_vex(o, broadcast[w->vector_log], w->vl, OPERAND_RM, 0, at(o->at.memory, 0));
		return in(OPERAND_RM);
	}
	if (w->i->is_mem)
		there = at(o->at.memory, piece_offset(w, n, piece));
	else if (w->r->op[n].kind == OPK_E || w->r->op[n].kind == OPK_R)
		there = general(o, w->i->rm);
	else
		there = vector(o, w->i->rm, piece_offset(w, n, piece));
	if (!needs_register && (w->i->is_mem || is_evex(w->r)) && (!w->vex || w->vex->mod != ISA_MOD_REG))
		return there;
	put_vex(o, load, piece_bytes(w, n) > 16, OPERAND_RM, 0, there);
	return in(OPERAND_RM);
}

static bool raises_exceptions(const struct isa_row *r)
{
	const unsigned class = isa_exception_class(r);

	return class == 2 || class == 3 || class == 11;
}

/* Elements that the mask excludes raise nothing: zeroes do not, either, for what narrow_has() admits. */
static void quieten(struct out *o, const struct work *w, unsigned reg)
{
	if (w->i->mask && raises_exceptions(w->r))
		put_vex(o, and, w->bytes > 16, reg, reg, in(MASK));
}

/* ---- one VEX instruction for each piece ---- */

static struct op op_of(const struct work *w)
{
	static const uint8_t pp[] = { [ISA_PP_NP] = 0, [ISA_PP_66] = 1, [ISA_PP_F3] = 2, [ISA_PP_F2] = 3 };
	const struct isa_row *v = w->vex;
	const bool wide = v->w == ISA_W1 || (v->w == ISA_WIG && operand_of(v, OPA_RW, OPK_E, OPK_G) < 4 && w->i->size == 8);

	return (struct op){ (uint8_t)(v->map - ISA_V0F + 1), v->opcode, pp[v->pp], wide };
}

/* Where each element of 64 bits has a bit of its own in the immediate. */
static unsigned immediate(const struct work *w, unsigned piece)
{
	const bool each = is(w->r, sem_evex_shufpd) || is(w->r, sem_evex_permilpd_imm);

	return (unsigned)w->i->imm >> (each ? 4 * piece : 0);
}

static void put_same(struct out *o, const struct work *w, unsigned piece)
{
	const bool quiet = w->i->mask && raises_exceptions(w->r);
	unsigned reg = 0, vvvv = 0;
	struct where rm = in(0);

	for (unsigned n = 0; n < 4; n++) {
		const struct isa_operand *op = &w->r->op[n];

		if (op->kind == OPK_V || op->kind == OPK_KG) {
			reg = op->access & OPA_W ? RESULT + piece : OPERAND_V;
			if (op->access & OPA_R)
				load_register(o, w, reg, w->i->reg, n, piece);
			if (op->access & OPA_R)
				quieten(o, w, reg);
		} else if (op->kind == OPK_H && (op->access & OPA_W)) {
			vvvv = RESULT + piece;
		} else if (op->kind == OPK_H) {
			vvvv = OPERAND_H;
			load_register(o, w, vvvv, w->i->vvvv, n, piece);
			quieten(o, w, vvvv);
		} else if (is_rm(op->kind) && (op->access & OPA_W)) {
			rm = w->i->is_mem ? at(o->at.memory, 0) : in(RESULT + piece);
		} else if (is_rm(op->kind)) {
			rm = source(o, w, piece, quiet);
			if (quiet)
				quieten(o, w, rm.reg);
		}
	}
	if (w->vex->ext != ISA_EXT_ANY)
		reg = w->vex->ext & 7;
	put_vex(o, op_of(w), w->vl, reg, vvvv, rm);
	if (operand_of(w->r, OPA_R, OPK_I, OPK_I) < 4)
		put1(o, immediate(w, piece));
}

/* ---- what has no VEX row of its own ---- */

static void put_move_piece(struct out *o, const struct work *w, unsigned piece)
{
	if (w->r->op[1].kind == OPK_V)
		load_register(o, w, RESULT + piece, w->i->reg, 1, piece);
	else
		put_vex(o, load, w->vl, RESULT + piece, 0, source(o, w, piece, false));
}

static void put_broadcast(struct out *o, const struct work *w, unsigned piece)
{
	const unsigned bytes = broadcast_bytes(w->r), n = rm_operand(w->r);
	const struct where from = w->i->is_mem		      ? at(o->at.memory, 0)
				  : w->r->op[n].kind == OPK_R ? general(o, w->i->rm)
							      : vector(o, w->i->rm, 0);

	if (bytes == 32 || (bytes == 16 && !w->vl))
		put_vex(o, load, w->vl, RESULT + piece, 0, from);
	else
		put_vex(o, bytes == 16 ? broadcast_128 : broadcast[log_of(bytes)], w->vl, RESULT + piece, 0, from);
}

/* A function of two bits as a table: bit 2 * a + b. The result in `to`, which is none of a and b. */
static void put_function(struct out *o, unsigned vl, unsigned table, unsigned to, unsigned a, unsigned b)
{
	static const struct {
		uint8_t op; /* 0: none, 1: and, 2: andn (a complemented), 3: or, 4: xor, 5: a, 6: b, 7: andn (b complemented) */
		bool inverts;
	} how[16] = {
		[0x0] = { 0, false }, [0x1] = { 3, true }, [0x2] = { 2, false }, [0x3] = { 5, true },
		[0x4] = { 7, false }, [0x5] = { 6, true }, [0x6] = { 4, false }, [0x7] = { 1, true },
		[0x8] = { 1, false }, [0x9] = { 4, true }, [0xa] = { 6, false }, [0xb] = { 7, true },
		[0xc] = { 5, false }, [0xd] = { 2, true }, [0xe] = { 3, false }, [0xf] = { 0, true },
	};
	const struct op ops[] = { xor, and, andn, or, xor, or, or, andn };
	const unsigned k = how[table & 15].op;
	const unsigned first = k == 0 ? to : k == 6 || k == 7 ? b : a, second = k == 0 ? to : k == 5 || k == 7 ? a : b;

	put_vex(o, ops[k], vl, to, first, in(second));
	if (how[table & 15].inverts)
		put_vex(o, xor, vl, to, to, in(ONES));
}

/* VPTERNLOG: by each bit of the destination one of two functions of the others. */
static void put_logic(struct out *o, const struct work *w, unsigned piece)
{
	const unsigned zero = (unsigned)w->i->imm & 15, one = (unsigned)w->i->imm >> 4 & 15;
	struct where rm = source(o, w, piece, true);

	put_vex(o, equal[2], w->vl, ONES, ONES, in(ONES));
	load_register(o, w, OPERAND_V, w->i->reg, 0, piece);
	load_register(o, w, OPERAND_H, w->i->vvvv, 1, piece);
	put_function(o, w->vl, zero ^ one, TEMPORARY, OPERAND_H, rm.reg);
	put_vex(o, and, w->vl, OPERAND_V, OPERAND_V, in(TEMPORARY));
	put_function(o, w->vl, zero, RESULT + piece, OPERAND_H, rm.reg);
	put_vex(o, xor, w->vl, RESULT + piece, RESULT + piece, in(OPERAND_V));
}

/* X << count | X >> width - count; shifts by the width leave nothing. */
static void put_rotate_by(struct out *o, const struct work *w, unsigned piece)
{
	const unsigned width = 8u << w->log, result = RESULT + piece;
	const unsigned count = (rotates_right(w->r) ? width - (unsigned)w->i->imm : (unsigned)w->i->imm) & (width - 1);
	const struct where rm = source(o, w, piece, true);

	put_vex(o, shift_by[w->log - 2], w->vl, SHIFT_LEFT, result, rm);
	put1(o, count);
	put_vex(o, shift_by[w->log - 2], w->vl, SHIFT_RIGHT, TEMPORARY, rm);
	put1(o, width - count);
	put_vex(o, or, w->vl, result, result, in(TEMPORARY));
}

static void put_rotate(struct out *o, const struct work *w, unsigned piece)
{
	const unsigned k = w->log - 2, result = RESULT + piece;
	const struct op *to = rotates_right(w->r) ? shift_right : shift_left,
			*back = rotates_right(w->r) ? shift_left : shift_right;
	const struct where rm = source(o, w, piece, true);

	load_register(o, w, OPERAND_H, w->i->vvvv, 1, piece);
	put_vex(o, equal[2], w->vl, ONES, ONES, in(ONES));
	put_vex(o, shift_by[k], w->vl, SHIFT_RIGHT, TEMPORARY, in(ONES)); /* width - 1 */
	put1(o, w->log == 2 ? 27 : 58);
	put_vex(o, and, w->vl, ZERO, rm.reg, in(TEMPORARY));
	put_vex(o, to[k], w->vl, result, OPERAND_H, in(ZERO));
	put_vex(o, andn, w->vl, ZERO, ZERO, in(TEMPORARY));
	put_vex(o, subtract[k], w->vl, ZERO, ZERO, in(ONES));
	put_vex(o, back[k], w->vl, ZERO, OPERAND_H, in(ZERO));
	put_vex(o, or, w->vl, result, result, in(ZERO));
}

static void put_extract(struct out *o, const struct work *w)
{
	const unsigned bytes = part_bytes(w->r), parts = (16u << w->i->vl) / bytes;

	put_vex(o, load, w->vl, RESULT, 0, vector(o, w->i->reg, ((unsigned)w->i->imm & (parts - 1)) * bytes));
}

static void put_insert(struct out *o, const struct work *w, unsigned piece)
{
	const unsigned bytes = part_bytes(w->r), parts = (16u << w->i->vl) / bytes, result = RESULT + piece;
	const unsigned where = ((unsigned)w->i->imm & (parts - 1)) * bytes;
	const struct where rm = w->i->is_mem ? at(o->at.memory, 0) : vector(o, w->i->rm, 0);
	const bool here = where / 32 == piece;

	put_vex(o, load, 1, result, 0, here && bytes == 32 ? rm : vector(o, w->i->vvvv, 32 * piece));
	if (!here || bytes == 32)
		return;
	put_vex(o, insert, 1, result, result, rm);
	put1(o, where / 16 & 1);
}

/* ---- comparisons ---- */

/* EQ, LT, LE, false, and their opposites. What has no instruction of its own: a <= b means that the lesser one is a. */
static void put_predicate(struct out *o, const struct work *w, unsigned piece)
{
	const unsigned predicate = (unsigned)w->i->imm & 7, result = RESULT + piece, log = w->vector_log;
	const bool is_unsigned = !(w->r->opcode & 1), swapped = (predicate & 3) == 1;
	const struct where rm = source(o, w, piece, true);
	bool inverts = predicate & 4;

	load_register(o, w, OPERAND_H, w->i->vvvv, 1, piece);
	if ((predicate & 3) == 3) {
		put_vex(o, xor, w->vl, result, result, in(result));
	} else if ((predicate & 3) == 0) {
		put_vex(o, equal[log], w->vl, result, OPERAND_H, rm);
	} else if (log == 3) { /* signed: LE is not GT, LT is GT the other way round */
		put_vex(o, greater[3], w->vl, result, swapped ? rm.reg : OPERAND_H, in(swapped ? OPERAND_H : rm.reg));
		inverts ^= !swapped;
	} else {
		put_vex(o, least[is_unsigned][log], w->vl, TEMPORARY, OPERAND_H, rm);
		put_vex(o, equal[log], w->vl, result, TEMPORARY, in(swapped ? rm.reg : OPERAND_H));
		inverts ^= swapped;
	}
	if (!inverts)
		return;
	put_vex(o, equal[2], w->vl, ONES, ONES, in(ONES));
	put_vex(o, xor, w->vl, result, result, in(ONES));
}

static void put_test(struct out *o, const struct work *w, unsigned piece)
{
	const unsigned result = RESULT + piece;
	const struct where rm = source(o, w, piece, true);

	load_register(o, w, OPERAND_H, w->i->vvvv, 1, piece);
	put_vex(o, and, w->vl, OPERAND_H, OPERAND_H, rm);
	put_vex(o, xor, w->vl, ZERO, ZERO, in(ZERO));
	put_vex(o, equal[w->log], w->vl, result, OPERAND_H, in(ZERO));
	if (w->r->pp == ISA_PP_F3) /* VPTESTNM */
		return;
	put_vex(o, equal[2], w->vl, ONES, ONES, in(ONES));
	put_vex(o, xor, w->vl, result, result, in(ONES));
}

/* The signs of a piece's elements in a general register. */
static void put_signs(struct out *o, const struct work *w, unsigned piece, unsigned to)
{
	const unsigned result = RESULT + piece;

	if (w->log != 1) {
		put_vex(o, signs[w->log], w->vl, to, 0, in(result));
		return;
	}
	put_vex(o, xor, 0, TEMPORARY, TEMPORARY, in(TEMPORARY));
	if (w->vl) {
		put_vex(o, extract, 1, result, 0, in(TEMPORARY));
		put1(o, 1);
	}
	put_vex(o, pack, 0, result, result, in(TEMPORARY));
	put_vex(o, signs[0], 0, to, 0, in(result));
}

static void store_opmask(struct out *o, const struct work *w)
{
	const unsigned scratch = o->at.scratch, other = o->at.memory;

	put_signs(o, w, 0, scratch);
	if (w->pieces > 1) {
		put_signs(o, w, 1, other);
		put_shift_left(o, other, w->bytes >> w->log);
		put_general(o, OR, other, in(scratch));
	}
	put_general(o, MOV_STORE, scratch, opmask(o, w->i->reg, 0));
}

/* ---- results ---- */

static unsigned destination(const struct work *w)
{
	return w->r->op[0].kind == OPK_V ? w->i->reg : w->r->op[0].kind == OPK_H ? w->i->vvvv : w->i->rm;
}

/* What the mask excludes stays, or becomes zero; a blend has another operand there. */
static void merge(struct out *o, const struct work *w, unsigned piece)
{
	const unsigned result = RESULT + piece, wide = w->bytes > 16;

	if (!w->i->mask)
		return;
	if (is_compare(w->r) || w->i->zero) {
		put_vex(o, and, wide, result, result, in(MASK));
		return;
	}
	put_vex(o, load, wide, OLD, 0, vector(o, is_blend(w->r) ? w->i->vvvv : destination(w), piece * w->bytes));
	put_vex(o, blend, wide, result, OLD, in(result));
	put1(o, MASK << 4);
}

/* All above the length is cleared. */
static void store_vector(struct out *o, const struct work *w)
{
	const unsigned reg = destination(w), wide = w->bytes > 16;
	unsigned end = 0;

	for (unsigned piece = 0; piece < w->pieces; piece++, end += wide ? 32 : 16)
		put_vex(o, store, wide, RESULT + piece, 0, vector(o, reg, end));
	if (end < 64)
		put_vex(o, xor, 1, ZERO, ZERO, in(ZERO));
	if (end == 16)
		put_vex(o, store, 0, ZERO, 0, vector(o, reg, 16));
	if (end <= 32)
		put_vex(o, store, 1, ZERO, 0, vector(o, reg, 32));
}

static bool stores_to_memory(const struct work *w)
{
	return w->i->is_mem && is_rm(w->r->op[0].kind);
}

static void put_piece(struct out *o, const struct work *w, unsigned piece)
{
	put_mask_of(o, w, piece);
	if (is_move(w->r))
		put_move_piece(o, w, piece);
	else if (is_broadcast(w->r))
		put_broadcast(o, w, piece);
	else if (is_blend(w->r))
		put_vex(o, load, w->vl, RESULT + piece, 0, source(o, w, piece, false));
	else if (is_logic_of_three(w->r))
		put_logic(o, w, piece);
	else if (is_predicate(w->r))
		put_predicate(o, w, piece);
	else if (is_test(w->r))
		put_test(o, w, piece);
	else if (is_rotate_by(w->r))
		put_rotate_by(o, w, piece);
	else if (is_rotate(w->r))
		put_rotate(o, w, piece);
	else if (is_extract(w->r))
		put_extract(o, w);
	else if (is_insert(w->r))
		put_insert(o, w, piece);
	else
		put_same(o, w, piece);
	if (stores_to_memory(w) && !is_evex(w->r))
		return;
	if (stores_to_memory(w) && !w->i->mask)
		put_vex(o, store, w->vl, RESULT + piece, 0, at(o->at.memory, piece * w->bytes));
	else if (stores_to_memory(w))
		put_vex(o, store_masked[w->log], w->vl, RESULT + piece, MASK, at(o->at.memory, piece * w->bytes));
	else
		merge(o, w, piece);
}

/* ---- */

static bool is_special(const struct isa_row *r)
{
	return is_move(r) || is_broadcast(r) || is_blend(r) || is_logic_of_three(r) || is_predicate(r) || is_test(r) ||
	       is_rotate_by(r) || is_rotate(r) || is_extract(r) || is_insert(r);
}

static bool vex_feature(const struct work *w)
{
	return native_has(FEAT_AVX2) && (is_special(w->r) || (w->vex && native_has(w->vex->feature)));
}

/* Sources and destination have elements of one size, and zeroes raise nothing. */
static bool can_be_quiet(const struct work *w)
{
	return w->r->l != ISA_LIG && w->vector_log == w->log && !is(w->r, sem_evex_divps) && !is(w->r, sem_evex_divpd) &&
	       (w->r->op[0].size == OPS_x || is_compare(w->r));
}

/* A VEX row of vectors alone. */
static bool vex_can(const struct insn *i, const struct isa_row *r)
{
	const unsigned to = r->op[0].kind;

	if (!(r->attr & ISA_AVXX) || !(r->attr & ISA_COPY) || r->flags_written || !native_has(r->feature) ||
	    !native_has(FEAT_AVX2))
		return false;
	for (unsigned n = 0; n < 4; n++) {
		const unsigned kind = r->op[n].kind;

		if (kind != OPK_NONE && kind != OPK_V && kind != OPK_H && kind != OPK_W && kind != OPK_U && kind != OPK_M &&
		    kind != OPK_I)
			return false;
	}
	return (r->op[0].access & OPA_W) && (to == OPK_V || to == OPK_H || to == OPK_W || (to == OPK_M && i->is_mem));
}

bool narrow_has(const struct insn *i)
{
	const struct work w = work_of(i);

	if (!is_evex(w.r))
		return vex_can(i, w.r);
	if (!(w.r->attr & ISA_NARROW) || !vex_feature(&w) || (i->bcst && !i->is_mem))
		return false;
	if (is_predicate(w.r) && w.vector_log == 3 && !(w.r->opcode & 1) && (i->imm & 3) % 3)
		return false; /* unsigned quadwords */
	if (i->mask && (w.r->l == ISA_LIG || (raises_exceptions(w.r) && !can_be_quiet(&w))))
		return false;
	if (!stores_to_memory(&w))
		return true;
	return (is_move(w.r) || is_extract(w.r)) && (!i->mask || w.log >= 2);
}

unsigned narrow_put(uint8_t *to, unsigned room, const struct insn *i, const struct narrow_registers *registers)
{
	struct out o = { .p = to, .room = room, .at = *registers };
	struct work w = work_of(i);

	/* Masks are as many bits as there are elements in what is compared. */
	w.bytes = is_compare(w.r) || is_extract(w.r) ? 16u << w.vl : piece_bytes(&w, 0);
	for (unsigned piece = 0; piece < w.pieces; piece++)
		put_piece(&o, &w, piece);
	if (is_compare(w.r))
		store_opmask(&o, &w);
	else if (!stores_to_memory(&w))
		store_vector(&o, &w);
	return o.failed ? 0 : o.n;
}
