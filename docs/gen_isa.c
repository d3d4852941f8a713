/* SPDX-License-Identifier: MIT */
/* Prints docs/isa.md from the instruction table: what each feature brings, and who checks it. */
#include "emu/isa/isa.h"
#include "tests/silicon/elsewhere.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not called: the table's own semantics refer to it. */
int emu_fault(struct emu *e, enum vector vector)
{
	return 0;
}

#define NAMED(f) [FEAT_##f] = #f
static const char *const names[FEAT_COUNT] = {
	NAMED(BASE), NAMED(FPU), NAMED(TSC), NAMED(MSR), NAMED(CX8), NAMED(SEP), NAMED(CMOV), NAMED(CLFLUSH), NAMED(MMX),
	NAMED(FXSR), NAMED(SSE), NAMED(SSE2), NAMED(SSE3), NAMED(SSSE3), NAMED(SSE41), NAMED(SSE42), NAMED(POPCNT), NAMED(CX16),
	NAMED(MONITOR), NAMED(XSAVE), NAMED(XSAVEOPT), NAMED(XSAVEC), NAMED(XSAVES), NAMED(XGETBV1), NAMED(FSGSBASE),
	NAMED(RDRAND), NAMED(RDSEED), NAMED(RDTSCP), NAMED(RDPID), NAMED(SYSCALL), NAMED(LAHF64), NAMED(INVPCID), NAMED(SMAP),
	NAMED(UMIP), NAMED(PKU), NAMED(CLFLUSHOPT), NAMED(CLWB), NAMED(MOVBE), NAMED(BMI1), NAMED(BMI2), NAMED(LZCNT),
	NAMED(ADX), NAMED(PREFETCHW), NAMED(PCLMULQDQ), NAMED(AES), NAMED(SHA), NAMED(SERIALIZE), NAMED(MOVDIRI),
	NAMED(MOVDIR64B), NAMED(SSE4A), NAMED(WBNOINVD), NAMED(CLDEMOTE), NAMED(RTM), NAMED(AVX), NAMED(AVX2), NAMED(FMA),
	NAMED(F16C), NAMED(GFNI), NAMED(VAES), NAMED(VPCLMULQDQ), NAMED(AVX_VNNI), NAMED(AVX512F), NAMED(AVX512CD),
	NAMED(AVX512BW), NAMED(AVX512DQ), NAMED(AVX512IFMA), NAMED(AVX512VBMI), NAMED(AVX512VBMI2), NAMED(AVX512VNNI),
	NAMED(AVX512BITALG), NAMED(AVX512VPOPCNTDQ), NAMED(AVX512BF16), NAMED(AVX512FP16),
};

static unsigned count_rows(unsigned feature, bool only_run)
{
	unsigned n = 0;

	for (unsigned row = 1; row < ISA_COUNT; row++)
		n += isa_rows[row].feature == feature && !(only_run && not_run(row));
	return n;
}

static bool is_first(unsigned row)
{
	for (unsigned n = 1; n < row; n++) {
		if (isa_rows[n].feature == isa_rows[row].feature && !strcmp(isa_rows[n].mnemonic, isa_rows[row].mnemonic))
			return false;
	}
	return true;
}

static unsigned print_mnemonics(unsigned feature, bool print)
{
	unsigned n = 0;

	for (unsigned row = 1; row < ISA_COUNT; row++) {
		if (isa_rows[row].feature != feature || !is_first(row))
			continue;
		if (print)
			printf("%s%s", n ? ", " : "", isa_rows[row].mnemonic);
		n++;
	}
	return n;
}

static void print_feature(unsigned feature)
{
	if (!count_rows(feature, false))
		return;
	if (!names[feature]) {
		fprintf(stderr, "gen_isa: feature %u has rows but no name\n", feature);
		exit(1);
	}
	printf("| %s | %u | %u | %u | ", names[feature], print_mnemonics(feature, false), count_rows(feature, false),
	       count_rows(feature, true));
	print_mnemonics(feature, true);
	printf(" |\n");
}

static void print_elsewhere(void)
{
	unsigned wide = 0;

	printf("\n## Rows that `silicon` does not run\n\n| instruction | why, and which test has it |\n|---|---|\n");
	for (unsigned row = 1; row < ISA_COUNT; row++) {
		if (isa_rows[row].attr & ISA_AVX512X)
			wide++;
		else if (not_run(row))
			printf("| %s | %s |\n", isa_rows[row].mnemonic, not_run(row));
	}
	if (wide)
		printf("| %u rows of AVX-512 | ZMM and opmask registers: tests/oracle |\n", wide);
}

int main(void)
{
	printf("# Instructions\n\nGenerated from `emu/isa/*.def` by `docs/gen_isa.c`; a test keeps it current.\n\n"
	       "A row of the table is one encoding with its operands: register and memory forms, operand and address sizes,\n"
	       "prefixes and modes fold into it. %u rows. `decode-walk` compares validity, length, operands and flags of all\n"
	       "of them with Zydis over the opcode space; `silicon` runs those of the fourth column beside the processor that\n"
	       "it finds, in 64-, 32- and 16-bit code, with random states, through paging and segments, in both tiers, and\n"
	       "prints how many encodings and states it compared and which rows the processor lacks (`make oracle`).\n"
	       "Privileged instructions it asks for their #GP; what they do at CPL 0 is tested by tests/unit.\n\n"
	       "| feature | instructions | rows | beside the processor | names |\n|---|---|---|---|---|\n",
	       ISA_COUNT - 1);
	for (unsigned feature = 0; feature < FEAT_COUNT; feature++)
		print_feature(feature);
	print_elsewhere();
	return 0;
}
