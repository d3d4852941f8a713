/* SPDX-License-Identifier: MIT */
/*
 * The instruction table. Each instruction is written down once, as a row of one of the *.def files beside this
 * header; decoder tables, dispatch, disassembly, coverage, documentation and generated tests derive from it.
 *
 * A row:
 *
 *   I(id, "mnemonic", ENC(map, opcode, pp, ext, mod, modes), OPS(...), FLAGS(read, written, undefined), feature,
 *     attributes, semantic)
 *
 * for example
 *
 *   I(ADD_Ev_Gv, "add", ENC(M0, 0x01, ANY, R_ANY, ANY, ALL), OPS(RW(E, v), R(G, v)), FLAGS(0, OSZAPC, 0), BASE,
 *     LOCKABLE, int_add)
 *   I(ADDPS, "addps", ENC(M0F, 0x58, NP, R_ANY, ANY, ALL), OPS(RW(V, x), R(W, x)), FLAGS(0, 0, 0), SSE,
 *     EXC(2), sse_addps)
 *
 * Columns
 *   map      M0, M0F, M0F38, M0F3A; V0F, V0F38, V0F3A (VEX); later E0F, ... (EVEX)
 *   opcode   0x00..0xff; `opcode | PLUS_R` marks eight opcodes with a register in the low three bits
 *   pp       mandatory prefix: NP (none of 66 F3 F2), P66, PF3, PF2, ANY (prefixes keep their legacy meaning),
 *            N66 (66 sets the operand size as usual but F3/F2 select other rows)
 *   ext      R_ANY, or R0..R7: ModRM.reg must be this; RM(n) additionally fixes rm (0f 01 d0 style): R_RM(reg, rm);
 *            NO_MODRM where the instruction has no ModRM byte
 *   mod      ANY, MEM (mod != 3), REG (mod == 3)
 *   modes    ALL, NO64 (invalid in 64-bit mode), ONLY64, and D64 (64-bit mode: default operand size 64, no 32),
 *            F64 (forced 64: near branches), PROT (not in real or v86 mode: #UD)
 *
 * VEX rows say VEX(map, opcode, pp, w, l, ext, mod) instead of ENC(...). pp is then NP, P66, PF3 or PF2 and exact; the
 * modes are always PROT.
 *   w        W0, W1 (else #UD), WIG (ignored, or the size of a y operand)
 *   l        L0, L1 (else #UD), LIG (both mean the same), L01 (the vector length)
 *
 * EVEX rows say EVEX(map, opcode, pp, w, l, ext, mod, tuple, esize, elem, evex). The maps are E0F, E0F38, E0F3A, E5, E6.
 *   l        L0, L1, L2 (128, 256, 512 bits, else #UD), LIG, L012 (the vector length), L12 (256 or 512). Rows with L012
 *            and L12 also want AVX512VL for their shorter forms; all EVEX rows want AVX512F besides their feature.
 *   tuple    how much memory the operand is, and so N of disp8*N (SDM vol. 2, 2.7.5): FV HV QV FVM HVM QVM OVM T1S T2
 *            T4 T8 M128 DUP; T1S stands for Tuple1 Fixed, too: the size is always written in the row
 *   esize    bytes of one memory element, which is also what a broadcast reads; 0: 4 or 8 by EVEX.W
 *   elem     bytes of one element of the destination, to which one mask bit belongs
 *   evex     MK (merging mask allowed), MZ (zeroing, too), BC (broadcast), ER (embedded rounding between registers),
 *            SAE (its exception suppression only), NF (no fault suppression: the whole memory operand is read), KREQ (a
 *            mask other than k0 is required), DIST (#UD if the destination is a source, too)
 *
 *   OPS      up to four operands, each access(kind, size). Access: R, W, RW, N (address only: LEA, PREFETCH).
 *            Kinds, as in SDM vol. 2, appendix A: E ModRM.rm general register or memory; G ModRM.reg general register;
 *            M memory only; R rm register only; Z register in the opcode; I immediate; J relative branch; A far pointer;
 *            O moffs; S segment register in reg; C, D control/debug register in reg; V xmm in reg; W xmm/m in rm; U xmm
 *            register in rm; H vector register in vvvv; B general register in vvvv; L vector register in the upper
 *            half of an immediate byte; VS memory with a vector index (VSIB), which excludes that index, mask and
 *            destination are the same register; KG, KE, KR, KH opmask register in reg, in rm (or memory), in rm, in
 *            vvvv; P mmx in reg; Q mmx/m in rm; N_ mmx register in rm; X DS:rSI; Y ES:rDI; ST0; STI
 *            (x87 register in rm); and fixed ones AL, AX (rAX of the size), CL, DX, ONE.
 *            Sizes: b w d q; v (2/4/8 by operand size); z (2/4: immediates, sign-extended to 8); y (4/8); bs (byte
 *            sign-extended to the operand size); dq 16 bytes; x 16 bytes, or the vector length in VEX rows; hx qx ex
 *            half, a quarter, an eighth of x; ss sd (4, 8 of a vector register); t (10 bytes); p (far
 *            pointer 2+2/4/8); s (descriptor-table pseudo operand); fx (512), env (14/28), fsv (94/108); _ (none)
 *   FLAGS    sets over O S Z A P C plus D I (string and interrupt flag): FL_O|FL_S.. or the words OSZAPC, OSZPC, ...
 *   feature  enum isa_feature: hidden in CPUID means #UD
 *   attributes  LOCKABLE, PRIV (#GP unless CPL 0), END (ends a block), BRANCH, STRING, FP (x87: #NM/#MF checks),
 *            FP | FPNW (x87 control instruction that does not wait: #NM only),
 *            SSEX (SSE: CR0.EM, CR4.OSFXSR, CR0.TS checks), MMXX (CR0.EM, TS, pending x87 fault), EXC(n) legacy SSE
 *            exception class (2, 3, 4, 5: SDM vol. 2, 2.4... decides alignment #GP and #XM), NOALIGN (memory operand of
 *            16 bytes may be unaligned: MOVUPS..)
 *            COPY: the row does what its operands and flags say and nothing else (no implicit register, no memory but the
 *            operand, MXCSR only for the exceptions of its class), so that an x86-64 host may run it itself on the guest's
 *            values (native/stub.h). Never a default: who writes the word has looked.
 *            X87: an x86-64 host's x87 may run the row itself while it holds the guest's registers and all exceptions are masked:
 *            then it does what its operands and flags say, to the status word what the host's does, and FIP becomes its address
 *            unless it is a control instruction (FPNW, FWAIT). Never a default, like COPY.
 *            NARROW (EVEX rows): the row does the same to each 128 or 256 bits of its operands, so that a host without AVX-512 may
 *            run VEX instructions on parts of them (native/narrow.h). Never a default, like COPY.
 *            DAZ: the row takes that bit from MXCSR, though its class raises no exceptions.
 *            GENERAL: the semantic function is all there is, also in faster tiers. A row has COPY, or GENERAL, or a handler of
 *            its own in block/ (tests/unit/row_class_test.c).
 *            MOVE (rows of vectors): all it does, unless masked, is to copy the bits of the second operand to the first,
 *            as many as the shorter one has; a vector register is cleared above them, by legacy rows up to 128 bits.
 *            Shifts and rotates, where the masked count decides what else is undefined than FLAGS says (nothing is, and
 *            no flag changes, if it is zero): COUNT1 OF, unless the count is 1; COUNTW CF, for a count of the
 *            operand's width or more; COUNT16 flags and result, for a count above 16 of 16-bit operands
 *            (SDM vol. 2, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD, SHRD). See isa_undefined().
 *   semantic name: `sem_<name>` implements it (see below); integer rows that the block tier specialises may
 *            provide more than that in block/.
 *
 *            AVX rows: AVXX (CR4.OSXSAVE and XCR0: #UD; CR0.TS: #NM) with EXC(n) of 1..14 (SDM vol. 2, 2.8). AVX-512 and
 *            opmask rows: AVX512X, the same with XCR0[7:5], and EXC(n) of 1..12 (2.9).
 *
 * The checks that attributes name are done once, by the dispatcher, before the semantic function runs: privilege, LOCK
 * validity, #NM, #UD for features and modes, SSE availability. 16-byte alignment of memory operands (V/W operands
 * without NOALIGN) is checked by sse_load()/sse_store() in sem/simd/.
 *
 * A semantic function is
 *
 *   int sem_name(struct emu *e, const struct insn *i);
 *
 * 0: done, go on with the next instruction. EMU_STOP: a fault was recorded (state unchanged), or RIP was set by
 * emu_jump()/emu_end_block(). It may use any locals; the block tier calls it through one generic handler.
 */
#ifndef BULKHEAD_EMU_ISA_H
#define BULKHEAD_EMU_ISA_H

#include "emu/core/insn.h"

enum isa_feature {
	FEAT_BASE, FEAT_FPU, FEAT_TSC, FEAT_MSR, FEAT_CX8, FEAT_SEP, FEAT_CMOV, FEAT_CLFLUSH, FEAT_MMX, FEAT_FXSR,
	FEAT_SSE, FEAT_SSE2, FEAT_SSE3, FEAT_SSSE3, FEAT_SSE41, FEAT_SSE42, FEAT_POPCNT, FEAT_CX16, FEAT_MONITOR,
	FEAT_XSAVE, FEAT_XSAVEOPT, FEAT_XSAVEC, FEAT_XSAVES, FEAT_XGETBV1, FEAT_FSGSBASE, FEAT_RDRAND, FEAT_RDSEED, FEAT_RDTSCP,
	FEAT_RDPID, FEAT_SYSCALL, FEAT_LAHF64, FEAT_INVPCID, FEAT_SMAP, FEAT_UMIP, FEAT_PKU, FEAT_CLFLUSHOPT, FEAT_CLWB,
	FEAT_MOVBE, FEAT_BMI1, FEAT_BMI2, FEAT_LZCNT, FEAT_ADX, FEAT_PREFETCHW, FEAT_PCLMULQDQ, FEAT_AES, FEAT_SHA,
	FEAT_SERIALIZE, FEAT_MOVDIRI, FEAT_MOVDIR64B, FEAT_SSE4A, FEAT_WBNOINVD, FEAT_CLDEMOTE, FEAT_PCID, FEAT_SMEP, FEAT_LA57,
	FEAT_X2APIC, FEAT_TSC_DEADLINE, FEAT_ERMS, FEAT_FSRM, FEAT_RTM,
	FEAT_AVX, FEAT_AVX2, FEAT_FMA, FEAT_F16C, FEAT_GFNI, FEAT_VAES, FEAT_VPCLMULQDQ, FEAT_AVX_VNNI,
	FEAT_AVX512F, FEAT_AVX512CD, FEAT_AVX512BW, FEAT_AVX512DQ, FEAT_AVX512VL, FEAT_AVX512IFMA, FEAT_AVX512VBMI,
	FEAT_AVX512VBMI2, FEAT_AVX512VNNI, FEAT_AVX512BITALG, FEAT_AVX512VPOPCNTDQ, FEAT_AVX512BF16, FEAT_AVX512FP16,
	FEAT_COUNT,
};

typedef int isa_semantic(struct emu *e, const struct insn *i);

/* Row numbers: ISA_<id>. Zero stands for "no such instruction". */
enum isa_id {
	ISA_INVALID,
#define I(id, ...) ISA_##id,
#include "all.def"
#undef I
	ISA_COUNT,
};

/* The VEX maps follow in the order of VEX.mmmmm, which is 1 for V0F; those of EVEX in the order of EVEX.mmm: E0F is 1. */
enum isa_map {
	ISA_M0, ISA_M0F, ISA_M0F38, ISA_M0F3A, ISA_V0F, ISA_V0F38, ISA_V0F3A,
	ISA_E0F, ISA_E0F38, ISA_E0F3A, ISA_E4, ISA_E5, ISA_E6, ISA_MAPS,
};
enum isa_pp { ISA_PP_ANY, ISA_PP_NP, ISA_PP_N66, ISA_PP_66, ISA_PP_F3, ISA_PP_F2 };
enum isa_ext { ISA_EXT_RM = 0x40, ISA_EXT_NO_MODRM = 0xfe, ISA_EXT_ANY = 0xff };
enum isa_w { ISA_WIG, ISA_W0, ISA_W1 };
enum isa_l { ISA_LIG, ISA_L0, ISA_L1, ISA_L01, ISA_L2, ISA_L012, ISA_L12 };
enum isa_tuple {
	ISA_TUPLE_NONE, ISA_FV, ISA_HV, ISA_FVM, ISA_HVM, ISA_QVM, ISA_OVM, ISA_T1S, ISA_T2, ISA_T4, ISA_T8, ISA_M128, ISA_DUP,
	ISA_QV,
};
enum isa_evex {
	ISA_MK = 1 << 0,
	ISA_MZ = 1 << 1,
	ISA_BC = 1 << 2,
	ISA_ER = 1 << 3,
	ISA_SAE = 1 << 4,
	ISA_NF = 1 << 5,
	ISA_KREQ = 1 << 6,
	ISA_DIST = 1 << 7,
};
enum isa_mod { ISA_MOD_ANY, ISA_MOD_MEM, ISA_MOD_REG };

enum isa_mode {
	ISA_MODE_NO64 = 1 << 0,
	ISA_MODE_ONLY64 = 1 << 1,
	ISA_MODE_D64 = 1 << 2,
	ISA_MODE_F64 = 1 << 3,
	ISA_MODE_PROT = 1 << 4,
};

enum isa_attr {
	ISA_LOCKABLE = 1 << 0,
	ISA_PRIV = 1 << 1,
	ISA_END = 1 << 2,
	ISA_BRANCH = 1 << 3,
	ISA_STRING = 1 << 4,
	ISA_FP = 1 << 5,
	ISA_SSEX = 1 << 6,
	ISA_MMXX = 1 << 7,
	ISA_NOALIGN = 1 << 8,
	ISA_FPNW = 1 << 9,
	ISA_EXC_SHIFT = 12, /* four bits: exception class, of legacy SSE or AVX */
	ISA_AVXX = 1 << 16,
	ISA_AVX512X = 1 << 17,
	ISA_COPY = 1 << 18,
	ISA_MOVE = 1 << 19,
	ISA_COUNT1 = 1 << 20,
	ISA_COUNTW = 1 << 21,
	ISA_COUNT16 = 1 << 22,
	ISA_GENERAL = 1 << 23,
	ISA_DAZ = 1 << 24,
	ISA_X87 = 1 << 25,
	ISA_NARROW = 1 << 26,
};

enum isa_kind {
	OPK_NONE,
	OPK_E, OPK_G, OPK_M, OPK_R, OPK_Z, OPK_I, OPK_J, OPK_A, OPK_O, OPK_S, OPK_C, OPK_D, OPK_V, OPK_W, OPK_U, OPK_H,
	OPK_P, OPK_Q, OPK_N_, OPK_X, OPK_Y, OPK_ST0, OPK_STI, OPK_AL, OPK_AX, OPK_CL, OPK_DX, OPK_ONE,
	OPK_B, OPK_L, OPK_VS, OPK_KG, OPK_KE, OPK_KR, OPK_KH,
};

enum isa_size {
	OPS__, OPS_b, OPS_w, OPS_d, OPS_q, OPS_v, OPS_z, OPS_y, OPS_bs, OPS_dq, OPS_x, OPS_ss, OPS_sd, OPS_t, OPS_p,
	OPS_s, OPS_fx, OPS_env, OPS_fsv, OPS_hx, OPS_qx, OPS_ex,
};

enum isa_access { OPA_R = 1, OPA_W = 2, OPA_RW = 3, OPA_N = 4 };

enum isa_flag {
	ISA_FL_C = 1 << 0, ISA_FL_P = 1 << 1, ISA_FL_A = 1 << 2, ISA_FL_Z = 1 << 3, ISA_FL_S = 1 << 4, ISA_FL_O = 1 << 5,
	ISA_FL_D = 1 << 6, ISA_FL_I = 1 << 7,
	ISA_FL_ARITH = 0x3f,
};

struct isa_operand {
	uint8_t kind, size, access;
};

struct isa_row {
	const char *mnemonic;
	isa_semantic *sem; /* NULL until somebody writes it */
	uint32_t attr;
	uint8_t map, opcode, pp, ext, mod, modes, w, l;
	uint8_t tuple, esize, elem, evex; /* EVEX rows */
	bool plus_r;
	uint8_t feature;
	uint8_t flags_read, flags_written, flags_undefined;
	struct isa_operand op[4];
};

extern const struct isa_row isa_rows[ISA_COUNT];

/* Is the row one of a processor with these features? VEX and EVEX forms of what has a feature of its own, AES or GFNI, want
 * that of their vectors besides. Short forms of EVEX rows need AVX512VL, which is not asked here. */
bool isa_row_exists(const struct isa_row *r, bool (*has)(const void *ctx, unsigned feature), const void *ctx);

/* What an instruction leaves undefined: flags (enum isa_flag), and perhaps its destination. */
struct isa_undefined {
	uint8_t flags;
	bool result;
};

/* For an operand of `bytes`; `count` is the masked count of shifts and rotates, of no meaning elsewhere. */
struct isa_undefined isa_undefined(const struct isa_row *row, unsigned bytes, unsigned count);

/* The arithmetic flags (enum isa_flag) that the instruction replaces whatever its operands are, undefined ones included. */
uint8_t isa_flags_replaced(const struct isa_row *row);

/* Bytes of the memory operand of an EVEX row, and so N of disp8*N (SDM vol. 2, tables 2-34, 2-35): `vl` 0, 1, 2. Gathers,
 * scatters, VCOMPRESS and VEXPAND access several of these. */
unsigned isa_evex_bytes(const struct isa_row *r, unsigned vl, bool broadcast, bool w);

static inline unsigned isa_exception_class(const struct isa_row *r)
{
	return r->attr >> ISA_EXC_SHIFT & 15;
}

/* Bytes of operand n of a row of vectors, `i` being such an instruction; 0: nothing here knows. */
unsigned isa_operand_bytes(const struct insn *i, unsigned n);

/* The semantic functions, declared from the table itself. */
#define I(id, mnemonic, enc, ops, flags, feature, attr, sem) isa_semantic sem_##sem;
#include "all.def"
#undef I

#endif
