/* SPDX-License-Identifier: MIT */
/* Where our decoder and Zydis may differ: a table, each row with its reason. A rule that nothing uses is reported. */
#include "walk.h"

#include <stdio.h>
#include <string.h>

static bool has_sib_without_base(const struct answers *a)
{
	return a->theirs && a->z.raw.modrm.mod == 0 && a->z.raw.modrm.rm == 4 && a->z.raw.sib.base == 5;
}

static bool has_rex_b(const struct answers *a)
{
	return a->theirs && a->z.raw.rex.B;
}

static bool is_evex_outside_64(const struct answers *a)
{
	return a->code_size != 8 && a->row->map >= ISA_E0F;
}

static bool is_repeated(const struct answers *a)
{
	return a->ours && (a->i.prefixes & (PFX_REP | PFX_REPNE));
}

static const struct rule {
	enum difference d;
	const char *isa_ext;  /* Zydis's name, NULL: any */
	const char *isa_set;  /* how Zydis's name begins, NULL: any */
	const char *mnemonic; /* Zydis's, NULL: any */
	const char *what;     /* which part of the operands or flags, NULL: any */
	const char *reason;
	bool (*only)(const struct answers *a);
} rules[] = {
	/* Extensions that the table does not have: CPUID says so, and they are #UD. */
	{ ONLY_ZYDIS, .isa_ext = "AMD3DNOW", .reason = "AMD's 3DNow!" },
	{ ONLY_ZYDIS, .isa_ext = "SVM", .reason = "AMD's virtualisation" },
	{ ONLY_ZYDIS, .isa_ext = "SNP", .reason = "AMD's SEV-SNP" },
	{ ONLY_ZYDIS, .isa_ext = "AMD_INVLPGB", .reason = "AMD's INVLPGB" },
	{ ONLY_ZYDIS, .isa_ext = "CLZERO", .reason = "AMD's CLZERO" },
	{ ONLY_ZYDIS, .isa_ext = "RDPRU", .reason = "AMD's RDPRU" },
	{ ONLY_ZYDIS, .isa_ext = "MCOMMIT", .reason = "AMD's MCOMMIT" },
	{ ONLY_ZYDIS, .isa_ext = "MONITORX", .reason = "AMD's MONITORX" },
	{ ONLY_ZYDIS, .isa_ext = "XOP", .reason = "AMD's XOP" },
	{ ONLY_ZYDIS, .isa_ext = "FMA4", .reason = "AMD's FMA4" },
	{ ONLY_ZYDIS, .isa_ext = "PADLOCK", .reason = "VIA's PadLock" },
	{ ONLY_ZYDIS, .isa_ext = "VTX", .reason = "VMX: no nested virtualisation" },
	{ ONLY_ZYDIS, .isa_ext = "VMFUNC", .reason = "VMX: no nested virtualisation" },
	{ ONLY_ZYDIS, .isa_ext = "TDX", .reason = "TDX" },
	{ ONLY_ZYDIS, .isa_ext = "SGX", .reason = "SGX" },
	{ ONLY_ZYDIS, .isa_ext = "SGX_ENCLV", .reason = "SGX" },
	{ ONLY_ZYDIS, .isa_ext = "SMX", .reason = "SMX" },
	{ ONLY_ZYDIS, .isa_ext = "PCONFIG", .reason = "PCONFIG" },
	{ ONLY_ZYDIS, .isa_ext = "CET", .reason = "CET: shadow stacks" },
	{ ONLY_ZYDIS, .isa_ext = "WAITPKG", .reason = "WAITPKG" },
	{ ONLY_ZYDIS, .isa_ext = "TSX_LDTRK", .reason = "TSXLDTRK" },
	{ ONLY_ZYDIS, .isa_ext = "UINTR", .reason = "user interrupts" },
	{ ONLY_ZYDIS, .isa_ext = "KEYLOCKER", .reason = "Key Locker" },
	{ ONLY_ZYDIS, .isa_ext = "KEYLOCKER_WIDE", .reason = "Key Locker" },
	{ ONLY_ZYDIS, .isa_ext = "ENQCMD", .reason = "ENQCMD" },
	{ ONLY_ZYDIS, .isa_ext = "HRESET", .reason = "HRESET" },
	{ ONLY_ZYDIS, .isa_ext = "PT", .reason = "PTWRITE" },
	{ ONLY_ZYDIS, .isa_ext = "AMX_TILE", .reason = "AMX" },
	{ ONLY_ZYDIS, .isa_ext = "AMX_INT8", .reason = "AMX" },
	{ ONLY_ZYDIS, .isa_ext = "AMX_BF16", .reason = "AMX" },
	{ ONLY_ZYDIS, .isa_ext = "KNC", .reason = "Knights Corner" },
	{ ONLY_ZYDIS, .isa_ext = "KNCE", .reason = "Knights Corner" },
	{ ONLY_ZYDIS, .isa_ext = "KNCV", .reason = "Knights Corner" },
	{ ONLY_ZYDIS, .isa_set = "AVX512ER", .reason = "Knights Landing's AVX512ER" },
	{ ONLY_ZYDIS, .isa_set = "AVX512PF", .reason = "Knights Landing's AVX512PF" },
	{ ONLY_ZYDIS, .isa_set = "AVX512_4", .reason = "Knights Mill's AVX512-4FMAPS and 4VNNIW" },
	{ ONLY_ZYDIS, .isa_set = "AVX512_VP2INTERSECT", .reason = "Tiger Lake's VP2INTERSECT" },
	/* Instructions that are there only elsewhere. */
	{ ONLY_ZYDIS, .mnemonic = "rsm",
	  .reason = "exists inside SMM only; else #UD (SDM vol. 2, RSM)" },
	{ ONLY_ZYDIS, .mnemonic = "syscall",
	  .reason = "AMD's in 32-bit code; Intel's #UD (SDM vol. 2, SYSCALL)" },
	{ ONLY_ZYDIS, .mnemonic = "sysret",
	  .reason = "AMD's in 32-bit code; Intel's #UD (SDM vol. 2, SYSRET)" },
	/* EVEX. */
	{ ONLY_OURS, .only = is_evex_outside_64,
	  .reason = "V' is ignored outside 64-bit mode: hardware agrees" },
	{ ONLY_ZYDIS, .mnemonic = "vcvtdq2pd",
	  .reason = "exact, no {er}: EVEX.b between registers is #UD; silicon-evex asks the processor" },
	{ ONLY_ZYDIS, .mnemonic = "vcvtudq2pd",
	  .reason = "exact, no {er}: EVEX.b between registers is #UD; silicon-evex asks the processor" },
	{ OPERAND, .mnemonic = "vcvtsi2sd", .what = "rounding",
	  .reason = "exact from 32 bits: the rounding is ignored" },
	{ OPERAND, .mnemonic = "vcvtusi2sd", .what = "rounding",
	  .reason = "exact from 32 bits: the rounding is ignored" },
	{ OPERAND, .mnemonic = "vbroadcastss", .what = "register class",
	  .reason = "only the low element of the source counts, whatever its name" },
	{ OPERAND, .mnemonic = "vbroadcastsd", .what = "register class",
	  .reason = "only the low element of the source counts, whatever its name" },
	{ OPERAND, .mnemonic = "vbroadcastf32x2", .what = "register class",
	  .reason = "only the low element of the source counts, whatever its name" },
	{ OPERAND, .mnemonic = "vbroadcasti32x2", .what = "register class",
	  .reason = "only the low element of the source counts, whatever its name" },
	{ OPERAND, .mnemonic = "vpbroadcastb", .what = "register class",
	  .reason = "only the low element of the source counts, whatever its name" },
	{ OPERAND, .mnemonic = "vpbroadcastw", .what = "register class",
	  .reason = "only the low element of the source counts, whatever its name" },
	{ OPERAND, .mnemonic = "vpbroadcastd", .what = "register class",
	  .reason = "only the low element of the source counts, whatever its name" },
	{ OPERAND, .mnemonic = "vpbroadcastq", .what = "register class",
	  .reason = "only the low element of the source counts, whatever its name" },
	{ OPERAND, .mnemonic = "vpexpandb", .what = "memory size",
	  .reason = "as much as the mask selects: the row has one element, Zydis the vector" },
	{ OPERAND, .mnemonic = "vpexpandw", .what = "memory size",
	  .reason = "as much as the mask selects: the row has one element, Zydis the vector" },
	{ OPERAND, .mnemonic = "vpexpandd", .what = "memory size",
	  .reason = "as much as the mask selects: the row has one element, Zydis the vector" },
	{ OPERAND, .mnemonic = "vpexpandq", .what = "memory size",
	  .reason = "as much as the mask selects: the row has one element, Zydis the vector" },
	{ OPERAND, .mnemonic = "vexpandps", .what = "memory size",
	  .reason = "as much as the mask selects: the row has one element, Zydis the vector" },
	{ OPERAND, .mnemonic = "vexpandpd", .what = "memory size",
	  .reason = "as much as the mask selects: the row has one element, Zydis the vector" },
	{ OPERAND, .mnemonic = "vpcompressb", .what = "memory size",
	  .reason = "as much as the mask selects: the row has one element, Zydis the vector" },
	{ OPERAND, .mnemonic = "vpcompressw", .what = "memory size",
	  .reason = "as much as the mask selects: the row has one element, Zydis the vector" },
	{ OPERAND, .mnemonic = "vpcompressd", .what = "memory size",
	  .reason = "as much as the mask selects: the row has one element, Zydis the vector" },
	{ OPERAND, .mnemonic = "vpcompressq", .what = "memory size",
	  .reason = "as much as the mask selects: the row has one element, Zydis the vector" },
	{ OPERAND, .mnemonic = "vcompressps", .what = "memory size",
	  .reason = "as much as the mask selects: the row has one element, Zydis the vector" },
	{ OPERAND, .mnemonic = "vcompresspd", .what = "memory size",
	  .reason = "as much as the mask selects: the row has one element, Zydis the vector" },
	{ OPERAND, .mnemonic = "vpgatherqd", .what = "register class",
	  .reason = "the index is twice as long as the data" },
	{ OPERAND, .mnemonic = "vgatherqps", .what = "register class",
	  .reason = "the index is twice as long as the data" },
	{ OPERAND, .mnemonic = "vpscatterqd", .what = "register class",
	  .reason = "the index is twice as long as the data" },
	{ OPERAND, .mnemonic = "vscatterqps", .what = "register class",
	  .reason = "the index is twice as long as the data" },
	{ NAME, .mnemonic = "kmovd",
	  .reason = "W is ignored outside 64-bit mode" },
	/* Zydis 4.0 is wrong. */
	{ OPERAND, .what = "base", .only = has_sib_without_base,
	  .reason = "under 67, mod 00 and SIB.base 101b mean no base whatever REX.B says (SDM vol. 2, table 2-5)" },
	{ NAME, .mnemonic = "pause", .only = has_rex_b,
	  .reason = "with REX.B it is XCHG R8, rAX: hardware agrees (SDM vol. 2, XCHG: 90 is NOP only without it)" },
	{ FLAGS_DIFFER, .mnemonic = "vptest", .what = "flags changed",
	  .reason = "OF, AF, PF, SF are cleared (SDM vol. 2)" },
	{ FLAGS_DIFFER, .mnemonic = "vtestps", .what = "flags changed",
	  .reason = "OF, AF, PF, SF are cleared (SDM vol. 2)" },
	{ FLAGS_DIFFER, .mnemonic = "vtestpd", .what = "flags changed",
	  .reason = "OF, AF, PF, SF are cleared (SDM vol. 2)" },
	{ FLAGS_DIFFER, .mnemonic = "syscall", .what = "flags changed",
	  .reason = "the flags go to R11, RF is cleared in RFLAGS by IA32_FMASK; nothing the block tier could use" },
	/* The row names another size than the encoding suggests; semantics know. */
	{ OPERAND, .mnemonic = "mov", .what = "memory size",
	  .reason = "v in a register, always a word in memory (SDM vol. 2)" },
	{ OPERAND, .mnemonic = "sldt", .what = "memory size",
	  .reason = "v in a register, always a word in memory (SDM vol. 2)" },
	{ OPERAND, .mnemonic = "str", .what = "memory size",
	  .reason = "v in a register, always a word in memory (SDM vol. 2)" },
	{ OPERAND, .mnemonic = "smsw", .what = "memory size",
	  .reason = "v in a register, always a word in memory (SDM vol. 2)" },
	{ OPERAND, .mnemonic = "clflush", .what = "memory size",
	  .reason = "checked like the load of a byte; the line is 64 bytes" },
	{ OPERAND, .mnemonic = "clwb", .what = "memory size",
	  .reason = "checked like the load of a byte; the line is 64 bytes" },
	{ OPERAND, .mnemonic = "clflushopt", .what = "memory size",
	  .reason = "checked like the load of a byte; the line is 64 bytes" },
	{ OPERAND, .mnemonic = "cmpxchg8b", .what = "memory size",
	  .reason = "two operands of the row's size side by side" },
	{ OPERAND, .mnemonic = "cmpxchg16b", .what = "memory size",
	  .reason = "two operands of the row's size side by side" },
	{ OPERAND, .mnemonic = "bound", .what = "memory size",
	  .reason = "two operands of the row's size side by side" },
	{ OPERAND, .mnemonic = "lar", .what = "register class",
	  .reason = "r32 with a narrower memory operand: the row has the narrow size" },
	{ OPERAND, .mnemonic = "lsl", .what = "register class",
	  .reason = "r32 with a narrower memory operand: the row has the narrow size" },
	{ OPERAND, .mnemonic = "pinsrw", .what = "register class",
	  .reason = "r32 with a narrower memory operand: the row has the narrow size" },
	{ OPERAND, .mnemonic = "pinsrb", .what = "register class",
	  .reason = "r32 with a narrower memory operand: the row has the narrow size" },
	{ OPERAND, .mnemonic = "pextrb", .what = "register class",
	  .reason = "r32 with a narrower memory operand: the row has the narrow size" },
	{ OPERAND, .mnemonic = "pextrw", .what = "register class",
	  .reason = "r32 with a narrower memory operand: the row has the narrow size" },
	{ OPERAND, .mnemonic = "vpinsrw", .what = "register class",
	  .reason = "r32 with a narrower memory operand: the row has the narrow size" },
	{ OPERAND, .mnemonic = "vpinsrb", .what = "register class",
	  .reason = "r32 with a narrower memory operand: the row has the narrow size" },
	{ OPERAND, .mnemonic = "vpextrb", .what = "register class",
	  .reason = "r32 with a narrower memory operand: the row has the narrow size" },
	{ OPERAND, .mnemonic = "vpextrw", .what = "register class",
	  .reason = "r32 with a narrower memory operand: the row has the narrow size" },
	{ OPERAND, .mnemonic = "vmovw", .what = "register class",
	  .reason = "r32 with a narrower memory operand: the row has the narrow size" },
	{ OPERAND, .mnemonic = "movmskps", .what = "register class",
	  .reason = "upper bits are zero anyway" },
	{ OPERAND, .mnemonic = "movmskpd", .what = "register class",
	  .reason = "upper bits are zero anyway" },
	{ OPERAND, .mnemonic = "movsxd", .what = "register class",
	  .reason = "66 without REX.W: word operands; the semantic function reads two bytes then" },
	{ OPERAND, .mnemonic = "mov", .what = "register class",
	  .reason = "control and debug registers: 64 bits in 64-bit mode without REX.W (SDM vol. 2)" },
	{ OPERAND, .mnemonic = "invpcid", .what = "register class",
	  .reason = "64 bits in 64-bit mode without REX.W" },
	{ OPERAND, .mnemonic = "movdir64b", .what = "register class",
	  .reason = "a register of the address size" },
	{ OPERAND, .mnemonic = "rdpid", .what = "register class",
	  .reason = "64 bits in 64-bit mode without REX.W; the upper half is zero" },
	{ OPERAND, .mnemonic = "ud0", .what = "register class",
	  .reason = "nothing is done with the operands" },
	{ OPERAND, .mnemonic = "ud1", .what = "register class",
	  .reason = "nothing is done with the operands" },
	{ OPERAND, .mnemonic = "nop",
	  .reason = "nothing is done with the operands" },
	{ FLAGS_DIFFER, .mnemonic = "cmpsb", .what = "flags read", .only = is_repeated,
	  .reason = "REPE/REPNE test the ZF that the iteration before has written" },
	{ FLAGS_DIFFER, .mnemonic = "cmpsw", .what = "flags read", .only = is_repeated,
	  .reason = "REPE/REPNE test the ZF that the iteration before has written" },
	{ FLAGS_DIFFER, .mnemonic = "cmpsd", .what = "flags read", .only = is_repeated,
	  .reason = "REPE/REPNE test the ZF that the iteration before has written" },
	{ FLAGS_DIFFER, .mnemonic = "cmpsq", .what = "flags read", .only = is_repeated,
	  .reason = "REPE/REPNE test the ZF that the iteration before has written" },
	{ FLAGS_DIFFER, .mnemonic = "scasb", .what = "flags read", .only = is_repeated,
	  .reason = "REPE/REPNE test the ZF that the iteration before has written" },
	{ FLAGS_DIFFER, .mnemonic = "scasw", .what = "flags read", .only = is_repeated,
	  .reason = "REPE/REPNE test the ZF that the iteration before has written" },
	{ FLAGS_DIFFER, .mnemonic = "scasd", .what = "flags read", .only = is_repeated,
	  .reason = "REPE/REPNE test the ZF that the iteration before has written" },
	{ FLAGS_DIFFER, .mnemonic = "scasq", .what = "flags read", .only = is_repeated,
	  .reason = "REPE/REPNE test the ZF that the iteration before has written" },
};

/* Names of rows that cover what Zydis gives several names. */
static const struct {
	const char *ours, *theirs;
} aliases[] = {
	{ "cbw", "cwde" }, { "cbw", "cdqe" }, { "cwd", "cdq" }, { "cwd", "cqo" }, { "jrcxz", "jcxz" }, { "jrcxz", "jecxz" },
	{ "retf", "ret" }, { "movd", "movq" }, { "vmovd", "vmovq" }, { "pextrd", "pextrq" }, { "vpextrd", "vpextrq" },
	{ "pinsrd", "pinsrq" }, { "vpinsrd", "vpinsrq" }, { "cmpxchg8b", "cmpxchg16b" }, { "nop", "prefetchnta" },
	{ "nop", "prefetcht0" }, { "nop", "prefetcht1" }, { "nop", "prefetcht2" }, { "prefetchw", "prefetch" },
	{ "prefetchw", "prefetchwt1" }, { "wbnoinvd", "wbinvd" },
	{ "endbr64", "nop" }, { "endbr32", "nop" },
};

/* Zydis's name is ours, or our first word with a size behind it (MOVSB, PUSHAD, FXSAVE64, FENI8087_NOP), or an alias. */
bool same_mnemonic(const char *ours, const char *theirs)
{
	static const char *const suffixes[] = { "", "b", "w", "d", "q", "64", "8087_nop", "287_nop" };
	const size_t word = strcspn(ours, " ");

	for (unsigned n = 0; n < sizeof(suffixes) / sizeof(suffixes[0]); n++) {
		if (strncmp(ours, theirs, word) == 0 && strcmp(theirs + word, suffixes[n]) == 0)
			return true;
	}
	for (unsigned n = 0; n < sizeof(aliases) / sizeof(aliases[0]); n++) {
		if (strcmp(ours, aliases[n].ours) == 0 && strcmp(theirs, aliases[n].theirs) == 0)
			return true;
	}
	return false;
}

enum { RULES = sizeof(rules) / sizeof(rules[0]) };

static bool matches(const struct rule *r, const struct answers *a, enum difference d, const char *what)
{
	const char *mnemonic = a->theirs ? ZydisMnemonicGetString(a->z.mnemonic) : "";

	if (r->d != d)
		return false;
	if (r->mnemonic && strcmp(r->mnemonic, mnemonic) != 0)
		return false;
	if (r->what && (!what || strcmp(r->what, what) != 0))
		return false;
	if (r->only && !r->only(a))
		return false;
	if (r->isa_set && (!a->theirs || strncmp(r->isa_set, ZydisISASetGetString(a->z.meta.isa_set), strlen(r->isa_set)) != 0))
		return false;
	return !r->isa_ext || (a->theirs && strcmp(r->isa_ext, ZydisISAExtGetString(a->z.meta.isa_ext)) == 0);
}

int find_rule(const struct answers *a, enum difference d, const char *what)
{
	for (unsigned n = 0; n < RULES; n++) {
		if (matches(&rules[n], a, d, what))
			return (int)n;
	}
	return -1;
}

unsigned rule_count(void)
{
	return RULES;
}

void print_rule(unsigned n, unsigned uses)
{
	const struct rule *r = &rules[n];

	printf("rule %s %s: %s: %u uses%s\n",
	       r->isa_ext   ? r->isa_ext
	       : r->isa_set ? r->isa_set
			    : "",
	       r->mnemonic ? r->mnemonic : "", r->reason, uses, uses ? "" : " (none: is it needed?)");
}
