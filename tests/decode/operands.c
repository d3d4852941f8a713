/* SPDX-License-Identifier: MIT */
/*
 * Operands of a row and a struct insn, and those that Zydis finds: each one that the bytes choose (ModRM, opcode bits,
 * VEX.vvvv, immediates) must be the same register, address or number.
 */
#include "walk.h"

#include <stdio.h>

/* The row's operand that lives in this part of the encoding, or NULL. */
static const struct isa_operand *find_operand(const struct isa_row *r, const uint8_t *kinds, unsigned count,
					      unsigned skip)
{
	for (unsigned n = 0; n < 4; n++) {
		for (unsigned k = 0; k < count; k++) {
			if (r->op[n].kind == kinds[k] && skip-- == 0)
				return &r->op[n];
		}
	}
	return NULL;
}
#define FIND(r, ...)                                                                                                   \
	find_operand(r, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), 0)

/* Bytes of an operand; 0 if nothing can be said. */
static unsigned operand_bytes(const struct answers *a, const struct isa_operand *op)
{
	const unsigned v = a->i.size, x = 16u << a->i.vl, y = a->code_size == 8 && (a->i.prefixes & PFX_REX_W) ? 8 : 4;

	switch ((enum isa_size)op->size) {
	case OPS_b:
	case OPS_bs:
		return 1;
	case OPS_w:
		return 2;
	case OPS_d:
	case OPS_ss:
		return 4;
	case OPS_q:
	case OPS_sd:
		return 8;
	case OPS_v:
		return v;
	case OPS_y:
		return y;
	case OPS_dq:
		return 16;
	case OPS_x:
		return x;
	case OPS_hx:
		return x / 2;
	case OPS_qx:
		return x / 4;
	case OPS_ex:
		return x / 8;
	case OPS_t:
		return 10;
	case OPS_p:
		return 2 + v;
	case OPS_z:
	case OPS__:
	case OPS_s:
	case OPS_fx:
	case OPS_env:
	case OPS_fsv:
		return 0;
	}
	return 0;
}

/* Register number as ours; byte registers as struct insn has them. */
static unsigned number_of(ZydisRegister reg)
{
	unsigned id = (unsigned)(uint8_t)ZydisRegisterGetId(reg);

	if (ZydisRegisterGetClass(reg) != ZYDIS_REGCLASS_GPR8 || id < 4)
		return id;
	return id < 8 ? id - 4 + REG8_AH : id - 4;
}

static ZydisRegisterClass vector_class(const struct answers *a, const struct isa_operand *op)
{
	const unsigned bytes = operand_bytes(a, op);

	return bytes > 32 ? ZYDIS_REGCLASS_ZMM : bytes > 16 ? ZYDIS_REGCLASS_YMM : ZYDIS_REGCLASS_XMM;
}

static ZydisRegisterClass general_class(unsigned bytes)
{
	return bytes == 1   ? ZYDIS_REGCLASS_GPR8
	       : bytes == 2 ? ZYDIS_REGCLASS_GPR16
	       : bytes == 4 ? ZYDIS_REGCLASS_GPR32
			    : ZYDIS_REGCLASS_GPR64;
}

static ZydisRegisterClass class_of(const struct answers *a, const struct isa_operand *op)
{
	switch ((enum isa_kind)op->kind) {
	case OPK_E:
	case OPK_G:
	case OPK_R:
	case OPK_Z:
	case OPK_B:
		return general_class(operand_bytes(a, op));
	case OPK_V:
	case OPK_W:
	case OPK_U:
	case OPK_H:
	case OPK_L:
		return vector_class(a, op);
	case OPK_P:
	case OPK_Q:
	case OPK_N_:
		return ZYDIS_REGCLASS_MMX;
	case OPK_S:
		return ZYDIS_REGCLASS_SEGMENT;
	case OPK_C:
		return ZYDIS_REGCLASS_CONTROL;
	case OPK_D:
		return ZYDIS_REGCLASS_DEBUG;
	case OPK_STI:
		return ZYDIS_REGCLASS_X87;
	case OPK_KG:
	case OPK_KE:
	case OPK_KR:
	case OPK_KH:
		return ZYDIS_REGCLASS_MASK;
	default:
		return ZYDIS_REGCLASS_INVALID;
	}
}

static const char *compare_register(const struct answers *a, const struct isa_operand *op, unsigned ours,
				    ZydisRegister reg)
{
	if (!op)
		return "the row has no such register operand";
	if (class_of(a, op) != ZydisRegisterGetClass(reg))
		return "register class";
	return ours == number_of(reg) ? NULL : "register number";
}

/* ---- memory ---- */

static int address_register(const struct answers *a, ZydisRegister reg)
{
	if (reg == ZYDIS_REGISTER_NONE)
		return ADDR_NONE;
	return ZydisRegisterGetClass(reg) == ZYDIS_REGCLASS_IP ? ADDR_PC : (int)number_of(reg);
}

static const char *compare_displacement(const struct answers *a, const ZydisDecodedOperandMem *m)
{
	const int64_t theirs = m->disp.has_displacement ? m->disp.value : 0;
	int64_t ours = a->i.disp;

	if (a->i.base == ADDR_PC && a->i.scale != INSN_DISP_FROM_END)
		ours -= a->i.len;
	if (a->i.asize == 2)
		return (uint16_t)ours == (uint16_t)theirs ? NULL : "displacement";
	return (uint32_t)ours == (uint32_t)theirs ? NULL : "displacement";
}

/* The order of base and index is the encoding's in both. The scale of no index does not matter. */
static const char *compare_address(const struct answers *a, const ZydisDecodedOperand *z)
{
	const ZydisDecodedOperandMem *m = &z->mem;

	if (!a->i.is_mem)
		return "no memory operand";
	if (z->mem.type == ZYDIS_MEMOP_TYPE_VSIB ? (int)number_of(m->index) != a->i.index
						 : address_register(a, m->index) != a->i.index)
		return "index";
	if (address_register(a, m->base) != a->i.base)
		return "base";
	if (m->index != ZYDIS_REGISTER_NONE && m->scale != 1u << a->i.scale)
		return "scale";
	if (m->type != ZYDIS_MEMOP_TYPE_AGEN && a->i.seg != number_of(m->segment))
		return "segment";
	return compare_displacement(a, m);
}

static bool is_evex(const struct isa_row *r)
{
	return r->map >= ISA_E0F;
}

static const char *compare_memory(const struct answers *a, const ZydisDecodedOperand *z)
{
	const struct isa_operand *op = FIND(a->row, OPK_E, OPK_M, OPK_W, OPK_Q, OPK_VS, OPK_KE);
	const char *what = compare_address(a, z);
	unsigned bytes;

	if (what || !op)
		return op ? what : "the row has no memory operand";
	bytes = is_evex(a->row) ? isa_evex_bytes(a->row, a->i.vl, a->i.bcst, a->i.prefixes & PFX_REX_W) : operand_bytes(a, op);
	if (z->mem.type == ZYDIS_MEMOP_TYPE_AGEN || op->access == OPA_N || op->kind == OPK_VS || !bytes)
		return NULL;
	return z->size == 8 * bytes ? NULL : "memory size";
}

/* ---- immediates ---- */

static uint64_t truncate(uint64_t v, unsigned bits)
{
	return bits < 64 ? v & ((1ull << bits) - 1) : v;
}

/* The immediate of a relative branch is the displacement in both; else the row says how it is extended. */
static const char *compare_immediate(const struct answers *a, const ZydisDecodedOperand *z, unsigned nth)
{
	const uint64_t ours = nth ? a->i.imm2 : a->i.imm;
	const struct isa_operand *op = FIND(a->row, OPK_I, OPK_J);

	if (!op)
		return "the row has no immediate";
	if (op->kind == OPK_J)
		return ours == z->imm.value.u ? NULL : "branch displacement";
	return truncate(ours, z->size) == truncate(z->imm.value.u, z->size) ? NULL : "immediate";
}

static const char *compare_far_pointer(const struct answers *a, const ZydisDecodedOperand *z)
{
	return a->i.imm == ((uint64_t)z->ptr.segment << 32 | z->ptr.offset) ? NULL : "far pointer";
}

static const char *compare_moffs(const struct answers *a, const ZydisDecodedOperand *z)
{
	const unsigned bits = 8u * a->i.asize;

	if (truncate(a->i.imm, bits) != truncate((uint64_t)z->mem.disp.value, bits))
		return "moffs";
	return a->i.seg == number_of(z->mem.segment) ? NULL : "segment";
}

/* ---- one operand ---- */

static const char *compare_reg_slot(const struct answers *a, const ZydisDecodedOperand *z)
{
	return compare_register(a, FIND(a->row, OPK_G, OPK_V, OPK_P, OPK_S, OPK_C, OPK_D, OPK_KG), a->i.reg, z->reg.value);
}

static const char *compare_rm_slot(const struct answers *a, const ZydisDecodedOperand *z)
{
	const struct isa_operand *op = FIND(a->row, OPK_E, OPK_R, OPK_W, OPK_U, OPK_Q, OPK_N_, OPK_STI, OPK_KE, OPK_KR);

	if (z->type == ZYDIS_OPERAND_TYPE_MEMORY)
		return compare_memory(a, z);
	if (a->i.is_mem)
		return "memory operand";
	return compare_register(a, op, a->i.rm, z->reg.value);
}

static const char *compare_operand(const struct answers *a, const ZydisDecodedOperand *z, unsigned *immediates)
{
	if (z->type == ZYDIS_OPERAND_TYPE_POINTER)
		return compare_far_pointer(a, z);
	switch (z->encoding) {
	case ZYDIS_OPERAND_ENCODING_NONE:
		return NULL; /* implied by the opcode */
	case ZYDIS_OPERAND_ENCODING_MODRM_REG:
		return compare_reg_slot(a, z);
	case ZYDIS_OPERAND_ENCODING_MODRM_RM:
		return compare_rm_slot(a, z);
	case ZYDIS_OPERAND_ENCODING_OPCODE:
		return compare_register(a, FIND(a->row, OPK_Z), a->i.reg, z->reg.value);
	case ZYDIS_OPERAND_ENCODING_NDSNDD:
		return compare_register(a, FIND(a->row, OPK_H, OPK_B, OPK_KH), a->i.vvvv, z->reg.value);
	case ZYDIS_OPERAND_ENCODING_IS4:
		return compare_register(a, FIND(a->row, OPK_L), a->i.imm2, z->reg.value);
	case ZYDIS_OPERAND_ENCODING_DISP8:
	case ZYDIS_OPERAND_ENCODING_DISP16:
	case ZYDIS_OPERAND_ENCODING_DISP32:
	case ZYDIS_OPERAND_ENCODING_DISP64:
	case ZYDIS_OPERAND_ENCODING_DISP16_32_64:
	case ZYDIS_OPERAND_ENCODING_DISP32_32_64:
	case ZYDIS_OPERAND_ENCODING_DISP16_32_32:
		return compare_moffs(a, z);
	case ZYDIS_OPERAND_ENCODING_MASK:
		return number_of(z->reg.value) == a->i.mask ? NULL : "mask";
	default:
		break;
	}
	return compare_immediate(a, z, (*immediates)++);
}

/* Does something in the bytes choose this operand of the row? */
static bool is_encoded(const struct isa_operand *op)
{
	switch ((enum isa_kind)op->kind) {
	case OPK_E:
	case OPK_G:
	case OPK_M:
	case OPK_R:
	case OPK_Z:
	case OPK_I:
	case OPK_J:
	case OPK_A:
	case OPK_O:
	case OPK_S:
	case OPK_C:
	case OPK_D:
	case OPK_V:
	case OPK_W:
	case OPK_U:
	case OPK_H:
	case OPK_P:
	case OPK_Q:
	case OPK_N_:
	case OPK_STI:
	case OPK_B:
	case OPK_L:
	case OPK_VS:
	case OPK_KG:
	case OPK_KE:
	case OPK_KR:
	case OPK_KH:
		return true;
	default:
		return false;
	}
}

/* What EVEX says besides: masking, zeroing, broadcast, rounding. */
static const char *compare_evex(const struct answers *a)
{
	const ZydisDecodedInstructionAvx *x = &a->z.avx;
	const bool broadcast = x->broadcast.mode != ZYDIS_BROADCAST_MODE_INVALID && !x->broadcast.is_static;

	if (broadcast != (a->i.bcst && a->i.is_mem))
		return "broadcast";
	if ((x->rounding.mode != ZYDIS_ROUNDING_MODE_INVALID || x->has_sae) != (a->i.bcst && !a->i.is_mem))
		return "rounding";
	if (x->rounding.mode != ZYDIS_ROUNDING_MODE_INVALID && (unsigned)x->rounding.mode - ZYDIS_ROUNDING_MODE_RN != a->i.imm2)
		return "rounding mode";
	return (a->z.raw.evex.z != 0) == a->i.zero ? NULL : "zeroing";
}

const char *compare_operands(const struct answers *a)
{
	unsigned immediates = 0, encoded = 0, rows = 0;

	if (is_evex(a->row) && compare_evex(a))
		return compare_evex(a);
	for (unsigned n = 0; n < a->z.operand_count_visible; n++) {
		const char *what = compare_operand(a, &a->op[n], &immediates);

		if (what)
			return what;
		encoded +=
			(a->op[n].encoding != ZYDIS_OPERAND_ENCODING_NONE && a->op[n].encoding != ZYDIS_OPERAND_ENCODING_MASK) ||
			a->op[n].type == ZYDIS_OPERAND_TYPE_POINTER;
	}
	for (unsigned n = 0; n < 4; n++)
		rows += is_encoded(&a->row->op[n]);
	return rows == encoded ? NULL : "number of operands";
}

/* ---- flags ---- */

static unsigned arith(ZydisAccessedFlagsMask m)
{
	return (m & ZYDIS_CPUFLAG_CF ? ISA_FL_C : 0) | (m & ZYDIS_CPUFLAG_PF ? ISA_FL_P : 0) |
	       (m & ZYDIS_CPUFLAG_AF ? ISA_FL_A : 0) | (m & ZYDIS_CPUFLAG_ZF ? ISA_FL_Z : 0) |
	       (m & ZYDIS_CPUFLAG_SF ? ISA_FL_S : 0) | (m & ZYDIS_CPUFLAG_OF ? ISA_FL_O : 0);
}

/* What a row writes, reads and leaves undefined; only arithmetic flags. A flag that Zydis calls undefined may be in
 * either of our two sets: where processors agree on it, the row says so. */
const char *compare_flags(const struct answers *a)
{
	const ZydisAccessedFlags *f = a->z.cpu_flags;
	const unsigned changed = arith(f->modified | f->set_0 | f->set_1), undefined = arith(f->undefined);
	const unsigned written = a->row->flags_written & ISA_FL_ARITH, loose = a->row->flags_undefined & ISA_FL_ARITH;

	if ((written | loose) != (changed | undefined))
		return "flags changed";
	if (loose & ~undefined)
		return "flags undefined";
	return (a->row->flags_read & ISA_FL_ARITH) == arith(f->tested) ? NULL : "flags read";
}
