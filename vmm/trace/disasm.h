/* SPDX-License-Identifier: MIT */
/* Bytes as an instruction, by Zydis. */
#ifndef BULKHEAD_VMM_TRACE_DISASM_H
#define BULKHEAD_VMM_TRACE_DISASM_H

#include <stdbool.h>
#include <stdint.h>

struct disasm {
	unsigned len; /* 0: it is none that is known there */
	bool ends;    /* it goes elsewhere: a branch, a call, a return, a trap */
	const char *mnemonic, *set; /* "mov"; "BASE", "AVX2" */
	char text[128];
};

/* `code_size`: 2, 4 or 8 bytes. */
void disasm(const uint8_t *bytes, unsigned count, unsigned code_size, uint64_t address, struct disasm *out);

#endif
