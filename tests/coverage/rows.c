/* SPDX-License-Identifier: MIT */
/* rows-run FILE: names the rows of the instruction table that no test has run; exit code 1 if there are any. */
#include "emu/isa/isa.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	uint8_t seen[ISA_COUNT] = { 0 };
	FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
	unsigned missing = 0;

	if (!f || fread(seen, 1, sizeof(seen), f) != sizeof(seen)) {
		fprintf(stderr, "rows-run: no file of %u rows\n", ISA_COUNT);
		return 2;
	}
	fclose(f);
	for (unsigned row = 1; row < ISA_COUNT; row++) {
		if (seen[row])
			continue;
		missing++;
		printf("never run: %s (map %u, opcode %02x)\n", isa_rows[row].mnemonic, isa_rows[row].map, isa_rows[row].opcode);
	}
	printf("%u of %u rows were run\n", ISA_COUNT - 1 - missing, ISA_COUNT - 1);
	return missing != 0;
}
