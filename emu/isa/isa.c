/* SPDX-License-Identifier: MIT */
/* The instruction table: the rows of all *.def files expanded into isa_rows[]. */
#include "isa.h"

/* Semantics that are not written yet are weak and resolve to NULL, so that a row may precede its function. */
#define I(id, mnemonic, enc, ops, flags, feature, attr, sem) isa_semantic sem_##sem __attribute__((weak));
#include "all.def"
#undef I

unsigned isa_evex_bytes(const struct isa_row *r, unsigned vl, bool broadcast, bool w)
{
	const unsigned esize = r->esize ? r->esize : w ? 8 : 4, bytes = 16u << vl;

	if (broadcast)
		return esize;
	switch ((enum isa_tuple)r->tuple) {
	case ISA_FV:
	case ISA_FVM:
		return bytes;
	case ISA_HV:
	case ISA_HVM:
		return bytes / 2;
	case ISA_QV:
	case ISA_QVM:
		return bytes / 4;
	case ISA_OVM:
		return bytes / 8;
	case ISA_TUPLE_NONE:
	case ISA_T1S:
		return esize;
	case ISA_T2:
		return 2 * esize;
	case ISA_T4:
		return 4 * esize;
	case ISA_T8:
		return 8 * esize;
	case ISA_M128:
		return 16;
	case ISA_DUP:
		return vl ? bytes : 8;
	}
	return esize;
}

struct isa_undefined isa_undefined(const struct isa_row *row, unsigned bytes, unsigned count)
{
	struct isa_undefined u = { .flags = row->flags_undefined };

	if (!(row->attr & ISA_COUNT1))
		return u;
	if (count == 0)
		return (struct isa_undefined){ .flags = 0 };
	if (count != 1)
		u.flags |= ISA_FL_O;
	if ((row->attr & ISA_COUNTW) && count >= 8 * bytes)
		u.flags |= ISA_FL_C;
	if ((row->attr & ISA_COUNT16) && bytes == 2 && count > 16)
		u = (struct isa_undefined){ .flags = ISA_FL_ARITH, .result = true };
	return u;
}

uint8_t isa_flags_replaced(const struct isa_row *row)
{
	if ((row->attr & ISA_COUNT1) && (row->op[1].kind == OPK_CL || row->op[2].kind == OPK_CL))
		return 0;
	return (row->flags_written | row->flags_undefined) & ISA_FL_ARITH;
}

unsigned isa_operand_bytes(const struct insn *i, unsigned n)
{
	const struct isa_row *r = &isa_rows[i->id];
	const unsigned kind = r->op[n].kind, vector = r->attr & (ISA_AVXX | ISA_AVX512X) ? 16u << i->vl : 16;

	/* VCOMPRESS and VEXPAND access as many elements as the mask selects: no more than a vector. */
	if (r->map >= ISA_E0F && i->is_mem && (kind == OPK_W || kind == OPK_M || kind == OPK_E || kind == OPK_KE))
		return r->tuple == ISA_T1S && r->op[n].size == OPS_x ? vector
								     : isa_evex_bytes(r, i->vl, i->bcst, i->prefixes & PFX_REX_W);
	switch ((enum isa_size)r->op[n].size) {
	case OPS_b:
		return 1;
	case OPS_w:
		return 2;
	case OPS_d:
	case OPS_ss:
		return 4;
	case OPS_q:
	case OPS_sd:
		return 8;
	case OPS_y:
	case OPS_v:
		return i->size;
	case OPS_dq:
		return 16;
	case OPS_t:
		return 10;
	case OPS_x:
		return vector;
	case OPS_hx:
		return vector / 2;
	case OPS_qx:
		return vector / 4;
	case OPS_ex:
		return vector / 8;
	default:
		return 0;
	}
}

/* The vocabulary of the rows (isa.h explains each word). */
enum {
	M0 = ISA_M0, M0F = ISA_M0F, M0F38 = ISA_M0F38, M0F3A = ISA_M0F3A,
	V0F = ISA_V0F, V0F38 = ISA_V0F38, V0F3A = ISA_V0F3A,
	E0F = ISA_E0F, E0F38 = ISA_E0F38, E0F3A = ISA_E0F3A, E5 = ISA_E5, E6 = ISA_E6,
	L2 = ISA_L2, L012 = ISA_L012, L12 = ISA_L12,
	FV = ISA_FV, HV = ISA_HV, QV = ISA_QV, FVM = ISA_FVM, HVM = ISA_HVM, QVM = ISA_QVM, OVM = ISA_OVM, T1S = ISA_T1S, T2 = ISA_T2,
	T4 = ISA_T4, T8 = ISA_T8, M128 = ISA_M128, DUP = ISA_DUP, TNONE = ISA_TUPLE_NONE,
	MK = ISA_MK, MZ = ISA_MK | ISA_MZ, BC = ISA_BC, ER = ISA_ER, SAE = ISA_SAE, NF = ISA_NF, KREQ = ISA_MK | ISA_KREQ, DIST = ISA_DIST,
	WIG = ISA_WIG, W0 = ISA_W0, W1 = ISA_W1, LIG = ISA_LIG, L0 = ISA_L0, L1 = ISA_L1, L01 = ISA_L01,
	ANY = 0, NP = ISA_PP_NP, N66 = ISA_PP_N66, P66 = ISA_PP_66, PF3 = ISA_PP_F3, PF2 = ISA_PP_F2,
	MEM = ISA_MOD_MEM, REG = ISA_MOD_REG,
	ALL = 0, NO64 = ISA_MODE_NO64, ONLY64 = ISA_MODE_ONLY64, D64 = ISA_MODE_D64, F64 = ISA_MODE_F64,
	PROT = ISA_MODE_PROT,
	R0 = 0, R1, R2, R3, R4, R5, R6, R7, R_ANY = ISA_EXT_ANY, NO_MODRM = ISA_EXT_NO_MODRM,
	PLUS_R = 0x100,
	LOCKABLE = ISA_LOCKABLE, PRIV = ISA_PRIV, END = ISA_END, BRANCH = ISA_BRANCH, STRING = ISA_STRING, FP = ISA_FP,
	SSEX = ISA_SSEX, MMXX = ISA_MMXX, NOALIGN = ISA_NOALIGN,
	FPNW = ISA_FPNW, AVXX = ISA_AVXX, AVX512X = ISA_AVX512X, COPY = ISA_COPY, MOVE = ISA_MOVE, GENERAL = ISA_GENERAL, DAZ = ISA_DAZ,
	X87 = ISA_X87, NARROW = ISA_NARROW,
	COUNT1 = ISA_COUNT1, COUNTW = ISA_COUNTW, COUNT16 = ISA_COUNT16,
	FL_C = ISA_FL_C, FL_P = ISA_FL_P, FL_A = ISA_FL_A, FL_Z = ISA_FL_Z, FL_S = ISA_FL_S, FL_O = ISA_FL_O,
	FL_D = ISA_FL_D, FL_I = ISA_FL_I,
	OSZAPC = ISA_FL_ARITH, OSZAP = OSZAPC & ~FL_C, OSZPC = OSZAPC & ~FL_A, SZAPC = OSZAPC & ~FL_O, SZAP = SZAPC & ~FL_C,
	SZP = FL_S | FL_Z | FL_P, OSZC = FL_O | FL_S | FL_Z | FL_C, OC = FL_O | FL_C, ZC = FL_Z | FL_C,
};
#define EXC(n) ((n) << ISA_EXC_SHIFT)
#define R_RM(reg, rm) (ISA_EXT_RM | (reg) << 3 | (rm))

#define ENC(m, op, prefix, x, md, mds)                                                                                 \
	.map = (m), .opcode = (uint8_t)((op) & 0xff), .plus_r = ((op) & PLUS_R) != 0, .pp = (prefix),                  \
	.ext = (uint8_t)(x), .mod = (md), .modes = (mds)
#define VEX(m, op, prefix, wide, length, x, md)                                                                        \
	ENC(m, op, prefix, x, md, PROT), .w = (wide), .l = (length)
#define EVEX(m, op, prefix, wide, length, x, md, tup, es, el, ev)                                                      \
	VEX(m, op, prefix, wide, length, x, md), .tuple = (tup), .esize = (es), .elem = (el), .evex = (ev)
#define R(k, s) { OPK_##k, OPS_##s, OPA_R }
#define W(k, s) { OPK_##k, OPS_##s, OPA_W }
#define RW(k, s) { OPK_##k, OPS_##s, OPA_RW }
#define N(k, s) { OPK_##k, OPS_##s, OPA_N }
#define OPS(...) .op = { __VA_ARGS__ }
#define FLAGS(r, w, u) .flags_read = (r), .flags_written = (w), .flags_undefined = (u)

const struct isa_row isa_rows[ISA_COUNT] = {
	[ISA_INVALID] = { .mnemonic = "(bad)", .map = 0xff },
#define I(id, mn, enc, ops, flags, feat, attributes, semantic)                                                         \
	[ISA_##id] = { .mnemonic = mn, .sem = sem_##semantic, enc, ops, flags, .feature = FEAT_##feat,                 \
		       .attr = (attributes) },
#include "all.def"
#undef I
};

bool isa_row_exists(const struct isa_row *r, bool (*has)(const void *ctx, unsigned feature), const void *ctx)
{
	return has(ctx, r->feature) && (!(r->attr & ISA_AVXX) || has(ctx, FEAT_AVX)) &&
	       (!(r->attr & ISA_AVX512X) || has(ctx, FEAT_AVX512F));
}
