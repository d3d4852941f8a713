/* SPDX-License-Identifier: MIT */
/*
 * struct cpu: the architectural state of one processor, and nothing else.
 *
 * Every engine (interpreter, KVM, later translators), the loader, snapshots and debuggers exchange exactly this
 * structure. Caches, the image of the arithmetic flags, decoded code and the local APIC live elsewhere (emu.h, apic/).
 */
#ifndef BULKHEAD_EMU_CPU_H
#define BULKHEAD_EMU_CPU_H

#include <stdbool.h>
#include <stdint.h>

enum gpr_index {
	RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
	GPR_COUNT,
};

enum seg_index { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_COUNT };

/*
 * A segment register with its hidden part. `attr` is laid out as bits 40..55 of a descriptor (SDM vol. 3, 3.4.5):
 * type 0..3, S 4, DPL 5..6, P 7, AVL 12, L 13, D/B 14, G 15; bit 16 (ours) marks a null or otherwise unusable one.
 */
struct segment {
	uint64_t base;
	uint32_t limit; /* in bytes, inclusive, granularity applied */
	uint32_t attr;
	uint16_t selector;
};

enum {
	SEG_ATTR_TYPE = 0xf,
	SEG_ATTR_ACCESSED = 1 << 0,
	SEG_ATTR_RW = 1 << 1,  /* readable (code) or writable (data) */
	SEG_ATTR_DC = 1 << 2,  /* conforming (code) or expand-down (data) */
	SEG_ATTR_CODE = 1 << 3,
	SEG_ATTR_S = 1 << 4,
	SEG_ATTR_DPL_SHIFT = 5,
	SEG_ATTR_P = 1 << 7,
	SEG_ATTR_AVL = 1 << 12,
	SEG_ATTR_L = 1 << 13,
	SEG_ATTR_DB = 1 << 14,
	SEG_ATTR_G = 1 << 15,
	SEG_ATTR_UNUSABLE = 1 << 16,
};

struct dtable {
	uint64_t base;
	uint16_t limit;
};

enum {
	RFLAGS_CF = 1 << 0, RFLAGS_FIXED = 1 << 1, RFLAGS_PF = 1 << 2, RFLAGS_AF = 1 << 4, RFLAGS_ZF = 1 << 6,
	RFLAGS_SF = 1 << 7, RFLAGS_TF = 1 << 8, RFLAGS_IF = 1 << 9, RFLAGS_DF = 1 << 10, RFLAGS_OF = 1 << 11,
	RFLAGS_IOPL = 3 << 12, RFLAGS_NT = 1 << 14, RFLAGS_RF = 1 << 16, RFLAGS_VM = 1 << 17, RFLAGS_AC = 1 << 18,
	RFLAGS_VIF = 1 << 19, RFLAGS_VIP = 1 << 20, RFLAGS_ID = 1 << 21,
	RFLAGS_ARITH = RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF,
};

#define CR0_PE (1ull << 0)
#define CR0_MP (1ull << 1)
#define CR0_EM (1ull << 2)
#define CR0_TS (1ull << 3)
#define CR0_ET (1ull << 4)
#define CR0_NE (1ull << 5)
#define CR0_WP (1ull << 16)
#define CR0_AM (1ull << 18)
#define CR0_NW (1ull << 29)
#define CR0_CD (1ull << 30)
#define CR0_PG (1ull << 31)

#define CR4_VME (1ull << 0)
#define CR4_PVI (1ull << 1)
#define CR4_TSD (1ull << 2)
#define CR4_DE (1ull << 3)
#define CR4_PSE (1ull << 4)
#define CR4_PAE (1ull << 5)
#define CR4_MCE (1ull << 6)
#define CR4_PGE (1ull << 7)
#define CR4_PCE (1ull << 8)
#define CR4_OSFXSR (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define CR4_UMIP (1ull << 11)
#define CR4_LA57 (1ull << 12)
#define CR4_FSGSBASE (1ull << 16)
#define CR4_PCIDE (1ull << 17)
#define CR4_OSXSAVE (1ull << 18)
#define CR4_SMEP (1ull << 20)
#define CR4_SMAP (1ull << 21)
#define CR4_PKE (1ull << 22)

#define EFER_SCE (1ull << 0)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)
#define EFER_NXE (1ull << 11)

/* IA32_MISC_ENABLE (SDM vol. 4, table 2-2). */
#define MISC_ENABLE_MONITOR (1ull << 18)     /* clear: MONITOR and MWAIT are #UD, and CPUID does not show them */
#define MISC_ENABLE_LIMIT_CPUID (1ull << 22) /* CPUID 0 says that leaf 2 is the last one */
#define MISC_ENABLE_XD_DISABLE (1ull << 34)  /* CPUID does not show NX, EFER.NXE cannot be set */

/* One vector register, wide enough for AVX-512. The interpreter of today uses the low 128 bits. */
union vec {
	uint8_t u8[64];
	uint16_t u16[32];
	uint32_t u32[16];
	uint64_t u64[8];
	int8_t i8[64];
	int16_t i16[32];
	int32_t i32[16];
	int64_t i64[8];
} __attribute__((aligned(64)));

/* An x87 register exactly as FSTP m80 stores it: 64-bit significand, 15-bit exponent and sign. MMX is `sig`. */
struct x87_reg {
	uint64_t sig;
	uint16_t se;
};

struct x87 {
	struct x87_reg r[8]; /* physical registers: ST(i) is r[(top + i) & 7] */
	uint16_t cw, sw;     /* TOP is bits 11..13 of sw */
	uint8_t tag;	     /* abridged, as FXSAVE: bit p set = physical register p not empty */
	uint16_t fop;
	uint64_t fip, fdp;
	uint16_t fcs, fds;
};

enum { MCA_BANKS = 4 };

struct msrs {
	uint64_t efer, star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t pat, tsc_aux, tsc_adjust, apic_base, misc_enable, debugctl;
	uint64_t mtrr_def_type, mtrr_fixed[11], mtrr_base[8], mtrr_mask[8];
	uint64_t xss, mcg_status, mcg_ctl, mc_ctl[MCA_BANKS], spec_ctrl;
	uint64_t tsc_offset; /* guest TSC = the emulator's counter + tsc_offset */
};

/* Which features a processor has: bits by enum cpu_feature (model/features.h). */
struct cpu_feature_set {
	uint64_t bits[3];
};

static inline bool cpu_has(const struct cpu_feature_set *s, unsigned feature)
{
	return s->bits[feature / 64] >> (feature % 64) & 1;
}

enum cpu_activity {
	CPU_RUNNING,
	CPU_HALTED,	  /* HLT: woken by an unmasked interrupt, NMI, INIT */
	CPU_WAIT_SIPI,	  /* application processor before its first SIPI */
	CPU_SHUTDOWN,	  /* triple fault */
};

/* Interrupt shadow (SDM vol. 3, 6.8.3): lasts for exactly one instruction after the one that set it. */
enum { SHADOW_STI = 1, SHADOW_MOV_SS = 2 };

struct cpu {
	uint64_t gpr[GPR_COUNT];
	uint64_t rip;
	uint64_t rflags; /* bit 1 always set */
	struct segment seg[SEG_COUNT], ldtr, tr;
	struct dtable gdtr, idtr;
	uint64_t cr0, cr2, cr3, cr4, xcr0;
	uint64_t pdpte[4]; /* PAE paging: loaded by MOV CR3 (SDM vol. 3, 4.4.1) */
	uint64_t dr[8];
	uint32_t pkru, mxcsr;
	struct msrs msr;
	struct x87 fpu;
	uint64_t k[8];
	union vec vec[32];
	enum cpu_activity activity;
	uint8_t shadow;	     /* SHADOW_* */
	bool nmi_blocked;    /* until IRET */
	bool nmi_pending;
	uint8_t vcpu;	     /* index of this processor, equals its initial APIC id */
};

/* CPUID 1 EAX, and DX after RESET and INIT: family 6, model 8fh, stepping 8. */
#define CPU_SIGNATURE 0x000806f8u

/* IA32_APIC_BASE (SDM vol. 3, 10.4.4, 10.12.1). */
#define APIC_BASE_BSP (1ull << 8)
#define APIC_BASE_X2 (1ull << 10)
#define APIC_BASE_ENABLED (1ull << 11)
#define APIC_BASE_DEFAULT 0xfee00000ull

/* The state after RESET (SDM vol. 3, table 9-1): real mode, CS:IP f000:fff0. `vcpu` is kept; vcpu 0 is the BSP. */
void cpu_reset(struct cpu *c);
/* The part of it for x87 and MXCSR: unlike FNINIT it clears the registers and leaves 0040h in CW. */
void cpu_reset_fpu(struct cpu *c);
/* INIT keeps the floating-point state, the MSRs, and the cache bits of CR0 (table 9-1). A processor other than 0 waits for SIPI. */
void cpu_init(struct cpu *c);

/* An address register of `bits` (48, 57) is canonical: the bits above repeat the highest one (SDM vol. 1, 3.3.7.1). */
static inline bool cpu_is_canonical(uint64_t address, unsigned bits)
{
	return (uint64_t)((int64_t)(address << (64 - bits)) >> (64 - bits)) == address;
}

/* Current privilege level: SS.DPL by architecture (SDM vol. 3, 5.5); 0 in real mode, 3 in virtual-8086 mode. */
static inline unsigned cpu_cpl(const struct cpu *c)
{
	return (c->seg[SEG_SS].attr >> SEG_ATTR_DPL_SHIFT) & 3;
}

#endif
