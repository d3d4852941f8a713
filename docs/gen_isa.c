/* SPDX-License-Identifier: MIT */
/* Prints docs/isa.md from the instruction table: what each feature brings, and who checks it. */
#include "emu/isa/isa.h"
#include "tests/silicon/elsewhere.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What `make isa-record` wrote: lines "TOOL FEATURE encodings states", and comments about when and where. */
#ifndef VERIFIED
#error "VERIFIED is the path of docs/isa-verified.txt"
#endif

static unsigned long verified[FEAT_COUNT][2];
static char provenance[1024];

static unsigned feature_of(const char *name)
{
	for (unsigned n = 0; n < FEAT_COUNT; n++)
		if (isa_feature_name(n) && strcmp(isa_feature_name(n), name) == 0)
			return n;
	return FEAT_COUNT;
}

static void read_record(void)
{
	FILE *f = fopen(VERIFIED, "r");
	char line[512], tool[16], name[32];
	unsigned long encodings, states;

	while (f && fgets(line, sizeof(line), f)) {
		unsigned feature;

		if (line[0] == '#')
			strncat(provenance, line + 2, sizeof(provenance) - strlen(provenance) - 1);
		if (sscanf(line, "%15s %31s %lu %lu", tool, name, &encodings, &states) != 4)
			continue;
		feature = feature_of(name);
		if (feature == FEAT_COUNT)
			continue;
		verified[feature][0] += encodings;
		verified[feature][1] += states;
	}
	if (f)
		fclose(f);
}

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
	if (!isa_feature_name(feature)) {
		fprintf(stderr, "gen_isa: feature %u has rows but no name\n", feature);
		exit(1);
	}
	printf("| %s | %u | %u | %u | %lu | %lu | ", isa_feature_name(feature), print_mnemonics(feature, false),
	       count_rows(feature, false), count_rows(feature, true), verified[feature][0], verified[feature][1]);
	print_mnemonics(feature, true);
	printf(" |\n");
}

static void print_elsewhere(void)
{
	printf("\n## Rows that `silicon` does not run\n\n| instruction | why, and which test has it |\n|---|---|\n");
	for (unsigned row = 1; row < ISA_COUNT; row++) {
		if (not_run(row))
			printf("| %s | %s |\n", isa_rows[row].mnemonic, not_run(row));
	}
}

int main(void)
{
	read_record();
	printf("# Instructions\n\nGenerated from `emu/isa/*.def` by `docs/gen_isa.c`; a test keeps it current.\n\n"
	       "A row of the table is one encoding with its operands: register and memory forms, operand and address sizes,\n"
	       "prefixes and modes fold into it. %u rows. `decode-walk` compares validity, length, operands and flags of all\n"
	       "of them with Zydis over the opcode space; `silicon` runs those of the fourth column beside the processor that\n"
	       "it finds, in 64-, 32- and 16-bit code, with random states, through paging and segments, in both tiers, and\n"
	       "prints how many encodings and states it compared and which rows the processor lacks (`make oracle`).\n"
	       "Privileged instructions it asks for their #GP; what they do at CPL 0 is tested by tests/unit.\n\n"
	       "Verified: encodings generated and states compared, without any difference, in the run that `make isa-record`\n"
	       "recorded last (`docs/isa-verified.txt`); 0: that processor lacks the feature, or what the page names below has\n"
	       "it. %s\n"
	       "| feature | instructions | rows | beside the processor | encodings verified | states compared | names |\n"
	       "|---|---|---|---|---|---|---|\n",
	       ISA_COUNT - 1, provenance);
	for (unsigned feature = 0; feature < FEAT_COUNT; feature++)
		print_feature(feature);
	print_elsewhere();
	return 0;
}
